//! Which Gemini model answers for another vendor's.

/// Which Gemini model answers for a name, by patterns; the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelMap {
    /// Pattern (`*` stands for anything) and Gemini model.
    pub rows: Vec<(String, String)>,
}

/// The rows of [`ModelMap::default`]. All of them are models that free keys can use: a
/// default that needs a paid key would make Claude Code fail at its first word.
const DEFAULT_ROWS: [(&str, &str); 2] = [
    ("*claude*haiku*", "gemini-3.5-flash-lite"),
    ("*claude*", "gemini-3.8-flash"),
];

impl Default for ModelMap {
    fn default() -> Self {
        let owned = |(pattern, model): &(&str, &str)| ((*pattern).to_owned(), (*model).to_owned());
        Self {
            rows: DEFAULT_ROWS.iter().map(owned).collect(),
        }
    }
}

impl ModelMap {
    /// The model that answers for `name`: a row's, or `name` itself.
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.rows
            .iter()
            .find(|(pattern, _)| fits(pattern, name))
            .map_or(name, |(_, model)| model)
    }
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
