//! Groups: how they are made, listed and kept from those who may not see them.

use serde_json::json;

use crate::people::{DIABETES, HEART, STRANGE_GROUP, WEIGHT, ignored};
use crate::support::{TestApp, on_each_database};

fn of_organization(app: &TestApp, more: &str) -> String {
    format!("/pub/group?filter[organization]={}{more}", app.demo.organization)
}

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

#[actix_web::test]
async fn a_group_shows_what_was_sent_and_nothing_that_was_not() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "Early birds", "bio": null}}});

        let created = client.post("/pub/group", &body).await.expect_status(201);

        let id = created.id();
        let expected = json!({
            "type": "group", "id": id, "attributes": {"name": "Early birds"}, "links": {"self": format!("/pub/group/{id}")},
        });
        assert_eq!(created.body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn many_groups_are_created_in_the_order_of_the_request() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let names = ["Walkers", "Walkers", "Swimmers"];
        let data: Vec<_> = names.iter().map(|name| json!({"type": "group", "attributes": {"name": name}})).collect();

        let created = client.post("/pub/group", &json!({ "data": data })).await.expect_status(201);

        let answered: Vec<_> =
            created.body["data"].as_array().unwrap().iter().map(|group| &group["attributes"]["name"]).collect();
        assert_eq!(answered, names);
        let listed = client.get(&of_organization(&app, "")).await.expect_status(200).ids();
        assert_eq!(listed[4..], created.ids());
    })
    .await;
}

#[actix_web::test]
async fn an_id_sent_with_a_new_group_has_no_effect() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let group = |id: &str| json!({"type": "group", "id": id, "attributes": {"name": "Copied"}});

        let one = client.post("/pub/group", &json!({"data": group(HEART)})).await.expect_status(201);
        let many = client.post("/pub/group", &json!({"data": [group(""), group(HEART)]})).await.expect_status(201);

        assert_ne!(one.id(), HEART);
        assert_eq!(ignored(&one), ["/data/id"]);
        assert_eq!(ignored(&many), ["/data/1/id"]);
    })
    .await;
}

#[actix_web::test]
async fn every_fault_of_new_groups_is_named_and_none_is_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": [
            {"type": "group", "attributes": {"name": "Faultless"}},
            {"type": "group", "attributes": {"bio": 5}},
            {"type": "group", "attributes": {"name": " \t"}},
            {"type": "group", "attributes": {"name": ["x"]}},
            {"type": "groups", "attributes": {"name": "Plural"}},
            {"type": "group", "attributes": {"name": "NUL\u{0}"}},
            {"type": "group"},
        ]});

        let refused = client.post("/pub/group", &body).await.expect_status(409);

        let expected = "\
409 InvalidBodyParameter /data/1/attributes/name: is required
409 InvalidBodyParameter /data/1/attributes/bio: must be a string, not a number
409 InvalidBodyParameter /data/2/attributes/name: must not be blank
409 InvalidBodyParameter /data/3/attributes/name: must be a string, not an array
409 InvalidBodyParameter /data/4/type: \"groups\" does not belong here; the type must be \"group\"
409 InvalidBodyParameter /data/5/attributes/name: must not contain the character U+0000
409 InvalidBodyParameter /data/6/attributes/name: is required";
        assert_eq!(refused.errors(), expected);
        assert_eq!(client.get(&of_organization(&app, "")).await.count(), 4);
    })
    .await;
}

#[actix_web::test]
async fn groups_are_listed_for_an_organization_only() {
    on_each_database(async |app| {
        let client = app.organization().await;

        let without = client.get("/pub/group").await.expect_status(409);
        let foreign = client.get(&format!("/pub/group?filter[organization]={}", app.stranger.organization)).await;

        assert!(without.errors().starts_with("409 InvalidParameter filter[organization]: "), "{}", without.errors());
        assert!(foreign.errors().starts_with("403 Forbidden filter[organization]: "), "{}", foreign.errors());
    })
    .await;
}

#[actix_web::test]
async fn a_list_of_groups_is_whole_and_can_be_narrowed_to_a_name() {
    on_each_database(async |app| {
        let client = app.organization().await;

        let all = client.get(&of_organization(&app, "")).await.expect_status(200);
        let named = client.get(&of_organization(&app, "&filter[name]=Weight%20Management")).await.expect_status(200);
        let none = client.get(&of_organization(&app, "&filter[name]=Weight")).await.expect_status(200);

        assert_eq!((all.count(), all.ids().len(), all.ids()[0].as_str()), (4, 4, DIABETES));
        assert_eq!((named.count(), named.ids()), (1, vec![WEIGHT.to_owned()]));
        assert_eq!((none.count(), none.ids()), (0, vec![]));
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_sees_its_own_groups_alone() {
    on_each_database(async |app| {
        let client = app.group().await;

        let listed = client.get(&of_organization(&app, "")).await.expect_status(200);

        assert_eq!((listed.count(), listed.ids()), (1, vec![DIABETES.to_owned()]));
        let outside = client.get(&format!("/pub/group/{HEART}")).await.expect_status(404);
        let strange = client.get(&format!("/pub/group/{STRANGE_GROUP}")).await.expect_status(404);
        assert_eq!(outside.errors(), strange.errors());
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_may_not_create_groups() {
    on_each_database(async |app| {
        let body = json!({"data": {"type": "group", "attributes": {"name": "Of my own"}}});

        let refused = app.group().await.post("/pub/group", &body).await.expect_status(403);

        assert!(refused.errors().starts_with("403 Forbidden "), "{}", refused.errors());
        assert_eq!(app.organization().await.get(&of_organization(&app, "")).await.count(), 4);
    })
    .await;
}
