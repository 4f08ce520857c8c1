use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::Millis;
use contract::admin::{Applies, SettingGroup};
use dialect::ModelMap;
use jiff::tz::TimeZone;
use vault::Secret;

use crate::egress::Proxies;

use super::parse::{
    CustomHeaders, Found, ModelFallbacks, ModelLimits, Rule, Value as _, model_name,
    refuse_placeholder,
};
use super::{Declaration, Kind, SettingError, Text};
use crate::pool::{Rules, Strategy};

/// Makes [`Settings`] and [`DECLARATIONS`] out of one table.
///
/// The word after the default says when a change takes effect: `Live`, or `Environment` for
/// what is needed before the database is open and therefore comes from nowhere else.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $group:ident $name:literal $flag:literal $kind:expr,
            default $default:literal, $applies:ident $($secret:ident)? $(, check $check:expr)?;
            zh $zh_title:literal $zh:literal;
            en $en_title:literal $en:literal;
    )+) => {
        /// All settings, valid.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
            /// What was given for each setting that was, as it was written.
            given: BTreeMap<&'static str, Secret>,
        }

        /// Every setting there is, in the order in which they are shown.
        pub static DECLARATIONS: &[Declaration] = &[$(
            Declaration {
                name: $name,
                flag: $flag,
                group: SettingGroup::$group,
                kind: $kind,
                default: $default,
                applies: settings!(@applies $applies),
                environment_only: settings!(@environment_only $applies),
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
                let mut given = BTreeMap::new();
                let mut declarations = DECLARATIONS.iter();
                $(
                    // The table and the struct come from the same macro: there is one for each.
                    let $field: Option<$type> = declarations.next().and_then(|declaration| {
                        let rules: &[Rule] = &[$($check)?];
                        let found = Found::new(declaration, get(declaration.name), rules);
                        if let Some(text) = found.given() {
                            given.insert(declaration.name, Secret::from(text));
                        }
                        <$type>::parse(&found).map_err(|error| errors.push(error)).ok()
                    });
                )+
                match ($($field,)+) {
                    ($(Some($field),)+) => Self { $($field,)+ given }.fit_together(),
                    _ => Err(errors),
                }
            }
        }
    };
    (@secret) => { false };
    (@secret secret) => { true };
    (@applies Live) => { Applies::Live };
    (@applies Environment) => { Applies::Restart };
    (@environment_only Live) => { false };
    (@environment_only Environment) => { true };
}

