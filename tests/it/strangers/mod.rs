//! What belongs to others looks as if it existed nowhere: every place of every
//! operation, found in the contract, filled with the ids of every type that is in
//! the demo. Whoever asks, a client of another organization or one of a group,
//! learns of them as much as of an id that nothing has.
//!
//! A new kind of place is a function beside those of `places.rs`.

mod ids;
mod places;
mod shape;
mod stranger;

use std::collections::BTreeSet;

use actix_web::http::Method;
use retwine::id::Id;
use retwine::jsonapi::cursor::Cursor;
use serde_json::Value;

use crate::support::{Operation, on_each_database, operations};
use ids::Fixture;
use places::{Key, all_included, filter_key, of_documents, of_filters, of_paths};
use stranger::{Seen, Stranger, nothing_like};

#[actix_web::test]
async fn what_others_have_is_told_by_nothing_from_what_nobody_has() {
    on_each_database(async |app| {
        for stranger in Stranger::each(&app).await {
            let before = everything(&stranger).await;
            let mut places = of_paths();
            if stranger.writes {
                places.extend(of_filters(&|kind| stranger.own(kind)));
                places.extend(of_documents(&|kind| stranger.own(kind)));
            }
            let mut told = Vec::new();
            for (turn, place) in places.iter().enumerate() {
                stranger.try_place(place, turn, &mut told).await;
            }
            assert!(told.is_empty(), "{}", told.join("\n\n"));
            assert!(before == everything(&stranger).await, "{} has changed what others have", stranger.name);
        }
    })
    .await;
}

/// Some of what the others have.
async fn everything(stranger: &Stranger) -> Vec<Value> {
    let mut found = Vec::new();
    for operation in operations().iter().filter(|operation| operation.path.ends_with("/{id}")) {
        let kind = operation.path.split('/').nth(1).unwrap();
        for id in stranger.sample(kind) {
            found.push(stranger.other.get(&format!("/pub/{kind}/{id}")).await.body["data"].take());
        }
    }
    assert!(found.iter().filter(|data| data.is_object()).count() > 20);
    found
}

#[actix_web::test]
async fn no_list_and_no_relationship_leads_to_what_others_have() {
    on_each_database(async |app| {
        for stranger in Stranger::each(&app).await {
            let mut told = Vec::new();
            for uri in reads(&stranger) {
                let answer = stranger.client.get(&uri).await;
                // Not everything is related to one of each.
                let related = uri.split('/').count() > 4;
                assert!(answer.status == 200 || (related && answer.status == 404), "{uri}: {}", answer.text);
                let mut named = BTreeSet::new();
                ids_in(&answer.body, &mut named);
                let foreign = stranger.foreign.iter().filter(|(_, id)| named.contains(id));
                told.extend(foreign.map(|foreign| format!("{foreign:?} in {uri} as {}", stranger.name)));
            }
            assert!(told.is_empty(), "{}", told.join("\n"));
        }
    })
    .await;
}

/// All that is read without naming what others have: whole lists, and the first
/// of each type with what it is related to, with everything that can be included.
fn reads(stranger: &Stranger) -> Vec<String> {
    let mut uris = Vec::new();
    for operation in operations().iter().filter(|operation| operation.method == Method::GET) {
        let included = all_included(operation).unwrap_or_default();
        match operation.path.split('/').nth(1) {
            // A token is nobody's in the fixtures.
            Some("oauth") => {}
            Some(kind) if operation.path.contains("{id}") => {
                let own = stranger.organization.first(kind, &stranger.foreign);
                let path = own.map(|own| operation.path.replace("{id}", &own));
                uris.extend(path.map(|path| format!("/pub{path}?{included}")));
            }
            _ => {
                let filters = filtered(operation, &|kind| stranger.own(kind));
                // The first has all of it.
                let limits = std::iter::once(1000).chain(std::iter::repeat(20));
                let uri = |(filter, limit)| format!("/pub{}?{filter}&page[limit]={limit}&{included}", operation.path);
                uris.extend(filters.iter().zip(limits).map(uri));
            }
        }
    }
    uris
}

