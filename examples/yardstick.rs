//! What `bench/load` measures the gateway against, and what it feeds it.
//!
//! ```text
//! yardstick serve ADDRESS FILE...          a bare handler that answers /0, /1, ... with these files
//! yardstick insert URL ROWS BATCH PATIENTS measurements of some patients, BATCH in a transaction: a prepared
//!                                          statement over and over, on PostgreSQL COPY
//! yardstick fill URL ROWS                  measurements for the patients of a database that is served
//! yardstick patients COUNT GROUP           a document that creates patients
//! yardstick metrics COUNT PATIENT...       a document that creates measurements
//! yardstick post URL TOKEN FILE TIMES      posts a document, each time a year on, and says how long that took
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use std::{env, fs};

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::{ExecuteCopyFromDsl, copy_from, sql_query};
use retwine::db::schema::{organizations, patient_health_metrics, patients};
use retwine::db::{Conn, Json, Target, connect, insert_all};
use retwine::id::Id;
use retwine::resources::patient_health_metric::Metric;
use retwine::time;
use serde_json::json;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", address, files @ ..] => serve(address, files),
        ["insert", url, rows, batch, patients] => insert(url, rows.parse()?, batch.parse()?, patients.parse()?),
        ["fill", url, rows] => fill(url, rows.parse()?),
        ["patients", count, group] => post_patients(count.parse()?, group),
        ["metrics", count, patients @ ..] if !patients.is_empty() => post_metrics(count.parse()?, patients),
        ["post", url, token, file, times] => post(url, token, file, times.parse()?),
        _ => Err("see the head of examples/yardstick.rs".into()),
    }
}

fn serve(address: &str, files: &[&str]) -> Outcome {
    let bodies = files.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    let bodies: Vec<web::Bytes> = bodies.into_iter().map(web::Bytes::from).collect();
    let server = HttpServer::new(move || {
        let mut app = App::new();
        for (index, body) in bodies.iter().enumerate() {
            let body = body.clone();
            let answer = move || {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/vnd.api+json").body(body) }
            };
            app = app.route(&format!("/{index}"), web::get().to(answer));
        }
        app
    });
    Ok(actix_web::rt::System::new().block_on(server.bind(address)?.run())?)
}

fn insert(url: &str, rows: usize, batch: usize, count: usize) -> Outcome {
    let db = connect(&Target::parse(url)?)?;
    let (mut db, mut metrics) = Metrics::of(db)?;
    metrics.patients.truncate(count);
    let batches: Vec<_> = (0..rows.div_ceil(batch)).map(|_| metrics.take(batch)).collect::<Outcome<_>>()?;
    let began = Instant::now();
    match (&mut db, Target::parse(url)?) {
        (Conn::Sqlite(_), Target::Sqlite(file)) => insert_prepared(&file, &batches)?,
        (db, _) => batches.iter().try_for_each(|rows| store(db, rows))?,
    }
    report(rows, began)
}

