//! Every operation of the contract, and what holds for all of them: tokens,
//! path ids, bodies, parameters, media types, methods.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::support::{Client, Operation, Response, TestApp, on_each_database, operations};

const PATIENT: &str = "64062e37741e089d927ad224";
const COACH: &str = "63e3cad7741e089d927ad21c";
const METRIC: &str = "6407294b741e089d927ad24f";
const EVENT: &str = "68b6ed3f93c0e51b7e7b0001";
const EVENT_TO_DELETE: &str = "68e3e39793c0e51b7e7b000a";
const PROFILE: &str = "64062e37762d5b20787ad601";
const QUESTION: &str = "64062e37762d5b20787ad633";
const ANSWER: &str = "640a16b0762d5b20787ad650";
const EMAIL: &str = "64063141762d5b20787ad787";
const ACTION: &str = "640a0be0741e089d927ad501";
const BUNDLE: &str = "641331c0741e089d927ad50b";
const RESULT: &str = "691247c4741e089d927ad51b";
pub const JSON_API: &str = "application/vnd.api+json";

/// An operation with a request that it grants.
pub struct Sample {
    pub operation: &'static Operation,
    /// The documented status of that.
    pub status: u16,
    pub id: String,
    query: String,
    /// Null for a request without one.
    body: Value,
}

/// Operations that are granted once: what they make or end is then there or gone.
const ONCE: [&str; 4] =
    ["deleteCalendarEvent", "createRewardEarning", "createRewardEarningFulfillment", "createRewardProgramActivation"];