fn ids_in(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|member| ids_in(member, found)),
        Value::Array(items) => items.iter().for_each(|item| ids_in(item, found)),
        Value::String(text) => {
            found.extend(text.split(['/', '=', '&', ',', '?']).filter(|part| part.len() == 24).map(str::to_owned));
        }
        _ => {}
    }
}

#[actix_web::test]
async fn a_cursor_of_others_opens_nothing() {
    on_each_database(async |app| {
        for stranger in Stranger::each(&app).await {
            let others = if stranger.name == "stranger" { Fixture::demo() } else { Fixture::stranger() };
            let theirs = |kind: &str| others.first(kind, &BTreeSet::new()).unwrap();
            let client = if stranger.name == "stranger" { app.organization().await } else { app.stranger().await };
            for list in lists() {
                for (theirs, own) in filtered(list, &theirs).iter().zip(filtered(list, &|kind| stranger.own(kind))) {
                    let path = format!("/pub{}", list.path);
                    let page = client.get(&format!("{path}?{theirs}&page[limit]=1")).await.expect_status(200);
                    // A list of one has no cursor, so one is made of it.
                    let first = Id::parse(&page.ids()[0]).expect("an id");
                    let cursor =
                        |filter: &str| Cursor { values: Vec::new(), id: first }.write(&format!("{path}?{filter}"));
                    if let Some(next) = page.link("next") {
                        assert!(next.ends_with(&cursor(theirs)), "{next}");
                    }
                    stranger.go_on(&path, theirs, &own, &cursor).await;
                }
            }
        }
    })
    .await;
}

fn lists() -> impl Iterator<Item = &'static Operation> {
    operations().iter().filter(|operation| operation.method == Method::GET && !operation.path.contains("{id}"))
}

/// Each list, by each of its filters alone.
fn filtered(list: &Operation, own: &dyn Fn(&str) -> String) -> Vec<String> {
    let keys = list.parameters().into_iter().filter(|name| name.starts_with("filter"));
    let keys = keys.filter_map(|name| Some((name, filter_key(name)?))).filter(|(_, (key, _))| *key == Key::Id);
    let mut filters: Vec<_> = keys.map(|(name, (_, kind))| format!("{name}={}", own(kind))).collect();
    filters.retain(|filter| !filter.starts_with("filter[actions]"));
    if filters.is_empty() {
        filters.push(String::new());
    }
    filters
}

impl Stranger {
    /// Goes on where others were, in their list and in its own.
    async fn go_on(&self, path: &str, theirs: &str, own: &str, cursor: &dyn Fn(&str) -> String) {
        let ask = async |filter: &str, cursor: &str| {
            let answer = self.client.get(&format!("{path}?{filter}&page[limit]=20&page[after]={cursor}")).await;
            let seen = Seen::of(&answer, &(cursor.to_owned(), String::new()));
            (answer, seen)
        };
        let (rest, _) = ask(own, &cursor(own)).await;
        let rest = rest.expect_status(200).ids();
        assert!(!self.foreign.iter().any(|(_, id)| rest.contains(id)), "{path} as {}: {rest:?}", self.name);
        if theirs == own {
            return;
        }
        let (named, id) = theirs.split_once('=').unwrap();
        let unknown = format!("{named}={}", nothing_like(id));
        let (_, nothing) = ask(&unknown, &cursor(&unknown)).await;
        assert!(nothing.status >= 400, "{path}?{unknown}: {nothing:?}");
        assert_eq!(ask(theirs, &cursor(theirs)).await.1, nothing, "{path}?{theirs} as {}", self.name);
        let (_, elsewhere) = ask(own, &cursor("")).await;
        assert_eq!(elsewhere.status, 409, "{elsewhere:?}");
        assert_eq!(ask(own, &cursor(theirs)).await.1, elsewhere, "{path}?{own} as {}", self.name);
    }
}
