//! Health profiles: who is asked what, what was answered, and how both are
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use retwine::time::parse_date;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::lists::{fixtures, id};
use crate::support::{Client, NOW, Response, TestApp, counted, on_each_database};

/// A woman of 64, until the 19th of August.
const OSTRANDER: &str = "64062e37741e089d927ad224";
const PROFILE: &str = "64062e37762d5b20787ad601";
/// Of hers: to the definitions 1, 3 and 20.
const ANSWERED: &str = "64062e37762d5b20787ad633";
const UNANSWERED: &str = "64062e37762d5b20787ad637";
const NOT_ASKED: &str = "64062e37762d5b20787ad64e";
const ANSWER: &str = "640a16b0762d5b20787ad650";
const ANSWER_WITH_HISTORY: &str = "640a16e1762d5b20787ad655";
/// Without birth date and gender.
const NAKAMORI: &str = "66fece8c966aa5d31e7ad249";
const HEART: &str = "63e27027741e089d927ad218";
/// Not in the group of the restricted client.
const HIDDEN: &str = "6419ae7b741e089d927ad228";

const KINDS: [&str; 3] = ["health_profile", "health_profile_question", "health_profile_answer"];

fn linked(kind: &str, id: &str, path: &str) -> Value {
    json!({"data": {"type": kind, "id": id}, "links": {"related": path}})
}

/// The definition of a question.
fn definition_of(question: &Value) -> u32 {
    question["relationships"]["question_definition"]["data"]["id"].as_str().unwrap().parse().unwrap()
}

/// The definitions that a patient is asked, by their numbers.
async fn asked(client: &Client, patient: &str) -> Vec<u32> {
    let list = client.get(&format!("/pub/health_profile_question?filter[patient]={patient}")).await.expect_status(200);
    list.body["data"].as_array().unwrap().iter().map(definition_of).collect()
}

async fn profile_of(client: &Client, patient: &str) -> Value {
    let list = client.get(&format!("/pub/health_profile?filter[patient]={patient}")).await.expect_status(200);
    assert_eq!(list.count(), 1, "{}", list.text);
    list.body["data"][0].clone()
}

/// `answered/total` of each category and over all.
fn stats(profile: &Value) -> String {
    let stats = profile["attributes"]["stats"].as_array().unwrap().iter();
    stats.map(|stat| format!("{}/{}", stat["answered"], stat["total"])).collect::<Vec<_>>().join(" ")
}

fn included(answer: &Response) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let included = answer.body["included"].as_array().unwrap().iter();
    included.map(|resource| (text(&resource["type"]), text(&resource["id"]))).collect()
}

#[actix_web::test]
async fn a_profile_counts_what_its_patient_is_asked_and_has_answered() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/health_profile/{PROFILE}");
        let profile = client.get(&path).await.expect_status(200);
        let questions: Vec<_> = fixtures("health_profile_question")
            .iter()
            .filter(|question| ![8, 14, 20].contains(&definition_of(question)))
            .map(|question| json!({"type": "health_profile_question", "id": question["id"]}))
            .collect();
        let expected = json!({
            "type": "health_profile",
            "id": PROFILE,
            "attributes": {
                "stats": [
                    {"category": "lifestyle_behaviors", "answered": 6, "total": 8},
                    {"category": "mental_wellbeing", "answered": 4, "total": 4},
                    {"category": "preventative_care", "answered": 2, "total": 5},
                    {"category": "overall", "answered": 12, "total": 17},
                ],
                "created_at": "2023-03-06T18:17:27.106Z",
                "updated_at": fixtures("health_profile")[0]["attributes"]["updated_at"],
            },
            "links": {"self": path},
            "relationships": {
                "patient": linked("patient", OSTRANDER, &format!("{path}/patient")),
                "questions": {"data": questions, "links": {"related": format!("{path}/questions")}},
            },
        });
        assert_eq!(profile.body["data"], expected);
        assert_eq!(profile.body["included"], json!([]));
        assert_eq!(profile_of(&client, OSTRANDER).await, expected);

        let related = client.get(&format!("{path}/questions")).await.expect_status(200);
        let ids: Vec<_> = questions.iter().map(id).collect();
        assert_eq!((related.ids(), related.count()), (ids, 17));
        let paged = client.get(&format!("{path}/questions?page[size]=4&page[number]=2")).await.expect_status(200);
        assert_eq!(paged.ids(), related.ids()[4..8]);
        assert_eq!(client.get(&format!("{path}/patient")).await.expect_status(200).id(), OSTRANDER);
    })
    .await;
}

