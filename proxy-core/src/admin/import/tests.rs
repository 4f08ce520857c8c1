use super::*;

const A: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
const B: &str = "AQ.Ab8RN6KabcdefghIJKLmnop0123456789-_xyzABCDEFGHIJKL";
const C: &str = "IQ.Zz8RN6KabcdefghIJKLmnop0123456789";

/// Label and key of each found key.
fn found(text: &str) -> Vec<(String, String)> {
    let keys = parse(text).found.into_iter();
    keys.map(|key| (key.label, key.secret.expose().clone()))
        .collect()
}

fn keys(text: &str) -> Vec<String> {
    found(text).into_iter().map(|(_, key)| key).collect()
}

#[test]
fn keys_are_found_in_every_way_of_writing_them() {
    let env = format!("# my keys\nexport API_KEYS='[\"{A}\",\n \"{B}\"]'\nPORT=8000\n");
    let json = format!(r#"{{"a":{{"keys":[["{A}"],{{"key":"{B}"}}]}},"n":12345678901234567890}}"#);
    for text in [
        format!("{A}\n{B}\n"),
        format!("{A}\r\n\r\n  {B}  "),
        format!("{A},{B}"),
        format!("{A}，{B}；"),
        format!("{A}、{B}。"),
        format!("{A};{B} {A_AGAIN}", A_AGAIN = A),
        format!("“{A}”，“{B}”"),
        format!("[\"{A}\", \"{B}\"]"),
        format!("['{A}', '{B}',]"),
        format!("- {A}\n- {B}\n"),
        format!("1. `{A}`\n2. **{B}**\n"),
        format!("密钥是{A}和{B}谢谢"),
        format!("curl 'https://x.googleapis.com/v1beta/models?alt=sse&key={A}' and {B}."),
        format!(r#"{{"API_KEYS":"{A}\n{B}"}}"#),
        env,
        json,
    ] {
        assert_eq!(keys(&text), [A, B], "{text}");
        assert_eq!(parse(&text).rejected, [], "{text}");
    }
}

#[test]
fn an_unknown_prefix_is_a_key_all_the_same() {
    assert_eq!(keys(C), [C]);
    assert_eq!(
        keys("0f3b9c1d2e4f5a6b7c8d9e0f1a2b3c4d"),
        ["0f3b9c1d2e4f5a6b7c8d9e0f1a2b3c4d"]
    );
}

#[test]
fn labels_come_from_where_people_write_them() {
    let cases = [
        (format!("work: {A}"), "work"),
        (format!("工作账号：{A}"), "工作账号"),
        (format!("work = \"{A}\""), "work"),
        (format!("{A}, work"), "work"),
        (format!("work,{A}"), "work"),
        (format!("{A} # from the office"), "from the office"),
        (format!("{A} work"), "work"),
        (
            format!("me@example.com----hunter2pass----{A}"),
            "me@example.com",
        ),
        (format!("name,key\nmine,{A}\n"), "mine"),
        (format!("id\tAPI Key\t备注\n7\t{A}\t小号\n"), "小号"),
        (
            format!("key;email\n\"{A}\";\"me@example.com\"\n"),
            "me@example.com",
        ),
        (format!(r#"[{{"name":"one","key":"{A}"}}]"#), "one"),
        (format!(r#"{{"two":"{A}"}}"#), "two"),
        (format!("GEMINI_API_KEY={A}"), ""),
        (format!("1. {A}"), ""),
        (format!("here is my key {A} please"), ""),
        (format!("https://example.com/?key={A}"), ""),
        (format!(r#"{{"api_key":"{A}"}}"#), ""),
        (format!("{B}2,{A}"), ""),
    ];
    for (text, label) in cases {
        let found = found(&text);
        let of_a = found.iter().find(|(_, key)| key == A);
        assert_eq!(of_a.map(|(label, _)| label.as_str()), Some(label), "{text}");
    }
    let long = found(&format!("{}: {A}", "长".repeat(300)));
    assert_eq!(long[0].0.chars().count(), LABEL_CHARS);
}

#[test]
fn what_certainly_is_no_key_is_said_with_its_line() {
    use NotAKey::{BadCharacters, OtherVendor, ShortLivedToken, TooLong, TooShort};
    let too_long = format!("AIza{}", "x1Y".repeat(80));
    let cases = [
        ("AIzaSyTooShort", TooShort),
        ("AIza", TooShort),
        ("aB3dE5gH7jK9", TooShort),
        (too_long.as_str(), TooLong),
        ("ya29.a0AfH6SMBabcdefghijkl", ShortLivedToken),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123",
            ShortLivedToken,
        ),
        ("sk-proj-abcdefghijklmnop123456", OtherVendor),
        ("gsk_abcdefghijklmnopqrstuvwx12", OtherVendor),
        ("AIzaSyA1234567890*************uv", BadCharacters),
        ("AIza…x3Fq", BadCharacters),
        ("AIzaSyA1....................stuv", BadCharacters),
    ];
    for (piece, reason) in cases {
        let parsed = parse(&format!("first line\n\n{piece}\n{A}\n"));
        let rejected: Vec<_> = parsed
            .rejected
            .iter()
            .map(|piece| (piece.line, piece.reason))
            .collect();
        assert_eq!(rejected, [(3, reason)], "{piece}");
        assert_eq!(parsed.found.len(), 1, "{piece}");
        assert!(
            !parsed.rejected[0].masked.contains(&piece[3..]),
            "masked: {piece}"
        );
    }
    let in_json = parse("[\n  \"AIzaShort\"\n]");
    assert_eq!(in_json.rejected[0].line, 2);
}

#[test]
fn words_and_names_are_passed_over_in_silence() {
    let text = "Hello! These are my keys for gemini-2.5-flash-preview-05-20, bought 2026-01-01.\n\
        gemini-2.5-flash-lite-preview-06-17\n\
        https://generativelanguage.googleapis.com/v1beta/models\n\
        gen-lang-client-0123456789\n\
        123e4567-e89b-12d3-a456-426614174000\n\
        TOOLS_CODE_EXECUTION_ENABLED=false\n\
        me@example.com 12345678901234567890\n\
        ----------------------------------\n\
        # AIzaSyB1234567890abcdefghijklmnopqrstuv\n";
    let parsed = parse(text);
    assert!(parsed.found.is_empty(), "{:?}", keys(text));
    assert_eq!(parsed.rejected, []);
    assert!(parse("").found.is_empty());
}

#[test]
fn repetitions_are_counted_once() {
    let parsed = parse(&format!("{A}\n{B}\n{A}\n{A}"));
    assert_eq!(parsed.found.len(), 2);
    assert_eq!(parsed.repeated.len(), 2);
}

#[test]
fn no_text_makes_it_fail() {
    for text in [
        "\u{0}",
        "“”‘’",
        "AIza",
        "====",
        "key=",
        "[[[",
        "{\"a\":",
        "…",
        "ｅｙＪ",
    ] {
        let _ = parse(text);
    }
    let many = format!("{A},").repeat(20_000);
    assert_eq!(parse(&many).found.len(), 1);
}
