//! Names of models as clients write them: which Gemini model answers for another vendor's, and
//! what the endings of a name ask for.
//!
//! Clients that know no field for thinking or for searching have one for the model. So a name
//! may end in what is wanted (`gemini-2.5-flash-high`, `gemini-3.8-flash-nothinking-search`);
//! what a request says in a field of its own counts more.

use std::cmp::Reverse;

use crate::error::Invalid;
use crate::gemini::models::{bare, without_prefix};
use crate::gemini::request::ThinkingConfig;
use crate::gemini::{Effort, Thinking};

/// Which Gemini model answers for a name, by patterns. The most specific that fits counts: one
/// without `*`, else the one with the most other characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelMap {
    /// Pattern (`*` stands for anything) and Gemini model; the most specific first.
    rows: Vec<(String, String)>,
}

/// What a name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// What its endings ask for.
    pub endings: Endings,
}

/// What the endings of a name ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// `-search`: Google's search is on.
    pub search: bool,
    /// `-nothinking`, `-non-thinking`, `-thinking`, `-thinking-2048`, `-high` and the like.
    pub thinking: Option<Amount>,
}

/// What only some models can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Images.
    Draw,
    /// Speech.
    Speak,
    /// Transcripts of speech.
    Hear,
}

impl Work {
    /// Whether the model, by its name, can do it.
    fn fits(self, model: &str) -> bool {
        let is = |kind| model.contains(kind);
        match self {
            Self::Draw => is("image"),
            Self::Speak => is("-tts"),
            Self::Hear => {
                let others = ["image", "-tts", "-live", "embedding"];
                model.starts_with("gemini") && !others.into_iter().any(is)
            }
        }
    }
}

/// How much to think, by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// By a word.
    Effort(Effort),
    /// In tokens.
    Tokens(i64),
}

impl Amount {
    /// The nearest setting that the model takes; `None` when there is nothing to set.
    pub(crate) fn config(self, model: &str) -> Option<ThinkingConfig<'static>> {
        let family = Thinking::of(model);
        match self {
            Self::Effort(effort) => family.for_effort(effort),
            Self::Tokens(tokens) => family.for_budget(tokens),
        }
    }
}

/// The rows of [`ModelMap::default`]. All but the one for images are models that free keys can
/// use: a default that needs a paid key would make Claude Code fail at its first word.
const DEFAULT_ROWS: [(&str, &str); 12] = [
    ("*claude*haiku*", "gemini-3.5-flash-lite"),
    ("*claude*", "gemini-3.8-flash"),
    ("gpt-*", "gemini-3.8-flash"),
    ("gpt-*mini*", "gemini-3.5-flash-lite"),
    ("gpt-*nano*", "gemini-3.5-flash-lite"),
    ("gpt-image*", "gemini-3.1-flash-image"),
    ("chatgpt-*", "gemini-3.8-flash"),
    ("codex-*", "gemini-3.8-flash"),
    ("o1*", "gemini-3.8-flash"),
    ("o3*", "gemini-3.8-flash"),
    ("o4*", "gemini-3.8-flash"),
    ("text-embedding-*", "gemini-embedding-001"),
];

impl Default for ModelMap {
    fn default() -> Self {
        let owned = |(pattern, model): &(&str, &str)| ((*pattern).to_owned(), (*model).to_owned());
        Self::new(DEFAULT_ROWS.iter().map(owned))
    }
}

impl ModelMap {
    /// A map of these rows, in whatever order: pattern and model.
    pub fn new(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut rows: Vec<(String, String)> = rows.into_iter().collect();
        rows.sort_by_cached_key(|(pattern, _)| {
            let stars = pattern.matches('*').count();
            (stars > 0, Reverse(pattern.len() - stars), pattern.clone())
        });
        Self { rows }
    }