/// Whether a fixture's patient meets what a fixture's definition requires.
fn meets(patient: &Value, requirement: &Value) -> bool {
    let today = parse_date(&NOW[..10]).unwrap();
    let attributes = &patient["attributes"];
    if requirement["property"] == "gender" {
        let Some(gender) = attributes["gender"].as_str() else { return false };
        return (requirement["value"] == gender) == requirement["shouldBeEqual"];
    }
    let Some(age) = attributes["birth_date"].as_str().and_then(parse_date).and_then(|born| today.years_since(born))
    else {
        return false;
    };
    let age = u64::from(age);
    requirement["shouldBeGreaterThan"].as_u64().is_none_or(|bound| age > bound)
        && requirement["shouldBeLessThan"].as_u64().is_none_or(|bound| age < bound)
}

#[actix_web::test]
async fn everybody_is_asked_what_age_and_gender_call_for() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let definitions = fixtures("health_question_definition");
        let expected = |patient: &Value| -> Vec<u32> {
            let requirements =
                |definition: &Value| definition["attributes"]["requirements"].as_array().unwrap().clone();
            let asked = definitions.iter().filter(|one| requirements(one).iter().all(|what| meets(patient, what)));
            asked.map(|definition| id(definition).parse().unwrap()).collect()
        };
        let mut all = BTreeSet::new();
        for patient in fixtures("patient") {
            let (of_patient, expected) = (asked(&client, &id(&patient)).await, expected(&patient));
            assert_eq!(of_patient, expected, "{}", patient["attributes"]);
            let profile = profile_of(&client, &id(&patient)).await;
            assert!(stats(&profile).ends_with(&format!("/{}", expected.len())), "{profile}");
            all.extend(expected);
        }
        assert_eq!(all.len(), 20, "somebody is asked each of them");
        assert_eq!(asked(&client, NAKAMORI).await, [1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 15, 16]);
    })
    .await;
}

#[actix_web::test]
async fn a_birthday_brings_questions_and_takes_some_away() {
    on_each_database(async |app| {
        let day = 24 * 60 * 60;
        let ask = async |app: &TestApp| {
            let client = app.organization().await;
            (asked(&client, OSTRANDER).await, stats(&profile_of(&client, OSTRANDER).await))
        };
        let at_64: Vec<u32> = (1..=19).filter(|number| ![8, 14].contains(number)).collect();
        // From half past nine on the 2nd of March to the end of the 18th of August.
        app.advance(170 * day - 9 * 3600 - 1801);
        assert_eq!(ask(&app).await, (at_64, "6/8 4/4 2/5 12/17".to_owned()));
        app.advance(1);
        assert_eq!(ask(&app).await, ((1..=19).collect(), "6/9 4/5 2/5 12/19".to_owned()));
        // One is answered, but asked no more.
        app.advance(365 * day);
        assert_eq!(ask(&app).await, ((1..=18).collect(), "6/9 4/5 1/4 11/18".to_owned()));
        let answers = format!("/pub/health_profile_answer?filter[patient]={OSTRANDER}");
        assert_eq!(app.organization().await.get(&answers).await.expect_status(200).count(), 12);
    })
    .await;
}

#[actix_web::test]
async fn a_question_leads_to_its_definition_its_profile_and_its_answer() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/health_profile_question/{ANSWERED}");
        let question = client.get(&path).await.expect_status(200);
        let mut expected = json!({
            "type": "health_profile_question",
            "id": ANSWERED,
            "attributes": {},
            "links": {"self": path},
            "relationships": {
                "answer": linked("health_profile_answer", ANSWER, &format!("{path}/answer")),
                "profile": linked("health_profile", PROFILE, &format!("{path}/profile")),
                "question_definition":
                    linked("health_question_definition", "1", &format!("{path}/question_definition")),
            },
        });
        assert_eq!(question.body["data"], expected);
        for (relationship, id) in [("answer", ANSWER), ("profile", PROFILE), ("question_definition", "1")] {
            assert_eq!(client.get(&format!("{path}/{relationship}")).await.expect_status(200).id(), id);
        }

        let unanswered = client.get(&format!("/pub/health_profile_question/{UNANSWERED}")).await.expect_status(200);
        expected["relationships"].as_object_mut().unwrap().remove("answer");
        let expected: Value = serde_json::from_str(
            &expected.to_string().replace(ANSWERED, UNANSWERED).replace(r#""id":"1""#, r#""id":"3""#),
        )
        .unwrap();
        assert_eq!(unanswered.body["data"], expected);
        for nothing in [format!("{UNANSWERED}/answer"), NOT_ASKED.to_owned(), format!("{NOT_ASKED}/profile")] {
            client.get(&format!("/pub/health_profile_question/{nothing}")).await.expect_status(404);
        }
    })
    .await;
}

