//! What keeps one client, or a stranger, from taking the gateway from all
//! others.
//!
//! Sizes and times are checked where a request is received ([`crate::call`]), or
//! by the framework. Here is what needs a memory: how many requests are under
//! way, how many a client sent lately, how often somebody guessed. Each gateway
//! counts for itself.

mod attempts;
mod config;
mod proxies;
mod rate;
mod turns;

use std::sync::Arc;

pub use attempts::{Attempt, Attempts};
pub use config::LimitsConfig;
pub use proxies::Proxies;
pub use rate::Rate;
pub use turns::{Turn, Turns};

/// The limits of a gateway.
#[derive(Clone)]
pub struct Limits {
    /// Requests that are under way.
    pub turns: Turns,
    /// Attempts at the token operation that failed.
    pub attempts: Arc<Attempts>,
    /// Requests of a client; `None` when they are not limited.
    pub requests: Option<Arc<Rate>>,
}

impl Limits {
    /// The limits that these settings say.
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            turns: Turns::new(config.max_requests),
            attempts: Arc::new(Attempts::new(config.failed_attempts, config.failed_attempts_per_address)),
            requests: Rate::per_minute(config.client_rate).map(Arc::new),
        }
    }
}
