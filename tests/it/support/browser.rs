//! Chromium without a window, told by `WebDriver` to do what a person does.
//!
//! It resolves no names, so a page that needs anything but the addresses of
//! this machine does not work in it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What starts and leads the browser.
const DRIVER: &str = "chromedriver";

/// A browser with one page. It ends with the test, however that ends.
pub struct Browser {
    driver: Child,
    /// Of the driver.
    address: String,
    /// The path of everything that is asked of the browser.
    session: String,
    /// Keeps what the browser writes.
    _home: TempDir,
}

impl Browser {
    /// Whether there is one.
    pub fn find() -> Result<(), String> {
        for program in [DRIVER, "chromium"] {
            Command::new(program).arg("--version").output().map_err(|error| format!("{program}: {error}"))?;
        }
        Ok(())
    }

    pub fn start() -> Self {
        let home = TempDir::new().expect("a temporary folder");
        let profile = format!("--user-data-dir={}", home.path().join("profile").display());
        let mut command = Command::new(DRIVER);
        command.arg("--port=0").env("HOME", home.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut driver = command.spawn().expect("the driver starts");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port =
            said.find_map(|line| Some(line.rsplit_once("successfully on port ")?.1.trim_matches('.').to_owned()));
        let address = format!("127.0.0.1:{}", port.expect("the driver says its port"));
        let mut browser = Self { driver, address, session: String::new(), _home: home };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--window-size=1400,1000",
            &profile,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.send("POST", "/session", &wanted).expect("the browser starts");
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        browser
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).expect("the page opens");
    }

    /// Clicks on what this selector finds, as soon as it can be clicked on.
    pub fn click(&self, selector: &str) {
        patiently(selector, || self.post(&format!("{}/click", self.find_element(selector)?), &json!({})));
    }

    /// Types a text into a field, instead of what is there.
    pub fn fill(&self, selector: &str, text: &str) {
        patiently(selector, || {
            let field = self.find_element(selector)?;
            self.post(&format!("{field}/clear"), &json!({}))?;
            self.post(&format!("{field}/value"), &json!({ "text": text }))
        });
    }

    /// The text of what this selector finds, as soon as it is there.
    pub fn text(&self, selector: &str) -> String {
        let text = patiently(selector, || {
            let path = format!("{}{}/property/textContent", self.session, self.find_element(selector)?);
            self.send("GET", &path, &Value::Null)
        });
        text.as_str().expect("a text").to_owned()
    }

    /// What the page has said to the console.
    pub fn console(&self) -> Vec<Value> {
        self.log("browser")
    }

    /// The requests that were sent for the page, as the `DevTools` protocol has them.
    pub fn requests(&self) -> Vec<Value> {
        let events = self.log("performance").into_iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().expect("a message")).expect("JSON");
            event["message"].clone()
        });
        // The browser's own pages load theirs from chrome://.
        let of_page = |params: &Value| params["documentURL"].as_str().is_some_and(|url| !url.starts_with("chrome:"));
        let requests =
            events.filter(|event| event["method"] == "Network.requestWillBeSent" && of_page(&event["params"]));
        requests.map(|event| event["params"]["request"].clone()).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({ "type": kind })).expect("a log");
        entries.as_array().expect("entries").clone()
    }

    /// The path of an element.
    fn find_element(&self, selector: &str) -> Result<String, String> {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}))?;
        let id = found.as_object().and_then(|element| element.values().next()?.as_str()).expect("an element");
        Ok(format!("/element/{id}"))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send("POST", &format!("{}{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ));
        let mut answer: Value = serde_json::from_slice(&answer.map_err(|error| error.to_string())?)
            .map_err(|error| format!("the driver: {error}"))?;
        let value = answer["value"].take();
        if value["error"].is_string() { Err(value.to_string()) } else { Ok(value) }
    }

    /// The body of the answer. The driver leaves the connection open.
    fn exchange(&self, request: &str) -> io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(Duration::from_mins(1)))?;
        connection.write_all(request.as_bytes())?;
        let mut answer = BufReader::new(connection);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            answer.read_line(&mut line)?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok(body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Nothing is left to do when they have ended by themselves.
        let _ = self.send("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Tries again until it works: a page takes its time.
fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) if began.elapsed() > Duration::from_secs(30) => panic!("{what}: {error}"),
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}