type Good = (&'static str, u16, String, String, Value);

/// The good requests: operation, status, id in the path, query, body.
fn table(app: &TestApp, token: &str) -> Vec<Good> {
    let (organization, group) = (&app.demo.organization, &app.demo.group);
    let related = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let in_organization = format!("filter[organization]={organization}");
    // Also for DELETE, which has no body either.
    let get = |operation, id: &str, query: &str| (operation, 200, id.to_owned(), query.to_owned(), Value::Null);
    let write = |operation, status, id: &str, body: Value| (operation, status, id.to_owned(), String::new(), body);

    let credentials = json!({"grant_type": "client_credentials", "client_id": app.demo.client_id,
        "client_secret": app.demo.client_secret});
    let person = json!({"type": "patient", "attributes": {"first_name": "Ottilie", "last_name": "Framsden"},
        "relationships": {"groups": {"data": [related("group", group)]}}});
    let measurement = json!({"type": "patient_health_metric",
        "attributes": {"type": "weight", "value": 81.4, "unit": "kg", "occurred_at": "2026-03-01T07:10:00Z"},
        "relationships": {"patient": {"data": related("patient", PATIENT)}}});
    let event = json!({"type": "calendar_event",
        "attributes": {"type": "telephone-call", "title": "How the week went", "start_at": "2026-03-05T15:00:00Z",
            "attendees": [{"user": COACH}]},
        "relationships": {"owner": {"data": related("patient", PATIENT)}}});
    let response = json!({"type": "calendar_event_response",
        "attributes": {"attendee": COACH, "response_status": "accepted"},
        "relationships": {"calendar_event": {"data": related("calendar_event", EVENT)},
            "user": {"data": related("coach", COACH)}}});
    let key = json!({"identifier": {"system": "ward-book", "value": "W-7"}, "groups": [group]});

    let part = |kind: &str, of: &str| {
        json!({"type": kind, "attributes": {"type": of, "title": "Stairs", "effective_from": "2026-03-01T00:00:00Z"},
            "relationships": {"plan": {"data": related("patient_plan_summary", PATIENT)}}})
    };

    vec![
        write("createToken", 201, "", json!({"data": {"type": "token", "attributes": credentials}})),
        get("fetchTokenGroups", token, ""),
        get("fetchTokenOrganization", token, ""),
        get("fetchOrganization", organization, ""),
        write("createGroup", 201, "", json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}})),
        get("fetchGroups", "", &in_organization),
        get("fetchGroup", group, ""),
        get("fetchCoaches", "", &in_organization),
        get("fetchCoach", COACH, ""),
        get("fetchEmailHistories", "", &format!("filter[receiver]={PATIENT}")),
        get("fetchEmailHistory", EMAIL, ""),
        get("fetchEmailHistoryReceiver", EMAIL, ""),
        get("fetchEmailHistorySender", EMAIL, ""),
        get("fetchHealthProfiles", "", &in_organization),
        get("fetchHealthProfile", PROFILE, ""),
        get("fetchHealthProfilePatient", PROFILE, ""),
        get("fetchHealthProfileQuestionsOfProfile", PROFILE, ""),
        get("fetchHealthProfileQuestions", "", &in_organization),
        get("fetchHealthProfileQuestion", QUESTION, ""),
        get("fetchHealthProfileQuestionAnswer", QUESTION, ""),
        get("fetchHealthProfileQuestionProfile", QUESTION, ""),
        get("fetchHealthProfileQuestionDefinition", QUESTION, ""),
        get("fetchHealthProfileAnswers", "", &in_organization),
        get("fetchHealthProfileAnswer", ANSWER, ""),
        get("fetchHealthProfileAnswerPatient", ANSWER, ""),
        get("fetchHealthQuestionDefinitions", "", ""),
        get("fetchHealthQuestionDefinition", "10", ""),
        write("createPatientHealthMetric", 200, "", json!({"data": measurement})),
        get("fetchPatientHealthMetrics", "", &in_organization),
        get("fetchPatientHealthMetric", METRIC, ""),
        get("fetchPatientHealthMetricPatient", METRIC, ""),
        write("createPatient", 201, "", json!({"data": person})),
        get("fetchPatients", "", &in_organization),
        write("upsertPatient", 200, "", json!({"data": person, "meta": {"query": key}})),
        get("fetchPatient", PATIENT, ""),
        write("updatePatient", 200, PATIENT, json!({"data": related("patient", PATIENT)})),
        get("fetchPatientGroups", PATIENT, ""),
        get("fetchPatientCoaches", PATIENT, ""),
        write("createCalendarEvent", 201, "", json!({"data": event})),
        get("fetchCalendarEvents", "", &in_organization),
        get("fetchCalendarEvent", EVENT, ""),
        write("updateCalendarEvent", 200, EVENT, json!({"data": related("calendar_event", EVENT)})),
        get("deleteCalendarEvent", EVENT_TO_DELETE, ""),
        get("fetchCalendarEventOwner", EVENT, ""),
        write("createCalendarEventResponse", 201, "", json!({"data": response})),
        write("createAction", 201, "", json!({"data": part("action", "other_lifestyle")})),
        get("fetchAction", ACTION, ""),
        write("updateAction", 200, ACTION, json!({"data": related("action", ACTION)})),
        get("fetchActionPlan", ACTION, ""),
        get("fetchActionBundles", ACTION, ""),
        write("createBundle", 200, "", json!({"data": part("bundle", "fitness")})),
        get("fetchBundle", BUNDLE, ""),
        write("updateBundle", 200, BUNDLE, json!({"data": related("bundle", BUNDLE)})),
        get("fetchBundlePlan", BUNDLE, ""),
        get("fetchBundleActions", BUNDLE, ""),
        get("fetchPatientPlanSummaries", "", &in_organization),
        get("fetchPatientPlanSummary", PATIENT, ""),
        write("updatePatientPlanSummary", 200, PATIENT, json!({"data": related("patient_plan_summary", PATIENT)})),
        get("fetchPatientPlanSummaryActions", PATIENT, ""),
        get("fetchPatientPlanSummaryBundles", PATIENT, ""),
        get("fetchPatientPlanSummaryPatient", PATIENT, ""),
        get("fetchPatientPlanSummaryCurrentResults", PATIENT, ""),
        get("fetchPatientHealthResults", "", &format!("filter[patient]={PATIENT}")),
        get("fetchPatientHealthResult", METRIC, ""),
        get("fetchPatientHealthResultPatient", METRIC, ""),
        get("fetchPatientHealthResultAction", RESULT, ""),
        get("fetchPatientHealthResultMetric", METRIC, ""),
    ]
    .into_iter()
    .chain(rewards(app))
    .collect()
}

