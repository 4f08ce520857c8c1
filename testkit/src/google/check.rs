//! What Google refuses beyond the shape of the JSON: the order of turns, function calls
//! and their answers, thought signatures, schemas, thinking.

use serde_json::Value;

use super::error::GoogleError;
use super::media;
use super::model::{Kind, Model};
use super::proto::{decode, get, int, list, text};

/// Signatures that Google takes for calls that no model of its own made.
pub const SENTINELS: &[&str] = &[
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

/// What the bytes of every thought signature of the fake begin with.
pub const SIGNATURE_PREFIX: &str = "fake-google/thought/";

const CALL_AFTER_USER: &str = "Please ensure that function call turn comes immediately after a user turn or after a function response turn.";
const RESPONSE_AFTER_CALL: &str =
    "Please ensure that function response turn comes immediately after a function call turn.";
const RESPONSES_EQUAL_CALLS: &str = "Please ensure that the number of function response parts is equal to the number \
                                     of function call parts of the function call turn.";
const ENDS_WITH_USER: &str =
    "Please ensure that single turn requests end with a user role or a function response.";

/// Refuses what Google's models refuse in a `GenerateContentRequest` that is well-formed.
pub(super) fn generate(model: &Model, body: &Value) -> Result<(), GoogleError> {
    contents(body)?;
    tools(model, body)?;
    generation_config(model, body)?;
    media::check(model, body)?;
    turns(list(body, "contents"))?;
    if model.signs() {
        signatures(list(body, "contents"))?;
    }
    Ok(())
}

/// Contents, parts and roles: used by every method that takes contents.
pub(super) fn contents(body: &Value) -> Result<(), GoogleError> {
    const REQUEST: &str = "* GenerateContentRequest.contents";
    let contents = list(body, "contents");
    if contents.is_empty() {
        return Err(GoogleError::invalid(format!(
            "{REQUEST}: contents is not specified\n"
        )));
    }
    let mut wrong = String::new();
    for (i, content) in contents.iter().enumerate() {
        if !matches!(text(content, "role"), "" | "user" | "model") {
            return Err(GoogleError::invalid(
                "Please use a valid role: user, model.",
            ));
        }
        let parts = list(content, "parts");
        if parts.is_empty() {
            wrong.push_str(&format!(
                "{REQUEST}[{i}].parts: contents.parts must not be empty.\n"
            ));
        }
        for (j, part) in parts.iter().enumerate() {
            let at = format!("{REQUEST}[{i}].parts[{j}]");
            match PART_DATA
                .iter()
                .filter(|name| get(part, name).is_some())
                .count()
            {
                0 => wrong.push_str(&format!(
                    "{at}.data: required oneof field 'data' must have one initialized field\n"
                )),
                1 => {}
                _ => {
                    return Err(GoogleError::fields(&[(
                        format!("contents[{i}].parts[{j}]"),
                        format!(
                            "Invalid value at 'contents[{i}].parts[{j}]' (oneof), oneof field 'data' is already set."
                        ),
                    )]));
                }
            }
            for field in ["function_call", "function_response"] {
                if get(part, field).is_some_and(|call| text(call, "name").is_empty()) {
                    wrong.push_str(&format!("{at}.{field}.name: Name cannot be empty.\n"));
                }
            }
            if get(part, "inline_data").is_some_and(|blob| text(blob, "mime_type").is_empty()) {
                wrong.push_str(&format!("{at}.inline_data.mime_type: must not be empty.\n"));
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(GoogleError::invalid(wrong))
    }
}

/// The fields of a part of which exactly one is set.
const PART_DATA: &[&str] = &[
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
];

/// How many parts of a content carry this field.
pub(super) fn count(content: &Value, field: &str) -> usize {
    list(content, "parts")
        .iter()
        .filter(|part| get(part, field).is_some())
        .count()
}

fn turns(contents: &[Value]) -> Result<(), GoogleError> {
    for (i, content) in contents.iter().enumerate() {
        let calls = count(content, "function_call");
        let before = i.checked_sub(1).and_then(|i| contents.get(i));
        if calls > 0 {
            if before.is_none_or(|before| text(before, "role") == "model") {
                return Err(GoogleError::invalid(CALL_AFTER_USER));
            }
            match contents.get(i + 1) {
                None => return Err(GoogleError::invalid(ENDS_WITH_USER)),
                Some(after) if count(after, "function_response") != calls => {
                    return Err(GoogleError::invalid(RESPONSES_EQUAL_CALLS));
                }
                Some(_) => {}
            }
        }
        if count(content, "function_response") > 0
            && before.is_none_or(|before| count(before, "function_call") == 0)
        {
            return Err(GoogleError::invalid(RESPONSE_AFTER_CALL));
        }
    }
    Ok(())
}

/// Gemini 3: in the current turn, that is since the last thing the user said, the first
/// call of every step must carry a signature.
fn signatures(contents: &[Value]) -> Result<(), GoogleError> {
    let start = contents
        .iter()
        .rposition(|content| {
            text(content, "role") != "model" && count(content, "function_response") == 0
        })
        .unwrap_or(0);
    for (i, content) in contents.iter().enumerate().skip(start) {
        let Some(part) = list(content, "parts")
            .iter()
            .find(|part| get(part, "function_call").is_some())
        else {
            continue;
        };
        let signature = text(part, "thought_signature");
        if signature.is_empty() {
            let name = get(part, "function_call")
                .map(|call| text(call, "name"))
                .unwrap_or_default();
            return Err(GoogleError::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                 work correctly, and missing thought_signature may lead to degraded model performance. Additional \
                 data, function call `default_api:{name}` , position {}. Please refer to \
                 https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                i + 1
            )));
        }
        let ours = || {
            decode(signature).is_some_and(|bytes| bytes.starts_with(SIGNATURE_PREFIX.as_bytes()))
        };
        if !SENTINELS.contains(&signature) && !ours() {
            return Err(GoogleError::invalid("Corrupted thought signature."));
        }
    }
    Ok(())
}

fn tools(model: &Model, body: &Value) -> Result<(), GoogleError> {
    let tools = list(body, "tools");
    let mut wrong = String::new();
    let mut names: Vec<&str> = Vec::new();
    for (i, tool) in tools.iter().enumerate() {
        for (j, declaration) in list(tool, "function_declarations").iter().enumerate() {
            let at = format!("* GenerateContentRequest.tools[{i}].function_declarations[{j}]");
            let name = text(declaration, "name");
            if !is_function_name(name) {
                wrong.push_str(&format!(
                    "{at}.name: [FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. \
                     Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with \
                     a maximum length of 64.\n"
                ));
            }
            if names.contains(&name) {
                return Err(GoogleError::invalid(format!(
                    "Duplicate function declaration found: {name}"
                )));
            }
            names.push(name);
            let parameters = get(declaration, "parameters");
            if let Some(parameters) = parameters {
                schema(parameters, &format!("{at}.parameters"), &mut wrong);
                if !model.takes_json_schema() {
                    let is_object = text(parameters, "type").eq_ignore_ascii_case("OBJECT");
                    if !is_object && get(parameters, "properties").is_none() {
                        wrong.push_str(&format!(
                            "{at}.parameters.properties: should be non-empty for OBJECT type\n"
                        ));
                    }
                    older_schema(parameters, &format!("{at}.parameters"), &mut wrong);
                }
            }
            match get(declaration, "parameters_json_schema") {
                Some(_) if !model.takes_json_schema() => return Err(no_json_schema(model)),
                Some(_) if parameters.is_some() => {
                    return Err(GoogleError::invalid(format!(
                        "{at}.parameters_json_schema: cannot be set together with parameters.\n"
                    )));
                }
                Some(schema) if !schema.is_object() => {
                    wrong.push_str(&format!(
                        "{at}.parameters_json_schema: must be a JSON Schema object.\n"
                    ));
                }
                _ => {}
            }
        }
    }
    if !wrong.is_empty() {
        return Err(GoogleError::invalid(wrong));
    }
    let config = get(body, "tool_config").and_then(|config| get(config, "function_calling_config"));
    if names.is_empty() && config.is_some() {
        return Err(GoogleError::invalid(
            "Function calling config is set without function_declarations.",
        ));
    }
    for allowed in config
        .map(|config| list(config, "allowed_function_names"))
        .unwrap_or_default()
    {
        if allowed
            .as_str()
            .is_none_or(|allowed| !names.contains(&allowed))
        {
            return Err(GoogleError::invalid(format!(
                "Function calling config contains an allowed function name that is not declared: {allowed}"
            )));
        }
    }
    if !model.signs() && !names.is_empty() {
        if tools
            .iter()
            .any(|tool| get(tool, "google_search").is_some() || get(tool, "url_context").is_some())
        {
            return Err(GoogleError::invalid(
                "Tool use with function calling is unsupported",
            ));
        }
        let config = get(body, "generation_config");
        if config.is_some_and(|config| text(config, "response_mime_type") == "application/json") {
            return Err(GoogleError::invalid(
                "Function calling with a response mime type: 'application/json' is unsupported",
            ));
        }
    } else if !model.signs() && !tools.is_empty() {
        let config = get(body, "generation_config");
        if config.is_some_and(|config| text(config, "response_mime_type") == "application/json") {
            return Err(GoogleError::invalid(
                "Tool use with a response mime type: 'application/json' is unsupported",
            ));
        }
    }
    Ok(())
}

/// Google's words for it are not published; these are like those for what else a model lacks.
fn no_json_schema(model: &Model) -> GoogleError {
    GoogleError::invalid(format!(
        "JSON Schema is not enabled for models/{}",
        model.id
    ))
}

/// What Vertex AI's express mode asks for beyond the Gemini API.
pub(super) fn express(action: &str, body: &Value) -> Result<(), GoogleError> {
    if action == "predict" {
        let instances = list(body, "instances");
        let [instance] = instances else {
            return Err(GoogleError::invalid(
                "Only one instance is supported for this model.",
            ));
        };
        return match text(instance, "content") {
            "" => Err(GoogleError::invalid("The text content is empty.")),
            _ => Ok(()),
        };
    }
    if let Some(at) = choice_with_company(body) {
        return Err(GoogleError::invalid(format!(
            "Unable to submit request because `{at}` schema specified other fields alongside any_of. When using any_of, \
             it must be the only field set."
        )));
    }
    let has_role = |turn: &Value| matches!(text(turn, "role"), "user" | "model");
    match list(body, "contents").iter().all(has_role) {
        true => Ok(()),
        false => Err(GoogleError::invalid(
            "Please use a valid role: user, model.",
        )),
    }
}

/// Where a schema has `any_of` and something else.
fn choice_with_company(value: &Value) -> Option<String> {
    fn within(schema: &Value, at: &str) -> Option<String> {
        let fields = schema.as_object()?;
        if get(schema, "any_of").is_some() && fields.len() > 1 {
            return Some(at.to_owned());
        }
        let properties = get(schema, "properties").and_then(Value::as_object);
        let mut inner: Vec<(String, &Value)> = Vec::new();
        for (name, schema) in properties.into_iter().flatten() {
            inner.push((format!("{at}.{name}"), schema));
        }
        inner.extend(get(schema, "items").map(|items| (format!("{at}.items"), items)));
        let choices = list(schema, "any_of").iter();
        inner.extend(choices.map(|one| (format!("{at}.any_of"), one)));
        inner.iter().find_map(|(at, schema)| within(schema, at))
    }
    let declarations = list(value, "tools")
        .iter()
        .flat_map(|tool| list(tool, "function_declarations"))
        .filter_map(|one| get(one, "parameters"));
    let config = get(value, "generation_config");
    let response = config.and_then(|config| get(config, "response_schema"));
    declarations
        .chain(response)
        .find_map(|schema| within(schema, "parameters"))
}

fn is_function_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
}

