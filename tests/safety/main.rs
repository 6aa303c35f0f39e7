//! Tests the guarantees of tatmig through the real program. Each test is named after its guarantee,
//! and reopens every database afterwards.
#![allow(
    clippy::unwrap_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

mod atomic;
mod authorizer;
#[cfg(unix)]
mod backup;
#[cfg(target_os = "linux")]
mod copies;
#[cfg(target_os = "linux")]
mod damage;
mod drift;
#[cfg(target_os = "linux")]
mod fault_injection;
#[cfg(target_os = "linux")]
mod faults;
mod foreign_keys;
mod hostile;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod layouts;
#[cfg(target_os = "linux")]
mod live_reads;
mod locks;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod new_databases;
#[cfg(unix)]
mod output;
mod reading;
mod rebuild;
#[cfg(target_os = "linux")]
mod replaced_files;
#[cfg(unix)]
mod signals;
#[allow(dead_code, reason = "each of the two binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
