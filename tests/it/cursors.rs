//! Cursors: what they belong to, and what becomes of them when the list changes.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, on_each_database};

const OSTRANDER: &str = "64062e37741e089d927ad224";
const HEART: &str = "63e27027741e089d927ad218";

fn list(app: &TestApp, kind: &str) -> String {
    format!("/pub/{kind}?filter[organization]={}", app.demo.organization)
}

/// The cursor behind the first two of a list.
async fn cursor(client: &Client, path: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let page = client.get(&format!("{path}{separator}page[limit]=2")).await.expect_status(200);
    let next = page.link("next").unwrap();
    next.split("page[after]=").nth(1).unwrap().split('&').next().unwrap().to_owned()
}

async fn post_patient(app: &TestApp, client: &Client, name: &str) -> String {
    let groups = json!({"data": [{"type": "group", "id": app.demo.group}]});
    let attributes = json!({"first_name": name, "last_name": name});
    let patient = json!({"type": "patient", "attributes": attributes, "relationships": {"groups": groups}});
    client.post("/pub/patient", &json!({"data": patient})).await.expect_status(201).id()
}

#[actix_web::test]
async fn a_walk_by_cursor_meets_everybody_once_while_others_are_added() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = list(&app, "patient");
        for (round, sort) in ["", "&sort=last_name", "&sort=-first_name,updated_at"].iter().enumerate() {
            let there = client.get(&format!("{path}&page[limit]=1000")).await.expect_status(200).ids();
            let (mut met, mut added) = (Vec::new(), HashSet::new());
            let mut next = Some(format!("{path}{sort}&page[limit]=6"));
            while let Some(link) = next {
                // Before and behind where the walk stands, while it goes on.
                app.advance(1);
                let name = ["Aab", "Mmm", "Żżż"][met.len() % 3];
                let name = format!("{name}{round}");
                let (page, posted) = join(client.get(&link), post_patient(&app, &client, &name)).await;
                let page = page.expect_status(200);
                met.extend(page.ids());
                added.insert(posted);
                next = page.link("next");
            }
            let once: HashSet<_> = met.iter().cloned().collect();
            assert_eq!(once.len(), met.len(), "{sort}: somebody was met twice");
            let there: HashSet<_> = there.into_iter().collect();
            assert!(there.is_subset(&once), "{sort}: somebody was missed");
            assert!(once.difference(&there).all(|id| added.contains(id)));
            assert!(added.len() >= there.len().div_ceil(6));
        }
    })
    .await;
}

