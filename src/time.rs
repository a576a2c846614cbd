//! Instants, as the API speaks of them, and the clock they are read from.
//!
//! An instant is UTC with milliseconds, cut when it enters, so that what is
//! stored, what is answered and what is compared are always the same.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Timestamp;
use diesel::sqlite::Sqlite;
use serde::{Serialize, Serializer};

use crate::db::{Backend, write_raw};

/// A moment in UTC with millisecond precision, in the years 1 to 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamp)]
pub struct Instant(NaiveDateTime);

impl Instant {
    /// Reads RFC 3339 with any offset; `None` for everything else, an instant
    /// without offset included.
    ///
    /// A space where the offset's `+` belongs is taken for that `+`: a client
    /// that puts a raw `+` into a query string has sent a space.
    pub fn parse(text: &str) -> Option<Self> {
        let sign = text.len().checked_sub("+00:00".len())?;
        let repaired;
        let text = match text.as_bytes().get(sign) {
            Some(b' ') => {
                repaired = format!("{}+{}", text.get(..sign)?, text.get(sign + 1..)?);
                &repaired
            }
            _ => text,
        };
        DateTime::parse_from_rfc3339(text).ok().and_then(|parsed| Self::from_utc(parsed.to_utc()))
    }

    /// The instant of so many milliseconds since 1970-01-01T00:00:00Z.
    pub fn from_milliseconds(milliseconds: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(milliseconds).and_then(Self::from_utc)
    }

    fn from_utc(instant: DateTime<Utc>) -> Option<Self> {
        // Through the count of milliseconds, which has no leap seconds: databases have none either.
        let instant = DateTime::from_timestamp_millis(instant.timestamp_millis())?;
        (1..=9999).contains(&instant.year()).then(|| Self(instant.naive_utc()))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn milliseconds(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub fn seconds(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// The day, in UTC.
    pub fn date(self) -> NaiveDate {
        self.0.date()
    }

    /// The instant so many seconds later.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0 + Duration::seconds(i64::from(seconds)))
    }

    /// The instant so much earlier; this one, where the years have not begun.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self::from_milliseconds(self.milliseconds() - by.num_milliseconds()).unwrap_or(self)
    }

    /// The date that calendars show at this instant, in this time zone.
    pub fn date_in(self, zone: Tz) -> NaiveDate {
        self.0.and_utc().with_timezone(&zone).date_naive()
    }

    /// Whether a day begins at this instant, in this time zone. That need not be
    /// midnight: clocks that are put forward at midnight begin the day at one.
    pub fn begins_day_in(self, zone: Tz) -> bool {
        let before = Self(self.0 - Duration::milliseconds(1));
        before.date_in(zone) < self.date_in(zone)
    }

    /// The instant so many weeks later, at the same time of day in this time
    /// zone; what begins a day there still does. `None` beyond the years 1 to 9999.
    fn plus_weeks(self, weeks: i64, zone: Tz) -> Option<Self> {
        let local = self.0.and_utc().with_timezone(&zone).naive_local();
        let local = if self.begins_day_in(zone) { local.date().and_time(NaiveTime::MIN) } else { local };
        let local = local.checked_add_signed(Duration::try_weeks(weeks)?)?;
        let at = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
        let day = Duration::days(1);
        // Where clocks are put forward over it, it is counted on from the day before.
        let moved = at(local).or_else(|| at(local.checked_sub_signed(day)?)?.checked_add_signed(day))?;
        Self::from_utc(moved.to_utc())
    }
}

/// How far instants are moved: by whole weeks, staying at their time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shift {
    weeks: i64,
    zone: Tz,
    all_day: bool,
}

impl Shift {
    /// So many weeks, by the clocks of a time zone.
    pub fn new(weeks: i64, zone: Tz) -> Self {
        Self { weeks, zone, all_day: false }
    }

    /// Whether everything stays where it is.
    pub fn is_none(self) -> bool {
        self.weeks == 0
    }

    /// The same for what has a time zone of its own, or takes whole days.
    #[must_use]
    pub fn of_place(self, zone: Option<Tz>, all_day: bool) -> Self {
        Self { zone: zone.unwrap_or(self.zone), all_day, ..self }
    }

    /// The instant after the shift; `None` beyond the years 1 to 9999.
    pub fn apply(self, at: Instant) -> Option<Instant> {
        if self.is_none() {
            return Some(at);
        }
        // Whole days may begin at midnight UTC, whatever their time zone.
        let utc = self.all_day && at.begins_day_in(Tz::UTC) && !at.begins_day_in(self.zone);
        at.plus_weeks(self.weeks, if utc { Tz::UTC } else { self.zone })
    }
}

