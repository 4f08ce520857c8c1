//! What becomes of a request: its stations, in the server's order.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT, WARNING};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::fault::{self, Fault};
use super::resource::{self, Kind};
use super::rights::User;
use super::server::{self, Body, Closed};
use super::status::Failure;
use super::store::name;
use super::{SeenRequest, World, verbs};

/// The largest body that the server takes, in bytes.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    fn parse(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter; empty when it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    pub fn is_dry(&self) -> Result<bool, Failure> {
        match self.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Failure::bad_request(format!(
                "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }
}

/// How objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

impl Shape {
    fn asked(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        if accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata")) {
            Self::Metadata
        } else {
            Self::Whole
        }
    }

    pub fn of(self, object: &Value) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            }),
        }
    }
}

/// What a path means.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub kind: &'static Kind,
    /// Empty for all namespaces, or what has none.
    pub namespace: String,
    /// Empty for the collection.
    pub name: String,
    pub subresource: String,
}

impl Target {
    /// `pods/log`, as rights name it.
    fn resource(&self) -> String {
        if self.subresource.is_empty() {
            self.kind.plural.to_owned()
        } else {
            format!("{}/{}", self.kind.plural, self.subresource)
        }
    }
}

/// A path of the API.
enum Path {
    Object(Target),
    Review(&'static str),
    Plain(String),
}

/// Everything there is to know of a request.
pub(super) struct Asked<'a> {
    pub world: &'a Arc<World>,
    pub user: &'a User,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub query: &'a Query,
    pub body: &'a Bytes,
    pub shape: Shape,
}

impl Asked<'_> {
    /// Who is said to write: the parameter, or the program's name.
    pub fn manager(&self) -> String {
        match self.query.get("fieldManager") {
            "" => {
                let agent = self.headers.get(USER_AGENT);
                let agent = agent
                    .and_then(|agent| agent.to_str().ok())
                    .unwrap_or("unknown");
                agent.split('/').next().unwrap_or(agent).to_owned()
            }
            given => given.to_owned(),
        }
    }

    pub fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
    }

    /// The body as an object of JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(self.body).map_err(|error| {
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type Object): couldn't get \
                 version/kind; json parse error: {error}"
            ))
        })
    }
}

/// Answers a request.
pub(super) async fn respond(
    world: Arc<World>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, MAX_BODY).collect().await;
    // The client has gone, or its body is beyond any object.
    let body = body.map_err(|_| Closed)?.to_bytes();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let path = read_path(&world, parts.uri.path());
    let (user, id) = arrive(&world, &parts, &body);
    let verb = verb(&parts.method, &path, &query);
    let fault = {
        let (resource, name) = match &path {
            Path::Object(target) => (target.resource(), target.name.as_str()),
            Path::Review(plural) => ((*plural).to_owned(), ""),
            Path::Plain(path) => (path.clone(), ""),
        };
        fault::take(&mut world.inner.lock().rules, verb, &resource, name)
    };
    let mut lose = false;
    let wrong = match fault {
        None => None,
        Some(Fault::Slow(duration)) => {
            world.clock.sleep(duration).await;
            None
        }
        Some(Fault::LoseAnswer) => {
            lose = true;
            None
        }
        Some(Fault::Close) => return Err(Closed),
        Some(Fault::TooManyRequests { retry_after }) => {
            Some(Failure::too_many_requests(retry_after))
        }
        Some(Fault::Status(code)) => Some(Failure::usual(code)),
        Some(Fault::Conflict) => Some(match &path {
            Path::Object(target) => Failure::modified_meanwhile(target.kind, &target.name),
            Path::Review(_) | Path::Plain(_) => Failure::usual(409),
        }),
    };
    world.settle();
    let answer = match wrong {
        Some(failure) => Err(failure),
        None => answer(&world, user.as_ref(), &parts, &query, &body, &path, verb),
    };
    world.settle();
    let answer = answer.unwrap_or_else(|failure| server::failure(&failure));
    if lose {
        return Err(Closed);
    }
    let mut inner = world.inner.lock();
    if let Some(seen) = inner.seen.iter_mut().rfind(|seen| seen.id == id) {
        seen.status = Some(answer.status().as_u16());
    }
    drop(inner);
    Ok(answer)
}

