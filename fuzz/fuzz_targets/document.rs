//! Fuzzes the parser and the linter: any text as a document.
#![no_main]

#[allow(dead_code, reason = "each target uses its own part")]
#[path = "../../tests/support/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if oracle::is_quick_to_run(text) {
        oracle::check_document(text);
    }
});
