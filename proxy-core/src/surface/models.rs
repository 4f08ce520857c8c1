//! The list of models, which every protocol has in a shape of its own.

use std::borrow::Cow;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::models::{Model, Page};
use http::{HeaderMap, Method, StatusCode};

use super::problem::Problem;
use super::trace::Trace;
use super::{App, admit, json, refuse};
use crate::Core;
use crate::upstream::{Answer, At, Call, Expect, Upstream};

/// Answers with what `write` makes of the models and of the time to give as theirs (seconds
/// since 1970); `None` means that the model asked for is not among them.
pub(super) async fn answer(
    app: &App,
    request: Request,
    surface: Surface,
    write: impl FnOnce(&[Model], i64) -> Option<Vec<u8>>,
) -> Response {
    let (parts, _) = request.into_parts();
    let mut trace = match admit(app, &parts, surface) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(surface),
    };
    let models = match app.core.list_models(&app.upstream).await {
        Ok(models) => models,
        Err(problem) => return refuse(trace, surface, &problem),
    };
    let shown: Cow<'_, [Model]> = match trace.hides_models() {
        false => Cow::Borrowed(&models),
        true => {
            let shown = models
                .iter()
                .filter(|model| trace.may_use(model.id()).is_ok());
            Cow::Owned(shown.cloned().collect())
        }
    };
    let Some(body) = write(&shown, app.core.started_at / 1000) else {
        let wanted = parts.uri.path().rsplit('/').next().unwrap_or_default();
        if app.core.settings().filters(wanted) {
            return refuse(trace, surface, &Problem::filtered(wanted));
        }
        return refuse(trace, surface, &Problem::no_such_model(wanted));
    };
    trace.first_byte();
    trace.succeed();
    json(StatusCode::OK, body)
}

/// The model that a path's last segment names.
pub(super) fn find<'a>(models: &'a [Model], path: &str) -> Option<&'a Model> {
    let id = path.rsplit('/').next()?;
    models.iter().find(|model| model.id() == id)
}

/// All models that Google lists.
pub(crate) async fn list(core: &Core, upstream: &Upstream) -> Result<Vec<Model>, Problem> {
    /// More pages than Google has ever had.
    const MOST_PAGES: usize = 20;
    let mut models = Vec::new();
    let mut query = "pageSize=1000".to_owned();
    for _ in 0..MOST_PAGES {
        let call = Call {
            method: Method::GET,
            path: "/models",
            query: &query,
            model: "",
            counted_as: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expect: Expect::Anything,
            at: At::Any,
        };
        let answer = match upstream.call(core, &call, &mut Trace::silent()).await {
            Ok(answer) => answer,
            // Express mode has no list.
            Err(_) if core.express.are_all(&core.pool) => return Ok(Page::known().models),
            Err(failure) => return Err(Problem::of(failure, core)),
        };
        let Answer::Whole(whole) = answer else {
            return Err(Problem::bug("a list streamed"));
        };
        let page = Page::parse(&whole.body)
            .map_err(|_| Problem::cut("Google's list of models cannot be read."))?;
        models.extend(page.models);
        let Some(next) = page.next_page_token.filter(|next| !next.is_empty()) else {
            break;
        };
        query = format!(
            "pageSize=1000&pageToken={}",
            percent_encoding::utf8_percent_encode(&next, percent_encoding::NON_ALPHANUMERIC)
        );
    }
    Ok(models)
}
