//! Tools of the Responses API that are more than functions, and the way back from their calls.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Invalid;
use crate::gemini::image::ImageConfig;
use crate::gemini::response::FunctionCall;
use crate::names::Renamed;
use crate::openai::{chat, responses as wire};
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

/// A tool of a namespace as one function. Codex's namespaces of MCP servers are called
/// `mcp__server__` already.
pub(super) fn flat_name(namespace: &str, name: &str) -> String {
    match namespace.ends_with('_') || name.starts_with('_') {
        true => format!("{namespace}{name}"),
        false => format!("{namespace}__{name}"),
    }
}

impl Special {
    /// Makes functions of custom tools and of namespaces; other tools are handed on.
    pub fn declare<'a>(
        &mut self,
        tools: Vec<wire::Tool<'a>>,
        model: &str,
    ) -> Result<Vec<chat::Tool<'a>>, Invalid> {
        let mut plain = Vec::with_capacity(tools.len());
        for (at, tool) in tools.into_iter().enumerate() {
            let path = format!("tools[{at}]");
            match &*tool.kind {
                // All tools are declared, so none has to be searched for.
                "tool_search" => continue,
                // Image models make images without being told.
                "image_generation" if model.contains("image") => {
                    let (size, quality) = (tool.size.as_deref(), tool.quality.as_deref());
                    let images = ImageConfig::of(model, size, quality);
                    self.images = images.map_err(|mut invalid| {
                        invalid.param = invalid.param.map(|field| format!("{path}.{field}"));
                        invalid
                    })?;
                    continue;
                }
                "image_generation" => {
                    return Err(Invalid::new(
                        format!("{path}.type"),
                        format!(
                            "`{path}.type` is image_generation, but the model '{model}' makes \
                             no images; use one that does, e.g. gemini-3.1-flash-image."
                        ),
                    ));
                }
                _ => {}
            }
            if &*tool.kind != "namespace" {
                plain.push(self.tool(tool, None, &path)?);
                continue;
            }
            let namespace = named(tool.name, &path)?;
            for (n, inner) in tool.tools.into_iter().flatten().enumerate() {
                let path = format!("{path}.tools[{n}]");
                plain.push(self.tool(inner, Some(&namespace), &path)?);
            }
        }
        Ok(plain)
    }

    fn tool<'a>(
        &mut self,
        tool: wire::Tool<'a>,
        namespace: Option<&str>,
        path: &str,
    ) -> Result<chat::Tool<'a>, Invalid> {
        let custom = match &*tool.kind {
            "function" => false,
            "custom" => true,
            kind if namespace.is_none() && is_google(kind) => {
                return Ok(chat::Tool {
                    kind: Some(tool.kind),
                    function: None,
                    name: None,
                    description: None,
                    parameters: None,
                });
            }
            other => {
                return Err(Invalid::new(
                    format!("{path}.type"),
                    format!(
                        "`{path}.type` is \"{other}\", a tool that Gemini does not have; send \
                         function, custom, namespace, web_search, url_context or \
                         code_interpreter, and take this one out."
                    ),
                ));
            }
        };
        let name = named(tool.name, path)?;
        let flat = match namespace {
            Some(namespace) => flat_name(namespace, &name),
            None => name.to_string(),
        };
        if custom || namespace.is_some() {
            self.functions.push(Function {
                flat: flat.clone(),
                name: name.to_string(),
                namespace: namespace.map(str::to_owned),
                custom,
            });
        }
        let (description, parameters) = match custom {
            false => (tool.description, tool.parameters),
            true => (
                Some(described(tool.description, tool.format).into()),
                Some(takes_text()),
            ),
        };
        Ok(chat::Tool {
            kind: Some("function".into()),
            function: None,
            name: Some(flat.into()),
            description,
            parameters,
        })
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
fn is_google(kind: &str) -> bool {
    kind.starts_with("web_search")
        || matches!(
            kind,
            "google_search" | "url_context" | "code_interpreter" | "code_execution"
        )
}

/// The choice of one of the vendor's own tools becomes "no function": Google cannot be made to
/// use a tool of its own, only kept from using others.
pub(super) fn choice(choice: chat::ToolChoice<'_>) -> chat::ToolChoice<'_> {
    match choice {
        chat::ToolChoice::Mode(kind) if is_google(&kind) => chat::ToolChoice::Mode("none".into()),
        other => other,
    }
}

fn named<'a>(name: Option<Str<'a>>, path: &str) -> Result<Str<'a>, Invalid> {
    name.filter(|name| !name.is_empty()).ok_or_else(|| {
        Invalid::new(
            format!("{path}.name"),
            format!("`{path}` has no `name`; Gemini needs one."),
        )
    })
}

/// A custom tool's description, which also has to say what Google has no field for.
fn described(description: Option<Str<'_>>, format: Option<wire::Grammar<'_>>) -> String {
    let mut text = description.map_or_else(String::new, |text| text.to_string());
    if let Some(definition) = format
        .as_ref()
        .and_then(|format| format.definition.as_deref())
    {
        let syntax = format
            .as_ref()
            .and_then(|format| format.syntax.as_deref())
            .unwrap_or("grammar");
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