#[actix_web::test]
async fn an_answer_remembers_those_before_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/health_profile_answer/{ANSWER_WITH_HISTORY}");
        let expected = json!({
            "type": "health_profile_answer",
            "id": ANSWER_WITH_HISTORY,
            "attributes": {
                "question_id": "5",
                "latest": {"answered_at": "2023-10-15T20:30:12.569Z", "value": "1", "_created_by": OSTRANDER},
                "history": [{
                    "answered_at": "2023-03-09T17:26:57.233Z", "value": "0", "_created_by": OSTRANDER,
                    "_id": "652c4bd42ab0a104547ad654",
                }],
                "created_at": "2023-03-09T17:26:57.233Z",
                "updated_at": "2023-10-15T20:30:12.569Z",
            },
            "links": {"self": path},
            "relationships": {"patient": linked("patient", OSTRANDER, &format!("{path}/patient"))},
        });
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
        assert_eq!(client.get(&format!("{path}/patient")).await.expect_status(200).id(), OSTRANDER);
        let list = client.get(&format!("/pub/health_profile_answer?filter[patient]={OSTRANDER}&include=patient")).await;
        assert_eq!((list.count(), &list.body["data"][2]), (12, &expected));
        assert_eq!(included(&list), [("patient".to_owned(), OSTRANDER.to_owned())]);
    })
    .await;
}

#[actix_web::test]
async fn a_definition_is_found_by_its_number_in_the_clients_own_organization() {
    on_each_database(async |app| {
        let path = "/pub/health_question_definition/18";
        let expected = json!({
            "type": "health_question_definition",
            "id": "18",
            "attributes": {
                "category": "preventative_care",
                "text": "When was your last mammogram?",
                "format": fixtures("health_question_definition")[17]["attributes"]["format"],
                "requirements": [
                    {"property": "gender", "shouldBeEqual": true, "value": "female"},
                    {"property": "age", "shouldBeGreaterThan": 39, "shouldBeLessThan": 75},
                ],
            },
            "links": {"self": path},
        });
        for client in [app.organization().await, app.group().await] {
            assert_eq!(client.get(path).await.expect_status(200).body["data"], expected);
            let list = client.get("/pub/health_question_definition").await.expect_status(200);
            assert_eq!(list.count(), 20);
            let ascending: Vec<_> = (1..=20).map(|number| number.to_string()).collect();
            let descending: Vec<_> = ascending.iter().rev().cloned().collect();
            assert_eq!(list.ids(), ascending);
            for (query, expected) in [
                ("page[limit]=7", &ascending),
                ("page[size]=7", &ascending),
                ("sort=updated_at&page[limit]=7", &ascending),
                ("sort=-created_at&page[limit]=3", &descending),
                ("sort=-updated_at,created_at&page[limit]=9", &ascending),
            ] {
                let mut pages = Vec::new();
                let mut next = Some(format!("/pub/health_question_definition?{query}"));
                while let Some(uri) = next {
                    let page = client.get(&uri).await.expect_status(200);
                    pages.extend(page.ids());
                    next = page.link("next");
                }
                assert_eq!(pages, *expected, "{query}");
            }
        }
        let stranger = app.stranger().await;
        stranger.get(path).await.expect_status(404);
        let own = stranger.get("/pub/health_question_definition").await.expect_status(200);
        assert_eq!(own.ids(), ["1", "2", "3"]);
        assert_eq!(own.body["data"][1]["attributes"]["text"], "Do you look forward to most mornings?");
    })
    .await;
}

