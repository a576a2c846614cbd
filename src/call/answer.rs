//! The way back: what is sent, and what is sent when something is wrong.

use actix_web::HttpResponse;
use actix_web::body;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use super::JSON_API;
use crate::error::{Error, Fault, Kind, Result};
use crate::jsonapi::answer::Meta;

/// An answer, written.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A JSON:API document.
    ///
    /// # Errors
    /// When a stored document turns out to be no JSON.
    pub fn document(status: StatusCode, document: &impl Serialize) -> Result<Self> {
        Ok(Self { status, content_type: JSON_API, headers: Vec::new(), body: serde_json::to_vec(document)? })
    }

    /// Sends it.
    pub(super) fn respond(self, req_id: Uuid) -> HttpResponse {
        const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)));
        response.insert_header((X_REQUEST_ID, req_id.to_string()));
        for (name, value) in GUARDS {
            response.insert_header((name, HeaderValue::from_static(value)));
        }
        for header in self.headers {
            response.insert_header(header);
        }
        if self.status == StatusCode::NOT_MODIFIED {
            // An empty body would have a length, and over HTTP/2 it would be told: that of the resource, 0.
            return response.body(body::None::new());
        }
        response.body(self.body)
    }
}

/// What every answer tells browsers and proxies, unless it says something else
/// itself: health data is nobody's to keep, to guess at or to hand on.
const GUARDS: [(HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Writes the answer to a request that failed before its operation ran.
pub type Refuse = fn(&HeaderMap, &Error, Uuid) -> Answer;

/// The error document.
pub const PLAIN: Refuse = |_, error, req_id| error_answer(error, req_id);

/// The error document.
#[derive(Serialize)]
pub struct ErrorDocument<'a> {
    meta: Meta,
    errors: &'a [Fault],
}

impl<'a> ErrorDocument<'a> {
    /// The document of these faults.
    pub fn new(req_id: Uuid, errors: &'a [Fault]) -> Self {
        Self { meta: Meta::of(req_id), errors }
    }
}

/// The answer to a request that failed.
pub fn error_answer(error: &Error, req_id: Uuid) -> Answer {
    if error.is_ours() {
        log::error!("req_id={req_id} {error}");
    }
    let faults = error.faults();
    let kind = faults.first().map_or(Kind::Internal, |fault| fault.kind);
    let body = serde_json::to_vec(&ErrorDocument::new(req_id, &faults)).unwrap_or_default();
    let headers = match kind {
        Kind::Unauthorized => vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
        Kind::Unavailable => vec![(header::RETRY_AFTER, HeaderValue::from_static("5"))],
        Kind::TooManyRequests { retry_after } => vec![(header::RETRY_AFTER, HeaderValue::from(retry_after))],
        _ => Vec::new(),
    };
    Answer { status: Error::status(&faults), content_type: JSON_API, headers, body }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{BodySize, MessageBody};

    use super::*;

    #[test]
    fn an_answer_that_nothing_has_changed_says_nothing_of_a_length() {
        let size = |status| {
            let answer = Answer { status, content_type: JSON_API, headers: Vec::new(), body: Vec::new() };
            answer.respond(Uuid::nil()).body().size()
        };
        assert_eq!(size(StatusCode::NOT_MODIFIED), BodySize::None);
        assert_eq!(size(StatusCode::OK), BodySize::Sized(0));
    }
}
