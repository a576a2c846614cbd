//! `retwine check`: whether a store holds together.
//!
//! The databases keep keys, references and what can be said of a single row.
//! The program keeps the rest: that nothing crosses organizations, counts, what
//! rows show of other tables, budgets. Here all of it is looked over, in one
//! snapshot, without changing anything. Queries find the rows that disagree, so
//! memory does not grow with the store.

mod contents;
mod links;
mod rules;

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::Conn;
use crate::error::Result;

/// Faults that are listed of each check.
const LISTED: usize = 100;

/// What one check found.
#[derive(Debug)]
pub struct Finding {
    /// What was checked.
    pub name: &'static str,
    /// How many rows were looked at.
    pub rows: i64,
    /// How many faults there are.
    pub faults: i64,
    /// The first of them. They name ids, never what is told of a person.
    pub listed: Vec<String>,
}

impl Finding {
    fn new(name: &'static str) -> Self {
        Self { name, rows: 0, faults: 0, listed: Vec::new() }
    }

    fn add(&mut self, fault: String) {
        self.faults += 1;
        if self.listed.len() < LISTED {
            self.listed.push(fault);
        }
    }
}

/// A check that queries can make.
struct Check {
    name: &'static str,
    /// The tables whose rows it looks at.
    tables: Vec<&'static str>,
    /// A query each for the faults of one kind.
    faults: Vec<String>,
}

/// Looks the whole store over and tells of each check when it is done.
///
/// # Errors
/// When the database fails, or the telling.
pub fn run(db: &mut Conn, mut tell: impl FnMut(&Finding) -> Result<()>) -> Result<()> {
    db.transaction(|db| {
        if let Conn::Postgres(connection) = db {
            // It takes as long as there is much to look at.
            connection.batch_execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
            )?;
        }
        let mut rows = Rows::default();
        if matches!(db, Conn::Sqlite(_)) {
            let mut finding = Finding::new("file");
            for table in links::names() {
                finding.rows += rows.of(db, table)?;
            }
            for fault in damage(db)? {
                finding.add(fault);
            }
            tell(&finding)?;
        }
        for check in links::all().into_iter().chain(rules::all()) {
            tell(&check.make(db, &mut rows)?)?;
        }
        tell(&contents::identifiers(db)?)?;
        tell(&contents::json(db)?)
    })
}

/// What is wrong with a SQLite file itself, its indexes and the conditions on its rows.
///
/// # Errors
/// When it cannot be read at all.
pub fn damage(db: &mut Conn) -> Result<Vec<String>> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    let lines: Vec<Line> = match diesel::sql_query("PRAGMA integrity_check(10000)").load(db) {
        // It ends where it cannot get over a page.
        Err(diesel::result::Error::DatabaseError(_, cause)) if cause.message().contains("malformed") => {
            return Ok(vec![cause.message().to_owned()]);
        }
        lines => lines?,
    };
    Ok(lines.into_iter().map(|line| line.integrity_check).filter(|line| line != "ok").collect())
}

impl Check {
    fn make(&self, db: &mut Conn, rows: &mut Rows) -> Result<Finding> {
        let mut finding = Finding::new(self.name);
        for table in &self.tables {
            finding.rows += rows.of(db, table)?;
        }
        for query in &self.faults {
            let left = LISTED - finding.listed.len();
            let found = texts(db, &format!("{query} LIMIT {left}"))?;
            finding.faults += if found.len() < left {
                i64::try_from(found.len()).unwrap_or(i64::MAX)
            } else {
                count(db, &format!("({query}) AS found"))?
            };
            finding.listed.extend(found);
        }
        Ok(finding)
    }
}

/// How many rows the tables have, each counted once.
#[derive(Default)]
struct Rows(BTreeMap<&'static str, i64>);

impl Rows {
    fn of(&mut self, db: &mut Conn, table: &'static str) -> QueryResult<i64> {
        if let Some(rows) = self.0.get(table) {
            return Ok(*rows);
        }
        let rows = count(db, table)?;
        self.0.insert(table, rows);
        Ok(rows)
    }
}

fn count(db: &mut Conn, rows: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let count: Count = diesel::sql_query(format!("SELECT count(*) AS count FROM {rows}")).get_result(db)?;
    Ok(count.count)
}

fn texts(db: &mut Conn, query: &str) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        text: String,
    }
    Ok(diesel::sql_query(query).load::<Line>(db)?.into_iter().map(|line| line.text).collect())
}
