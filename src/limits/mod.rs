//! What keeps one client, or a stranger, from taking the gateway from all
//! others.
//!
//! Sizes and times are checked where a request is received ([`crate::call`]), or
//! by the framework. Here is what needs a memory: how many requests are under
//! way. Each gateway counts for itself.

mod config;
mod turns;

pub use config::LimitsConfig;
pub use turns::{Turn, Turns};

/// The limits of a gateway.
#[derive(Clone)]
pub struct Limits {
    /// Requests that are under way.
    pub turns: Turns,
}

impl Limits {
    /// The limits that these settings say.
    pub fn new(config: &LimitsConfig) -> Self {
        Self { turns: Turns::new(config.max_requests) }
    }
}
