//! Groups.

use serde_json::json;

use crate::support::on_each_database;

#[actix_web::test]
async fn a_group_is_created_and_found_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "id": "", "attributes": {"name": "Night shift", "bio": "Sleeps by day."}}});
        let created = client.post("/pub/group", &body).await.expect_status(201);
        let fetched = client.get(&format!("/pub/group/{}", created.id())).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
    })
    .await;
}