/// What SQLite can do when nothing stands between: one prepared statement, bound
/// to texts that are there already.
fn insert_prepared(file: &str, batches: &[Vec<Metric>]) -> Outcome {
    let mut db = rusqlite::Connection::open(file)?;
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384; \
         PRAGMA wal_autocheckpoint = 10000;",
    )?;
    for rows in batches {
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO patient_health_metrics (id, organization_id, patient_id, type, code, value, unit, \
             occurred_at, created_at, updated_at, created_by, updated_by) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            let by = row.created_by.as_deref();
            let at = "2026-01-01 00:00:00.123";
            let occurred_at = row.occurred_at.to_string();
            let (code, value, unit) = (r#"{"system":"LOINC","value":"29463-7"}"#, "81.5", "\"kg\"");
            insert.execute(rusqlite::params![
                row.id.as_str(),
                row.organization_id.as_str(),
                row.patient_id.as_str(),
                row.kind,
                code,
                value,
                unit,
                occurred_at,
                at,
                at,
                by,
                by,
            ])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(())
}

/// Stores rows in one transaction.
fn store(db: &mut Conn, rows: &[Metric]) -> Outcome {
    match db {
        Conn::Postgres(db) if rows.len() > 1 => {
            copy_from(patient_health_metrics::table).from_insertable(rows).execute(db).map(drop)?;
        }
        db => db.transaction(|db| insert_all::<_, Metric>(db, patient_health_metrics::table, rows))?,
    }
    Ok(())
}

/// The same for a database that is to be served, and what is kept beside the
/// rows. Indexes are made anew behind them, which takes a fraction of the time.
fn fill(url: &str, rows: usize) -> Outcome {
    const BATCH: usize = 10_000;
    let (mut db, mut metrics) = Metrics::of(connect(&Target::parse(url)?)?)?;
    let began = Instant::now();
    let (indexes, before, after) = match db {
        Conn::Sqlite(_) => (
            "SELECT name, sql AS definition FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
             AND tbl_name = 'patient_health_metrics'",
            "PRAGMA foreign_keys = OFF",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ),
        Conn::Postgres(_) => (
            "SELECT indexname::text AS name, indexdef AS definition FROM pg_indexes \
             WHERE tablename = 'patient_health_metrics' AND indexname NOT LIKE '%_pkey'",
            "SET session_replication_role = replica; SET statement_timeout = 0",
            "VACUUM ANALYZE",
        ),
    };
    let indexes: Vec<Index> = sql_query(indexes).load(&mut db)?;
    db.batch_execute(before)?;
    indexes.iter().try_for_each(|index| db.batch_execute(&format!("DROP INDEX {}", index.name)))?;
    for _ in 0..rows.div_ceil(BATCH) {
        let rows = metrics.take(BATCH.min(rows))?;
        store(&mut db, &rows)?;
    }
    indexes.iter().try_for_each(|index| db.batch_execute(&index.definition))?;
    db.batch_execute(
        "UPDATE metric_counts SET metrics = (SELECT count(*) FROM patient_health_metrics AS metric WHERE \
         metric.organization_id = metric_counts.organization_id AND metric.patient_id = metric_counts.patient_id)",
    )?;
    db.batch_execute(after)?;
    report(rows, began)
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

fn now() -> time::Instant {
    time::Clock::System.now()
}

/// Measurements of these patients in turn, a minute apart.
struct Metrics {
    organization: Id,
    patients: Vec<Id>,
    made: usize,
}

impl Metrics {
    /// Of the patients of the first organization.
    fn of(mut db: Conn) -> Outcome<(Conn, Self)> {
        let organization: Id =
            organizations::table.order(organizations::id).select(organizations::id).first(&mut db)?;
        let of_organization = patients::table.filter(patients::organization_id.eq(organization));
        let patients = of_organization.select(patients::id).order(patients::id).load(&mut db)?;
        Ok((db, Self { organization, patients, made: 0 }))
    }

    fn take(&mut self, count: usize) -> Outcome<Vec<Metric>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Outcome<Metric> {
        let patient = self.patients.get(self.made % self.patients.len()).ok_or("there are no patients")?;
        self.made += 1;
        let minutes = i64::try_from(self.made)?;
        let (now, client) = (now(), Some("7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41".to_owned()));
        Ok(Metric {
            id: Id::new(now),
            organization_id: self.organization,
            patient_id: *patient,
            kind: "weight".into(),
            code: Some(Json::of(&json!({"system": "LOINC", "value": "29463-7"}))),
            value: Some(Json::of(&81.5)),
            systolic: None,
            diastolic: None,
            unit: Some(Json::of("kg")),
            occurred_at: time::Instant::from_milliseconds(1_000_000_000_000 + minutes * 60_000).ok_or("too late")?,
            created_at: now,
            updated_at: now,
            created_by: client.clone(),
            updated_by: client,
        })
    }
}

fn report(rows: usize, began: Instant) -> Outcome {
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let rate = rows as f64 / seconds;
    Ok(writeln!(io::stdout(), "{rows} rows in {seconds:.2} s: {rate:.0} rows/s")?)
}

fn post_patients(count: usize, group: &str) -> Outcome {
    let patient = |index: usize| {
        json!({
            "type": "patient",
            "attributes": {
                "first_name": format!("First{index}"),
                "last_name": format!("Last{}", index * 7919 % count),
                "email_address": format!("patient{index}@example.org"),
                "birth_date": "1961-08-19",
                "gender": "female",
                "phone_numbers": [{"type": "mobile", "value": "802-555-0193", "primary": true}],
                "identifiers": [{"system": "load", "value": index.to_string()}],
            },
            "relationships": {"groups": {"data": [{"type": "group", "id": group}]}},
        })
    };
    Ok(writeln!(io::stdout(), "{}", json!({ "data": (0..count).map(patient).collect::<Vec<_>>() }))?)
}

fn post_metrics(count: usize, patients: &[&str]) -> Outcome {
    let metric = |index: usize| {
        json!({
            "type": "patient_health_metric",
            "attributes": {
                "type": "weight",
                "code": {"system": "LOINC", "value": "29463-7"},
                "value": 81.5,
                "unit": "kg",
                "occurred_at": format!("2026-01-{:02}T{:02}:{:02}:00Z", index / 1440 % 28 + 1, index / 60 % 24, index % 60),
            },
            "relationships": {"patient": {"data": {"type": "patient", "id": patients.get(index % patients.len())}}},
        })
    };
    Ok(writeln!(io::stdout(), "{}", json!({ "data": (0..count).map(metric).collect::<Vec<_>>() }))?)
}

fn post(url: &str, token: &str, file: &str, times: usize) -> Outcome {
    let document = fs::read_to_string(file)?;
    let items = serde_json::from_str::<serde_json::Value>(&document)?
        .pointer("/data")
        .and_then(|data| data.as_array())
        .map_or(1, Vec::len);
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("http://host:port/path")?;
    let mut stream = BufReader::new(TcpStream::connect(host)?);
    let first = usize::try_from(std::process::id())? * 131;
    let began = Instant::now();
    for year in first..first + times {
        // What was measured last year is not measured again.
        let body = document.replace("\"2026-", &format!("\"{:04}-", 1 + year % 9998)).into_bytes();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/vnd.api+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes())?;
        stream.get_mut().write_all(&body)?;
        let (status, answer) = read_answer(&mut stream)?;
        if !status.contains(" 20") {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    report(items * times, began)
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> Outcome<(String, Vec<u8>)> {
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, body))
}
