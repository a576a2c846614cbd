//! Paths: whatever is asked for, the way is found, and found again from where it led.

#![no_main]

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use retwine::config::Config;
use retwine::router::Router;
use retwine::routes::router;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    config: Config,
}

thread_local! {
    static ROUTER: Router = router(&Line::parse_from(["retwine"]).config);
}

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    ROUTER.with(|router| {
        let found = router.find(path);
        assert!(!found.path.contains("//") && (found.path.len() < 2 || !found.path.ends_with('/')), "{}", found.path);
        let again = router.find(&found.path);
        assert_eq!((&again.path, &again.id, &again.place.pattern), (&found.path, &found.id, &found.place.pattern));
        if found.place.pattern.contains("{id}") {
            assert_eq!(found.place.pattern.replace("{id}", &found.id), found.path);
        }
    });
});
