//! Error bodies are those that the vendors' SDKs know.

use std::time::Duration;

use dialect::error;

#[test]
fn each_status_in_each_protocol() {
    let table: String = [
        0, 400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422, 429, 499, 500, 502, 503, 504,
        529, 599,
    ]
    .iter()
    .map(|status| {
        format!(
            "{status}: {} | {} | {}\n",
            error::openai_type(*status),
            error::google_status(*status),
            error::anthropic_type(*status)
        )
    })
    .collect();
    insta::assert_snapshot!(table, @r"
    0: server_error | INTERNAL | api_error
    400: invalid_request_error | INVALID_ARGUMENT | invalid_request_error
    401: invalid_request_error | UNAUTHENTICATED | authentication_error
    402: insufficient_quota | FAILED_PRECONDITION | billing_error
    403: permission_error | PERMISSION_DENIED | permission_error
    404: invalid_request_error | NOT_FOUND | not_found_error
    405: invalid_request_error | UNIMPLEMENTED | invalid_request_error
    408: timeout_error | DEADLINE_EXCEEDED | timeout_error
    409: invalid_request_error | ABORTED | invalid_request_error
    413: invalid_request_error | OUT_OF_RANGE | request_too_large
    418: invalid_request_error | INVALID_ARGUMENT | invalid_request_error
    422: invalid_request_error | INVALID_ARGUMENT | invalid_request_error
    429: rate_limit_error | RESOURCE_EXHAUSTED | rate_limit_error
    499: server_error | CANCELLED | api_error
    500: server_error | INTERNAL | api_error
    502: server_error | UNAVAILABLE | api_error
    503: server_error | UNAVAILABLE | overloaded_error
    504: timeout_error | DEADLINE_EXCEEDED | timeout_error
    529: server_error | UNAVAILABLE | overloaded_error
    599: server_error | INTERNAL | api_error
    ");
}

#[test]
fn bodies() {
    let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
    assert_eq!(
        text(error::openai(401, "Wrong \"token\".", None, None)),
        r#"{"error":{"message":"Wrong \"token\".","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#
    );
    assert_eq!(
        text(error::openai(
            404,
            "No.",
            Some("model"),
            Some("model_not_found")
        )),
        r#"{"error":{"message":"No.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
    );
    assert_eq!(
        text(error::gemini(
            429,
            "Wait.",
            None,
            Some(Duration::from_millis(26_412))
        )),
        r#"{"error":{"code":429,"message":"Wait.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"26.412s"}]}}"#
    );
    assert_eq!(
        text(error::gemini(503, "No keys.", Some("NO_KEYS"), None)),
        r#"{"error":{"code":503,"message":"No keys.","status":"UNAVAILABLE","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"NO_KEYS","domain":"gemini-balance"}]}}"#
    );
    assert_eq!(
        text(error::anthropic(529, "Busy.", Some("req_1"))),
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy."},"request_id":"req_1"}"#
    );
    assert_eq!(
        text(error::anthropic_with(
            400,
            "No.",
            Some(error::UNTHREADED),
            None
        )),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"No.","details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}}}"#
    );
    assert_eq!(
        text(error::anthropic_with(400, "No.", Some("else"), None)),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"No.","details":{"error_code":"else"}}}"#
    );
    assert_eq!(
        text(error::anthropic(400, "No.", None)),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"No."}}"#
    );
}
