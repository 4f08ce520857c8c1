use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use vault::Secret;

use super::parse::{Found, Rule, Value as _, refuse_placeholder};
use super::{Applies, Declaration, Kind, SettingError, Text};

/// Makes [`Settings`] and [`DECLARATIONS`] out of one table.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $name:literal $flag:literal $kind:expr, default $default:literal,
            $applies:ident $(, $secret:ident)? $(, check $check:expr)?;
            zh $zh_title:literal $zh:literal;
            en $en_title:literal $en:literal;
    )+) => {
        /// All settings, valid.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// Every setting there is, in the order in which they are shown.
        pub static DECLARATIONS: &[Declaration] = &[$(
            Declaration {
                name: $name,
                flag: $flag,
                kind: $kind,
                default: $default,
                applies: Applies::$applies,
                secret: settings!(@secret $($secret)?),
                title: Text { zh: $zh_title, en: $en_title },
                help: Text { zh: $zh, en: $en },
            },
        )+];

        impl Settings {
            /// Reads every setting that `get` knows by its name; others, and those that are
            /// empty, have their default.
            ///
            /// # Errors
            /// All values that are not acceptable, so that they can be mended in one go.
            pub fn load(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<SettingError>> {
                let mut errors = Vec::new();
                let mut declarations = DECLARATIONS.iter();
                $(
                    // The table and the struct come from the same macro: there is one for each.
                    let $field: Option<$type> = declarations.next().and_then(|declaration| {
                        let rules: &[Rule] = &[$($check)?];
                        let found = Found::new(declaration, get(declaration.name), rules);
                        <$type>::parse(&found).map_err(|error| errors.push(error)).ok()
                    });
                )+
                match ($($field,)+) {
                    ($(Some($field),)+) => Ok(Self { $($field,)+ }),
                    _ => Err(errors),
                }
            }
        }
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

settings! {
    /// The Gemini keys of the environment.
    api_keys: Vec<Secret> = "API_KEYS" "api-keys" Kind::List, default "", Restart, secret, check refuse_placeholder;
        zh "Gemini 密钥" "从环境变量提供的 Gemini API 密钥；也可以在面板里添加。";
        en "Gemini keys" "Gemini API keys given by the environment; more can be added in the panel.";
    /// The client tokens of the environment.
    allowed_tokens: Vec<Secret> = "ALLOWED_TOKENS" "allowed-tokens" Kind::List, default "", Restart, secret, check refuse_placeholder;
        zh "客户端令牌" "客户端（Cherry Studio、SDK 等）用来访问本服务的令牌；也可以在面板里创建。";
        en "Client tokens" "What clients (Cherry Studio, SDKs) send to be let in; more can be made in the panel.";
    /// A password for the panel; see [`Settings::panel_token`].
    auth_token: Option<Secret> = "AUTH_TOKEN" "auth-token" Kind::Text, default "", Restart, secret, check refuse_placeholder;
        zh "面板口令" "登录面板用的口令；留空时使用 ALLOWED_TOKENS 的第一个。";
        en "Panel token" "Signs in to the panel; when empty, the first of ALLOWED_TOKENS does.";
    /// How many hours a session of the panel lasts after it was last used.
    session_hours: u32 = "SESSION_HOURS" "session-hours" Kind::Integer(1, 8760), default "168", Restart;
        zh "登录有效期（小时）" "面板登录后，多少小时不使用就需要重新登录。";
        en "Session (hours)" "How many hours after its last use a session of the panel ends.";
    /// Google's API, without a slash at its end.
    base_url: String = "BASE_URL" "base-url" Kind::Url, default "https://generativelanguage.googleapis.com/v1beta", Restart;
        zh "上游地址" "Google Gemini API 的地址，含版本，例如 https://generativelanguage.googleapis.com/v1beta。";
        en "Google's address" "Where the Gemini API is, with its version, e.g. https://generativelanguage.googleapis.com/v1beta.";
    /// The address to listen on.
    host: IpAddr = "HOST" "host" Kind::Ip, default "127.0.0.1", Restart;
        zh "监听地址" "127.0.0.1 只允许本机访问；0.0.0.0 允许其他设备访问（容器需要）。";
        en "Listen on" "127.0.0.1 lets in this machine only; 0.0.0.0 other devices too (containers need it).";
    /// The port to listen on; 0 lets the system choose.
    port: u16 = "PORT" "port" Kind::Integer(0, 65535), default "8000", Restart;
        zh "端口" "监听端口；0 表示由系统选择。";
        en "Port" "The port to listen on; 0 lets the system choose.";
    /// The panel's own port; 0 when it is on the clients' port.
    admin_port: u16 = "ADMIN_PORT" "admin-port" Kind::Integer(0, 65535), default "0", Restart;
        zh "面板端口" "面板单独使用的端口；0 表示与客户端共用端口。";
        en "Panel port" "A port of its own for the panel; 0 puts it on the clients' port.";
    /// Where the database and the key file are.
    data_dir: PathBuf = "DATA_DIR" "data-dir" Kind::Folder, default "", Restart;
        zh "数据目录" "数据库和密钥文件所在的目录；容器里应当是持久卷。";
        en "Data folder" "Where the database and the key file are; in a container, a lasting volume.";
    /// The zone whose midnight begins a day in the statistics.
    time_zone: TimeZone = "TZ" "tz" Kind::TimeZone, default "", Restart;
        zh "时区" "统计以此时区的零点为一天的开始；留空使用系统时区。";
        en "Time zone" "Its midnight begins a day in the statistics; when empty, the system's.";
    /// What the master key is made from, instead of a key file.
    secret_key: Option<Secret> = "SECRET_KEY" "secret-key" Kind::Text, default "", Restart, secret;
        zh "主密钥" "用来加密数据库中的密钥：32 字节（十六进制或 base64），或至少 16 个字符的口令；留空时使用数据目录中的 master.key。";
        en "Master key" "Seals the keys in the database: 32 bytes (hexadecimal or base64) or a passphrase of 16 characters or more; when empty, the file master.key in the data folder does.";
    /// How many calls to Google one request may take.
    max_attempts: u32 = "MAX_RETRIES" "max-retries" Kind::Integer(1, 10), default "3", Restart;
        zh "最多尝试次数" "一个请求最多向 Google 尝试几次，每次换一个密钥。";
        en "Attempts" "How many times one request may be tried, each time with another key.";
    /// How long Google may be silent.
    timeout: Duration = "TIME_OUT" "time-out" Kind::Integer(1, 3600), default "300", Restart;
        zh "超时（秒）" "Google 多久没有任何响应就放弃。";
        en "Timeout (seconds)" "How long Google may stay silent before an attempt is given up.";
    /// The largest request body, in MiB.
    max_body_mb: u32 = "MAX_BODY_MB" "max-body-mb" Kind::Integer(1, 1024), default "100", Restart;
        zh "请求体上限（MB）" "超过此大小的请求会被拒绝；图片和音频会占用请求体。";
        en "Largest body (MB)" "Larger requests are refused; images and audio count.";
    /// How much is logged: `error`, `warn`, `info`, `debug` or `trace`.
    log_level: String = "LOG_LEVEL" "log-level" Kind::Choice(&["error", "warn", "info", "debug", "trace"]), default "info", Restart;
        zh "日志级别" "日志的详细程度。";
        en "Log level" "How much is logged.";
    /// What lets a program read `/metrics`.
    metrics_token: Option<Secret> = "METRICS_TOKEN" "metrics-token" Kind::Text, default "", Live, secret, check refuse_placeholder;
        zh "指标令牌" "读取 /metrics 用的令牌；留空时只有本机可以读取。";
        en "Metrics token" "What lets a program read /metrics; when empty, only this machine may.";
}

impl Settings {
    /// What signs in to the panel besides the password: `AUTH_TOKEN`, else the first of
    /// `ALLOWED_TOKENS`.
    pub fn panel_token(&self) -> Option<&Secret> {
        self.auth_token.as_ref().or(self.allowed_tokens.first())
    }

    /// How long a session lasts after it was last used.
    pub fn session_ms(&self) -> contract::Millis {
        contract::Millis::from(self.session_hours) * 60 * 60 * 1_000
    }

    /// The largest request body, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        usize::try_from(self.max_body_mb).map_or(usize::MAX, |mb| mb.saturating_mul(1024 * 1024))
    }

    /// The IANA name of the time zone; `UTC` when the system does not say.
    pub fn time_zone_name(&self) -> &str {
        self.time_zone.iana_name().unwrap_or("UTC")
    }
}