/// Reads a calendar date, `YYYY-MM-DD`, in the years 1 to 9999.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    // Nothing but the date's own form: chrono also reads signs and spaces.
    (date.to_string() == text && (1..=9999).contains(&date.year())).then_some(date)
}

impl Instant {
    /// `2017-11-03T04:00:00.000Z`, with whatever stands between date and time.
    /// Written by hand, because every row has several and chrono's formatter
    /// takes longer than the database does to find them.
    fn write(self, separator: u8) -> [u8; 24] {
        let digit = |number: u32| b'0' + (number % 10) as u8;
        let two = |number: u32| [digit(number / 10), digit(number)];
        let (year, millisecond) = (self.0.year().unsigned_abs(), self.0.nanosecond() / 1_000_000);
        let ([y1, y2], [y3, y4]) = (two(year / 100), two(year));
        let ([m1, m2], [d1, d2]) = (two(self.0.month()), two(self.0.day()));
        let ([h1, h2], [n1, n2], [s1, s2]) = (two(self.0.hour()), two(self.0.minute()), two(self.0.second()));
        let (f1, [f2, f3]) = (digit(millisecond / 100), two(millisecond));
        [
            y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, separator, h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2,
            f3, b'Z',
        ]
    }

    /// Reads what a database has: the same without the `Z`, and without the
    /// fraction where that is zero.
    fn read(text: &[u8]) -> Option<Self> {
        let number = |at: std::ops::Range<usize>| {
            text.get(at)?
                .iter()
                .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
        };
        let milliseconds = match text.len() {
            19 => 0,
            23 => number(20..23)?,
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(i32::try_from(number(0..4)?).ok()?, number(5..7)?, number(8..10)?)?;
        date.and_hms_milli_opt(number(11..13)?, number(14..16)?, number(17..19)?, milliseconds).map(Self)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.write(b'T')).unwrap_or_default())
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = [b'"'; 26];
        json[1..25].copy_from_slice(&self.write(b'T'));
        // Nothing in it is to be escaped, which a string would be searched for.
        write_raw(std::str::from_utf8(&json).unwrap_or_default(), serializer)
    }
}

impl ToSql<Timestamp, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamp, Pg>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl FromSql<Timestamp, Pg> for Instant {
    fn from_sql(bytes: <Pg as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <NaiveDateTime as FromSql<Timestamp, Pg>>::from_sql(bytes).map(Self)
    }
}

/// As Diesel writes it: without the fraction where that is zero.
impl ToSql<Timestamp, Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let text = self.write(b' ');
        let text = std::str::from_utf8(&text)?.trim_end_matches('Z');
        out.set_value(text.strip_suffix(".000").unwrap_or(text).to_owned());
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamp, Sqlite> for Instant {
    fn from_sql(mut value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text();
        Self::read(text.as_bytes()).ok_or_else(|| format!("{text:?} is not an instant").into())
    }
}

