use contract::Millis;
use contract::admin::{CitationStyle, MediaStyle, ThoughtStyle, TokenRules};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use crate::app::use_lang;
use crate::controls::{Choice, Choices, TextField};
use crate::text::{Lang, Zone, number, wire_name};

/// How thoughts can reach a token's clients.
pub const THOUGHTS: [ThoughtStyle; 3] = [
    ThoughtStyle::Native,
    ThoughtStyle::Inline,
    ThoughtStyle::Hidden,
];

/// How media can reach them.
pub const MEDIA: [MediaStyle; 2] = [MediaStyle::Markdown, MediaStyle::Field];

/// How the sources of a search can reach them.
pub const CITATIONS: [CitationStyle; 2] = [CitationStyle::Native, CitationStyle::Text];

/// A limit that counts something: its name in texts and tests, the largest it can be, and
/// where it is in the rules.
struct Limit {
    name: &'static str,
    most: u64,
    read: fn(&TokenRules) -> Option<u64>,
    write: fn(&mut TokenRules, Option<u64>),
}

const LIMITS: [Limit; 4] = [
    Limit {
        name: "rpm",
        most: u32::MAX as u64,
        read: |rules| rules.rpm.map(u64::from),
        write: |rules, n| rules.rpm = small(n),
    },
    Limit {
        name: "rpd",
        most: u32::MAX as u64,
        read: |rules| rules.rpd.map(u64::from),
        write: |rules, n| rules.rpd = small(n),
    },
    Limit {
        name: "tokens_per_day",
        // What a double holds exactly: the window hands numbers on as such.
        most: 9_007_199_254_740_991,
        read: |rules| rules.tokens_per_day,
        write: |rules, n| rules.tokens_per_day = n,
    },
    Limit {
        name: "concurrency",
        most: u32::MAX as u64,
        read: |rules| rules.concurrency.map(u64::from),
        write: |rules, n| rules.concurrency = small(n),
    },
];

fn small(n: Option<u64>) -> Option<u32> {
    n.and_then(|n| u32::try_from(n).ok())
}

/// Rules as they stand in the fields of a form: unfinished, perhaps wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    expires: String,
    limits: [String; LIMITS.len()],
    models: String,
    thoughts: ThoughtStyle,
    media: MediaStyle,
    citations: CitationStyle,
    /// What was given, so that an expiry keeps its seconds when nobody touches it.
    given: Option<(String, Millis)>,
}

impl Draft {
    /// The fields for these rules.
    pub fn of(rules: &TokenRules, zone: &Zone) -> Self {
        let given = rules.expires_at.map(|at| (zone.to_input(at), at));
        Self {
            expires: given
                .as_ref()
                .map(|(text, _)| text.clone())
                .unwrap_or_default(),
            limits: LIMITS.map(|limit| {
                (limit.read)(rules)
                    .map(|n| n.to_string())
                    .unwrap_or_default()
            }),
            models: rules.models.join(", "),
            thoughts: rules.thoughts,
            media: rules.media,
            citations: rules.citations,
            given,
        }
    }

    /// The rules; none while a field is wrong.
    pub fn read(&self, zone: &Zone) -> Option<TokenRules> {
        let mut rules = TokenRules {
            expires_at: match (&self.expires, &self.given) {
                (text, _) if text.is_empty() => None,
                (text, Some((given, at))) if text == given => Some(*at),
                (text, _) => Some(zone.of_input(text)?),
            },
            models: self
                .models
                .split([',', '，', ';', ' ', '\n'])
                .map(|name| name.trim().trim_start_matches("models/"))
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            thoughts: self.thoughts,
            media: self.media,
            citations: self.citations,
            ..TokenRules::default()
        };
        for (limit, text) in LIMITS.iter().zip(&self.limits) {
            (limit.write)(&mut rules, counted(text, limit.most).ok()?);
        }
        Some(rules)
    }
}

