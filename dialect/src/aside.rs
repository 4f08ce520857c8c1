//! What stands in the text although the model did not say it, for clients that look nowhere else:
//! thoughts before the answer and a list of sources behind it ([`crate::style`]). Where a client
//! sends the text back, thoughts at its beginning and the list are taken out again, else the model
//! would read them as its words.

use std::borrow::Cow;

use crate::gemini::sources::Source;

/// What begins thoughts inside the text.
pub(crate) const THINK: &str = "<think>\n";
/// What ends them.
pub(crate) const THOUGHT: &str = "\n</think>\n\n";

/// What begins a list of sources: a line across, as no model writes it, so that a list of its own
/// stays its own.
const RULE: &str = "\n\n- - -\n\n";

/// The sources as a list in Markdown, each address once.
pub(crate) fn list(sources: &[Source]) -> Option<String> {
    let mut listed: Vec<&str> = Vec::new();
    let mut list = RULE.to_owned();
    for Source { url, title } in sources {
        if listed.contains(&&**url) {
            continue;
        }
        listed.push(url);
        let title = match &**title {
            "" => url,
            title => title,
        };
        let title = title.replace('[', "\\[").replace(']', "\\]");
        let url = url.replace('(', "%28").replace(')', "%29");
        list.push_str(&format!("{}. [{title}]({url})\n", listed.len()));
    }
    (!listed.is_empty()).then_some(list)
}

/// The text without what the model did not say. Clients trim texts.
pub(crate) fn own_words(text: Cow<'_, str>) -> Cow<'_, str> {
    let own = before_list(after_thoughts(&text));
    if own.len() == text.len() {
        return text;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(before_list(after_thoughts(text))),
        Cow::Owned(text) => Cow::Owned(before_list(after_thoughts(&text)).to_owned()),
    }
}

fn after_thoughts(text: &str) -> &str {
    let thoughts = text.trim_start().strip_prefix(THINK);
    thoughts
        .and_then(|rest| rest.split_once(THOUGHT.trim_end()))
        .map_or(text, |(_, own)| own.trim_start_matches('\n'))
}

fn before_list(text: &str) -> &str {
    // An answer that is nothing but a list has lost its first line breaks.
    let (own, list) = match text.rsplit_once(RULE) {
        Some(divided) => divided,
        None => match text.trim_start().strip_prefix(RULE.trim_start()) {
            Some(list) => ("", list),
            None => return text,
        },
    };
    let is_entry = |(number, line): (usize, &str)| {
        let entry = line.strip_prefix(&format!("{}. [", number + 1));
        entry.is_some_and(|rest| rest.ends_with(')') && rest.contains("]("))
    };
    let list = list.trim_end();
    match !list.is_empty() && list.lines().enumerate().all(is_entry) {
        true => own,
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_into_the_text_is_taken_out_again() {
        let source = |url: &str, title: &str| Source {
            url: url.to_owned(),
            title: title.to_owned(),
        };
        let sources = [
            source("https://a.example/x_(y)", "A [1]"),
            source("https://b.example", ""),
            source("https://a.example/x_(y)", "again"),
        ];
        let list = list(&sources).unwrap();
        assert_eq!(
            list,
            "\n\n- - -\n\n1. [A \\[1\\]](https://a.example/x_%28y%29)\n\
             2. [https://b.example](https://b.example)\n"
        );
        let own = "An answer.\n\n- - -\n\n1. not a link";
        for shown in [
            own.to_owned(),
            format!("{own}{list}"),
            format!("{THINK}Let me see.{THOUGHT}{own}{list}"),
            format!("{THINK}Let me see.{THOUGHT}{own}{}", list.trim_end()),
        ] {
            assert_eq!(own_words((&*shown).into()), own, "{shown}");
            assert_eq!(own_words(shown.into()), own);
        }
        let thoughts = format!("{THINK}Let me see.{THOUGHT}");
        assert_eq!(own_words(thoughts.trim().into()), "");
        assert_eq!(own_words(list.trim().into()), "");
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "",
            "<think>\nnever ended",
            "I write <think>\nx\n</think>\n\ny",
            "The links:\n\n---\n\n1. [b](c)",
            "a\n\n- - -\n\n",
            "a\n\n- - -\n\n2. [b](c)",
            "a\n\n- - -\n\n1. [b](c)\nand more",
        ] {
            assert_eq!(own_words(text.into()), text);
        }
    }
}
