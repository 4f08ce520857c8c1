//! The request messages that a model is called with, field by field, in protobuf's own names.

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Type {
    String,
    /// Base64, either alphabet.
    Bytes,
    Bool,
    /// Any integer.
    Int,
    Float,
    /// One of these names (or a number), with the type's own full name.
    Enum(&'static str, &'static [&'static str]),
    Message(&'static [Field]),
    List(&'static Type),
    /// String keys, values of this type.
    Map(&'static Type),
    /// An object of any content (`google.protobuf.Struct`).
    Struct,
    /// Anything (`google.protobuf.Value`).
    Any,
}

pub(super) type Field = (&'static str, Type);

use Type::{Any, Bool, Bytes, Enum, Float, Int, List, Message, String as Text, Struct};

static SCHEMA: [Field; 22] = [
    (
        "type",
        Enum(
            "type.googleapis.com/google.ai.generativelanguage.v1beta.Type",
            &[
                "TYPE_UNSPECIFIED",
                "STRING",
                "NUMBER",
                "INTEGER",
                "BOOLEAN",
                "ARRAY",
                "OBJECT",
                "NULL",
            ],
        ),
    ),
    ("format", Text),
    ("title", Text),
    ("description", Text),
    ("nullable", Bool),
    ("enum", List(&Text)),
    ("items", Message(&SCHEMA)),
    ("max_items", Int),
    ("min_items", Int),
    ("properties", Type::Map(&Message(&SCHEMA))),
    ("required", List(&Text)),
    ("min_properties", Int),
    ("max_properties", Int),
    ("minimum", Float),
    ("maximum", Float),
    ("min_length", Int),
    ("max_length", Int),
    ("pattern", Text),
    ("example", Any),
    ("any_of", List(&Message(&SCHEMA))),
    ("property_ordering", List(&Text)),
    ("default", Any),
];

static BLOB: [Field; 3] = [("mime_type", Text), ("data", Bytes), ("display_name", Text)];
static FILE_DATA: [Field; 3] = [
    ("mime_type", Text),
    ("file_uri", Text),
    ("display_name", Text),
];
static FUNCTION_CALL: [Field; 5] = [
    ("id", Text),
    ("name", Text),
    ("args", Struct),
    ("partial_args", List(&Any)),
    ("will_continue", Bool),
];
static FUNCTION_RESPONSE_PART: [Field; 2] = [
    ("inline_data", Message(&BLOB)),
    ("file_data", Message(&FILE_DATA)),
];
static FUNCTION_RESPONSE: [Field; 6] = [
    ("id", Text),
    ("name", Text),
    ("response", Struct),
    ("will_continue", Bool),
    ("scheduling", Text),
    ("parts", List(&Message(&FUNCTION_RESPONSE_PART))),
];
static PART: [Field; 20] = [
    ("text", Text),
    ("inline_data", Message(&BLOB)),
    ("file_data", Message(&FILE_DATA)),
    ("function_call", Message(&FUNCTION_CALL)),
    ("function_response", Message(&FUNCTION_RESPONSE)),
    (
        "executable_code",
        Message(&[("id", Text), ("language", Text), ("code", Text)]),
    ),
    (
        "code_execution_result",
        Message(&[("id", Text), ("outcome", Text), ("output", Text)]),
    ),
    (
        "tool_call",
        Message(&[("id", Text), ("tool_type", Text), ("args", Struct)]),
    ),
    (
        "tool_response",
        Message(&[("id", Text), ("tool_type", Text), ("response", Struct)]),
    ),
    ("thought", Bool),
    ("thought_signature", Bytes),
    ("part_metadata", Struct),
    (
        "video_metadata",
        Message(&[
            ("start_offset", Text),
            ("end_offset", Text),
            ("fps", Float),
            ("content_layers", Any),
        ]),
    ),
    (
        "media_resolution",
        Message(&[("level", Text), ("num_tokens", Int)]),
    ),
    ("audio_transcription", Struct),
    ("audio_metadata", Struct),
    ("document_metadata", Struct),
    ("media_processing", Any),
    ("speech_metadata", Struct),
    ("spreadsheet_metadata", Struct),
];
pub(super) static CONTENT: [Field; 2] = [("parts", List(&Message(&PART))), ("role", Text)];
static FUNCTION_DECLARATION: [Field; 7] = [
    ("name", Text),
    ("description", Text),
    ("behavior", Text),
    ("parameters", Message(&SCHEMA)),
    ("parameters_json_schema", Any),
    ("response", Message(&SCHEMA)),
    ("response_json_schema", Any),
];
pub(super) static TOOL: [Field; 9] = [
    (
        "function_declarations",
        List(&Message(&FUNCTION_DECLARATION)),
    ),
    (
        "google_search_retrieval",
        Message(&[(
            "dynamic_retrieval_config",
            Message(&[("mode", Text), ("dynamic_threshold", Float)]),
        )]),
    ),
    ("code_execution", Message(&[])),
    (
        "google_search",
        Message(&[
            (
                "time_range_filter",
                Message(&[("start_time", Text), ("end_time", Text)]),
            ),
            ("exclude_domains", List(&Text)),
            ("search_types", Struct),
        ]),
    ),
    ("url_context", Message(&[])),
    (
        "computer_use",
        Message(&[
            ("environment", Text),
            ("excluded_predefined_functions", List(&Text)),
        ]),
    ),
    ("file_search", Struct),
    (
        "google_maps",
        Message(&[("enable_widget", Bool), ("auth_config", Struct)]),
    ),
    ("mcp_servers", List(&Any)),
];
pub(super) static TOOL_CONFIG: [Field; 3] = [
    (
        "function_calling_config",
        Message(&[
            (
                "mode",
                Enum(
                    "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode",
                    &["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"],
                ),
            ),
            ("allowed_function_names", List(&Text)),
            ("stream_function_call_arguments", Bool),
        ]),
    ),
    (
        "retrieval_config",
        Message(&[
            (
                "lat_lng",
                Message(&[("latitude", Float), ("longitude", Float)]),
            ),
            ("language_code", Text),
        ]),
    ),
    ("include_server_side_tool_invocations", Bool),
];
static SAFETY_SETTING: [Field; 2] = [
    (
        "category",
        Enum(
            "type.googleapis.com/google.ai.generativelanguage.v1beta.HarmCategory",
            &[
                "HARM_CATEGORY_UNSPECIFIED",
                "HARM_CATEGORY_DEROGATORY",
                "HARM_CATEGORY_TOXICITY",
                "HARM_CATEGORY_VIOLENCE",
                "HARM_CATEGORY_SEXUAL",
                "HARM_CATEGORY_MEDICAL",
                "HARM_CATEGORY_DANGEROUS",
                "HARM_CATEGORY_HARASSMENT",
                "HARM_CATEGORY_HATE_SPEECH",
                "HARM_CATEGORY_SEXUALLY_EXPLICIT",
                "HARM_CATEGORY_DANGEROUS_CONTENT",
                "HARM_CATEGORY_CIVIC_INTEGRITY",
                "HARM_CATEGORY_JAILBREAK",
            ],
        ),
    ),
    (
        "threshold",
        Enum(
            "type.googleapis.com/google.ai.generativelanguage.v1beta.SafetySetting.HarmBlockThreshold",
            &[
                "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
                "BLOCK_LOW_AND_ABOVE",
                "BLOCK_MEDIUM_AND_ABOVE",
                "BLOCK_ONLY_HIGH",
                "BLOCK_NONE",
                "OFF",
            ],
        ),
    ),
];
static THINKING_CONFIG: [Field; 3] = [
    ("include_thoughts", Bool),
    ("thinking_budget", Int),
    (
        "thinking_level",
        Enum(
            "type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel",
            &[
                "THINKING_LEVEL_UNSPECIFIED",
                "MINIMAL",
                "LOW",
                "MEDIUM",
                "HIGH",
                "XHIGH",
            ],
        ),
    ),
];
static VOICE_CONFIG: [Field; 3] = [
    ("prebuilt_voice_config", Message(&[("voice_name", Text)])),
    ("replicated_voice_config", Struct),
    ("voice", Any),
];
pub(super) static GENERATION_CONFIG: [Field; 25] = [
    ("candidate_count", Int),
    ("stop_sequences", List(&Text)),
    ("max_output_tokens", Int),
    ("temperature", Float),
    ("top_p", Float),
    ("top_k", Int),
    ("seed", Int),
    ("response_mime_type", Text),
    ("response_schema", Message(&SCHEMA)),
    ("response_json_schema", Any),
    ("_response_json_schema", Any),
    ("response_format", Any),
    ("presence_penalty", Float),
    ("frequency_penalty", Float),
    ("response_logprobs", Bool),
    ("logprobs", Int),
    ("enable_enhanced_civic_answers", Bool),
    (
        "response_modalities",
        List(&Enum(
            "type.googleapis.com/google.ai.generativelanguage.v1beta.GenerationConfig.Modality",
            &["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"],
        )),
    ),
    (
        "speech_config",
        Message(&[
            ("voice_config", Message(&VOICE_CONFIG)),
            (
                "multi_speaker_voice_config",
                Message(&[(
                    "speaker_voice_configs",
                    List(&Message(&[
                        ("speaker", Text),
                        ("voice_config", Message(&VOICE_CONFIG)),
                    ])),
                )]),
            ),
            ("language_code", Text),
        ]),
    ),
    ("thinking_config", Message(&THINKING_CONFIG)),
    ("media_resolution", Text),
    (
        "image_config",
        Message(&[
            ("aspect_ratio", Text),
            ("image_size", Text),
            ("person_generation", Text),
            ("output_mime_type", Text),
            ("image_output_options", Struct),
        ]),
    ),
    ("translation_config", Struct),
    ("enable_affective_dialog", Bool),
    ("audio_transcription_config", Struct),
];
pub(super) static GENERATE: [Field; 12] = [
    ("model", Text),
    ("contents", List(&Message(&CONTENT))),
    ("system_instruction", Message(&CONTENT)),
    ("tools", List(&Message(&TOOL))),
    ("tool_config", Message(&TOOL_CONFIG)),
    ("safety_settings", List(&Message(&SAFETY_SETTING))),
    ("generation_config", Message(&GENERATION_CONFIG)),
    ("cached_content", Text),
    ("service_tier", Text),
    ("store", Bool),
    ("labels", Type::Map(&Text)),
    ("continuation_token", Text),
];
pub(super) static COUNT: [Field; 3] = [
    ("model", Text),
    ("contents", List(&Message(&CONTENT))),
    ("generate_content_request", Message(&GENERATE)),
];
pub(super) static EMBED: [Field; 6] = [
    ("model", Text),
    ("content", Message(&CONTENT)),
    ("task_type", Text),
    ("title", Text),
    ("output_dimensionality", Int),
    ("embed_content_config", Struct),
];
pub(super) static BATCH_EMBED: [Field; 2] = [("model", Text), ("requests", List(&Message(&EMBED)))];