/// A number from 1 on, however its thousands are set apart; nothing is no limit.
fn counted(text: &str, most: u64) -> Result<Option<u64>, ()> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ',' | '，' | ' ' | '_'))
        .collect();
    if digits.is_empty() {
        return Ok(None);
    }
    let n = digits.parse().map_err(|_| ())?;
    if (1..=most).contains(&n) {
        Ok(Some(n))
    } else {
        Err(())
    }
}

/// What a token may do, in words; nothing when it may do everything.
pub fn in_words(lang: Lang, rules: &TokenRules) -> Vec<AttrValue> {
    let mut words: Vec<AttrValue> = LIMITS
        .iter()
        .filter_map(|limit| {
            let n = (limit.read)(rules)?;
            Some(lang.n(&format!("tokens.limit.{}", limit.name), n))
        })
        .collect();
    if !rules.models.is_empty() {
        words.push(lang.f(
            "tokens.only_models",
            &[("models", &rules.models.join(", "))],
        ));
    }
    if rules.thoughts != ThoughtStyle::default() {
        let how = lang.of("thought_style", &rules.thoughts);
        words.push(lang.f("tokens.thoughts_are", &[("how", &how)]));
    }
    if rules.media != MediaStyle::default() {
        let how = lang.of("media_style", &rules.media);
        words.push(lang.f("tokens.media_are", &[("how", &how)]));
    }
    if rules.citations != CitationStyle::default() {
        let how = lang.of("citation_style", &rules.citations);
        words.push(lang.f("tokens.citations_are", &[("how", &how)]));
    }
    words
}

#[derive(PartialEq, Properties)]
pub struct RulesFieldsProps {
    /// What the fields' test ids begin with.
    pub id: AttrValue,
    pub draft: Draft,
    pub onchange: Callback<Draft>,
}

