//! What a page shows, kept in the address behind its `?`, so that a link, the back button
//! and a reload show the same again. The same words are the query of the admin API.

use serde::Serialize;
use serde::de::DeserializeOwned;
use yew::{AttrValue, Callback, hook, use_callback};
use yew_router::hooks::{use_location, use_navigator};
use yew_router::query::{FromQuery, ToQuery};

use crate::app::Route;

/// A page or a path of the admin API with its query, e.g. `#/requests?result=failed`.
pub fn with_query(page: &str, query: &impl Serialize) -> AttrValue {
    match query.to_query() {
        Ok(text) if !text.is_empty() => format!("{page}?{text}").into(),
        _ => page.to_owned().into(),
    }
}

/// What the address says behind its `?`; everything absent when that cannot be read, as in
/// a link that somebody has mangled.
pub fn read_query<Q: DeserializeOwned + Default>(text: &str) -> Q {
    let text = text.strip_prefix('?').unwrap_or(text);
    Q::from_query(text).unwrap_or_default()
}

/// What the address of a page says, and a way to say something else, which the back
/// button takes back.
#[hook]
pub fn use_query<Q>(route: Route) -> (Q, Callback<Q>)
where
    Q: Serialize + DeserializeOwned + Default + PartialEq + 'static,
{
    let query = use_location().map_or_else(Q::default, |at| read_query(at.query_str()));
    let navigator = use_navigator();
    let say = use_callback((route, navigator), |query: Q, (route, navigator)| {
        let Some(navigator) = navigator else { return };
        if query == Q::default() {
            navigator.push(route);
        } else {
            // It fails only for queries that cannot be written as one, and ours can.
            let _ = navigator.push_with_query(route, &query);
        }
    });
    (query, say)
}

#[cfg(test)]
mod tests {
    use contract::admin::{RequestQuery, RequestResult, StatsQuery, StatsRange, Surface};

    use super::*;

    #[test]
    fn a_link_and_what_it_was_made_from_say_the_same() {
        let query = RequestQuery {
            from: Some(1_795_573_805_000),
            token: Some(-2),
            model: Some("a&b=<c> #?\u{4e2d}".into()),
            surface: Some(Surface::Anthropic),
            result: Some(RequestResult::Failed),
            status: Some(429),
            search: Some("50% off + more".into()),
            ..RequestQuery::default()
        };
        let link = with_query("#/requests", &query);
        let (page, text) = link.split_once('?').unwrap();
        assert_eq!(page, "#/requests");
        assert!(!text.contains(['<', '>', ' ', '#']), "{text}");
        assert_eq!(read_query::<RequestQuery>(text), query);
    }

    #[test]
    fn nothing_said_needs_no_question_mark() {
        assert_eq!(
            with_query("/api/requests", &RequestQuery::default()),
            "/api/requests"
        );
    }

    #[test]
    fn a_mangled_link_shows_everything() {
        for text in ["?status=abc", "?nobody=1", "?range=century", "?%"] {
            assert_eq!(read_query::<RequestQuery>(text), RequestQuery::default());
            assert_eq!(read_query::<StatsQuery>(text).range, StatsRange::Day);
        }
    }
}
