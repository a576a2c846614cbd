//! How many requests a connection may have in flight.
//!
//! HTTP/1 has one at a time. HTTP/2 knows no bound unless the server states one,
//! which the framework does not; on a single connection a stranger could have so
//! many that memory runs out.

use std::rc::Rc;

use actix_web::HttpRequest;

use crate::error::{Fault, Kind, Result};

/// Clients that are told no bound keep to a hundred or a thousand of their own.
const MOST: usize = 1000;

/// The requests in flight on a connection that may have several: each holds a
/// share in this.
#[derive(Default)]
pub struct Streams(Rc<()>);

impl Streams {
    /// The share of this request, to be held until it is answered.
    ///
    /// # Errors
    /// 503 when the connection has as many as it may have.
    pub(super) fn enter(request: &HttpRequest) -> Result<Option<Rc<()>>> {
        let Some(Self(shares)) = request.conn_data() else { return Ok(None) };
        if Rc::strong_count(shares) > MOST {
            let detail = format!(
                "This connection has {MOST} requests in flight, which is all that it may have. Wait for answers before \
                 you send more, or open another connection."
            );
            return Err(Fault::new(Kind::Unavailable, detail).into());
        }
        Ok(Some(shares.clone()))
    }
}
