//! How the admin API reads bodies and says what went wrong; an extension does it the same way.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use contract::{ApiError, ErrorCode};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// The largest body: an import of many thousand keys.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// An error on its way to the panel.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    error: ApiError,
}

/// What a handler gives.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// An error of `code` with its explanation.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError::new(code, message).into()
    }

    /// The request's content is not acceptable.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidInput, message)
    }

    /// The path is there, and does not know the method.
    pub fn wrong_method() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error: ApiError::new(
                ErrorCode::InvalidInput,
                "This path does not know that method; /api/openapi.json lists all.",
            ),
        }
    }
}

/// The HTTP status of each code; an extension of the admin API uses the same.
pub fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NotSignedIn => StatusCode::UNAUTHORIZED,
        ErrorCode::WrongPassword
        | ErrorCode::PasswordAgain
        | ErrorCode::SecondFactorNeeded
        | ErrorCode::WrongSecondFactor
        | ErrorCode::WrongSetupCode
        | ErrorCode::ForeignOrigin => StatusCode::FORBIDDEN,
        ErrorCode::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::SetupRequired
        | ErrorCode::Changed
        | ErrorCode::Busy
        | ErrorCode::SealingKeyNeeded
        | ErrorCode::NameTaken
        | ErrorCode::ChangedThere => StatusCode::CONFLICT,
        ErrorCode::WeakPassword
        | ErrorCode::InvalidInput
        | ErrorCode::PassphraseNeeded
        | ErrorCode::WrongPassphrase
        | ErrorCode::ImageRefused => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::NoKeyAvailable | ErrorCode::Database => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Upstream
        | ErrorCode::AccountRefused
        | ErrorCode::CardNeeded
        | ErrorCode::QuotaExceeded
        | ErrorCode::Provider
        | ErrorCode::Unreachable => StatusCode::BAD_GATEWAY,
        // The rest belongs to the desktop's commands and does not come from here.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self {
            status: status_of(error.code),
            error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let error = ApiError::from(error);
        if error.code == ErrorCode::Database {
            tracing::error!(%error, "the admin API cannot use the database");
        }
        error.into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry_after = self.error.retry_after_seconds;
        let mut response = (self.status, Json(self.error)).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A JSON body. Reading one wants `Content-Type: application/json`, which a form of another
/// site cannot send.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| {
                Failure::invalid(format!(
                    "The body is larger than {} MB or broke off; send it in parts.",
                    BODY_LIMIT / 1024 / 1024
                ))
            })?;
        parse(&body, &path).map(Self)
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes, path: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        // What serde says may quote a value, and values here can be secrets.
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() {
            format!("does not have the fields that /api/openapi.json describes for {path}")
        } else {
            "is not JSON".to_owned()
        };
        Failure::invalid(format!("The body {what} (line {line}, column {column})."))
    })
}

/// Whether the headers announce a JSON body.
pub fn is_json(headers: &http::HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What is said to a body that is none.
pub fn not_json() -> Failure {
    Failure::invalid("The body must be sent with the header Content-Type: application/json.")
}

/// What a query says, as the fields of a type.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|_| {
                Failure::invalid(format!(
                    "The query does not have the parameters that /api/openapi.json describes \
                     for {}.",
                    parts.uri.path()
                ))
            })
    }
}

/// The number in a path.
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(id)| Self(id))
            .map_err(|_| Failure::new(ErrorCode::NotFound, "What is addressed is not a number."))
    }
}

/// The name in a path.
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|_| Failure::new(ErrorCode::NotFound, "What is addressed has no such name."))
    }
}