/// Google's rules for its own dialect of schemas, after the names of the fields were found to be known.
fn schema(schema: &Value, at: &str, wrong: &mut String) {
    let kind = text(schema, "type").to_ascii_uppercase();
    if kind == "ARRAY" && get(schema, "items").is_none() {
        wrong.push_str(&format!("{at}.items: missing field.\n"));
    }
    if get(schema, "enum").is_some() && !matches!(kind.as_str(), "STRING" | "") {
        wrong.push_str(&format!("{at}.enum: only allowed for STRING type\n"));
    }
    let properties = get(schema, "properties").and_then(Value::as_object);
    if let Some(properties) = properties {
        if kind != "OBJECT" {
            wrong.push_str(&format!("{at}.properties: only allowed for OBJECT type\n"));
        }
        for (name, inner) in properties {
            self::schema(inner, &format!("{at}.properties[{name}]"), wrong);
        }
    }
    for (i, name) in list(schema, "required").iter().enumerate() {
        let known = name
            .as_str()
            .is_some_and(|name| properties.is_some_and(|all| all.contains_key(name)));
        if !known {
            wrong.push_str(&format!("{at}.required[{i}]: property is not defined\n"));
        }
    }
    if let Some(items) = get(schema, "items") {
        self::schema(items, &format!("{at}.items"), wrong);
    }
    for (i, one) in list(schema, "any_of").iter().enumerate() {
        self::schema(one, &format!("{at}.any_of[{i}]"), wrong);
    }
}

