//! Whether the gateway lives and whether it can answer.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::call::{Answer, Call};
use crate::db::{Weight, pending};
use crate::error::Result;

/// Where both are.
pub const PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// `GET /healthz`: the process answers.
///
/// # Errors
/// None.
pub async fn alive(_: Call) -> Result<Answer> {
    Ok(status(StatusCode::OK, "alive"))
}

/// `GET /readyz`: the database answers too, and its schema is this program's.
///
/// # Errors
/// None: what is amiss is said with 503.
pub async fn ready(call: Call) -> Result<Answer> {
    Ok(match call.app.pool.read(Weight::Long, pending).await {
        Ok(steps) if steps.is_empty() => status(StatusCode::OK, "ready"),
        Ok(_) => status(StatusCode::SERVICE_UNAVAILABLE, "the database lacks migrations; run: retwine migrate"),
        Err(error) => {
            log::error!("req_id={} {error}", call.req_id);
            status(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    })
}

fn status(code: StatusCode, status: &str) -> Answer {
    let body = json!({ "status": status }).to_string().into_bytes();
    Answer { status: code, content_type: "application/json", headers: Vec::new(), body }
}
