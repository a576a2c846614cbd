//! The settings of limits.

use clap::Args;

use super::Proxies;

/// What one request, client or address may take of a gateway.
#[derive(Args, Clone, Debug)]
pub struct LimitsConfig {
    /// Largest request target (path and query), in bytes
    #[arg(long, env = "TARGET_LIMIT", default_value_t = 32_768, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=65_000))]
    pub target_limit: u32,
    /// Largest headers of a request in all, in bytes
    #[arg(long, env = "HEAD_LIMIT", default_value_t = 65_536, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=65_536))]
    pub head_limit: u32,
    /// Seconds that the head of a connection's first request is given to arrive
    #[arg(long, env = "HEAD_TIMEOUT", default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub head_timeout: u64,
    /// Seconds that a connection may be idle between two requests
    #[arg(long, env = "KEEP_ALIVE", default_value_t = 75, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive: u64,
    /// Seconds that a request may take from when it has arrived
    #[arg(long, env = "REQUEST_TIMEOUT", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub request_timeout: u64,
    /// Connections of clients at the most
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Requests that are carried out at once at the most
    #[arg(long, env = "MAX_REQUESTS", default_value_t = 1024, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests: u32,
    /// Requests of one client a minute at the most; 0 for no limit
    #[arg(long, env = "CLIENT_RATE", default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub client_rate: u32,
    /// Wrong credentials a minute for one client id from one address; 0 for no limit
    #[arg(long, env = "FAILED_ATTEMPTS", default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub failed_attempts: u32,
    /// Wrong credentials a minute from one address, whatever the client id; 0 for no limit
    #[arg(long, env = "FAILED_ATTEMPTS_PER_ADDRESS", default_value_t = 60, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub failed_attempts_per_address: u32,
    /// Addresses and networks of proxies whose X-Forwarded-For is believed, with commas
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "none", value_name = "NETWORKS")]
    pub trusted_proxies: Proxies,
}
