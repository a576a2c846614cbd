//! What answers cost, in queries.

use serde_json::json;

use crate::support::{Client, TestApp, counted, on_each_database};

async fn queries(app: &TestApp, client: &Client, path: &str) -> usize {
    let before = counted(&app.database.target);
    client.get(path).await.expect_status(200);
    counted(&app.database.target) - before
}

#[actix_web::test]
async fn a_page_of_fifty_costs_as_many_queries_as_a_page_of_one() {
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

        for list in ["patient", "patient_health_metric", "group", "coach", "calendar_event", "patient_plan_summary"] {
            let path = format!("/pub/{list}?filter[organization]={organization}&");
            let one = queries(&app, &client, &format!("{path}page[size]=1")).await;
            // One more where a streak runs back beyond the weeks that are read first.
            let most = if list == "patient_plan_summary" { one + 1 } else { one };
            for larger in ["page[size]=50", "page[limit]=1000"] {
                let queries = queries(&app, &client, &format!("{path}{larger}")).await;
                assert!((one..=most).contains(&queries), "{list} {larger}: {queries} queries, not {one}");
            }
            assert!((2..=11).contains(&one), "{list}: {one} queries");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_plan_with_all_that_hangs_on_it_costs_as_much_as_all_plans() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!(
            "/pub/patient_plan_summary?filter[organization]={}&include=actions,bundles,patient,current_results&",
            app.demo.organization
        );
        // The first request looks its token up, too; and one more is for streaks that run far back.
        queries(&app, &client, &path).await;
        let one = queries(&app, &client, &format!("{path}page[size]=1")).await;
        for larger in ["page[size]=50", ""] {
            let queries = queries(&app, &client, &format!("{path}{larger}")).await;
            assert!((one..=one + 1).contains(&queries), "{larger}: {queries} queries, not {one}");
        }
        assert!(one <= 24, "{one} queries");
    })
    .await;
}
