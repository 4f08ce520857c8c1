//! The values that a schema names: `const` and `enum`. Google knows an `enum` of texts.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::made::Made;
use super::{LONGEST_NOTE, Schema, types};

/// Named values of one type.
pub(super) struct Values(Vec<Value>);

impl Values {
    /// Takes the values out of a schema that names some.
    pub fn take(flat: &mut Schema) -> Option<Self> {
        match flat.remove("enum") {
            Some(Value::Array(values)) if !values.is_empty() => Some(Self(values)),
            _ => None,
        }
    }

    /// Their type; `declared` is what the schema says.
    pub fn kind(&self, declared: Option<&str>) -> String {
        let own = self.0.first().map_or("string", kind_of);
        match (declared, own) {
            // Values that are no texts, where texts are wanted: they are meant as such.
            (Some("string"), "integer" | "number" | "boolean") => "string",
            (Some("number"), "integer") => "number",
            // A group of numbers is whole only when each is.
            (_, "integer") if self.0.iter().any(|value| kind_of(value) == "number") => "number",
            (_, own) => own,
        }
        .to_owned()
    }

    pub fn write(self, made: &mut Made) {
        let kind = made.schema.get("type").and_then(Value::as_str);
        match kind.unwrap_or_default() {
            "STRING" => {
                let mut texts: Vec<Value> = Vec::with_capacity(self.0.len());
                let mut known = HashSet::with_capacity(self.0.len());
                for value in self.0 {
                    let text = match value {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    // Google refuses an empty one.
                    if !text.is_empty() && known.insert(text.clone()) {
                        texts.push(Value::String(text));
                    }
                }
                match texts.is_empty() {
                    true => made.set("maxLength", 0.into()),
                    false => made.set("enum", texts.into()),
                }
            }
            "NUMBER" | "INTEGER" => {
                let by = |a: &&Value, b: &&Value| {
                    let [a, b] = [a, b].map(|value| value.as_f64().unwrap_or_default());
                    a.total_cmp(&b)
                };
                if let (Some(least), Some(most)) =
                    (self.0.iter().min_by(by), self.0.iter().max_by(by))
                {
                    made.set("minimum", least.clone());
                    made.set("maximum", most.clone());
                }
                self.tell(made);
            }
            "BOOLEAN" if self.0.len() > 1 => {}
            "NULL" => {}
            _ => self.tell(made),
        }
    }

    /// As text.
    fn tell(&self, made: &mut Made) {
        let all: Vec<String> = self.0.iter().map(Value::to_string).collect();
        let text = match &*all {
            [one] => format!("(always {one})"),
            all => format!("(one of: {})", all.join(", ")),
        };
        if text.len() <= LONGEST_NOTE {
            made.notes.push(text);
        }
    }
}

/// The type of a value as JSON Schema writes it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() && n.as_f64().is_none_or(|n| n.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a value is of the type that a schema of Google's says, and among the values it names.
pub(super) fn is_of(value: &Value, made: &Schema) -> bool {
    let kind = made.get("type").and_then(Value::as_str).unwrap_or_default();
    let values = made.get("enum").and_then(Value::as_array);
    match (kind_of(value), kind) {
        ("null", _) => made.get("nullable") == Some(&Value::Bool(true)),
        ("integer", "NUMBER") => true,
        ("string", "STRING") => values.is_none_or(|values| values.contains(value)),
        (own, kind) => own.eq_ignore_ascii_case(kind),
    }
}

/// Named values of several types as a choice among groups of one type; `None` when they are of
/// one. Those of types that the schema does not allow are left out, unless nothing would be left.
pub(super) fn grouped(flat: &Schema) -> Option<Vec<Value>> {
    let values = flat.get("enum")?.as_array()?;
    let allowed = types(flat);
    let group = |value: &Value| match kind_of(value) {
        "integer" => "number",
        other => other,
    };
    let fits = |value: &&Value| {
        let is = |kind: &str| allowed.iter().any(|allowed| allowed == kind);
        allowed.is_empty() || is(group(value)) || is(kind_of(value))
    };
    let mut fitting: Vec<&Value> = values.iter().filter(fits).collect();
    if fitting.is_empty() {
        // Numbers for a text, say: `Values::kind` sees to it.
        if allowed.len() == 1 {
            return None;
        }
        fitting = values.iter().collect();
    }
    let mut groups: Vec<(&str, Vec<Value>)> = Vec::new();
    for value in &fitting {
        let kind = group(value);
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, all)) => all.push((*value).clone()),
            None => groups.push((kind, vec![(*value).clone()])),
        }
    }
    let is_one = groups.len() < 2 && fitting.len() == values.len();
    (!is_one).then(|| {
        let schema = |(_, values): (&str, Vec<Value>)| json!({ "enum": values });
        groups.into_iter().map(schema).collect()
    })
}
