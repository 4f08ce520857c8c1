//! The sources of an answer: what Google's search found, and which words are from where.
//!
//! In a stream Google tells of them more than once: queries first and what they found later, or
//! everything again in each event. So all of it is gathered here, for the client to be told once.
//!
//! Which words a source stands behind Google says in bytes of a part, and often leaves out of
//! which one (<https://github.com/googleapis/python-genai/issues/961>). What counts is therefore
//! where the words stand that it sends along.

use std::ops::Range;

use super::response::{Grounding, GroundingChunk, Part};
use crate::aside;

/// The sources so far, and the text that they are sources of.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    queries: Vec<String>,
    found: Vec<Source>,
    /// Which of `found` are the chunks that were told last; none for one without an address.
    chunks: Vec<Option<usize>>,
    supports: Vec<Support>,
    /// What the model itself said, all in one.
    text: String,
    parts: Vec<Begun>,
    runs: Vec<Run>,
    /// Where the last of these ends.
    said_until: Option<Place>,
    end: Place,
}

/// Something that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub url: String,
    /// May be empty.
    pub title: String,
}

/// Words that sources stand behind.
#[derive(Debug)]
struct Support {
    /// Which of Google's parts, where it says so.
    part: Option<usize>,
    /// In bytes from the beginning of the part.
    bytes: Range<usize>,
    words: String,
    /// Of `found`.
    sources: Vec<usize>,
}

/// One of Google's parts.
#[derive(Debug)]
struct Begun {
    kind: Kind,
    /// Where its text begins in that of all.
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Other,
}

/// Where text of the model stands in what the client gets.
#[derive(Debug)]
struct Run {
    /// Where it begins in the model's own text.
    from: usize,
    place: Place,
}

/// A place in what the client gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the message.
    pub message: usize,
    /// In characters of its text.
    pub at: usize,
}

/// Words of the answer, and a source of them.
#[derive(Debug)]
pub(crate) struct Cited<'s> {
    pub source: &'s Source,
    pub words: &'s str,
    pub from: Place,
    pub to: Place,
}

impl Sources {
    // --- what the client gets ---

    /// Google begins, or goes on with, a part; `first`: it is its event's first, and may go on
    /// with the last one.
    pub fn part(&mut self, part: &Part<'_>, first: bool) {
        let kind = match (&part.text, part.thought) {
            (None, _) => Kind::Other,
            (Some(_), Some(true)) => Kind::Thought,
            (Some(_), _) => Kind::Text,
        };
        let last = self.parts.last().map(|last| last.kind);
        if !first || kind == Kind::Other || last != Some(kind) {
            let at = self.text.len();
            self.parts.push(Begun { kind, at });
        }
    }

    /// The client gets what the model itself said.
    pub fn said(&mut self, text: &str) {
        // Most texts go on where the last one ended.
        if self.said_until != Some(self.end) {
            let (from, place) = (self.text.len(), self.end);
            self.runs.push(Run { from, place });
        }
        self.text.push_str(text);
        self.told(text);
        self.said_until = Some(self.end);
    }

    /// The client gets some other text.
    pub fn told(&mut self, text: &str) {
        self.end.at += characters(text);
    }

    /// A new message begins for the client.
    pub fn next_message(&mut self) {
        self.end = Place {
            message: self.end.message + 1,
            at: 0,
        };
    }

    /// Where the client is.
    pub fn end(&self) -> Place {
        self.end
    }

    // --- what Google tells ---

    /// Adds what Google tells of its sources. What was told before stays, also where this says
    /// less.
    pub fn learn(&mut self, grounding: &Grounding<'_>) {
        for query in grounding.web_search_queries.iter().flatten() {
            if !self.queries.iter().any(|known| **known == **query) {
                self.queries.push(query.to_string());
            }
        }
        let chunks = grounding.grounding_chunks.iter().flatten();
        let chunks: Vec<Option<usize>> = chunks.map(|chunk| self.number(chunk)).collect();
        if !chunks.is_empty() {
            self.chunks = chunks;
        }
        let mut supports = Vec::new();
        for support in grounding.grounding_supports.iter().flatten() {
            let Some(segment) = &support.segment else {
                continue;
            };
            let chunks = support.grounding_chunk_indices.iter().flatten();
            let sources = chunks.filter_map(|chunk| *self.chunks.get(*chunk)?);
            supports.push(Support {
                part: segment.part_index,
                bytes: segment.start_index..segment.end_index,
                words: segment.text.as_deref().unwrap_or_default().to_owned(),
                sources: sources.collect(),
            });
        }
        // What is told again may have grown since. Where the part is left out, others begin alike.
        let is_again = |old: &Support, new: &Support| {
            (old.part, old.bytes.start) == (new.part, new.bytes.start)
                && (new.words.starts_with(&*old.words) || old.words.starts_with(&*new.words))
        };
        self.supports
            .retain(|old| !supports.iter().any(|new| is_again(old, new)));
        self.supports.append(&mut supports);
    }

