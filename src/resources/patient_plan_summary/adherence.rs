//! How well a patient keeps to an action: days that were due, days on which it
//! was done, and how many of the last in a row.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{Datelike, Duration, NaiveDate};
use chrono_tz::Tz;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::db::schema::patient_plan_summaries as plans;
use crate::db::views::all_results;
use crate::db::{Conn, chunks};
use crate::error::Result;
use crate::id::Id;
use crate::resources::action;
use crate::time::Instant;

/// How well a patient keeps to an action in the current week, which begins on
/// Sunday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Adherence {
    due: usize,
    complete: usize,
    streak: Streak,
}

/// Days in a row on which the action was due and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Streak {
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Instant>,
}

/// The latest result of each day.
type Days = BTreeMap<NaiveDate, Instant>;

impl Adherence {
    fn of(schedule: &Schedule, done: &Days, today: NaiveDate) -> Self {
        let sunday = today - Duration::days(today.weekday().num_days_from_sunday().into());
        let due: Vec<_> = schedule.back_from(today).take_while(|day| *day >= sunday).collect();
        let streak: Vec<_> = schedule.back_from(today).map_while(|day| done.get(&day)).collect();
        Self {
            due: due.len(),
            complete: due.iter().filter(|day| done.contains_key(day)).count(),
            streak: Streak { count: streak.len(), updated_at: streak.first().copied().copied() },
        }
    }

    /// Adds that of another action of the same plan.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.complete += other.complete;
        self.streak.count += other.streak.count;
        self.streak.updated_at = self.streak.updated_at.max(other.streak.updated_at);
    }

    /// That of actions, in their order.
    ///
    /// The results of the last weeks tell most of it. Only where no due day was
    /// missed since then are the older ones read, too.
    ///
    /// # Errors
    /// When the database fails.
    pub fn of_actions(db: &mut Conn, actions: &[action::Row], now: Instant) -> Result<Vec<Self>> {
        let owners = Owners::of(db, actions)?;
        let recently = now.earlier(RECENT);
        let mut done = done_since(db, actions.iter().collect(), &owners, recently)?;
        let none = Days::new();
        let is_unbroken = |action: &&action::Row| {
            let zone = owners.zone_of(action);
            let done = done.get(&action.id).unwrap_or(&none);
            let missed = Schedule::of(action, zone).back_from(now.date_in(zone)).find(|day| !done.contains_key(day));
            missed.is_some_and(|day| day <= recently.date_in(zone))
        };
        let unbroken: Vec<_> = actions.iter().filter(is_unbroken).collect();
        if let Some(first) = unbroken.iter().map(|action| action.effective_from).min() {
            done.extend(done_since(db, unbroken, &owners, first.earlier(Duration::days(1)))?);
        }
        let adherence = |action: &action::Row| {
            let zone = owners.zone_of(action);
            Self::of(&Schedule::of(action, zone), done.get(&action.id).unwrap_or(&none), now.date_in(zone))
        };
        Ok(actions.iter().map(adherence).collect())
    }
}

/// How long ago results are read from at first; at least the week that is
/// counted.
const RECENT: Duration = Duration::weeks(5);

/// The patients of plans and their time zones; UTC without one.
struct Owners(HashMap<Id, (Id, Tz)>);

impl Owners {
    fn of(db: &mut Conn, actions: &[action::Row]) -> Result<Self> {
        let ids: HashSet<Id> = actions.iter().map(|action| action.plan_id).collect();
        let mut owners = HashMap::new();
        for chunk in chunks(ids) {
            let query = plans::table.filter(plans::id.eq_any(chunk));
            for (plan, patient, zone) in
                query.select((plans::id, plans::patient_id, plans::time_zone)).load::<(Id, Id, Option<String>)>(db)?
            {
                let zone = zone.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC);
                owners.insert(plan, (patient, zone));
            }
        }
        Ok(Self(owners))
    }

    fn zone_of(&self, action: &action::Row) -> Tz {
        self.0.get(&action.plan_id).map_or(Tz::UTC, |(_, zone)| *zone)
    }
}

