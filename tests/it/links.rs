//! Every link leads somewhere, and from a token's links and the lists one gets
//! everywhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::slice;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, on_each_database, operation, operations};

/// How many links are followed of those that are alike: of the same name, to the
/// same operation, of resources with the same members.
const ALIKE: usize = 3;

/// Who follows links, and what came of it.
struct Walk {
    client: Client,
    /// The paths that were asked for, or are about to be.
    known: HashSet<String>,
    next: Vec<String>,
    alike: HashMap<String, usize>,
    /// The ids of the resources that were answered, by type.
    found: BTreeMap<String, BTreeSet<String>>,
    /// The operations that answered.
    answered: BTreeSet<String>,
    dead: Vec<String>,
}

impl Walk {
    /// Begins with the answer to a token's request, and nothing else.
    async fn begin(app: &TestApp) -> Self {
        let body = json!({"data": {"type": "token", "attributes": {"grant_type": "client_credentials",
            "client_id": app.demo.client_id, "client_secret": app.demo.client_secret}}});
        let answer = app.anonymous().post("/pub/oauth/token", &body).await.expect_status(201).body;
        let token = answer["data"]["attributes"]["access_token"].as_str().unwrap().to_owned();
        let mut walk = Self {
            client: app.caller(token),
            known: HashSet::new(),
            next: Vec::new(),
            alike: HashMap::new(),
            found: BTreeMap::new(),
            answered: BTreeSet::new(),
            dead: Vec::new(),
        };
        walk.learn(&answer);
        walk
    }

    /// Follows all links, and those in the answers, until there are no others.
    async fn follow(&mut self) {
        while let Some(path) = self.next.pop() {
            let answer = self.client.get(&path).await;
            if answer.status != 200 {
                self.dead.push(format!("{} {path}", answer.status));
                continue;
            }
            let operation = operation(&Method::GET, &path).unwrap_or_else(|| panic!("{path} is no operation's"));
            self.answered.insert(operation.id.clone());
            self.learn(&answer.body);
        }
    }

    fn learn(&mut self, answer: &Value) {
        for resource in each(&answer["data"]) {
            let (kind, id) = (resource["type"].as_str().unwrap(), resource["id"].as_str().unwrap());
            self.found.entry(kind.to_owned()).or_default().insert(id.to_owned());
        }
        self.go_on(&answer["links"], "");
        for resource in each(&answer["data"]).iter().chain(each(&answer["included"])) {
            let looks = looks(resource);
            self.go_on(&resource["links"], &looks);
            for (_, relationship) in resource["relationships"].as_object().into_iter().flatten() {
                self.go_on(&relationship["links"], &looks);
            }
        }
    }

    /// Goes on to links, of what looks like this: to some of those that are alike.
    fn go_on(&mut self, links: &Value, looks: &str) {
        let links = links.as_object().into_iter().flatten();
        // The one link that leads out of the API.
        for (name, link) in links.filter(|(name, _)| *name != "twine_web_app") {
            let link = link.as_str().unwrap();
            let id = |part: &&str| part.len() == 24 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (path, query) = link.split_once('?').unwrap_or((link, ""));
            let path: Vec<_> = path.split('/').filter(|part| !id(part)).collect();
            let query: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
            let alike = self.alike.entry(format!("{name} {path:?} {query:?} {looks}")).or_default();
            if *alike < ALIKE && !self.known.contains(link) {
                *alike += 1;
                self.go(link.to_owned());
            }
        }
    }

    fn go(&mut self, path: String) {
        if self.known.insert(path.clone()) {
            self.next.push(path);
        }
    }

    /// Nothing links to a list, so a client must know those: each is asked for
    /// with the widest of its filters, for every id that fits and was found.
    fn go_to_lists(&mut self) {
        for list in operations().iter().filter(|list| list.method == Method::GET && !list.path.contains('{')) {
            let parameters = list.parameters();
            let filters = ["organization", "groups", "patient", "receiver"].map(|name| format!("filter[{name}]"));
            let Some(filter) = filters.iter().find(|filter| parameters.contains(&filter.as_str())) else {
                self.go(format!("/pub{}", list.path));
                continue;
            };
            let of = match filter.as_str() {
                "filter[organization]" => "organization",
                "filter[groups]" => "group",
                _ => "patient",
            };
            for id in self.found.get(of).cloned().unwrap_or_default() {
                self.go(format!("/pub{}?{filter}={id}", list.path));
            }
        }
    }
}

/// The resources of a member of a document.
fn each(member: &Value) -> &[Value] {
    match member {
        Value::Null => &[],
        Value::Array(resources) => resources,
        resource => slice::from_ref(resource),
    }
}

/// What a resource looks like: its members, and how much it is related to.
fn looks(resource: &Value) -> String {
    let attributes: Vec<_> = resource["attributes"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    let related = |(name, relationship): (&String, &Value)| match &relationship["data"] {
        Value::Array(items) => format!("{name}[{}]", items.len().min(2)),
        data => format!("{name} {}", data["type"]),
    };
    let relationships: Vec<_> = resource["relationships"].as_object().into_iter().flatten().map(related).collect();
    format!("{} {attributes:?} {relationships:?}", resource["type"])
}

#[actix_web::test]
async fn a_client_that_follows_links_finds_no_dead_one_and_gets_everywhere() {
    on_each_database(async |app| {
        let mut walk = Walk::begin(&app).await;
        walk.follow().await;
        assert!(walk.found.keys().eq(["group", "organization", "token"]), "{:?}", walk.found.keys());
        while {
            walk.go_to_lists();
            !walk.next.is_empty()
        } {
            walk.follow().await;
        }
        assert!(walk.dead.is_empty(), "dead links: {:#?}", walk.dead);

        let reads = operations().iter().filter(|operation| operation.method == Method::GET);
        let unread: Vec<_> = reads.filter(|read| !walk.answered.contains(&read.id)).map(|read| &read.id).collect();
        assert!(unread.is_empty(), "no link and no list leads to {unread:?}");
        let types = operations().iter().map(|operation| operation.path.split('/').nth(1).unwrap());
        let mut types: BTreeSet<_> = types.map(|name| if name == "oauth" { "token" } else { name }).collect();
        assert_eq!(types.len(), 22, "{types:?}");
        assert!(types.remove("calendar_event_response"), "that cannot be fetched");
        let found: BTreeSet<_> = walk.found.keys().map(String::as_str).collect();
        assert_eq!(found, types);
    })
    .await;
}
