//! What a model takes, and what of it together. Gemini 2.5 and older refuse functions beside
//! Google's own tools, and functions beside a format for the answer; OpenAI's and Anthropic's
//! clients send such requests all the time. So what can be kept is kept, and the client is told of
//! the rest. Those before 2.5 take schemas in Google's language only.

use std::borrow::Cow;

use crate::gemini::request::{CallingMode, Content, Part, Request, Tool};
use crate::gemini::{needs_signatures, schema, speaks, takes_json_schema};
use crate::text::{compact, raw};

/// Makes a request one that `model` takes. What is given up for that is said in the answer, for
/// the client's eyes.
pub(crate) fn reconcile(request: &mut Request<'_>, model: &str) -> Vec<String> {
    let notes = together(request, model);
    if !takes_json_schema(model) {
        in_googles_language(request);
    }
    if speaks(model) {
        // It must be told, and gives nothing else.
        let audio = raw(r#"["AUDIO"]"#.to_owned());
        request.generation_config.response_modalities = Some(Cow::Owned(audio));
    }
    notes
}

/// Says schemas in the language that every model takes.
fn in_googles_language(request: &mut Request<'_>) {
    for tool in &mut request.tools {
        let Tool::FunctionDeclarations(declarations) = tool else {
            continue;
        };
        for declaration in declarations {
            let given = declaration.parameters_json_schema.take();
            declaration.parameters = given
                .and_then(|given| schema::parameters(&given))
                .map(Cow::Owned);
        }
    }
    let config = &mut request.generation_config;
    let given = config.response_json_schema.take();
    config.response_schema = given
        .and_then(|given| schema::answer(&given))
        .map(Cow::Owned);
}

fn together(request: &mut Request<'_>, model: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let has_functions = request.tools.iter().any(is_functions);
    if !has_functions {
        return notes;
    }
    let is_new = needs_signatures(model);
    if request.tools.iter().any(is_googles) {
        match is_new {
            // Google wants to be told that both are meant (docs: "Combine built-in tools and
            // function calling").
            true => {
                let config = request.tool_config.get_or_insert_default();
                config.include_server_side_tool_invocations = true;
            }
            false => notes.push(one_kind_of_tool(request, model)),
        }
    }
    let has_functions = request.tools.iter().any(is_functions);
    let config = &mut request.generation_config;
    if !is_new && has_functions && config.response_mime_type.take().is_some() {
        let wanted = match config.response_json_schema.take() {
            Some(schema) => format!(
                "Whenever you answer with text instead of calling a function, the text must be \
                 nothing but JSON that fits this JSON Schema: {}",
                compact(schema.get())
            ),
            None => "Whenever you answer with text instead of calling a function, the text must \
                     be nothing but JSON."
                .to_owned(),
        };
        instruct(request, wanted);
        notes.push(format!(
            "{model} takes no output format together with functions; the format was put into the \
             instructions instead (Gemini 3 takes both)"
        ));
    }
    notes
}

fn is_functions(tool: &Tool<'_>) -> bool {
    matches!(tool, Tool::FunctionDeclarations(_))
}

/// Google's own tools as clients ask for them in their protocol. Those that a client hands on in
/// Google's words are its own affair.
fn is_googles(tool: &Tool<'_>) -> bool {
    matches!(
        tool,
        Tool::GoogleSearch(_) | Tool::UrlContext(_) | Tool::CodeExecution(_)
    )
}

/// Leaves one kind of tool: functions, unless none may be called.
fn one_kind_of_tool(request: &mut Request<'_>, model: &str) -> String {
    let mode = request.tool_config.as_ref();
    let mode = mode.and_then(|config| config.function_calling_config.as_ref());
    match mode.map(|config| config.mode) {
        Some(CallingMode::None) => {
            request.tools.retain(|tool| !is_functions(tool));
            request.tool_config = None;
            format!(
                "{model} takes no functions together with Google's own tools; the functions, \
                 which may not be called, were left out"
            )
        }
        _ => {
            request.tools.retain(|tool| !is_googles(tool));
            format!(
                "{model} takes no functions together with Google's own tools; search, URL context \
                 and code execution were left out (Gemini 3 takes both)"
            )
        }
    }
}

/// Adds to what the model is told.
fn instruct(request: &mut Request<'_>, text: String) {
    let system = request.system_instruction.get_or_insert(Content {
        role: None,
        parts: Vec::new(),
    });
    system.parts.push(Part::text(text));
}
