//! The contract, served as it is written.

use std::sync::LazyLock;

use actix_web::http::StatusCode;

use crate::call::{Answer, Call};
use crate::error::{Error, Result};

const YAML: &str = include_str!("../schema/openapi.yaml");

/// Transcoded rather than read into a map, which would sort it.
static JSON: LazyLock<std::result::Result<Vec<u8>, String>> = LazyLock::new(|| {
    let mut json = Vec::new();
    serde_saphyr::with_deserializer_from_str(YAML, |yaml| {
        serde_transcode::transcode(yaml, &mut serde_json::Serializer::new(&mut json))
            .map_err(<serde_saphyr::Error as serde::de::Error>::custom)
    })
    .map_err(|error| error.to_string())?;
    Ok(json)
});

/// `GET /pub/openapi.yaml`
///
/// # Errors
/// None.
pub async fn yaml(_: Call) -> Result<Answer> {
    Ok(Answer { status: StatusCode::OK, content_type: "application/yaml", headers: Vec::new(), body: YAML.into() })
}

/// `GET /pub/openapi.json`
///
/// # Errors
/// When the embedded contract is no YAML.
pub async fn json(_: Call) -> Result<Answer> {
    let body = JSON.clone().map_err(|error| Error::Internal(format!("schema/openapi.yaml: {error}")))?;
    Ok(Answer { status: StatusCode::OK, content_type: "application/json", headers: Vec::new(), body })
}
