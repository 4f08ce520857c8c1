//! Schemas of functions and of answers for the models that take no JSON Schema.

use dialect::openai_to_gemini::chat_request;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::common::{fixtures, json, snapshot};

/// What Google's `Schema` has (ai.google.dev, v1beta).
const KEYWORDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
];

/// What Google is sent for an answer of this schema.
fn converted(schema: &Value) -> Value {
    let body = json!({
        "model": "gemini-2.0-flash",
        "messages": [{"role": "user", "content": "Hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    });
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    let config = json(&call.body)["generationConfig"].clone();
    assert_eq!(config.get("responseJsonSchema"), None);
    config["responseSchema"].clone()
}

/// What Google is sent for a function with these parameters.
fn parameters(schema: &Value) -> Value {
    let body = json!({
        "model": "gemini-2.0-flash",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
    });
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    let declaration = json(&call.body)["tools"][0]["functionDeclarations"][0].clone();
    assert_eq!(declaration.get("parametersJsonSchema"), None);
    declaration["parameters"].clone()
}

/// Google takes it: only its keywords, each where it may stand.
fn acceptable(schema: &Value) {
    let fields = schema.as_object().unwrap();
    for key in fields.keys() {
        assert!(KEYWORDS.contains(&&**key), "{key} in {schema}");
    }
    if let Some(choices) = fields.get("anyOf") {
        assert_eq!(fields.len(), 1, "{schema}");
        assert!(choices.as_array().unwrap().len() > 1, "{schema}");
        choices.as_array().unwrap().iter().for_each(acceptable);
        return;
    }
    let kind = fields["type"].as_str().unwrap();
    let is_list = kind == "ARRAY";
    assert_eq!(fields.contains_key("items"), is_list, "{schema}");
    if let Some(items) = fields.get("items") {
        acceptable(items);
    }
    let formats: &[&str] = match kind {
        "STRING" => &["date-time", "enum"],
        "NUMBER" => &["float", "double"],
        "INTEGER" => &["int32", "int64"],
        "BOOLEAN" | "ARRAY" | "OBJECT" | "NULL" => &[],
        _ => panic!("{schema}"),
    };
    if let Some(format) = fields.get("format") {
        assert!(formats.contains(&format.as_str().unwrap()), "{schema}");
    }
    if let Some(values) = fields.get("enum") {
        assert_eq!(kind, "STRING");
        let values = values.as_array().unwrap();
        assert!(!values.is_empty() && values.iter().all(|value| value.is_string() && value != ""));
    }
    let properties = fields.get("properties").map(|all| all.as_object().unwrap());
    assert_eq!(properties.is_some(), kind == "OBJECT", "{schema}");
    if let Some(properties) = properties {
        assert!(!properties.is_empty());
        properties.values().for_each(acceptable);
    }
    for names in ["required", "propertyOrdering"] {
        for name in fields
            .get(names)
            .into_iter()
            .flat_map(|all| all.as_array().unwrap())
        {
            assert!(
                properties.unwrap().contains_key(name.as_str().unwrap()),
                "{schema}"
            );
        }
    }
}

/// A schema of Google's as JSON Schema, to try values with.
fn back(schema: &Value) -> Value {
    let mut fields = Map::new();
    let mut nullable = false;
    for (key, value) in schema.as_object().unwrap() {
        let value = match &**key {
            "type" => value.as_str().unwrap().to_lowercase().into(),
            "items" => back(value),
            "anyOf" => value.as_array().unwrap().iter().map(back).collect(),
            "properties" => {
                let all = value.as_object().unwrap().iter();
                Value::Object(all.map(|(name, own)| (name.clone(), back(own))).collect())
            }
            "nullable" => {
                nullable = value == true;
                continue;
            }
            _ => value.clone(),
        };
        fields.insert(key.clone(), value);
    }
    match nullable {
        true => json!({"anyOf": [fields, {"type": "null"}]}),
        false => fields.into(),
    }
}

fn holds(schema: &Value, value: &Value) -> bool {
    jsonschema::validator_for(schema).unwrap().is_valid(value)
}

/// The names of all properties.
fn names(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Array(all) => all.iter().for_each(|one| names(one, into)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (&**key, value) {
                    ("properties", Value::Object(properties)) => {
                        for (name, own) in properties {
                            into.push(name.clone());
                            names(own, into);
                        }
                    }
                    ("items" | "anyOf" | "oneOf" | "allOf", own) => names(own, into),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

#[test]
fn nasty_schemas_of_older_models() {
    let mut count = 0;
    for (name, script) in fixtures("conversations", "json") {
        let script = json(&script);
        let Some(schema) = script["tools"][0].get("parameters") else {
            continue;
        };
        if !name.starts_with("schema_") {
            continue;
        }
        let made = parameters(schema);
        if !made.is_null() {
            acceptable(&made);
        }
        let shown = format!(
            "{}\n\n{}\n",
            script["about"].as_str().unwrap(),
            serde_json::to_string_pretty(&made).unwrap()
        );
        snapshot("schemas", &name, &shown);
        count += 1;
    }
    assert!(count >= 20, "{count} schemas");
}

#[test]
fn the_newer_models_get_what_was_sent() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 1}}});
    for (model, own) in [
        ("gemini-2.5-flash", false),
        ("gemini-3.8-flash", false),
        ("gemini-5-whatever", false),
        ("gemini-2.0-flash-lite", true),
        ("gemma-4-31b-it", true),
    ] {
        let body = json!({
            "model": model,
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        });
        let call = chat_request(body.to_string().as_bytes()).unwrap();
        let declaration = json(&call.body)["tools"][0]["functionDeclarations"][0].clone();
        let (there, absent) = match own {
            true => ("parameters", "parametersJsonSchema"),
            false => ("parametersJsonSchema", "parameters"),
        };
        assert_eq!(declaration.get(absent), None, "{model}");
        match own {
            true => acceptable(&declaration[there]),
            false => assert_eq!(declaration[there], schema, "{model}"),
        }
    }
}

#[test]
fn what_explodes_ends() {
    // Each level names the next twice: 2^40 schemas, if all were put in place.
    let mut defs = Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        defs.insert(
            format!("l{level}"),
            json!({"type": "object", "properties": {"a": next, "b": next}}),
        );
    }
    defs.insert("l40".to_owned(), json!({"type": "string"}));
    let bomb = json!({"$ref": "#/$defs/l0", "$defs": defs});
    let made = converted(&bomb);
    acceptable(&made);
    assert!(made.to_string().len() < 2_000_000);

    // Choices multiply, too.
    let either = json!({"anyOf": [{"minLength": 1}, {"pattern": "a"}, {"maxLength": 9}]});
    let many = json!({"type": "string", "allOf": vec![either; 12]});
    acceptable(&converted(&many));
    // Each is what it is.
    let loops = json!({"allOf": [{"$ref": "#"}], "anyOf": [{"$ref": "#"}, {"not": {"$ref": "#"}}]});
    acceptable(&converted(&loops));
}

#[test]
fn a_long_chain_ends() {
    let mut defs = Map::new();
    for at in 0..6_000 {
        defs.insert(
            format!("l{at}"),
            json!({"$ref": format!("#/$defs/l{}", at + 1)}),
        );
    }
    defs.insert("l6000".to_owned(), json!({"type": "string"}));
    let chain =
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/l0"}}, "$defs": defs});
    assert!(chain.to_string().len() > 150_000);
    acceptable(&converted(&chain));
    acceptable(&parameters(&chain));
    // Also where it stands deep, in many choices.
    let mut deep = chain.clone();
    for at in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
        deep["$defs"][format!("d{at}")] = json!({"type": "object", "properties": {"a": {"anyOf": [next, {"type": "array", "items": next}]}}});
    }
    deep["$defs"]["d40"] = json!({"allOf": [{"$ref": "#/$defs/l0"}]});
    for start in [0, 24, 28, 39] {
        deep["properties"]["a"]["$ref"] = json!(format!("#/$defs/d{start}"));
        acceptable(&converted(&deep));
    }
    // A short one is followed to its end.
    let mut short = chain;
    short["properties"]["a"]["$ref"] = json!("#/$defs/l5970");
    assert_eq!(converted(&short)["properties"]["a"]["type"], "STRING");
}

