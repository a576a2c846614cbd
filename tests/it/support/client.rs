//! A caller of the API.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use serde_json::Value;

use super::{TestApp, contract};

/// One caller: with a token, or without.
#[derive(Clone)]
pub struct Client {
    app: TestApp,
    pub token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Client {
    pub fn new(app: TestApp, token: Option<String>) -> Self {
        Self { app, token }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.write(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Response {
        self.write(Method::PATCH, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.write(Method::PUT, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.send(self.request(Method::DELETE, path)).await
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Response {
        self.send_with(method, path, &[], Some(body)).await
    }

    /// Sends a request with these headers.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Response {
        let mut request = self.request(method, path);
        for header in headers {
            request = request.append_header(*header);
        }
        if let Some(body) = body {
            request = request.insert_header(("Content-Type", "application/vnd.api+json")).set_payload(body.to_string());
        }
        self.send(request).await
    }

    /// A request of this caller, to be added to.
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        let request = TestRequest::with_uri(path).method(method);
        match &self.token {
            Some(token) => request.insert_header(("Authorization", format!("Bearer {token}"))),
            None => request,
        }
    }

    /// Sends a request and holds the answer against the contract.
    pub async fn send(&self, request: TestRequest) -> Response {
        let (method, uri, status, headers, body) = (self.app.send)(request).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let response = Response { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text };
        contract::check(&method, &uri, &response);
        response
    }
}

impl Response {
    /// Fails the test, showing the body, unless the status is this one.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A header as text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The errors as `status code place: detail`, one a line.
    pub fn errors(&self) -> String {
        let errors = self.body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {}", self.text));
        let line = |error: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let source = &error["source"];
            let place = source["pointer"].as_str().or(source["parameter"].as_str());
            let detail = text(&error["detail"]);
            // A detail names the place itself: many clients log nothing else.
            let rest = match place {
                None => detail.as_str(),
                Some("") => detail.strip_prefix("the body ").expect("the body"),
                Some(place) => detail.strip_prefix(place).and_then(|rest| rest.strip_prefix(": ")).expect("the place"),
            };
            format!("{} {} {}: {rest}", text(&error["status"]), text(&error["code"]), place.unwrap_or("-"))
        };
        errors.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The ids of the resources in `data`, an array.
    pub fn ids(&self) -> Vec<String> {
        let data = self.body["data"].as_array().unwrap_or_else(|| panic!("no array in {}", self.text));
        data.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The id of the only resource.
    pub fn id(&self) -> String {
        self.body["data"]["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.text)).to_owned()
    }

    /// `meta.count`.
    pub fn count(&self) -> i64 {
        self.body["meta"]["count"].as_i64().unwrap_or_else(|| panic!("no count in {}", self.text))
    }

    /// A link of the document.
    pub fn link(&self, name: &str) -> Option<String> {
        self.body["links"][name].as_str().map(str::to_owned)
    }
}
