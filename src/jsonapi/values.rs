//! The types of values that clients send, and how each is read.

use std::collections::HashMap;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::read::Node;
use crate::db::Json;
use crate::error::{Fault, Faults, Source};
use crate::id::Id;
use crate::time::{Instant, parse_date};

/// Characters of a text that is neither looked up nor sorted by, and of JSON that
/// is kept as it is: a list of a thousand such must still fit into memory.
const LONG: usize = 100_000;

/// Levels of JSON that is kept as it is. Programs that read it back give up at
/// some depth, many at 128.
const DEEP: usize = 100;

/// A type that can be read from a value.
pub trait Read: Sized {
    /// Reads it, or notes what is wrong.
    fn read(node: &Node<'_, '_>) -> Option<Self>;
}

impl Read for String {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        if let Some(text) = node.value.plain() {
            return node.check_length(text, LONG).map(str::to_owned);
        }
        let text: String = node.parse("a string")?;
        if text.contains('\0') {
            node.fault("must not contain the character U+0000");
            return None;
        }
        node.check_length(text, LONG)
    }
}

impl Read for bool {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.parse("true or false")
    }
}

impl Read for i64 {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.parse("a whole number")
    }
}

impl Read for Tz {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let name = String::read(node)?;
        let zone = name.parse();
        if zone.is_err() {
            node.fault(format!("{name:?} is not the IANA name of a time zone, such as America/New_York"));
        }
        zone.ok()
    }
}

impl Read for Instant {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let text = String::read(node)?;
        let Some(instant) = Self::parse(&text) else {
            node.fault(format!("{text:?} is not an RFC 3339 instant with an offset, such as 2026-01-31T08:30:00Z"));
            return None;
        };
        moved(node, instant)
    }
}

/// An instant as of the day that a fixture is loaded for.
pub(super) fn moved(node: &Node<'_, '_>, instant: Instant) -> Option<Instant> {
    let moved = node.notes.shift.get().apply(instant);
    if moved.is_none() {
        node.fault("would be moved beyond the years 1 to 9999");
    }
    moved
}

impl Read for NaiveDate {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let text = String::read(node)?;
        let date = parse_date(&text);
        if date.is_none() {
            node.fault(format!("{text:?} is not a date in the form YYYY-MM-DD"));
        }
        date
    }
}

impl Read for Json {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let text = node.check_length(node.text(), LONG)?;
        let depth = node.value.depth();
        if depth > DEEP {
            node.fault(format!("must be nested at most {DEEP} levels deep, not {depth}"));
            return None;
        }
        // The text is kept as it is, but must be read once: half a surrogate
        // pair passes for JSON until somebody decodes it, and so does a number
        // that is too large. Most values are plain.
        if !is_plain(text.as_bytes()) {
            let _: serde_json::Value = node.parse("a value that other programs can read")?;
        }
        Some(Self::raw(text))
    }
}

/// Whether JSON has neither escapes nor numbers with exponents or with more
/// digits than any number type holds. Texts that look as if count as such.
fn is_plain(json: &[u8]) -> bool {
    let mut digits = 0;
    json.iter().all(|byte| {
        let was_digit = digits > 0;
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        *byte != b'\\' && digits < 16 && !(was_digit && matches!(byte, b'e' | b'E'))
    })
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.list(T::read)
    }
}

/// A resource that a client names by id, and where it did. The id is `None`
/// when it has a form that no resource has.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The id.
    pub id: Option<Id>,
    /// The place in the request.
    pub source: Source,
}

impl Reference {
    /// The one that is named among those of these ids; `None` and a fault when
    /// it is unknown or not visible.
    pub fn among<'k, T>(&self, known: &'k HashMap<Id, T>, what: &str, faults: &Faults) -> Option<&'k T> {
        let found = self.id.and_then(|id| known.get(&id));
        if found.is_none() {
            faults.add(self.unknown(what));
        }
        found
    }

    /// The fault of naming what is unknown or not visible.
    pub fn unknown(&self, what: &str) -> Fault {
        Fault::named(&self.source, format!("there is no {what} of this id within the scope of the token"))
    }
}

impl Read for Reference {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        Some(Self { id: Id::parse(&String::read(node)?), source: Source::Pointer(node.pointer()) })
    }
}
