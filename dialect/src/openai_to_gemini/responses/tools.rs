//! Tools of the Responses API that are more than functions.

use crate::error::Invalid;
use crate::gemini::image::ImageConfig;
use crate::openai::{chat, responses as wire};
pub(super) use crate::openai_to_gemini::special::{Called, Given, Special, input_arguments};
use crate::openai_to_gemini::special::{is_google, taking_text};
use crate::text::Str;

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
                    ..chat::Tool::default()
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
        if namespace.is_some() || custom {
            self.remember(&flat, (&name, namespace), custom);
        }
        Ok(chat::Tool {
            kind: Some("function".into()),
            function: Some(match custom {
                true => taking_text(flat.into(), tool.description, tool.format.as_ref()),
                false => chat::Function {
                    name: flat.into(),
                    description: tool.description,
                    parameters: tool.parameters,
                },
            }),
            ..chat::Tool::default()
        })
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