#[test]
fn many_that_hold_together_end() {
    let all: Vec<Value> = (0..10_000)
        .map(|n| json!({"properties": {"x": {"minLength": n % 50}}}))
        .collect();
    let many = json!({"type": "object", "allOf": all});
    let made = converted(&many);
    acceptable(&made);
    assert_eq!(made["properties"]["x"]["minLength"], 49);
    assert_eq!(made["properties"]["x"]["type"], "STRING");
}

#[test]
fn what_is_long_is_not_written_over_and_over() {
    let long = "long ".repeat(20_000);
    let names: Vec<String> = (0..4_000).map(|n| format!("p{n}")).collect();
    let refs: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({"$ref": "#/$defs/a"})))
        .collect();
    for one in [
        json!({"type": "string", "description": long}),
        json!({"type": "string", "enum": (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>()}),
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": long}}}),
        json!({"anyOf": [{"type": "string"}, {"type": "number"}], "title": long, "description": long}),
        json!({"description": long}),
        json!({"type": "array", "items": {"default": long, "type": "string"}}),
    ] {
        let bomb =
            json!({"type": "object", "properties": refs, "required": names, "$defs": {"a": one}});
        let len = bomb.to_string().len();
        for made in [converted(&bomb), parameters(&bomb)] {
            acceptable(&made);
            assert!(made.to_string().len() < 5 * len + 512 * 1024);
        }
    }
    // What is read and not written.
    let nothing: Vec<Value> = vec![json!(1); 100_000];
    for one in [
        json!({"allOf": nothing}),
        json!({"const": long}),
        json!({"$ref": format!("#/$defs/{long}")}),
        json!({"prefixItems": nothing}),
    ] {
        let bomb = json!({"type": "object", "properties": refs, "$defs": {"a": one}});
        acceptable(&converted(&bomb));
    }
    // The parameters of many kinds.
    let kinds: Vec<Value> = (0..3_000)
        .map(|n| json!({"type": "object", "properties": {"a": {"const": n.to_string()}}}))
        .collect();
    let made = parameters(&json!({ "anyOf": kinds }));
    acceptable(&made);
    // Each is two schemas, of which so many are written.
    assert!(made["properties"]["a"]["anyOf"].as_array().unwrap().len() > 1_900);
    // Each level has many, and the whole again in each of them.
    let wide: Map<String, Value> = (0..4_000)
        .map(|n| (format!("{n}"), json!({"$ref": "#/$defs/a"})))
        .collect();
    let bomb = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": wide}}});
    let len = bomb.to_string().len();
    let made = converted(&bomb);
    acceptable(&made);
    assert!(made.to_string().len() < 5 * len + 512 * 1024);
}

