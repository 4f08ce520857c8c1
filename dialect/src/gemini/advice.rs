//! What to change when Google refuses something: its messages say what was wrong, and few say
//! what to do. One table for all protocols.

use super::status::ApiStatus;

/// A row: what it is about, and what to say of it. The first that fits counts.
struct Advice {
    /// The HTTP statuses that it is about.
    statuses: &'static [u16],
    /// What Google's reason is, or what its message has, in lower case; any of these. Anything
    /// where it is empty.
    words: &'static [&'static str],
    /// OpenAI's own `code` for this, by which clients know it.
    code: Option<&'static str>,
    /// In English and ASCII, so that it can be a header's value.
    text: &'static str,
}

const REFUSED: &[u16] = &[400, 403, 404, 413, 422];

const fn advice(words: &'static [&'static str], text: &'static str) -> Advice {
    Advice {
        statuses: REFUSED,
        words,
        code: None,
        text,
    }
}

const fn always(statuses: &'static [u16], text: &'static str) -> Advice {
    Advice {
        statuses,
        words: &[],
        code: None,
        text,
    }
}

const TABLE: [Advice; 20] = [
    Advice {
        code: Some("unsupported_country_region_territory"),
        ..advice(
            &["location is not supported"],
            "Google does not serve the place that this server's requests leave from: give it a \
             proxy in a supported country (PROXIES), or send requests through an instance in one.",
        )
    },
    Advice {
        code: Some("context_length_exceeded"),
        ..advice(
            &[
                "exceeds the maximum number of tokens allowed",
                "input token count",
                "context is too long",
            ],
            // Claude Code shortens a conversation when it reads "prompt is too long".
            "That is, the prompt is too long for this model: leave out or sum up older messages, \
             attach less, or use a model with a larger context.",
        )
    },
    advice(
        &["thought signature", "thought_signature", "thoughtsignature"],
        "Send the model's earlier answers back as they came, with all that they hold \
         (extra_content, thinking blocks, reasoning items), or begin a new conversation.",
    ),
    Advice {
        code: Some("billing_not_active"),
        ..advice(
            &["billing", "billed users", "free tier is not available"],
            "Switch billing on for the key's project in Google AI Studio, or use the key of a \
             project that has it.",
        )
    },
    advice(
        &["payload size exceeds"],
        "Send less inside the request: upload files first (/v1/files) and name them.",
    ),
    advice(
        &[
            "too many states",
            "nesting depth",
            "schema",
            "properties: should be non-empty",
        ],
        "Make the schema simpler: less nesting, shorter lists of values, fewer optional fields, \
         shorter names; or leave it out and describe in words what you want.",
    ),
    advice(
        &[
            "tool use with function calling is unsupported",
            "all search tools",
            "built-in tools",
        ],
        "This model takes either functions or Google's own tools (search, URLs, code): send one \
         kind, or use a Gemini 3 model.",
    ),
    advice(
        &["thinking"],
        "Change or leave out how much it is to think (reasoning_effort, reasoning.effort, \
         thinking, thinking_config, or the ending of the model's name).",
    ),
    advice(
        &["modalities", "modality"],
        "Ask for a kind of output that this model gives, or use a model made for it.",
    ),
    advice(
        &[
            "is not enabled for",
            "tool is not",
            "grounding is not supported",
            "is not supported by this model",
        ],
        "This model does not do what the request asks of it: leave that out, or use another model.",
    ),
    advice(
        &["mime type", "mimetype", "mime_type"],
        "Send the file in a format that Gemini reads, as PNG, JPEG, WEBP, PDF, MP3, WAV, MP4 or \
         plain text.",
    ),
    advice(
        &["input image", "image is not valid", "provided image"],
        "Send the image whole, as PNG, JPEG, WEBP, HEIC or HEIF.",
    ),
    advice(
        &["maxoutputtokens", "max_output_tokens"],
        "Ask for another number of tokens (max_tokens, max_completion_tokens, max_output_tokens).",
    ),
    advice(
        &[
            "function response parts",
            "function call turn",
            "function response turn",
        ],
        "Send the result of each call once, right behind the turn that has the call.",
    ),
    advice(
        &["access the file", "cachedcontent", "cached content"],
        "Files and caches are one key's and end after some time: make it again, and name the new \
         one.",
    ),
    Advice {
        statuses: &[404],
        code: Some("model_not_found"),
        ..advice(
            &["listmodels", "is not found for api version", "model"],
            "GET /v1/models lists the models that there are.",
        )
    },
    always(
        &[403],
        "The key or its project may not do this: try another model, or see the Keys page of \
         Gemini Balance.",
    ),
    always(
        &[500],
        "The failure is Google's: ask again; where it stays so, shorten the prompt or use another \
         model.",
    ),
    always(&[503], "Where it stays so, use another model."),
    always(
        &[504],
        "It took Google too long: shorten the prompt, or ask for less at once.",
    ),
];

