//! The variables that make an image the remote that was wished for, and the texts in which
//! they are taken elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contract::deploy::{ImageProgram, ProviderKind, VariableSource, VariableView, VariablesFormat};
use proxy_core::admin::env_value;
use vault::Secret;

use crate::provider::{DatabasePart, HEALTH_PATH, MARK, PORT, Value};
use crate::record::Secrets;
use crate::wish::{Database, Wish};

/// Where a volume is mounted.
pub const DATA_DIR: &str = "/data";

/// A variable with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: Value,
    /// Where that comes from.
    pub source: VariableSource,
}

/// All variables of a remote, by name.
pub type Variables = BTreeMap<String, Variable>;

/// The variables of a remote. The original program gets only those that it knows
/// (its `app/config/config.py`), and lists as JSON, which is all that it reads.
pub fn variables(
    wish: &Wish,
    secrets: &Secrets,
    keys: &[Secret],
    program: ImageProgram,
    provider: Option<ProviderKind>,
) -> Variables {
    use VariableSource as S;
    let mut all = Variables::new();
    let mut put = |name: &str, value: Value, source: S| {
        all.insert(name.to_owned(), Variable { value, source });
    };
    let ours = program == ImageProgram::Ours;
    let keys: Vec<&str> = keys.iter().map(|key| key.expose().as_str()).collect();
    put("API_KEYS", Value::Secret(list(&keys)), S::Keys);
    let tokens = [secrets.client_token.expose().as_str()];
    put("ALLOWED_TOKENS", Value::Secret(list(&tokens)), S::Generated);
    put(
        "AUTH_TOKEN",
        Value::Secret(secrets.auth_token.clone()),
        S::Generated,
    );
    put("TZ", Value::Plain(wish.time_zone.clone()), S::Chosen);
    if provider.is_some() {
        // Render would give 10000, and the original listens on 8000 whatever it is told.
        put("PORT", Value::Plain(PORT.to_string()), S::Needed);
    }
    if ours {
        put(
            "SECRET_KEY",
            Value::Secret(secrets.secret_key.clone()),
            S::Generated,
        );
        put("DEPLOYER", Value::Plain("false".to_owned()), S::Needed);
        put(MARK, Value::Plain(wish.name.clone()), S::Needed);
    }
    let part = |part| Value::FromDatabase(part);
    match &wish.database {
        Database::None if ours => {}
        // It keeps its file in its own folder.
        Database::None => put(
            "DATABASE_TYPE",
            Value::Plain("sqlite".to_owned()),
            S::Needed,
        ),
        Database::Volume { .. } => {
            put("DATA_DIR", Value::Plain(DATA_DIR.to_owned()), S::Needed);
        }
        Database::InCluster { .. } => {
            put("MYSQL_HOST", part(DatabasePart::Host), S::Provider);
            put("MYSQL_PORT", part(DatabasePart::Port), S::Provider);
            put("MYSQL_USER", part(DatabasePart::User), S::Provider);
            put("MYSQL_PASSWORD", part(DatabasePart::Password), S::Provider);
            put(
                "MYSQL_DATABASE",
                Value::Plain("gemini_balance".to_owned()),
                S::Needed,
            );
        }
        Database::Mysql(mysql) => {
            let plain = |text: &str| Value::Plain(text.to_owned());
            put("MYSQL_HOST", plain(&mysql.host), S::Chosen);
            put(
                "MYSQL_PORT",
                Value::Plain(mysql.port.to_string()),
                S::Chosen,
            );
            put("MYSQL_USER", plain(&mysql.user), S::Chosen);
            put(
                "MYSQL_PASSWORD",
                Value::Secret(mysql.password.clone()),
                S::Chosen,
            );
            put("MYSQL_DATABASE", plain(&mysql.database), S::Chosen);
            if ours {
                put("MYSQL_SSL_MODE", plain(&mysql.ssl_mode), S::Chosen);
                if let Some(pem) = &mysql.ssl_ca {
                    // Consoles take one line.
                    let line = pem.trim().replace("\r\n", "\n").replace('\n', "\\n");
                    put("MYSQL_SSL_CA", Value::Plain(line), S::Chosen);
                }
            }
        }
    }
    if ours {
        for (declaration, value) in wish.settings() {
            let value = match declaration.secret {
                true => Value::Secret(value.clone()),
                false => Value::Plain(value.expose().clone()),
            };
            put(declaration.name, value, S::Chosen);
        }
    }
    all
}

