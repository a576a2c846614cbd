//! Clients of every kind at once, for as long as it takes to see what only time
//! shows: memory that grows, answers that should not be, counts that drift.
//! `bench/soak` serves the gateway and runs this beside it; `tests/it/soak.rs` does
//! the same for some seconds.
//!
//! ```text
//! soak BASE TOKEN ORGANIZATION GROUP PID SECONDS IDLE IDS...
//! ```
//!
//! BASE is `HOST:PORT`, PID the gateway's, IDLE connections that do nothing after
//! one request, IDS patients of the group. A line for each minute; it fails when an
//! answer was not what it should be, or a count is not what was acknowledged.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Clients at work at once.
const CLIENTS: u64 = 16;

/// Measurements in a bulk.
const BULK: u64 = 100;

struct World {
    base: String,
    token: String,
    organization: String,
    group: String,
    patients: Vec<String>,
    over: AtomicBool,
    metrics: AtomicU64,
    created: AtomicU64,
    surprises: AtomicU64,
    seen: Mutex<Seen>,
}

/// What came back since it was last told.
#[derive(Default)]
struct Seen {
    /// Milliseconds, in hundredths.
    times: Vec<u32>,
    statuses: BTreeMap<u16, u64>,
    surprises: Vec<String>,
}

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let surprises = run(&arguments)?;
    if surprises == 0 { Ok(()) } else { Err(format!("{surprises} answers were not expected").into()) }
}

/// Runs it, and tells how many answers were not what they should be.
pub fn run(arguments: &[String]) -> Outcome<u64> {
    let [base, token, organization, group, pid, seconds, idle, patients @ ..] = arguments else {
        return Err("see the head of examples/soak.rs".into());
    };
    let world = Arc::new(World {
        base: base.clone(),
        token: token.clone(),
        organization: organization.clone(),
        group: group.clone(),
        patients: patients.to_vec(),
        over: AtomicBool::new(false),
        metrics: AtomicU64::new(0),
        created: AtomicU64::new(0),
        surprises: AtomicU64::new(0),
        seen: Mutex::default(),
    });
    let before = world.counts()?;
    let idle = (0..idle.parse()?).map(|_| world.rest()).collect::<Outcome<Vec<_>>>()?;
    say(&format!("{} idle connections, memory {}", idle.len(), memory(pid)))?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let world = world.clone();
            thread::spawn(move || Client { world, stream: None, random: number + 1 }.work())
        })
        .collect();
    let mut left = Duration::from_secs(seconds.parse()?);
    while !left.is_zero() {
        let part = left.min(Duration::from_mins(1));
        thread::sleep(part);
        left -= part;
        say(&format!("{} s left: {}, memory {}", left.as_secs(), world.tell(), memory(pid)))?;
    }
    world.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().map_err(|_| "a client has panicked")?;
    }
    say(&format!("the rest: {}", world.tell()))?;
    say(&format!(
        "{} of the idle connections still answer",
        idle.into_iter().filter_map(|stream| world.wake(stream).ok()).count()
    ))?;
    let after = world.counts()?;
    let grown = (after.0 - before.0, after.1 - before.1);
    let acknowledged = (world.metrics.load(Ordering::Relaxed), world.created.load(Ordering::Relaxed));
    say(&format!("metrics and patients: grown by {grown:?}, acknowledged {acknowledged:?}"))?;
    if grown != acknowledged {
        return Err("what was acknowledged is not what is there".into());
    }
    Ok(world.surprises.load(Ordering::Relaxed))
}

fn say(text: &str) -> Outcome {
    Ok(writeln!(io::stdout(), "{text}")?)
}

fn memory(pid: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    format!("{} MB", kilobytes.unwrap_or(0_u64) / 1024)
}

impl World {
    /// Measurements and patients of the organization.
    fn counts(&self) -> Outcome<(u64, u64)> {
        let mut stream = self.connect()?;
        let mut count = |kind: &str| -> Outcome<u64> {
            let path = format!("/pub/{kind}?filter[organization]={}&page[size]=0", self.organization);
            let (_, body) = self.ask(&mut stream, "GET", &path, None)?;
            Ok(serde_json::from_slice::<Value>(&body)?
                .pointer("/meta/count")
                .and_then(Value::as_u64)
                .ok_or("no count")?)
        };
        Ok((count("patient_health_metric")?, count("patient")?))
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.base)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        Ok(BufReader::with_capacity(512, stream))
    }

    fn rest(&self) -> Outcome<BufReader<TcpStream>> {
        let mut stream = self.connect()?;
        self.ask(&mut stream, "GET", "/healthz", None)?;
        Ok(stream)
    }

    fn wake(&self, mut stream: BufReader<TcpStream>) -> Outcome {
        self.ask(&mut stream, "GET", "/healthz", None).map(drop)
    }

    fn ask(
        &self,
        stream: &mut BufReader<TcpStream>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Outcome<(u16, Vec<u8>)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let Self { base, token, .. } = self;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {base}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/vnd.api+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?, body))
    }

    /// What came back since this was last asked.
    fn tell(&self) -> String {
        let Seen { mut times, statuses, surprises } =
            std::mem::take(&mut *self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        times.sort_unstable();
        let percentile = |percent: usize| {
            let time = times.get(times.len() * percent / 100).copied().unwrap_or_default();
            format!("p{percent} {:.1} ms", f64::from(time) / 100.0)
        };
        let mut told = format!("{} requests, {}, {}, {statuses:?}", times.len(), percentile(50), percentile(99));
        for surprise in surprises.iter().take(5) {
            told += "\n  SURPRISE ";
            told += surprise;
        }
        told
    }
}

