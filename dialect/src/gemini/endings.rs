//! What the endings of a model's name ask for, put into a body of Google's own protocol. Such
//! bodies otherwise pass untouched; here the client asked for the change by the name it used.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::fields::{Fields, fields, find, set, written};
use super::needs_signatures;
use crate::model_map::Endings;

/// The body with what the endings ask for, where it does not say it itself. `None` when there is
/// nothing to change, or it is no object: Google says what is wrong with it.
pub fn with_endings(body: &[u8], model: &str, endings: Endings) -> Option<Vec<u8>> {
    let mut fields = fields(body)?;
    let mut changed = false;
    if endings.search {
        changed |= search(&mut fields, model);
    }
    let thinking = endings.thinking.and_then(|amount| amount.config(model));
    if let Some(config) = thinking {
        changed |= think(&mut fields, &to_raw_value(&config).ok()?);
    }
    changed.then(|| written(&fields))
}

/// Adds the search, unless it is there or the model does not take it beside functions.
fn search(fields: &mut Fields, model: &str) -> bool {
    let tools = find(fields, ["tools", "tools"]);
    let mut list: Vec<Box<RawValue>> =
        match tools.map(|at| serde_json::from_str(fields[at].1.get())) {
            None => Vec::new(),
            Some(Ok(list)) => list,
            Some(Err(_)) => return false,
        };
    let has = |names: [&str; 2]| {
        list.iter().any(|tool| {
            let tool: Map<String, Value> = serde_json::from_str(tool.get()).unwrap_or_default();
            names.iter().any(|name| tool.contains_key(*name))
        })
    };
    let is_there = has(["googleSearch", "google_search"]);
    let functions = has(["functionDeclarations", "function_declarations"]);
    if is_there || (functions && !needs_signatures(model)) {
        return false;
    }
    let Ok(tool) = to_raw_value(&json!({"googleSearch": {}})) else {
        return false;
    };
    list.push(tool);
    set(fields, ["tools", "tools"], &list)
}

/// Sets how much to think, unless the body says it.
fn think(fields: &mut Fields, config: &RawValue) -> bool {
    const NAMES: [&str; 2] = ["generationConfig", "generation_config"];
    const THINKING: [&str; 2] = ["thinkingConfig", "thinking_config"];
    let mut own: Fields = match find(fields, NAMES) {
        None => Vec::new(),
        Some(at) => match super::fields::fields(fields[at].1.get().as_bytes()) {
            Some(own) => own,
            None => return false,
        },
    };
    if find(&own, THINKING).is_some() {
        return false;
    }
    own.push((THINKING[0].to_owned(), config.to_owned()));
    let Ok(own) = RawValue::from_string(String::from_utf8_lossy(&written(&own)).into_owned())
    else {
        return false;
    };
    set(fields, NAMES, &own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelMap;

    fn edited(name: &str, body: &str) -> Option<String> {
        let named = ModelMap::new([]).read(name).unwrap();
        let body = with_endings(body.as_bytes(), &named.model, named.endings)?;
        Some(String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_what_the_name_asks_for_is_added() {
        for (name, body, expected) in [
            (
                "gemini-2.5-flash-search",
                r#"{"x": 1.10, "contents": []}"#,
                Some(r#"{"x":1.10,"contents":[],"tools":[{"googleSearch":{}}]}"#),
            ),
            (
                "gemini-2.5-flash-nothinking",
                r#"{"generation_config":{"temperature":1.0}}"#,
                Some(
                    r#"{"generation_config":{"temperature":1.0,"thinkingConfig":{"thinkingBudget":0}}}"#,
                ),
            ),
            (
                "gemini-3.8-flash-high-search",
                r#"{"tools":[{"functionDeclarations":[]}]}"#,
                Some(
                    r#"{"tools":[{"functionDeclarations":[]},{"googleSearch":{}}],"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"high"}}}"#,
                ),
            ),
            // Said already, not possible, or no object.
            (
                "gemini-2.5-flash-search",
                r#"{"tools":[{"google_search":{}}]}"#,
                None,
            ),
            (
                "gemini-2.5-flash-search",
                r#"{"tools":[{"function_declarations":[]}]}"#,
                None,
            ),
            (
                "gemini-2.5-flash-low",
                r#"{"generationConfig":{"thinkingConfig":{}}}"#,
                None,
            ),
            ("gemini-2.5-flash-low", "[]", None),
            ("gemini-2.5-flash", "{}", None),
        ] {
            assert_eq!(edited(name, body).as_deref(), expected, "{name} {body}");
        }
    }
}
