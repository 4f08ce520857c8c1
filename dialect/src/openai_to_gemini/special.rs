//! Tools whose calls are not told as calls of functions: what OpenAI's custom tools take is a text,
//! and the Responses API has names within names. Google gets a function for each.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gemini::image::ImageConfig;
use crate::gemini::response::FunctionCall;
use crate::names::Renamed;
use crate::openai::chat;
use crate::text::{Str, raw};

/// The functions whose calls are not simply `function_call`s of the name that Google knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Special {
    functions: Vec<Function>,
    /// Functions that Google knows by another name.
    pub renamed: Renamed,
    /// How images are to be drawn.
    pub images: ImageConfig,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    /// As it was declared.
    flat: String,
    name: String,
    namespace: Option<String>,
    /// It takes a text instead of JSON.
    custom: bool,
}

/// How a call is told to the client.
pub(super) struct Called<'a> {
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    pub given: Given<'a>,
}

/// What a call was given.
pub(super) enum Given<'a> {
    /// JSON.
    Arguments(Cow<'a, str>),
    /// The text for a custom tool.
    Input(String),
}

impl Special {
    /// Remembers that calls of the function `flat` are told as calls of another name, or with a
    /// text.
    pub fn remember(&mut self, flat: &str, (name, namespace): (&str, Option<&str>), custom: bool) {
        self.functions.push(Function {
            flat: flat.to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            custom,
        });
    }

    /// How a call of Google's is told.
    pub fn back<'a>(&'a self, call: &'a FunctionCall<'a>) -> Called<'a> {
        let flat = self.renamed.back(&call.name);
        let arguments = call.args();
        match self.functions.iter().find(|known| known.flat == flat) {
            None => Called {
                name: flat,
                namespace: None,
                given: Given::Arguments(arguments),
            },
            Some(function) => Called {
                name: &function.name,
                namespace: function.namespace.as_deref(),
                given: match function.custom {
                    true => Given::Input(input_of(arguments)),
                    false => Given::Arguments(arguments),
                },
            },
        }
    }
}

/// Whether Google has a tool like this one.
pub(super) fn is_google(kind: &str) -> bool {
    kind.starts_with("web_search")
        || matches!(
            kind,
            "google_search" | "url_context" | "code_interpreter" | "code_execution"
        )
}

/// The choice of one of the vendor's own tools becomes "no function": Google cannot be made to
/// use a tool of its own, only kept from using others.
pub(super) fn choice(choice: chat::ToolChoice<'_>) -> chat::ToolChoice<'_> {
    let is_own = match &choice {
        chat::ToolChoice::Mode(kind) => is_google(kind) || &**kind == "image_generation",
        chat::ToolChoice::Allowed { names, .. } => names.is_empty(),
        chat::ToolChoice::Function(_) => false,
    };
    match is_own {
        true => chat::ToolChoice::Mode("none".into()),
        false => choice,
    }
}

/// The function that stands for a custom tool.
pub(super) fn taking_text<'a>(
    name: Str<'a>,
    description: Option<Str<'a>>,
    format: Option<&chat::Grammar<'_>>,
) -> chat::Function<'a> {
    chat::Function {
        name,
        description: Some(described(description, format).into()),
        parameters: Some(takes_text()),
    }
}

/// A custom tool's description, which also has to say what Google has no field for.
fn described(description: Option<Str<'_>>, format: Option<&chat::Grammar<'_>>) -> String {
    let mut text = description.map_or_else(String::new, |text| text.to_string());
    let definition = format.and_then(|format| format.definition.as_deref());
    if let Some(definition) = definition {
        let syntax = format.and_then(|format| format.syntax.as_deref());
        let syntax = syntax.unwrap_or("grammar");
        text.push_str(&format!(
            "\n\nThe input must fit this {syntax} grammar:\n{definition}"
        ));
    }
    text
}

/// The parameters of a function that takes one text.
fn takes_text() -> &'static RawValue {
    const SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The input of the tool, exactly as it is to get it."}},"required":["input"]}"#;
    serde_json::from_str(SCHEMA).unwrap_or(RawValue::NULL)
}

/// The text for a custom tool. Arguments of another form are handed on as they are.
fn input_of(arguments: Cow<'_, str>) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input<'a> {
        #[serde(borrow)]
        input: Str<'a>,
    }
    match serde_json::from_str::<Input<'_>>(&arguments) {
        Ok(given) => given.input.to_string(),
        Err(_) => arguments.into_owned(),
    }
}

/// What a custom tool's text is as arguments of the function that stands for it.
pub(super) fn input_arguments(input: &str) -> Box<RawValue> {
    raw(serde_json::json!({ "input": input }).to_string())
}