/// A JSON list, which both programs read.
fn list(items: &[&str]) -> Secret {
    Secret::new(serde_json::Value::from(items.to_vec()).to_string())
}

/// Why the original program cannot fulfil a wish, if it cannot.
pub fn original_cannot(wish: &Wish) -> Option<&'static str> {
    match &wish.database {
        Database::Mysql(mysql) if !matches!(&*mysql.ssl_mode, "disabled" | "preferred") => Some(
            "The original program speaks to its database without TLS, so it cannot use one that \
             demands it (TiDB Cloud, Aiven). Choose the image of this program, or another \
             database.",
        ),
        Database::Volume { .. } => Some(
            "The original program keeps its file in a folder of its image, where no volume is \
             mounted. Choose the image of this program, or a MySQL database.",
        ),
        _ => None,
    }
}

/// What must be said of a wish that the original program fulfils only until it restarts.
pub fn original_forgets(wish: &Wish) -> Option<&'static str> {
    (wish.database == Database::None).then_some(
        "The original program then keeps its keys, settings and logs in an SQLite file within \
         its container, which is lost with every restart. What was changed in its panel is gone \
         then; what is in its variables comes back.",
    )
}

/// The variables as they may be seen.
pub fn shown(variables: &Variables) -> Vec<VariableView> {
    variables
        .iter()
        .map(|(name, variable)| VariableView {
            name: name.clone(),
            value: seen(&variable.value),
            secret: matches!(variable.value, Value::Secret(_)),
            source: variable.source,
        })
        .collect()
}

/// A value as it may be seen.
pub fn seen(value: &Value) -> String {
    match value {
        Value::Plain(text) => text.clone(),
        Value::Secret(secret) => masked(secret),
        Value::FromDatabase(part) => format!("({})", name_of(*part)),
    }
}

/// A secret as it may be seen; of a list, each of its items.
pub fn masked(secret: &Secret) -> String {
    match serde_json::from_str::<Vec<String>>(secret.expose()) {
        Ok(items) => {
            let items = items.into_iter().map(|item| Secret::new(item).masked());
            items.collect::<Vec<_>>().join(", ")
        }
        Err(_) => secret.masked(),
    }
}

fn name_of(part: DatabasePart) -> &'static str {
    match part {
        DatabasePart::Host => "host",
        DatabasePart::Port => "port",
        DatabasePart::User => "username",
        DatabasePart::Password => "password",
    }
}

/// A text with all variables, secrets in clear, and what a file of it is called.
pub fn text(
    format: VariablesFormat,
    wish: &Wish,
    image: &str,
    variables: &Variables,
) -> (Secret, &'static str) {
    // What the provider fills in cannot be in a file that goes elsewhere.
    let known: Vec<(&str, &str, bool)> = variables
        .iter()
        .filter_map(|(name, variable)| match &variable.value {
            Value::Plain(text) => Some((name.as_str(), text.as_str(), false)),
            Value::Secret(secret) => Some((name.as_str(), secret.expose().as_str(), true)),
            Value::FromDatabase(_) => None,
        })
        .collect();
    let mut text = String::new();
    // Writing to a text does not fail.
    let file = match format {
        VariablesFormat::Env => {
            for (name, value, _) in &known {
                let _ = writeln!(text, "{name}={}", env_value(value));
            }
            "gemini-balance.env"
        }
        VariablesFormat::Lines => {
            for (name, value, _) in &known {
                let _ = writeln!(text, "{name}={value}");
            }
            "gemini-balance.txt"
        }
        VariablesFormat::Json => {
            let all: serde_json::Map<String, serde_json::Value> = known
                .iter()
                .map(|(name, value, _)| ((*name).to_owned(), (*value).into()))
                .collect();
            let _ = writeln!(text, "{:#}", serde_json::Value::Object(all));
            "gemini-balance.json"
        }
        VariablesFormat::Compose => {
            compose(&mut text, wish, image, &known);
            "compose.yaml"
        }
        VariablesFormat::RenderYaml => {
            render_yaml(&mut text, wish, image, &known);
            "render.yaml"
        }
        VariablesFormat::Template => {
            template(&mut text, wish, image, &known);
            "gemini-balance-template.yaml"
        }
    };
    (Secret::new(text), file)
}