/// The fields of a token's rules.
#[component]
pub fn RulesFields(props: &RulesFieldsProps) -> Html {
    let lang = use_lang();
    let draft = &props.draft;
    let change = |set: fn(&mut Draft, String)| {
        let draft = draft.clone();
        props.onchange.reform(move |text: String| {
            let mut draft = draft.clone();
            set(&mut draft, text);
            draft
        })
    };
    let styles = |table: &str, names: Vec<String>| -> Vec<Choice> {
        names
            .into_iter()
            .map(|name| Choice {
                text: lang.t(&format!("{table}.{name}")),
                value: name.into(),
            })
            .collect()
    };
    html!(
        <div class="gb-fields">
            { for LIMITS.iter().zip(&draft.limits).enumerate().map(|(i, (limit, text))| {
                let problem = counted(text, limit.most).is_err().then(|| {
                    lang.f("tokens.not_a_number", &[("most", &number(limit.most))])
                });
                let oninput = {
                    let draft = draft.clone();
                    props.onchange.reform(move |text: String| {
                        let mut draft = draft.clone();
                        if let Some(field) = draft.limits.get_mut(i) {
                            *field = text;
                        }
                        draft
                    })
                };
                html!(
                    <TextField
                        key={limit.name}
                        id={format!("{}-{}", props.id, limit.name)}
                        label={lang.t(&format!("tokens.field.{}", limit.name))}
                        placeholder={lang.t("tokens.no_limit")}
                        value={text.clone()}
                        {problem}
                        {oninput}
                    />
                )
            }) }
            <TextField
                id={format!("{}-expires", props.id)}
                kind="datetime-local"
                label={lang.t("tokens.field.expires")}
                hint={lang.t("tokens.field.expires_hint")}
                value={draft.expires.clone()}
                oninput={change(|draft, text| draft.expires = text)}
            />
            <TextField
                id={format!("{}-models", props.id)}
                label={lang.t("tokens.field.models")}
                placeholder="gemini-2.5-*, gemini-3-pro"
                hint={lang.t("tokens.field.models_hint")}
                value={draft.models.clone()}
                oninput={change(|draft, text| draft.models = text)}
            />
            <Choices
                id={format!("{}-thoughts", props.id)}
                label={lang.t("tokens.field.thoughts")}
                choices={styles("thought_style", THOUGHTS.iter().map(wire_name).collect())}
                chosen={wire_name(&draft.thoughts)}
                onchange={change(|draft, name| {
                    let found = THOUGHTS.into_iter().find(|style| wire_name(style) == name);
                    draft.thoughts = found.unwrap_or_default();
                })}
            />
            <Choices
                id={format!("{}-media", props.id)}
                label={lang.t("tokens.field.media")}
                choices={styles("media_style", MEDIA.iter().map(wire_name).collect())}
                chosen={wire_name(&draft.media)}
                onchange={change(|draft, name| {
                    let found = MEDIA.into_iter().find(|style| wire_name(style) == name);
                    draft.media = found.unwrap_or_default();
                })}
            />
            <Choices
                id={format!("{}-citations", props.id)}
                label={lang.t("tokens.field.citations")}
                choices={styles("citation_style", CITATIONS.iter().map(wire_name).collect())}
                chosen={wire_name(&draft.citations)}
                onchange={change(|draft, name| {
                    let found = CITATIONS.into_iter().find(|style| wire_name(style) == name);
                    draft.citations = found.unwrap_or_default();
                })}
            />
        </div>
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc() -> Zone {
        Zone::new(|at| at)
    }

    #[test]
    fn rules_come_out_of_the_form_as_they_went_in() {
        let rules = TokenRules {
            expires_at: Some(1_800_000_012_345),
            rpm: Some(60),
            rpd: Some(1_000),
            tokens_per_day: Some(5_000_000_000),
            concurrency: Some(4),
            models: vec!["gemini-2.5-*".into(), "gemini-3-pro".into()],
            thoughts: ThoughtStyle::Hidden,
            media: MediaStyle::Field,
            citations: CitationStyle::Text,
        };
        let draft = Draft::of(&rules, &utc());
        assert_eq!(draft.read(&utc()), Some(rules));
        assert_eq!(
            Draft::default().read(&utc()),
            Some(TokenRules::default()),
            "an empty form is no limit at all"
        );
    }

    #[test]
    fn numbers_are_read_as_people_write_them_and_refused_when_they_are_none() {
        assert_eq!(counted(" 1,000 ", 9_999), Ok(Some(1_000)));
        assert_eq!(counted("1 000，000", 9_999_999), Ok(Some(1_000_000)));
        assert_eq!(counted("", 9), Ok(None));
        for text in ["0", "-1", "1.5", "ten", "10000"] {
            assert_eq!(counted(text, 9_999), Err(()), "{text}");
        }
        let wrong = Draft {
            limits: ["x", "", "", ""].map(str::to_owned),
            ..Draft::default()
        };
        assert_eq!(wrong.read(&utc()), None);
    }

    #[test]
    fn models_may_be_set_apart_in_any_way() {
        let draft = Draft {
            models: " models/a*,b；c\nd ，e".replace('；', ";"),
            ..Draft::default()
        };
        let models = draft.read(&utc()).unwrap().models;
        assert_eq!(models, ["a*", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_token_without_limits_has_nothing_to_tell() {
        assert!(in_words(Lang::En, &TokenRules::default()).is_empty());
        let rules = TokenRules {
            rpm: Some(1),
            tokens_per_day: Some(2_000_000),
            models: vec!["gemini-2.5-*".into()],
            ..TokenRules::default()
        };
        assert_eq!(
            in_words(Lang::En, &rules),
            [
                "1 request a minute",
                "2,000,000 tokens a day",
                "only gemini-2.5-*"
            ]
        );
        assert_eq!(in_words(Lang::Zh, &rules)[0], "每分钟 1 次请求");
    }
}
