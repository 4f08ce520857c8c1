//! Google's resources by name: what a body refers to that belongs to one project, and what an
//! answer says was made.
//!
//! Names are paths (<https://google.aip.dev/122>): `files/abc`, `cachedContents/abc`,
//! `models/veo-3.1/operations/abc`. Bodies have them bare or as an address
//! (`https://generativelanguage.googleapis.com/v1beta/files/abc`).

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};

/// The collections whose members belong to the project of the key that made them.
pub const COLLECTIONS: [&str; 8] = [
    "batches",
    "cachedContents",
    "corpora",
    "fileSearchStores",
    "files",
    "interactions",
    "operations",
    "tunedModels",
];
/// The longest name that is taken for one, in bytes; Google's are shorter.
const LONGEST: usize = 300;
/// The most names that are read of one body.
const MOST: usize = 1_000;

/// Fields of a request that refer to a resource, in the two spellings that Google takes.
const REFERENCES: [&str; 12] = [
    "cachedContent",
    "cached_content",
    "fileName",
    "file_name",
    "fileSearchStoreNames",
    "file_search_store_names",
    "fileUri",
    "file_uri",
    "name",
    "uri",
    "previousInteractionId",
    "previous_interaction_id",
];
/// Fields of an answer that say the name of a resource.
const RESULTS: [&str; 8] = [
    "documentName",
    "fileName",
    "fileUri",
    "name",
    "output",
    "responsesFile",
    "uri",
    "downloadUri",
];
/// Fields below which all is the client's or the model's own.
const FOREIGN: [&str; 14] = [
    "args",
    "arguments",
    "data",
    "functionDeclarations",
    "function_declarations",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "responseSchema",
    "response_schema",
    "result",
    "text",
    "thoughtSignature",
];

/// The names of resources that a request's body refers to, each once.
///
/// Most bodies refer to none, which is found out without reading them as JSON.
///
/// # Errors
/// When it may refer to one and is no JSON: Google's reader takes more than that, so what it would
/// read is not known here.
pub fn references(body: &[u8]) -> serde_json::Result<Vec<String>> {
    match may_refer(body) {
        true => read(body, &REFERENCES, &FOREIGN),
        false => Ok(Vec::new()),
    }
}

/// Whether there is a sign of a name in a body, however it is written.
fn may_refer(body: &[u8]) -> bool {
    const SIGNS: [&[u8]; 8] = [
        b"files/",
        b"cachedContents/",
        b"fileSearchStores/",
        // As PHP writes it.
        b"files\\/",
        b"cachedContents\\/",
        b"fileSearchStores\\/",
        b"revious_interaction_id",
        b"reviousInteractionId",
    ];
    // Letters that need no escape.
    let is_escaped = |at: usize| matches!(body.get(at + 4), Some(b'2' | b'4'..=b'7'));
    SIGNS.iter().any(|sign| memmem::find(body, sign).is_some())
        || memmem::find_iter(body, b"\\u00").any(is_escaped)
}

/// The names of resources that an answer about one tells, its own among them, each once. Empty for
/// what is no JSON.
pub fn results(body: &[u8]) -> Vec<String> {
    read(body, &RESULTS, &["text", "data", "bytesBase64Encoded"]).unwrap_or_default()
}

/// The name of what was made, by the answer to that: its own, or that of the file in it.
pub fn created(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Made<'a> {
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        file: Option<Named<'a>>,
    }
    let made: Made<'_> = serde_json::from_slice(answer).ok()?;
    let name = made.name.or(made.file.and_then(|file| file.name))?;
    resource_name(&name).map(str::to_owned)
}

/// The name that a text is, bare or as an address, without a verb, a query, or a fragment.
///
/// ```
/// let uri = "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media";
/// assert_eq!(dialect::gemini::resource_name(uri), Some("files/abc"));
/// assert_eq!(dialect::gemini::resource_name("models/gemini-2.5-flash"), None);
/// ```
pub fn resource_name(text: &str) -> Option<&str> {
    let path = match text.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") =>
        {
            let (_, path) = rest.split_once('/')?;
            let path = path.trim_start_matches('/');
            let path = path.strip_prefix("download/").unwrap_or(path);
            let (version, path) = path.split_once('/')?;
            version.starts_with("v1").then_some(path)?
        }
        Some(_) => return None,
        None => text,
    };
    let end = path.find([':', '?', '#']).unwrap_or(path.len());
    let name = path.get(..end)?;
    let mut segments = name.split('/');
    let collection = segments.next()?;
    let member = segments.next()?;
    let is_known = match collection {
        // A model is everybody's; what was begun with it is not.
        "models" => segments.next() == Some("operations") && segments.next().is_some(),
        _ => COLLECTIONS.contains(&collection),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    let is_name = is_known
        && !member.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(is_plain)
        && !name
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."));
    is_name.then_some(name)
}

fn read(body: &[u8], fields: &[&str], foreign: &[&str]) -> serde_json::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let walk = Walk {
        names: &mut names,
        fields,
        foreign,
        field: "",
    };
    walk.deserialize(&mut json)?;
    json.end()?;
    Ok(names)
}

