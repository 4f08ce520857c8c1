//! The bridge of the desktop window: `window.__TAURI_INTERNALS__`.
//!
//! Reached by reflection: the object is there or not, which is also how the panel finds
//! out what it runs in, and no import that fails in a browser gets into the wasm.

use contract::{ApiError, ErrorCode};
use gloo::utils::window;
use js_sys::{Function, JSON, Promise, Reflect};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

fn internals() -> Option<JsValue> {
    let value = Reflect::get(&window(), &"__TAURI_INTERNALS__".into()).ok()?;
    value.is_object().then_some(value)
}

fn function(name: &str) -> Result<(JsValue, Function), ApiError> {
    let internals = internals().ok_or_else(|| broken("the bridge is missing"))?;
    let function = Reflect::get(&internals, &name.into())
        .ok()
        .and_then(|f| f.dyn_into::<Function>().ok())
        .ok_or_else(|| broken("the bridge has no such function"))?;
    Ok((internals, function))
}

/// Whether the panel runs in the desktop window.
pub fn present() -> bool {
    internals().is_some()
}

/// Runs a command of the shell.
pub async fn invoke<T: DeserializeOwned>(command: &str, args: &Value) -> Result<T, ApiError> {
    let (this, invoke) = function("invoke")?;
    let args = JSON::parse(&args.to_string()).map_err(|_| broken("arguments"))?;
    let promise: Promise = invoke
        .call2(&this, &command.into(), &args)
        .map_err(|e| refusal(&e))?
        .dyn_into()
        .map_err(|_| broken("no promise"))?;
    let answer = JsFuture::from(promise).await.map_err(|e| refusal(&e))?;
    serde_json::from_value(plain(&answer)).map_err(|e| broken(&e.to_string()))
}

/// Calls `listener` with every event `name`, for as long as the window lives.
pub async fn listen<T: DeserializeOwned + 'static>(
    name: &str,
    listener: impl Fn(T) + 'static,
) -> Result<(), ApiError> {
    let callback = Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| {
        let payload = Reflect::get(&event, &"payload".into()).unwrap_or(JsValue::NULL);
        if let Ok(payload) = serde_json::from_value(plain(&payload)) {
            listener(payload);
        }
    });
    let (this, transform) = function("transformCallback")?;
    let handler = transform
        .call1(&this, callback.as_ref())
        .ok()
        .and_then(|id| id.as_f64())
        .ok_or_else(|| broken("no callback id"))?;
    // The window lives exactly as long as the listener is wanted.
    callback.forget();
    // Callback ids are whole numbers below 2^32.
    let handler = handler as u64;
    let args = json!({ "event": name, "target": { "kind": "Any" }, "handler": handler });
    let _: Value = invoke("plugin:event|listen", &args).await?;
    Ok(())
}

fn plain(value: &JsValue) -> Value {
    JSON::stringify(value)
        .ok()
        .and_then(|text| serde_json::from_str(&String::from(text)).ok())
        .unwrap_or(Value::Null)
}

/// A command fails with our error; Tauri itself (access control) with a text.
fn refusal(error: &JsValue) -> ApiError {
    match serde_json::from_value::<ApiError>(plain(error)) {
        Ok(error) => error,
        Err(_) => broken(&error.as_string().unwrap_or_default()),
    }
}

fn broken(what: &str) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("desktop bridge: {what}"))
}
