use contract::deploy::{DatabaseWish, KeepAlive, MysqlWish, RemoteWish, VariableWish};
use serde_json::Value as Json;

use super::*;

/// What shells, YAML, Compose and dotenv each give a meaning to.
const NASTY: &str = r##"a'b"c $d ${e} \n \ #f: {g} *h &i "##;
const PASSWORD: &str = r#"pass'word"with$all\of # it"#;
const IMAGE: &str = "ghcr.io/o/n@sha256:1111";
const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn wish(name: &str, database: DatabaseWish) -> Wish {
    let setting = |name: &str, value: &str| VariableWish {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    };
    let wish = RemoteWish {
        name: name.to_owned(),
        account: None,
        workspace: None,
        region: None,
        plan: None,
        image: None,
        database,
        keys: vec![1],
        settings: vec![
            setting("MAX_RETRIES", "5"),
            setting("METRICS_TOKEN", "token-for-prometheus"),
        ],
        time_zone: "Asia/Shanghai".to_owned(),
        keep_alive: KeepAlive::default(),
    };
    Wish::checked(wish, None).unwrap()
}

fn mysql(mode: &str) -> DatabaseWish {
    DatabaseWish::Mysql(MysqlWish {
        host: "db.example".to_owned(),
        port: 4000,
        user: "2abc.root".to_owned(),
        password: Some(PASSWORD.to_owned()),
        database: "gemini_balance".to_owned(),
        ssl_mode: mode.to_owned(),
        ssl_ca: Some(CA.to_owned()),
    })
}

fn secrets() -> Secrets {
    Secrets {
        auth_token: NASTY.into(),
        client_token: "sk-client-token".into(),
        secret_key: "the-sealing-key-of-it".into(),
        former: Vec::new(),
    }
}

fn all(wish: &Wish, program: ImageProgram) -> Variables {
    let keys = ["AIzaSyFirstKeyOfAll".into(), "AIzaSySecondKeyOfAll".into()];
    variables(wish, &secrets(), &keys, program, Some(ProviderKind::Render))
}

/// Name, value and whether it is a secret.
fn known(variables: &Variables) -> BTreeMap<String, (String, bool)> {
    let known = variables.iter().filter_map(|(name, variable)| {
        let value = match &variable.value {
            Value::Plain(text) => (text.clone(), false),
            Value::Secret(secret) => (secret.expose().clone(), true),
            Value::FromDatabase(_) => return None,
        };
        Some((name.clone(), value))
    });
    known.collect()
}

fn values(variables: &Variables) -> BTreeMap<String, String> {
    let known = known(variables).into_iter();
    known.map(|(name, (value, _))| (name, value)).collect()
}

fn written(format: VariablesFormat, wish: &Wish, variables: &Variables) -> String {
    text(format, wish, IMAGE, variables).0.expose().clone()
}

fn yaml(text: &str) -> Vec<Json> {
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

#[test]
fn a_remote_gets_what_it_needs_and_each_says_where_it_comes_from() {
    let wish = wish("gb", mysql("VERIFY_CA"));
    let all = all(&wish, ImageProgram::Ours);
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let expected = [
        "ALLOWED_TOKENS",
        "API_KEYS",
        "AUTH_TOKEN",
        "DEPLOYER",
        "GEMINI_BALANCE_REMOTE",
        "MAX_RETRIES",
        "METRICS_TOKEN",
        "MYSQL_DATABASE",
        "MYSQL_HOST",
        "MYSQL_PASSWORD",
        "MYSQL_PORT",
        "MYSQL_SSL_CA",
        "MYSQL_SSL_MODE",
        "MYSQL_USER",
        "PORT",
        "SECRET_KEY",
        "TZ",
    ];
    assert_eq!(names, expected);
    let values = values(&all);
    let keys: Vec<String> = serde_json::from_str(&values["API_KEYS"]).unwrap();
    assert_eq!(keys, ["AIzaSyFirstKeyOfAll", "AIzaSySecondKeyOfAll"]);
    assert!(!values["MYSQL_SSL_CA"].contains('\n'));
    assert_eq!(all["API_KEYS"].source, VariableSource::Keys);
    assert_eq!(all["SECRET_KEY"].source, VariableSource::Generated);
    assert_eq!(
        all["METRICS_TOKEN"].value,
        Value::Secret("token-for-prometheus".into())
    );
}

#[test]
fn the_original_gets_only_what_it_knows_and_its_limits_are_said() {
    let with_mysql = wish("gb", mysql("DISABLED"));
    let all = all(&with_mysql, ImageProgram::Original);
    // Those of its app/config/config.py, and TZ and PORT, which systems know.
    let knows = [
        "API_KEYS",
        "ALLOWED_TOKENS",
        "AUTH_TOKEN",
        "TZ",
        "PORT",
        "MYSQL_HOST",
        "MYSQL_PORT",
        "MYSQL_USER",
        "MYSQL_PASSWORD",
        "MYSQL_DATABASE",
    ];
    assert_eq!(all.len(), knows.len());
    assert!(knows.iter().all(|name| all.contains_key(*name)));
    assert_eq!(original_cannot(&with_mysql), None);
    for (database, says) in [
        (mysql("VERIFY_IDENTITY"), "without TLS"),
        (mysql("REQUIRED"), "without TLS"),
        (DatabaseWish::Volume { gib: 1 }, "no volume"),
    ] {
        let said = original_cannot(&wish("gb", database)).unwrap();
        assert!(said.contains(says), "{said}");
    }
    let without = wish("gb", DatabaseWish::None);
    assert_eq!(original_cannot(&without), None);
    assert!(original_forgets(&without).unwrap().contains("SQLite"));
    assert_eq!(original_forgets(&with_mysql), None);
}

#[test]
fn what_is_shown_holds_no_secret() {
    let all = all(&wish("gb", mysql("VERIFY_CA")), ImageProgram::Ours);
    let shown = format!("{:?} {all:?}", shown(&all));
    for (value, _) in known(&all).values().filter(|(_, secret)| *secret) {
        assert!(!shown.contains(value.as_str()), "{value}");
    }
    assert!(!shown.contains("AIzaSyFirstKeyOfAll"), "{shown}");
}

#[test]
fn texts_of_lines_are_read_back_as_they_were() {
    let wish = wish("gb", mysql("VERIFY_CA"));
    let all = all(&wish, ImageProgram::Ours);
    let env = written(VariablesFormat::Env, &wish, &all);
    let read: BTreeMap<String, String> = dotenvy::from_read_iter(env.as_bytes())
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, values(&all));
    let lines = written(VariablesFormat::Lines, &wish, &all);
    let read = lines.lines().map(|line| line.split_once('=').unwrap());
    let read: BTreeMap<String, String> = read
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(read, values(&all));
    let json = written(VariablesFormat::Json, &wish, &all);
    let read: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, values(&all));
}

