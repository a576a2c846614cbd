//! What only the program can read: stored JSON. Rows are read a page at a time.

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde::de::IgnoredAny;

use super::Finding;
use crate::db::schema::{identifiers, patients};
use crate::db::{Conn, Json};
use crate::error::Result;
use crate::resources::identifier::Identifier;

/// Rows that are in memory at once.
const PAGE: i64 = 1000;

/// Whole answers that are in memory at once.
const ANSWERS: i64 = 10;

/// The columns that hold JSON, by table.
const COLUMNS: [(&str, &[&str]); 10] = [
    ("patients", &["phone_numbers", "addresses", "identifiers", "archive_history", "statement", "groups", "coaches"]),
    ("patient_health_metrics", &["code", "value", "systolic", "diastolic", "unit"]),
    ("patient_plan_summaries", &["critical", "window_order"]),
    ("actions", &["frequency_goal", "identifiers", "details", "intake", "metrics", "windows"]),
    ("results", &["value", "unit", "annotations", "source"]),
    ("health_question_definitions", &["format", "requirements"]),
    ("health_profile_answers", &["latest", "history"]),
    ("email_histories", &["status_times"]),
    ("idempotency_records", &["body"]),
    ("audit_entries", &["records", "old", "new"]),
];

/// Text that stands between the values of a row. JSON has it nowhere.
const SEPARATOR: char = '\u{1f}';

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    texts: String,
}

/// What is stored as JSON is JSON.
pub fn json(db: &mut Conn) -> Result<Finding> {
    let mut finding = Finding::new("json");
    for (table, columns) in COLUMNS {
        let key = if table == "health_question_definitions" { "organization_id || '/' || id" } else { "id" };
        let texts: Vec<_> = columns.iter().map(|column| format!("coalesce({column}, 'null')")).collect();
        let texts = texts.join(&format!(" || '{SEPARATOR}' || "));
        let page = if table == "idempotency_records" { ANSWERS } else { PAGE };
        let query =
            format!("SELECT {key} AS key, {texts} AS texts FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT {page}");
        let mut after = String::new();
        loop {
            let rows: Vec<Stored> = diesel::sql_query(&query).bind::<Text, _>(&after).load(db)?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.key);
            for Stored { key, texts } in rows {
                finding.rows += 1;
                look_at(&key, &texts, table, columns, &mut finding);
            }
        }
    }
    Ok(finding)
}

fn look_at(key: &str, texts: &str, table: &str, columns: &[&str], finding: &mut Finding) {
    if texts.split(SEPARATOR).count() != columns.len() {
        finding.add(format!("{table} {key}: holds control characters where JSON belongs"));
        return;
    }
    for (column, text) in columns.iter().zip(texts.split(SEPARATOR)) {
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            finding.add(format!("{table} {key}: {column} is not JSON"));
        }
    }
}

/// The identifiers that a patient's row shows are those that it is looked up by.
/// A coach's row shows none.
pub fn identifiers(db: &mut Conn) -> Result<Finding> {
    let mut finding = Finding::new("identifiers");
    let mut after = String::new();
    loop {
        let page = patients::table.filter(patients::id.gt(&after)).order(patients::id).limit(PAGE);
        let shown: Vec<(String, Json)> = page.select((patients::id, patients::identifiers)).load(db)?;
        let Some((last, _)) = shown.last() else { return Ok(finding) };
        let kept = identifiers::table.filter(identifiers::patient_id.gt(&after).and(identifiers::patient_id.le(last)));
        let columns = (identifiers::system, identifiers::value, identifiers::is_unique);
        let mut kept: Vec<(String, Known)> =
            kept.select((identifiers::patient_id.assume_not_null(), columns)).load(db)?;
        kept.sort_unstable();
        after.clone_from(last);
        finding.rows += i64::try_from(shown.len() + kept.len()).unwrap_or(i64::MAX);
        for (patient, json) in shown {
            let (from, to) =
                (kept.partition_point(|row| row.0 < patient), kept.partition_point(|row| row.0 <= patient));
            let kept = kept.get(from..to).unwrap_or_default().iter().map(|(_, known)| known);
            if !read(&json).iter().flatten().eq(kept) || read(&json).is_none() {
                finding.add(format!("patient {patient}: the identifiers in its row are not those in identifiers"));
            }
        }
    }
}

/// System, value and whether nobody else may have it.
type Known = (String, String, bool);

/// What a row shows, in order.
fn read(json: &Json) -> Option<Vec<Known>> {
    let shown: Vec<Identifier> = json.value().ok()?;
    let mut known: Vec<_> = shown.into_iter().map(|one| (one.system, one.value, one.unique)).collect();
    known.sort_unstable();
    Some(known)
}