#[actix_web::test]
async fn a_definition_with_a_bad_number_is_not_found() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for number in ["0", "01", "21", "-1", "1a", "1234567890", PROFILE] {
            let answer = client.get(&format!("/pub/health_question_definition/{number}")).await;
            assert!(answer.errors().starts_with("404 ResourceNotFound -: "), "{number}: {}", answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn what_is_related_is_sent_along_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let get = async |path: &str| client.get(&format!("/pub/{path}")).await.expect_status(200);
        let kinds = |answer: &Response| {
            let mut kinds = BTreeMap::<String, usize>::new();
            for (kind, _) in included(answer) {
                *kinds.entry(kind).or_default() += 1;
            }
            kinds.into_iter().map(|(kind, number)| format!("{number} {kind}")).collect::<Vec<_>>()
        };
        let profile = get(&format!("health_profile/{PROFILE}?include=patient,questions")).await;
        assert_eq!(kinds(&profile), ["17 health_profile_question", "1 patient"]);
        let profiles = get(&format!("health_profile?filter[groups]={HEART}&include=patient")).await;
        assert_eq!(kinds(&profiles), [format!("{} patient", profiles.ids().len())]);
        let both = format!("health_profile_question?filter[patient]={OSTRANDER}&include=answer,question_definition");
        assert_eq!(kinds(&get(&both).await), ["12 health_profile_answer", "17 health_question_definition"]);
        let all = format!(
            "health_profile_question?filter[organization]={}&include=question_definition",
            app.demo.organization
        );
        assert_eq!(kinds(&get(&all).await), ["20 health_question_definition"]);
        let one = get(&format!("health_profile_question/{ANSWERED}?include=answer")).await;
        assert_eq!(included(&one), [("health_profile_answer".to_owned(), ANSWER.to_owned())]);
        let related = get(&format!("health_profile_question/{ANSWERED}/profile?include=patient")).await;
        assert_eq!(included(&related), [("patient".to_owned(), OSTRANDER.to_owned())]);
    })
    .await;
}

#[actix_web::test]
async fn answers_come_by_fifty_profiles_by_ten_and_questions_whole() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let get = async |kind: &str, page: &str| {
            client.get(&format!("/pub/{kind}?filter[organization]={}{page}", app.demo.organization)).await
        };
        let size = async |kind: &str, page: &str| get(kind, page).await.expect_status(200).ids().len();
        assert_eq!(get("health_profile_answer", "").await.count(), 185);
        for (page, expected) in [("", 50), ("&page[size]=100", 100), ("&page[number]=4", 35), ("&page[limit]=185", 185)]
        {
            assert_eq!(size("health_profile_answer", page).await, expected, "{page}");
        }
        // What a generated client sends along: all parameters with their defaults.
        let defaults = "&page[number]=1&page[size]=50&page[limit]=50";
        assert_eq!(size("health_profile_answer", defaults).await, 50);
        assert_eq!(
            get("health_profile_answer", "&page[size]=101").await.expect_status(409).errors(),
            "409 InvalidParameter page[size]: \"101\" is not a whole number from 0 to 100"
        );
        assert_eq!(size("health_profile", "").await, 10);
        get("health_profile", "&page[size]=51").await.expect_status(409);
        let questions = get("health_profile_question", "").await.expect_status(200);
        assert_eq!(questions.count(), i64::try_from(questions.ids().len()).unwrap());
        assert!(questions.count() > 400);
        assert_eq!(size("health_profile_question", "&page[number]=2").await, 10);

        for kind in KINDS {
            let (up, down) = (
                get(kind, "&sort=created_at&page[limit]=1000").await,
                get(kind, "&sort=-created_at,-updated_at&page[limit]=1000").await,
            );
            let mut reversed = down.expect_status(200).ids();
            reversed.reverse();
            assert_eq!(up.expect_status(200).ids(), reversed, "{kind}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_list_needs_a_filter_and_several_narrow_each_other() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for kind in KINDS {
            assert_eq!(
                client.get(&format!("/pub/{kind}")).await.expect_status(409).errors(),
                "409 InvalidParameter filter[patient]: one of filter[patient], filter[groups], filter[organization] \
                 is required"
            );
            let count = async |filter: &str| {
                client.get(&format!("/pub/{kind}?{filter}&page[size]=0")).await.expect_status(200).count()
            };
            let of_patient = count(&format!("filter[patient]={OSTRANDER}")).await;
            assert!(of_patient > 0, "{kind}");
            let organization = &app.demo.organization;
            let all = format!("filter[patient]={OSTRANDER}&filter[group]={HEART}&filter[organization]={organization}");
            assert_eq!(count(&all).await, of_patient, "{kind}");
            let none = format!("filter[patient]={OSTRANDER}&filter[groups]=643ebbbeb46c643c507ad219");
            assert_eq!(count(&none).await, 0, "{kind}");
            let bad = client.get(&format!("/pub/{kind}?filter[patient]=7&filter[groups]=7")).await;
            let errors = bad.errors();
            assert!(errors.contains("403 Forbidden filter[groups]: "), "{errors}");
            assert!(
                errors.contains(
                    "409 InvalidParameter filter[patient]: there is no patient of this id within the scope of the token"
                ),
                "{errors}"
            );
        }
    })
    .await;
}

