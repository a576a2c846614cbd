//! How many requests are carried out at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Fault, Kind, Result};
use crate::health;

/// The turns of a gateway.
#[derive(Clone)]
pub struct Turns {
    most: u32,
    taken: Arc<AtomicU32>,
}

/// A turn that somebody has, for as long as this is kept.
pub struct Turn(Arc<AtomicU32>);

impl Turns {
    /// So many at once at the most.
    pub fn new(most: u32) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a turn; `None` when all are taken.
    pub fn take(&self) -> Option<Turn> {
        let turn = Turn(self.taken.clone());
        // Taken first and given back by the drop, if it is one too many.
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most).then_some(turn)
    }

    /// A turn for a request to this path. Probes need none: a gateway that has
    /// much to do lives, and whoever watches it shall see that.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn take_for(&self, path: &str) -> Result<Option<Turn>> {
        let turn = self.take();
        if turn.is_some() || health::PATHS.contains(&path) {
            return Ok(turn);
        }
        let detail = format!(
            "The server is carrying out {} requests, as many as it takes at once; nothing was stored. Try again after \
             the seconds that Retry-After names.",
            self.most
        );
        Err(Fault::new(Kind::Unavailable, detail).into())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn a_turn_comes_back_when_it_is_dropped() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take(), turns.take());
        assert!(first.is_some() && second.is_some());
        assert!(turns.take().is_none() && turns.take().is_none());
        drop(first);
        let third = turns.take();
        assert!(third.is_some() && turns.take().is_none());
    }
}
