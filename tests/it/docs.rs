//! The contract as it is served.

use crate::support::{Database, TestApp};

#[actix_web::test]
async fn the_contract_as_json_keeps_its_order() {
    let client = TestApp::new(Database::sqlite()).await.anonymous();
    let yaml = client.get("/pub/openapi.yaml").await.expect_status(200).text;
    let json = client.get("/pub/openapi.json").await.expect_status(200).text;
    let paths = yaml.lines().filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':'));
    let places: Vec<_> = paths.map(|path| json.find(&format!("\"/{path}\":{{")).expect(path)).collect();
    assert!(places.len() > 50 && places.is_sorted(), "{places:?}");
}
