//! What translating costs, in CPU time: an agent's request of 20 turns with 40 tools, and each
//! event of a streamed answer, in every protocol. `cargo xtask bench --only translation` runs it
//! and writes `bench/translation.md`.

#![expect(clippy::unwrap_used, reason = "a measurement may panic")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput};
use dialect::anthropic_to_gemini::{MessagesStream, messages_request, messages_response};
use dialect::openai_to_gemini::responses::{
    ResponsesStream, responses_request, responses_response,
};
use dialect::openai_to_gemini::{ChatStream, chat_request, chat_response};
use dialect::sse::Events;
use dialect::style::Style;
use dialect::{ModelMap, ResponseMeta};
use serde_json::{Value, json};

/// Turns of the agent: each calls two functions.
const TURNS: usize = 20;
/// Functions that the agent declares.
const TOOLS: usize = 40;
/// Events of a streamed answer.
const EVENTS: usize = 200;

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    requests(&mut criterion);
    answers(&mut criterion);
    streams(&mut criterion);
    criterion.final_summary();
    // Set by `cargo xtask bench`, together with criterion's folder.
    if let Some(path) = std::env::var_os("GB_BENCH_TRANSLATION") {
        let home = std::env::var_os("CRITERION_HOME").unwrap();
        fs::write(path, table(Path::new(&home))).unwrap();
    }
}

/// What criterion found, from the files that it keeps in `home`.
fn table(home: &Path) -> String {
    let mut text = "# What translating costs\n\nWritten by `cargo xtask bench --only translation`. CPU time of the \
                    thread that translates, the mean that criterion found; KiB of what is read.\n\n\
                    | what | protocol | KiB | µs | µs per KiB | µs per event |\n|---|---|---:|---:|---:|---:|\n"
        .to_owned();
    for (group, says) in [
        (
            "request",
            "an agent's request of 20 turns, 2 calls each, with 40 tools",
        ),
        ("answer", "a whole answer"),
        ("stream", "a streamed answer of 200 events"),
    ] {
        for (protocol, name) in [
            ("chat", "OpenAI chat"),
            ("responses", "OpenAI Responses"),
            ("messages", "Anthropic Messages"),
        ] {
            let found = |file: &str| -> Value {
                let path = home.join(group).join(protocol).join("new").join(file);
                serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
            };
            let nanos = found("estimates.json")["mean"]["point_estimate"].as_f64();
            let micros = nanos.unwrap() / 1_000.0;
            let throughput = found("benchmark.json")["throughput"].clone();
            let both = &throughput["ElementsAndBytes"];
            let bytes = throughput["Bytes"].as_f64().or(both["bytes"].as_f64());
            let kib = bytes.unwrap() / 1_024.0;
            let per_event = both["elements"]
                .as_f64()
                .map(|events| format!("{:.2}", micros / events));
            writeln!(
                text,
                "| {says} | {name} | {kib:.1} | {micros:.1} | **{:.2}** | {} |",
                micros / kib,
                per_event.unwrap_or_default()
            )
            .unwrap();
        }
    }
    text
}

fn requests(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("request");
    let chat = chat_body();
    group.throughput(Throughput::Bytes(chat.len() as u64));
    group.bench_function("chat", |b| {
        b.iter(|| chat_request(black_box(&chat)).unwrap());
    });
    let responses = responses_body();
    group.throughput(Throughput::Bytes(responses.len() as u64));
    group.bench_function("responses", |b| {
        b.iter(|| responses_request(black_box(&responses), &()).unwrap());
    });
    let messages = messages_body();
    group.throughput(Throughput::Bytes(messages.len() as u64));
    let models = ModelMap::default();
    group.bench_function("messages", |b| {
        b.iter(|| messages_request(black_box(&messages), &models).unwrap());
    });
    group.finish();
}