#[actix_web::test]
async fn a_new_patient_has_a_profile_however_it_came_to_be() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let patient = |attributes: Value| {
            let groups = json!({"groups": {"data": [{"type": "group", "id": HEART}]}});
            json!({"type": "patient", "attributes": attributes, "relationships": groups})
        };
        let many =
            json!({"data": [patient(json!({"gender": "male", "birth_date": "1966-03-02"})), patient(json!({}))]});
        let ids = client.post("/pub/patient", &many).await.expect_status(201).ids();
        let upsert = json!({"data": patient(json!({"gender": "other"})),
            "meta": {"query": {"identifier": {"system": "ward-book", "value": "W-7"}, "groups": [HEART]}}});
        let upserted = client.put("/pub/patient", &upsert).await.expect_status(200).id();
        for (patient, expected) in
            [(&ids[0], "0/8 0/4 0/4 0/16"), (&ids[1], "0/7 0/4 0/2 0/13"), (&upserted, "0/7 0/4 0/2 0/13")]
        {
            let profile = profile_of(&client, patient).await;
            assert_eq!(stats(&profile), expected);
            assert_eq!(profile["attributes"]["created_at"], NOW);
        }
        assert_eq!(asked(&client, &ids[0]).await, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 20]);

        // Found again, the profile and its questions are the same.
        let before = profile_of(&client, &upserted).await;
        client.put("/pub/patient", &upsert).await.expect_status(200);
        assert_eq!(profile_of(&client, &upserted).await, before);
        let change = json!({"data": {"type": "patient", "id": upserted, "attributes": {"birth_date": "1990-05-05"}}});
        client.patch(&format!("/pub/patient/{upserted}"), &change).await.expect_status(200);
        let after = profile_of(&client, &upserted).await;
        assert_eq!((&after["id"], stats(&after).as_str()), (&before["id"], "0/8 0/4 0/3 0/15"));
    })
    .await;
}