    /// The number of a source, new or known.
    fn number(&mut self, chunk: &GroundingChunk<'_>) -> Option<usize> {
        let source = chunk.source()?;
        let url = source.uri.as_deref()?;
        let title = source.title.as_deref().unwrap_or_default();
        let known = self.found.iter_mut().position(|known| {
            let is_it = known.url == url
                && (known.title == title || known.title.is_empty() || title.is_empty());
            if is_it && known.title.is_empty() {
                title.clone_into(&mut known.title);
            }
            is_it
        });
        known.or_else(|| {
            self.found.push(Source {
                url: url.to_owned(),
                title: title.to_owned(),
            });
            Some(self.found.len() - 1)
        })
    }

    // --- what to tell of it ---

    /// What was searched for.
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// What was found.
    pub fn found(&self) -> &[Source] {
        &self.found
    }

    /// Which words are from where.
    pub fn cited(&self) -> impl Iterator<Item = Cited<'_>> {
        self.supports.iter().flat_map(move |support| {
            let range = self.locate(support);
            let (from, to) = (self.place(range.start, false), self.place(range.end, true));
            let words = &self.text[range];
            support.sources.iter().map(move |source| Cited {
                source: &self.found[*source],
                words,
                from,
                to,
            })
        })
    }

    /// What was found and is not cited for any words.
    pub fn uncited(&self) -> impl Iterator<Item = &Source> {
        let cited = |number: usize| {
            let mut supports = self.supports.iter();
            supports.any(|support| support.sources.contains(&number))
        };
        let all = self.found.iter().enumerate();
        all.filter_map(move |(number, source)| (!cited(number)).then_some(source))
    }

    /// A list in Markdown, each address once, to stand behind the text.
    pub fn markdown(&self) -> Option<String> {
        aside::list(&self.found)
    }

    /// Where the words are in the model's text.
    fn locate(&self, support: &Support) -> Range<usize> {
        let named = support.part.and_then(|part| self.parts.get(part));
        let named = named.filter(|part| part.kind == Kind::Text);
        let own = self.parts.iter().filter(|part| part.kind == Kind::Text);
        let words = &*support.words;
        let stand_at = |at: usize| {
            let range = at..at.saturating_add(words.len());
            (self.text.get(range.clone()) == Some(words)).then_some(range)
        };
        let after = |part: &Begun| part.at.saturating_add(support.bytes.start);
        let by_words = named
            .into_iter()
            .chain(own)
            .find_map(|part| stand_at(after(part)))
            .or_else(|| stand_at(self.text.find(words)?));
        if let Some(range) = by_words.filter(|_| !words.is_empty()) {
            return range;
        }
        let from = named.map_or(0, |part| part.at);
        let place = |byte: usize| self.text.ceil_char_boundary(from.saturating_add(byte));
        let end = place(support.bytes.end);
        place(support.bytes.start).min(end)..end
    }

    /// Where a byte of the model's text stands for the client; `end`: what ends there.
    fn place(&self, byte: usize, end: bool) -> Place {
        let before = |run: &&Run| run.from < byte || (!end && run.from == byte);
        let run = self.runs.iter().rev().find(before).or(self.runs.first());
        run.map_or(self.end, |run| Place {
            message: run.place.message,
            at: run.place.at + characters(self.text.get(run.from..byte).unwrap_or_default()),
        })
    }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::response::Response;
    use super::*;
    use serde_json::{Value, json};

    /// Reads events; all text of the model stands in one message, thoughts in none.
    fn read(events: &[Value]) -> Sources {
        let mut sources = Sources::default();
        for event in events {
            let event = event.to_string();
            let mut candidate = Response::parse(event.as_bytes())
                .unwrap()
                .into_first_candidate()
                .unwrap();
            for (at, part) in candidate.take_parts().iter().enumerate() {
                sources.part(part, at == 0);
                match part.text.as_deref() {
                    Some(text) if part.thought != Some(true) => sources.said(text),
                    _ => sources.told("[code]"),
                }
            }
            if let Some(grounding) = &candidate.grounding_metadata {
                sources.learn(grounding);
            }
        }
        sources
    }

    fn event(parts: Value, grounding: Value) -> Value {
        json!({"candidates": [{"content": {"parts": parts}, "groundingMetadata": grounding}]})
    }

    fn cited(sources: &Sources) -> Vec<(usize, usize, &str, &str)> {
        let cited = sources.cited();
        cited
            .map(|it| (it.from.at, it.to.at, it.words, &*it.source.url))
            .collect()
    }

    #[test]
    fn what_is_told_in_pieces_or_again_adds_up() {
        let a = json!({"web": {"uri": "a", "title": "A"}});
        let b = json!({"web": {"uri": "b"}});
        let one = json!({"segment": {"endIndex": 3, "text": "One"}, "groundingChunkIndices": [0]});
        let grown =
            json!({"segment": {"endIndex": 4, "text": "One."}, "groundingChunkIndices": [0]});
        let two = json!({"segment": {"startIndex": 5, "endIndex": 9, "text": "Two."}, "groundingChunkIndices": [0, 1]});
        let sources = read(&[
            event(json!([]), json!({"webSearchQueries": ["q"]})),
            event(
                json!([{"text": "One."}]),
                json!({"groundingChunks": [a.clone()], "groundingSupports": [one]}),
            ),
            event(
                json!([{"text": " Two."}]),
                json!({"webSearchQueries": ["q", "r"], "groundingChunks": [a, b], "groundingSupports": [grown, two]}),
            ),
            event(json!([]), json!({"searchEntryPoint": {}})),
        ]);
        assert_eq!(sources.queries(), ["q", "r"]);
        assert_eq!(
            cited(&sources),
            [
                (0, 4, "One.", "a"),
                (5, 9, "Two.", "a"),
                (5, 9, "Two.", "b")
            ]
        );
        assert_eq!(sources.uncited().count(), 0);
    }

    #[test]
    fn words_that_begin_alike_in_other_parts_are_other_words() {
        let of = |uri: &str, words: &str| {
            json!({
                "groundingChunks": [{"web": {"uri": uri}}],
                "groundingSupports": [{
                    "segment": {"endIndex": words.len(), "text": words}, "groundingChunkIndices": [0],
                }],
            })
        };
        let sources = read(&[
            event(json!([{"text": "Hello"}]), of("a", "Hello")),
            event(json!([{"executableCode": {"code": "1"}}]), json!({})),
            event(json!([{"text": "So it is"}]), of("b", "So it")),
        ]);
        assert_eq!(
            cited(&sources),
            [(0, 5, "Hello", "a"), (11, 16, "So it", "b")]
        );
    }

    #[test]
    fn chunks_that_are_numbered_anew_are_not_mixed_up() {
        let of = |uri: &str, start: usize| {
            json!({
                "groundingChunks": [{"web": {"uri": uri}}],
                "groundingSupports": [{"segment": {"startIndex": start, "endIndex": start + 1}, "groundingChunkIndices": [0, 7]}],
            })
        };
        let sources = read(&[
            event(json!([{"text": "x"}]), of("a", 0)),
            event(json!([{"text": "y"}]), of("b", 1)),
        ]);
        assert_eq!(cited(&sources), [(0, 1, "x", "a"), (1, 2, "y", "b")]);
    }

    #[test]
    fn words_are_found_whatever_part_their_place_is_told_in() {
        let parts = json!([
            {"text": "Hm", "thought": true},
            {"text": "天气。"},
            {"executableCode": {"code": "1"}},
            {"text": "Dry, dry."},
        ]);
        let support = |segment: Value| json!({"groundingChunks": [{"web": {"uri": "a"}}], "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}]});
        // `[code]` stands for the thought and for the code.
        for (segment, at) in [
            (
                json!({"partIndex": 3, "startIndex": 5, "endIndex": 8, "text": "dry"}),
                20,
            ),
            // The part is left out, or wrong.
            (json!({"startIndex": 5, "endIndex": 8, "text": "dry"}), 20),
            (
                json!({"partIndex": 9, "startIndex": 5, "endIndex": 8, "text": "dry"}),
                20,
            ),
            // Bytes of the whole text.
            (json!({"startIndex": 14, "endIndex": 17, "text": "dry"}), 20),
            // Bytes of nothing.
            (
                json!({"startIndex": 999, "endIndex": 1000, "text": "dry"}),
                20,
            ),
            // Without the words.
            (json!({"partIndex": 3, "startIndex": 5, "endIndex": 8}), 20),
            (json!({"startIndex": 14, "endIndex": 17}), 20),
        ] {
            let sources = read(&[event(parts.clone(), support(segment.clone()))]);
            assert_eq!(cited(&sources), [(at, at + 3, "dry", "a")], "{segment}");
        }
        let sources = read(&[event(
            parts,
            support(json!({"startIndex": 1, "endIndex": 99})),
        )]);
        assert_eq!(cited(&sources)[0].1, 24, "the end");
    }
}
