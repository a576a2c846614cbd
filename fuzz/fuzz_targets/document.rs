//! Request documents, read as each operation reads them: the first byte says which.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use retwine::jsonapi::Notes;
use retwine::jsonapi::document::{ClientId, Shape, read_document};
use retwine::resource::{Create, Update, Upsert};
use retwine::resources::action::Action;
use retwine::resources::bundle::Bundle;
use retwine::resources::calendar_event::Event;
use retwine::resources::calendar_event_response::Response;
use retwine::resources::group::Group;
use retwine::resources::patient::Patient;
use retwine::resources::patient_health_metric::Metric;
use retwine::resources::patient_plan_summary::Plan;
use retwine::resources::reward::Reward;
use retwine::resources::reward_earning::Earning;
use retwine::resources::reward_earning_fulfillment::Fulfillment;
use retwine::resources::reward_program::Program;
use retwine::resources::reward_program_activation::Activation;

const DOCUMENTS: [fn(&[u8]); 18] = [
    create::<Action>,
    create::<Bundle>,
    create::<Event>,
    create::<Response>,
    create::<Group>,
    create::<Patient>,
    create::<Metric>,
    create::<Reward>,
    create::<Earning>,
    create::<Fulfillment>,
    create::<Program>,
    create::<Activation>,
    update::<Action>,
    update::<Bundle>,
    update::<Event>,
    update::<Patient>,
    update::<Plan>,
    upsert::<Patient>,
];

const ID: &str = "65f0c1d2e3a4b5c6d7e8f901";

fn create<R: Create>(body: &[u8]) {
    let notes = Notes::default();
    let shape = Shape { kind: R::TYPE, id: R::CLIENT_ID, many: true };
    let (items, _) = read_document(body, shape, &notes, R::options, R::read);
    check(body, &notes, items.items.len());
}

fn update<R: Update>(body: &[u8]) {
    let notes = Notes::default();
    let shape = Shape { kind: R::TYPE, id: ClientId::Is(ID), many: false };
    let (items, _) = read_document(body, shape, &notes, |_| (), R::changes);
    check(body, &notes, items.items.len());
}

fn upsert<R: Upsert>(body: &[u8]) {
    let notes = Notes::default();
    let shape = Shape { kind: R::TYPE, id: ClientId::Ignored, many: false };
    let (items, query) = read_document(body, shape, &notes, R::query, R::changes);
    black_box(query);
    check(body, &notes, items.items.len());
}

/// Nothing is read without a word, and every place that is named is there.
fn check(body: &[u8], notes: &Notes, items: usize) {
    let text = String::from_utf8_lossy(body);
    let document = serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}'));
    if let Ok(document) = &document {
        for ignored in notes.ignored() {
            assert!(document.pointer(&ignored).is_some(), "{ignored}");
        }
    }
    let faulty = notes.check().is_err();
    assert!(items > 0 || faulty || document.is_ok_and(|document| document["data"].is_array()));
}

fuzz_target!(|data: &[u8]| {
    if let Some((first, body)) = data.split_first() {
        DOCUMENTS[usize::from(*first) % DOCUMENTS.len()](body);
    }
});
