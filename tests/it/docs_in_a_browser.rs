//! The page at `/docs` in a browser that reaches nothing but this machine,
//! against the program as it is shipped.
//!
//! Where no browser is installed, it is skipped and says so; with
//! `REQUIRE_CLIENTS=1` that is a failure. See tests/clients/README.md.

use retwine::demo;
use serde_json::{Value, json};

use crate::clients::{Demo, skip};
use crate::support::{Browser, Database};

/// Runs a test with the page open, where there is a browser.
fn on_the_page(test: impl FnOnce(&Demo, &Browser)) {
    if let Err(cause) = Browser::find() {
        return skip("chromium", &cause);
    }
    let database = Database::empty_sqlite();
    let demo = Demo::start(&database.target);
    let browser = Browser::start();
    browser.open(&format!("http://{}/docs", demo.address));
    test(&demo, &browser);
}

fn authorize(browser: &Browser, id: &str, secret: &str) {
    browser.click(".swagger-ui .btn.authorize");
    browser.fill("#client_id_clientCredentials", id);
    browser.fill("#client_secret_clientCredentials", secret);
    browser.click("button[aria-label='Apply given OAuth2 credentials']");
}

#[test]
fn a_person_authorizes_lists_patients_and_adds_a_group() {
    on_the_page(|demo, browser| {
        let [known, _] = demo::credentials().unwrap();
        authorize(browser, &known.client_id, &known.client_secret);
        browser.text("button[aria-label='Remove authorization']");
        browser.click(".close-modal");

        browser.click("#operations-tag-patient");
        let list = Form::open(browser, "#operations-patient-fetchPatients");
        list.fill("tr[data-param-name='filter[organization]'] input", &known.organization);
        let (status, patients) = list.execute();
        assert_eq!((status.as_str(), &patients["meta"]["count"]), ("200", &json!(34)), "{patients}");
        let patients = patients["data"].as_array().unwrap();
        assert_eq!(patients.len(), 10);
        assert!(patients.iter().all(|patient| patient["type"] == "patient"), "{patients:?}");

        browser.click("#operations-tag-group");
        let create = Form::open(browser, "#operations-group-createGroup");
        // The body is the contract's example.
        let (status, group) = create.execute();
        assert_eq!((status.as_str(), &group["data"]["type"]), ("201", &json!("group")), "{group}");

        expect_requests(&browser.requests(), &demo.address);
        let complaints: Vec<_> = browser.console().into_iter().filter(|entry| entry["level"] == "SEVERE").collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    });
}

#[test]
fn a_wrong_secret_is_told_on_the_page() {
    on_the_page(|_, browser| {
        let [known, _] = demo::credentials().unwrap();
        authorize(browser, &known.client_id, "not the secret");
        let told = browser.text(".auth-container .errors");
        assert!(told.contains("There is no client of this id and secret"), "{told}");
    });
}

/// An operation, ready to be tried out.
struct Form<'a> {
    browser: &'a Browser,
    operation: &'static str,
}

impl<'a> Form<'a> {
    fn open(browser: &'a Browser, operation: &'static str) -> Self {
        browser.click(&format!("{operation} .opblock-summary-control"));
        browser.click(&format!("{operation} .try-out__btn"));
        Self { browser, operation }
    }

    fn fill(&self, selector: &str, text: &str) {
        self.browser.fill(&format!("{} {selector}", self.operation), text);
    }

    /// The status and the body that the page shows.
    fn execute(&self) -> (String, Value) {
        let answer = format!("{} .live-responses-table tbody", self.operation);
        self.browser.click(&format!("{} .execute", self.operation));
        let status = self.browser.text(&format!("{answer} .response-col_status"));
        let body = self.browser.text(&format!("{answer} .highlight-code code"));
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }
}

/// All went to the demo, those with a body as JSON:API.
fn expect_requests(requests: &[Value], address: &str) {
    let home = format!("http://{address}/");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for request in requests {
        let url = text(&request["url"]);
        assert!(url.starts_with(&home) || url.starts_with("data:"), "{url}");
    }
    let called = |method: &str, path: &str| {
        let fits = |request: &&Value| request["method"] == method && text(&request["url"]).starts_with(path);
        requests.iter().find(fits).unwrap_or_else(|| panic!("{method} {path} is not among {requests:?}"))
    };
    called("GET", &format!("{home}pub/openapi.json"));
    called("POST", &format!("{home}pub/oauth/token"));
    let list = called("GET", &format!("{home}pub/patient?"));
    let create = called("POST", &format!("{home}pub/group"));
    assert_eq!(create["headers"]["Content-Type"], "application/vnd.api+json", "{create}");
    for request in [list, create] {
        assert!(text(&request["headers"]["Authorization"]).starts_with("Bearer "), "{request}");
    }
}
