//! The history of e-mails: to whom, from whom, and what became of them.

use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::lists::{fixtures, id};
use crate::support::on_each_database;

const OSTRANDER: &str = "64062e37741e089d927ad224";
const CASTELLANOS: &str = "63e3cad7741e089d927ad21c";
/// To Ostrander: from Castellanos, and from nobody.
const INVITATION: &str = "64063141762d5b20787ad787";
const SUMMARY: &str = "641312d0762d5b20787ad78a";
/// A patient and a coach whom the restricted client does not see.
const HIDDEN: &str = "6419ae7b741e089d927ad228";
const HIDDEN_COACH: &str = "644183f7b46c643c507ad21f";

#[actix_web::test]
async fn an_email_names_its_receiver_and_its_sender_if_there_is_one() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let of_fixture = |id: &str| {
            let fixture = fixtures("email_history").into_iter().find(|email| email["id"] == id).unwrap();
            let mut attributes = fixture["attributes"].clone();
            for name in ["created_by", "updated_by"] {
                attributes[name] = "fixture".into();
            }
            attributes
        };
        let path = |id: &str| format!("/pub/email_history/{id}");
        for (id, sender) in [(INVITATION, Some(CASTELLANOS)), (SUMMARY, None)] {
            let answer = client.get(&path(id)).await.expect_status(200);
            let mut attributes = answer.body["data"]["attributes"].clone();
            for name in ["created_at", "updated_at"] {
                assert!(attributes.as_object_mut().unwrap().remove(name).is_some(), "{name}");
            }
            assert_eq!(attributes, of_fixture(id));
            let link = |name: &str| json!({"related": format!("{}/{name}", path(id))});
            let mut relationships =
                json!({"receiver": {"data": {"type": "patient", "id": OSTRANDER}, "links": link("receiver")}});
            if let Some(sender) = sender {
                relationships["sender"] = json!({"data": {"type": "coach", "id": sender}, "links": link("sender")});
            }
            assert_eq!(answer.body["data"]["relationships"], relationships);
            assert_eq!(answer.body["data"]["links"], json!({"self": path(id)}));
            assert_eq!(client.get(&format!("{}/receiver", path(id))).await.expect_status(200).id(), OSTRANDER);
        }
        assert_eq!(client.get(&format!("{}/sender", path(INVITATION))).await.expect_status(200).id(), CASTELLANOS);
        client.get(&format!("{}/sender", path(SUMMARY))).await.expect_status(404);
    })
    .await;
}

