//! Tools and the choice among them: OpenAI chat to Gemini.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::special::{Special, choice, taking_text};
use crate::error::Invalid;
use crate::gemini::request::{
    CallingMode, Empty, FunctionCalling, FunctionDeclaration, Tool, ToolConfig,
};
use crate::names::{into_legal, legal};
use crate::openai::chat;
use crate::text::Str;

/// Google's `tools` and `toolConfig`.
type Tools<'a> = (Vec<Tool<'a>>, Option<ToolConfig<'a>>);

/// What a client says about tools, in either of OpenAI's protocols.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    pub tools: Vec<chat::Tool<'a>>,
    /// The older form of functions.
    pub functions: Vec<chat::Function<'a>>,
    /// A web search is asked for elsewhere than among the tools.
    pub search: bool,
    pub choice: Option<chat::ToolChoice<'a>>,
    /// Google's own tools.
    pub own: Option<Vec<&'a RawValue>>,
}

/// Translates them; `special` learns which functions are called otherwise at Google.
pub(super) fn tools<'a>(wanted: Wanted<'a>, special: &mut Special) -> Result<Tools<'a>, Invalid> {
    let mut declarations = Vec::new();
    let mut tools = Vec::new();
    for (at, tool) in wanted.tools.into_iter().enumerate() {
        match (tool.function, tool.kind.as_deref()) {
            (Some(function), _) => declarations.push(declaration(function)),
            // The flat form of the Responses API, which some clients send here.
            (None, Some("function")) if tool.name.is_some() => {
                declarations.push(declaration(chat::Function {
                    name: tool.name.unwrap_or_default(),
                    description: tool.description,
                    parameters: tool.parameters,
                }));
            }
            (None, Some("custom")) if tool.custom.is_some() || tool.name.is_some() => {
                let custom = tool.custom.unwrap_or_else(|| chat::Custom {
                    name: tool.name.unwrap_or_default(),
                    description: tool.description,
                    format: None,
                });
                special.remember(&custom.name, (&custom.name, None), true);
                let grammar = custom.format.and_then(|format| format.grammar);
                let function = taking_text(custom.name, custom.description, grammar.as_ref());
                declarations.push(declaration(function));
            }
            (None, Some(kind)) if kind.starts_with("web_search") || kind == "google_search" => {
                tools.push(Tool::GoogleSearch(Empty {}));
            }
            (None, Some("url_context")) => tools.push(Tool::UrlContext(Empty {})),
            (None, Some("code_interpreter" | "code_execution")) => {
                tools.push(Tool::CodeExecution(Empty {}));
            }
            (None, kind) => {
                let kind = kind.unwrap_or("(none)");
                return Err(Invalid::new(
                    format!("tools[{at}]"),
                    format!(
                        "`tools[{at}]` is of type {kind}, or lacks `function`; send type \
                         function, custom, web_search, url_context or code_interpreter."
                    ),
                ));
            }
        }
    }
    declarations.extend(wanted.functions.into_iter().map(declaration));
    if wanted.search
        && !tools
            .iter()
            .any(|tool| matches!(tool, Tool::GoogleSearch(_)))
    {
        tools.push(Tool::GoogleSearch(Empty {}));
    }
    let own = wanted.own.into_iter().flatten();
    tools.extend(own.map(|tool| Tool::Own(Cow::Borrowed(tool))));

    // Google refuses a calling mode without declarations.
    if declarations.is_empty() {
        return Ok((tools, None));
    }
    special.renamed.declare(&mut declarations);
    let config = match wanted.choice {
        None => None,
        Some(given) => calling(choice(given), &mut declarations)?,
    };
    if !declarations.is_empty() {
        tools.insert(0, Tool::FunctionDeclarations(declarations));
    }
    Ok((tools, config))
}

fn declaration(function: chat::Function<'_>) -> FunctionDeclaration<'_> {
    FunctionDeclaration {
        name: function.name.into_cow(),
        description: function
            .description
            .filter(|text| !text.is_empty())
            .map(Str::into_cow),
        parameters_json_schema: function
            .parameters
            .filter(|schema| schema.get().starts_with('{') && schema.get() != "{}")
            .map(Cow::Borrowed),
        parameters: None,
    }
}

fn calling<'a>(
    choice: chat::ToolChoice<'a>,
    declarations: &mut Vec<FunctionDeclaration<'a>>,
) -> Result<Option<ToolConfig<'a>>, Invalid> {
    let config = |mode, names| {
        Ok(Some(ToolConfig::from(FunctionCalling {
            mode,
            allowed_function_names: names,
        })))
    };
    match choice {
        chat::ToolChoice::Mode(mode) => match &*mode {
            "auto" => config(CallingMode::Auto, Vec::new()),
            "none" => config(CallingMode::None, Vec::new()),
            "required" | "any" => config(CallingMode::Any, Vec::new()),
            other => Err(Invalid::new(
                "tool_choice",
                format!(
                    "`tool_choice` is \"{other}\"; it must be none, auto, required, or an \
                     object naming functions."
                ),
            )),
        },
        chat::ToolChoice::Function(name) => {
            let name = into_legal(name.into_cow());
            if !declarations.iter().any(|d| d.name == name) {
                return Err(Invalid::new(
                    "tool_choice",
                    format!(
                        "`tool_choice` names \"{}\", which is not in `tools`.",
                        &*name
                    ),
                ));
            }
            config(CallingMode::Any, vec![name])
        }
        chat::ToolChoice::Allowed {
            required: true,
            names,
        } => {
            // Google refuses names that are not declared.
            let names: Vec<Cow<'a, str>> = names
                .into_iter()
                .map(|name| into_legal(name.into_cow()))
                .filter(|name| declarations.iter().any(|d| d.name == *name))
                .collect();
            if names.is_empty() {
                return Err(Invalid::new(
                    "tool_choice",
                    "`tool_choice` allows only functions that are not in `tools`.",
                ));
            }
            config(CallingMode::Any, names)
        }
        // Google allows names only where a call must be made, so the others are left out.
        chat::ToolChoice::Allowed { names, .. } => {
            declarations.retain(|d| names.iter().any(|name| legal(name) == d.name));
            if declarations.is_empty() {
                return Ok(None);
            }
            config(CallingMode::Auto, Vec::new())
        }
    }
}
