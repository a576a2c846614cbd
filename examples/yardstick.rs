//! What `bench/load` measures the gateway against, and what it feeds it.
//!
//! ```text
//! yardstick serve ADDRESS FILE...     a bare handler that answers /0, /1, ... with these files
//! yardstick insert FILE ROWS          the same rows as a bulk import, by a plain loop into SQLite
//! yardstick patients COUNT GROUP      a document that creates patients
//! yardstick metrics COUNT PATIENT...  a document that creates measurements
//! yardstick post URL TOKEN FILE TIMES posts a document and says how long that took
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use std::{env, fs};

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use retwine::db::{Conn, Target, connect, migrate};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", address, files @ ..] => serve(address, files),
        ["insert", file, rows] => insert(file, rows.parse()?),
        ["patients", count, group] => patients(count.parse()?, group),
        ["metrics", count, patients @ ..] if !patients.is_empty() => metrics(count.parse()?, patients),
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

/// One transaction per 1,000 rows, a statement per row, prepared once.
fn insert(file: &str, rows: usize) -> Outcome {
    let target = Target::Sqlite(file.to_owned());
    let mut db = connect(&target)?;
    migrate(&mut db).map_err(|error| error.to_string())?;
    let Conn::Sqlite(db) = &mut db else { return Err("not SQLite".into()) };
    let organization = "660000000000000000000001";
    let patients: Vec<_> = (0..10).map(|index| format!("66000000000000000000010{index}")).collect();
    db.batch_execute(&format!(
        "INSERT INTO organizations VALUES ('{organization}', 'x', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
    ))?;
    for patient in &patients {
        db.batch_execute(&format!(
            "INSERT INTO patients (id, organization_id, phone_numbers, addresses, identifiers, archived, \
             archive_history, enrolled_at, created_at, updated_at) VALUES ('{patient}', '{organization}', '[]', '[]', \
             '[]', 0, '[]', '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        ))?;
    }
    let began = Instant::now();
    for batch in 0..rows.div_ceil(1000) {
        db.immediate_transaction(|db| {
            (batch * 1000..(batch + 1) * 1000).try_for_each(|row| insert_one(db, row, &patients))
        })?;
    }
    report(rows, began)
}

fn insert_one(db: &mut SqliteConnection, row: usize, patients: &[String]) -> QueryResult<()> {
    use diesel::sql_types::Text;
    let at =
        format!("2026-01-{:02} {:02}:{:02}:{:02}.000", row / 86_400 % 28 + 1, row / 3600 % 24, row / 60 % 60, row % 60);
    diesel::sql_query(
        "INSERT INTO patient_health_metrics (id, organization_id, patient_id, type, code, value, unit, occurred_at, \
         created_at, updated_at, created_by, updated_by) VALUES (?, '660000000000000000000001', ?, 'weight', \
         '{\"system\":\"LOINC\",\"value\":\"29463-7\"}', '81.5', '\"kg\"', ?, '2026-01-01 00:00:00', \
         '2026-01-01 00:00:00', '7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41', '7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41')",
    )
    .bind::<Text, _>(format!("67000000{row:016x}"))
    .bind::<Text, _>(patients.get(row % patients.len()).map_or("", String::as_str))
    .bind::<Text, _>(at)
    .execute(db)
    .map(drop)
}

fn report(rows: usize, began: Instant) -> Outcome {
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let rate = rows as f64 / seconds;
    Ok(writeln!(io::stdout(), "{rows} rows in {seconds:.2} s: {rate:.0} rows/s")?)
}

fn patients(count: usize, group: &str) -> Outcome {
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

fn metrics(count: usize, patients: &[&str]) -> Outcome {
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
    let body = fs::read(file)?;
    let items = serde_json::from_slice::<serde_json::Value>(&body)?
        .pointer("/data")
        .and_then(|data| data.as_array())
        .map_or(1, Vec::len);
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("http://host:port/path")?;
    let mut stream = BufReader::new(TcpStream::connect(host)?);
    let began = Instant::now();
    for _ in 0..times {
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

fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<(String, Vec<u8>), Box<dyn std::error::Error>> {
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
