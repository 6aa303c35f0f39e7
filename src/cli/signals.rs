//! SIGINT, SIGTERM and SIGHUP: the first one ends the run cleanly, a second one at once. Either
//! way SQLite brings every database back to before or after.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// What was caught so far.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    cancel_flag: Arc<AtomicBool>,
    #[cfg(unix)]
    received_signal: Arc<AtomicUsize>,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn install_handlers() -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag;

        let signals = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                continue;
            }
            // In this order: the first signal finds the flag down, raises it, and a second one
            // finds it up. A signal that cannot be caught keeps its own meaning.
            let number = usize::try_from(signal).unwrap_or(0);
            let _ = flag::register_conditional_shutdown(
                signal,
                128 + signal,
                signals.cancel_flag.clone(),
            );
            let _ = flag::register_usize(signal, signals.received_signal.clone(), number);
            let _ = flag::register(signal, signals.cancel_flag.clone());
        }
        signals
    }

    #[cfg(not(unix))]
    pub(crate) fn catch() -> Self {
        Self::default()
    }

    /// The flag that is up once a signal came.
    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        self.cancel_flag.clone()
    }

    /// The number of the signal that came.
    #[cfg(unix)]
    pub(crate) fn received_signal(&self) -> Option<u8> {
        match self.received_signal.load(Ordering::Relaxed) {
            0 => None,
            signal => u8::try_from(signal).ok(),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn caught(&self) -> Option<u8> {
        None
    }
}

/// Whether whoever started tatmig told it to ignore a signal, as `nohup` does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
