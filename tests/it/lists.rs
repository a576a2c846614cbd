//! Lists: what filters leave, and what is refused.
//!
//! What is expected comes from the fixtures themselves, not from the server.

use retwine::demo::FIXTURES;
use serde_json::{Value, json};

use crate::support::{Client, on_each_database};

const DIABETES: &str = "63e1356a741e089d927ad217";
const HEART: &str = "63e27027741e089d927ad218";
const WEIGHT_MANAGEMENT: &str = "643ebbbeb46c643c507ad219";
const EASTSIDE: &str = "659d8885fa867d8b7c7ad21a";
/// In Diabetes Together and in Heart & Blood Pressure.
const OSTRANDER: &str = "64062e37741e089d927ad224";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Of the other organization.
const CROWHURST: &str = "647e09d486f89266d12f13f6";
const NOWHERE: &str = "ffffffffffffffffffffffff";

/// The demo's resources of a type, as its fixture has them: in the order of creation.
pub fn fixtures(kind: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(FIXTURES[0].1).unwrap();
    let data = document["data"].as_array().unwrap();
    data.iter().filter(|resource| resource["type"] == kind).cloned().collect()
}

pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

fn attribute<'r>(resource: &'r Value, name: &str) -> &'r str {
    resource["attributes"][name].as_str().unwrap_or_default()
}

fn in_group(resource: &Value, group: &str) -> bool {
    let groups = resource["relationships"]["groups"]["data"].as_array();
    groups.into_iter().flatten().any(|related| related["id"] == group)
}

fn patient_of(metric: &Value) -> &str {
    metric["relationships"]["patient"]["data"]["id"].as_str().unwrap()
}

fn has_identifier(person: &Value, system: &str, value: &str) -> bool {
    let identifiers = person["attributes"]["identifiers"].as_array();
    identifiers.into_iter().flatten().any(|own| own["system"] == system && own["value"] == value)
}

/// A filter and which of the fixtures it leaves.
type Case<'c> = (String, Box<dyn Fn(&Value) -> bool + 'c>);