settings! {
    /// The Gemini keys of the environment.
    api_keys: Vec<Secret> = Access "API_KEYS" "api-keys" Kind::List,
        default "", Environment secret, check refuse_placeholder;
        zh "Gemini 密钥" "从环境变量提供的 Gemini API 密钥；也可以在面板里添加。";
        en "Gemini keys" "Gemini API keys given by the environment; more can be added in the panel.";
    /// The keys of Vertex AI's express mode of the environment; [`Settings::api_keys`] has them, too.
    vertex_api_keys: Vec<Secret> = Access "VERTEX_API_KEYS" "vertex-api-keys" Kind::List,
        default "", Environment secret, check refuse_placeholder;
        zh "Vertex Express 密钥" "从环境变量提供的 Vertex AI express 模式密钥。也可以和 Gemini 密钥一起填写或在面板里添加：每把密钥属于哪一种，由 Google 的答复决定。";
        en "Vertex Express keys" "Keys of Vertex AI's express mode given by the environment. They may also stand among the Gemini keys or be added in the panel: which kind a key is, Google is asked.";
    /// The client tokens of the environment.
    allowed_tokens: Vec<Secret> = Access "ALLOWED_TOKENS" "allowed-tokens" Kind::List,
        default "", Environment secret, check refuse_placeholder;
        zh "客户端令牌" "客户端（Cherry Studio、SDK 等）用来访问本服务的令牌；也可以在面板里创建。";
        en "Client tokens" "What clients (Cherry Studio, SDKs) send to be let in; more can be made in the panel.";
    /// A password for the panel; see [`Settings::panel_token`].
    auth_token: Option<Secret> = Access "AUTH_TOKEN" "auth-token" Kind::Text,
        default "", Live secret, check refuse_placeholder;
        zh "面板密码" "登录面板用的密码；留空时使用 ALLOWED_TOKENS 的第一个。";
        en "Panel password" "Signs in to the panel; when empty, the first of ALLOWED_TOKENS does.";
    /// Whether the second factor is switched off at the start: the way back for whoever has
    /// lost it and cannot run a command.
    reset_second_factor: bool = Access "RESET_SECOND_FACTOR" "reset-second-factor" Kind::Boolean,
        default "false", Environment;
        zh "关闭两步验证" "启动时关闭两步验证。手机和恢复码都丢失、又无法执行命令时使用；登录后请删除此变量。";
        en "Drop the second factor" "Switches the second factor off at the start: for when phone and recovery codes are lost and no command can be run. Remove the variable after signing in.";
    /// How many hours a session of the panel lasts after it was last used.
    session_hours: u32 = Access "SESSION_HOURS" "session-hours" Kind::Integer(1, 8760),
        default "168", Live;
        zh "登录有效期（小时）" "面板登录后，多少小时不使用就需要重新登录。";
        en "Session (hours)" "How many hours after its last use a session of the panel ends.";

    /// Google's API, without a slash at its end.
    base_url: String = Upstream "BASE_URL" "base-url" Kind::Url,
        default "https://generativelanguage.googleapis.com/v1beta", Live;
        zh "上游地址" "Google Gemini API 的地址，含版本，例如 https://generativelanguage.googleapis.com/v1beta。";
        en "Google's address" "Where the Gemini API is, with its version, e.g. https://generativelanguage.googleapis.com/v1beta.";
    /// Vertex AI's express mode, without a slash at its end.
    vertex_base_url: String = Upstream "VERTEX_EXPRESS_BASE_URL" "vertex-express-base-url" Kind::Url,
        default "https://aiplatform.googleapis.com/v1beta1/publishers/google", Live;
        zh "Vertex Express 地址" "Vertex AI express 模式的地址，含版本和 publishers/google。";
        en "Vertex Express's address" "Where Vertex AI's express mode is, with its version and publishers/google.";
    /// How many calls to Google one request may take.
    max_attempts: u32 = Upstream "MAX_RETRIES" "max-retries" Kind::Integer(1, 10), default "3", Live;
        zh "最多尝试次数" "一个请求最多向 Google 尝试几次，每次换一个密钥。";
        en "Attempts" "How many times one request may be tried, each time with another key.";
    /// How long Google may be silent.
    timeout: Duration = Upstream "TIME_OUT" "time-out" Kind::Integer(1, 3600), default "300", Live;
        zh "超时（秒）" "Google 多久没有任何响应就放弃。";
        en "Timeout (seconds)" "How long Google may stay silent before an attempt is given up.";
    /// How long a request may take until its answer begins; 0: any time.
    deadline: Duration = Upstream "DEADLINE" "deadline" Kind::Integer(0, 86400), default "600", Live;
        zh "总时限（秒）" "一个请求从到达到开始回答最多多久，等待和所有尝试都算在内；0 表示不限。";
        en "Deadline (seconds)" "How long a request may take until its answer begins, waiting and all attempts included; 0 means any time.";
    /// After how many milliseconds without content a second call is made; 0: never.
    hedge_after_ms: u32 = Upstream "HEDGE_AFTER_MS" "hedge-after-ms" Kind::Integer(0, 600_000), default "0", Live;
        zh "慢时再问一次（毫秒）" "第一次尝试过了这么久还没有任何内容时，用另一个密钥（尽量是另一个项目）再问一次，先答的算数，另一次立即取消。它会多用配额：被取消的那次 Google 可能也计入。每个请求最多一次，计入“最多尝试次数”，只用当天限额还剩一半以上、现在就可用的项目；必须由某个密钥回答的请求、一次要几个回答的请求，以及限制了单出口并发或间隔时不会再问。0 表示关闭。";
        en "Ask again when slow (ms)" "When the first attempt has given no content for so long, the same is asked with another key, of another project if possible; the first that answers counts, and the other is cancelled at once. It costs quota, because Google may count the cancelled one, too. At most once for a request, as one of its attempts (MAX_RETRIES), and only with a project that is ready now and has half of its day's requests left; not for a request that belongs to one key or wants several answers at once, nor where EGRESS_CONCURRENCY or EGRESS_GAP_MS hold calls back. 0 means never.";
    /// In which order projects are asked; see [`Settings::pool_rules`].
    pool_strategy: String = Upstream "POOL_STRATEGY" "pool-strategy"
        Kind::Choice(&["spread", "drain", "weighted"]), default "spread", Live;
        zh "密钥选择方式" "spread 用最久没用过的项目（默认）；drain 用完一个再用下一个；weighted 按密钥的权重分配。免费的总在付费的之前。";
        en "Order of keys" "spread takes the project that was used longest ago; drain uses one up before the next; weighted goes by the keys' weights. Free ones always come before paid ones.";
    /// Limits by model, instead of those that Google tells.
    pool_limits: ModelLimits = Upstream "POOL_LIMITS" "pool-limits" Kind::Map, default "", Live;
        zh "模型限额" "Google 的限额会从它的回答中自动学到；只有想用别的数值时才需要填写。JSON 对象：模型名（末尾可用 *）对应“每分钟请求数/每分钟 Token 数/每天请求数”，不限定的写 -，例如 {\"gemini-2.5-pro\": \"5/250000/100\", \"gemma-*\": \"30/-/-\"}。";
        en "Limits of models" "Limits are learned from what Google answers; give them only to go by others. A JSON object: a model (* may end its name) and its requests a minute, tokens a minute and requests a day, with - for one that is left to Google, e.g. {\"gemini-2.5-pro\": \"5/250000/100\", \"gemma-*\": \"30/-/-\"}.";
    /// Whether a conversation stays with the key that answered it before.
    affinity: String = Upstream "AFFINITY" "affinity" Kind::Choice(&["auto", "on", "off"]), default "auto", Live;
        zh "会话固定密钥" "同一会话尽量由同一个项目回答，可命中提示词缓存。auto：付费项目、带会话标识（x-session-id）的请求和工具调用的后续请求固定；on：全部固定；off：从不固定。";
        en "Stay with a key" "Whether one project answers all of a conversation, which Google's cache of prompts is for. auto: where it is paid for, when the client names its session (x-session-id), and in a loop of tool calls; on: always; off: never.";
    /// How many calls one key may have under way; 0: any number.
    key_concurrency: u32 = Upstream "KEY_CONCURRENCY" "key-concurrency" Kind::Integer(0, 1000), default "0", Live;
        zh "单密钥并发" "一个密钥最多同时进行多少个请求；0 表示不限。";
        en "Calls of one key" "How many calls one key may have under way at the same time; 0 means any number.";
    /// How many calls may be under way by one way out; 0: any number.
    egress_concurrency: u32 = Upstream "EGRESS_CONCURRENCY" "egress-concurrency" Kind::Integer(0, 10_000), default "0", Live;
        zh "单出口并发" "经由同一个代理（或直连）最多同时进行多少个请求，超出的按顺序等待，最久等到 PATIENCE；0 表示不限。";
        en "Calls of one way out" "How many calls may be under way through the same proxy (or straight) at the same time; more of them wait in turn, for as long as PATIENCE says. 0 means any number.";
    /// How long after each other calls leave by one way out, on average, in milliseconds.
    egress_gap_ms: u32 = Upstream "EGRESS_GAP_MS" "egress-gap-ms" Kind::Integer(0, 60_000), default "0", Live;
        zh "单出口间隔（毫秒）" "经由同一个代理（或直连）的请求之间平均隔多久，带有随机变化，避免许多请求在同一时刻发出；0 表示不隔。";
        en "Pause of one way out (ms)" "How long after each other calls leave through the same proxy (or straight), on average and never quite alike, so that many do not leave at the same moment. 0 means no pause.";
    /// How long a request waits for a key.
    patience: Duration = Upstream "PATIENCE" "patience" Kind::Integer(0, 3600), default "30", Live;
        zh "等待密钥（秒）" "所有密钥都在冷却时，请求最多等多久；知道等不到时立即返回 429。客户端可以用请求头 x-patience 缩短。0 表示不等。";
        en "Wait for a key (seconds)" "How long a request waits when every key rests; when it is known that none is back by then, the client gets 429 at once. A client may lower it with the header x-patience. 0 means not at all.";
    /// How many requests may wait for one model.
    wait_queue: u32 = Upstream "WAIT_QUEUE" "wait-queue" Kind::Integer(0, 100_000), default "200", Live;
        zh "等待队列" "每个模型最多有多少个请求同时等待密钥，更多的立即得到 429。";
        en "Queue" "How many requests may wait for a key of one model; more get 429 at once.";
    /// Ways to Google through proxies; see [`crate::egress`].
    proxies: Proxies = Upstream "PROXIES" "proxies" Kind::List, default "", Live secret;
        zh "代理服务器" "访问 Google 时使用的代理，例如 http://127.0.0.1:7890、socks5://用户:密码@主机:1080，可以有多个；每个密钥固定使用其中一个，direct 表示直连。可能含有密码，所以不显示。";
        en "Proxies" "Proxies that calls to Google go through, e.g. http://127.0.0.1:7890 or socks5://user:password@host:1080; each key always uses the same one of them, and direct means no proxy. They may hold a password, so they are not shown.";
    /// Whether calls to Google go through the system's proxy where no others are listed.
    system_proxy: bool = Upstream "SYSTEM_PROXY" "system-proxy" Kind::Boolean, default "true", Live;
        zh "跟随系统代理" "没有填写代理服务器时，按系统当前的代理设置访问 Google（Windows、macOS 的网络设置，或环境变量 HTTPS_PROXY、ALL_PROXY、NO_PROXY）；系统设置改变后几秒内生效。";
        en "Follow the system's proxy" "Where no proxies are listed, calls to Google go through the system's (of the network settings of Windows and macOS, or HTTPS_PROXY, ALL_PROXY and NO_PROXY); a change there is followed within seconds.";
    /// Headers that every request to Google carries.
    custom_headers: CustomHeaders = Upstream "CUSTOM_HEADERS" "custom-headers" Kind::Map,
        default "", Live secret;
        zh "附加请求头" "发往上游的每个请求都带上的请求头，写成 JSON 对象；中转网关可能需要。可能含有凭据，所以不显示。";
        en "Extra headers" "Headers that every request to Google carries, as a JSON object; some gateways want them. They may hold a credential, so they are not shown.";

    /// Who fetches media that clients name by address: `public`, `private`, `google` or `off`.
    media_urls: String = Upstream "MEDIA_URLS" "media-urls"
        Kind::Choice(&["public", "private", "google", "off"]), default "public", Live;
        zh "按网址取媒体" "请求里用 http(s) 网址给出的图片、音频、视频和文件由谁读取：public 由本服务读取，只限公网地址；private 也允许本机和内网地址（只在自己使用时选；本机的代理软件使用 fake-ip 模式时也要选它）；google 把网址交给 Google（较旧的模型不支持）；off 不读取。YouTube 网址总是交给 Google。读取时不经过代理（PROXIES、SYSTEM_PROXY）。";
        en "Media by address" "Who reads images, audio, video and files that requests name by an http(s) address: public means this server, from public addresses only; private also from this machine and private networks (for your own use only; needed, too, where a proxy program of this machine answers names with fake-ip addresses); google hands the address to Google (older models refuse it); off nobody. YouTube addresses always go to Google. Reading goes through no proxy (PROXIES, SYSTEM_PROXY).";
    /// How much is fetched for one request, in MiB.
    media_url_mb: u32 = Upstream "MEDIA_URL_MB" "media-url-mb" Kind::Integer(1, 100), default "20", Live;
        zh "按网址取媒体上限（MB）" "一个请求按网址读取的全部内容最多多大。";
        en "Media by address (MB)" "How large everything may be that is fetched by address for one request.";

    /// Models that are hidden and refused.
    filtered_models: Vec<String> = Models "FILTERED_MODELS" "filtered-models" Kind::List,
        default "", Live, check model_name;
        zh "屏蔽的模型" "这些模型不出现在任何模型列表里，请求它们会得到 404。";
        en "Filtered models" "These models are in no list, and whoever asks for one gets 404.";
    /// Which models stand in for one that no key can be asked for.
    model_fallbacks: ModelFallbacks = Models "MODEL_FALLBACKS" "model-fallbacks" Kind::Map, default "", Live;
        zh "备用模型" "某个模型没有可用密钥时改用的模型，按顺序尝试；写成 JSON 对象，例如 {\"gemini-2.5-pro\": \"gemini-2.5-flash, gemini-2.5-flash-lite\"}。实际使用的模型写在响应头 x-gemini-balance-model 里。";
        en "Fallback models" "Which models stand in, in this order, for one that no key can be asked for now; a JSON object like {\"gemini-2.5-pro\": \"gemini-2.5-flash, gemini-2.5-flash-lite\"}. The header x-gemini-balance-model of the answer names the one that was used.";
    /// The model that the panel tries and shows in its examples; empty: one is chosen.
    test_model: String = Models "TEST_MODEL" "test-model" Kind::Text, default "", Live, check model_name;
        zh "测试用模型" "面板的测试请求和示例使用的模型；留空时从 Google 的列表里自动选择。";
        en "Model for tests" "The model of the panel's test request and examples; when empty, one of Google's list is chosen.";

    /// Which Gemini model answers for which name.
    model_map: ModelMap = Models "MODEL_MAP" "model-map" Kind::Map,
        default "{\"*claude*haiku*\":\"gemini-3.5-flash-lite\",\"*claude*\":\"gemini-3.8-flash\",\"gpt-*\":\"gemini-3.8-flash\",\"gpt-*mini*\":\"gemini-3.5-flash-lite\",\"gpt-*nano*\":\"gemini-3.5-flash-lite\",\"gpt-image*\":\"gemini-3.1-flash-image\",\"chatgpt-*\":\"gemini-3.8-flash\",\"codex-*\":\"gemini-3.8-flash\",\"o1*\":\"gemini-3.8-flash\",\"o3*\":\"gemini-3.8-flash\",\"o4*\":\"gemini-3.8-flash\",\"text-embedding-*\":\"gemini-embedding-001\"}", Live;
        zh "模型名称映射" "OpenAI 和 Anthropic 格式的请求里，其他厂商的模型名由哪个 Gemini 模型回答：JSON 对象，* 代表任意字符，最具体的一条生效。目标名可以带后缀：-search、-nothinking、-thinking-2048、-low、-high 等。图像、语音和转写只用模型能胜任的条目（完全同名的条目除外）。填 {} 表示不映射。";
        en "Model names" "Which Gemini model answers for another vendor's name in requests of OpenAI's and Anthropic's protocols: a JSON object, in which * stands for anything and the most specific row counts. A model may have endings: -search, -nothinking, -thinking-2048, -low, -high and others. For images, speech and transcripts a row counts when its model can do that, or when it is for exactly that name. {} maps nothing.";
    /// Whether ids of calls hold their thought signatures.
    signatures_in_ids: bool = Models "SIGNATURES_IN_IDS" "signatures-in-ids" Kind::Boolean,
        default "false", Live;
        zh "工具调用编号里带签名" "把 Gemini 3 的思考签名也放进工具调用的 id。签名本来就记在本服务里，重启后也在；只有当几个互不共享数据库的实例轮流回答同一段对话时才需要打开。打开后 id 很长，有的厂商不接受（OpenAI 最多 40 个字符）。";
        en "Signatures in call ids" "Puts Gemini 3's thought signatures into the ids of tool calls, too. They are remembered here anyway, over a restart as well: turn it on where several instances without a common database answer one conversation in turn. Such ids are long, and some vendors refuse them (OpenAI: over 40 characters) when a client goes on there.";

    /// Whether streams are made of whole answers.
    fake_streams: bool = Server "FAKE_STREAM_ENABLED" "fake-stream-enabled" Kind::Boolean,
        default "false", Live;
        zh "假流式" "客户端要求流式时，向 Google 请求完整答复，等待期间发送心跳，完整后一次写入流。用于流式被截断或网络不稳定时。";
        en "Fake streams" "Asks Google for the whole answer when a client wants a stream, sends signs of life meanwhile, and then all of it. For when streams are cut off on the way.";
    /// After how much silence a stream has a sign of life; zero: never.
    stream_heartbeat: Duration = Server "STREAM_HEARTBEAT_SECONDS" "stream-heartbeat-seconds"
        Kind::Integer(0, 600), default "10", Live;
        zh "流式心跳（秒）" "流式答复多久没有内容就发送一次心跳，以免中间的代理断开连接；0 表示不发送。第一次心跳之后出现的错误会写在流里。Gemini 格式只在假流式下发送（一个空白的思考片段），因为 Google 的 SDK 读不了 SSE 注释。";
        en "Signs of life (seconds)" "After how much silence a stream gets a sign of life, so that no proxy on the way closes it; 0 means never. What goes wrong after the first one is told inside the stream. Google's own protocol has them in fake streams only (a thought that is a space), because Google's SDKs cannot read the comments of event streams.";
    /// Whether text of streams is sent in small pieces.
    smooth_streams: bool = Server "STREAM_OPTIMIZER_ENABLED" "stream-optimizer-enabled" Kind::Boolean,
        default "false", Live;
        zh "平滑输出" "把流式文字切成小段、按固定节奏发送，看起来像打字；积压时自动加快。仅 OpenAI 和 Anthropic 格式。";
        en "Smooth streams" "Sends the text of streams in small pieces at a steady pace, as if typed; faster when much is waiting. OpenAI's and Anthropic's protocols only.";
    /// How many characters such a piece has.
    stream_chunk_size: u32 = Server "STREAM_CHUNK_SIZE" "stream-chunk-size" Kind::Integer(1, 1000),
        default "5", Live;
        zh "平滑输出：每段字数" "每段多少个字符。";
        en "Smooth streams: characters" "How many characters each piece has.";
    /// The pause between two pieces, in milliseconds.
    stream_delay_ms: u32 = Server "STREAM_DELAY_MS" "stream-delay-ms" Kind::Integer(1, 1000),
        default "20", Live;
        zh "平滑输出：间隔（毫秒）" "两段之间间隔多少毫秒。";
        en "Smooth streams: pause (ms)" "How many milliseconds lie between two pieces.";

    /// The address to listen on.
    host: IpAddr = Server "HOST" "host" Kind::Ip, default "127.0.0.1", Environment;
        zh "监听地址" "127.0.0.1 只允许本机访问；0.0.0.0 允许其他设备访问（容器需要）。";
        en "Listen on" "127.0.0.1 lets in this machine only; 0.0.0.0 other devices too (containers need it).";
    /// The port to listen on; 0 lets the system choose.
    port: u16 = Server "PORT" "port" Kind::Integer(0, 65535), default "8000", Environment;
        zh "端口" "监听端口；0 表示由系统选择。";
        en "Port" "The port to listen on; 0 lets the system choose.";
    /// The port of the panel and its API; 0: the port that clients use.
    admin_port: u16 = Server "ADMIN_PORT" "admin-port" Kind::Integer(0, 65535), default "0", Environment;
        zh "面板端口" "面板和管理接口单独使用的端口，这样可以只对外开放客户端的端口；0 表示与客户端同一端口。";
        en "Panel's port" "A port of its own for the panel and its API, so that only the clients' port need be open to others; 0 means the same port.";
    /// Whose `X-Forwarded-For` is believed; see [`Settings::believes`].
    trust_forwarded_for: String = Server "TRUST_FORWARDED_FOR" "trust-forwarded-for"
        Kind::Choice(&["private", "loopback", "never"]), default "private", Live;
        zh "信任的反向代理" "谁可以用 X-Forwarded-For 告知真实来源地址（用于登录限速、登录列表和修改记录）：private 为本机和内网地址（容器平台需要），loopback 仅本机，never 都不信任。直接对局域网开放时建议用 loopback。";
        en "Trusted proxies" "Who may say by X-Forwarded-For where a request comes from (for slowing down guesses, the list of sessions and the history): private means this machine and private networks, which container platforms need; loopback this machine only; never nobody. Open to a local network without a proxy, loopback is better.";
    /// The largest request body, in MiB.
    max_body_mb: u32 = Server "MAX_BODY_MB" "max-body-mb" Kind::Integer(1, 1024), default "100", Live;
        zh "请求体上限（MB）" "超过此大小的请求会被拒绝；图片和音频会占用请求体。";
        en "Largest body (MB)" "Larger requests are refused; images and audio count.";
    /// The zone whose midnight begins a day in the statistics.
    time_zone: TimeZone = Server "TZ" "tz" Kind::TimeZone, default "", Live;
        zh "时区" "统计以此时区的零点为一天的开始；留空使用系统时区。";
        en "Time zone" "Its midnight begins a day in the statistics; when empty, the system's.";
    /// Where the database and the key file are.
    data_dir: PathBuf = Server "DATA_DIR" "data-dir" Kind::Folder, default "", Environment;
        zh "数据目录" "数据库和密钥文件所在的目录；容器里应当是持久卷。";
        en "Data folder" "Where the database and the key file are; in a container, a lasting volume.";
    /// Whether the panel can deploy instances to clouds.
    deployer: bool = Server "DEPLOYER" "deployer" Kind::Boolean, default "true", Environment;
        zh "云端部署" "面板能否把实例部署到 Render、ClawCloud 等平台并管理它们；部署出去的实例自己不需要，设为 false。";
        en "Deployer" "Whether the panel can deploy instances to Render, ClawCloud and others, and look after them; an instance that was deployed needs none: false.";

    /// `auto`, `sqlite` or `mysql`; see [`Settings::uses_mysql`].
    database_type: String = Data "DATABASE_TYPE" "database-type" Kind::Choice(&["auto", "sqlite", "mysql"]),
        default "auto", Environment;
        zh "数据库类型" "auto 表示：设置了 MYSQL_HOST 或 MYSQL_SOCKET 就用 MySQL，否则用数据目录里的 SQLite 文件。";
        en "Database" "auto means MySQL when MYSQL_HOST or MYSQL_SOCKET is set, else a SQLite file in the data folder.";
    /// The MySQL server; empty: none.
    mysql_host: String = Data "MYSQL_HOST" "mysql-host" Kind::Text, default "", Environment;
        zh "MySQL 主机" "MySQL、MariaDB 或 TiDB 服务器的主机名或 IP 地址。";
        en "MySQL host" "The name or IP address of the MySQL, MariaDB or TiDB server.";
    /// The MySQL server's port.
    mysql_port: u16 = Data "MYSQL_PORT" "mysql-port" Kind::Integer(1, 65535), default "3306", Environment;
        zh "MySQL 端口" "数据库服务器的端口；TiDB Cloud 通常是 4000。";
        en "MySQL port" "The port of the database server; TiDB Cloud's is usually 4000.";
    /// Who signs in to MySQL.
    mysql_user: String = Data "MYSQL_USER" "mysql-user" Kind::Text, default "", Environment;
        zh "MySQL 用户名" "登录数据库的用户名；TiDB Cloud 的用户名带有前缀，例如 2abc.root。";
        en "MySQL user" "Who signs in to the database; TiDB Cloud's users have a prefix, e.g. 2abc.root.";
    /// With what.
    mysql_password: Option<Secret> = Data "MYSQL_PASSWORD" "mysql-password" Kind::Text,
        default "", Environment secret;
        zh "MySQL 密码" "登录数据库的密码。";
        en "MySQL password" "The password for the database.";
    /// The database on the MySQL server; it is made when it is missing.
    mysql_database: String = Data "MYSQL_DATABASE" "mysql-database" Kind::Text,
        default "gemini_balance", Environment;
        zh "MySQL 数据库名" "使用哪个数据库；不存在并且有权限时会自动创建。原版 gemini-balance 的数据库会被接管。";
        en "MySQL database" "Which database to use; it is made when it is missing and that is allowed. One of the original gemini-balance is taken over.";
    /// A unix socket instead of host and port; empty: none.
    mysql_socket: String = Data "MYSQL_SOCKET" "mysql-socket" Kind::Text, default "", Environment;
        zh "MySQL 套接字" "用 unix 套接字代替主机和端口时，它的路径。";
        en "MySQL socket" "The path of a unix socket, to be used instead of host and port.";
    /// How the connection to MySQL is protected; see [`Settings::mysql_tls`].
    mysql_ssl_mode: String = Data "MYSQL_SSL_MODE" "mysql-ssl-mode"
        Kind::Choice(&["auto", "disabled", "preferred", "required", "verify_ca", "verify_identity"]),
        default "auto", Environment;
        zh "MySQL 加密" "auto 表示：TiDB Cloud 或设置了 MYSQL_SSL_CA 时验证服务器证书（verify_identity），否则能加密就加密（preferred）。";
        en "MySQL encryption" "auto verifies the server (verify_identity) for TiDB Cloud and when MYSQL_SSL_CA is set, and else encrypts when the server can (preferred).";
    /// Who vouches for the MySQL server, as a file or as PEM text; empty: the authorities
    /// that the system knows.
    mysql_ssl_ca: String = Data "MYSQL_SSL_CA" "mysql-ssl-ca" Kind::File, default "", Environment;
        zh "MySQL CA 证书" "验证数据库服务器用的 CA 证书：文件路径，或 PEM 内容本身（例如 Aiven 提供的 ca.pem）。";
        en "MySQL CA certificate" "What the database server's certificate is checked with: the path of a file, or the PEM text itself (e.g. the ca.pem that Aiven gives).";
    /// What the master key is made from, instead of a key file.
    secret_key: Option<Secret> = Data "SECRET_KEY" "secret-key" Kind::Text, default "", Environment secret;
        zh "主密钥" "用来加密数据库中的密钥：32 字节（十六进制或 base64），或至少 16 个字符的口令；留空时，SQLite 使用数据目录中的 master.key；使用 MySQL 时则不保存机密。";
        en "Master key" "Seals the keys in the database: 32 bytes (hexadecimal or base64) or a passphrase of 16 characters or more; when empty, SQLite uses the file master.key in the data folder; with MySQL, secrets are then not stored.";
    /// Hours between two backups of the SQLite database; 0: none.
    backup_every_hours: u32 = Data "BACKUP_EVERY_HOURS" "backup-every-hours" Kind::Integer(0, 8760),
        default "24", Live;
        zh "备份间隔（小时）" "每隔多少小时备份一次 SQLite 数据库；0 表示不备份。MySQL 由其服务商备份。";
        en "Backup every (hours)" "How often the SQLite database is backed up; 0 means never. MySQL is backed up by its host.";
    /// How many scheduled backups are kept.
    backup_keep: u32 = Data "BACKUP_KEEP" "backup-keep" Kind::Integer(1, 1000), default "7", Live;
        zh "保留备份数" "保留最近多少份定时备份，更旧的会被删除。";
        en "Backups kept" "How many scheduled backups are kept; older ones are deleted.";

    /// How much is logged: `error`, `warn`, `info`, `debug` or `trace`.
    log_level: String = Logging "LOG_LEVEL" "log-level"
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]), default "info", Live;
        zh "日志级别" "日志的详细程度。";
        en "Log level" "How much is logged.";
    /// `pretty` for people, `json` for programs.
    log_format: String = Logging "LOG_FORMAT" "log-format" Kind::Choice(&["pretty", "json"]),
        default "pretty", Environment;
        zh "日志格式" "pretty 便于人阅读，json 便于程序处理。";
        en "Log format" "pretty is for people, json for programs.";
    /// Days that requests stay in the request log; their sums stay longer.
    request_log_days: u32 = Logging "REQUEST_LOG_DAYS" "request-log-days" Kind::Integer(1, 3650),
        default "30", Live;
        zh "请求日志保留（天）" "请求日志保留多少天；按小时和按天的统计会一直保留。";
        en "Request log (days)" "How many days requests stay in the log; sums by hour and day stay for good.";
    /// Days that the details of failed requests stay.
    error_detail_days: u32 = Logging "ERROR_DETAIL_DAYS" "error-detail-days" Kind::Integer(1, 3650),
        default "7", Live;
        zh "错误详情保留（天）" "失败请求的详情（Google 的答复、记录的请求体）保留多少天。";
        en "Error details (days)" "How many days the details of failed requests stay: what Google said, and bodies when they are recorded.";
    /// The size at which the oldest requests are deleted, in MiB; 0: as
    /// [`Settings::database_limit_bytes`] says.
    database_limit_mb: u32 = Logging "DATABASE_LIMIT_MB" "database-limit-mb" Kind::Integer(0, 1_000_000),
        default "0", Live;
        zh "数据库大小上限（MB）" "数据库超过此大小时，最旧的请求日志会被删除；0 表示自动：MySQL 700 MB（免费的 1 GB 数据库不会写满），SQLite 2048 MB。";
        en "Largest database (MB)" "When the database is larger, the oldest requests are deleted; 0 chooses: 700 MB on MySQL, so that a free database of 1 GB never fills up, and 2048 MB on SQLite.";
    /// Whether bodies of failed requests are recorded.
    record_bodies: bool = Logging "RECORD_BODIES" "record-bodies" Kind::Boolean, default "false", Live;
        zh "记录请求体" "把失败请求的内容（提示词、图片等）存入错误详情；默认关闭，因为其中可能有隐私。";
        en "Record bodies" "Keeps what failed requests held (prompts, images) with their error details; off, because it may be private.";
    /// How much of a body is recorded, in KiB.
    record_body_kb: u32 = Logging "RECORD_BODY_KB" "record-body-kb" Kind::Integer(1, 1024), default "64", Live;
        zh "请求体记录上限（KB）" "每个请求体最多记录多少，其余部分会被截去。";
        en "Recorded body (KB)" "How much of each body is recorded at most; the rest is cut off.";
    /// What Prometheus sends to read `/metrics`; none: only this machine may.
    metrics_token: Option<Secret> = Logging "METRICS_TOKEN" "metrics-token" Kind::Text,
        default "", Live secret, check refuse_placeholder;
        zh "指标令牌" "Prometheus 读取 /metrics 时要带的令牌（Authorization: Bearer）；留空时只有本机可以读取。";
        en "Metrics token" "What Prometheus must send to read /metrics (Authorization: Bearer); when empty, only this machine may.";
}

