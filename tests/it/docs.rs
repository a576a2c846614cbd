//! The page at `/docs` and what belongs to it, as files.

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::http::header::ContentEncoding;
use actix_web::test::{call_service, init_service, read_body};

use crate::support::{Client, Database, TestApp, config};
use crate::transport::decompress;

const BUNDLE: &str = "/docs/swagger-ui-bundle.js";

async fn app() -> TestApp {
    TestApp::new(Database::sqlite()).await
}

/// What a document refers to.
fn references(html: &str) -> BTreeSet<String> {
    let values = [" src=\"", " href=\""].map(|name| html.split(name).skip(1));
    values.into_iter().flatten().map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn the_page_is_served_with_all_that_it_refers_to() {
    let client = app().await.anonymous();
    let page = client.get("/docs").await.expect_status(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for path in ["/docs/", "//docs"] {
        assert_eq!(client.get(path).await.expect_status(200).text, page.text, "{path}");
    }
    let mut seen = BTreeSet::new();
    for reference in references(&page.text) {
        if reference == "data:," {
            continue;
        }
        assert!(reference.starts_with('/') && !reference.starts_with("//"), "{reference} is elsewhere");
        let file = client.get(&reference).await.expect_status(200);
        let expected = match reference.rsplit_once('.').map_or("", |(_, suffix)| suffix) {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json",
            "yaml" => "application/yaml",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(file.header("content-type"), expected, "{reference}");
        assert!(!file.text.is_empty() && !file.text.contains("sourceMappingURL"), "{reference}");
        seen.insert(reference);
    }
    let files: BTreeSet<_> = retwine::docs::paths().filter(|path| *path != "/docs").map(str::to_owned).collect();
    assert!(files.is_subset(&seen), "of {files:?} the page refers to {seen:?} only");
}

#[actix_web::test]
async fn every_file_forbids_what_the_page_does_not_need() {
    let client = app().await.anonymous();
    for path in retwine::docs::paths() {
        let file = client.get(path).await.expect_status(200);
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(file.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(file.header("referrer-policy"), "no-referrer", "{path}");
    }
}

#[actix_web::test]
async fn a_copy_is_asked_about_and_sent_again_only_when_it_is_another() {
    let client = app().await.anonymous();
    let mut tags = BTreeSet::new();
    for path in retwine::docs::paths() {
        let file = client.get(path).await.expect_status(200);
        assert_eq!(file.header("cache-control"), "no-cache", "{path}");
        let tag = file.header("etag").to_owned();
        for (known, status) in [(tag.clone(), 304), (format!("\"other\", {tag}"), 304), ("\"other\"".into(), 200)] {
            let request = client.request(Method::GET, path).insert_header(("If-None-Match", known.as_str()));
            let again = client.send(request).await.expect_status(status);
            assert_eq!(again.header("etag"), tag, "{path}");
            assert_eq!(again.text.is_empty(), status == 304, "{path}");
        }
        assert!(tags.insert(tag), "{path} has the tag of another");
    }
}

#[actix_web::test]
async fn head_is_answered_and_other_methods_are_not_taken() {
    let client = app().await.anonymous();
    for path in retwine::docs::paths() {
        let (head, file) = (client.send(client.request(Method::HEAD, path)).await, client.get(path).await);
        assert_eq!((head.status, head.header("etag")), (200, file.header("etag")), "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let answer = client.send(client.request(method.clone(), path)).await.expect_status(405);
            assert_eq!(answer.header("allow"), "GET, HEAD", "{path}");
            assert!(answer.errors().starts_with("405 - -: "), "{}", answer.text);
        }
    }
}

#[actix_web::test]
async fn files_are_compressed_as_asked() {
    let app = app().await;
    let plain = app.anonymous().get(BUNDLE).await.expect_status(200);
    assert_eq!(plain.header("content-encoding"), "");
    let service = init_service(retwine::server::app(app.app.clone())).await;
    for (accepted, encoding) in [
        ("gzip, deflate, br, zstd", ContentEncoding::Gzip),
        ("br", ContentEncoding::Brotli),
        ("gzip;q=0, br", ContentEncoding::Brotli),
        ("zstd", ContentEncoding::Zstd),
        ("identity", ContentEncoding::Identity),
        ("identity;q=0, unheard-of", ContentEncoding::Identity),
    ] {
        let request = Client::new(app.clone(), None).request(Method::GET, BUNDLE);
        let response = call_service(&service, request.insert_header(("Accept-Encoding", accepted)).to_request()).await;
        let sent = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sent, (encoding != ContentEncoding::Identity).then(|| encoding.as_str().to_owned()), "{accepted}");
        assert!(response.headers().contains_key("vary"), "{accepted}");
        let body = read_body(response).await;
        assert_eq!(body.len() < plain.text.len() / 2, encoding != ContentEncoding::Identity, "{accepted}");
        assert!(decompress(body, encoding).await == plain.text.as_bytes(), "{accepted}");
    }
}

#[actix_web::test]
async fn the_page_is_turned_off_and_the_contract_stays() {
    let client = TestApp::with_config(Database::sqlite(), config(&["--docs", "false"])).await.anonymous();
    let unknown = client.get("/nothing").await.expect_status(404).errors();
    for path in retwine::docs::paths() {
        for method in [Method::GET, Method::POST] {
            let answer = client.send(client.request(method, path)).await.expect_status(404);
            assert_eq!(answer.errors(), unknown, "{path}");
        }
    }
    client.get("/pub/openapi.json").await.expect_status(200);
    client.get("/pub/openapi.yaml").await.expect_status(200);
}

#[actix_web::test]
async fn what_is_not_there_beside_the_page_is_404_as_everywhere() {
    let client = app().await.anonymous();
    for path in
        ["/", "/docs/nothing", "/docs/swagger-ui.css.map", "/docs/../Cargo.toml", "/pub/docs", "/docs/index.html"]
    {
        let answer = client.get(path).await.expect_status(404);
        assert!(answer.errors().starts_with("404 ResourceNotFound -: "), "{path}: {}", answer.text);
    }
}

#[actix_web::test]
async fn the_contract_as_json_keeps_its_order() {
    let client = app().await.anonymous();
    let yaml = client.get("/pub/openapi.yaml").await.expect_status(200).text;
    let json = client.get("/pub/openapi.json").await.expect_status(200).text;
    let paths = yaml.lines().filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':'));
    let places: Vec<_> = paths.map(|path| json.find(&format!("\"/{path}\":{{")).expect(path)).collect();
    assert!(places.len() > 50 && places.is_sorted(), "{places:?}");
}
