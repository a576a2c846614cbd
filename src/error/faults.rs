//! All that is wrong with a request, together.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{Error, Fault, Result, Source};

/// The faults found so far. Looking for faults goes on after the first, so that
/// one answer lists them all.
#[derive(Clone, Debug, Default)]
pub struct Faults(RefCell<Found>);

#[derive(Clone, Debug, Default)]
struct Found {
    listed: Vec<Fault>,
    /// The pointers of all, for finding those below a place.
    pointers: BTreeSet<String>,
    /// How many there are beyond those that are listed.
    unlisted: usize,
    /// Whether not all of the request was looked at.
    stopped: bool,
}

/// Faults that one answer lists at the most, and after which lists are read no
/// further: an import of a million bad items must not take a gigabyte.
const LISTED: usize = 1_000;

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        let mut found = self.0.borrow_mut();
        if let Some(Source::Pointer(pointer)) = &fault.source {
            found.pointers.insert(pointer.clone());
        }
        if found.listed.len() < LISTED {
            found.listed.push(fault);
        } else {
            found.unlisted += 1;
        }
    }

    /// Adds faults.
    pub fn extend(&self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.add(fault);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().listed.is_empty()
    }

    /// Whether enough were found to stop looking, which is noted.
    pub fn suffice(&self) -> bool {
        let mut found = self.0.borrow_mut();
        found.stopped |= found.listed.len() >= LISTED;
        found.stopped
    }

    /// Whether there is a fault at this place in the body or below it.
    pub fn any_within(&self, pointer: &str) -> bool {
        let below = format!("{pointer}/");
        let pointers = &self.0.borrow().pointers;
        pointers.contains(pointer)
            || pointers.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
    }

    /// Ends the search.
    ///
    /// # Errors
    /// With every fault that was added, by the item of `data` that it is in.
    pub fn check(&self) -> Result<()> {
        let Found { listed: mut faults, unlisted, stopped, .. } = self.0.take();
        let Some(kind) = faults.first().map(|fault| fault.kind) else { return Ok(()) };
        faults.sort_by_cached_key(|fault| match &fault.source {
            Some(Source::Pointer(pointer)) => item_of(pointer),
            _ => 0,
        });
        if stopped {
            let detail = format!("after {LISTED} faults, the rest was not looked at; mend these first");
            faults.push(Fault::new(kind, detail));
        } else if unlisted > 0 {
            faults.push(Fault::new(kind, format!("{unlisted} further faults are not listed; mend these first")));
        }
        Err(Error::Rejected(faults))
    }
}

/// The index of the item of `data` that a pointer leads into.
fn item_of(pointer: &str) -> usize {
    pointer.strip_prefix("/data/").and_then(|rest| rest.split('/').next()?.parse().ok()).unwrap_or(0)
}