/// Notes a request, and finds out whose it is.
fn arrive(
    world: &World,
    parts: &http::request::Parts,
    body: &Bytes,
) -> (Result<Option<User>, Failure>, u64) {
    let mut inner = world.inner.lock();
    let now = world.clock.now();
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let given = header(AUTHORIZATION);
    let user = match given.strip_prefix("Bearer ") {
        None if given.is_empty() => Ok(None),
        None => Err(Failure::unauthorized()),
        Some(token) => inner
            .users
            .iter()
            .find(|user| user.token == token && user.is_current(now))
            .cloned()
            .map(Some)
            .ok_or_else(Failure::unauthorized),
    };
    let id = inner.next_id;
    inner.next_id += 1;
    inner.seen.push(SeenRequest {
        id,
        at: now,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        user_agent: header(USER_AGENT),
        user: match &user {
            Ok(Some(user)) => user.name.clone(),
            Ok(None) | Err(_) => String::new(),
        },
        body: body.clone(),
        status: None,
    });
    drop(inner);
    world.seen.send_modify(|count| *count += 1);
    (user, id)
}

fn verb(method: &Method, path: &Path, query: &Query) -> &'static str {
    let one = match path {
        Path::Object(target) => !target.name.is_empty(),
        Path::Review(_) => return "create",
        Path::Plain(_) => true,
    };
    match method.as_str() {
        "GET" | "HEAD" if one => "get",
        "GET" | "HEAD" if query.get("watch") == "true" || query.get("watch") == "1" => "watch",
        "GET" | "HEAD" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if one => "delete",
        "DELETE" => "deletecollection",
        _ => "unknown",
    }
}

fn read_path(world: &World, path: &str) -> Path {
    let dialect = world.inner.lock().cluster.settings.dialect;
    let plain = || Path::Plain(path.to_owned());
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return plain(),
    };
    for review in [
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "selfsubjectreviews",
    ] {
        let of = if review == "selfsubjectreviews" {
            "authentication.k8s.io"
        } else {
            "authorization.k8s.io"
        };
        if (group, version, rest) == (of, "v1", &[review]) {
            return Path::Review(review);
        }
    }
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..]
            if !matches!(*plural, "status" | "finalize") =>
        {
            let mut all = vec![*plural];
            all.extend_from_slice(rest);
            (*namespace, all)
        }
        rest => ("", rest.to_vec()),
    };
    let (plural, name, subresource) = match rest.as_slice() {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return plain(),
    };
    let Some(kind) = resource::find(dialect, group, version, plural) else {
        return plain();
    };
    let known = match subresource {
        "" => true,
        "status" => kind.status,
        "scale" => kind.scale,
        "log" => kind.plural == "pods",
        _ => false,
    };
    if !known || (!name.is_empty() && kind.namespaced && namespace.is_empty()) {
        return plain();
    }
    Path::Object(Target {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    })
}

fn answer(
    world: &Arc<World>,
    user: Result<&Option<User>, &Failure>,
    parts: &http::request::Parts,
    query: &Query,
    body: &Bytes,
    path: &Path,
    verb: &str,
) -> Result<Response<Body>, Failure> {
    let user = user.map_err(Clone::clone)?;
    if let Path::Plain(path) = path
        && matches!(
            path.as_str(),
            "/version" | "/healthz" | "/livez" | "/readyz"
        )
    {
        return Ok(public(path));
    }
    let Some(user) = user else {
        return Err(Failure::new(
            403,
            "Forbidden",
            format!(
                "forbidden: User \"system:anonymous\" cannot {verb} path \"{}\"",
                parts.uri.path()
            ),
            json!({}),
        ));
    };
    let asked = Asked {
        world,
        user,
        method: &parts.method,
        headers: &parts.headers,
        query,
        body,
        shape: Shape::asked(&parts.headers),
    };
    match path {
        Path::Plain(path) => discovery(&asked, path),
        Path::Review(plural) => review(&asked, plural),
        Path::Object(target) => {
            let resource = target.resource();
            // Only members of the namespace's own kind may be asked for by a namespace's name.
            let place = if target.kind.plural == "namespaces" {
                &target.name
            } else {
                &target.namespace
            };
            user.must(verb, (target.kind.group, &resource), &target.name, place)?;
            verbs::carry_out(&asked, target, verb)
        }
    }
}

