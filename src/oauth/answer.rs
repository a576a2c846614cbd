//! Answering in the form of the request.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use super::Form;
use crate::call::{Answer, Call, ErrorDocument, JSON_API, error_answer, wants_json_api};
use crate::error::{Error, Kind, Result};
use crate::jsonapi::answer::{Data, Document, Meta};
use crate::loaded::Loaded;
use crate::resources::token::Token;

/// The members that RFC 6749 puts at the top of an answer.
#[derive(Serialize)]
struct Plain<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u32,
    refresh_token: &'a str,
    scope: &'a str,
}

/// The answer with the token.
///
/// # Errors
/// When it cannot be written.
pub fn success(call: &Call, form: Form, loaded: &Loaded<Token>, scope: &str) -> Result<Answer> {
    #[derive(Serialize)]
    struct Both<'a, D> {
        #[serde(flatten)]
        plain: Option<Plain<'a>>,
        #[serde(flatten)]
        document: Document<'a, Data<D>>,
    }
    let meta: Meta = call.meta();
    let plain = loaded.rows().first().filter(|_| !matches!(form, Form::Document(_))).map(|token| Plain {
        access_token: &token.access_token,
        token_type: token.token_type,
        expires_in: token.expires_in,
        refresh_token: &token.refresh_token,
        scope,
    });
    let status = if form == Form::Encoded { StatusCode::OK } else { StatusCode::CREATED };
    let document = loaded.document(&meta, None, false)?;
    let answer = Answer::document(status, &Both { plain, document })?;
    Ok(Answer { content_type: content_type(call.headers(), form), ..answer })
}

fn content_type(headers: &HeaderMap, form: Form) -> &'static str {
    if matches!(form, Form::Document(_)) || wants_json_api(headers) { JSON_API } else { "application/json" }
}

/// The error document, with the members of RFC 6749 where the request was in
/// one of the plain forms.
pub fn refusal(headers: &HeaderMap, form: Form, error: &Error, req_id: Uuid) -> Answer {
    #[derive(Serialize)]
    struct Both<'a> {
        error: &'static str,
        error_description: String,
        #[serde(flatten)]
        document: ErrorDocument<'a>,
    }
    let mut answer = error_answer(error, req_id);
    if matches!(form, Form::Document(_)) {
        return answer;
    }
    let mut faults = error.faults();
    let Some(first) = faults.first().cloned() else { return answer };
    let (error, status) = match first.kind {
        Kind::InvalidRefreshToken => ("invalid_grant", StatusCode::BAD_REQUEST),
        Kind::InvalidCredentials => ("invalid_client", StatusCode::UNAUTHORIZED),
        Kind::InvalidGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
        Kind::Unavailable | Kind::TooManyRequests { .. } => ("temporarily_unavailable", answer.status),
        Kind::Internal => ("server_error", answer.status),
        Kind::InvalidBodyParameter | Kind::UnsupportedParameter => ("invalid_request", StatusCode::BAD_REQUEST),
        _ => ("invalid_request", answer.status),
    };
    if form == Form::Encoded {
        answer.status = status;
        for fault in &mut faults {
            fault.status = status;
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"retwine\"")));
        }
    }
    // RFC 6749 leaves printable ASCII to a description, without quotes and backslashes.
    let plain = |character| match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    let description = first.to_string().chars().map(plain).collect();
    let document = ErrorDocument::new(req_id, &faults);
    answer.body = serde_json::to_vec(&Both { error, error_description: description, document }).unwrap_or_default();
    answer.content_type = content_type(headers, form);
    answer
}
