//! Objects of which a few fields are changed and the others stay as they were written, numbers
//! included, in their order.

use serde_json::value::{RawValue, to_raw_value};

/// The fields of an object.
pub type Fields = Vec<(String, Box<RawValue>)>;

/// The fields of a JSON object; `None` when it is none.
pub fn fields(body: &[u8]) -> Option<Fields> {
    struct InOrder(Fields);
    impl<'de> serde::Deserialize<'de> for InOrder {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Object;
            impl<'de> serde::de::Visitor<'de> for Object {
                type Value = Fields;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Fields, A::Error> {
                    let mut fields = Fields::new();
                    while let Some(field) = map.next_entry()? {
                        fields.push(field);
                    }
                    Ok(fields)
                }
            }
            deserializer.deserialize_map(Object).map(InOrder)
        }
    }
    serde_json::from_slice::<InOrder>(body)
        .ok()
        .map(|InOrder(fields)| fields)
}

/// Where a field is, in either of Google's spellings.
pub fn find(fields: &Fields, names: [&str; 2]) -> Option<usize> {
    fields
        .iter()
        .position(|(name, _)| names.contains(&name.as_str()))
}

/// Puts a field in the place of the one of either name, or at the end.
pub fn set<T: serde::Serialize + ?Sized>(fields: &mut Fields, names: [&str; 2], value: &T) -> bool {
    let Ok(value) = to_raw_value(value) else {
        return false;
    };
    match find(fields, names) {
        Some(at) => fields[at].1 = value,
        None => fields.push((names[0].to_owned(), value)),
    }
    true
}

/// The object as JSON.
pub fn written(fields: &Fields) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        crate::text::put_json(&mut out, &**name);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    out
}

/// Takes out a field of either name.
pub fn take(fields: &mut Fields, names: [&str; 2]) -> Option<Box<RawValue>> {
    let at = find(fields, names)?;
    Some(fields.remove(at).1)
}