/// Checks that each filter leaves just those, in the order of creation.
async fn check(client: &Client, kind: &str, cases: &[Case<'_>]) {
    let all = fixtures(kind);
    for (query, leaves) in cases {
        let expected: Vec<_> = all.iter().filter(|resource| leaves(resource)).map(id).collect();
        let listed = client.get(&format!("/pub/{kind}?{query}&page[limit]=1000")).await.expect_status(200);
        assert_eq!(listed.ids(), expected, "{kind}?{query}");
        assert_eq!(listed.count(), i64::try_from(expected.len()).unwrap(), "{kind}?{query}");
    }
}

#[actix_web::test]
async fn patients_are_filtered_by_group_organization_archive_and_identifier() {
    on_each_database(async |app| {
        let organization = format!("filter[organization]={}", app.demo.organization);
        let archived = |patient: &Value| patient["attributes"]["archived"] == true;
        let cases: Vec<Case> = vec![
            (organization.clone(), Box::new(|_| true)),
            (format!("filter[groups]={HEART}"), Box::new(|patient| in_group(patient, HEART))),
            (format!("filter[group]={HEART}"), Box::new(|patient| in_group(patient, HEART))),
            (format!("filter%5Bgroups%5D={HEART}"), Box::new(|patient| in_group(patient, HEART))),
            (
                format!("filter[groups]={HEART},{DIABETES}"),
                Box::new(|patient| in_group(patient, HEART) || in_group(patient, DIABETES)),
            ),
            (
                format!("filter[group]={HEART}%2C{DIABETES}&{organization}"),
                Box::new(|patient| in_group(patient, HEART) || in_group(patient, DIABETES)),
            ),
            (format!("{organization}&filter[archived]=true"), Box::new(archived)),
            (format!("{organization}&filter[archived]=false"), Box::new(move |patient| !archived(patient))),
            (
                format!("filter[groups]={EASTSIDE}&filter[archived]=true"),
                Box::new(move |patient| in_group(patient, EASTSIDE) && archived(patient)),
            ),
            (
                format!("{organization}&filter[identifier][system]=household&filter[identifier][value]=H-0311"),
                Box::new(|patient| has_identifier(patient, "household", "H-0311")),
            ),
            (
                format!("filter[groups]={HEART}&filter[identifier][value]=H-0311&filter[identifier][system]=household"),
                Box::new(|patient| in_group(patient, HEART) && has_identifier(patient, "household", "H-0311")),
            ),
            (
                format!(
                    "{organization}&filter[identifier][system]=medical-record-number&filter[identifier][value]=204417"
                ),
                Box::new(|patient| id(patient) == OSTRANDER),
            ),
            // Somebody else's patient has this one, and a coach has that one.
            (
                format!(
                    "{organization}&filter[identifier][system]=medical-record-number&filter[identifier][value]=310022"
                ),
                Box::new(|_| false),
            ),
            (
                format!("{organization}&filter[identifier][system]=employee-number&filter[identifier][value]=RHP-0107"),
                Box::new(|_| false),
            ),
            (
                format!("{organization}&filter[identifier][system]=household&filter[identifier][value]=204417"),
                Box::new(|_| false),
            ),
        ];
        check(&app.organization().await, "patient", &cases).await;
    })
    .await;
}

#[actix_web::test]
async fn patients_are_filtered_by_ranges_that_include_their_start_and_not_their_end() {
    on_each_database(async |app| {
        let organization = format!("filter[organization]={}", app.demo.organization);
        for name in ["created_at", "updated_at"] {
            let mut instants: Vec<_> =
                fixtures("patient").iter().map(|patient| attribute(patient, name).to_owned()).collect();
            instants.sort();
            let (start, end) = (&instants[5], &instants[20]);
            let range = |range: &str| format!("{organization}&filter[{name}]={range}");
            let within = Box::new(move |patient: &Value| (start.as_str()..end).contains(&attribute(patient, name)));
            let since = Box::new(move |patient: &Value| start.as_str() <= attribute(patient, name));
            let cases: Vec<Case> = vec![
                (range(&format!("{start}..{end}")), within.clone()),
                (range(&format!("{start}..")), since.clone()),
                (range(&format!("..{end}")), Box::new(move |patient| attribute(patient, name) < end.as_str())),
                (range(".."), Box::new(|_| true)),
                (range(&format!("{start}..{start}")), Box::new(|_| false)),
                (
                    format!("filter[groups]={HEART}&filter[{name}]={start}.."),
                    Box::new(move |patient| in_group(patient, HEART) && since(patient)),
                ),
                // Other offsets of the same instants. A raw plus reaches the server as a space.
                (range(&format!("{}..{}", at_offset(start, "-05:00"), at_offset(end, "+05:30"))), within.clone()),
                (range(&format!("{}..{}", at_offset(start, "%2B14:00"), at_offset(end, "%2005:30"))), within),
            ];
            check(&app.organization().await, "patient", &cases).await;
        }
    })
    .await;
}

/// The same instant as a clock at this offset shows it, milliseconds and all.
fn at_offset(utc: &str, written: &str) -> String {
    let offset = written.replace("%2B", "+").replace("%20", "+");
    let offset: chrono::FixedOffset = offset.parse().unwrap();
    let local = chrono::DateTime::parse_from_rfc3339(utc).unwrap().with_timezone(&offset);
    format!("{}{written}", local.format("%Y-%m-%dT%H:%M:%S%.3f"))
}

#[actix_web::test]
async fn metrics_are_filtered_by_patient_group_and_organization() {
    on_each_database(async |app| {
        let organization = format!("filter[organization]={}", app.demo.organization);
        let patients = fixtures("patient");
        let of_group = |group: &'static str| {
            let ids: Vec<_> = patients.iter().filter(|patient| in_group(patient, group)).map(id).collect();
            move |metric: &Value| ids.contains(&patient_of(metric).to_owned())
        };
        let (of_heart, of_diabetes) = (of_group(HEART), of_group(DIABETES));
        let cases: Vec<Case> = vec![
            (organization.clone(), Box::new(|_| true)),
            (format!("filter[patient]={OSTRANDER}"), Box::new(|metric| patient_of(metric) == OSTRANDER)),
            (format!("filter[groups]={HEART}"), Box::new(&of_heart)),
            (format!("filter[group]={HEART}"), Box::new(&of_heart)),
            (format!("filter[groups]={HEART},{DIABETES}"), Box::new(|metric| of_heart(metric) || of_diabetes(metric))),
            (
                format!("filter[patient]={OSTRANDER}&filter[groups]={HEART}&{organization}"),
                Box::new(|metric| patient_of(metric) == OSTRANDER),
            ),
            (format!("filter[patient]={OSTRANDER}&filter[groups]={EASTSIDE}"), Box::new(|_| false)),
        ];
        check(&app.organization().await, "patient_health_metric", &cases).await;
    })
    .await;
}