/// A text in YAML: JSON's strings are YAML's, too (<https://yaml.org/spec/1.2.2/>, 1.2).
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn compose(text: &mut String, wish: &Wish, image: &str, known: &[(&str, &str, bool)]) {
    let name = &wish.name;
    let _ = write!(
        text,
        "# docker compose up -d\n\
         services:\n\
         \x20 {}:\n\
         \x20   image: {}\n\
         \x20   restart: unless-stopped\n\
         \x20   ports:\n\
         \x20     - \"{PORT}:{PORT}\"\n\
         \x20   volumes:\n\
         \x20     - {name}-data:{DATA_DIR}\n\
         \x20   environment:\n",
        quoted(name),
        quoted(image)
    );
    for (variable, value, _) in known {
        // Compose itself replaces $NAME; $$ is a dollar.
        let value = quoted(&value.replace('$', "$$"));
        let _ = writeln!(text, "      {variable}: {value}");
    }
    let _ = write!(text, "volumes:\n\x20 {name}-data:\n");
}

/// <https://render.com/docs/blueprint-spec>. Secrets are asked for in the dashboard, because the
/// file has to lie in a git repository.
fn render_yaml(text: &mut String, wish: &Wish, image: &str, known: &[(&str, &str, bool)]) {
    let _ = write!(
        text,
        "# Put this file into a git repository of your own. Render asks for the secrets.\n\
         services:\n\
         \x20 - type: web\n\
         \x20   name: {}\n\
         \x20   runtime: image\n\
         \x20   image:\n\
         \x20     url: {}\n\
         \x20   plan: {}\n\
         \x20   region: {}\n\
         \x20   healthCheckPath: {HEALTH_PATH}\n\
         \x20   envVars:\n",
        quoted(&wish.name),
        quoted(image),
        quoted(wish.plan.as_deref().unwrap_or("free")),
        quoted(wish.region.as_deref().unwrap_or("singapore")),
    );
    for (variable, value, secret) in known {
        let _ = match secret {
            true => writeln!(text, "      - key: {variable}\n        sync: false"),
            false => writeln!(
                text,
                "      - key: {variable}\n        value: {}",
                quoted(value)
            ),
        };
    }
}

