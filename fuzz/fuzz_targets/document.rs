//! Any bytes as a document.
#![no_main]

#[allow(dead_code, reason = "each target uses its own part")]
#[path = "../../tests/support/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if judge::ends(text) {
        judge::document(text);
    }
});