fn public(path: &str) -> Response<Body> {
    if path != "/version" {
        let mut response = server::json(200, &Value::Null);
        *response.body_mut() =
            http_body_util::Either::Left(http_body_util::Full::new(Bytes::from_static(b"ok")));
        return response;
    }
    server::json(
        200,
        &json!({
            "major": "1",
            "minor": "33",
            "emulationMajor": "1",
            "emulationMinor": "33",
            "minCompatibilityMajor": "1",
            "minCompatibilityMinor": "32",
            "gitVersion": "v1.33.4",
            "gitCommit": "74cdb4273f0a8a8eb1c0a11f9f4ffe8cf2a8ba4d",
            "gitTreeState": "clean",
            "buildDate": "2025-08-13T17:18:36Z",
            "goVersion": "go1.24.5",
            "compiler": "gc",
            "platform": "linux/amd64",
        }),
    )
}

fn discovery(asked: &Asked<'_>, path: &str) -> Result<Response<Body>, Failure> {
    if asked.method != Method::GET {
        return Err(Failure::no_such_path());
    }
    let dialect = asked.world.inner.lock().cluster.settings.dialect;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let accept = asked.headers.get(ACCEPT).and_then(|it| it.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("as=APIGroupDiscoveryList"))
        && let [root @ ("api" | "apis")] = parts.as_slice()
    {
        let all = resource::aggregated(dialect, *root == "api");
        let mut response = server::json(200, &all);
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static(
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
        );
        return Ok(response);
    }
    let found = match parts.as_slice() {
        ["api"] => Some(resource::core_versions(&asked.world.address.to_string())),
        ["apis"] => Some(resource::group_list(dialect)),
        ["api", version] => resource::resource_list(dialect, "", version),
        ["apis", group] => resource::group(dialect, group),
        ["apis", group, version] => resource::resource_list(dialect, group, version),
        _ => None,
    };
    found
        .map(|found| server::json(200, &found))
        .ok_or_else(Failure::no_such_path)
}

fn review(asked: &Asked<'_>, plural: &str) -> Result<Response<Body>, Failure> {
    if asked.method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let mut review = asked.json()?;
    let status = match plural {
        "selfsubjectaccessreviews" => asked.user.review(&review),
        "selfsubjectrulesreviews" => {
            let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
            if namespace.is_empty() {
                return Err(Failure::bad_request("no namespace on request"));
            }
            asked.user.rules(namespace)
        }
        _ => asked.user.info(),
    };
    if !review.is_object() {
        review = json!({});
    }
    review["status"] = status;
    Ok(server::json(201, &review))
}

/// Adds a warning that clients show, as the server does for fields it does not know.
pub(super) fn warn(response: &mut Response<Body>, text: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("299 - {text:?}")) {
        response.headers_mut().append(WARNING, value);
    }
}

/// A list of objects.
pub(super) fn list(
    kind: &Kind,
    shape: Shape,
    items: &[Arc<Value>],
    revision: u64,
    rest: Option<(String, usize)>,
) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let Some((token, left)) = rest {
        metadata["continue"] = json!(token);
        metadata["remainingItemCount"] = json!(left);
    }
    let (of, version) = match shape {
        Shape::Whole => (format!("{}List", kind.kind), kind.api_version()),
        Shape::Metadata => (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        ),
    };
    let items: Vec<Value> = items.iter().map(|item| shape.of(item)).collect();
    json!({"kind": of, "apiVersion": version, "metadata": metadata, "items": items})
}

/// `Success`, with what it is about.
pub(super) fn success(kind: &Kind, object: &Value) -> Value {
    let mut details = json!({
        "name": name(object),
        "kind": kind.plural,
        "uid": object["metadata"]["uid"],
    });
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}
