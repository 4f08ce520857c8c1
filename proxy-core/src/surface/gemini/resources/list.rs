//! Lists of a client's resources: of all keys that it has some at, and of no other client's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::super::problem::Problem;
use super::super::super::trace::Trace;
use super::super::super::{App, files};
use super::target::Target;
use super::{NOTHING, bucket, headers, parameter, passed_query};
use crate::upstream::{Answer, At, Call, Expect, Whole};

/// The most pages of Google's that one of ours is made of.
const MOST_PAGES: usize = 50;
/// Begins our tokens of a page, which say the key and Google's token.
const PAGE: &str = "gb";

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The next page that has something of the client's, in Google's form.
pub(super) async fn list(
    app: &App,
    (parts, target): (&Parts, &Target),
    trace: &mut Trace,
) -> Result<Whole, Problem> {
    let asked = parts.uri.query().unwrap_or_default();
    let keys = keys(app, target, trace).await?;
    let (first, mut token) = match parameter(asked, &["pageToken", "page_token"]) {
        None => (i64::MIN, String::new()),
        Some(token) if token.is_empty() => (i64::MIN, token),
        Some(token) => read_token(&token).ok_or_else(|| {
            Problem::bad_request("The page token is none of this list. Begin with no token.")
        })?,
    };
    let others: Vec<String> = passed_query(asked)
        .split('&')
        .filter(|pair| {
            !pair.is_empty() && !pair.starts_with("page")
                || pair.starts_with("pageSize")
                || pair.starts_with("page_size")
        })
        .map(str::to_owned)
        .collect();
    let mut keys = keys.into_iter().filter(|key| *key >= first).peekable();
    if keys.peek() != Some(&first) {
        token.clear();
    }
    let mut page = empty(target);
    for _ in 0..MOST_PAGES {
        let Some(key) = keys.peek().copied() else {
            break;
        };
        let mut query = others.clone();
        if !token.is_empty() {
            query.push(format!(
                "pageToken={}",
                utf8_percent_encode(&token, NON_ALPHANUMERIC)
            ));
        }
        let query = query.join("&");
        let call = Call {
            method: http::Method::GET,
            path: &target.path,
            query: &query,
            model: bucket(target),
            headers: headers(&parts.headers),
            body: NOTHING,
            expect: Expect::Anything,
            at: At::Only(key),
        };
        let answer = app.upstream.call(&app.core, &call, trace).await;
        let Answer::Whole(whole) = answer.map_err(|failure| Problem::of(failure, &app.core))?
        else {
            return Err(Problem::bug("a list streamed"));
        };
        let (found, next) = own(app, &whole.body, trace).await?;
        token = next.unwrap_or_default();
        if token.is_empty() {
            keys.next();
        }
        let next = keys.peek().map(|key| format!("{PAGE}{key}.{token}"));
        let is_last = next.is_none();
        let has_some = found.iter().any(|(_, items)| !items.is_empty());
        page = write(&found, next.as_deref())?;
        if has_some || is_last {
            break;
        }
    }
    Ok(Whole {
        headers: HeaderMap::new(),
        body: page.into(),
    })
}

/// The keys that are asked, in an order that stays: the client's home, and where else it has some.
/// Those that cannot be asked are left out.
async fn keys(app: &App, target: &Target, trace: &Trace) -> Result<Vec<i64>, Problem> {
    let home = files::home(app, trace)?;
    let others = app
        .core
        .store
        .resource_keys(trace.token_word(), target.collection());
    let mut keys = others.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the keys of resources cannot be read");
        Vec::new()
    });
    keys.push(home);
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| files::check_key(app, *key, "resource").is_ok());
    Ok(keys)
}

fn read_token(token: &str) -> Option<(i64, String)> {
    let (key, token) = token.strip_prefix(PAGE)?.split_once('.')?;
    Some((key.parse().ok()?, token.to_owned()))
}

/// The lists in a page of Google's, by the names of their fields.
type Lists = Vec<(String, Vec<Box<RawValue>>)>;

/// What of a page is the client's, and Google's token of the next.
async fn own(app: &App, page: &[u8], trace: &Trace) -> Result<(Lists, Option<String>), Problem> {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = match page.trim_ascii() {
        b"" => BTreeMap::new(),
        page => serde_json::from_slice(page)
            .map_err(|error| Problem::cut(&format!("Google's list cannot be read: {error}.")))?,
    };
    let next = fields.get("nextPageToken");
    let next = next.and_then(|next| serde_json::from_str(next.get()).ok());
    let mut lists = Lists::new();
    for (field, list) in &fields {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
            continue;
        };
        let named: Vec<(Option<String>, &RawValue)> = items
            .into_iter()
            .map(|item| {
                let name = serde_json::from_str::<Item<'_>>(item.get());
                (name.ok().map(|item| item.name.into_owned()), item)
            })
            .collect();
        let names: Vec<&str> = named
            .iter()
            .filter_map(|(name, _)| name.as_deref())
            .collect();
        let owners = app.core.owners.find(&app.core.store, &names).await;
        let is_own = |name: &Option<String>| {
            let owner = name.as_ref().and_then(|name| owners.get(name));
            owner.is_some_and(|owner| *owner.client == *trace.token_word())
        };
        let own = named.iter().filter(|(name, _)| is_own(name));
        let own = own.map(|(_, item)| (*item).to_owned()).collect();
        lists.push((field.clone().into_owned(), own));
    }
    Ok((lists, next.filter(|next: &String| !next.is_empty())))
}

fn empty(target: &Target) -> Vec<u8> {
    let field = match target.collection() {
        "batches" => "operations",
        collection => collection,
    };
    format!("{{\"{field}\":[]}}").into_bytes()
}

fn write(lists: &Lists, next: Option<&str>) -> Result<Vec<u8>, Problem> {
    let bug = |_| Problem::bug("a list cannot be written as JSON");
    let mut page = BTreeMap::new();
    for (field, items) in lists {
        page.insert(field.as_str(), to_raw_value(items).map_err(bug)?);
    }
    if let Some(next) = next {
        page.insert("nextPageToken", to_raw_value(next).map_err(bug)?);
    }
    serde_json::to_vec(&page).map_err(bug)
}