impl ToSql<Timestamp, Backend> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Backend>) -> serialize::Result {
        out.set_value((Timestamp, self));
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamp, Backend> for Instant {
    fn from_sql(value: <Backend as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Self, Timestamp>()
    }
}

/// Where the time of day comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that shows what it was set to: milliseconds since 1970.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The present moment.
    pub fn now(&self) -> Instant {
        match self {
            Self::System => Instant::from_utc(Utc::now()),
            Self::Set(milliseconds) => Instant::from_milliseconds(milliseconds.load(Ordering::SeqCst)),
        }
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_returned_in_utc_with_milliseconds() {
        for (sent, returned) in [
            ("2017-11-01T00:00:00-04:00", "2017-11-01T04:00:00.000Z"),
            ("2017-11-01T00:00:00 05:00", "2017-10-31T19:00:00.000Z"),
            ("2017-11-01T00:00:00.123987Z", "2017-11-01T00:00:00.123Z"),
            ("2016-12-31T23:59:60.500Z", "2017-01-01T00:00:00.500Z"),
            ("2017-11-01 00:00:00+00:00", "2017-11-01T00:00:00.000Z"),
        ] {
            assert_eq!(Instant::parse(sent).unwrap().to_string(), returned);
        }
    }

    #[test]
    fn an_instant_needs_an_offset_and_four_digits_of_year() {
        for refused in
            ["2017-11-01T00:00:00", "2017-11-01", "", "x", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z", "ÄÄÄÄ"]
        {
            assert_eq!(Instant::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_day_begins_when_the_date_changes_to_the_next() {
        for (instant, zone, begins) in [
            ("2017-11-03T04:00:00Z", Tz::America__New_York, true),
            ("2017-11-03T05:00:00Z", Tz::America__New_York, false),
            ("2017-11-06T05:00:00Z", Tz::America__New_York, true),
            ("2017-11-03T00:00:00Z", Tz::America__New_York, false),
            ("2017-11-03T00:00:00Z", Tz::UTC, true),
            ("2017-11-02T18:15:00Z", Tz::Asia__Kathmandu, true),
            // There is no midnight on the day on which summer time begins at midnight.
            ("2018-11-04T03:00:00Z", Tz::America__Sao_Paulo, true),
            ("2018-11-04T02:00:00Z", Tz::America__Sao_Paulo, false),
            // And there are two where it ends at one.
            ("2018-11-04T04:00:00Z", Tz::America__Havana, true),
            ("2018-11-04T05:00:00Z", Tz::America__Havana, false),
            ("0001-01-01T00:00:00Z", Tz::UTC, true),
        ] {
            assert_eq!(Instant::parse(instant).unwrap().begins_day_in(zone), begins, "{instant} in {zone}");
        }
    }

    #[test]
    fn a_shift_keeps_the_time_of_day() {
        for (instant, weeks, zone, moved) in [
            // Into summer time, and out of it.
            ("2026-03-02T14:00:00Z", 1, Tz::America__New_York, "2026-03-09T13:00:00.000Z"),
            ("2025-10-30T13:00:00Z", 1, Tz::America__New_York, "2025-11-06T14:00:00.000Z"),
            ("2026-03-09T13:00:00Z", -1, Tz::America__New_York, "2026-03-02T14:00:00.000Z"),
            ("2026-03-02T14:00:00Z", 1, Tz::Pacific__Honolulu, "2026-03-09T14:00:00.000Z"),
            ("2026-03-02T14:00:00Z", 52, Tz::UTC, "2027-03-01T14:00:00.000Z"),
            // At an hour that clocks are put over, and at one that they show twice.
            ("2026-03-01T07:30:00Z", 1, Tz::America__New_York, "2026-03-08T07:30:00.000Z"),
            ("2026-10-25T05:30:00Z", 1, Tz::America__New_York, "2026-11-01T05:30:00.000Z"),
            // A day that begins at one, for lack of a midnight: to it and from it.
            ("2018-10-28T03:00:00Z", 1, Tz::America__Sao_Paulo, "2018-11-04T03:00:00.000Z"),
            ("2018-11-04T03:00:00Z", 1, Tz::America__Sao_Paulo, "2018-11-11T02:00:00.000Z"),
        ] {
            let instant = Instant::parse(instant).unwrap();
            assert_eq!(Shift::new(weeks, zone).apply(instant).unwrap().to_string(), moved, "{instant} in {zone}");
        }
    }

    #[test]
    fn a_shift_stays_within_the_years_of_instants() {
        let last = Instant::parse("9999-12-31T23:59:59Z").unwrap();
        assert_eq!(Shift::default().apply(last), Some(last));
        assert_eq!(Shift::new(1, Tz::UTC).apply(last), None);
        assert_eq!(Shift::new(i64::MAX, Tz::UTC).apply(last), None);
        assert_eq!(Shift::new(-521_800, Tz::UTC).apply(last), None);
    }

    #[test]
    fn whole_days_may_begin_in_utc() {
        let shift = Shift::new(1, Tz::America__New_York).of_place(None, true);
        for (instant, moved) in
            [("2026-03-04T00:00:00Z", "2026-03-11T00:00:00.000Z"), ("2026-03-04T05:00:00Z", "2026-03-11T04:00:00.000Z")]
        {
            assert_eq!(shift.apply(Instant::parse(instant).unwrap()).unwrap().to_string(), moved);
        }
    }

    #[test]
    fn a_date_is_written_in_full() {
        assert!(parse_date("2024-02-29").is_some());
        for refused in
            ["2023-02-29", "2024-2-9", "24-02-09", "2024-02-29T00:00:00Z", "0000-01-01", "+2024-01-1", " 2024-01-1"]
        {
            assert_eq!(parse_date(refused), None, "{refused}");
        }
    }
}
