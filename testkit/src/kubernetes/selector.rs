//! Label and field selectors, as queries write them and as objects do.

use serde_json::Value;

use super::resource::Kind;
use super::status::Failure;

/// Which objects of a collection are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let label = |key: &str| labels.get(key).and_then(Value::as_str);
        match self {
            Self::In(key, values) => label(key).is_some_and(|is| values.iter().any(|v| v == is)),
            Self::NotIn(key, values) => label(key).is_none_or(|is| values.iter().all(|v| v != is)),
            Self::Exists(key) => label(key).is_some(),
            Self::Missing(key) => label(key).is_none(),
        }
    }
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// When one cannot be read, or names a field that is not selectable.
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Failure> {
        let unreadable = || {
            Failure::bad_request(format!(
                "unable to parse requirement: found '{labels}', expected: identifier"
            ))
        };
        let labels = split(labels)
            .into_iter()
            .map(|part| requirement(&part).ok_or_else(unreadable))
            .collect::<Result<_, _>>()?;
        let mut wanted = Vec::new();
        for part in fields.split(',').filter(|part| !part.trim().is_empty()) {
            let found = [("!=", false), ("==", true), ("=", true)]
                .into_iter()
                .find_map(|(sign, equal)| Some((part.split_once(sign)?, equal)));
            let Some(((field, value), equal)) = found else {
                return Err(Failure::bad_request(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                )));
            };
            if !is_selectable(kind, field) {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            wanted.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self {
            labels,
            fields: wanted,
        })
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.holds(&object["metadata"]["labels"]))
            && self.fields.iter().all(|(field, equal, value)| {
                let mut at = object;
                for part in field.split('.') {
                    at = &at[part];
                }
                let is = match at {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                (is == *value) == *equal
            })
    }
}

fn is_selectable(kind: &Kind, field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
        || match kind.plural {
            "pods" => matches!(
                field,
                "spec.nodeName" | "spec.restartPolicy" | "spec.serviceAccountName" | "status.phase"
            ),
            "events" => field.starts_with("involvedObject.") || matches!(field, "reason" | "type"),
            "secrets" => field == "type",
            "replicasets" => field == "status.replicas",
            "namespaces" => field == "status.phase",
            _ => false,
        }
}

/// Splits at commas that are not within parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let part = part.trim();
    let identifier = |text: &str| {
        let text = text.trim();
        let fits = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'));
        fits.then(|| text.to_owned())
    };
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement::Missing(identifier(key)?));
    }
    let set = |sign: &str| {
        let (key, values) = part.split_once(sign)?;
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        Some((identifier(key)?, values))
    };
    if let Some((key, values)) = set(" notin ") {
        return Some(Requirement::NotIn(key, values));
    }
    if let Some((key, values)) = set(" in ") {
        return Some(Requirement::In(key, values));
    }
    for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(sign) {
            let (key, values) = (identifier(key)?, vec![value.trim().to_owned()]);
            return Some(if equal {
                Requirement::In(key, values)
            } else {
                Requirement::NotIn(key, values)
            });
        }
    }
    Some(Requirement::Exists(identifier(part)?))
}

/// Whether an object's own selector (`matchLabels` and `matchExpressions`, or a plain map)
/// selects these labels. One that is empty selects nothing here: no workload may have it.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
    let equal = if plain {
        selector
    } else {
        &selector["matchLabels"]
    };
    let expressions = selector["matchExpressions"].as_array();
    let none = equal.as_object().is_none_or(serde_json::Map::is_empty)
        && expressions.is_none_or(Vec::is_empty);
    !none
        && equal.as_object().is_none_or(|map| {
            map.iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        })
        && expressions.is_none_or(|all| all.iter().all(|one| expression(one, labels)))
}

fn expression(one: &Value, labels: &Value) -> bool {
    let key = one["key"].as_str().unwrap_or_default().to_owned();
    let values = one["values"]
        .as_array()
        .map(|all| {
            all.iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    match one["operator"].as_str() {
        Some("In") => Requirement::In(key, values),
        Some("NotIn") => Requirement::NotIn(key, values),
        Some("Exists") => Requirement::Exists(key),
        Some("DoesNotExist") => Requirement::Missing(key),
        _ => return false,
    }
    .holds(labels)
}