/// With a square it would be stopped as one that is stuck.
#[test]
fn large_lists_take_no_square_of_their_length() {
    let texts: Vec<String> = (0..60_000).map(|n| format!("text {n}")).collect();
    let choices: Vec<Value> = (0..3_000)
        .map(|n| json!({"const": n.to_string()}))
        .collect();
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string", "enum": texts},
        "b": {"allOf": [{"enum": texts}, {"enum": texts.iter().rev().collect::<Vec<_>>()}]},
        "c": {"anyOf": choices},
    }, "required": texts.iter().chain(["a".to_owned()].iter()).collect::<Vec<_>>()});
    let made = converted(&schema);
    acceptable(&made);
    for name in ["a", "b"] {
        assert_eq!(
            made["properties"][name]["enum"].as_array().unwrap().len(),
            60_000
        );
    }
    assert_eq!(
        made["properties"]["c"]["anyOf"].as_array().unwrap().len(),
        3_000
    );
    assert_eq!(made["required"], json!(["a"]));
}

#[test]
fn every_object_has_properties() {
    let schema = json!({"type": "object", "properties": {
        "free": {"type": "object"},
        "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
        "either": {"type": ["object", "string"]},
        "list": {"type": "array", "items": {"type": "object", "additionalProperties": true}},
        "anything": {},
        "tree": {"$ref": "#/$defs/tree"},
    }, "$defs": {"tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}}});
    for made in [converted(&schema), parameters(&schema)] {
        acceptable(&made);
        let properties = &made["properties"];
        assert_eq!(properties["free"]["type"], "OBJECT");
        assert_eq!(properties["free"].get("required"), None);
        assert_eq!(
            properties["numbers"]["properties"]["any_name"]["type"],
            "INTEGER"
        );
        assert_eq!(properties["list"]["items"]["type"], "OBJECT");
        assert_eq!(
            properties["tree"]["properties"]["next"]["properties"]["next"]["description"],
            "(another tree, as above)"
        );
    }
    // There is nothing to tell of the whole.
    for bare in [
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
    ] {
        assert_eq!(converted(&bare), Value::Null);
        assert_eq!(parameters(&bare), Value::Null);
    }
    let one = json!({"anyOf": [{"type": "object"}, {"type": "object", "properties": {"a": {"type": "string"}}}]});
    assert_eq!(
        parameters(&one)["properties"],
        json!({"a": {"type": "STRING"}})
    );
}

#[test]
fn what_is_referred_to_again_is_no_cycle() {
    let schema = json!({
        "$ref": "#/$defs/employee",
        "$defs": {
            "person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "employee": {
                "allOf": [{"$ref": "#/$defs/person"}, {"$ref": "#/$defs/person"}],
                "properties": {"manager": {"$ref": "#/$defs/person"}},
            },
        },
    });
    let made = converted(&schema);
    acceptable(&made);
    let person =
        json!({"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "required": ["name"]});
    assert_eq!(made["properties"]["manager"], person);
    assert_eq!(made["properties"]["name"], json!({"type": "STRING"}));
    // What a condition takes the properties of is still whole where it holds.
    let schema = json!({
        "allOf": [{"then": {"$ref": "#/$defs/a"}}, {"$ref": "#/$defs/a"}],
        "$defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
    });
    assert_eq!(converted(&schema)["required"], json!(["x"]));
}

#[test]
fn what_is_said_of_a_choice_stays() {
    let schema = json!({"type": "object", "properties": {
        "a": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A", "default": null},
        "b": {"type": ["integer", "null"], "example": 3, "default": 7},
        "c": {"anyOf": [{"type": "string"}, {"type": "integer"}], "title": "C", "default": 7},
    }});
    let properties = &converted(&schema)["properties"];
    assert_eq!(
        properties["a"],
        json!({"type": "STRING", "nullable": true, "title": "A", "default": null})
    );
    assert_eq!(
        properties["b"],
        json!({"type": "INTEGER", "nullable": true, "example": 3, "default": 7})
    );
    assert_eq!(
        properties["c"],
        json!({"anyOf": [{"type": "STRING", "title": "C"}, {"type": "INTEGER", "title": "C", "default": 7}]})
    );
    let schema = json!({"description": "All of it", "anyOf": [
        {"properties": {"a": {"type": "string"}}},
        {"properties": {"b": {"type": "string"}}},
    ]});
    assert_eq!(parameters(&schema)["description"], "All of it");
}

/// A schema, and a value that fits it.
fn fitting() -> impl Strategy<Value = (Value, Value)> {
    let note = prop::option::of("[a-z]{1,6}");
    let leaf = prop_oneof![
        ("[a-z]{1,5}", prop::sample::select(vec!["date", "email", "uuid", "date-time"]))
            .prop_map(|(text, format)| (json!({"type": "string", "format": format, "minLength": 1}), json!(text))),
        (-50_i64..50).prop_map(|n| (json!({"type": "integer", "exclusiveMinimum": n - 1, "maximum": n, "multipleOf": 1}), json!(n))),
        (-50_i32..50).prop_map(|n| {
            let n = f64::from(n) + 0.5;
            (json!({"type": ["number", "null"], "exclusiveMaximum": n + 0.25}), json!(n))
        }),
        any::<bool>().prop_map(|b| (json!({"type": "boolean"}), json!(b))),
        "[a-z]{1,4}".prop_map(|text| (json!({"const": text}), json!(text))),
        (0_i64..9).prop_map(|n| (json!({"const": n}), json!(n))),
        any::<bool>().prop_map(|b| (json!({"enum": [b]}), json!(b))),
        ("[a-z]{1,4}", 0_usize..4).prop_map(|(text, at)| {
            let values = [json!(text), json!(7), Value::Null, json!(1.5)];
            (json!({ "enum": values }), values[at].clone())
        }),
        ("[a-z]{1,4}", any::<bool>()).prop_map(|(text, null)| {
            let value = if null { Value::Null } else { json!(text) };
            (json!({"type": ["string", "null"], "enum": [text, null]}), value)
        }),
        "[a-z]{0,4}".prop_map(|text| (json!({}), json!(text))),
        any::<i32>().prop_map(|n| (json!(true), json!([n]))),
        Just((json!({"type": "null"}), Value::Null)),
        ("[a-z]{1,4}", 0..9).prop_map(|(name, n)| {
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"minLength": 1}}),
                json!({ name: n }),
            )
        }),
    ];
    let nested = leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop::sample::subsequence(
            vec!["type", "$ref", "anyOf", "format", "properties", "x y", "const"],
            1..4,
        );
        prop_oneof![
            (names, prop::collection::vec(inner.clone(), 4), any::<bool>()).prop_map(|(names, inner, strict)| {
                let mut properties = Map::new();
                let mut value = Map::new();
                for (at, (name, (schema, one))) in names.iter().zip(inner).enumerate() {
                    properties.insert((*name).to_owned(), schema);
                    if at != 1 {
                        value.insert((*name).to_owned(), one);
                    }
                }
                let schema = json!({"type": "object", "properties": properties, "required": [names[0]], "additionalProperties": !strict});
                (schema, value.into())
            }),
            (inner.clone(), 0_usize..3)
                .prop_map(|((schema, one), count)| (json!({"type": "array", "items": schema, "uniqueItems": false}), json!(vec![one; count]))),
            (inner.clone(), inner.clone()).prop_map(|((a, one), (b, two))| {
                (json!({"type": "array", "prefixItems": [a, b], "items": false}), json!([one, two]))
            }),
            (inner.clone(), inner.clone(), any::<bool>())
                .prop_map(|((a, one), (b, two), first)| (json!({ "anyOf": [a, b] }), if first { one } else { two })),
            inner.clone().prop_map(|(schema, one)| (json!({"allOf": [schema, {"description": "both"}]}), one)),
            inner.prop_map(|(schema, one)| (json!({"anyOf": [schema, {"type": "null"}], "title": "t", "default": null}), one)),
        ]
    });
    (nested, note).prop_map(|((mut schema, value), note)| {
        if let (Some(note), Some(fields)) = (note, schema.as_object_mut()) {
            fields.insert("description".to_owned(), note.into());
        }
        (schema, value)
    })
}

