//! The settings of the original program (snailyp/gemini-balance), and what each is here.
//!
//! One table, read by the import of a `.env`, by the takeover of its database, and by the
//! test that writes `docs/settings.md`. Deliberately absent: reading the original's
//! database, and any of its code or texts.

use super::{Text, list_items};

/// One setting of the original.
#[derive(Debug)]
pub struct OriginalSetting {
    /// Its name there.
    pub name: &'static str,
    /// Its default there, in the way in which the program keeps it in its database: it writes
    /// all it knows back there, so a value that equals this was nobody's choice.
    pub default: &'static str,
    /// What becomes of it.
    pub becomes: Becomes,
}

impl OriginalSetting {
    /// Whether a value is the default there, however it is written.
    pub fn is_default(&self, value: &str) -> bool {
        is_same(value, self.default)
    }
}

/// Whether two values of the original are the same: as JSON, as a list, or as a text in which
/// only capitals differ.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let (one, other) = (one.trim(), other.trim());
    if one.eq_ignore_ascii_case(other)
        || matches!((json(one), json(other)), (Some(a), Some(b)) if a == b)
    {
        return true;
    }
    // Numbers as Python prints them (`300.0`).
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other).is_eq(),
        (Err(_), Err(_)) => other.starts_with('[') && list_items(one) == list_items(other),
        _ => false,
    }
}

/// What becomes of a setting of the original.
#[derive(Clone, Copy, Debug)]
pub enum Becomes {
    /// A setting here, whose value is written the same way or translated.
    Setting {
        /// Its name here.
        name: &'static str,
        /// Translates a value as the original writes it; one that makes no sense comes back
        /// as it is, so that it is refused with its reason.
        translate: fn(&str) -> String,
    },
    /// Gemini keys, which are no setting here but a list in the panel.
    Keys,
    /// Client tokens, likewise.
    Tokens,
    /// Nothing, and why.
    Nothing(Text),
}

/// What the original's name stands for; `None` when it had no such setting.
pub fn original(name: &str) -> Option<&'static OriginalSetting> {
    ORIGINAL.iter().find(|setting| setting.name == name)
}

const fn same(name: &'static str, default: &'static str) -> OriginalSetting {
    becomes(name, default, name, as_it_is)
}

const fn becomes(
    name: &'static str,
    default: &'static str,
    ours: &'static str,
    translate: fn(&str) -> String,
) -> OriginalSetting {
    OriginalSetting {
        name,
        default,
        becomes: Becomes::Setting {
            name: ours,
            translate,
        },
    }
}

const fn nothing(name: &'static str, default: &'static str, reason: Text) -> OriginalSetting {
    OriginalSetting {
        name,
        default,
        becomes: Becomes::Nothing(reason),
    }
}

