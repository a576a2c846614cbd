//! Fixtures, loaded into a database that forgets them again.

#![no_main]

use std::cell::RefCell;

use diesel::Connection;
use libfuzzer_sys::fuzz_target;
use retwine::db::{Conn, Target, connect, migrate};
use retwine::error::Error;
use retwine::seed::{Loading, load};
use retwine::time::Instant;

thread_local! {
    static DATABASE: RefCell<Conn> = RefCell::new(database());
}

fn database() -> Conn {
    // It is left behind when the fuzzer ends.
    let file = tempfile::tempdir().expect("a folder").keep().join("fuzz.sqlite");
    let mut db = connect(&Target::Sqlite(file.display().to_string())).expect("a database");
    migrate(&mut db).expect("its tables");
    db
}

fuzz_target!(|data: &[u8]| {
    let (Some((first, rest)), Some(now)) = (data.split_first(), Instant::parse("2026-03-02T09:30:00Z")) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let as_of = (first % 2 == 1).then(|| now.date());
    DATABASE.with_borrow_mut(|db| {
        let mut outcome = None;
        let undone = db.transaction::<(), _, _>(|db| {
            outcome = Some(load(db, "fuzz.json", text, Loading { reset: first % 4 > 1, as_of, now }));
            Err(diesel::result::Error::RollbackTransaction)
        });
        assert!(undone.is_err() && matches!(outcome, Some(Ok(_) | Err(Error::Rejected(_)))), "{outcome:?}");
    });
});
