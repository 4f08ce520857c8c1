//! Bodies of `multipart/form-data`.

use std::convert::Infallible;

use bytes::Bytes;
use dialect::openai::form::{File, Form};
use http::{HeaderMap, header};
use multer::Multipart;

use super::problem::Problem;

/// The most fields of one form.
const MOST_FIELDS: usize = 256;

/// Whether a body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

/// Takes a form apart; what is in its files is not copied.
///
/// # Errors
/// When it is none, or broken.
pub(super) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Form, Problem> {
    let boundary = content_type(headers).and_then(|kind| multer::parse_boundary(kind).ok());
    let Some(boundary) = boundary else {
        return Err(Problem::bad_request(
            "The request must be a form: send it as multipart/form-data with a boundary, as \
             OpenAI's clients do.",
        ));
    };
    let whole = futures_util::stream::iter([Ok::<_, Infallible>(body)]);
    let mut parts = Multipart::new(whole, boundary);
    let mut form = Form::default();
    let broken =
        |error: multer::Error| Problem::bad_request(format!("The form is not valid: {error}."));
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        if form.fields.len() + form.files.len() == MOST_FIELDS {
            return Err(Problem::bad_request(format!(
                "The form has more than {MOST_FIELDS} fields."
            )));
        }
        let field = part.name().unwrap_or_default().to_owned();
        let name = part.file_name().map(str::to_owned);
        let media_type = part.content_type().map(ToString::to_string);
        let bytes = part.bytes().await.map_err(broken)?;
        match name {
            Some(name) => form.files.push(File {
                field,
                name: Some(name),
                media_type,
                bytes,
            }),
            None => {
                let value = String::from_utf8_lossy(&bytes).into_owned();
                form.fields.push((field, value));
            }
        }
    }
    Ok(form)
}
