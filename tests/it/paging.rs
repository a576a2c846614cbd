//! Lists in pages: by number and by cursor, from end to end.

use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database};

/// In Diabetes Together and in Heart & Blood Pressure, with 105 metrics.
const OSTRANDER: &str = "64062e37741e089d927ad224";

/// Every list, each with the orders to walk it in. Those of the second kind
/// come whole when no page is asked for.
struct Lists {
    always_paged: Vec<(String, Vec<&'static str>)>,
    paged_on_request: Vec<(String, Vec<&'static str>)>,
}

impl Lists {
    /// Adds what the demo has too little of: groups, and a patient in all of them with all coaches.
    async fn prepare(app: &TestApp, client: &Client) -> Self {
        let organization = format!("filter[organization]={}", app.demo.organization);
        let groups: Vec<_> =
            (0..48).map(|n| json!({"type": "group", "attributes": {"name": format!("Team {}", n % 7)}})).collect();
        client.post("/pub/group", &json!({"data": groups})).await.expect_status(201);
        let identifiers = |kind: &str, response: &Response| -> Vec<Value> {
            response.ids().iter().map(|id| json!({"type": kind, "id": id})).collect()
        };
        let groups = identifiers("group", &client.get(&format!("/pub/group?{organization}")).await);
        let coaches = identifiers("coach", &client.get(&format!("/pub/coach?{organization}")).await);
        let patient = json!({"type": "patient", "relationships": {
            "groups": {"data": groups}, "coaches": {"data": coaches},
        }});
        let patient = client.post("/pub/patient", &json!({"data": patient})).await.expect_status(201).id();
        let credentials = json!({"data": {"type": "token", "attributes": {
            "grant_type": "client_credentials",
            "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret,
        }}});
        let token = app.anonymous().post("/pub/oauth/token", &credentials).await.expect_status(201).id();

        let of_people = vec!["", "-last_name", "first_name,-updated_at"];
        Self {
            always_paged: vec![
                (format!("/pub/patient?{organization}"), of_people.clone()),
                (
                    format!("/pub/patient_health_metric?filter%5Bpatient%5D={OSTRANDER}"),
                    vec!["", "-occurred_at", "updated_at,-occurred_at"],
                ),
            ],
            paged_on_request: vec![
                (format!("/pub/group?{organization}"), vec!["", "name", "-name,created_at"]),
                (format!("/pub/coach?{organization}&filter[groups]={}", app.demo.group), of_people),
                (format!("/pub/patient/{patient}/groups?"), vec!["", "-name"]),
                (format!("/pub/patient/{patient}/coaches?"), vec!["last_name"]),
                (format!("/pub/oauth/token/{token}/groups?"), vec!["name,-created_at"]),
            ],
        }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let lists = self.always_paged.iter().chain(&self.paged_on_request);
        lists.flat_map(|(path, sorts)| sorts.iter().map(move |sort| (path.as_str(), *sort)))
    }
}

/// A list with further parameters.
fn with(path: &str, parameters: &str) -> String {
    let separator = if path.ends_with('?') { "" } else { "&" };
    format!("{path}{separator}{parameters}")
}

fn sorted(path: &str, sort: &str) -> String {
    if sort.is_empty() { path.to_owned() } else { with(path, &format!("sort={sort}")) }
}

/// The pages from a path on, each found by the link `next` of the one before.
async fn walk(client: &Client, path: String) -> Vec<Response> {
    let mut pages = vec![client.get(&path).await.expect_status(200)];
    while let Some(next) = pages[pages.len() - 1].link("next") {
        assert!(pages.len() < 1000, "{path} leads nowhere");
        pages.push(client.get(&next).await.expect_status(200));
    }
    pages
}

/// All that a list holds, in its order, on one page.
async fn whole(client: &Client, path: &str) -> Vec<String> {
    client.get(&with(path, "page[limit]=1000")).await.expect_status(200).ids()
}

/// The names of the links of a page.
fn links(page: &Response) -> Vec<&str> {
    page.body["links"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn pages_by_number_hold_the_whole_list_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (path, sort) in Lists::prepare(&app, &client).await.all() {
            let path = sorted(path, sort);
            let whole = whole(&client, &path).await;
            for size in [1 + whole.len() / 4, whole.len().min(50)] {
                let pages = walk(&client, with(&path, &format!("page[size]={size}"))).await;
                let cut: Vec<Vec<String>> = pages.iter().map(Response::ids).collect();
                assert_eq!(cut, whole.chunks(size).collect::<Vec<_>>(), "{path} by {size}");
                let link = |number: usize| {
                    let path = path.replace("%5B", "[").replace("%5D", "]");
                    Some(with(&path, &format!("page[number]={number}&page[size]={size}")).replace("?&", "?"))
                };
                for (page, number) in pages.iter().zip(1..) {
                    assert_eq!(page.count(), i64::try_from(whole.len()).unwrap());
                    assert_eq!(page.link("self"), link(number));
                    assert_eq!(page.link("first"), link(1));
                    assert_eq!(page.link("prev"), (number > 1).then(|| link(number - 1)).flatten());
                    assert_eq!(page.link("next"), (number < pages.len()).then(|| link(number + 1)).flatten());
                    assert_eq!(page.link("last"), link(pages.len()));
                }
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn pages_by_cursor_hold_the_whole_list_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (path, sort) in Lists::prepare(&app, &client).await.all() {
            let path = sorted(path, sort);
            let whole = whole(&client, &path).await;
            for limit in [1 + whole.len() / 4, whole.len()] {
                let pages = walk(&client, with(&path, &format!("page[limit]={limit}"))).await;
                let cut: Vec<Vec<String>> = pages.iter().map(Response::ids).collect();
                assert_eq!(cut, whole.chunks(limit).collect::<Vec<_>>(), "{path} by {limit}");
                for (page, number) in pages.iter().zip(1..) {
                    assert_eq!(page.count(), i64::try_from(whole.len()).unwrap());
                    let expected = if number < pages.len() { vec!["next", "self"] } else { vec!["self"] };
                    assert_eq!(links(page), expected);
                }
                // The link to itself is one: it leads to the same page.
                let second = pages.get(1).unwrap_or(&pages[0]);
                let again = client.get(&second.link("self").unwrap()).await.expect_status(200);
                assert_eq!((again.ids(), again.link("next")), (second.ids(), second.link("next")));
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn without_page_parameters_some_lists_are_paged_and_others_come_whole() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let lists = Lists::prepare(&app, &client).await;
        for (path, _) in &lists.always_paged {
            let page = client.get(path).await.expect_status(200);
            let first = client.get(&with(path, "page[number]=1&page[size]=10")).await.expect_status(200);
            assert_eq!((page.ids().len(), page.ids()), (10, first.ids()));
            assert_eq!(page.body["links"], first.body["links"]);
        }
        for (path, sorts) in &lists.paged_on_request {
            for sort in sorts {
                let path = sorted(path, sort);
                let all = client.get(&path).await.expect_status(200);
                assert_eq!(all.ids(), whole(&client, &path).await, "{path}");
                assert_eq!(all.count(), i64::try_from(all.ids().len()).unwrap());
                assert_eq!(links(&all), ["self"]);
                assert_eq!(client.get(&all.link("self").unwrap()).await.expect_status(200).ids(), all.ids());
            }
        }
        let groups = client.get(&lists.paged_on_request[0].0).await.expect_status(200);
        assert_eq!(groups.ids().len(), 52);
        // What one parameter leaves open has its default.
        let (groups, patients) = (&lists.paged_on_request[0].0, &lists.always_paged[0].0);
        for path in [groups, patients] {
            for (sent, meant) in
                [("page[number]=2", "page[number]=2&page[size]=10"), ("page[size]=7", "page[number]=1&page[size]=7")]
            {
                let (sent, meant) = (client.get(&with(path, sent)).await, client.get(&with(path, meant)).await);
                assert_eq!((sent.ids(), &sent.body["links"]), (meant.ids(), &meant.body["links"]));
            }
        }
        let cursor = client.get(&with(groups, "page[limit]=1")).await.link("next").unwrap();
        let cursor = cursor.split("page[after]=").nth(1).unwrap();
        let fifty = client.get(&with(groups, &format!("page[after]={cursor}"))).await.expect_status(200);
        assert_eq!(fifty.ids(), whole(&client, groups).await[1..51]);
    })
    .await;
}

#[actix_web::test]
async fn nothing_and_the_count_come_for_size_0_limit_0_and_pages_beyond_the_end() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, count) in [("patient", 34), ("patient_health_metric", 531), ("group", 4), ("coach", 5)] {
            let path = format!("/pub/{kind}?filter[organization]={}", app.demo.organization);
            for parameters in ["page[size]=0", "page[limit]=0", "page[number]=3&page[size]=0", "page[number]=500"] {
                let page = client.get(&with(&path, parameters)).await.expect_status(200);
                assert_eq!((page.body["data"].clone(), page.count()), (json!([]), count), "{kind} {parameters}");
                assert_eq!(page.link("next"), None, "{kind} {parameters}");
            }
        }
        // One page too far, the way back is there.
        let path = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        let beyond = client.get(&format!("{path}&page[number]=5")).await.expect_status(200);
        let last = client.get(&beyond.link("prev").unwrap()).await.expect_status(200);
        assert_eq!((beyond.ids().len(), last.ids().len()), (0, 4));
        assert_eq!(beyond.link("last"), last.link("self"));
        // Nothing matches at all.
        let none = format!("{path}&filter[created_at]=..2001-01-01T00:00:00Z");
        for parameters in ["page[number]=1", "page[limit]=5"] {
            let page = client.get(&with(&none, parameters)).await.expect_status(200);
            assert_eq!((page.ids().len(), page.count(), page.link("next")), (0, 0, None));
        }
    })
    .await;
}

#[actix_web::test]
async fn the_greatest_page_number_is_beyond_the_end() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        for size in [1, 50] {
            let parameters = format!("page[number]={}&page[size]={size}", i64::MAX);
            let page = client.get(&with(&path, &parameters)).await.expect_status(200);
            assert_eq!((page.ids().len(), page.count(), page.link("next")), (0, 34, None));
        }
    })
    .await;
}

