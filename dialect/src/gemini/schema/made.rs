//! A schema of Google's, keyword by keyword.

use serde_json::Value;

use super::{Schema, flat};

/// A schema of Google's as it is written.
pub(super) struct Made {
    pub schema: Schema,
    /// What has no keyword, as text.
    pub notes: Vec<String>,
}

impl Made {
    pub fn set(&mut self, key: &str, value: Value) {
        self.schema.insert(key.to_owned(), value);
    }

    pub fn copy(&mut self, from: &Schema, key: &str, fits: impl Fn(&Value) -> bool) {
        if let Some(value) = from.get(key).filter(|value| fits(value)) {
            self.set(key, value.clone());
        }
    }

    /// A number of something.
    pub fn count(&mut self, from: &Schema, key: &str) {
        let given = from.get(key).and_then(Value::as_f64);
        // Also 3.0 is a number of something.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole, not negative and small"
        )]
        if let Some(n) = given.filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n)) {
            self.set(key, (n as u64).into());
        }
    }

    pub fn string(&mut self, flat: &Schema) {
        self.format(flat, &["date-time", "enum"]);
        self.count(flat, "minLength");
        self.count(flat, "maxLength");
        self.copy(flat, "pattern", Value::is_string);
    }

    pub fn number(&mut self, flat: &Schema, kind: &str) {
        match kind {
            "integer" => self.format(flat, &["int32", "int64"]),
            _ => self.format(flat, &["float", "double"]),
        }
        for (bound, exclusive, step) in [
            ("minimum", "exclusiveMinimum", 1),
            ("maximum", "exclusiveMaximum", -1),
        ] {
            self.copy(flat, bound, Value::is_number);
            // In draft 4 a word about the other bound; since then a bound of its own.
            let Some(beyond) = flat.get(exclusive).filter(|beyond| beyond.is_number()) else {
                continue;
            };
            let tight = match beyond.as_i64().and_then(|n| n.checked_add(step)) {
                Some(next) if kind == "integer" => next.into(),
                _ => beyond.clone(),
            };
            let known = self.schema.get(bound).cloned();
            self.set(bound, flat::tighter(bound, known, tight));
        }
    }

    /// The format, as text where Google refuses it.
    fn format(&mut self, flat: &Schema, known: &[&str]) {
        let Some(format) = flat.get("format").and_then(Value::as_str) else {
            return;
        };
        match known.contains(&format) {
            true => self.set("format", format.into()),
            false if format.is_empty() => {}
            false => self.notes.push(format!("(format: {format})")),
        }
    }

    /// With the description, which stands right behind the type.
    pub fn finish(self, description: &str) -> Schema {
        let mut text = description.to_owned();
        for note in &self.notes {
            // Also a schema of ours that is converted again says it once.
            if !text.contains(&**note) {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(note);
            }
        }
        if text.is_empty() {
            return self.schema;
        }
        let mut all = Schema::new();
        for (at, (key, value)) in self.schema.into_iter().enumerate() {
            all.insert(key, value);
            if at == 0 {
                all.insert("description".to_owned(), text.clone().into());
            }
        }
        all
    }
}
