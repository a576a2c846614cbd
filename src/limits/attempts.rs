//! Guessing of client secrets, and the processors that it would keep busy.
//!
//! Only failures are counted, by client id and address and by address alone. An
//! address that has used up its failures is still let in with a generated
//! secret that is right: those cannot be guessed and cost next to nothing to
//! check, and so nobody can lock such a client out. Secrets that somebody chose
//! can be guessed and are dear to check: of those none is looked at.

use std::net::{IpAddr, Ipv6Addr};
use std::thread;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Rate;
use crate::error::{Error, Fault, Kind, Result};
use crate::time::Instant;

/// Failed attempts, lately.
pub struct Attempts {
    of_client: Option<Rate>,
    of_address: Option<Rate>,
    /// Secrets that are dear to check are checked by few at a time: the others
    /// wait, and are looked at again when the outcome of those is known.
    checks: Semaphore,
}

/// An attempt: who from where.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The client id that was sent.
    pub client: &'a str,
    /// Where from, if that is known.
    pub address: Option<IpAddr>,
    /// When.
    pub now: Instant,
}

impl Attempts {
    /// So many failures a minute for a client id from one address, and from one
    /// address; 0 for no limit.
    pub fn new(of_client: u32, of_address: u32) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            of_client: Rate::per_minute(of_client),
            of_address: Rate::per_minute(of_address),
            checks: Semaphore::new(processors.div_ceil(2)),
        }
    }

    /// Waits until a secret that is dear to check may be checked.
    ///
    /// # Errors
    /// 429 when there were too many failures.
    pub async fn turn(&self, attempt: Attempt<'_>) -> Result<SemaphorePermit<'_>> {
        let turn = self.checks.acquire().await;
        let turn = turn.map_err(|error| Error::Internal(format!("waiting to check a secret: {error}")))?;
        self.check(attempt)?;
        Ok(turn)
    }

    fn check(&self, attempt: Attempt<'_>) -> Result<()> {
        let (source, both) = attempt.keys();
        let of_address = self.of_address.as_ref().map(|rate| rate.check(&source, attempt.now));
        let of_client = self.of_client.as_ref().map(|rate| rate.check(&both, attempt.now));
        let wait = [of_address, of_client].into_iter().flatten().filter_map(std::result::Result::err).max();
        wait.map_or(Ok(()), |retry_after| Err(self.refusal(retry_after)))
    }

    /// Counts an attempt that failed.
    ///
    /// # Errors
    /// 429 when there were too many before it.
    pub fn failed(&self, attempt: Attempt<'_>) -> Result<()> {
        self.check(attempt)?;
        let (source, both) = attempt.keys();
        let of_address = self.of_address.as_ref().map_or(Ok(()), |rate| rate.take(&source, attempt.now));
        let of_client = self.of_client.as_ref().map_or(Ok(()), |rate| rate.take(&both, attempt.now));
        of_address.and(of_client).map_err(|retry_after| self.refusal(retry_after))
    }

    fn refusal(&self, retry_after: u32) -> Error {
        let count =
            |rate: &Option<Rate>| rate.as_ref().map_or("any number".to_owned(), |rate| rate.a_minute().to_string());
        let detail = format!(
            "Too many attempts with wrong credentials came from this address: {} a minute are looked at, for one client \
             id {}. Check the id and the secret with the operator of this server, and try again after the {retry_after} \
             s that Retry-After names.",
            count(&self.of_address),
            count(&self.of_client),
        );
        Fault::new(Kind::TooManyRequests { retry_after }, detail).into()
    }
}

impl<'a> Attempt<'a> {
    /// What it is counted by: the address, and the client id from there.
    fn keys(&self) -> (Option<IpAddr>, (Option<IpAddr>, &'a str)) {
        let source = self.address.map(|address| match address {
            // Whoever has one address of IPv6 has the 64 bits behind it.
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
            IpAddr::V4(_) => address,
        });
        (source, (source, self.client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt<'a>(client: &'a str, address: &str) -> Attempt<'a> {
        let now = Instant::parse("2026-03-02T09:30:00Z").unwrap();
        Attempt { client, address: address.parse().ok(), now }
    }

    #[test]
    fn a_client_id_is_counted_for_each_address_and_an_address_for_all_ids() {
        let attempts = Attempts::new(2, 3);
        for client in ["a", "a", "b"] {
            attempts.failed(attempt(client, "192.0.2.1")).unwrap();
        }
        assert!(attempts.failed(attempt("c", "192.0.2.1")).is_err(), "the address has used up its own");
        attempts.failed(attempt("a", "192.0.2.2")).unwrap();
        attempts.failed(attempt("a", "192.0.2.2")).unwrap();
        assert!(attempts.failed(attempt("a", "192.0.2.2")).is_err(), "so has the id");
        attempts.failed(attempt("b", "192.0.2.2")).unwrap();
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let attempts = Attempts::new(0, 1);
        attempts.failed(attempt("a", "2001:db8::1")).unwrap();
        assert!(attempts.failed(attempt("a", "2001:db8::ffff:2")).is_err());
        attempts.failed(attempt("a", "2001:db8:0:1::1")).unwrap();
    }
}