/// One line for each error: status, code and place.
async fn faults(client: &Client, path: &str) -> Vec<String> {
    let errors = client.get(path).await.expect_status(409).errors();
    errors.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn bad_page_parameters_are_refused_by_name() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for kind in ["patient", "patient_health_metric", "group", "coach"] {
            let path = format!("/pub/{kind}?filter[organization]={}", app.demo.organization);
            for (name, value) in [
                ("page[number]", "0"),
                ("page[number]", "-1"),
                ("page[number]", "one"),
                ("page[number]", "1.0"),
                ("page[size]", "51"),
                ("page[size]", "-1"),
                ("page[size]", "ten"),
                ("page[size]", "1e1"),
                ("page[limit]", "1001"),
                ("page[limit]", "-1"),
                ("page[limit]", "all"),
                ("page[limit]", "0x10"),
                ("page[offset]", "10"),
                ("page[]", "1"),
                ("page[Number]", "1"),
            ] {
                let refused = faults(&client, &with(&path, &format!("{name}={value}"))).await;
                assert_eq!(refused, [format!("409 InvalidParameter {name}")], "{kind} {value}");
            }
            let refused = faults(&client, &with(&path, "page[number]=0&page[size]=51&page[limit]=x")).await;
            assert_eq!(refused.len(), 3, "{refused:?}");
        }
    })
    .await;
}

