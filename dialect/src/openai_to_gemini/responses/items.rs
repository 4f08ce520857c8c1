//! The items of a conversation: Responses API to turns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::tools::{flat_name, input_arguments};
use crate::error::Invalid;
use crate::gemini::request::{FunctionCall, Part};
use crate::gemini::response::fenced;
use crate::media;
use crate::names::into_legal;
use crate::openai::{chat, responses as wire};
use crate::openai_to_gemini::request::{by_format, file};
use crate::signature::unmarked;
use crate::text::{Str, raw};
use crate::turns::{Item, ToolResult, arguments, text_and_media};

/// What is read of an input: turns, and tools that stand among them.
#[derive(Default)]
pub(super) struct Read<'a> {
    pub items: Vec<Item<'a>>,
    pub tools: Vec<wire::Tool<'a>>,
    /// The signature of the reasoning right before, which belongs to the next call.
    signature: Option<Cow<'a, str>>,
}

/// The items of `input`, each as it was written. A text is one item, too.
pub(super) fn split(input: &RawValue) -> Result<Vec<Cow<'_, RawValue>>, Invalid> {
    if input.get().starts_with('"') {
        let message = format!(
            r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":{}}}]}}"#,
            input.get()
        );
        return Ok(vec![Cow::Owned(raw(message))]);
    }
    let items: Vec<&RawValue> = Invalid::parse_at(input.get(), "input")?;
    Ok(items.into_iter().map(Cow::Borrowed).collect())
}

/// The id of an item that stands for another one.
pub(super) fn reference<'a>(item: &'a RawValue, path: &str) -> Result<Option<Str<'a>>, Invalid> {
    // Told by this before the whole is parsed: such items are rare, and small.
    if item.get().len() > 512 {
        return Ok(None);
    }
    let item: wire::Item<'a> = Invalid::parse_at(item.get(), path)?;
    let nothing_else = item.role.is_none() && item.content.is_none();
    Ok(match item.kind.as_deref() {
        Some("item_reference") => item.id,
        None if nothing_else => item.id,
        _ => None,
    })
}

impl<'a> Read<'a> {
    /// Reads one item; `path` names it in errors.
    pub fn item(&mut self, item: &'a RawValue, path: &str) -> Result<(), Invalid> {
        let item: wire::Item<'a> = Invalid::parse_at(item.get(), path)?;
        let kind = item.kind.as_deref().unwrap_or("message");
        if kind == "reasoning" {
            self.signature = item.encrypted_content.and_then(unmarked);
            return Ok(());
        }
        let signature = self.signature.take();
        let extra = item.extra_content;
        let own = extra.and_then(chat::ExtraContent::into_signature);
        if kind == "message" {
            return self.message(item.role, item.content, own, path);
        }
        let signature = own.or(signature);
        match kind {
            "function_call" => {
                let name = named(item.name, item.namespace, path)?;
                let args = arguments(item.arguments);
                self.call(item.call_id.or(item.id), name, args, signature);
            }
            "custom_tool_call" => {
                let name = named(item.name, item.namespace, path)?;
                let args = input_arguments(item.input.as_deref().unwrap_or_default());
                self.call(item.call_id, name, Cow::Owned(args), signature);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let (text, media) = result(item.output, &format!("{path}.output"))?;
                self.items.push(Item::Result(ToolResult {
                    id: item.call_id.map(Str::into_cow),
                    name: None,
                    text,
                    failed: false,
                    media,
                }));
            }
            "image_generation_call" => {
                let Some(data) = item.result.filter(|data| !data.is_empty()) else {
                    return Ok(());
                };
                let kind = item.output_format.as_deref().and_then(media::type_of);
                let param = format!("{path}.result");
                let part = media::inline(
                    kind.map(Cow::Borrowed),
                    data.into_cow(),
                    "image/png",
                    &param,
                )?;
                self.items.push(Item::Model(Part {
                    thought_signature: signature,
                    ..part
                }));
            }
            "additional_tools" => self.tools.extend(item.tools.into_iter().flatten()),
            // What the vendor's own tools did: the message after it tells what came of it.
            "web_search_call" | "file_search_call" => {}
            "code_interpreter_call" => {
                let code = item.code.unwrap_or_default();
                let mut text = fenced("python", code.trim_end_matches('\n'));
                for logs in item.outputs.into_iter().flatten().filter_map(|o| o.logs) {
                    text.push_str(&fenced("", &logs));
                }
                self.items.push(Item::Model(Part::text(text)));
            }
            other => {
                return Err(Invalid::new(
                    format!("{path}.type"),
                    format!(
                        "`{path}.type` is \"{other}\"; Gemini takes message, function_call, \
                         function_call_output, custom_tool_call, custom_tool_call_output, \
                         reasoning, image_generation_call and item_reference."
                    ),
                ));
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        id: Option<Str<'a>>,
        name: Cow<'a, str>,
        args: Cow<'a, RawValue>,
        signature: Option<Cow<'a, str>>,
    ) {
        self.items.push(Item::Model(Part {
            function_call: Some(FunctionCall {
                id: id.filter(|id| !id.is_empty()).map(Str::into_cow),
                name,
                args,
            }),
            thought_signature: signature,
            ..Part::default()
        }));
    }

    fn message(
        &mut self,
        role: Option<Str<'a>>,
        content: Option<&'a RawValue>,
        signature: Option<Cow<'a, str>>,
        path: &str,
    ) -> Result<(), Invalid> {
        let mut parts = parts(content, &format!("{path}.content"))?;
        match role.as_deref() {
            Some("user") => self.items.extend(parts.into_iter().map(Item::User)),
            Some("assistant") => {
                if let Some(last) = parts.iter_mut().rfind(|part| part.text.is_some()) {
                    last.thought_signature = signature;
                }
                self.items.extend(parts.into_iter().map(Item::Model));
            }
            Some("system" | "developer") => {
                for (n, part) in parts.into_iter().enumerate() {
                    let Some(text) = part.text else {
                        let param = format!("{path}.content[{n}]");
                        let message = format!("`{param}` must be a part of type input_text.");
                        return Err(Invalid::new(param, message));
                    };
                    self.items.push(Item::System(text));
                }
            }
            other => {
                let param = format!("{path}.role");
                let given = other.unwrap_or("(none)");
                let message = format!(
                    "`{param}` is \"{given}\"; it must be one of system, developer, user, assistant."
                );
                return Err(Invalid::new(param, message));
            }
        }
        Ok(())
    }
}

/// Google's name of a called function.
fn named<'a>(
    name: Option<Str<'a>>,
    namespace: Option<Str<'a>>,
    path: &str,
) -> Result<Cow<'a, str>, Invalid> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Invalid::new(
            format!("{path}.name"),
            format!("`{path}` is a call without `name`."),
        ));
    };
    let name = match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => flat_name(&namespace, &name).into(),
        None => name.into_cow(),
    };
    Ok(into_legal(name))
}

