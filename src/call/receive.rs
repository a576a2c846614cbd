//! The way in: what is looked at before an operation runs, and the body.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::rt::time::timeout;
use actix_web::web::{self, Bytes};
use futures_util::StreamExt;

use super::{JSON_API, LARGE};
use crate::config::Config;
use crate::error::{Error, Fault, Kind, Result};
use crate::jsonapi::Parameters;
use crate::limits::LimitsConfig;

/// Reads the parameters and the body, of so many bytes at the most, of a request
/// whose answer can be of use. A large body of a caller who is not `known` is
/// read, so that the answer arrives, but not kept: memory is not for strangers.
///
/// # Errors
/// 406 when it can not; 408 and 413 when the body takes too long or is too large;
/// 414 and 431 when the head is.
pub async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    config: &Config,
    limit: usize,
    known: impl AsyncFnOnce() -> Result<bool>,
) -> Result<(Parameters, Bytes)> {
    check_head(request, &config.limits)?;
    check_accept(request.headers())?;
    let patience = Duration::from_secs(config.body_timeout);
    let body = match payload.into_inner() {
        Payload::None => Bytes::new(),
        payload => {
            timeout(patience, receive_body(request.headers(), payload, limit, known)).await.map_err(|_| {
                let detail = format!(
                    "The body did not arrive within {} s; nothing was stored. Send it again.",
                    patience.as_secs()
                );
                Error::from(Fault::new(Kind::RequestTimeout, detail))
            })??
        }
    };
    Ok((Parameters::parse(request.query_string()), body))
}

/// Refuses a head that is too large. The framework has limits of its own, beyond
/// these, and answers without a body.
fn check_head(request: &HttpRequest, limits: &LimitsConfig) -> Result<()> {
    let (target, most) =
        (request.uri().path_and_query().map_or(0, |target| target.as_str().len()), limits.target_limit);
    if target > most as usize {
        let detail = format!(
            "The path and the parameters have {target} bytes; this server takes {most}. Ask for fewer things at a time."
        );
        return Err(Fault::new(Kind::UriTooLong, detail).into());
    }
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + "\r\n: ".len();
    let (headers, most) = (request.headers().iter().map(size).sum::<usize>(), limits.head_limit);
    if headers > most as usize {
        let detail = format!("The headers have {headers} bytes; this server takes {most}. Send fewer or shorter ones.");
        return Err(Fault::new(Kind::HeadersTooLarge, detail).into());
    }
    Ok(())
}

async fn receive_body(
    headers: &HeaderMap,
    mut payload: Payload,
    limit: usize,
    known: impl AsyncFnOnce() -> Result<bool>,
) -> Result<Bytes> {
    let too_large = || {
        let detail = format!(
            "The body is larger than the {limit} bytes that this server takes. Send fewer resources at a time."
        );
        Error::from(Fault::new(Kind::PayloadTooLarge, detail))
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) {
        return Err(too_large());
    }
    let (mut known, mut keep, mut arrived) = (Some(known), true, 0);
    let mut body = web::BytesMut::with_capacity(announced.unwrap_or_default().min(LARGE));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Error::from(Fault::body("", format!("did not arrive whole ({error}); nothing was stored")))
        })?;
        arrived += chunk.len();
        if arrived > limit {
            return Err(too_large());
        }
        if arrived > LARGE
            && let Some(known) = known.take()
        {
            keep = known().await?;
            let rest = announced.unwrap_or_default().saturating_sub(body.len());
            if keep { body.reserve(rest) } else { body = web::BytesMut::new() }
        }
        if keep {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body.freeze())
}

/// The media ranges of `Accept`, in lower case.
fn accepts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::ACCEPT)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(|range| range.trim().to_ascii_lowercase())
}

/// JSON:API has a client turned away that takes its media type only with
/// parameters. `q` is none of them.
fn check_accept(headers: &HeaderMap) -> Result<()> {
    let parametrised = |range: &String| {
        let mut parts = range.split(';').map(str::trim);
        parts.next() == Some(JSON_API) && parts.any(|parameter| !parameter.is_empty() && !parameter.starts_with("q="))
    };
    let ranges: Vec<_> = accepts(headers).filter(|range| !range.is_empty()).collect();
    if ranges.is_empty() || !ranges.iter().all(parametrised) {
        return Ok(());
    }
    let detail =
        format!("Answers are {JSON_API} without parameters; send \"Accept: {JSON_API}\" or leave the header out.");
    Err(Fault::new(Kind::NotAcceptable, detail).into())
}

/// Whether the client lists the JSON:API media type among those it wants.
pub fn wants_json_api(headers: &HeaderMap) -> bool {
    accepts(headers).any(|range| range.starts_with(JSON_API))
}