#[actix_web::test]
async fn a_client_of_a_group_sees_what_hangs_on_its_patients() {
    on_each_database(async |app| {
        let (client, whole) = (app.group().await, app.organization().await);
        let organization = &app.demo.organization;
        for kind in KINDS {
            let everything = |filter: &str| format!("/pub/{kind}?{filter}&page[limit]=1000");
            let seen =
                client.get(&everything(&format!("filter[organization]={organization}"))).await.expect_status(200);
            let of_group = whole.get(&everything(&format!("filter[groups]={}", app.demo.group))).await;
            assert_eq!((seen.ids(), seen.count()), (of_group.ids(), of_group.count()), "{kind}");
            assert!(seen.count() > 0);
            let hidden = whole.get(&everything(&format!("filter[patient]={HIDDEN}"))).await.expect_status(200);
            for id in hidden.ids() {
                client.get(&format!("/pub/{kind}/{id}")).await.expect_status(404);
            }
            client.get(&everything(&format!("filter[patient]={HIDDEN}"))).await.expect_status(409);
            client.get(&everything(&format!("filter[groups]={HEART}"))).await.expect_status(403);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_page_of_fifty_costs_as_many_queries_as_a_page_of_one() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let includes = [
            ("health_profile", "patient,questions"),
            ("health_profile_question", "answer,question_definition"),
            ("health_profile_answer", "patient"),
        ];
        for (kind, include) in includes {
            let list = format!("/pub/{kind}?filter[organization]={}&include={include}", app.demo.organization);
            let queries = async |page: &str| {
                let before = counted(&app.database.target);
                client.get(&format!("{list}&page[size]={page}")).await.expect_status(200);
                counted(&app.database.target) - before
            };
            // The first request looks its token up, too.
            queries("1").await;
            let one = queries("1").await;
            assert_eq!(queries("50").await, one, "{kind}");
            assert!(one <= 20, "{kind}: {one} queries");
        }
    })
    .await;
}

const FIXTURE: &str = r#"{"data": [
    {"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}},
    {"type": "group", "id": "65b000000000000000000002", "attributes": {"name": "Nights"}},
    {"type": "patient", "id": "65b000000000000000000003", "attributes": {"birth_date": "1990-01-01"},
     "relationships": {"groups": {"data": [{"type": "group", "id": "65b000000000000000000002"}]}}}
"#;

#[test]
fn what_is_wrong_with_a_fixture_is_named_by_its_place() {
    for (_database, operator) in Operator::each(true) {
        let refuse = |more: &str| {
            let broken = operator.file("broken.json", &format!("{FIXTURE}, {more}]}}"));
            let complaint = operator.run(&["seed", &broken]).refused(1);
            assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
            complaint.replace(&format!("{broken}#"), "")
        };
        let patient = r#""patient": {"data": {"type": "patient", "id": "65b000000000000000000003"}}"#;
        let definition = r#"{"type": "health_question_definition", "id": "1", "attributes":
            {"category": "mental_wellbeing", "text": "Well?", "format": {"type": "scale"}}}"#;
        let answer = |attributes: &str, patient: &str| {
            format!(
                r#"{definition}, {{"type": "health_profile_answer", "id": "65b000000000000000000005",
                "attributes": {{{attributes}}}, "relationships": {{{patient}}}}}"#
            )
        };
        let good = r#""question_id": "1", "latest": {"answered_at": "2026-01-01T00:00:00Z", "value": "1"}"#;
        let again = answer(good, patient);
        let again = again.trim_start_matches(definition).replace("00000005", "00000006");
        let strange = patient.replace("000000003", "000000009");
        let of_nobody = good.replace(r#""value""#, r#""_created_by": "65b000000000000000000009", "value""#);
        let cases = [
            (
                r#"{"type": "health_question_definition", "id": "007", "attributes": {"category": "sports",
                "text": "Well?", "format": {"data": [{"label": "Yes"}]}, "requirements": [{"property": "height"},
                {"property": "age"}, {"property": "age", "shouldBeLessThan": 12.5}, {"property": "gender", "value": "f"},
                {"property": "age", "shouldBeEqual": true}, {"property": "age", "shouldBeEqual": 1, "value": "old"}]}}"#
                    .to_owned(),
                vec![
                    "/data/3/id",
                    "/data/3/attributes/category",
                    "/data/3/attributes/format/type",
                    "/data/3/attributes/format/data/0/value",
                    "/data/3/attributes/requirements/0/property",
                    "/data/3/attributes/requirements/1",
                    "/data/3/attributes/requirements/2/shouldBeLessThan",
                    "/data/3/attributes/requirements/3/value",
                    "/data/3/attributes/requirements/3/shouldBeEqual",
                    "/data/3/attributes/requirements/4/value",
                    "/data/3/attributes/requirements/5/shouldBeEqual",
                    "/data/3/attributes/requirements/5/value",
                ],
            ),
            (answer("", ""), vec![
                "/data/4/attributes/question_id",
                "/data/4/attributes/latest",
                "/data/4/relationships/patient",
            ]),
            (answer(&good.replace(r#""1", "latest"#, r#""2", "latest"#), &strange), vec![
                "/data/4/attributes/question_id",
                "/data/4/relationships/patient/data/id",
            ]),
            (answer(&of_nobody, patient), vec!["/data/4/attributes/latest/_created_by"]),
            (format!("{}{again}", answer(good, patient)), vec!["/data/5/attributes/question_id"]),
            (
                format!(r#"{{"type": "health_profile", "id": "65b000000000000000000005", "relationships": {{{strange}}}}}"#),
                vec!["/data/3/relationships/patient/data/id"],
            ),
            (
                format!(r#"{{"type": "health_profile", "id": "65b000000000000000000005", "relationships": {{{patient}}}}},
                    {{"type": "health_profile", "id": "65b000000000000000000006", "relationships": {{{patient}}}}}"#),
                vec!["/data/4/relationships/patient/data/id"],
            ),
            (
                r#"{"type": "health_profile_question", "id": "65b000000000000000000005", "relationships": {
                "profile": {"data": {"type": "health_profile", "id": "65b000000000000000000009"}},
                "question_definition": {"data": {"type": "health_question_definition", "id": "1"}}}}"#
                    .to_owned(),
                vec![
                    "/data/3/relationships/profile/data/id",
                    "/data/3/relationships/question_definition/data/id",
                ],
            ),
        ];
        for (more, places) in cases {
            let complaint = refuse(&more);
            for place in places {
                assert!(complaint.contains(&format!("{place}: ")), "{place}: {complaint}");
            }
        }
    }
}