/// When each of the actions was done since then: the results of its thread.
///
/// Results are asked for by patients and threads and put to their actions here: a
/// join of the databases' reads the results of everybody.
fn done_since(db: &mut Conn, actions: Vec<&action::Row>, owners: &Owners, since: Instant) -> Result<HashMap<Id, Days>> {
    let mut done: HashMap<Id, Days> = HashMap::new();
    for chunk in chunks(actions) {
        let mut by_thread: HashMap<(Id, &str), Vec<&action::Row>> = HashMap::new();
        for action in chunk {
            if let Some((patient, _)) = owners.0.get(&action.plan_id) {
                by_thread.entry((*patient, &action.thread)).or_default().push(action);
            }
        }
        let patients: HashSet<Id> = by_thread.keys().map(|(patient, _)| *patient).collect();
        let threads: HashSet<&str> = by_thread.keys().map(|(_, thread)| *thread).collect();
        let results = all_results::table
            .filter(all_results::patient_id.eq_any(patients))
            .filter(all_results::thread.eq_any(threads))
            .filter(all_results::skipped.eq(false))
            .filter(all_results::occurred_at.ge(since))
            .select((all_results::patient_id, all_results::thread, all_results::occurred_at));
        for (patient, thread, at) in results.load::<(Id, String, Instant)>(db)? {
            for action in by_thread.get(&(patient, thread.as_str())).into_iter().flatten() {
                let day = at.date_in(owners.zone_of(action));
                let latest = done.entry(action.id).or_default().entry(day).or_default();
                *latest = at.max(*latest);
            }
        }
    }
    Ok(done)
}

/// How often an action is to be done, as the API writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FrequencyGoal {
    /// The week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weeks: Option<Weeks>,
}

/// The days of the week, from 0 for Sunday.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Weeks {
    /// The days.
    pub days: Vec<u32>,
}

/// The days on which an action is due.
#[derive(Debug)]
struct Schedule {
    days: Vec<u32>,
    first: NaiveDate,
    last: Option<NaiveDate>,
}

impl Schedule {
    /// That of an action. One without days is never due.
    fn of(action: &action::Row, zone: Tz) -> Self {
        let goal: Option<FrequencyGoal> = action.frequency_goal.as_ref().and_then(|goal| goal.value().ok());
        Self {
            days: goal.and_then(|goal| goal.weeks).unwrap_or_default().days,
            first: action.effective_from.date_in(zone),
            last: action.effective_to.map(|end| end.date_in(zone)),
        }
    }

    /// The days, the latest first.
    fn back_from(&self, today: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        let last = self.last.map_or(today, |last| last.min(today));
        std::iter::successors(Some(last).filter(|_| !self.days.is_empty()), NaiveDate::pred_opt)
            .take_while(|day| *day >= self.first)
            .filter(|day| self.days.contains(&day.weekday().num_days_from_sunday()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn of(days: &[u32], done: &[&str], today: &str) -> (usize, usize, usize) {
        let schedule = Schedule { days: days.to_vec(), first: day("2026-02-01"), last: Some(day("2026-03-20")) };
        let done = done.iter().map(|date| (day(date), Instant::default())).collect();
        let adherence = Adherence::of(&schedule, &done, day(today));
        (adherence.due, adherence.complete, adherence.streak.count)
    }

    #[test]
    fn a_week_begins_on_sunday_and_counts_up_to_today() {
        // 1 March 2026 is a Sunday.
        let daily = [0, 1, 2, 3, 4, 5, 6];
        assert_eq!(of(&daily, &[], "2026-03-01"), (1, 0, 0));
        assert_eq!(of(&daily, &["2026-02-28"], "2026-03-01"), (1, 0, 0));
        assert_eq!(of(&daily, &["2026-03-01", "2026-03-03"], "2026-03-04"), (4, 2, 0));
        assert_eq!(of(&daily, &[], "2026-03-07"), (7, 0, 0));
        assert_eq!(of(&[], &["2026-03-01"], "2026-03-07"), (0, 0, 0));
    }

    #[test]
    fn a_streak_runs_over_scheduled_days_and_weeks() {
        let days = [1, 3, 5];
        let done = ["2026-02-20", "2026-02-25", "2026-02-26", "2026-02-27", "2026-03-02"];
        assert_eq!(of(&days, &done, "2026-03-03"), (1, 1, 3));
        assert_eq!(of(&days, &done, "2026-03-04"), (2, 1, 0));
    }

    #[test]
    fn only_days_while_the_action_is_in_effect_are_due() {
        let daily = [0, 1, 2, 3, 4, 5, 6];
        assert_eq!(of(&daily, &[], "2026-01-31"), (0, 0, 0));
        assert_eq!(of(&daily, &["2026-02-01", "2026-01-31"], "2026-02-01"), (1, 1, 1));
        assert_eq!(of(&daily, &["2026-03-20", "2026-03-21"], "2026-03-21"), (6, 1, 1));
        assert_eq!(of(&daily, &["2026-03-20"], "2026-03-22"), (0, 0, 1));
    }
}
