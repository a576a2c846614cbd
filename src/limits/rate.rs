//! How often something may happen a minute, for each of many.
//!
//! The generic cell rate algorithm: of each key only the instant is kept at which
//! all that it has taken is forgotten. A minute's worth can be taken at once;
//! after that it comes back evenly.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{self, Fault, Kind};
use crate::time::Instant;

/// Keys that are remembered at the most: some megabytes.
const MOST: usize = 100_000;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A rate that each key is held to.
pub struct Rate {
    a_minute: u32,
    /// Microseconds in which one comes back.
    interval: i64,
    /// When each key, by its hash, has all of it again, in microseconds. What is
    /// not here has.
    whole_at: Mutex<HashMap<u64, i64>>,
    /// Seeded at random, so that nobody can choose keys with equal hashes.
    hasher: RandomState,
}

impl Rate {
    /// A rate; `None` for 0, which stands for no limit.
    pub fn per_minute(a_minute: u32) -> Option<Self> {
        let interval = MINUTE.checked_div(i64::from(a_minute))?;
        Some(Self { a_minute, interval, whole_at: Mutex::default(), hasher: RandomState::new() })
    }

    /// How many a minute.
    pub fn a_minute(&self) -> u32 {
        self.a_minute
    }

    /// Takes one for a request of a client.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn count(&self, client: &str, now: Instant) -> error::Result<()> {
        self.take(&client, now).map_err(|retry_after| {
            let detail = format!(
                "This client has sent more than the {} requests a minute that it is granted; nothing was stored. Try \
                 again after the {retry_after} s that Retry-After names, and send many resources at a time.",
                self.a_minute,
            );
            Fault::new(Kind::TooManyRequests { retry_after }, detail).into()
        })
    }

    /// Whether one could be taken.
    ///
    /// # Errors
    /// The seconds to wait, when it could not.
    pub fn check(&self, key: &impl Hash, now: Instant) -> Result<(), u32> {
        self.after_one(&self.lock(), self.hasher.hash_one(key), microseconds(now)).map(drop)
    }

    /// Takes one.
    ///
    /// # Errors
    /// The seconds to wait, when there is none. Then none is taken.
    pub fn take(&self, key: &impl Hash, now: Instant) -> Result<(), u32> {
        let (key, now, mut whole_at) = (self.hasher.hash_one(key), microseconds(now), self.lock());
        let next = self.after_one(&whole_at, key, now)?;
        if whole_at.len() >= MOST && !whole_at.contains_key(&key) {
            forget(&mut whole_at, now);
        }
        whole_at.insert(key, next);
        Ok(())
    }

    /// When a key would have all of it again after taking one.
    fn after_one(&self, whole_at: &HashMap<u64, i64>, key: u64, now: i64) -> Result<i64, u32> {
        // What lies farther ahead was written before the clock was set back.
        let known = whole_at.get(&key).filter(|whole_at| (now..=now + MINUTE).contains(*whole_at));
        let next = known.copied().unwrap_or(now) + self.interval;
        let wait = next - now - MINUTE;
        if wait <= 0 { Ok(next) } else { Err(u32::try_from((wait + SECOND - 1) / SECOND).unwrap_or(u32::MAX)) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, i64>> {
        self.whole_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: first by those that have all of it again, then by the half that
/// would have it soonest.
fn forget(whole_at: &mut HashMap<u64, i64>, now: i64) {
    whole_at.retain(|_, at| *at > now);
    if whole_at.len() < MOST {
        return;
    }
    let mut instants: Vec<_> = whole_at.values().copied().collect();
    let (_, median, _) = instants.select_nth_unstable(MOST / 2);
    let (median, mut room) = (*median, MOST / 2);
    whole_at.retain(|_, at| {
        let goes = *at <= median && room > 0;
        room -= usize::from(goes);
        !goes
    });
}

fn microseconds(now: Instant) -> i64 {
    now.milliseconds() * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Instant {
        Instant::from_milliseconds(1_772_443_800_000 + milliseconds).unwrap()
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_evenly() {
        let rate = Rate::per_minute(10).unwrap();
        for _ in 0..10 {
            rate.take(&"a", at(0)).unwrap();
        }
        assert_eq!(rate.take(&"a", at(0)), Err(6));
        assert_eq!(rate.check(&"a", at(5_001)), Err(1));
        rate.take(&"b", at(0)).unwrap();
        rate.take(&"a", at(6_000)).unwrap();
        assert_eq!(rate.take(&"a", at(6_000)), Err(6));
        for _ in 0..10 {
            rate.take(&"a", at(66_000)).unwrap();
        }
    }

    #[test]
    fn nothing_is_limited_by_0() {
        assert!(Rate::per_minute(0).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let rate = Rate::per_minute(1).unwrap();
        rate.take(&"a", at(3_600_000)).unwrap();
        rate.take(&"a", at(0)).unwrap();
        assert_eq!(rate.take(&"a", at(0)), Err(60));
    }

    #[test]
    fn keys_are_forgotten_before_there_are_too_many() {
        let rate = Rate::per_minute(2).unwrap();
        let first_half = MOST / 2;
        for key in 0..3 * MOST {
            // The later ones take both of theirs at once.
            rate.take(&key, at(0)).unwrap();
            if key >= first_half {
                rate.take(&key, at(0)).unwrap();
            }
            assert!(rate.lock().len() <= MOST);
        }
        assert!(rate.take(&(3 * MOST - 1), at(0)).is_err(), "the latest is remembered");
    }
}