/// The good requests of the reward family.
fn rewards(app: &TestApp) -> Vec<Good> {
    const PROGRAM: &str = "67604a5046a2c9c7467ad501";
    const ACTIVATION: &str = "68c814d846a2c9c7467ad515";
    const REWARD: &str = "6964fe6046a2c9c7467ad518";
    const EARNING: &str = "67c997a046a2c9c7467ad50e";
    const FULFILLMENT: &str = "6478a46046a2c9c7467ad507";
    const NOT_ACTIVATED: &str = "645d2470b46c643c507ad22b";
    let related = |kind: &str, id: &str| json!({"data": {"type": kind, "id": id}});
    let in_groups = format!("filter[groups]={}", app.demo.group);
    let get = |operation, id: &str| (operation, 200, id.to_owned(), String::new(), Value::Null);
    let list = |operation, query: &str| (operation, 200, String::new(), query.to_owned(), Value::Null);
    let create = |operation, kind: &str, attributes: Value, relationships: Value| {
        let data = json!({"type": kind, "attributes": attributes, "relationships": relationships});
        (operation, 200, String::new(), String::new(), json!({ "data": data }))
    };
    vec![
        create(
            "createRewardProgram",
            "reward_program",
            json!({"name": "Sleep Well", "start_at": "2026-01-01T00:00:00Z", "end_at": "2026-12-31T00:00:00Z",
                "budget_value": 100}),
            json!({"group": related("group", &app.demo.group)}),
        ),
        list("fetchRewardPrograms", &in_groups),
        get("fetchRewardProgram", PROGRAM),
        get("fetchRewardProgramGroup", PROGRAM),
        create(
            "createRewardProgramActivation",
            "reward_program_activation",
            json!({"activated_at": "2026-03-01T12:00:00Z"}),
            json!({"patient": related("patient", NOT_ACTIVATED), "reward_program": related("reward_program", PROGRAM)}),
        ),
        list("fetchRewardProgramActivations", &in_groups),
        get("fetchRewardProgramActivation", ACTIVATION),
        get("fetchRewardProgramActivationPatient", ACTIVATION),
        get("fetchRewardProgramActivationRewardProgram", ACTIVATION),
        create(
            "createReward",
            "reward",
            json!({"description": "Lights out by eleven", "allocated_value": 1, "allocated_at": "2026-03-01T12:00:00Z"}),
            json!({"reward_program_activation": related("reward_program_activation", ACTIVATION)}),
        ),
        list("fetchRewards", &in_groups),
        get("fetchReward", REWARD),
        get("fetchRewardPatient", REWARD),
        get("fetchRewardRewardProgramActivation", REWARD),
        create(
            "createRewardEarning",
            "reward_earning",
            json!({"earned_value": 250, "earned_at": "2026-03-01T18:00:00Z"}),
            json!({"reward": related("reward", REWARD)}),
        ),
        list("fetchRewardEarnings", &in_groups),
        get("fetchRewardEarning", EARNING),
        get("fetchRewardEarningGroup", EARNING),
        get("fetchRewardEarningPatient", EARNING),
        get("fetchRewardEarningRewardProgramActivation", EARNING),
        get("fetchRewardEarningReward", EARNING),
        create(
            "createRewardEarningFulfillment",
            "reward_earning_fulfillment",
            json!({"fulfilled_value": 120, "fulfilled_at": "2026-03-01T20:00:00Z"}),
            json!({"reward_earning": related("reward_earning", EARNING)}),
        ),
        list("fetchRewardEarningFulfillments", &format!("filter[patient]={PATIENT}")),
        get("fetchRewardEarningFulfillment", FULFILLMENT),
        get("fetchRewardEarningFulfillmentPatient", FULFILLMENT),
        get("fetchRewardEarningFulfillmentRewardEarning", FULFILLMENT),
    ]
}

/// The caller of the samples, and a sample of each operation of the contract.
pub async fn samples(app: &TestApp) -> (Client, Vec<Sample>) {
    let client = app.organization().await;
    let credentials = json!({"data": {"type": "token", "attributes": {"grant_type": "client_credentials",
        "client_id": app.demo.client_id, "client_secret": app.demo.client_secret}}});
    let token = client.post("/pub/oauth/token", &credentials).await.expect_status(201).id();

    let mut known: BTreeMap<_, _> = table(app, &token)
        .into_iter()
        .map(|(operation, status, id, query, body)| (operation, (status, id, query, body)))
        .collect();
    let mut samples = Vec::new();
    for operation in operations() {
        let Some((status, id, query, body)) = known.remove(operation.id.as_str()) else {
            panic!("the contract has {}, of which this table knows no good request", operation.id)
        };
        assert_eq!(operation.path.contains("{id}"), !id.is_empty(), "{}", operation.id);
        samples.push(Sample { operation, status, id, query, body });
    }
    assert!(known.is_empty(), "the contract lacks {:?}", known.keys());
    (client, samples)
}