const FILE: Text = Text {
    zh: "SQLite 数据库文件的位置由 DATA_DIR 决定。",
    en: "The SQLite file is in the folder that DATA_DIR names.",
};
const ROUTING: Text = Text {
    zh: "不需要：客户端常用的各种路径都直接可用。",
    en: "Not needed: the paths that clients use all work as they are.",
};
const HEALTH: Text = Text {
    zh: "不需要：密钥的状态由 Google 的答复决定，额度用完的密钥会冷却到额度恢复，被拒绝的密钥会停用。",
    en: "Not needed: what Google answers decides about a key. One without quota rests until it \
         has some again, one that is refused is no longer used.",
};
const BOUND: Text = Text {
    zh: "不需要：每个密钥总是固定使用同一个代理，重启后也不变。",
    en: "Not needed: each key always uses the same proxy, also after a restart.",
};
const BY_REQUEST: Text = Text {
    zh: "不需要：由客户端在每个请求里决定，并原样转发给 Google。",
    en: "Not needed: the client says so in each request, which is passed on to Google as it is.",
};
const SUFFIXES: Text = Text {
    zh: "不需要列表：任何 Gemini 模型名都可以带后缀（-search、-nothinking、-thinking-2048、-high 等）；\
         能生成图片的模型直接使用。",
    en: "No lists are needed: every Gemini model can be asked with endings (-search, -nothinking, \
         -thinking-2048, -high and others), and those that draw are used as they are.",
};
const SEARCH_LINKS: Text = Text {
    zh: "改为在面板里按客户端令牌设置搜索来源的呈现方式。",
    en: "Chosen for each client token in the panel: how the sources of a search are shown.",
};
const SHOWN_BY_TOKEN: Text = Text {
    zh: "改为在面板里按客户端令牌设置思考过程和媒体的呈现方式。",
    en: "Chosen for each client token in the panel: how thoughts and media are shown.",
};
const SPEECH: Text = Text {
    zh: "不需要：已支持 OpenAI 语音接口（/v1/audio/speech），模型、音色和语速由客户端在请求中指定。",
    en: "Not needed: OpenAI's speech route (/v1/audio/speech) works, and model, voice and speed \
         are in each request.",
};
const IMAGES: Text = Text {
    zh: "不需要：Google 已停用 Imagen。OpenAI 图像接口（/v1/images/generations、/v1/images/edits）由\
         能生成图片的 Gemini 模型回答，见 MODEL_MAP；付费密钥在“密钥”页标记。",
    en: "Not needed: Google has shut Imagen down. OpenAI's images routes (/v1/images/generations, \
         /v1/images/edits) are answered by Gemini models that draw, see MODEL_MAP; paid keys are \
         marked on the Keys page.",
};
const IMAGE_HOSTS: Text = Text {
    zh: "不支持图床：图片直接在答复里返回，不会发给第三方。",
    en: "Pictures go back in the answer and to no third party, so there are no image hosts.",
};
const STREAMS: Text = Text {
    zh: "不需要：平滑输出的节奏由 STREAM_CHUNK_SIZE 和 STREAM_DELAY_MS 决定，积压时自动加快。",
    en: "Not needed: the pace of smooth streams is that of STREAM_CHUNK_SIZE and STREAM_DELAY_MS, \
         faster when much is waiting.",
};
const SCHEDULE: Text = Text {
    zh: "不需要：原版只用它安排定时任务；统计的时区见 TZ。",
    en: "Not needed: there it only times scheduled jobs. For the statistics' time zone see TZ.",
};
const UPDATES: Text = Text {
    zh: "不需要：服务器不自动检查更新。",
    en: "Not needed: the server does not look for updates.",
};
const ALWAYS_LIMITED: Text = Text {
    zh: "不需要：日志总是按天数和大小清理，见 REQUEST_LOG_DAYS、ERROR_DETAIL_DAYS、DATABASE_LIMIT_MB。",
    en: "Not needed: logs are always limited by age and size, see REQUEST_LOG_DAYS, \
         ERROR_DETAIL_DAYS and DATABASE_LIMIT_MB.",
};
const FILES: Text = Text {
    zh: "不需要：Google 会在 48 小时后自动删除文件，每个客户端令牌也只看得到自己的文件。",
    en: "Not needed: Google deletes files after 48 hours itself, and every client token sees its \
         own files only.",
};