#[actix_web::test]
async fn groups_and_coaches_are_filtered() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = format!("filter[organization]={}", app.demo.organization);
        let groups: Vec<Case> = vec![
            (organization.clone(), Box::new(|_| true)),
            // The other organization has one of that name too.
            (
                format!("{organization}&filter[name]=Weight+Management"),
                Box::new(|group| id(group) == WEIGHT_MANAGEMENT),
            ),
            (
                format!("{organization}&filter[name]=Heart%20%26%20Blood%20Pressure"),
                Box::new(|group| id(group) == HEART),
            ),
            (format!("{organization}&filter[name]=Weight"), Box::new(|_| false)),
            (format!("{organization}&filter[name]=Lungs+%26+Heart"), Box::new(|_| false)),
        ];
        check(&client, "group", &groups).await;
        let coaches: Vec<Case> = vec![
            (organization.clone(), Box::new(|_| true)),
            (format!("filter[groups]={HEART}"), Box::new(|coach| in_group(coach, HEART))),
            (format!("filter[group]={HEART}"), Box::new(|coach| in_group(coach, HEART))),
            (
                format!("filter[groups]={HEART},{EASTSIDE}&{organization}"),
                Box::new(|coach| in_group(coach, HEART) || in_group(coach, EASTSIDE)),
            ),
        ];
        check(&client, "coach", &coaches).await;
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_lists_what_its_group_holds() {
    on_each_database(async |app| {
        let client = app.group().await;
        let organization = format!("filter[organization]={}", app.demo.organization);
        let own = format!("filter[groups]={DIABETES}");
        let patients = fixtures("patient");
        let mine = |resource: &Value| in_group(resource, DIABETES);
        let of_mine =
            |metric: &Value| patients.iter().any(|patient| id(patient) == patient_of(metric) && mine(patient));
        let both = |leaves: fn(&Value) -> bool| -> Vec<Case> {
            vec![(organization.clone(), Box::new(leaves)), (own.clone(), Box::new(leaves))]
        };
        check(&client, "patient", &both(|patient| in_group(patient, DIABETES))).await;
        let metrics: Vec<Case> = vec![(organization.clone(), Box::new(of_mine)), (own.clone(), Box::new(of_mine))];
        check(&client, "patient_health_metric", &metrics).await;
        check(&client, "group", &[(organization.clone(), Box::new(|group: &Value| id(group) == DIABETES))]).await;
        check(&client, "coach", &[(own.clone(), Box::new(mine))]).await;
    })
    .await;
}

