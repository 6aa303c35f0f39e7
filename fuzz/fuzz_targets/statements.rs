//! Fuzzes upgrades of a database in memory: any statements as a baseline, as an application's
//! statements and as further blocks. Lines with only `~` separate these parts.
#![no_main]

#[allow(dead_code, reason = "each target uses its own part")]
#[path = "../../tests/support/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if !oracle::is_quick_to_run(text) {
        return;
    }
    let mut parts = text.split("\n~\n");
    let baseline = parts.next().unwrap_or_default();
    let application = parts.next().unwrap_or_default();
    let blocks = parts.take(3).collect();
    oracle::Scenario { baseline, application, blocks }.run();
});