/// What a database may grow to when `DATABASE_LIMIT_MB` leaves it to the program.
const MYSQL_LIMIT_MB: u32 = 700;
const SQLITE_LIMIT_MB: u32 = 2048;

impl Settings {
    /// Refuses values that are acceptable one by one, but not together.
    fn fit_together(mut self) -> Result<Self, Vec<SettingError>> {
        for key in &self.vertex_api_keys {
            if !self.api_keys.contains(key) {
                self.api_keys.push(key.clone());
            }
        }
        let nowhere = self.mysql_host.is_empty() && self.mysql_socket.is_empty();
        let missing = |name, reason: Text| SettingError {
            name,
            found: Some(String::new()),
            reason: reason.into(),
        };
        let mut errors = Vec::new();
        if self.uses_mysql() && nowhere {
            errors.push(missing(
                "MYSQL_HOST",
                Text {
                    zh: "DATABASE_TYPE 为 mysql，因此必须填写主机（或 MYSQL_SOCKET）",
                    en: "DATABASE_TYPE is mysql, so the host (or MYSQL_SOCKET) must be given",
                },
            ));
        }
        if self.uses_mysql() && self.mysql_user.is_empty() {
            errors.push(missing(
                "MYSQL_USER",
                Text {
                    zh: "数据库是 MySQL，因此必须填写用户名",
                    en: "the database is MySQL, so the user must be given",
                },
            ));
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(errors)
        }
    }