/// One line for each error: status, code and place.
async fn faults(client: &Client, path: &str, status: u16) -> Vec<String> {
    let errors = client.get(path).await.expect_status(status).errors();
    errors.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn a_list_without_its_required_filter_names_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, place, required) in [
            ("patient", "filter[groups]", "one of filter[groups], filter[organization] is required"),
            ("coach", "filter[groups]", "one of filter[groups], filter[organization] is required"),
            ("group", "filter[organization]", "is required"),
            (
                "patient_health_metric",
                "filter[patient]",
                "one of filter[patient], filter[groups], filter[organization] is required",
            ),
        ] {
            for query in ["", "?page[size]=0", "?sort=-created_at"] {
                let refused = client.get(&format!("/pub/{kind}{query}")).await.expect_status(409);
                assert_eq!(refused.errors(), format!("409 InvalidParameter {place}: {required}"), "{kind}{query}");
            }
        }
        let archived = faults(&client, "/pub/patient?filter[archived]=true", 409).await;
        assert_eq!(archived, ["409 InvalidParameter filter[groups]"]);
        let named = faults(&client, "/pub/group?filter[name]=Weight+Management", 409).await;
        assert_eq!(named, ["409 InvalidParameter filter[organization]"]);
    })
    .await;
}

#[actix_web::test]
async fn a_bad_filter_is_refused_by_name() {
    const SYSTEM: &str = "filter[identifier][system]";
    const VALUE: &str = "filter[identifier][value]";
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, name, value) in [
            // Unknown here, though perhaps known elsewhere.
            ("patient", "filter[bogus]", "1"),
            ("patient", "filter[]", "1"),
            ("patient", "filter[name]", "Maribel"),
            ("patient", "filter[patient]", OSTRANDER),
            ("patient", "filter[identifier]", "204417"),
            ("patient", "filter[Groups]", DIABETES),
            ("patient", "filter[groups][]", DIABETES),
            ("group", "filter[groups]", DIABETES),
            ("group", "filter[archived]", "false"),
            ("coach", "filter[patient]", OSTRANDER),
            ("patient_health_metric", "filter[type]", "weight"),
            ("patient_health_metric", "filter[archived]", "false"),
            // Empty.
            ("patient", "filter[groups]", ""),
            ("patient", "filter[group]", ""),
            ("patient", "filter[archived]", ""),
            ("patient", "filter[created_at]", "+"),
            ("group", "filter[name]", ""),
            ("coach", "filter[groups]", "%20"),
            ("patient_health_metric", "filter[patient]", ""),
            // Not of the right form.
            ("patient", "filter[archived]", "yes"),
            ("patient", "filter[archived]", "1"),
            ("patient", "filter[created_at]", "2024-01-01T00:00:00Z"),
            ("patient", "filter[created_at]", "2024-01-01T00:00:00Z/2024-02-01T00:00:00Z"),
            ("patient", "filter[created_at]", "2024-01-01T00:00:00.."),
            ("patient", "filter[created_at]", "2024-01-01..2024-02-01T00:00:00Z"),
            ("patient", "filter[updated_at]", "..2024-13-01T00:00:00Z"),
            ("patient", "filter[updated_at]", "..tomorrow"),
            ("patient", "filter[updated_at]", "2024-01-01T00:00:00Z..2024-02-01T00:00:00Z..2024-03-01T00:00:00Z"),
            // Half of a pair.
            ("patient", SYSTEM, "household"),
            ("patient", VALUE, "H-0311"),
            // Nobody whom the caller knows.
            ("patient_health_metric", "filter[patient]", NOWHERE),
            ("patient_health_metric", "filter[patient]", CROWHURST),
            ("patient_health_metric", "filter[patient]", "204417"),
            ("patient_health_metric", "filter[patient]", &format!("{OSTRANDER},{ADEYINKA}")),
        ] {
            let path = format!("/pub/{kind}?filter[organization]={}&{name}={value}", app.demo.organization);
            assert_eq!(faults(&client, &path, 409).await, [format!("409 InvalidParameter {name}")], "{path}");
        }
        // Not even its own organization's patients, for a client that is restricted to a group.
        let other_group = format!("/pub/patient_health_metric?filter[patient]={ADEYINKA}");
        let refused = faults(&app.group().await, &other_group, 409).await;
        assert_eq!(refused, ["409 InvalidParameter filter[patient]"]);
    })
    .await;
}

