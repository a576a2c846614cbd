//! Identifiers of resources: 24 lower-case hex digits, time-ordered; or a small
//! number, where people hand out ids.
//!
//! The text form is kept as it travels, in the URL, in JSON and in the
//! database, so an id is never converted on its way. New ids are made here and
//! not by the database: an insert then needs no RETURNING, and rows that are
//! written in ascending order keep the indexes compact.

use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::time::Instant;

/// The id of one resource. A number has leading zeros, and zero bytes after it,
/// so that ids compare as texts and numbers as numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Id([u8; Id::LENGTH]);

impl Id {
    const LENGTH: usize = 24;

    /// Digits of a number.
    const NUMBER: usize = 9;

    /// Reads an id; `None` for any text that is neither 24 lower-case hex digits
    /// nor a positive number of at most nine digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = (1..=Self::NUMBER).contains(&text.len())
            && text.bytes().all(|digit| digit.is_ascii_digit())
            && !text.starts_with('0');
        Self::parse_made(text).or_else(|| is_number.then(|| Self::of_digits(&format!("{text:0>0$}", Self::NUMBER))))
    }

    /// Reads an id that was made here or by another server; `None` for any text
    /// that is not 24 lower-case hex digits.
    pub fn parse_made(text: &str) -> Option<Self> {
        let is_made =
            text.len() == Self::LENGTH && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_made.then(|| Self::of_digits(text))
    }

    fn of_digits(text: &str) -> Self {
        let mut digits = [0; Self::LENGTH];
        for (digit, byte) in digits.iter_mut().zip(text.bytes()) {
            *digit = byte;
        }
        Self(digits)
    }

    /// Makes an id that is greater than every id made by this process before.
    pub fn new(now: Instant) -> Self {
        let (seconds, count) = SEQUENCE.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        Self::of_digits(&format!("{seconds:08x}{:010x}{count:06x}", *PROCESS))
    }

    /// When it was made, to the second: its first eight digits.
    pub fn made_at(&self) -> Option<Instant> {
        let seconds = i64::from_str_radix(self.as_str().get(..8)?, 16).ok()?;
        Instant::from_milliseconds(seconds * 1000)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        let padded = self.padded();
        if padded.len() == Self::NUMBER { padded.trim_start_matches('0') } else { padded }
    }

    /// The digits; a number with leading zeros, so that texts of numbers sort as
    /// the numbers do.
    pub fn padded(&self) -> &str {
        // Only ASCII digits ever get in, so this cannot fail.
        std::str::from_utf8(&self.0).unwrap_or_default().trim_end_matches('\0')
    }
}

/// Five random bytes that tell the ids of this process from those of others.
static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().1 & 0xff_ffff_ffff);

static SEQUENCE: Mutex<Sequence> = Mutex::new(Sequence { seconds: 0, count: 0 });

/// The last id's seconds and count.
struct Sequence {
    seconds: u32,
    count: u32,
}

impl Sequence {
    /// A clock that is set back does not make ids descend: the sequence then
    /// goes on from the latest second it has seen.
    fn next(&mut self, now: Instant) -> (u32, u32) {
        let seconds = u32::try_from(now.seconds()).unwrap_or(0);
        if seconds > self.seconds {
            (self.seconds, self.count) = (seconds, 0);
        } else if self.count < 0xff_ffff {
            self.count += 1;
        } else {
            (self.seconds, self.count) = (self.seconds + 1, 0);
        }
        (self.seconds, self.count)
    }
}

/// A stand-in that no resource has.
impl Default for Id {
    fn default() -> Self {
        Self([b'0'; Self::LENGTH])
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<DB: Backend> ToSql<Text, DB> for Id
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.as_str().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for Id
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = String::from_sql(bytes)?;
        Self::parse(&text).ok_or_else(|| format!("{text:?} is stored where an id belongs").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_when_the_clock_goes_back() {
        let later = Instant::parse("2026-03-01T12:00:00Z").unwrap();
        let earlier = Instant::parse("2026-03-01T11:59:00Z").unwrap();
        let mut sequence = Sequence { seconds: 0, count: 0 };
        let made: Vec<_> = [later, earlier, later].map(|now| sequence.next(now)).into();
        assert!(made.is_sorted());
        assert_ne!(made[0], made[1]);
    }

    #[test]
    fn only_24_lower_case_hex_digits_and_small_numbers_are_an_id() {
        for id in ["65f0c1d2e3a4b5c6d7e8f901", "1", "21", "999999999"] {
            assert_eq!(Id::parse(id).map(|id| id.to_string()).as_deref(), Some(id));
            assert_eq!(Id::parse_made(id).is_some(), id.len() == 24, "{id}");
        }
        for other in [
            "",
            "0",
            "07",
            "-7",
            "7a",
            "7 ",
            "7\0",
            "1234567890",
            "65F0C1D2E3A4B5C6D7E8F901",
            "65f0c1d2e3a4b5c6d7e8f90",
            "65f0c1d2e3a4b5c6d7e8f90g",
            "65f0c1d2e3a4b5c6d7e8f9011",
        ] {
            assert!(Id::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn numbers_are_in_numeric_order() {
        let ids = ["1", "2", "10", "21", "100", "999999999"];
        let ids = ids.map(|text| Id::parse(text).unwrap());
        assert!(ids.is_sorted());
        assert!(ids.each_ref().map(Id::padded).is_sorted());
    }
}