/// The parts of a text or of a list of parts, empty texts left out.
fn parts<'a>(content: Option<&'a RawValue>, path: &str) -> Result<Vec<Part<'a>>, Invalid> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    if content.get().starts_with('"') {
        let text: Str<'a> = Invalid::parse_at(content.get(), path)?;
        let part = (!text.is_empty()).then(|| Part::text(text.into_cow()));
        return Ok(part.into_iter().collect());
    }
    let given: Vec<wire::Part<'a>> = Invalid::parse_at(content.get(), path)?;
    let mut parts = Vec::with_capacity(given.len());
    for (n, part) in given.into_iter().enumerate() {
        parts.extend(self::part(part, &format!("{path}[{n}]"))?);
    }
    Ok(parts)
}

fn part<'a>(part: wire::Part<'a>, path: &str) -> Result<Option<Part<'a>>, Invalid> {
    if let Some(text) = part.text.or(part.refusal) {
        return Ok((!text.is_empty()).then(|| Part::text(text.into_cow())));
    }
    if let Some(url) = part.image_url {
        let param = format!("{path}.image_url");
        return media::from_url(url.0.into_cow(), "image/png", &param).map(Some);
    }
    if let Some(audio) = part.input_audio {
        return by_format(audio, "audio/wav", &format!("{path}.input_audio")).map(Some);
    }
    if let Some(url) = part.file_url {
        let named = part.filename.as_deref().and_then(media::type_of_file);
        let param = format!("{path}.file_url");
        let part = media::from_url_named(url.into_cow(), named, "application/pdf", &param);
        return part.map(Some);
    }
    if part.file_data.is_some() || part.file_id.is_some() {
        let given = chat::File {
            file_data: part.file_data,
            file_id: part.file_id,
            filename: part.filename,
        };
        return file(given, path).map(Some);
    }
    let kind = match &*part.kind {
        "" => "(none)",
        kind => kind,
    };
    Err(Invalid::new(
        path,
        format!(
            "`{path}` is of type {kind}, or lacks that type's field; send input_text, \
             input_image or input_file."
        ),
    ))
}

/// A tool's result: its text, and media that came with it. JSON that is neither a text nor a
/// list of parts is handed to the model as it is.
fn result<'a>(
    output: Option<&'a RawValue>,
    path: &str,
) -> Result<(Cow<'a, str>, Vec<Part<'a>>), Invalid> {
    let Some(output) = output else {
        return Ok(("".into(), Vec::new()));
    };
    match output.get().as_bytes().first() {
        Some(b'"') => {
            let text: Str<'a> = Invalid::parse_at(output.get(), path)?;
            Ok((text.into_cow(), Vec::new()))
        }
        Some(b'[') => Ok(text_and_media(parts(Some(output), path)?)),
        _ => Ok((output.get().into(), Vec::new())),
    }
}