#[actix_web::test]
async fn a_filter_sent_twice_with_different_values_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = format!("filter[organization]={}", app.demo.organization);
        for (query, name) in [
            (format!("filter[groups]={DIABETES}&filter[groups]={HEART}"), "filter[groups]"),
            (format!("filter[groups]={DIABETES}&filter[group]={HEART}"), "filter[group]"),
            (format!("{organization}&filter[archived]=true&filter[archived]=false"), "filter[archived]"),
            (format!("{organization}&filter[organization]={}", app.stranger.organization), "filter[organization]"),
            (format!("{organization}&sort=last_name&sort=first_name"), "sort"),
            (format!("{organization}&page[size]=5&page[size]=6"), "page[size]"),
        ] {
            let refused = faults(&client, &format!("/pub/patient?{query}"), 409).await;
            assert_eq!(refused.first(), Some(&format!("409 InvalidParameter {name}")), "{query}");
        }
    })
    .await;
}

#[actix_web::test]
async fn organizations_and_groups_out_of_scope_are_forbidden_alike() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        let stranger = (app.stranger.organization.as_str(), app.stranger.group.as_str());
        for kind in ["patient", "coach", "patient_health_metric", "group"] {
            for organization in [stranger.0, NOWHERE, "riverbend", DIABETES] {
                let path = format!("/pub/{kind}?filter[organization]={organization}");
                assert_eq!(faults(&whole, &path, 403).await, ["403 Forbidden filter[organization]"], "{path}");
            }
        }
        for kind in ["patient", "coach", "patient_health_metric"] {
            for group in [stranger.1, NOWHERE, "Diabetes Together", &format!("{DIABETES},{NOWHERE}")] {
                let path = format!("/pub/{kind}?filter[groups]={}", group.replace(' ', "%20"));
                assert_eq!(faults(&whole, &path, 403).await, ["403 Forbidden filter[groups]"], "{path}");
            }
            for group in [HEART, &format!("{DIABETES},{HEART}")] {
                let path = format!("/pub/{kind}?filter[groups]={group}");
                assert_eq!(faults(&restricted, &path, 403).await, ["403 Forbidden filter[groups]"], "{path}");
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn all_faults_of_a_request_are_listed_together() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let query = format!(
            "filter[organization]={}&filter[groups]={NOWHERE}&filter[archived]=perhaps&filter[created_at]=x..y\
             &filter[bogus]=1&page[size]=51&page[number]=0&sort=height,-shoe_size&include=plan&colour=red",
            app.stranger.organization
        );
        let answer = client.get(&format!("/pub/patient?{query}")).await;
        let mut listed: Vec<_> =
            answer.errors().lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
        listed.sort();
        assert_eq!(
            listed,
            [
                "400 InvalidParameter colour",
                "400 InvalidParameter include",
                "400 InvalidParameter sort",
                "400 InvalidParameter sort",
                "403 Forbidden filter[groups]",
                "403 Forbidden filter[organization]",
                "409 InvalidParameter filter[archived]",
                "409 InvalidParameter filter[bogus]",
                "409 InvalidParameter filter[created_at]",
                "409 InvalidParameter filter[created_at]",
                "409 InvalidParameter page[number]",
                "409 InvalidParameter page[size]",
            ]
        );
    })
    .await;
}