#[actix_web::test]
async fn emails_are_listed_by_who_got_them_who_sent_them_and_their_type() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let get = async |query: &str| client.get(&format!("/pub/email_history?{query}")).await;
        let ids = async |query: &str| get(query).await.expect_status(200).ids();
        let of_fixtures = |chosen: &dyn Fn(&Value) -> bool| -> Vec<String> {
            fixtures("email_history").iter().filter(|email| chosen(email)).map(id).collect()
        };
        let to_her = |email: &Value| email["relationships"]["receiver"]["data"]["id"] == OSTRANDER;
        let from_coach = |email: &Value| email["relationships"]["sender"]["data"]["id"] == CASTELLANOS;
        let mut hers = of_fixtures(&to_her);
        assert!(hers.len() > 5);
        assert_eq!(ids(&format!("filter[receiver]={OSTRANDER}")).await, hers);
        assert_eq!(ids(&format!("filter[receiver]={OSTRANDER}&filter[emailType]=invite")).await, [INVITATION]);
        assert_eq!(ids(&format!("filter[receiver]={OSTRANDER}&filter[emailType]=Invite")).await, [""; 0]);
        hers.reverse();
        assert_eq!(ids(&format!("filter[receiver]={OSTRANDER}&sort=-send_time")).await, hers);
        assert_eq!(ids(&format!("filter[receiver]={OSTRANDER}&page[size]=1&page[number]=2")).await, [SUMMARY]);
        let both = format!("filter[receiver]={OSTRANDER}&filter[sender]={CASTELLANOS}");
        assert_eq!(ids(&both).await, of_fixtures(&|email| to_her(email) && from_coach(email)));
        assert_eq!(ids(&format!("filter[sender]={CASTELLANOS}")).await, of_fixtures(&from_coach));
        // Patients send none, and coaches get none.
        assert_eq!(ids(&format!("filter[sender]={OSTRANDER}")).await, [""; 0]);
        assert_eq!(ids(&format!("filter[receiver]={CASTELLANOS}")).await, [""; 0]);

        assert_eq!(
            get("filter[emailType]=invite").await.expect_status(409).errors(),
            "409 InvalidParameter filter[receiver]: one of filter[receiver], filter[sender] is required"
        );
        assert_eq!(
            get("filter[sender]=7").await.expect_status(409).errors(),
            "409 InvalidParameter filter[sender]: there is no patient and no coach of this id within the scope of the token"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_client_of_a_group_sees_the_emails_to_its_patients_and_the_senders_it_knows() {
    on_each_database(async |app| {
        let operator = Operator::of(&app.database);
        let email = |id: &str, receiver: &str| {
            json!({"type": "email_history", "id": id,
                "attributes": {"twine_email_id": "m-1", "email_address": "a@example.org", "email_type": "reminder",
                    "send_time": "2026-01-31T23:30:00-05:00", "status_times": {"bounce": "2026-01-31T23:30:01-05:00"}},
                "relationships": {"receiver": {"data": {"type": "patient", "id": receiver}},
                    "sender": {"data": {"type": "coach", "id": HIDDEN_COACH}}}})
        };
        let organization = json!({"type": "organization", "id": app.demo.organization, "attributes": {"name": "-"}});
        let (seen, hidden) = ("65b000000000000000000005", "65b000000000000000000006");
        let fixture = json!({"data": [organization, email(seen, OSTRANDER), email(hidden, HIDDEN)]});
        operator.run(&["seed", &operator.file("more.json", &fixture.to_string())]).done();

        let (client, whole) = (app.group().await, app.organization().await);
        let path = format!("/pub/email_history/{seen}");
        let sender = whole.get(&path).await.expect_status(200).body["data"]["relationships"]["sender"]["data"].clone();
        assert_eq!(sender, json!({"type": "coach", "id": HIDDEN_COACH}));
        let answer = client.get(&path).await.expect_status(200);
        assert_eq!(answer.body["data"]["attributes"]["send_time"], "2026-02-01T04:30:00.000Z");
        assert!(answer.body["data"]["relationships"]["sender"].is_null());
        client.get(&format!("{path}/sender")).await.expect_status(404);
        client.get(&format!("/pub/email_history/{hidden}")).await.expect_status(404);
        let list = client.get(&format!("/pub/email_history?filter[receiver]={OSTRANDER}")).await.expect_status(200);
        assert_eq!(list.ids()[..3], [INVITATION, SUMMARY, seen]);
        for filter in [format!("filter[receiver]={HIDDEN}"), format!("filter[sender]={HIDDEN_COACH}")] {
            client.get(&format!("/pub/email_history?{filter}")).await.expect_status(409);
        }
    })
    .await;
}

#[test]
fn what_is_wrong_with_a_fixture_is_named_by_its_place() {
    for (_database, operator) in Operator::each(true) {
        let refuse = |email: &str| {
            let organization =
                r#"{"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}}"#;
            let broken = operator.file("broken.json", &format!(r#"{{"data": [{organization}, {email}]}}"#));
            let complaint = operator.run(&["seed", &broken]).refused(1);
            assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
            complaint.replace(&format!("{broken}#"), "")
        };
        let complaint = refuse(
            r#"{"type": "email_history", "id": "1", "attributes": {"email_type": " ", "status_times": {"open": "soon"}}}"#,
        );
        for place in [
            "/data/1/id",
            "/data/1/attributes/twine_email_id",
            "/data/1/attributes/email_address",
            "/data/1/attributes/email_type",
            "/data/1/attributes/send_time",
            "/data/1/attributes/status_times/open",
            "/data/1/relationships/receiver",
        ] {
            assert!(complaint.contains(&format!("{place}: ")), "{place}: {complaint}");
        }
        let complaint = refuse(
            r#"{"type": "email_history", "id": "65b000000000000000000002",
            "attributes": {"twine_email_id": "m", "email_address": "a@example.org", "email_type": "t",
                "send_time": "2026-01-01T00:00:00Z"},
            "relationships": {"receiver": {"data": {"type": "patient", "id": "65b000000000000000000003"}},
                "sender": {"data": {"type": "coach", "id": "65b000000000000000000004"}}}}"#,
        );
        for place in ["/data/1/relationships/receiver/data/id", "/data/1/relationships/sender/data/id"] {
            assert!(complaint.contains(&format!("{place}: ")), "{place}: {complaint}");
        }
    }
}
