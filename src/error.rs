//! Everything that can go wrong, and what a client is told of it.
//!
//! A [`Fault`] is the client's and is described to it, all faults of a request
//! together. Every other [`Error`] is ours: its cause goes to the log under the
//! request's id, and the client reads a fixed sentence.

mod faults;

use std::fmt;

use actix_web::http::StatusCode;
use diesel::result::DatabaseErrorKind;
use serde::Serialize;

pub use faults::Faults;

/// The outcome of anything that can fail while a request is answered.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request has no other answer than an error document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be granted; at least one fault says why.
    #[error("rejected: {0:?}")]
    Rejected(Vec<Fault>),
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(#[from] diesel::result::Error),
    /// No connection to the database could be had, or too many wait for one.
    #[error("database out of reach: {0}")]
    Unavailable(String),
    /// The database was lost between the end of a write and the word that it is
    /// stored.
    #[error("database lost at a commit: {0}")]
    Doubtful(String),
    /// What cannot be written as JSON.
    #[error("writing JSON: {0}")]
    Unwritten(#[from] serde_json::Error),
    /// A fault of this program.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// The faults of the answer: the client's own, or one fixed sentence.
    pub fn faults(&self) -> Vec<Fault> {
        match self {
            Self::Rejected(faults) => faults.clone(),
            Self::Doubtful(_) => vec![Fault::new(
                Kind::Unavailable,
                "The database was lost while it stored this write: it may or may not have been stored. Wait the seconds \
                 that Retry-After names and look before you send it again; with an Idempotency-Key, send it again with \
                 the same key.",
            )],
            error if error.is_unavailable() => vec![Fault::new(
                Kind::Unavailable,
                "The database cannot be reached right now; nothing was stored. Try again after the seconds that \
                 Retry-After names.",
            )],
            _ => vec![Fault::new(
                Kind::Internal,
                "The server failed to answer this request. Its operator finds the cause in the log under meta.req_id.",
            )],
        }
    }

    /// The status of the answer. Where faults differ, the one that would stay
    /// if the client mended the others comes first: what it may not do before
    /// what JSON:API forbids, and that before what is wrong.
    pub fn status(faults: &[Fault]) -> StatusCode {
        let rank = |status: StatusCode| {
            [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].iter().position(|known| *known == status)
        };
        let first = faults.iter().map(|fault| fault.status).min_by_key(|status| rank(*status).unwrap_or(usize::MAX));
        first.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it is for want of a good token.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Rejected(faults) if faults.iter().any(|fault| fault.kind == Kind::Unauthorized))
    }

    /// Whether the log must say more than the client is told.
    pub fn is_ours(&self) -> bool {
        !matches!(self, Self::Rejected(_))
    }

    /// Whether the database cannot be used now, and may be in a while.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Doubtful(_) => true,
            Self::Database(diesel::result::Error::DatabaseError(kind, cause)) => {
                matches!(kind, DatabaseErrorKind::ReadOnlyTransaction)
                    || BUSY.iter().any(|sign| cause.message().contains(sign))
                    || self.is_full()
                    || self.is_lost()
            }
            _ => self.is_lost(),
        }
    }

    /// Whether what was to be stored did not fit on the disk, and was undone.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(diesel::result::Error::DatabaseError(_, cause))
            if cause.message().contains("database or disk is full"))
    }

    /// Whether the connection turned out to be dead: on another one the same may
    /// go well.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Database(error) if is_lost(error))
    }

    /// Whether the same transaction may succeed when it is run again: it lost
    /// a race against another one.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Database(diesel::result::Error::DatabaseError(kind, cause)) => {
                matches!(kind, DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::UniqueViolation)
                    || cause.message().contains("deadlock detected")
            }
            _ => false,
        }
    }
}

fn is_lost(error: &diesel::result::Error) -> bool {
    match error {
        diesel::result::Error::BrokenTransactionManager => true,
        diesel::result::Error::RollbackErrorOnCommit { commit_error, .. } => is_lost(commit_error),
        diesel::result::Error::DatabaseError(kind, cause) => {
            matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                || LOST.iter().any(|sign| cause.message().contains(sign))
        }
        _ => false,
    }
}

/// What the databases say, in words only, when others are in the way, or a file
/// may not be written to.
const BUSY: [&str; 3] = ["database is locked", "canceling statement due to", "attempt to write a readonly database"];

/// What PostgreSQL and its library say, in words only, of a dead connection.
const LOST: [&str; 7] = [
    "server closed the connection",
    "no connection to the server",
    "terminating connection",
    "the database system is",
    "connection not open",
    "could not connect",
    "SSL SYSCALL",
];

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Rejected(vec![fault])
    }
}

