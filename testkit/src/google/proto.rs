//! The request messages of the Gemini API as protobuf sees them, and the complaints of
//! Google's JSON parser about anything else.
//!
//! Protobuf's JSON takes a field by its own name (`system_instruction`) or in camel case
//! (`systemInstruction`), takes numbers as strings, takes one value for a list, and
//! ignores `null`. It refuses names it does not know, which is how a gateway that leaks a
//! field of its own is found out.

use serde_json::{Map, Value};

use super::kept_messages as kept;
use super::messages::{self, Field, Type};
use Type::{Any, Bool, Bytes, Enum, Float, Int, List, Message, String as Text, Struct};

/// What is wrong with a body for this method: each a path and a description. The path is
/// in protobuf's own names, as Google gives it.
pub(super) fn violations(action: &str, body: &Map<String, Value>) -> Vec<(String, String)> {
    let message: &[Field] = match action {
        "countTokens" => &messages::COUNT,
        "embedContent" => &messages::EMBED,
        "batchEmbedContents" => &messages::BATCH_EMBED,
        "files.create" => &kept::CREATE_FILE,
        "predict" | "predictLongRunning" => &kept::PREDICT,
        "batchGenerateContent" => &kept::BATCH,
        "asyncBatchEmbedContent" => &kept::EMBED_BATCH,
        "cachedContents.create" => &kept::CACHED_CONTENT,
        _ => &messages::GENERATE,
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