/// A template as Sealos and ClawCloud Run read it
/// (<https://github.com/labring-actions/templates/blob/main/example.md>): values with secrets
/// are inputs, the rest is in it.
fn template(text: &mut String, wish: &Wish, image: &str, known: &[(&str, &str, bool)]) {
    let name = &wish.name;
    let _ = write!(
        text,
        "apiVersion: app.sealos.io/v1\n\
         kind: Template\n\
         metadata:\n\
         \x20 name: {}\n\
         spec:\n\
         \x20 title: Gemini Balance\n\
         \x20 description: One address and one token for all your Gemini keys\n\
         \x20 url: https://github.com/gemini-balance/gemini-balance\n\
         \x20 author: Gemini Balance\n\
         \x20 templateType: inline\n\
         \x20 defaults:\n\
         \x20   app_name:\n\
         \x20     type: string\n\
         \x20     value: {name}-${{{{ random(8) }}}}\n\
         \x20   app_host:\n\
         \x20     type: string\n\
         \x20     value: ${{{{ random(12) }}}}\n\
         \x20 inputs:\n",
        quoted(name)
    );
    for (variable, _, _) in known.iter().filter(|(_, _, secret)| *secret) {
        let _ = write!(
            text,
            "\x20   {variable}:\n\
             \x20     description: {variable}\n\
             \x20     type: string\n\
             \x20     default: \"\"\n\
             \x20     required: true\n"
        );
    }
    let label = "cloud.sealos.io/app-deploy-manager";
    let _ = write!(
        text,
        "---\n\
         apiVersion: apps/v1\n\
         kind: Deployment\n\
         metadata:\n\
         \x20 name: ${{{{ defaults.app_name }}}}\n\
         \x20 annotations:\n\
         \x20   originImageName: {image}\n\
         \x20   deploy.cloud.sealos.io/minReplicas: \"1\"\n\
         \x20   deploy.cloud.sealos.io/maxReplicas: \"1\"\n\
         \x20 labels:\n\
         \x20   {label}: ${{{{ defaults.app_name }}}}\n\
         \x20   app: ${{{{ defaults.app_name }}}}\n\
         spec:\n\
         \x20 replicas: 1\n\
         \x20 revisionHistoryLimit: 1\n\
         \x20 selector:\n\
         \x20   matchLabels:\n\
         \x20     app: ${{{{ defaults.app_name }}}}\n\
         \x20 template:\n\
         \x20   metadata:\n\
         \x20     labels:\n\
         \x20       app: ${{{{ defaults.app_name }}}}\n\
         \x20   spec:\n\
         \x20     automountServiceAccountToken: false\n\
         \x20     containers:\n\
         \x20       - name: ${{{{ defaults.app_name }}}}\n\
         \x20         image: {image}\n\
         \x20         imagePullPolicy: Always\n\
         \x20         resources:\n\
         \x20           requests:\n\
         \x20             cpu: 20m\n\
         \x20             memory: 25Mi\n\
         \x20           limits:\n\
         \x20             cpu: 200m\n\
         \x20             memory: 256Mi\n\
         \x20         ports:\n\
         \x20           - containerPort: {PORT}\n\
         \x20         env:\n",
        image = quoted(image),
    );
    for (variable, value, secret) in known {
        let value = match secret {
            true => format!("${{{{ inputs.{variable} }}}}"),
            false => quoted(value),
        };
        let _ = writeln!(
            text,
            "            - name: {variable}\n              value: {value}"
        );
    }
    let _ = write!(
        text,
        "---\n\
         apiVersion: v1\n\
         kind: Service\n\
         metadata:\n\
         \x20 name: ${{{{ defaults.app_name }}}}\n\
         \x20 labels:\n\
         \x20   {label}: ${{{{ defaults.app_name }}}}\n\
         spec:\n\
         \x20 ports:\n\
         \x20   - port: {PORT}\n\
         \x20 selector:\n\
         \x20   app: ${{{{ defaults.app_name }}}}\n\
         ---\n\
         apiVersion: networking.k8s.io/v1\n\
         kind: Ingress\n\
         metadata:\n\
         \x20 name: ${{{{ defaults.app_name }}}}\n\
         \x20 labels:\n\
         \x20   {label}: ${{{{ defaults.app_name }}}}\n\
         \x20   {label}-domain: ${{{{ defaults.app_host }}}}\n\
         \x20 annotations:\n\
         \x20   kubernetes.io/ingress.class: nginx\n\
         \x20   nginx.ingress.kubernetes.io/proxy-body-size: 32m\n\
         \x20   nginx.ingress.kubernetes.io/proxy-read-timeout: \"300\"\n\
         spec:\n\
         \x20 rules:\n\
         \x20   - host: ${{{{ defaults.app_host }}}}.${{{{ SEALOS_CLOUD_DOMAIN }}}}\n\
         \x20     http:\n\
         \x20       paths:\n\
         \x20         - pathType: Prefix\n\
         \x20           path: /\n\
         \x20           backend:\n\
         \x20             service:\n\
         \x20               name: ${{{{ defaults.app_name }}}}\n\
         \x20               port:\n\
         \x20                 number: {PORT}\n\
         \x20 tls:\n\
         \x20   - hosts:\n\
         \x20       - ${{{{ defaults.app_host }}}}.${{{{ SEALOS_CLOUD_DOMAIN }}}}\n\
         \x20     secretName: ${{{{ SEALOS_CERT_SECRET_NAME }}}}\n"
    );
}

#[cfg(test)]
mod tests;