fn answers(criterion: &mut Criterion<CpuTime>) {
    let text =
        "Each word of this answer is as long as it has to be, \"quoted\" or not.\n".repeat(120);
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": [
            {"text": "I have to think about this first.", "thought": true},
            {"text": text},
            {"functionCall": {"name": "tool_7", "args": {"path": "src/main.rs"}}, "thoughtSignature": "c2ln".repeat(100)},
        ]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 900, "candidatesTokenCount": 2000, "totalTokenCount": 2900},
    });
    let answer = answer.to_string();
    let body = answer.as_bytes();
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Bytes(body.len() as u64));
    let chat = chat_request(&chat_body()).unwrap();
    group.bench_function("chat", |b| {
        b.iter(|| chat_response(&chat, &meta(), black_box(body)).unwrap());
    });
    let responses = responses_request(&responses_body(), &()).unwrap();
    group.bench_function("responses", |b| {
        b.iter(|| responses_response(&responses, &meta(), black_box(body)).unwrap());
    });
    let messages = messages_request(&messages_body(), &ModelMap::default()).unwrap();
    group.bench_function("messages", |b| {
        b.iter(|| messages_response(&messages, &meta(), black_box(body)).unwrap());
    });
    group.finish();
}

/// A stream through `$stream`, event by event, as it comes from Google's socket.
macro_rules! streamed {
    ($wire:expr, $stream:expr) => {{
        let mut events = Events::new(1 << 20);
        events.push($wire.clone());
        let mut stream = $stream;
        let mut sent = 0;
        let mut out = Vec::with_capacity(4096);
        for event in &mut events {
            stream.event(&event.unwrap(), &mut out).unwrap();
            sent += out.len();
            out.clear();
        }
        stream.finish(&mut out);
        sent + out.len()
    }};
}

fn streams(criterion: &mut Criterion<CpuTime>) {
    let wire = bytes::Bytes::from(wire());
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::ElementsAndBytes {
        elements: EVENTS as u64,
        bytes: wire.len() as u64,
    });
    let chat = chat_request(&chat_body()).unwrap();
    group.bench_function("chat", |b| {
        b.iter(|| streamed!(black_box(&wire), ChatStream::new(&chat, &meta())));
    });
    let responses = responses_request(&responses_body(), &()).unwrap();
    group.bench_function("responses", |b| {
        b.iter(|| streamed!(black_box(&wire), ResponsesStream::new(&responses, &meta())));
    });
    let messages = messages_request(&messages_body(), &ModelMap::default()).unwrap();
    group.bench_function("messages", |b| {
        b.iter(|| streamed!(black_box(&wire), MessagesStream::new(&messages, &meta())));
    });
    group.finish();
}

fn meta() -> ResponseMeta {
    ResponseMeta {
        id: "chatcmpl-0123456789abcdef".to_owned(),
        created: 1_800_000_000,
        style: Style::default(),
    }
}

/// Google's events: text in pieces as models send them, then a call.
fn wire() -> String {
    let mut wire = String::new();
    for number in 0..EVENTS {
        let part = match number {
            0..3 => json!({"text": "Thinking about what to do next. ", "thought": true}),
            _ if number + 1 == EVENTS => {
                json!({"functionCall": {"name": "tool_7", "args": {"path": "src/main.rs"}}, "thoughtSignature": "c2ln".repeat(100)})
            }
            _ => json!({"text": "some words of the answer, \"quoted\" ones too, "}),
        };
        let mut event = json!({
            "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 31_000, "candidatesTokenCount": number, "totalTokenCount": 31_000 + number, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31_000}]},
            "modelVersion": "gemini-3.8-flash",
            "responseId": "abcdefghijklmnopqrstuvwx",
        });
        if number + 1 == EVENTS {
            event["candidates"][0]["finishReason"] = json!("STOP");
        }
        wire.push_str(&format!("data: {event}\r\n\r\n"));
    }
    wire
}

// --- the agent's request in each protocol ---

const MODEL: &str = "gemini-3.8-flash";

fn system() -> String {
    "You are a coding agent. Follow the rules of the repository.\n".repeat(140)
}

fn result(turn: usize) -> String {
    format!("fn answer_{turn}() -> u32 {{\n    // \"the\" answer\n    42\n}}\n\n").repeat(40)
}

fn schema(number: usize) -> Value {
    let properties: serde_json::Map<String, Value> = (0..6)
        .map(|at| {
            let description =
                "What this argument is for, in as many words as such texts have in practice.";
            (
                format!("argument_{number}_{at}"),
                json!({"type": "string", "description": description, "enum": ["one", "two"]}),
            )
        })
        .collect();
    json!({"type": "object", "properties": properties, "required": ["path"], "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#"})
}

