//! The request messages of the Gemini API as protobuf sees them, and the complaints of
//! Google's JSON parser about anything else.
//!
//! Protobuf's JSON takes a field by its own name (`system_instruction`) or in camel case
//! (`systemInstruction`), takes numbers as strings, takes one value for a list, and
//! ignores `null`. It refuses names it does not know, which is how a gateway that leaks a
//! field of its own is found out.

use serde_json::{Map, Value};

/// The type of a field.
#[derive(Clone, Copy)]
enum Type {
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

type Field = (&'static str, Type);

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
static CONTENT: [Field; 2] = [("parts", List(&Message(&PART))), ("role", Text)];
static FUNCTION_DECLARATION: [Field; 7] = [
    ("name", Text),
    ("description", Text),
    ("behavior", Text),
    ("parameters", Message(&SCHEMA)),
    ("parameters_json_schema", Any),
    ("response", Message(&SCHEMA)),
    ("response_json_schema", Any),
];
static TOOL: [Field; 9] = [
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
static TOOL_CONFIG: [Field; 3] = [
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
static GENERATION_CONFIG: [Field; 25] = [
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
static GENERATE: [Field; 12] = [
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
static COUNT: [Field; 3] = [
    ("model", Text),
    ("contents", List(&Message(&CONTENT))),
    ("generate_content_request", Message(&GENERATE)),
];
static EMBED: [Field; 6] = [
    ("model", Text),
    ("content", Message(&CONTENT)),
    ("task_type", Text),
    ("title", Text),
    ("output_dimensionality", Int),
    ("embed_content_config", Struct),
];
static BATCH_EMBED: [Field; 2] = [("model", Text), ("requests", List(&Message(&EMBED)))];

/// What is wrong with a body for this method: each a path and a description. The path is
/// in protobuf's own names, as Google gives it.
pub(super) fn violations(action: &str, body: &Map<String, Value>) -> Vec<(String, String)> {
    let message: &[Field] = match action {
        "countTokens" => &COUNT,
        "embedContent" => &EMBED,
        "batchEmbedContents" => &BATCH_EMBED,
        _ => &GENERATE,
    };
    let mut found = Vec::new();
    check_message(message, body, "", &mut found);
    found
}

/// The value of a field by protobuf's name for it, in either spelling.
pub(super) fn get<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    let value = object.get(name).or_else(|| object.get(&camel(name)))?;
    (!value.is_null()).then_some(value)
}

/// The elements of a repeated field; protobuf's JSON takes a lone value for a list of one.
pub(super) fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    match get(object, name) {
        Some(Value::Array(items)) => items,
        Some(lone) => std::slice::from_ref(lone),
        None => &[],
    }
}

/// A string field, or "".
pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    get(object, name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number field, given as number or string.
pub(super) fn int(object: &Value, name: &str) -> Option<i64> {
    let value = get(object, name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn unknown(name: &str, path: &str, why: &str) -> (String, String) {
    let at = if path.is_empty() {
        String::new()
    } else {
        format!(" at '{path}'")
    };
    (
        path.to_owned(),
        format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: {why}"),
    )
}

fn check_message(
    fields: &'static [Field],
    object: &Map<String, Value>,
    path: &str,
    found: &mut Vec<(String, String)>,
) {
    for (given, value) in object {
        let Some((name, kind)) = fields
            .iter()
            .find(|(name, _)| name == given || camel(name) == *given)
        else {
            found.push(unknown(given, path, "Cannot find field."));
            continue;
        };
        let inner = if path.is_empty() {
            (*name).to_owned()
        } else {
            format!("{path}.{name}")
        };
        match (kind, value) {
            (List(item), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    check_value(
                        item,
                        value,
                        given,
                        &format!("{inner}[{index}]"),
                        &inner,
                        found,
                    );
                }
            }
            (List(item), lone) => check_value(item, lone, given, &inner, path, found),
            (Any | Type::Map(_), _) => check_value(kind, value, given, &inner, path, found),
            (_, Value::Array(_)) => {
                found.push(unknown(
                    given,
                    path,
                    "Proto field is not repeating, cannot start list.",
                ));
            }
            _ => check_value(kind, value, given, &inner, path, found),
        }
    }
}

/// Checks one value; `given` is the field's name as it was sent, `path` leads to the value, `parent` to its message.
fn check_value(
    kind: &Type,
    value: &Value,
    given: &str,
    path: &str,
    parent: &str,
    found: &mut Vec<(String, String)>,
) {
    if value.is_null() {
        return;
    }
    let type_name = match (kind, value) {
        (Any, _)
        | (Struct, Value::Object(_))
        | (Text, Value::String(_))
        | (Bool, Value::Bool(_)) => return,
        (Message(fields), Value::Object(object)) => {
            check_message(fields, object, path, found);
            return;
        }
        (Type::Map(item), Value::Object(object)) => {
            for (index, (key, value)) in object.iter().enumerate() {
                check_value(
                    item,
                    value,
                    key,
                    &format!("{path}[{index}].value"),
                    path,
                    found,
                );
            }
            return;
        }
        (Bytes, Value::String(given)) if is_base64(given) => return,
        (Int, Value::Number(number)) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => return,
        (Int, Value::String(given)) if given.parse::<i64>().is_ok() => return,
        (Float, Value::Number(_)) => return,
        (Float, Value::String(given)) if given.parse::<f64>().is_ok() => return,
        (Enum(_, names), Value::String(given))
            if names.iter().any(|name| name.eq_ignore_ascii_case(given)) =>
        {
            return;
        }
        (Enum(..), Value::Number(number)) if number.as_i64().is_some() => return,
        (Text | Bool | Int | Float | Bytes | Enum(..), Value::Object(_)) => {
            found.push(unknown(
                given,
                parent,
                "Proto field is not a message, cannot start object.",
            ));
            return;
        }
        (Text, _) => "TYPE_STRING",
        (Bytes, _) => {
            let shown = value.to_string();
            found.push((
                path.to_owned(),
                format!(
                    "Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {shown}"
                ),
            ));
            return;
        }
        (Bool, _) => "TYPE_BOOL",
        (Int, _) => "TYPE_INT32",
        (Float, _) => "TYPE_DOUBLE",
        (Enum(name, _), _) => name,
        (Struct, _) => "type.googleapis.com/google.protobuf.Struct",
        (Type::Map(_), _) => "Map",
        (Message(_) | List(_), _) => "message",
    };
    found.push((
        path.to_owned(),
        format!("Invalid value at '{path}' ({type_name}), {value}"),
    ));
}

fn is_base64(text: &str) -> bool {
    decode(text).is_some()
}

/// Decodes base64 of either alphabet, padded or not, as protobuf's JSON does.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    LENIENT.decode(standard).ok()
}
