//! What each of the original's settings becomes.

/// What one of the original's settings becomes.
pub(super) enum Becomes {
    /// Gemini keys.
    Keys,
    /// Client tokens.
    Tokens,
    /// The panel's password, and a client token.
    PanelToken,
    /// Our setting of this name, written in our way.
    Setting(&'static str, fn(&str) -> Result<String, &'static str>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}
use Becomes::{Keys, Nothing, PanelToken, Setting, Tokens};

const NOT_YET: &str = "this version has nothing like it yet; the value stays in the original's \
     table t_settings";
const KEYS_NOT_YET: &str = "such keys cannot be used by this version yet; they stay in the \
     original's table t_settings";
const BY_ITSELF: &str = "it is not needed here: this is done by itself";
const EVERY_REQUEST: &str =
    "requests are forwarded as clients write them, so this is theirs to say";

/// What the original's setting of this name becomes.
pub(super) fn of(name: &str) -> Becomes {
    match name {
        "API_KEYS" => Keys,
        "ALLOWED_TOKENS" => Tokens,
        "AUTH_TOKEN" => PanelToken,

        "BASE_URL" => Setting("BASE_URL", same),
        "CUSTOM_HEADERS" => Setting("CUSTOM_HEADERS", same),
        "MAX_RETRIES" => Setting("MAX_RETRIES", whole_number),
        "TIME_OUT" => Setting("TIME_OUT", whole_number),
        "TEST_MODEL" => Setting("TEST_MODEL", same),
        "FILTERED_MODELS" => Setting("FILTERED_MODELS", list),
        "LOG_LEVEL" => Setting("LOG_LEVEL", log_level),
        "ERROR_LOG_RECORD_REQUEST_BODY" => Setting("RECORD_BODIES", boolean),
        "AUTO_DELETE_ERROR_LOGS_DAYS" => Setting("ERROR_DETAIL_DAYS", whole_number),
        "AUTO_DELETE_REQUEST_LOGS_DAYS" => Setting("REQUEST_LOG_DAYS", whole_number),
        "ADMIN_SESSION_EXPIRE" => Setting("SESSION_HOURS", hours_of_seconds),

        "DATABASE_TYPE" => Setting("DATABASE_TYPE", same),
        "MYSQL_HOST" => Setting("MYSQL_HOST", same),
        "MYSQL_PORT" => Setting("MYSQL_PORT", same),
        "MYSQL_USER" => Setting("MYSQL_USER", same),
        "MYSQL_PASSWORD" => Setting("MYSQL_PASSWORD", same),
        "MYSQL_DATABASE" => Setting("MYSQL_DATABASE", same),
        "MYSQL_SOCKET" => Setting("MYSQL_SOCKET", same),
        "TZ" => Setting("TZ", same),
        "SQLITE_DATABASE" => Nothing(
            "our database is the file gemini-balance.db in DATA_DIR; the original's is only read",
        ),

        "VERTEX_API_KEYS" | "PAID_KEY" => Nothing(KEYS_NOT_YET),
        "MAX_FAILURES" => {
            Nothing("what Google says of a key decides whether it rests, not how often it failed")
        }
        "CHECK_INTERVAL_HOURS" => {
            Nothing("it is not needed here: a key that failed is tried again by itself when it may")
        }
        "TIMEZONE" => {
            Nothing("the original uses it for its schedule only; the statistics' days follow TZ")
        }
        "AUTO_DELETE_ERROR_LOGS_ENABLED" | "AUTO_DELETE_REQUEST_LOGS_ENABLED" => Nothing(
            "logs are always deleted after ERROR_DETAIL_DAYS and REQUEST_LOG_DAYS, which can be \
             years; the sums stay",
        ),
        "URL_NORMALIZATION_ENABLED"
        | "GITHUB_REPO_OWNER"
        | "GITHUB_REPO_NAME"
        | "ENABLE_TTS"
        | "OSS_ENDPOINT_INNER" => Nothing(BY_ITSELF),
        "SAFETY_SETTINGS"
        | "TOOLS_CODE_EXECUTION_ENABLED"
        | "URL_CONTEXT_ENABLED"
        | "URL_CONTEXT_MODELS"
        | "SHOW_SEARCH_LINK"
        | "SEARCH_MODELS"
        | "IMAGE_MODELS"
        | "SHOW_THINKING_PROCESS"
        | "THINKING_MODELS"
        | "THINKING_BUDGET_MAP" => Nothing(EVERY_REQUEST),
        "STREAM_OPTIMIZER_ENABLED"
        | "STREAM_MIN_DELAY"
        | "STREAM_MAX_DELAY"
        | "STREAM_SHORT_TEXT_THRESHOLD"
        | "STREAM_LONG_TEXT_THRESHOLD"
        | "STREAM_CHUNK_SIZE"
        | "FAKE_STREAM_ENABLED"
        | "FAKE_STREAM_EMPTY_DATA_INTERVAL_SECONDS" => Nothing(
            "streams go out as Google sends them, so there is nothing to slow down or to imitate",
        ),
        "VERTEX_EXPRESS_BASE_URL"
        | "PROXIES"
        | "PROXIES_USE_CONSISTENCY_HASH_BY_API_KEY"
        | "TTS_MODEL"
        | "TTS_VOICE_NAME"
        | "TTS_SPEED"
        | "CREATE_IMAGE_MODEL"
        | "UPLOAD_PROVIDER"
        | "SMMS_SECRET_TOKEN"
        | "PICGO_API_KEY"
        | "PICGO_API_URL"
        | "CLOUDFLARE_IMGBED_URL"
        | "CLOUDFLARE_IMGBED_AUTH_CODE"
        | "CLOUDFLARE_IMGBED_UPLOAD_FOLDER"
        | "OSS_ENDPOINT"
        | "OSS_ACCESS_KEY"
        | "OSS_ACCESS_KEY_SECRET"
        | "OSS_BUCKET_NAME"
        | "OSS_REGION"
        | "FILES_CLEANUP_ENABLED"
        | "FILES_CLEANUP_INTERVAL_HOURS"
        | "FILES_USER_ISOLATION_ENABLED" => Nothing(NOT_YET),
        _ => Nothing("the original has no setting of this name, nor has this program"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several with this type")]
fn same(text: &str) -> Result<String, &'static str> {
    Ok(text.to_owned())
}

/// Python's `bool`s and the words that the original takes.
#[expect(clippy::unnecessary_wraps, reason = "one of several with this type")]
fn boolean(text: &str) -> Result<String, &'static str> {
    let is_true = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "1" | "yes" | "on"
    );
    Ok(is_true.to_string())
}

/// `3`, and `3.0`, which JSON makes of it on some ways through the original's page.
fn whole_number(text: &str) -> Result<String, &'static str> {
    let whole = match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    };
    match whole.parse::<u64>() {
        Ok(number) => Ok(number.to_string()),
        Err(_) => Err("it is no whole number"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several with this type")]
fn list(text: &str) -> Result<String, &'static str> {
    Ok(crate::settings::list_items(text).join(","))
}

/// Python's levels.
#[expect(clippy::unnecessary_wraps, reason = "one of several with this type")]
fn log_level(text: &str) -> Result<String, &'static str> {
    let level = text.to_ascii_lowercase();
    Ok(match level.as_str() {
        "critical" | "fatal" => "error".to_owned(),
        "warning" => "warn".to_owned(),
        _ => level,
    })
}

/// Sessions there end an hour after signing in unless somebody says otherwise, here after
/// their last use: the default says nothing.
fn hours_of_seconds(text: &str) -> Result<String, &'static str> {
    const THEIR_DEFAULT: u64 = 3600;
    const OUR_DEFAULT: u64 = 168;
    let seconds: u64 = whole_number(text)?
        .parse()
        .map_err(|_| "it is no whole number")?;
    let hours = match seconds {
        THEIR_DEFAULT => OUR_DEFAULT,
        seconds => seconds.div_ceil(3600),
    };
    Ok(hours.to_string())
}
