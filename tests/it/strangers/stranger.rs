//! Who asks for what belongs to others, and what can be told from the answers.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ids::{Fixture, Named};
use super::places::{Key, Place};
use crate::contract::JSON_API;
use crate::support::{Client, Response, TestApp};

/// Who asks for what belongs to others.
pub struct Stranger {
    pub name: &'static str,
    pub client: Client,
    pub organization: Fixture,
    /// What others have, and this client does not see.
    pub foreign: BTreeSet<Named>,
    /// The identifiers of patients in another organization, and of those who are
    /// hidden in its own.
    elsewhere: Vec<(String, String)>,
    hidden: Vec<(String, String)>,
    group_names: Vec<String>,
    /// The next identifier of another organization that is to become theirs: each second one.
    adopted: Rc<Cell<usize>>,
    /// Whose all that is.
    pub other: Client,
    /// Whether the contract's documents are granted.
    pub writes: bool,
}

/// Types of which an id is tried in every place.
const EVERYWHERE: [&str; 2] = ["group", "patient"];

impl Stranger {
    pub async fn each(app: &TestApp) -> Vec<Self> {
        let (demo, stranger) = (app.organization().await, app.stranger().await);
        let of_organization =
            Self::new("organization", demo.clone(), [Fixture::demo(), Fixture::stranger()], stranger.clone());
        let mut of_group = Self::of_group(app.group().await, &app.demo.group, demo.clone());
        of_group.adopted = of_organization.adopted.clone();
        // In this order: a client of the organization may take patients out of the group.
        vec![of_group, of_organization, Self::new("stranger", stranger, [Fixture::stranger(), Fixture::demo()], demo)]
    }

    fn new(name: &'static str, client: Client, [organization, elsewhere]: [Fixture; 2], other: Client) -> Self {
        let own = organization.ids();
        let (known, names) = (organization.identifiers(|_| true), organization.group_names());
        let foreign = elsewhere.ids().into_iter().filter(|named| !own.contains(named)).collect();
        let elsewhere_known = elsewhere.identifiers(|_| true);
        Self {
            name,
            client,
            foreign,
            elsewhere: elsewhere_known.into_iter().filter(|identifier| !known.contains(identifier)).collect(),
            hidden: Vec::new(),
            adopted: Rc::new(Cell::new(1)),
            group_names: elsewhere.group_names().into_iter().filter(|name| !names.contains(name)).collect(),
            other,
            writes: name == "organization",
            organization,
        }
    }

    fn of_group(client: Client, group: &str, other: Client) -> Self {
        let mut asking = Self::new("group", client, [Fixture::demo(), Fixture::stranger()], other);
        let hidden = asking.organization.hidden_from(group);
        let is_hidden = |id: &str| hidden.contains(&("patient".to_owned(), id.to_owned()));
        let seen = asking.organization.identifiers(|id| !is_hidden(id));
        let identifiers = asking.organization.identifiers(is_hidden);
        asking.hidden = identifiers.into_iter().filter(|identifier| !seen.contains(identifier)).collect();
        asking.foreign.extend(hidden);
        asking.writes = true;
        asking
    }

    /// An id of its own.
    pub fn own(&self, kind: &str) -> String {
        self.organization.first(kind, &self.foreign).unwrap_or_else(|| panic!("{} has no {kind}", self.name))
    }

    /// Foreign ids for a place: the first and the last of the type that belongs
    /// there, and one of each that others hang on.
    pub fn sample(&self, kind: &str) -> BTreeSet<String> {
        let of = |kind: &str| {
            let ids = self.foreign.iter().filter(|named| named.0 == kind).map(|(_, id)| id.clone());
            ids.collect::<Vec<_>>()
        };
        let others = EVERYWHERE.iter().filter_map(|kind| of(kind).first().cloned());
        others.chain(of(kind).first().cloned()).chain(of(kind).last().cloned()).collect()
    }