#[actix_web::test]
async fn definitions_that_come_later_are_put_to_everybody() {
    on_each_database(async |app| {
        let operator = Operator::of(&app.database);
        let more = operator.file(
            "more.json",
            r#"{"data": [
            {"type": "organization", "id": "63dab3ff741e089d927ad216", "attributes": {"name": "Riverbend"}},
            {"type": "health_question_definition", "id": "21", "attributes": {"category": "mental_wellbeing",
             "text": "Do you sing?", "format": {"type": "yes_no", "data": []}}},
            {"type": "health_profile", "id": "65b000000000000000000005",
             "relationships": {"patient": {"data": {"type": "patient", "id": "64062e37741e089d927ad224"}}}},
            {"type": "health_profile_question", "id": "65b000000000000000000006", "relationships": {
             "profile": {"data": {"type": "health_profile", "id": "65b000000000000000000005"}},
             "question_definition": {"data": {"type": "health_question_definition", "id": "21"}}}}
        ]}"#,
        );
        operator.run(&["seed", &more]).done();
        let client = app.organization().await;
        for patient in fixtures("patient") {
            assert!(asked(&client, &id(&patient)).await.contains(&21));
        }
        let profile = profile_of(&client, OSTRANDER).await;
        assert_eq!(
            (&profile["id"], stats(&profile).as_str()),
            (&json!("65b000000000000000000005"), "6/8 4/5 2/5 12/18")
        );
        let question = client.get("/pub/health_profile_question/65b000000000000000000006").await.expect_status(200);
        assert_eq!(definition_of(&question.body["data"]), 21);
        client.get(&format!("/pub/health_profile/{PROFILE}")).await.expect_status(404);
    })
    .await;
}

#[actix_web::test]
async fn a_question_can_be_for_one_age_or_for_every_other() {
    on_each_database(async |app| {
        let operator = Operator::of(&app.database);
        let only = json!({"property": "age", "shouldBeEqual": true, "value": "64"});
        let others = json!({"property": "age", "shouldBeEqual": false, "value": "64"});
        let definition = |number: &str, requirement: &Value| {
            json!({"type": "health_question_definition", "id": number, "attributes": {"category": "mental_wellbeing",
                "text": "Do you sing?", "format": {"type": "yes_no"}, "requirements": [requirement]}})
        };
        let organization =
            json!({"type": "organization", "id": app.demo.organization, "attributes": {"name": "Riverbend"}});
        let data = json!({"data": [organization, definition("21", &only), definition("22", &others)]});
        operator.run(&["seed", &operator.file("ages.json", &data.to_string())]).done();

        let of_ostrander = async || {
            let asked = asked(&app.organization().await, OSTRANDER).await;
            [21, 22].map(|number| asked.contains(&number))
        };
        let client = app.organization().await;
        let shown = client.get("/pub/health_question_definition/21").await.expect_status(200);
        assert_eq!(shown.body["data"]["attributes"]["requirements"], json!([only]));
        let (day, year) = (24 * 60 * 60, 365 * 24 * 60 * 60);
        assert_eq!(of_ostrander().await, [true, false]);
        app.advance(170 * day);
        assert_eq!(of_ostrander().await, [false, true], "she is 65");
        app.advance(-2 * year);
        assert_eq!(of_ostrander().await, [false, true], "she is 63");
        let without_birth_date = asked(&app.organization().await, NAKAMORI).await;
        assert!(!without_birth_date.contains(&21) && !without_birth_date.contains(&22));
    })
    .await;
}