fn description(number: usize) -> String {
    format!("Tool number {number}. ").repeat(12)
}

fn signature() -> String {
    "c2ln".repeat(100)
}

fn arguments(turn: usize) -> Value {
    json!({"path": format!("src/module_{turn}.rs"), "limit": 200})
}

fn chat_body() -> Vec<u8> {
    let mut messages = vec![
        json!({"role": "system", "content": system()}),
        json!({"role": "user", "content": "Mend the bug."}),
    ];
    for turn in 0..TURNS {
        let calls: Vec<Value> = (0..2)
            .map(|at| {
                let mut call = json!({"id": format!("call_{turn}_{at}"), "type": "function", "function": {"name": format!("tool_{at}"), "arguments": arguments(turn).to_string()}});
                if at == 0 {
                    call["extra_content"] = json!({"google": {"thought_signature": signature()}});
                }
                call
            })
            .collect();
        messages.push(json!({"role": "assistant", "content": "Let me look.", "tool_calls": calls}));
        for at in 0..2 {
            messages.push(json!({"role": "tool", "tool_call_id": format!("call_{turn}_{at}"), "content": result(turn)}));
        }
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(|number| json!({"type": "function", "function": {"name": format!("tool_{number}"), "description": description(number), "parameters": schema(number)}}))
        .collect();
    let body = json!({"model": MODEL, "messages": messages, "tools": tools, "stream": true, "temperature": 0.2});
    body.to_string().into_bytes()
}

fn responses_body() -> Vec<u8> {
    let mut input = vec![json!({"role": "user", "content": "Mend the bug."})];
    for turn in 0..TURNS {
        input.push(json!({"type": "message", "role": "assistant", "id": format!("msg_{turn}"), "status": "completed", "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]}));
        input.push(json!({"type": "reasoning", "id": format!("rs_{turn}"), "summary": [], "encrypted_content": format!("gemini:{}", signature())}));
        for at in 0..2 {
            input.push(json!({"type": "function_call", "id": format!("fc_{turn}_{at}"), "call_id": format!("call_{turn}_{at}"), "name": format!("tool_{at}"), "arguments": arguments(turn).to_string(), "status": "completed"}));
        }
        for at in 0..2 {
            input.push(json!({"type": "function_call_output", "call_id": format!("call_{turn}_{at}"), "output": result(turn)}));
        }
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(|number| json!({"type": "function", "name": format!("tool_{number}"), "description": description(number), "parameters": schema(number), "strict": false}))
        .collect();
    let body = json!({"model": MODEL, "instructions": system(), "input": input, "tools": tools, "stream": true, "store": false});
    body.to_string().into_bytes()
}

fn messages_body() -> Vec<u8> {
    let mut messages = vec![json!({"role": "user", "content": "Mend the bug."})];
    for turn in 0..TURNS {
        let mut said = vec![
            json!({"type": "text", "text": "Let me look."}),
            json!({"type": "thinking", "thinking": "", "signature": format!("gemini:{}", signature())}),
        ];
        let mut results = Vec::new();
        for at in 0..2 {
            let id = format!("toolu_{turn}_{at}");
            said.push(json!({"type": "tool_use", "id": id, "name": format!("tool_{at}"), "input": arguments(turn)}));
            results.push(json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": result(turn)}]}));
        }
        messages.push(json!({"role": "assistant", "content": said}));
        messages.push(json!({"role": "user", "content": results}));
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(|number| json!({"name": format!("tool_{number}"), "description": description(number), "input_schema": schema(number)}))
        .collect();
    let body = json!({"model": MODEL, "max_tokens": 8192, "system": system(), "messages": messages, "tools": tools, "stream": true});
    body.to_string().into_bytes()
}

// --- the clock ---

/// The CPU time of this thread: what others do on the machine does not count.
struct CpuTime;

#[cfg(target_os = "linux")]
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap(),
    )
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "a measurement is about time")]
fn now() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, start: Duration) -> Duration {
        now().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        // Nanoseconds: what criterion's own clock gives.
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // That of criterion's own clock, which is in nanoseconds, too.
        criterion::measurement::WallTime.formatter()
    }
}
