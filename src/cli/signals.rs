//! Handles SIGINT, SIGTERM, SIGHUP and SIGXFSZ. The first signal ends the run after the running databases
//! are rolled back; a second one ends the process at once. In both cases SQLite leaves every
//! database entirely before or entirely after its migration. SIGXFSZ, for a write beyond the limit of
//! file sizes, would end the process; handled, the write fails, and with it that database only.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The signals received so far.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    cancel_flag: Arc<AtomicBool>,
    /// The number of the last signal, or 0.
    #[cfg(unix)]
    received_signal: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs the handlers. Signals that are ignored, as SIGHUP is under `nohup`, stay ignored.
    #[cfg(unix)]
    pub(crate) fn install_handlers() -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
        use signal_hook::flag;

        // Only a handler is needed; its flag is not.
        let _ = flag::register(SIGXFSZ, Arc::default());
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                continue;
            }
            // The order matters: handlers run as registered. At the first signal the flag is not
            // set yet, so the shutdown does nothing, and the last handler sets the flag. At the
            // second signal the shutdown exits. If a handler cannot be registered, the signal
            // keeps its default action.
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

    /// Installs nothing: this platform has none of these signals.
    #[cfg(not(unix))]
    pub(crate) fn install_handlers() -> Self {
        Self::default()
    }

    /// The flag that the first signal sets.
    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        self.cancel_flag.clone()
    }

    /// Forgets the received signal: it ended a command that waits for one. A second signal ends the
    /// process at once all the same.
    pub(crate) fn acknowledge(&self) {
        #[cfg(unix)]
        self.received_signal.store(0, Ordering::Relaxed);
    }

    /// The number of the received signal, if any.
    #[cfg(unix)]
    pub(crate) fn received_signal(&self) -> Option<u8> {
        match self.received_signal.load(Ordering::Relaxed) {
            0 => None,
            signal => u8::try_from(signal).ok(),
        }
    }

    /// Always `None`: this platform has none of these signals.
    #[cfg(not(unix))]
    pub(crate) fn received_signal(&self) -> Option<u8> {
        None
    }
}

/// Whether the process was started with this signal ignored, as by `nohup`. Only Linux reports
/// this, in `/proc/self/status`; elsewhere the result is `false`.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