struct Client {
    world: Arc<World>,
    stream: Option<BufReader<TcpStream>>,
    /// The state of a xorshift generator: every run asks the same.
    random: u64,
}

impl Client {
    fn work(mut self) {
        while !self.world.over.load(Ordering::Relaxed) {
            self.step();
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// One request of some kind, and what it should be answered with.
    fn step(&mut self) {
        let index = usize::try_from(self.random(self.world.patients.len() as u64)).unwrap_or_default();
        let patient = self.world.patients.get(index).cloned().unwrap_or_default();
        let (organization, group) = (self.world.organization.clone(), self.world.group.clone());
        let number = self.random(u64::MAX);
        let metric = |n: u64| {
            json!({"type": "patient_health_metric",
                "attributes": {"type": "weight", "value": n % 200, "unit": "kg",
                    "occurred_at": format!("2025-{:02}-{:02}T{:02}:00:00Z", n % 12 + 1, n % 28 + 1, n % 24)},
                "relationships": {"patient": {"data": {"type": "patient", "id": patient}}}})
        };
        let person = |named: &str| {
            json!({"type": "patient", "attributes": {"last_name": named},
                "relationships": {"groups": {"data": [{"type": "group", "id": group}]}}})
        };
        match self.random(100) {
            0..40 => self.expect(200, "GET", &format!("/pub/patient/{patient}"), None),
            40..50 => self.expect(200, "GET", &format!("/pub/patient?filter[organization]={organization}"), None),
            50..60 => self.expect(200, "GET", &format!("/pub/patient_health_metric?filter[patient]={patient}"), None),
            60..65 => {
                let path = format!("/pub/patient_plan_summary/{patient}?include=current_results,actions");
                self.expect(200, "GET", &path, None)
            }
            65..67 => {
                let path = format!("/pub/patient?filter[organization]={organization}&sort=-updated_at&page[number]=3");
                self.expect(200, "GET", &path, None)
            }
            67..80 => {
                if self.expect(200, "POST", "/pub/patient_health_metric", Some(&json!({"data": metric(number)}))) {
                    self.world.metrics.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            80..81 => {
                let many: Vec<_> = (0..BULK).map(|n| metric(number % 1_000_000 + n)).collect();
                if self.expect(200, "POST", "/pub/patient_health_metric", Some(&json!({"data": many}))) {
                    self.world.metrics.fetch_add(BULK, Ordering::Relaxed);
                }
                true
            }
            81..88 => {
                let change =
                    json!({"data": {"type": "patient", "id": patient, "attributes": {"note": number.to_string()}}});
                self.expect(200, "PATCH", &format!("/pub/patient/{patient}"), Some(&change))
            }
            88..89 => {
                if self.expect(201, "POST", "/pub/patient", Some(&json!({"data": person("Soaked")}))) {
                    self.world.created.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            89..92 => self.expect(404, "GET", "/pub/patient/ffffffffffffffffffffffff", None),
            92..94 => self.expect(409, "GET", "/pub/patient?filter[colour]=red", None),
            94..97 => {
                let bad =
                    json!({"data": {"type": "patient_health_metric", "attributes": {"type": "colour", "value": 1}}});
                self.expect(409, "POST", "/pub/patient_health_metric", Some(&bad))
            }
            97..98 => self.expect(405, "DELETE", "/pub/patient", None),
            _ => self.expect(409, "POST", "/pub/patient", Some(&json!([[[["no document"]]]]))),
        };
    }

    /// Asks, and notes what came back. Whether it is what was expected.
    fn expect(&mut self, expected: u16, method: &str, path: &str, body: Option<&Value>) -> bool {
        let began = Instant::now();
        let outcome = self.ask(method, path, body);
        let time = u32::try_from(began.elapsed().as_micros() / 10).unwrap_or(u32::MAX);
        let mut seen = self.world.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match outcome {
            Ok((status, body)) => {
                seen.times.push(time);
                *seen.statuses.entry(status).or_default() += 1;
                if status != expected {
                    let text = String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
                    self.world.surprises.fetch_add(1, Ordering::Relaxed);
                    seen.surprises.push(format!("{method} {path}: {status}, not {expected}: {text}"));
                }
                status == expected
            }
            Err(error) => {
                self.world.surprises.fetch_add(1, Ordering::Relaxed);
                seen.surprises.push(format!("{method} {path}: {error}"));
                self.stream = None;
                false
            }
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome<(u16, Vec<u8>)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.world.connect()?,
        };
        let answer = self.world.ask(&mut stream, method, path, body)?;
        self.stream = Some(stream);
        Ok(answer)
    }
}
