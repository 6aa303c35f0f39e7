//! Handles SIGINT, SIGTERM, SIGHUP and SIGXFSZ. The first signal ends the run after the running databases
//! are rolled back; a second one ends the process at once. In both cases SQLite leaves every
//! database entirely before or entirely after its migration. SIGXFSZ, for a write beyond the limit of
//! file sizes, would end the process; handled, the write fails, and with it that database only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals received so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    cancel_flag: Arc<AtomicBool>,
    /// The number of the last signal, or 0.
    #[cfg(unix)]
    received_signal: Arc<AtomicUsize>,
    changes: Arc<ChangeCount>,
}

/// What a run has changed so far, for the line that ends it at a second signal.
#[derive(Debug, Default)]
struct ChangeCount {
    /// Whether the command began to change databases.
    is_writing: AtomicBool,
    /// How many databases it has changed.
    count: AtomicUsize,
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
        let caught: Vec<i32> =
            [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)).collect();
        for signal in &caught {
            // If a handler cannot be registered, the signal keeps its default action.
            let number = usize::try_from(*signal).unwrap_or(0);
            let _ = flag::register_usize(*signal, signals.received_signal.clone(), number);
            let _ = flag::register(*signal, signals.cancel_flag.clone());
        }
        if !signals.end_at_second(&caught) {
            // Without a thread that waits for the second signal, the first one ends the process.
            for signal in caught {
                let cancel = signals.cancel_flag.clone();
                let _ = flag::register_conditional_shutdown(signal, 128 + signal, cancel);
            }
        }
        signals
    }

    /// Starts a thread that ends the process at the second signal, after a line that says so.
    /// Returns whether it was started.
    #[cfg(unix)]
    fn end_at_second(&self, caught: &[i32]) -> bool {
        use signal_hook::iterator::Signals as Incoming;

        let Ok(mut incoming) = Incoming::new(caught) else { return false };
        let changes = Arc::clone(&self.changes);
        let wait = move || {
            if let Some(signal) = incoming.forever().nth(1) {
                write_if_ready(changes.line_at_second_signal().as_bytes());
                signal_hook::low_level::exit(128 + signal);
            }
        };
        std::thread::Builder::new().spawn(wait).is_ok()
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

    /// From now on databases are changed.
    pub(crate) fn begin_writing(&self) {
        self.changes.is_writing.store(true, Ordering::Relaxed);
    }

    /// One more database is changed.
    pub(crate) fn count_change(&self) {
        self.changes.count.fetch_add(1, Ordering::Relaxed);
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

#[cfg(unix)]
impl ChangeCount {
    fn line_at_second_signal(&self) -> String {
        if !self.is_writing.load(Ordering::Relaxed) {
            return "interrupted; no database was changed\n".to_owned();
        }
        let changed = match self.count.load(Ordering::Relaxed) {
            0 => "no database was finished".to_owned(),
            1 => "1 database was finished".to_owned(),
            count => format!("{count} databases were finished"),
        };
        format!(
            "interrupted; {changed}, and SQLite rolls back what was running; run the command again to finish\n"
        )
    }
}

/// Writes to standard error if that cannot block: the process is about to end, and another thread
/// may hold the lock of the stream.
#[cfg(unix)]
fn write_if_ready(line: &[u8]) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stderr = rustix::stdio::stderr();
    let timeout = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut descriptors = [PollFd::new(&stderr, PollFlags::OUT)];
    if poll(&mut descriptors, Some(&timeout)).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(stderr, line);
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