/// Goes through JSON and takes the names out of it.
struct Walk<'a> {
    names: &'a mut Vec<String>,
    fields: &'a [&'a str],
    foreign: &'a [&'a str],
    /// The field whose value this is; empty where it may hold no name.
    field: &'a str,
}

impl Walk<'_> {
    fn take(&mut self, text: &str) {
        let name = match self.field {
            "" => return,
            "previousInteractionId" | "previous_interaction_id" => {
                Some(format!("interactions/{text}"))
            }
            _ => resource_name(text).map(str::to_owned),
        };
        if let Some(name) = name
            && self.names.len() < MOST
            && !self.names.contains(&name)
        {
            self.names.push(name);
        }
    }

    fn below<'b>(&'b mut self, field: &'b str) -> Walk<'b> {
        Walk {
            names: self.names,
            fields: self.fields,
            foreign: self.foreign,
            field,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        self.take(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let field = self.field;
        while list.next_element_seed(self.below(field))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            if self.foreign.contains(&&*name) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let known = self.fields.iter().find(|known| **known == name);
            let known = known.copied().unwrap_or_default();
            fields.next_value_seed(self.below(known))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_known_in_all_its_forms() {
        for (text, name) in [
            ("files/abc-1", Some("files/abc-1")),
            (
                "https://generativelanguage.googleapis.com/v1beta/files/abc",
                Some("files/abc"),
            ),
            (
                "https://generativelanguage.googleapis.com/download/v1beta/files/abc:download?alt=media",
                Some("files/abc"),
            ),
            (
                "http://127.0.0.1:8000/v1/cachedContents/x",
                Some("cachedContents/x"),
            ),
            (
                "models/veo-3.1-generate-preview/operations/a1",
                Some("models/veo-3.1-generate-preview/operations/a1"),
            ),
            (
                "fileSearchStores/s/documents/d",
                Some("fileSearchStores/s/documents/d"),
            ),
            ("models/gemini-2.5-flash", None),
            ("files/", None),
            ("files/../cachedContents", None),
            ("files/a/", None),
            ("files/a b", None),
            ("gs://bucket/files/abc", None),
            ("https://example.com/files/abc", None),
            ("https://youtu.be/abc", None),
            ("src/files/abc", None),
            ("", None),
        ] {
            assert_eq!(resource_name(text), name, "{text}");
        }
        assert_eq!(resource_name(&format!("files/{}", "a".repeat(400))), None);
    }

    #[test]
    fn a_request_refers_to_what_its_own_fields_name() {
        let body = json!({
            "cachedContent": "cachedContents/c",
            "systemInstruction": {"parts": [{"file_data": {"file_uri": "files/s"}}]},
            "contents": [{"role": "user", "parts": [
                {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=files/"}},
                {"text": "files/text"},
                {"functionCall": {"name": "read", "args": {"uri": "files/args"}}},
                {"functionResponse": {"name": "read", "response": {"uri": "files/response"}}},
            ]}],
            "tools": [
                {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/t"]}},
                {"functionDeclarations": [{"name": "files/declared"}]},
            ],
        });
        assert_eq!(
            references(body.to_string().as_bytes()).unwrap(),
            [
                "cachedContents/c",
                "files/s",
                "files/a",
                "fileSearchStores/t"
            ]
        );
        let interaction = json!({"previous_interaction_id": "v1_abc", "input": "files/x"});
        assert_eq!(
            references(interaction.to_string().as_bytes()).unwrap(),
            ["interactions/v1_abc"]
        );
        assert!(references(b"not JSON with files/abc").is_err());
        assert!(references(b"not JSON").unwrap().is_empty());
        for escaped in [r"files\/abc", r"\u0066iles/abc", r"file\u0073\u002fabc"] {
            let body = format!(r#"{{"fileUri":"{escaped}"}}"#);
            assert_eq!(
                references(body.as_bytes()).unwrap(),
                ["files/abc"],
                "{body}"
            );
        }
        assert!(references(br#"{"fileUri":"files/a","broken":"#).is_err());
        assert!(references(br#"{"fileUri":'files/a'}"#).is_err());
    }

    #[test]
    fn an_answer_tells_what_was_made() {
        for (answer, name) in [
            (
                r#"{"name":"cachedContents/c","metadata":{"name":"files/x"}}"#,
                Some("cachedContents/c"),
            ),
            (r#"{"file":{"name":"files/a"}}"#, Some("files/a")),
            (r#"{"metadata":{"name":"files/x"}}"#, None),
            ("", None),
        ] {
            assert_eq!(created(answer.as_bytes()).as_deref(), name, "{answer}");
        }
        let video = json!({
            "name": "models/veo-3/operations/o",
            "done": true,
            "response": {"generateVideoResponse": {"generatedSamples": [
                {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/v:download?alt=media"}},
            ]}},
        });
        assert_eq!(
            results(video.to_string().as_bytes()),
            ["models/veo-3/operations/o", "files/v"]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = (references(&body), results(&body));
        }
    }
}
