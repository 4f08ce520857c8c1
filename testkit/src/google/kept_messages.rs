//! The messages of what Google keeps for somebody, field by field, in protobuf's own names.
//!
//! From the API's reference (<https://ai.google.dev/api>) and the converters of
//! googleapis/python-genai (`files.py`, `caches.py` …), which name every field they send.

use super::messages::Type::{Any, Int, List, Message, String as Text, Struct};
use super::messages::{CONTENT, EMBED, Field, GENERATE, TOOL, TOOL_CONFIG};

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

pub(super) static CACHED_CONTENT: [Field; 12] = [
    ("name", Text),
    ("model", Text),
    ("display_name", Text),
    ("contents", List(&Message(&CONTENT))),
    ("system_instruction", Message(&CONTENT)),
    ("tools", List(&Message(&TOOL))),
    ("tool_config", Message(&TOOL_CONFIG)),
    ("ttl", Text),
    ("expire_time", Text),
    ("create_time", Text),
    ("update_time", Text),
    ("usage_metadata", Struct),
];

pub(super) static PREDICT: [Field; 2] = [("instances", List(&Any)), ("parameters", Any)];

static GENERATE_REQUESTS: [Field; 1] = [(
    "requests",
    List(&Message(&[
        ("request", Message(&GENERATE)),
        ("metadata", Struct),
    ])),
)];
static EMBED_REQUESTS: [Field; 1] = [(
    "requests",
    List(&Message(&[
        ("request", Message(&EMBED)),
        ("metadata", Struct),
    ])),
)];
pub(super) static BATCH: [Field; 1] = [(
    "batch",
    Message(&[
        ("name", Text),
        ("model", Text),
        ("display_name", Text),
        ("priority", Int),
        ("webhook_config", Struct),
        (
            "input_config",
            Message(&[
                ("file_name", Text),
                ("requests", Message(&GENERATE_REQUESTS)),
            ]),
        ),
    ]),
)];
pub(super) static EMBED_BATCH: [Field; 1] = [(
    "batch",
    Message(&[
        ("name", Text),
        ("model", Text),
        ("display_name", Text),
        ("priority", Int),
        (
            "input_config",
            Message(&[("file_name", Text), ("requests", Message(&EMBED_REQUESTS))]),
        ),
    ]),
)];