/// The same by way of a reference, where the schema says nothing of its own.
fn behind_a_reference((schema, value): (Value, Value)) -> (Value, Value) {
    let schema = json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": schema}, "$comment": "no"});
    (schema, value)
}

/// Anything, in the places of schemas and out of place.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "string",
            "OBJECT",
            "array",
            "null",
            "any",
            "#",
            "#/properties/a",
            "#/$defs/b",
            ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let keys = prop::sample::select(vec![
            "type",
            "properties",
            "items",
            "prefixItems",
            "anyOf",
            "oneOf",
            "allOf",
            "enum",
            "const",
            "$ref",
            "$defs",
            "required",
            "nullable",
            "format",
            "description",
            "minimum",
            "maxItems",
            "then",
            "additionalProperties",
            "propertyOrdering",
            "default",
            "a",
            "b",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..6).prop_map(|all| {
                Value::Object(
                    all.into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_value_that_fits_fits_what_is_made_of_it(made in fitting(), refer in any::<bool>()) {
        let plain = made.0.clone();
        let (schema, value) = if refer { behind_a_reference(made) } else { made };
        prop_assume!(holds(&schema, &value));
        let google = converted(&schema);
        if google.is_null() {
            // Any object, which Google cannot be told.
            prop_assert!(value.is_object(), "{schema}");
            return Ok(());
        }
        acceptable(&google);
        prop_assert!(holds(&back(&google), &value), "{schema}\n{google}\n{value}");
        // Made of itself, it is itself.
        prop_assert_eq!(&converted(&google), &google);
        let (mut given, mut left) = (Vec::new(), Vec::new());
        names(&plain, &mut given);
        names(&google, &mut left);
        for name in given {
            prop_assert!(left.contains(&name), "{} is gone from {}", name, google);
        }
    }

    #[test]
    fn whatever_is_sent_google_takes_what_is_made_of_it(schema in anything()) {
        let Value::Object(schema) = schema else { return Ok(()) };
        let google = converted(&Value::Object(schema.clone()));
        if !google.is_null() {
            acceptable(&google);
        }
        let google = parameters(&Value::Object(schema));
        if !google.is_null() {
            prop_assert_eq!(&google["type"], "OBJECT");
            acceptable(&google);
        }
    }
}
