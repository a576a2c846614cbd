//! Cursors: any text, and any JSON after the fingerprint of the right list.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use retwine::db::SortKey;
use retwine::id::Id;
use retwine::jsonapi::cursor::Cursor;
use retwine::resource::List;
use retwine::resources::calendar_event::Event;
use retwine::resources::patient::Patient;

const LIST: &str = "/pub/patient?sort=last_name";

/// By each sort alone, and by all.
fn orders<R: List>() -> impl Iterator<Item = Vec<SortKey<R>>> {
    let key = |sort| SortKey { sort, descending: false };
    let all = R::SORTS.iter().map(key).collect();
    R::SORTS.iter().map(move |sort| vec![key(sort)]).chain([Vec::new(), all])
}

fn read<R: List>(text: &str) {
    for order in orders::<R>() {
        if let Ok(cursor) = Cursor::read(text, LIST, &order) {
            // What is read is written the same way, and is never of another list.
            let written = cursor.write(LIST);
            assert_eq!(Cursor::read(&written, LIST, &order), Ok(cursor));
            assert!(Cursor::read(&written, "/pub/coach", &order).is_err());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read::<Patient>(text);
    let good = Cursor { values: Vec::new(), id: Id::parse("65f0c1d2e3a4b5c6d7e8f901").expect("an id") }.write(LIST);
    let good = String::from_utf8(URL_SAFE_NO_PAD.decode(good).expect("base64")).expect("JSON");
    let (print, _) = good.split_once(',').expect("a fingerprint");
    let made_up = URL_SAFE_NO_PAD.encode(format!("{print},{text}"));
    read::<Patient>(&made_up);
    read::<Event>(&made_up);
});
