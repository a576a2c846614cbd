//! What answers cost, in statements.

use serde_json::json;

use crate::support::{Client, TestApp, counted, on_each_database};

async fn statements(app: &TestApp, client: &Client, path: &str) -> usize {
    let before = counted(&app.database.target);
    client.get(path).await.expect_status(200);
    counted(&app.database.target) - before
}

#[actix_web::test]
async fn a_page_of_fifty_costs_as_many_statements_as_a_page_of_one() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = &app.demo.organization;
        let patient = |index: usize| {
            json!({
                "type": "patient",
                "attributes": {"last_name": format!("Load{index}")},
                "relationships": {
                    "groups": {"data": [{"type": "group", "id": app.demo.group}]},
                    "coaches": {"data": [{"type": "coach", "id": "63e3cad7741e089d927ad21c"}]},
                },
            })
        };
        let patients: Vec<_> = (0..40).map(patient).collect();
        client.post("/pub/patient", &json!({ "data": patients })).await.expect_status(201);

        for list in ["patient", "patient_health_metric"] {
            let path = format!("/pub/{list}?filter[organization]={organization}&page[size]=");
            let one = statements(&app, &client, &format!("{path}1")).await;
            let fifty = statements(&app, &client, &format!("{path}50")).await;
            assert_eq!(one, fifty, "{list}");
            assert!((1..=10).contains(&fifty), "{list}: {fifty} statements");
        }
    })
    .await;
}