/// Every setting of the original (v2.2.8), in its order.
pub static ORIGINAL: &[OriginalSetting] = &[
    same("DATABASE_TYPE", "mysql"),
    nothing("SQLITE_DATABASE", "default_db", FILE),
    same("MYSQL_HOST", ""),
    same("MYSQL_PORT", "3306"),
    same("MYSQL_USER", ""),
    same("MYSQL_PASSWORD", ""),
    same("MYSQL_DATABASE", ""),
    same("MYSQL_SOCKET", ""),
    OriginalSetting {
        name: "API_KEYS",
        default: "[]",
        becomes: Becomes::Keys,
    },
    OriginalSetting {
        name: "ALLOWED_TOKENS",
        default: "[]",
        becomes: Becomes::Tokens,
    },
    same("AUTH_TOKEN", ""),
    same(
        "BASE_URL",
        "https://generativelanguage.googleapis.com/v1beta",
    ),
    same("CUSTOM_HEADERS", "{}"),
    OriginalSetting {
        name: "VERTEX_API_KEYS",
        default: "[]",
        becomes: Becomes::Keys,
    },
    same(
        "VERTEX_EXPRESS_BASE_URL",
        "https://aiplatform.googleapis.com/v1beta1/publishers/google",
    ),
    nothing("URL_NORMALIZATION_ENABLED", "false", ROUTING),
    nothing("MAX_FAILURES", "3", HEALTH),
    becomes("TIME_OUT", "300", "TIME_OUT", whole_number),
    becomes("MAX_RETRIES", "3", "MAX_RETRIES", attempts),
    same("PROXIES", "[]"),
    nothing("PROXIES_USE_CONSISTENCY_HASH_BY_API_KEY", "true", BOUND),
    same("TEST_MODEL", "gemini-2.5-flash-lite"),
    nothing(
        "IMAGE_MODELS",
        r#"["gemini-2.0-flash-exp","gemini-2.5-flash-image-preview"]"#,
        SUFFIXES,
    ),
    nothing(
        "SEARCH_MODELS",
        r#"["gemini-2.5-flash","gemini-2.5-pro"]"#,
        SUFFIXES,
    ),
    same(
        "FILTERED_MODELS",
        r#"["gemini-1.0-pro-vision-latest","gemini-pro-vision","chat-bison-001","text-bison-001","embedding-gecko-001"]"#,
    ),
    nothing("TOOLS_CODE_EXECUTION_ENABLED", "false", BY_REQUEST),
    nothing("URL_CONTEXT_ENABLED", "false", BY_REQUEST),
    nothing(
        "URL_CONTEXT_MODELS",
        r#"["gemini-2.5-pro","gemini-2.5-flash","gemini-2.5-flash-lite","gemini-2.0-flash","gemini-2.0-flash-live-001"]"#,
        BY_REQUEST,
    ),
    nothing("SHOW_SEARCH_LINK", "true", SEARCH_LINKS),
    nothing("SHOW_THINKING_PROCESS", "true", SHOWN_BY_TOKEN),
    nothing("THINKING_MODELS", "[]", SUFFIXES),
    nothing("THINKING_BUDGET_MAP", "{}", BY_REQUEST),
    nothing(
        "SAFETY_SETTINGS",
        r#"[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"},{"category":"HARM_CATEGORY_HATE_SPEECH","threshold":"OFF"},{"category":"HARM_CATEGORY_SEXUALLY_EXPLICIT","threshold":"OFF"},{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","threshold":"OFF"},{"category":"HARM_CATEGORY_CIVIC_INTEGRITY","threshold":"BLOCK_NONE"}]"#,
        BY_REQUEST,
    ),
    nothing("TTS_MODEL", "gemini-2.5-flash-preview-tts", SPEECH),
    nothing("TTS_VOICE_NAME", "Zephyr", SPEECH),
    nothing("TTS_SPEED", "normal", SPEECH),
    nothing("PAID_KEY", "", IMAGES),
    nothing("CREATE_IMAGE_MODEL", "imagen-3.0-generate-002", IMAGES),
    nothing("UPLOAD_PROVIDER", "smms", IMAGE_HOSTS),
    nothing("SMMS_SECRET_TOKEN", "", IMAGE_HOSTS),
    nothing("PICGO_API_KEY", "", IMAGE_HOSTS),
    nothing(
        "PICGO_API_URL",
        "https://www.picgo.net/api/1/upload",
        IMAGE_HOSTS,
    ),
    nothing("CLOUDFLARE_IMGBED_URL", "", IMAGE_HOSTS),
    nothing("CLOUDFLARE_IMGBED_AUTH_CODE", "", IMAGE_HOSTS),
    nothing("CLOUDFLARE_IMGBED_UPLOAD_FOLDER", "", IMAGE_HOSTS),
    nothing("OSS_ENDPOINT", "", IMAGE_HOSTS),
    nothing("OSS_ENDPOINT_INNER", "", IMAGE_HOSTS),
    nothing("OSS_ACCESS_KEY", "", IMAGE_HOSTS),
    nothing("OSS_ACCESS_KEY_SECRET", "", IMAGE_HOSTS),
    nothing("OSS_BUCKET_NAME", "", IMAGE_HOSTS),
    nothing("OSS_REGION", "", IMAGE_HOSTS),
    same("STREAM_OPTIMIZER_ENABLED", "false"),
    nothing("STREAM_MIN_DELAY", "0.016", STREAMS),
    becomes("STREAM_MAX_DELAY", "0.024", "STREAM_DELAY_MS", milliseconds),
    nothing("STREAM_SHORT_TEXT_THRESHOLD", "10", STREAMS),
    nothing("STREAM_LONG_TEXT_THRESHOLD", "50", STREAMS),
    becomes("STREAM_CHUNK_SIZE", "5", "STREAM_CHUNK_SIZE", whole_number),
    same("FAKE_STREAM_ENABLED", "false"),
    becomes(
        "FAKE_STREAM_EMPTY_DATA_INTERVAL_SECONDS",
        "5",
        "STREAM_HEARTBEAT_SECONDS",
        whole_number,
    ),
    nothing("CHECK_INTERVAL_HOURS", "1", HEALTH),
    nothing("TIMEZONE", "Asia/Shanghai", SCHEDULE),
    nothing("GITHUB_REPO_OWNER", "snailyp", UPDATES),
    nothing("GITHUB_REPO_NAME", "gemini-balance", UPDATES),
    becomes("LOG_LEVEL", "INFO", "LOG_LEVEL", log_level),
    becomes(
        "ERROR_LOG_RECORD_REQUEST_BODY",
        "false",
        "RECORD_BODIES",
        as_it_is,
    ),
    nothing("AUTO_DELETE_ERROR_LOGS_ENABLED", "true", ALWAYS_LIMITED),
    becomes(
        "AUTO_DELETE_ERROR_LOGS_DAYS",
        "7",
        "ERROR_DETAIL_DAYS",
        whole_number,
    ),
    nothing("AUTO_DELETE_REQUEST_LOGS_ENABLED", "false", ALWAYS_LIMITED),
    becomes(
        "AUTO_DELETE_REQUEST_LOGS_DAYS",
        "30",
        "REQUEST_LOG_DAYS",
        whole_number,
    ),
    nothing("FILES_CLEANUP_ENABLED", "true", FILES),
    nothing("FILES_CLEANUP_INTERVAL_HOURS", "1", FILES),
    nothing("FILES_USER_ISOLATION_ENABLED", "true", FILES),
    becomes(
        "ADMIN_SESSION_EXPIRE",
        "3600",
        "SESSION_HOURS",
        seconds_as_hours,
    ),
];

fn as_it_is(value: &str) -> String {
    value.trim().to_owned()
}

/// A number that the original may have stored as Python prints it (`300.0`).
fn whole_number(value: &str) -> String {
    let value = value.trim();
    value.strip_suffix(".0").unwrap_or(value).to_owned()
}

/// Seconds with a fraction in whole milliseconds, at least one.
fn milliseconds(value: &str) -> String {
    match value.trim().parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => {
            format!("{:.0}", (seconds * 1_000.0).round().max(1.0))
        }
        _ => as_it_is(value),
    }
}

/// There, 0 attempts let every request fail; nobody wants that back.
fn attempts(value: &str) -> String {
    match whole_number(value) {
        none if none == "0" => "1".to_owned(),
        number => number,
    }
}

/// Python's words for it.
fn log_level(value: &str) -> String {
    match value.trim().to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        "notset" => "trace".to_owned(),
        other => other.to_owned(),
    }
}

/// Whole hours, at least as long.
fn seconds_as_hours(value: &str) -> String {
    match whole_number(value).parse::<u32>() {
        Ok(seconds) => seconds.div_ceil(3600).max(1).to_string(),
        Err(_) => as_it_is(value),
    }
}