/// What only the older models ask for.
fn older_schema(schema: &Value, at: &str, wrong: &mut String) {
    let kind = text(schema, "type").to_ascii_uppercase();
    if kind.is_empty() && get(schema, "any_of").is_none() {
        wrong.push_str(&format!("{at}.type: must be specified.\n"));
    }
    let formats: &[&str] = match &*kind {
        "STRING" => &["enum", "date-time"],
        "NUMBER" => &["float", "double"],
        "INTEGER" => &["int32", "int64"],
        _ => &[],
    };
    let format = text(schema, "format");
    if !format.is_empty() && !formats.contains(&format) {
        let known: Vec<String> = formats.iter().map(|known| format!("'{known}'")).collect();
        wrong.push_str(&format!(
            "{at}.format: only {} are supported for {kind} type\n",
            known.join(" and ")
        ));
    }
    for (i, value) in list(schema, "enum").iter().enumerate() {
        if value == "" {
            wrong.push_str(&format!("{at}.enum[{i}]: cannot be empty\n"));
        }
    }
    let properties = get(schema, "properties").and_then(Value::as_object);
    let is_empty = properties.is_none_or(serde_json::Map::is_empty);
    if is_empty && (kind == "OBJECT" || properties.is_some()) {
        wrong.push_str(&format!(
            "{at}.properties: should be non-empty for OBJECT type\n"
        ));
    }
    for (name, inner) in properties.into_iter().flatten() {
        older_schema(inner, &format!("{at}.properties[{name}]"), wrong);
    }
    if let Some(items) = get(schema, "items") {
        older_schema(items, &format!("{at}.items"), wrong);
    }
    for (i, one) in list(schema, "any_of").iter().enumerate() {
        older_schema(one, &format!("{at}.any_of[{i}]"), wrong);
    }
}