impl Sample {
    fn name(&self) -> &str {
        &self.operation.id
    }

    fn path(&self) -> String {
        format!("/pub{}", self.operation.path.replace("{id}", &self.id))
    }

    pub fn uri(&self) -> String {
        if self.query.is_empty() { self.path() } else { format!("{}?{}", self.path(), self.query) }
    }

    /// The same request with one more parameter.
    pub fn with_parameter(&self, parameter: &str) -> String {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        format!("{}{separator}{parameter}", self.uri())
    }

    /// The same request for another resource.
    fn for_id(&self, id: &str) -> Self {
        let mut body = self.body.clone();
        if !body.is_null() {
            body["data"]["id"] = id.into();
        }
        Self { operation: self.operation, id: id.to_owned(), query: self.query.clone(), body, ..*self }
    }

    pub fn writes(&self) -> bool {
        !self.body.is_null()
    }

    /// Whether the same request is granted again and again.
    fn repeats(&self) -> bool {
        !ONCE.contains(&self.name())
    }

    fn is_token(&self) -> bool {
        self.name() == "createToken"
    }

    /// The good request, as this caller's and at this URI.
    fn request(&self, client: &Client, uri: &str) -> TestRequest {
        let request = client.request(self.operation.method.clone(), uri);
        if self.writes() {
            request.insert_header(("Content-Type", JSON_API)).set_payload(self.body.to_string())
        } else {
            request
        }
    }

    pub async fn send(&self, client: &Client, uri: &str) -> Response {
        client.send(self.request(client, uri)).await
    }

    async fn send_body(&self, client: &Client, content_type: &str, body: String) -> Response {
        let request = client.request(self.operation.method.clone(), &self.uri());
        client.send(request.insert_header(("Content-Type", content_type)).set_payload(body)).await
    }
}

/// Fails the test unless each error begins with one of these, in their order:
/// status, code, place.
#[track_caller]
fn expect_errors(name: &str, answer: &Response, expected: &[&str]) {
    let errors = answer.errors();
    let begun = errors.lines().zip(expected).all(|(error, expected)| error.starts_with(&format!("{expected}: ")));
    assert!(begun && errors.lines().count() == expected.len(), "{name}: {expected:?} is expected, not {errors}");
}

#[actix_web::test]
async fn every_operation_grants_a_good_request_with_its_documented_status() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples {
            let answer = sample.send(&client, &sample.uri()).await;
            assert_eq!(answer.status, sample.status, "{}: {}", sample.name(), answer.text);
            assert!(sample.operation.statuses().contains(&sample.status), "{}", sample.name());
            assert_eq!(answer.header("content-type"), JSON_API, "{}", sample.name());
            assert_eq!(answer.header("x-request-id"), answer.body["meta"]["req_id"], "{}", sample.name());
        }
    })
    .await;
}