impl From<r2d2::Error> for Error {
    fn from(error: r2d2::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What kind of fault it is; status, code and title follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bearer token is missing or no good.
    Unauthorized,
    /// The token endpoint does not know these credentials.
    InvalidCredentials,
    /// The token endpoint does not know this refresh token, or no longer.
    InvalidRefreshToken,
    /// The token endpoint does not offer this grant.
    InvalidGrantType,
    /// Something outside the caller's scope is named.
    Forbidden,
    /// There is nothing at this path for this caller.
    ResourceNotFound,
    /// A query parameter is unknown or wrong.
    InvalidParameter,
    /// A query parameter that JSON:API itself wants refused with 400.
    UnsupportedParameter,
    /// The body is wrong.
    InvalidBodyParameter,
    /// A header is not of the form that it must have.
    MalformedHeader,
    /// The key of a write belongs to another one.
    KeyInUse,
    /// The resource is not what the client wants it to be.
    PreconditionFailed,
    /// The path is known, the method on it is not.
    MethodNotAllowed,
    /// The client accepts nothing that can be sent.
    NotAcceptable,
    /// The body took too long to arrive.
    RequestTimeout,
    /// The body is larger than this server takes.
    PayloadTooLarge,
    /// The path and the parameters are longer than this server takes.
    UriTooLong,
    /// The body is of a media type that is not taken.
    UnsupportedMediaType,
    /// The client has sent too many requests lately.
    TooManyRequests {
        /// Seconds until one is granted again.
        retry_after: u32,
    },
    /// The headers are larger than this server takes.
    HeadersTooLarge,
    /// The request cannot be carried out now, and may be in a while.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// Status, code and title. The code is one of the vendor's seven or absent:
    /// typed clients refuse any other.
    pub fn describe(self) -> (StatusCode, Option<&'static str>, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, Some("Unauthorized"), "Unauthorized"),
            Self::InvalidCredentials | Self::InvalidRefreshToken => {
                (StatusCode::UNAUTHORIZED, Some("InvalidCredentials"), "Invalid credentials")
            }
            Self::InvalidGrantType => (StatusCode::CONFLICT, Some("InvalidGrantType"), "Invalid grant type"),
            Self::Forbidden => (StatusCode::FORBIDDEN, Some("Forbidden"), "Forbidden"),
            Self::ResourceNotFound => (StatusCode::NOT_FOUND, Some("ResourceNotFound"), "Resource not found"),
            Self::InvalidParameter => (StatusCode::CONFLICT, Some("InvalidParameter"), "Invalid parameter"),
            Self::UnsupportedParameter => (StatusCode::BAD_REQUEST, Some("InvalidParameter"), "Unsupported parameter"),
            Self::InvalidBodyParameter => {
                (StatusCode::CONFLICT, Some("InvalidBodyParameter"), "Invalid body parameter")
            }
            Self::MalformedHeader => (StatusCode::BAD_REQUEST, Some("InvalidParameter"), "Malformed header"),
            Self::KeyInUse => (StatusCode::CONFLICT, Some("InvalidParameter"), "Idempotency key in use"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, None, "Precondition failed"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, None, "Method not allowed"),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, None, "Not acceptable"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, None, "Request timeout"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None, "Payload too large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, None, "URI too long"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None, "Unsupported media type"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, None, "Too many requests"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None, "Request header fields too large")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None, "Service unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None, "Internal server error"),
        }
    }
}

/// One thing that is wrong with a request: an error object of JSON:API.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: Kind,
    /// The status; that of the kind, unless the form of the request has another.
    pub status: StatusCode,
    /// What was wrong and what would be right, for a person who has only the
    /// client's log.
    pub detail: String,
    /// Which part of the request it is about.
    pub source: Option<Source>,
}

/// The part of a request that a fault is about.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A JSON pointer into the request document.
    Pointer(String),
    /// The name of a query parameter.
    Parameter(String),
}

impl Fault {
    /// A fault of the whole request.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, status: kind.describe().0, detail: detail.into(), source: None }
    }

    /// A fault at a place in the body.
    pub fn body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidBodyParameter, detail).at(Source::Pointer(pointer.into()))
    }

    /// A fault of a query parameter.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, detail).at(Source::Parameter(name.into()))
    }

    /// A fault of what a part of the request names.
    pub fn named(source: &Source, detail: impl Into<String>) -> Self {
        let kind = match source {
            Source::Pointer(_) => Kind::InvalidBodyParameter,
            Source::Parameter(_) => Kind::InvalidParameter,
        };
        Self::new(kind, detail).at(source.clone())
    }

    /// The answer to a path that leads nowhere for this caller, whatever the
    /// reason.
    pub fn not_found() -> Self {
        Self::new(
            Kind::ResourceNotFound,
            "There is no such resource, or it is not within the scope of this token; check the path and the id in it.",
        )
    }

    /// The same fault, said of this part of the request.
    #[must_use]
    pub fn at(self, source: Source) -> Self {
        Self { source: Some(source), ..self }
    }
}

/// The place, where there is one, and the detail: many clients log nothing else.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(Source::Pointer(place)) if place.is_empty() => write!(f, "the body {}", self.detail),
            Some(Source::Pointer(place) | Source::Parameter(place)) => write!(f, "{place}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Object<'a> {
            status: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'static str>,
            title: &'static str,
            detail: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            source: Option<&'a Source>,
        }
        let (_, code, title) = self.kind.describe();
        Object { status: self.status.as_str(), code, title, detail: self.to_string(), source: self.source.as_ref() }
            .serialize(serializer)
    }
}
