//! The messages of what Google keeps for somebody, field by field, in protobuf's own names.
//!
//! From the API's reference (<https://ai.google.dev/api>) and the converters of
//! googleapis/python-genai (`files.py`, `caches.py` …), which name every field they send.

use super::messages::Type::{Any, Bool, Int, List, Message, String as Text, Struct};
use super::messages::{
    BLOB, CONTENT, EMBED, FUNCTION_RESPONSE, Field, GENERATE, GENERATION_CONFIG, SAFETY_SETTING,
    TOOL, TOOL_CONFIG,
};

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

static LIVE_SETUP: [Field; 15] = [
    ("model", Text),
    ("generation_config", Message(&GENERATION_CONFIG)),
    ("system_instruction", Message(&CONTENT)),
    ("tools", List(&Message(&TOOL))),
    (
        "session_resumption",
        Message(&[("handle", Text), ("transparent", Bool)]),
    ),
    ("context_window_compression", Struct),
    ("realtime_input_config", Struct),
    ("input_audio_transcription", Struct),
    ("output_audio_transcription", Struct),
    ("proactivity", Struct),
    ("history_config", Struct),
    ("explicit_vad_signal", Bool),
    ("avatar_config", Struct),
    ("safety_settings", List(&Message(&SAFETY_SETTING))),
    ("labels", Struct),
];
pub(super) static LIVE: [Field; 4] = [
    ("setup", Message(&LIVE_SETUP)),
    (
        "client_content",
        Message(&[("turns", List(&Message(&CONTENT))), ("turn_complete", Bool)]),
    ),
    (
        "realtime_input",
        Message(&[
            ("text", Text),
            ("audio", Message(&BLOB)),
            ("video", Message(&BLOB)),
            ("media_chunks", List(&Message(&BLOB))),
            ("audio_stream_end", Bool),
            ("activity_start", Struct),
            ("activity_end", Struct),
        ]),
    ),
    (
        "tool_response",
        Message(&[("function_responses", List(&Message(&FUNCTION_RESPONSE)))]),
    ),
];

pub(super) static STORE: [Field; 9] = [
    ("name", Text),
    ("display_name", Text),
    ("embedding_model", Text),
    ("create_time", Text),
    ("update_time", Text),
    ("active_documents_count", Int),
    ("pending_documents_count", Int),
    ("failed_documents_count", Int),
    ("size_bytes", Int),
];
pub(super) static UPLOAD_TO_STORE: [Field; 4] = [
    ("display_name", Text),
    ("mime_type", Text),
    ("custom_metadata", List(&Struct)),
    ("chunking_config", Struct),
];
pub(super) static IMPORT_FILE: [Field; 3] = [
    ("file_name", Text),
    ("custom_metadata", List(&Struct)),
    ("chunking_config", Struct),
];
