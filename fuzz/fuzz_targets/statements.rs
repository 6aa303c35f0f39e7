//! Any statements as a baseline, an application's doings and further blocks, on a database in
//! memory. The parts stand between lines of `~`.
#![no_main]

#[allow(dead_code, reason = "each target uses its own part")]
#[path = "../../tests/support/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if !judge::ends(text) {
        return;
    }
    let mut parts = text.split("\n~\n");
    let baseline = parts.next().unwrap_or_default();
    let application = parts.next().unwrap_or_default();
    let blocks = parts.take(3).collect();
    judge::Story { baseline, application, blocks }.end();
});
