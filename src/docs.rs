//! The contract, served as it is written, and the page at `/docs` that shows it
//! and tries it out: Swagger UI, from the program itself.

use std::io::Read;
use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::call::{Answer, Call};
use crate::error::{Error, Fault, Result};
use crate::server::takes_gzip;

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

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// Whether the bytes are compressed with gzip.
    zipped: bool,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

static FILES: [File; 8] = [
    plain("/docs", HTML, include_bytes!("../assets/docs/index.html")),
    plain("/docs/page.css", CSS, include_bytes!("../assets/docs/page.css")),
    plain("/docs/page.js", SCRIPT, include_bytes!("../assets/docs/page.js")),
    zipped("/docs/swagger-ui.css", CSS, include_bytes!("../assets/docs/swagger-ui.css.gz")),
    zipped("/docs/swagger-ui-bundle.js", SCRIPT, include_bytes!("../assets/docs/swagger-ui-bundle.js.gz")),
    plain("/docs/LICENSE", TEXT, include_bytes!("../assets/docs/LICENSE")),
    plain("/docs/NOTICE", TEXT, include_bytes!("../assets/docs/NOTICE")),
    plain(
        "/docs/swagger-ui-bundle.js.LICENSE.txt",
        TEXT,
        include_bytes!("../assets/docs/swagger-ui-bundle.js.LICENSE.txt"),
    ),
];

const fn plain(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> File {
    File { path, content_type, bytes, zipped: false }
}

const fn zipped(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> File {
    File { path, content_type, bytes, zipped: true }
}

/// What the page may do: load its files, speak to this server, show the icons
/// that are written into the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the files of the page are.
pub fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.path)
}

/// `GET` of one of [`paths`].
///
/// # Errors
/// 404 for any other path; when an embedded file is damaged.
pub async fn page(call: Call) -> Result<Answer> {
    let file = FILES.iter().find(|file| file.path == call.path).ok_or_else(Fault::not_found)?;
    let etag = file.etag();
    let mut headers = vec![
        (header::ETAG, HeaderValue::from_str(&etag).map_err(|error| Error::Internal(error.to_string()))?),
        // A copy is good for as long as the server says so.
        fixed(header::CACHE_CONTROL, "no-cache"),
        fixed(header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    let answer = |status, headers, body| Answer { status, content_type: file.content_type, headers, body };
    let known = call.headers().get_all(header::IF_NONE_MATCH).filter_map(|tags| tags.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim() == etag) {
        return Ok(answer(StatusCode::NOT_MODIFIED, headers, Vec::new()));
    }
    if !file.zipped {
        return Ok(answer(StatusCode::OK, headers, file.bytes.to_vec()));
    }
    headers.push(fixed(header::VARY, "accept-encoding"));
    if takes_gzip(call.headers()) {
        headers.push(fixed(header::CONTENT_ENCODING, "gzip"));
        return Ok(answer(StatusCode::OK, headers, file.bytes.to_vec()));
    }
    let mut body = Vec::new();
    GzDecoder::new(file.bytes)
        .read_to_end(&mut body)
        .map_err(|error| Error::Internal(format!("{}: {error}", file.path)))?;
    Ok(answer(StatusCode::OK, headers, body))
}

impl File {
    /// The same for every encoding, so it is a weak one.
    fn etag(&self) -> String {
        format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(self.bytes)))
    }
}

fn fixed(name: HeaderName, value: &'static str) -> (HeaderName, HeaderValue) {
    (name, HeaderValue::from_static(value))
}