impl ApiStatus {
    /// What to change, in plain words, for what came with this HTTP status.
    pub fn advice(&self, status: u16) -> Option<&'static str> {
        Some(self.row(status)?.text)
    }

    /// A word for programs, as OpenAI's clients get it: OpenAI's own where it has one, else
    /// Google's reason or status.
    pub fn word(&self, status: u16) -> Option<String> {
        let own = self.row(status).and_then(|row| row.code);
        let googles = || match status {
            429 => "rate_limit_exceeded".to_owned(),
            _ => self.reason.as_ref().unwrap_or(&self.status).to_lowercase(),
        };
        let word = own.map_or_else(googles, str::to_owned);
        (!word.is_empty()).then_some(word)
    }

    /// Google's message, and what to change.
    pub fn advised(&self, status: u16) -> String {
        let said = self.message.trim();
        match self.advice(status) {
            None => said.to_owned(),
            Some(advice) if said.is_empty() => advice.to_owned(),
            Some(advice) if said.ends_with(['.', '!', '?']) => format!("{said} {advice}"),
            Some(advice) => format!("{said}. {advice}"),
        }
    }

    fn row(&self, status: u16) -> Option<&'static Advice> {
        let message = self.message.to_lowercase();
        let reason = self.reason.as_deref().unwrap_or_default().to_lowercase();
        TABLE.iter().find(|row| {
            let about = |word: &&str| message.contains(word) || reason.contains(word);
            row.statuses.contains(&status) && (row.words.is_empty() || row.words.iter().any(about))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str, reason: Option<&str>, message: &str) -> ApiStatus {
        ApiStatus {
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            message: message.to_owned(),
            ..ApiStatus::default()
        }
    }

    #[test]
    fn what_google_says_is_told_with_what_to_change() {
        let invalid = "INVALID_ARGUMENT";
        for (status, said, word, advice) in [
            (
                400,
                said(
                    "FAILED_PRECONDITION",
                    None,
                    "User location is not supported for the API use.",
                ),
                "unsupported_country_region_territory",
                Some("PROXIES"),
            ),
            (
                400,
                said(
                    invalid,
                    None,
                    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
                ),
                "context_length_exceeded",
                Some("prompt is too long"),
            ),
            (
                400,
                said(
                    invalid,
                    None,
                    "Function call is missing a thought_signature in functionCall parts.",
                ),
                "invalid_argument",
                Some("thinking blocks"),
            ),
            (
                403,
                said("PERMISSION_DENIED", Some("BILLING_DISABLED"), "Denied"),
                "billing_not_active",
                Some("Switch billing on"),
            ),
            (
                400,
                said(
                    invalid,
                    None,
                    "The specified schema produces a constraint that has too many states for serving.",
                ),
                "invalid_argument",
                Some("simpler"),
            ),
            (
                400,
                said(
                    invalid,
                    None,
                    "Tool use with function calling is unsupported",
                ),
                "invalid_argument",
                Some("one kind"),
            ),
            (
                400,
                said(
                    invalid,
                    None,
                    "Budget 0 is invalid. This model only works in thinking mode.",
                ),
                "invalid_argument",
                Some("reasoning_effort"),
            ),
            (
                400,
                said(invalid, Some("SOME_REASON"), "Something else"),
                "some_reason",
                None,
            ),
            (
                404,
                said(
                    "NOT_FOUND",
                    None,
                    "models/x is not found for API version v1beta, or is not supported for generateContent. Call ListModels",
                ),
                "model_not_found",
                Some("/v1/models"),
            ),
            (
                404,
                said("NOT_FOUND", None, "The requested entity was not found."),
                "not_found",
                None,
            ),
            (
                429,
                said(
                    "RESOURCE_EXHAUSTED",
                    Some("RATE_LIMIT_EXCEEDED"),
                    "You exceeded your current quota, please check your plan and billing details.",
                ),
                "rate_limit_exceeded",
                None,
            ),
            (
                503,
                said(
                    "UNAVAILABLE",
                    None,
                    "The model is overloaded. Please try again later.",
                ),
                "unavailable",
                Some("another model"),
            ),
        ] {
            assert_eq!(said.word(status).as_deref(), Some(word), "{said:?}");
            let told = said.advised(status);
            match advice {
                Some(advice) => assert!(
                    told.starts_with(&said.message) && told[said.message.len()..].contains(advice),
                    "{told}"
                ),
                None => assert_eq!(told, said.message),
            }
        }
        let quota = said(
            "RESOURCE_EXHAUSTED",
            None,
            "You exceeded your current quota.",
        );
        assert_eq!(quota.advice(429), None);
        assert_eq!(ApiStatus::default().word(418), None);
    }

    #[test]
    fn advice_can_be_a_headers_value() {
        for row in TABLE {
            assert!(
                row.text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()),
                "{}",
                row.text
            );
        }
    }
}