    /// Pattern and model of each row, the most specific first.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows
            .iter()
            .map(|(pattern, model)| (&**pattern, &**model))
    }

    /// The model that answers for `name`: a row's, or `name` itself.
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.row(name).unwrap_or(name)
    }

    /// The model that does `work` for `name`, where a row says so: one without `*`, which leads
    /// where its user wants, else the most specific whose model can do it. So a row for all that
    /// begins with `gpt-` leads no speech to a model that cannot speak.
    ///
    /// # Errors
    /// When the row's model can be no name of a Gemini model.
    pub(crate) fn worker(&self, name: &str, work: Work) -> Result<Option<String>, Invalid> {
        let name = without_prefix(name);
        let mut rows = self.rows.iter().filter(|(pattern, _)| fits(pattern, name));
        let row = rows.find(|(pattern, model)| pattern == name || work.fits(model));
        row.map(|(_, model)| bare(of_google(model).0)).transpose()
    }

    fn row(&self, name: &str) -> Option<&str> {
        let mut rows = self.rows.iter();
        let (_, model) = rows.find(|(pattern, _)| fits(pattern, name))?;
        Some(model)
    }

    /// What a client's `model` says. A row for the whole name comes first, then its endings are
    /// taken off; a row's model may have endings, too.
    ///
    /// # Errors
    /// When what is left can be no name of a Gemini model.
    pub fn read(&self, requested: &str) -> Result<Named, Invalid> {
        let name = without_prefix(requested);
        let exact = self.rows.iter().find(|(pattern, _)| pattern == name);
        let (base, own) = match exact {
            Some(_) => (name, Endings::default()),
            None => take_off(name),
        };
        if let Some(target) = self.row(base) {
            let (model, theirs) = of_google(target);
            return Ok(Named {
                model: bare(model)?,
                endings: own.or(theirs),
            });
        }
        let (model, endings) = match is_googles(base) {
            true => (base, own),
            // An ending that we do not know to be one.
            false => (self.resolve(name), Endings::default()),
        };
        Ok(Named {
            model: bare(model)?,
            endings,
        })
    }
}

impl Endings {
    fn or(self, other: Self) -> Self {
        Self {
            search: self.search || other.search,
            thinking: self.thinking.or(other.thinking),
        }
    }
}

/// Whether the endings of a name are ours to read: only Gemini's models think and search.
fn is_googles(name: &str) -> bool {
    name.starts_with("gemini") && !name.contains("-live")
}

/// A model of Google's without its endings.
fn of_google(name: &str) -> (&str, Endings) {
    let (base, endings) = take_off(name);
    match is_googles(base) {
        true => (base, endings),
        false => (name, Endings::default()),
    }
}

/// A name without what its endings ask for.
fn take_off(name: &str) -> (&str, Endings) {
    let mut endings = Endings::default();
    let mut rest = name;
    loop {
        if let Some(base) = rest.strip_suffix("-search").filter(|_| !endings.search) {
            endings.search = true;
            rest = base;
        } else if let Some((base, amount)) = amount(rest).filter(|_| endings.thinking.is_none()) {
            endings.thinking = Some(amount);
            rest = base;
        } else {
            return (rest, endings);
        }
    }
}

/// What the last ending says of thinking, and the name without it.
fn amount(name: &str) -> Option<(&str, Amount)> {
    const OFF: [&str; 3] = ["-nothinking", "-non-thinking", "-no-thinking"];
    const WORDS: [(&str, Effort); 6] = [
        ("minimal", Effort::Minimal),
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("xhigh", Effort::Xhigh),
        ("high", Effort::High),
        ("max", Effort::Xhigh),
    ];
    let effort = |base, effort| Some((base, Amount::Effort(effort)));
    if let Some(base) = OFF.iter().find_map(|ending| name.strip_suffix(ending)) {
        return effort(base, Effort::None);
    }
    if let Some(base) = name.strip_suffix("-thinking") {
        return effort(base, Effort::Auto);
    }
    let (base, last) = name.rsplit_once('-')?;
    if let Some(base) = base.strip_suffix("-thinking")
        && let Ok(tokens) = last.parse::<u32>()
    {
        return Some((base, Amount::Tokens(tokens.into())));
    }
    let (_, word) = WORDS.iter().find(|(word, _)| *word == last)?;
    effort(base.strip_suffix("-thinking").unwrap_or(base), *word)
}

fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = name.find(piece) else {
            return false;
        };
        name = &name[at + piece.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> (String, bool, Option<Amount>) {
        let Named { model, endings } = ModelMap::default().read(name).unwrap();
        (model, endings.search, endings.thinking)
    }

    #[test]
    fn endings_are_read_off_geminis_and_mapped_names_only() {
        use Amount::{Effort as By, Tokens};
        use Effort::{Auto, High, Low, None as Off, Xhigh};
        let flash = "gemini-2.5-flash";
        for (name, model, search, thinking) in [
            ("gemini-2.5-flash", flash, false, None),
            ("models/gemini-2.5-flash-search", flash, true, None),
            ("gemini-2.5-flash-nothinking", flash, false, Some(By(Off))),
            ("gemini-2.5-flash-non-thinking", flash, false, Some(By(Off))),
            ("gemini-2.5-flash-thinking", flash, false, Some(By(Auto))),
            ("gemini-2.5-flash-thinking-0", flash, false, Some(Tokens(0))),
            ("gemini-2.5-flash-thinking-low", flash, false, Some(By(Low))),
            ("gemini-2.5-flash-high-search", flash, true, Some(By(High))),
            ("gemini-2.5-flash-search-high", flash, true, Some(By(High))),
            ("gemini-2.5-flash-max", flash, false, Some(By(Xhigh))),
            // Numbers that belong to the name.
            ("gemini-2.5-flash-001", "gemini-2.5-flash-001", false, None),
            (
                "gemini-3.8-live-extended-thinking",
                "gemini-3.8-live-extended-thinking",
                false,
                None,
            ),
            (
                "gemini-2.5-flash-image",
                "gemini-2.5-flash-image",
                false,
                None,
            ),
            ("gpt-5-high", "gemini-3.8-flash", false, Some(By(High))),
            ("gpt-5.1-codex-mini", "gemini-3.5-flash-lite", false, None),
            ("o4-mini", "gemini-3.8-flash", false, None),
            ("my-search", "my-search", false, None),
            ("gemma-3-27b-it", "gemma-3-27b-it", false, None),
        ] {
            assert_eq!(read(name), (model.to_owned(), search, thinking), "{name}");
        }
        assert!(ModelMap::default().read("a/b").is_err());
    }

    #[test]
    fn a_row_leads_to_a_model_that_can_do_the_work_unless_it_is_for_the_very_name() {
        use Work::{Draw, Hear, Speak};
        let usual = ModelMap::default();
        let owned = |(pattern, model): (&str, &str)| (pattern.to_owned(), model.to_owned());
        let own = ModelMap::new(
            [
                ("gpt-*", "gemini-2.5-pro-low"),
                ("gpt-*tts*", "gemini-2.5-flash-preview-tts"),
                ("dall-e*", "models/gemini-3-pro-image"),
                ("tts-1", "gemini-unheard-of"),
                ("*", "gemma-3-27b-it"),
            ]
            .map(owned),
        );
        for (map, name, work, model) in [
            (&usual, "gpt-image-1", Draw, Some("gemini-3.1-flash-image")),
            (
                &usual,
                "gpt-image-1-mini",
                Draw,
                Some("gemini-3.1-flash-image"),
            ),
            (&usual, "chatgpt-image-latest", Draw, None),
            (&usual, "gpt-4o-mini-tts", Speak, None),
            (&usual, "tts-1", Speak, None),
            (
                &usual,
                "gpt-4o-mini-transcribe",
                Hear,
                Some("gemini-3.5-flash-lite"),
            ),
            (&usual, "whisper-1", Hear, None),
            (&own, "dall-e-3", Draw, Some("gemini-3-pro-image")),
            (&own, "gpt-image-1", Draw, None),
            (
                &own,
                "gpt-4o-mini-tts",
                Speak,
                Some("gemini-2.5-flash-preview-tts"),
            ),
            (&own, "models/tts-1", Speak, Some("gemini-unheard-of")),
            (&own, "gpt-4o-transcribe", Hear, Some("gemini-2.5-pro")),
            (&own, "whisper-1", Hear, None),
        ] {
            let found = map.worker(name, work).unwrap();
            assert_eq!(found.as_deref(), model, "{name}");
        }
    }

    #[test]
    fn the_most_specific_row_counts_and_its_endings_with_it() {
        let rows = [
            ("gpt-*", "gemini-3.8-flash-low"),
            ("gpt-5*", "gemini-2.5-pro"),
            ("gpt-5-high", "gemini-3.1-pro-preview"),
            ("gemini-2.5-pro", "gemini-3.8-flash"),
        ];
        let owned = |(pattern, model): (&str, &str)| (pattern.to_owned(), model.to_owned());
        let map = ModelMap::new(rows.map(owned));
        let read = |name: &str| map.read(name).unwrap();
        let low = Some(Amount::Effort(Effort::Low));
        let high = Some(Amount::Effort(Effort::High));
        for (name, model, thinking) in [
            ("gpt-4o", "gemini-3.8-flash", low),
            ("gpt-4o-high", "gemini-3.8-flash", high),
            ("gpt-5.1", "gemini-2.5-pro", None),
            ("gpt-5-high", "gemini-3.1-pro-preview", None),
            ("gemini-2.5-pro-high", "gemini-3.8-flash", high),
        ] {
            let named = read(name);
            assert_eq!(
                (&*named.model, named.endings.thinking),
                (model, thinking),
                "{name}"
            );
        }
    }
}