    /// What the pool goes by.
    pub fn pool_rules(&self) -> Rules {
        Rules {
            strategy: match self.pool_strategy.as_str() {
                "drain" => Strategy::Drain,
                "weighted" => Strategy::Weighted,
                _ => Strategy::Spread,
            },
            caps: self.pool_limits.0.clone(),
            key_concurrency: self.key_concurrency,
            queue: self.wait_queue.try_into().unwrap_or(usize::MAX),
            has_ways: !self.proxies.routes().is_empty(),
        }
    }

    /// What was given for a setting, as it was written; `None` when its default holds.
    pub fn given(&self, name: &str) -> Option<&Secret> {
        self.given.get(name)
    }

    /// The size at which the oldest requests are deleted, in bytes.
    pub fn database_limit_bytes(&self) -> u64 {
        let mb = match (self.database_limit_mb, self.uses_mysql()) {
            (0, true) => MYSQL_LIMIT_MB,
            (0, false) => SQLITE_LIMIT_MB,
            (chosen, _) => chosen,
        };
        u64::from(mb) * 1024 * 1024
    }

    /// Whether a peer is believed when it says by `X-Forwarded-For` for whom it asks.
    pub fn believes(&self, peer: IpAddr) -> bool {
        let near = match peer {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        match self.trust_forwarded_for.as_str() {
            "never" => false,
            "loopback" => peer.is_loopback(),
            _ => peer.is_loopback() || near,
        }
    }

    /// How long a session lasts after it was last used.
    pub fn session_ms(&self) -> Millis {
        Millis::from(self.session_hours) * 60 * 60 * 1_000
    }

    /// Whether a model (without `models/`) is one of `FILTERED_MODELS`.
    pub fn filters(&self, model: &str) -> bool {
        self.filtered_models
            .iter()
            .any(|name| name.strip_prefix("models/").unwrap_or(name) == model)
    }

    /// What signs in to the panel besides the password: `AUTH_TOKEN`, else the first of
    /// `ALLOWED_TOKENS`.
    pub fn panel_token(&self) -> Option<&Secret> {
        self.auth_token.as_ref().or(self.allowed_tokens.first())
    }

    /// The largest request body, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        usize::try_from(self.max_body_mb).map_or(usize::MAX, |mb| mb.saturating_mul(1024 * 1024))
    }

    /// How much is fetched by address for one request, in bytes.
    pub fn media_url_bytes(&self) -> usize {
        usize::try_from(self.media_url_mb).map_or(usize::MAX, |mb| mb.saturating_mul(1024 * 1024))
    }

    /// The IANA name of the time zone; `UTC` when the system does not say.
    pub fn time_zone_name(&self) -> &str {
        self.time_zone.iana_name().unwrap_or("UTC")
    }
}
