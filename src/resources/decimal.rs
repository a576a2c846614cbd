//! Numbers that must add up: the amounts of a budget, and days.
//!
//! The contract has them as JSON numbers, mostly of dollars and cents. Kept as
//! whole ten-thousandths, they are added and compared exactly, here and by both
//! databases; no currency is divided further than that.

use std::fmt;
use std::ops::{Sub, SubAssign};

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::BigInt;
use serde::{Serialize, Serializer};

use crate::jsonapi::Node;

/// A number with four decimal places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = BigInt)]
pub struct Decimal(i64);

impl Decimal {
    const ONE: i64 = 10_000;
    /// Below it, a `f64` tells all four places apart.
    const END: f64 = 1e11;

    /// A whole number.
    pub const fn whole(number: i32) -> Self {
        Self(number as i64 * Self::ONE)
    }

    /// Reads a number that is greater than 0.
    pub fn positive(node: &Node<'_, '_>) -> Option<Self> {
        Self::read(node, Self(1), "must be a number greater than 0")
    }

    /// Reads a number that is 0 or greater.
    pub fn not_negative(node: &Node<'_, '_>) -> Option<Self> {
        Self::read(node, Self(0), "must be a number that is 0 or greater")
    }

    fn read(node: &Node<'_, '_>, least: Self, rule: &str) -> Option<Self> {
        let number = Self::parse(node.text()).filter(|number| *number >= least);
        if number.is_none() {
            node.fault(format!("{rule}, and below {}", Self::END));
        }
        number
    }

    /// Reads the text of a JSON number.
    #[expect(clippy::cast_possible_truncation, reason = "what is below the end fits by far")]
    fn parse(text: &str) -> Option<Self> {
        let number: f64 = text.parse().ok()?;
        // Quirk: further places are rounded, since clients that reckon in floating point send 0.30000000000000004.
        (number.abs() < Self::END).then(|| Self((number * 1e4).round() as i64))
    }

    #[expect(clippy::cast_precision_loss, reason = "what is below the end has its exact f64")]
    fn as_f64(self) -> f64 {
        self.0 as f64 / 1e4
    }

    /// Days in milliseconds.
    pub fn days(self) -> i64 {
        self.0 * (86_400_000 / Self::ONE)
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sub for Decimal {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % Self::ONE == 0 {
            serializer.serialize_i64(self.0 / Self::ONE)
        } else {
            serializer.serialize_f64(self.as_f64())
        }
    }
}

impl<DB: Backend> ToSql<BigInt, DB> for Decimal
where
    i64: ToSql<BigInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

impl<DB: Backend> FromSql<BigInt, DB> for Decimal
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_sent() {
        for text in ["0", "100", "12.5", "0.0001", "-3.25", "99999999999.9999"] {
            let number = Decimal::parse(text).unwrap();
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
            assert_eq!(number.to_string(), text);
        }
        for (sent, kept) in [("1.50", "1.5"), ("2e2", "200"), ("0.30000000000000004", "0.3"), ("-0.0", "0")] {
            assert_eq!(Decimal::parse(sent).unwrap().to_string(), kept);
        }
        for refused in ["100000000000", "-1e99", "\"12\"", "true", "null", "[]"] {
            assert_eq!(Decimal::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn ten_dimes_are_a_dollar() {
        let mut rest = Decimal::whole(1);
        (0..10).for_each(|_| rest -= Decimal::parse("0.1").unwrap());
        assert_eq!(rest, Decimal::default());
    }

    #[test]
    fn days_may_be_broken() {
        assert_eq!(Decimal::parse("1.5").unwrap().days(), 36 * 3_600_000);
    }
}