    /// What goes to a place, each with its system: what others have, and beside
    /// it what nobody has.
    fn texts(&self, place: &Place, turn: usize) -> Vec<[(String, String); 2]> {
        let plain = |text: &str| (text.to_owned(), String::new());
        match place.key {
            Key::Id => self.sample(&place.kind).iter().map(|id| [plain(id), plain(nothing_like(id))]).collect(),
            Key::GroupName => {
                self.group_names.iter().map(|name| [plain(name), plain(&format!("Nobody {turn}"))]).collect()
            }
            // What becomes theirs is found afterwards, so each is used once.
            Key::Identifier { sought } => {
                let adopted = self.adopted.get();
                let known = if sought {
                    self.elsewhere.iter().step_by(2).chain(&self.hidden).collect()
                } else {
                    self.adopted.set(adopted + 2);
                    vec![&self.elsewhere[adopted]]
                };
                let nobody = format!("nobody {turn}");
                known
                    .into_iter()
                    .map(|(system, value)| [(value.clone(), system.clone()), (nobody.clone(), system.clone())])
                    .collect()
            }
        }
    }

    async fn ask(&self, place: &Place, (text, system): &(String, String)) -> Response {
        let (path, document) = (place.fill)(text, system);
        let request = self.client.request(place.operation.method.clone(), &path);
        let request = match document {
            Value::Null => request,
            document => request.insert_header(("Content-Type", JSON_API)).set_payload(document.to_string()),
        };
        self.client.send(request).await
    }

    /// Fills a place with everything, and notes what could be told from it.
    pub async fn try_place(&self, place: &Place, turn: usize, told: &mut Vec<String>) {
        let name = format!("{} as {}", place.name(), self.name);
        let texts = self.texts(place, turn);
        let mut known: BTreeMap<(String, String), Seen> = BTreeMap::new();
        for [_, unknown] in &texts {
            if !known.contains_key(unknown) {
                let seen = Seen::of(&self.ask(place, unknown).await, unknown);
                if !place.is_refused(&seen) {
                    told.push(format!("{name} with {unknown:?}: {seen:?}"));
                }
                known.insert(unknown.clone(), seen);
            }
        }
        let answers = join_all(texts.iter().map(|[foreign, _]| self.ask(place, foreign))).await;
        for ([foreign, unknown], answer) in texts.iter().zip(answers) {
            let seen = Seen::of(&answer, foreign);
            if seen != known[unknown] {
                told.push(format!("{name} with {foreign:?}: {seen:?}, but {:?}", known[unknown]));
            }
        }
    }
}

impl Place {
    /// Whether the answer to an id that nobody has is about this place: one that
    /// is refused for another reason says nothing of it.
    fn is_refused(&self, seen: &Seen) -> bool {
        let Some(source) = &self.source else { return seen.status == 404 };
        if seen.status < 400 {
            return self.key != Key::Id || self.is_ignored();
        }
        if self.is_ignored() && seen.status == 403 {
            return true;
        }
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let there = |error: &Value| {
            let named = error["source"]["pointer"].as_str().or(error["source"]["parameter"].as_str());
            named.is_some_and(|named| !named.is_empty() && source.starts_with(named))
        };
        body["errors"].as_array().unwrap().iter().any(there)
    }
}

/// An id of the same form that nothing has.
pub fn nothing_like(id: &str) -> &'static str {
    match id {
        id if id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() < 24 => "4711",
        id if id.contains('-') => "8f14e45f-ceea-4e7a-9c1d-3f2b1a0d9c8e",
        _ => "65ffffffffffffffffffffff",
    }
}

/// What a caller can tell an answer by.
#[derive(Debug, PartialEq)]
pub struct Seen {
    pub status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Seen {
    /// Without what was sent, and what is another each time.
    pub fn of(answer: &Response, (text, system): &(String, String)) -> Self {
        let mut body = answer.body.clone();
        body["meta"]["req_id"].take();
        let body = if answer.status < 400 { shape(&body) } else { body }.to_string();
        let mut headers = BTreeMap::new();
        for (name, value) in &answer.headers {
            if !["x-request-id", "content-length"].contains(&name.as_str()) {
                // A tag is made from the ids, too.
                let value = if name == "etag" { "*".into() } else { String::from_utf8_lossy(value.as_bytes()) };
                headers.insert(name.to_string(), value.into_owned());
            }
        }
        let long = [text, system].into_iter().filter(|text| text.len() > 3);
        let body = long.fold(body, |body, text| body.replace(text.as_str(), "*"));
        Self { status: answer.status, headers, body }
    }
}

/// The members and the numbers of items; of the values only `count`.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let shape = |(name, member): (&String, &Value)| {
                (name.clone(), if name == "count" { member.clone() } else { shape(member) })
            };
            members.iter().map(shape).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        other => json!(other.is_null()),
    }
}
