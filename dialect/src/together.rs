//! What a model takes, and what of it together. Gemini 2.5 and older refuse functions beside
//! Google's own tools, and any tool beside a format for the answer; OpenAI's and Anthropic's
//! clients send such requests all the time. So what can be kept is kept, and the client is told of
//! the rest. Those before 2.5 take schemas in Google's language only. Numbers that other vendors
//! take and Google does not become the nearest that it does.

use std::borrow::Cow;

use serde_json::Number;

use crate::gemini::request::{CallingMode, Content, GenerationConfig, Part, Request, Tool};
use crate::gemini::{most_output_tokens, needs_signatures, schema, speaks, takes_json_schema};
use crate::text::{compact, raw};

/// Makes a request one that `model` takes. What is given up for that is said in the answer, for
/// the client's eyes.
pub(crate) fn reconcile(request: &mut Request<'_>, model: &str) -> Vec<String> {
    let mut notes = together(request, model);
    notes.extend(within_ranges(&mut request.generation_config, model));
    if !takes_json_schema(model) {
        in_googles_language(request);
    }
    if speaks(model) {
        // It answers a `systemInstruction` with 400, and would read out what it says.
        if request.system_instruction.take().is_some() {
            notes.push(format!(
                "{model} reads out what it is sent and takes no instructions, so the system prompt \
                 was left out"
            ));
        }
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
    let is_new = needs_signatures(model);
    if has_functions && request.tools.iter().any(is_googles) {
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
    let has_tools = !request.tools.is_empty();
    let config = &mut request.generation_config;
    if !is_new && has_tools && config.response_mime_type.take().is_some() {
        let (when, tools) = match has_functions {
            true => (
                "Whenever you answer with text instead of calling a function, the text",
                "functions",
            ),
            false => ("Your answer", "Google's own tools"),
        };
        let wanted = match config.response_json_schema.take() {
            Some(schema) => format!(
                "{when} must be nothing but JSON that fits this JSON Schema: {}",
                compact(schema.get())
            ),
            None => format!("{when} must be nothing but JSON."),
        };
        instruct(request, wanted);
        notes.push(format!(
            "{model} takes no output format together with {tools}; the format was put into the \
             instructions instead (Gemini 3 takes both)"
        ));
    }
    notes
}

/// The most texts that may end an answer (Google's API reference, `stopSequences`).
const MOST_STOPS: usize = 5;
/// Google takes penalties below 2, OpenAI also 2 itself.
const MOST_PENALTY: f64 = 1.99;

/// Takes to Google's ranges what other vendors' are wider of.
fn within_ranges(config: &mut GenerationConfig<'_>, model: &str) -> Option<String> {
    let most = most_output_tokens(model);
    config.max_output_tokens = config.max_output_tokens.map(|limit| limit.min(most));
    // 0 and -1 are other servers' words for "off"; Google refuses them.
    config.top_k = config.top_k.take().filter(|k| number(k) > 0.0);
    for penalty in [&mut config.presence_penalty, &mut config.frequency_penalty] {
        // Many clients send 0 for none, and many models refuse any penalty.
        *penalty = penalty.take().filter(|given| number(given) != 0.0);
        if penalty
            .as_ref()
            .is_some_and(|given| number(given) > MOST_PENALTY)
        {
            *penalty = Number::from_f64(MOST_PENALTY);
        }
    }
    let stops = &mut config.stop_sequences;
    let mut known: Vec<Cow<'_, str>> = Vec::new();
    for stop in stops.drain(..).filter(|stop| !stop.is_empty()) {
        if !known.contains(&stop) {
            known.push(stop);
        }
    }
    let given = known.len();
    known.truncate(MOST_STOPS);
    *stops = known;
    (given > MOST_STOPS).then(|| {
        format!(
            "Gemini takes {MOST_STOPS} stop sequences; of {given} the first {MOST_STOPS} were kept"
        )
    })
}

fn number(given: &Number) -> f64 {
    given.as_f64().unwrap_or_default()
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