fn generation_config(model: &Model, body: &Value) -> Result<(), GoogleError> {
    let Some(config) = get(body, "generation_config") else {
        return Ok(());
    };
    let invalid = |message: String| Err(GoogleError::invalid(message));
    let mut wrong = String::new();
    let at = "* GenerateContentRequest.generation_config";
    if let Some(response) = get(config, "response_schema") {
        schema(response, &format!("{at}.response_schema"), &mut wrong);
        if !model.takes_json_schema() {
            older_schema(response, &format!("{at}.response_schema"), &mut wrong);
        }
    }
    let json_schema = ["response_json_schema", "_response_json_schema"];
    if !model.takes_json_schema() && json_schema.iter().any(|name| get(config, name).is_some()) {
        return Err(no_json_schema(model));
    }
    let number = |name: &str| get(config, name).and_then(Value::as_f64);
    if number("temperature").is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        wrong.push_str(&format!(
            "{at}.temperature: temperature must be in the range [0.0, 2.0].\n"
        ));
    }
    if number("top_p").is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        wrong.push_str(&format!(
            "{at}.top_p: top_p must be in the range [0.0, 1.0].\n"
        ));
    }
    if int(config, "max_output_tokens").is_some_and(|n| n < 0) {
        wrong.push_str(&format!(
            "{at}.max_output_tokens: max_output_tokens must be positive.\n"
        ));
    }
    for name in ["presence_penalty", "frequency_penalty"] {
        if number(name).is_some_and(|penalty| !(-2.0..2.0).contains(&penalty)) {
            wrong.push_str(&format!(
                "{at}.{name}: {name} must be in the range [-2.0, 2.0).\n"
            ));
        }
    }
    if number("top_k").is_some_and(|k| k <= 0.0) {
        wrong.push_str(&format!("{at}.top_k: top_k must be positive.\n"));
    }
    if list(config, "stop_sequences").len() > 5 {
        wrong.push_str(&format!(
            "{at}.stop_sequences: must have at most 5 elements.\n"
        ));
    }
    if !wrong.is_empty() {
        return invalid(wrong);
    }
    let most = i64::try_from(model.output_tokens).unwrap_or(i64::MAX);
    if let Some(given) = int(config, "max_output_tokens").filter(|given| *given > most) {
        return invalid(format!(
            "Unable to submit request because it has a maxOutputTokens value of {given} but the supported range is \
             from 1 (inclusive) to {} (exclusive). Update the value and try again.",
            most + 1
        ));
    }
    if int(config, "candidate_count").is_some_and(|n| n > 1) {
        return invalid("Multiple candidates is not enabled for this model".to_owned());
    }
    let has_schema = [
        "response_schema",
        "response_json_schema",
        "_response_json_schema",
    ]
    .iter()
    .any(|name| get(config, name).is_some());
    let mime = text(config, "response_mime_type");
    if has_schema && !matches!(mime, "application/json" | "text/x.enum") {
        return invalid(format!(
            "{at}.response_mime_type: response_schema is only allowed with response_mime_type `application/json`.\n"
        ));
    }
    if !matches!(mime, "" | "text/plain" | "application/json" | "text/x.enum") {
        return invalid(format!(
            "{at}.response_mime_type: allowed mimetypes are `text/plain`, `application/json`.\n"
        ));
    }
    match get(config, "thinking_config") {
        Some(thinking) => thinking_config(model, thinking),
        None => Ok(()),
    }
}