#[actix_web::test]
async fn every_path_is_the_same_with_slashes_to_spare() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples {
            let uri = sample.uri().replacen(&sample.path(), &format!("{}//", sample.path().replace('/', "//")), 1);
            let answer = sample.send(&client, &uri).await;
            assert_eq!(answer.status, sample.status, "{uri}: {}", answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn every_operation_but_that_for_tokens_asks_for_a_token_that_is_good() {
    on_each_database(async |app| {
        let (_, samples) = samples(&app).await;
        let mut unknown = app.anonymous();
        unknown.token = Some("8f14e45f-ceea-4e7a-9c1d-3f2b1a0d9c8e".to_owned());
        for sample in samples {
            for client in [&app.anonymous(), &unknown] {
                let answer = sample.send(client, &sample.uri()).await;
                if sample.is_token() {
                    assert_eq!(answer.status, 201, "{}", answer.text);
                    continue;
                }
                expect_errors(sample.name(), &answer, &["401 Unauthorized -"]);
                assert_eq!(answer.header("www-authenticate"), "Bearer", "{}", sample.name());
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn who_has_no_good_token_learns_nothing_else() {
    on_each_database(async |app| {
        let (_, samples) = samples(&app).await;
        for sample in samples.iter().filter(|sample| !sample.is_token()) {
            let broken = sample.for_id(if sample.id.is_empty() { "" } else { "ffffffffffffffffffffffff" });
            let broken = Sample { body: if broken.writes() { json!({"data": []}) } else { Value::Null }, ..broken };
            let answer = broken.send(&app.anonymous(), &broken.with_parameter("filter[size]=9&page[number]=0")).await;
            expect_errors(sample.name(), &answer, &["401 Unauthorized -"]);
        }
    })
    .await;
}

#[actix_web::test]
async fn an_id_that_leads_nowhere_is_not_found_whatever_its_form() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples.iter().filter(|sample| !sample.id.is_empty()) {
            let upper_case = sample.id.to_uppercase();
            let nowhere = ["ffffffffffffffffffffffff", &upper_case, &sample.id[1..], "77", "undefined", "*"];
            let mut answers = BTreeSet::new();
            // A number is the same in upper case.
            for id in nowhere.into_iter().filter(|id| *id != sample.id) {
                let sample = sample.for_id(id);
                let mut answer = sample.send(&client, &sample.uri()).await;
                expect_errors(sample.name(), &answer, &["404 ResourceNotFound -"]);
                answer.body["meta"]["req_id"].take();
                answers.insert(answer.body.to_string());
            }
            assert_eq!(answers.len(), 1, "{answers:?}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_write_refuses_other_media_types() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples.iter().filter(|sample| sample.writes() && sample.repeats()) {
            let good = sample.body.to_string();
            let expected = if sample.is_token() { "403 Forbidden -" } else { "415 - -" };
            let parameter = r#"application/vnd.api+json; ext="https://example.com/bulk""#;
            for media_type in ["text/plain", "application/xml", "multipart/form-data; boundary=x", parameter] {
                let answer = sample.send_body(&client, media_type, good.clone()).await;
                expect_errors(sample.name(), &answer, &[expected]);
            }
            for media_type in
                ["application/json", "application/vnd.api+json; charset=utf-8", "Application/JSON; Charset=UTF-8"]
            {
                let answer = sample.send_body(&client, media_type, good.clone()).await;
                assert_eq!(answer.status, sample.status, "{} {media_type}: {}", sample.name(), answer.text);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_write_refuses_a_body_that_is_no_document_of_its_type() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples.iter().filter(|sample| sample.writes()) {
            for body in ["", "{\"data\":", "[]", "\"patient\"", "null"] {
                let answer = sample.send_body(&client, JSON_API, body.to_owned()).await;
                expect_first(sample, &answer, "409 InvalidBodyParameter ");
            }
            for body in [json!({}), json!({"data": null}), json!({"data": 7})] {
                let answer = sample.send_body(&client, JSON_API, body.to_string()).await;
                expect_first(sample, &answer, "409 InvalidBodyParameter /data");
            }
            let mut wrong = sample.body.clone();
            wrong["data"]["type"] = "weather".into();
            let answer = sample.send_body(&client, JSON_API, wrong.to_string()).await;
            expect_errors(sample.name(), &answer, &["409 InvalidBodyParameter /data/type"]);
        }
    })
    .await;
}

/// For requests that leave out so much that further errors follow the first.
#[track_caller]
fn expect_first(sample: &Sample, answer: &Response, expected: &str) {
    let (name, errors) = (sample.name(), answer.errors());
    assert!(errors.starts_with(expected), "{name}: {expected} is expected, not {errors}");
    assert!(answer.body["errors"][0]["source"]["pointer"].is_string(), "{name}: {}", answer.text);
}

#[actix_web::test]
async fn a_parameter_that_is_not_understood_is_refused_and_one_of_nobodys_is_passed_over() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in &samples {
            for (parameter, expected) in [
                ("colour=blue", "400 InvalidParameter colour"),
                ("include=weather", "400 InvalidParameter include"),
                ("filter[weather]=rain", "409 InvalidParameter filter[weather]"),
                ("filter%5Bweather%5D=rain", "409 InvalidParameter filter[weather]"),
                ("page[weather]=rain", "409 InvalidParameter page[weather]"),
            ] {
                let answer = sample.send(&client, &sample.with_parameter(parameter)).await;
                expect_errors(sample.name(), &answer, &[expected]);
            }
            let answer = sample.send(&client, &sample.with_parameter("_=17&utm_source=mail&cacheBust=3")).await;
            assert_eq!(answer.status, sample.status, "{}: {}", sample.name(), answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn an_answer_is_refused_only_to_who_takes_nothing_that_can_be_sent() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        for sample in samples.into_iter().filter(Sample::repeats) {
            let with = |accept: &'static str| sample.request(&client, &sample.uri()).insert_header(("Accept", accept));
            let answer = client.send(with(r#"application/vnd.api+json; ext="https://example.com/bulk""#)).await;
            expect_errors(sample.name(), &answer, &["406 - -"]);
            for accept in
                ["text/html", "*/*", "application/vnd.api+json;q=0.9", "application/vnd.api+json; ext=\"x\", */*"]
            {
                let answer = client.send(with(accept)).await;
                assert_eq!(answer.status, sample.status, "{} {accept}: {}", sample.name(), answer.text);
                assert_eq!(answer.header("content-type"), JSON_API, "{} {accept}", sample.name());
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_path_takes_its_documented_methods_and_names_them_to_who_sends_another() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        let mut paths = BTreeMap::<&str, (String, BTreeSet<String>)>::new();
        for sample in &samples {
            let (_, methods) = paths.entry(&sample.operation.path).or_insert((sample.path(), BTreeSet::new()));
            methods.insert(sample.operation.method.to_string());
            if sample.operation.method == Method::GET {
                methods.insert("HEAD".to_owned());
                let answer = client.send(client.request(Method::HEAD, &sample.uri())).await;
                assert_eq!((answer.status, answer.header("content-type")), (200, JSON_API), "{}", sample.name());
            }
        }
        for (path, documented) in paths.into_values() {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
                if documented.contains(method) {
                    continue;
                }
                let answer = client.send(client.request(method.parse().unwrap(), &path)).await;
                expect_errors(&format!("{method} {path}"), &answer, &["405 - -"]);
                let allowed: BTreeSet<_> = answer.header("allow").split(", ").map(str::to_owned).collect();
                assert_eq!(allowed, documented, "{method} {path}");
            }
        }
    })
    .await;
}

/// What the vendor's whole API has paths for, and what somebody might add.
const TYPES: &str = "action bundle calendar_event calendar_event_response client coach email_history group health_profile \
    health_profile_answer health_profile_question health_question_definition oauth organization patient \
    patient_health_metric patient_plan_summary result reward reward_earning reward_earning_fulfillment reward_program \
    reward_program_activation token user";

const RELATIONSHIPS: &str = "action actions answer bundles coach coaches current_results definition group groups metric \
    organization owner patient patients plan profile question_definition questions receiver revoke sender token";

#[actix_web::test]
async fn nothing_is_served_that_the_contract_lacks() {
    on_each_database(async |app| {
        let anybody = app.anonymous();
        let mut candidates = vec![String::new(), "/".to_owned()];
        for one in TYPES.split_whitespace() {
            candidates.extend([format!("/{one}"), format!("/{one}/{{id}}"), format!("/oauth/{one}")]);
            let relationships = RELATIONSHIPS.split_whitespace().chain(TYPES.split_whitespace());
            candidates.extend(relationships.map(|other| format!("/{one}/{{id}}/{other}")));
        }
        candidates.extend(RELATIONSHIPS.split_whitespace().map(|other| format!("/oauth/token/{{id}}/{other}")));
        let documented: BTreeSet<_> = operations().iter().map(|operation| operation.path.clone()).collect();
        let mut served = BTreeSet::new();
        for candidate in candidates {
            let path = format!("/pub{}", candidate.replace("{id}", PATIENT));
            // A path that is served takes other methods; one that is not takes none.
            let answer = anybody.send(anybody.request(Method::OPTIONS, &path)).await;
            match answer.status {
                405 => drop(served.insert(candidate)),
                _ => expect_errors(&path, &answer, &["404 ResourceNotFound -"]),
            }
        }
        assert_eq!(served, documented);
    })
    .await;
}
