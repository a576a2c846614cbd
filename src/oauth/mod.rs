//! `POST /oauth/token`: client credentials and refresh tokens (RFC 6749) for
//! bearer tokens, in the vendor's JSON:API form and in the plain forms that
//! older and standard clients use.
//!
//! | Body | Success | Errors |
//! |---|---|---|
//! | JSON:API document, as `application/vnd.api+json` or `application/json` | 201 | JSON:API |
//! | `application/json`, flat | 201, with the members of RFC 6749 at the top | JSON:API, with `error` at the top |
//! | `application/x-www-form-urlencoded`, credentials in the body or in HTTP Basic | 200, likewise | likewise, with the statuses of RFC 6749 |
//!
//! `request.rs` reads what is asked for, `issue.rs` checks and stores,
//! `answer.rs` says what came of it, in the form of the request.

mod answer;
mod issue;
mod request;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use uuid::Uuid;

use self::answer::refusal;
use self::issue::issue;
use crate::call::{Answer, Call, media_type};
use crate::error::{Error, Result};

/// How a request is written, which is how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A JSON:API document; the type to answer with.
    Document(&'static str),
    /// Flat JSON, as clients of the oldest versions send it.
    Flat,
    /// Form-encoded, as RFC 6749 has it.
    Encoded,
}

/// The two names of the resource. The vendor's enum has the first, its examples
/// and its later correction the second.
const TYPES: [&str; 2] = ["token", "oauth/token"];

/// Issues a token.
///
/// # Errors
/// None: what goes wrong is answered here, in the form of the request.
pub async fn create_token(call: Call) -> Result<Answer> {
    let (form, grant) = request::read(&call);
    let outcome = match grant {
        Ok(grant) => issue(&call, form, grant).await,
        Err(error) => Err(error),
    };
    Ok(not_stored(outcome.unwrap_or_else(|error| refusal(call.headers(), form, &error, call.req_id))))
}

/// The answer to a request that did not arrive whole.
pub fn refuse(headers: &HeaderMap, error: &Error, req_id: Uuid) -> Answer {
    let form = match media_type(headers).split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Form::Encoded,
        "application/json" => Form::Flat,
        _ => Form::Document(TYPES[1]),
    };
    not_stored(refusal(headers, form, error, req_id))
}

/// Nothing of a token may be kept by anything on its way.
fn not_stored(mut answer: Answer) -> Answer {
    answer.headers.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.headers.push((header::PRAGMA, HeaderValue::from_static("no-cache")));
    answer
}