#[actix_web::test]
async fn parameters_that_json_api_leaves_to_nobody_have_no_effect() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        let plain = client.get(&path).await.expect_status(200).ids();
        for ignored in ["_=1762", "utm_source=mail", "cacheBust=7", "2=3"] {
            let answer = client.get(&format!("{path}&{ignored}")).await.expect_status(200);
            assert_eq!(answer.ids(), plain, "{ignored}");
        }
        for refused in ["limit", "offset", "q", "groups"] {
            let path = format!("{path}&{refused}=2");
            assert_eq!(faults(&client, &path, 400).await, [format!("400 InvalidParameter {refused}")]);
        }
    })
    .await;
}

#[actix_web::test]
async fn names_that_only_begin_like_filters_and_pages_are_parameters_like_others() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        for (name, status) in
            [("page", 400), ("filter", 400), ("pagesize", 400), ("filters", 400), ("page_size", 200), ("filterBy", 200)]
        {
            let answer = client.get(&format!("{path}&{name}=2")).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn includes_and_sorts_that_are_not_offered_are_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, sort) in [
            ("patient", "name"),
            ("patient", "birth_date"),
            ("patient", "LAST_NAME"),
            ("coach", "name"),
            ("group", "last_name"),
            ("patient_health_metric", "value"),
            ("patient_health_metric", "patient.last_name"),
        ] {
            let path = format!("/pub/{kind}?filter[organization]={}", app.demo.organization);
            for sort in [sort.to_owned(), format!("-{sort}"), format!("created_at,{sort}")] {
                let refused = faults(&client, &format!("{path}&sort={sort}"), 400).await;
                assert_eq!(refused, ["400 InvalidParameter sort"], "{kind} {sort}");
            }
            let refused = faults(&client, &format!("{path}&include=groups"), 400).await;
            assert_eq!(refused, ["400 InvalidParameter include"], "{kind}");
        }
    })
    .await;
}

#[actix_web::test]
async fn sparse_fieldsets_reduce_attributes_and_relationships() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let members = |value: &Value| -> Vec<String> {
            value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
        };
        for (kind, fields, attributes, relationships) in [
            ("patient", "last_name,groups", vec!["last_name"], vec!["groups"]),
            ("patient", "archived,%20first_name", vec!["archived", "first_name"], vec![]),
            ("patient", "coaches", vec![], vec!["coaches"]),
            ("patient", "", vec![], vec![]),
            ("patient", "shoe_size", vec![], vec![]),
            ("group", "name", vec!["name"], vec![]),
            ("coach", "first_name", vec!["first_name"], vec![]),
            ("patient_health_metric", "value,patient", vec!["value"], vec!["patient"]),
            ("patient_health_metric", "type", vec!["type"], vec![]),
        ] {
            let path = format!("/pub/{kind}?filter[organization]={}&page[size]=1", app.demo.organization);
            let full = client.get(&path).await.expect_status(200).body["data"][0].take();
            let list = client.get(&format!("{path}&fields[{kind}]={fields}")).await.expect_status(200);
            let one = format!("/pub/{kind}/{}?fields%5B{kind}%5D={fields}", id(&full));
            let one = client.get(&one).await.expect_status(200);
            assert_eq!(one.body["data"], list.body["data"][0]);
            let sparse = &one.body["data"];
            assert_eq!((&sparse["id"], &sparse["type"]), (&full["id"], &json!(kind)));
            assert_eq!(members(&sparse["attributes"]), attributes, "{kind} {fields}");
            assert_eq!(members(&sparse["relationships"]), relationships, "{kind} {fields}");
            for (part, names) in [("attributes", attributes), ("relationships", relationships)] {
                for name in names {
                    assert_eq!(sparse[part][name], full[part][name]);
                }
            }
        }
        // Fields of another type leave this one whole.
        let path = format!("/pub/group/{DIABETES}");
        let other = client.get(&format!("{path}?fields[patient]=last_name")).await.expect_status(200);
        assert_eq!(other.body["data"], client.get(&path).await.expect_status(200).body["data"]);
    })
    .await;
}
