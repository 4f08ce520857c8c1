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
use super::owned::cannot_be_known;
use super::target::Target;
use super::{NOTHING, bucket, headers, parameter, passed_query};
use crate::memory::Unknown;
use crate::upstream::{Answer, At, Call, Expect, Whole};

/// The most pages of Google's that one of ours is made of.
const MOST_PAGES: usize = 50;
/// How many a page has when the client does not say; Google's of files have as many
/// (<https://ai.google.dev/api/files#method:-files.list>).
const USUAL: usize = 10;
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
    let passed = passed_query(asked);
    let is_page = |pair: &&str| pair.starts_with("pageToken") || pair.starts_with("page_token");
    let is_size = |pair: &&str| pair.starts_with("pageSize") || pair.starts_with("page_size");
    let pairs = || {
        passed
            .split('&')
            .filter(|pair| !pair.is_empty() && !is_page(pair))
    };
    let size = parameter(asked, &["pageSize", "page_size"]);
    let size = size.and_then(|size| size.parse::<usize>().ok());
    let mut keys = keys.into_iter().filter(|key| *key >= first).peekable();
    if keys.peek() != Some(&first) {
        token.clear();
    }
    let (mut lists, mut count, mut next) = (Lists::new(), 0, None);
    let (mut failed, mut listed) = (None, false);
    for _ in 0..MOST_PAGES {
        let Some(key) = keys.peek().copied() else {
            break;
        };
        let mut query: Vec<String> = match size {
            None => pairs().map(str::to_owned).collect(),
            Some(size) => {
                let others = pairs().filter(|pair| !is_size(pair)).map(str::to_owned);
                let left = size.saturating_sub(count);
                others.chain([format!("pageSize={left}")]).collect()
            }
        };
        if !token.is_empty() {
            let token = utf8_percent_encode(&token, NON_ALPHANUMERIC);
            query.push(format!("pageToken={token}"));
        }
        let query = query.join("&");
        let call = Call {
            method: http::Method::GET,
            path: &target.path,
            query: &query,
            model: "",
            counted_as: Some(bucket(target, false)),
            headers: headers(&parts.headers),
            body: NOTHING,
            expect: Expect::Anything,
            at: At::Only(key),
        };
        let answer = app.upstream.call(&app.core, &call, trace).await;
        let whole = match answer.map_err(|failure| Problem::of(failure, &app.core)) {
            Ok(Answer::Whole(whole)) => whole,
            Ok(_) => return Err(Problem::bug("a list streamed")),
            // What is at other keys is there all the same.
            Err(problem) => {
                failed = Some(problem);
                token.clear();
                keys.next();
                next = keys.peek().map(|key| format!("{PAGE}{key}."));
                continue;
            }
        };
        listed = true;
        let (found, more) = own(app, &whole.body, trace).await?;
        token = more.unwrap_or_default();
        if token.is_empty() {
            keys.next();
        }
        for (field, items) in found {
            count += items.len();
            lists.entry(field).or_default().extend(items);
        }
        next = keys.peek().map(|key| format!("{PAGE}{key}.{token}"));
        // An empty page makes some clients stumble.
        if count >= size.unwrap_or(USUAL).max(1) {
            break;
        }
    }
    if let Some(problem) = failed.filter(|_| !listed) {
        return Err(problem);
    }
    Ok(Whole {
        headers: HeaderMap::new(),
        body: write(&lists, next.as_deref())?.into(),
    })
}

/// The keys that are asked, in an order that stays: the client's home, and where else it has some.
/// Those that cannot be asked are left out.
async fn keys(app: &App, target: &Target, trace: &Trace) -> Result<Vec<i64>, Problem> {
    let home = files::home(app, trace)?;
    let owners = &app.core.owners;
    let mut keys = owners
        .keys(&app.core.store, trace.token_word(), target.collection())
        .await;
    keys.push(home);
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| files::check_key(app, *key, "", "").is_ok());
    Ok(keys)
}

fn read_token(token: &str) -> Option<(i64, String)> {
    let (key, token) = token.strip_prefix(PAGE)?.split_once('.')?;
    Some((key.parse().ok()?, token.to_owned()))
}

/// The lists in a page of Google's, by the names of their fields. Empty ones are left out, as Google
/// leaves them out.
type Lists = BTreeMap<String, Vec<Box<RawValue>>>;

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
        let owners = owners.map_err(|Unknown| cannot_be_known())?;
        let is_own = |name: &Option<String>| {
            let owner = name.as_ref().and_then(|name| owners.get(name));
            owner.is_some_and(|owner| *owner.client == *trace.token_word())
        };
        let own = named.iter().filter(|(name, _)| is_own(name));
        let own: Vec<Box<RawValue>> = own.map(|(_, item)| (*item).to_owned()).collect();
        if !own.is_empty() {
            lists.insert(field.clone().into_owned(), own);
        }
    }
    Ok((lists, next.filter(|next: &String| !next.is_empty())))
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