#[actix_web::test]
async fn a_cursor_has_two_names() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for kind in ["patient", "patient_health_metric", "group", "coach"] {
            let path = list(&app, kind);
            let all = client.get(&format!("{path}&page[limit]=1000")).await.expect_status(200).ids();
            let (first, other) = (cursor(&client, &path).await, {
                let page = client.get(&format!("{path}&page[limit]=3")).await.expect_status(200);
                page.link("next").unwrap().split("page[after]=").nth(1).unwrap().to_owned()
            });
            for names in ["page[after]=C", "page[cursor]=C", "page%5Bcursor%5D=C", "page[after]=C&page[cursor]=C"] {
                let page = client.get(&format!("{path}&page[limit]=1&{}", names.replace('C', &first))).await;
                assert_eq!(page.expect_status(200).ids(), all[2..3], "{kind} {names}");
            }
            let both = format!("{path}&page[after]={first}&page[cursor]={other}");
            let refused = client.get(&both).await.expect_status(409).errors();
            assert!(refused.starts_with("409 InvalidParameter page["), "{refused}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_cursor_goes_on_with_another_limit_and_other_fields() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = list(&app, "patient");
        let all = client.get(&format!("{path}&page[limit]=1000")).await.expect_status(200).ids();
        let cursor = cursor(&client, &path).await;
        for (parameters, until) in [("", 34), ("&page[limit]=7", 9), ("&page[limit]=3&fields[patient]=last_name", 5)] {
            let page = client.get(&format!("{path}&page[after]={cursor}{parameters}")).await.expect_status(200);
            assert_eq!(page.ids(), all[2..until], "{parameters}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_cursor_of_another_list_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let patients = list(&app, "patient");
        for (from, to) in [
            (patients.clone(), format!("{patients}&sort=last_name")),
            (format!("{patients}&sort=last_name"), patients.clone()),
            (format!("{patients}&sort=last_name"), format!("{patients}&sort=-last_name")),
            (format!("{patients}&sort=last_name"), format!("{patients}&sort=first_name")),
            (patients.clone(), format!("{patients}&filter[archived]=false")),
            (format!("{patients}&filter[archived]=false"), patients.clone()),
            (patients.clone(), format!("/pub/patient?filter[groups]={HEART}")),
            (patients.clone(), list(&app, "coach")),
            (list(&app, "group"), list(&app, "coach")),
            (list(&app, "patient_health_metric"), format!("/pub/patient_health_metric?filter[patient]={OSTRANDER}")),
            (list(&app, "group"), format!("/pub/patient/{OSTRANDER}/groups?")),
        ] {
            let cursor = cursor(&client, &from).await;
            for name in ["page[after]", "page[cursor]"] {
                let refused = client.get(&format!("{to}&{name}={cursor}")).await.expect_status(409).errors();
                assert!(refused.starts_with(&format!("409 InvalidParameter {name}: ")), "{from} to {to}: {refused}");
                assert_eq!(refused.lines().count(), 1);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn garbage_is_no_cursor() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for path in [list(&app, "patient"), format!("{}&sort=-created_at", list(&app, "group"))] {
            let good = cursor(&client, &path).await;
            let half = &good[..good.len() / 2];
            let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let garbage =
                ["2", "null", "!", "%00", "%F0%9F%8C%8A", half, &encoded("[]"), &encoded("{}"), &encoded("\u{0}")];
            for garbage in garbage {
                let refused = client.get(&format!("{path}&page[after]={garbage}")).await.expect_status(409).errors();
                assert!(refused.starts_with("409 InvalidParameter page[after]: "), "{garbage}: {refused}");
            }
        }
    })
    .await;
}

/// Every place in a cursor's JSON.
fn places(value: &Value, at: &str) -> Vec<String> {
    let items = value.as_array().into_iter().flatten().enumerate();
    let inner = items.flat_map(|(n, item)| places(item, &format!("{at}/{n}")));
    std::iter::once(at.to_owned()).chain(inner).collect()
}

/// The JSON in the cursor behind the first two of a list.
async fn opened(client: &Client, path: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(cursor(client, path).await).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[actix_web::test]
async fn a_forged_cursor_breaks_nothing() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let texts = ["\"x\"", "1", "9223372036854775807", "null", "[]", "[1,2,3]", "[\"x\"]", "\"\\u0000\""];
        for sort in ["", "&sort=last_name", "&sort=created_at", "&sort=-last_name,updated_at"] {
            let path = format!("{}{sort}", list(&app, "patient"));
            let good = opened(&client, &path).await;
            for place in places(&good, "") {
                for text in texts {
                    let mut forged = good.clone();
                    *forged.pointer_mut(&place).unwrap() = serde_json::from_str(text).unwrap();
                    let cursor = URL_SAFE_NO_PAD.encode(forged.to_string());
                    let answer = client.get(&format!("{path}&page[limit]=2&page[after]={cursor}")).await;
                    assert!([200, 409].contains(&answer.status), "{sort} {forged}: {}", answer.text);
                }
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_cursor_without_a_value_for_each_field_of_the_sort_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (sort, values) in
            [("", json!(["x"])), ("&sort=last_name", json!([])), ("&sort=last_name", json!(["A", "B"]))]
        {
            let path = format!("{}{sort}", list(&app, "patient"));
            let mut forged = opened(&client, &path).await;
            forged[1] = values;
            let cursor = URL_SAFE_NO_PAD.encode(forged.to_string());
            let refused = client.get(&format!("{path}&page[after]={cursor}")).await.expect_status(409).errors();
            assert!(refused.starts_with("409 InvalidParameter page[after]: "), "{refused}");
        }
    })
    .await;
}