#[actix_web::test]
async fn both_kinds_of_paging_at_once_are_refused_unless_one_is_at_its_defaults() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for kind in ["patient", "patient_health_metric", "group"] {
            let path = format!("/pub/{kind}?filter[organization]={}", app.demo.organization);
            let cursor = client.get(&with(&path, "page[limit]=1")).await.link("next").unwrap();
            let cursor = cursor.split("page[after]=").nth(1).unwrap();
            for mixed in [
                "page[number]=2&page[limit]=20".to_owned(),
                "page[size]=20&page[limit]=20".to_owned(),
                "page[size]=0&page[limit]=0".to_owned(),
                "page[number]=1&page[size]=20&page[limit]=49".to_owned(),
                format!("page[number]=2&page[after]={cursor}"),
                format!("page[size]=20&page[limit]=50&page[cursor]={cursor}"),
            ] {
                let refused = faults(&client, &with(&path, &mixed)).await;
                assert!(refused[0].starts_with("409 InvalidParameter page["), "{mixed}: {refused:?}");
            }
            for (sent, meant) in [
                ("page[number]=1&page[size]=10&page[limit]=50".to_owned(), "page[number]=1&page[size]=10".to_owned()),
                ("page[number]=2&page[limit]=50".to_owned(), "page[number]=2".to_owned()),
                ("page[size]=3&page[limit]=50".to_owned(), "page[size]=3".to_owned()),
                ("page[number]=1&page[limit]=3".to_owned(), "page[limit]=3".to_owned()),
                ("page[number]=1&page[size]=10&page[limit]=3".to_owned(), "page[limit]=3".to_owned()),
                (
                    format!("page[number]=1&page[size]=10&page[limit]=50&page[after]={cursor}"),
                    format!("page[limit]=50&page[after]={cursor}"),
                ),
            ] {
                let (sent, meant) = (client.get(&with(&path, &sent)).await, client.get(&with(&path, &meant)).await);
                let (sent, meant) = (sent.expect_status(200), meant.expect_status(200));
                assert_eq!((sent.ids(), &sent.body["links"]), (meant.ids(), &meant.body["links"]), "{kind}");
            }
        }
    })
    .await;
}