#[test]
fn a_compose_file_is_read_back_as_it_was_whatever_the_name() {
    for name in ["gb", "true", "null", "y"] {
        let wish = wish(name, DatabaseWish::Volume { gib: 1 });
        let all = all(&wish, ImageProgram::Ours);
        let file = &yaml(&written(VariablesFormat::Compose, &wish, &all))[0];
        let service = &file["services"][name];
        assert_eq!(service["image"], IMAGE);
        let read = service["environment"].as_object().unwrap().iter();
        let read: BTreeMap<String, String> = read
            .map(|(name, value)| {
                let value = value.as_str().unwrap();
                // Every dollar is a pair, or Compose would replace it.
                assert!(!value.replace("$$", "").contains('$'), "{value}");
                (name.clone(), value.replace("$$", "$"))
            })
            .collect();
        assert_eq!(read, values(&all));
    }
}

#[test]
fn a_blueprint_asks_for_the_secrets_and_holds_the_rest() {
    let wish = wish("true", mysql("VERIFY_CA"));
    let all = all(&wish, ImageProgram::Ours);
    let text = written(VariablesFormat::RenderYaml, &wish, &all);
    let file = &yaml(&text)[0];
    let service = &file["services"][0];
    assert_eq!(service["name"], "true");
    assert_eq!(service["image"]["url"], IMAGE);
    let read = service["envVars"].as_array().unwrap();
    let known = known(&all);
    assert_eq!(read.len(), known.len());
    for variable in read {
        let (value, secret) = &known[variable["key"].as_str().unwrap()];
        match secret {
            true => assert_eq!(variable["sync"], false),
            false => assert_eq!(variable["value"], value.as_str()),
        }
        assert!(!secret || !text.contains(value.as_str()), "{value}");
    }
}

#[test]
fn a_template_has_an_input_for_each_secret_and_holds_the_rest() {
    let wish = wish("true", mysql("VERIFY_CA"));
    let all = all(&wish, ImageProgram::Ours);
    let text = written(VariablesFormat::Template, &wish, &all);
    let documents = yaml(&text);
    let kinds: Vec<&str> = documents
        .iter()
        .filter_map(|document| document["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["Template", "Deployment", "Service", "Ingress"]);
    assert_eq!(documents[0]["metadata"]["name"], "true");
    let inputs = documents[0]["spec"]["inputs"].as_object().unwrap();
    let container = &documents[1]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], IMAGE);
    let read = container["env"].as_array().unwrap();
    let known = known(&all);
    assert_eq!(read.len(), known.len());
    for variable in read {
        let name = variable["name"].as_str().unwrap();
        let (value, secret) = &known[name];
        assert_eq!(inputs.contains_key(name), *secret, "{name}");
        match secret {
            true => assert_eq!(variable["value"], format!("${{{{ inputs.{name} }}}}")),
            false => assert_eq!(variable["value"], value.as_str()),
        }
        assert!(!secret || !text.contains(value.as_str()), "{value}");
    }
}
