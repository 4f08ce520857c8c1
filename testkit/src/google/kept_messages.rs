//! The messages of what Google keeps for somebody, field by field, in protobuf's own names.
//!
//! From the API's reference (<https://ai.google.dev/api>) and the converters of
//! googleapis/python-genai (`files.py`, `caches.py` …), which name every field they send.

use super::messages::Field;
use super::messages::Type::{Any, Int, Message, String as Text, Struct};

static FILE: [Field; 14] = [
    ("name", Text),
    ("display_name", Text),
    ("mime_type", Text),
    ("size_bytes", Int),
    ("create_time", Text),
    ("update_time", Text),
    ("expiration_time", Text),
    ("sha256_hash", Text),
    ("uri", Text),
    ("download_uri", Text),
    ("state", Text),
    ("source", Text),
    ("error", Struct),
    ("video_metadata", Any),
];
pub(super) static CREATE_FILE: [Field; 1] = [("file", Message(&FILE))];
