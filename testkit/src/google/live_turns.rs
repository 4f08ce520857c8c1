//! What is said in a Live session: from the client's messages to the model's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::World;
use super::answer::{Answer, decide, hash, input_tokens, tokens};
use super::error::GoogleError;
use super::files;
use super::media;
use super::model::Model;
use super::proto::{get, list, text};
use super::shelf::Caller;

/// A conversation, and how it is to go on.
pub(super) struct Talk {
    model: Model,
    /// System instruction, tools and configuration, as a request to generate has them.
    request: Value,
    /// What was said so far.
    pub contents: Vec<Value>,
    /// The client wants handles to go on by.
    pub resumes: bool,
    /// The model speaks instead of writing.
    speaks: bool,
    /// The client wants to read what the model says.
    transcribes: bool,
    /// Bytes of sound that nobody has answered yet.
    heard: usize,
}

impl Talk {
    /// A conversation that begins as this setup says.
    pub fn new(
        world: &World,
        caller: &Caller,
        model: &Model,
        setup: &Value,
    ) -> Result<Self, GoogleError> {
        let mut request = json!({});
        for name in ["system_instruction", "tools"] {
            if let Some(given) = get(setup, name) {
                request[name] = given.clone();
            }
        }
        files::check(world, &caller.project, &request)?;
        let config = get(setup, "generation_config").cloned().unwrap_or_default();
        let modalities = list(&config, "response_modalities");
        let writes = |one: &Value| {
            one.as_str()
                .is_some_and(|one| one.eq_ignore_ascii_case("TEXT"))
        };
        if modalities.len() > 1 {
            return Err(GoogleError::invalid(
                "Request contains an invalid argument: only one response modality is allowed in a session.",
            ));
        }
        Ok(Self {
            model: model.clone(),
            request,
            contents: Vec::new(),
            resumes: false,
            // Without a word about it, these models speak.
            speaks: !modalities.iter().any(writes),
            transcribes: get(setup, "output_audio_transcription").is_some(),
            heard: 0,
        })
    }

    /// Takes a message in; what the model answers to it, if it is its turn.
    pub fn hear(
        &mut self,
        world: &World,
        caller: &Caller,
        said: &Value,
        scripted: impl FnOnce() -> Option<Answer>,
    ) -> Result<Vec<Value>, GoogleError> {
        if let Some(content) = get(said, "client_content") {
            for turn in list(content, "turns") {
                files::check_content(world, &caller.project, turn)?;
                self.contents.push(turn.clone());
            }
            if get(content, "turn_complete") != Some(&Value::Bool(true)) {
                return Ok(Vec::new());
            }
        } else if let Some(input) = get(said, "realtime_input") {
            let blobs = ["audio", "media_chunks"].map(|name| list(input, name));
            for blob in blobs.into_iter().flatten() {
                let bytes = STANDARD.decode(text(blob, "data")).unwrap_or_default();
                self.heard += bytes.len();
            }
            let ends = ["audio_stream_end", "activity_end"];
            let words = match text(input, "text") {
                "" if ends.iter().any(|name| get(input, name).is_some()) => {
                    format!("({} bytes of sound)", std::mem::take(&mut self.heard))
                }
                "" => return Ok(Vec::new()),
                words => words.to_owned(),
            };
            self.contents
                .push(json!({ "role": "user", "parts": [{ "text": words }] }));
        } else if let Some(response) = get(said, "tool_response") {
            let responses = list(response, "function_responses").iter();
            let parts: Vec<Value> = responses
                .map(|response| json!({ "functionResponse": response }))
                .collect();
            self.contents
                .push(json!({ "role": "user", "parts": parts }));
        } else {
            return Err(GoogleError::invalid(
                "Request contains an invalid argument.",
            ));
        }
        Ok(self.answer(scripted()))
    }

    fn answer(&mut self, scripted: Option<Answer>) -> Vec<Value> {
        let mut request = self.request.clone();
        request["contents"] = json!(self.contents);
        let input = input_tokens(&request);
        let mut said = scripted.unwrap_or_else(|| decide(&self.model, &request));
        for (i, part) in said.parts.iter_mut().enumerate() {
            if let Some(call) = part.get_mut("functionCall") {
                let id = hash((i, self.contents.len(), call.to_string()));
                call["id"] = json!(format!("function-call-{id}"));
            }
        }
        self.contents
            .push(json!({ "role": "model", "parts": said.parts }));
        let mut replies = Vec::new();
        let calls: Vec<&Value> = said
            .parts
            .iter()
            .filter_map(|part| part.get("functionCall"))
            .collect();
        let mut output = 0;
        for part in &said.parts {
            let Some(Value::String(words)) = part.get("text") else {
                continue;
            };
            output += tokens(words);
            replies.extend(self.spoken(words));
        }
        if !calls.is_empty() {
            output += calls
                .iter()
                .map(|call| tokens(&call.to_string()))
                .sum::<u64>();
            replies.push(json!({ "toolCall": { "functionCalls": calls } }));
        }
        let content = |content: Value| json!({ "serverContent": content });
        replies.push(content(json!({ "generationComplete": true })));
        let modality = if self.speaks { "AUDIO" } else { "TEXT" };
        let mut last = content(json!({ "turnComplete": true }));
        last["usageMetadata"] = json!({
            "promptTokenCount": input,
            "responseTokenCount": output,
            "totalTokenCount": input + output,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": input }],
            "responseTokensDetails": [{ "modality": modality, "tokenCount": output }],
        });
        replies.push(last);
        replies
    }

    /// A text as messages: written in two pieces, or as sound.
    fn spoken(&self, words: &str) -> Vec<Value> {
        let turn = |part: Value| json!({ "serverContent": { "modelTurn": { "parts": [part] } } });
        if self.speaks {
            let sound = media::spoken(words);
            let data = &sound["inlineData"]["data"];
            let blob = json!({ "mimeType": "audio/pcm;rate=24000", "data": data });
            let mut replies = vec![turn(json!({ "inlineData": blob }))];
            if self.transcribes {
                let transcription = json!({ "outputTranscription": { "text": words } });
                replies.push(json!({ "serverContent": transcription }));
            }
            return replies;
        }
        let middle = words.chars().count() / 2;
        let (first, second): (String, String) = (
            words.chars().take(middle).collect(),
            words.chars().skip(middle).collect(),
        );
        [first, second]
            .into_iter()
            .filter(|words| !words.is_empty())
            .map(|words| turn(json!({ "text": words })))
            .collect()
    }
}