fn thinking_config(model: &Model, thinking: &Value) -> Result<(), GoogleError> {
    let invalid = |message: String| Err(GoogleError::invalid(message));
    let (budget, level) = (
        int(thinking, "thinking_budget"),
        text(thinking, "thinking_level"),
    );
    if budget.is_some() && !level.is_empty() {
        return invalid(
            "You can only set only one of thinking budget and thinking level.".to_owned(),
        );
    }
    match model.kind {
        Kind::Plain | Kind::Embedding | Kind::Speech
            if budget.is_some_and(|n| n != 0) || !level.is_empty() =>
        {
            invalid("Thinking is not enabled for this model".to_owned())
        }
        Kind::Budget { .. } | Kind::Image if !level.is_empty() => {
            invalid("Thinking level is not supported for this model.".to_owned())
        }
        Kind::Budget {
            least,
            most,
            can_stop,
        } => match budget {
            Some(0) if !can_stop => {
                invalid("Budget 0 is invalid. This model only works in thinking mode.".to_owned())
            }
            Some(n) if n < -1 || n > most || (n > 0 && n < least) => invalid(format!(
                "The thinking budget ({n}) is invalid. Please choose a value between {least} and {most}."
            )),
            _ => Ok(()),
        },
        // gemini-3.8-flash gave up `minimal`; the Pro models never had it.
        Kind::Level
            if level.eq_ignore_ascii_case("minimal")
                && (model.id.contains("3.8")
                    || model.id.contains("3.7")
                    || model.id.contains("-pro")) =>
        {
            invalid("Thinking level MINIMAL is not supported for this model.".to_owned())
        }
        _ => Ok(()),
    }
}
