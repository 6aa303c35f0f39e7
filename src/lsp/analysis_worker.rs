//! Lints the newest text of each document on a thread of its own. A newer text replaces one that
//! waits, and ends the run of an older one.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::lint::session::LintSession;
use crate::lsp::analysis::{AnalysedText, Analysis};
use crate::lsp::host::DocumentSettings;
use crate::migrate::chain_cache::CacheUse;

/// How long a text waits for a newer one: less than the time between two keys, and enough for the
/// changes that an editor sends at once.
const DEBOUNCE: Duration = Duration::from_millis(15);

/// What the worker is to do.
pub(crate) enum AnalysisJob {
    Analyse(TextToAnalyse),
    /// The document was closed.
    Forget(String),
}

pub(crate) struct TextToAnalyse {
    pub(crate) uri: String,
    /// The name of the file, which messages show.
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) text: Arc<str>,
    pub(crate) settings: DocumentSettings,
    /// Whether the settings are not those of the last analysis.
    pub(crate) has_new_settings: bool,
    pub(crate) cancel: Arc<AtomicBool>,
}

impl TextToAnalyse {
    fn document(&self) -> AnalysedText<'_> {
        AnalysedText { name: &self.name, text: &self.text, version: self.version }
    }
}

/// The state of one document between two analyses.
struct Session {
    lint: LintSession,
    last: Option<Arc<Analysis>>,
}

/// Works until the channel closes. Passes each finished analysis to `emit` with the document's URI.
pub(crate) fn run(jobs: &Receiver<AnalysisJob>, mut emit: impl FnMut(String, Arc<Analysis>)) {
    let mut sessions: HashMap<String, Session> = HashMap::new();
    let mut waiting: Vec<TextToAnalyse> = Vec::new();
    loop {
        let received = if waiting.is_empty() {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(DEBOUNCE)
        };
        match received {
            Ok(AnalysisJob::Analyse(mut job)) => {
                let older = waiting.iter().position(|older| older.uri == job.uri);
                if let Some(older) = older.map(|index| waiting.remove(index)) {
                    job.has_new_settings |= older.has_new_settings;
                }
                waiting.push(job);
            }
            Ok(AnalysisJob::Forget(uri)) => {
                sessions.remove(&uri);
                waiting.retain(|job| job.uri != uri);
            }
            Err(RecvTimeoutError::Timeout) => {
                for job in waiting.drain(..) {
                    let session = sessions.remove(&job.uri);
                    let analysed = catch_unwind(AssertUnwindSafe(|| analyse(&job, session)));
                    // A panic loses the session, and nothing else.
                    let (session, analysis) = match analysed {
                        Ok((session, analysis)) => (Some(session), analysis),
                        Err(_) => (None, Some(Arc::new(Analysis::failed(&job.document(), None)))),
                    };
                    sessions.extend(session.map(|session| (job.uri.clone(), session)));
                    if let Some(analysis) = analysis {
                        emit(job.uri, analysis);
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Lints a text. Without an analysis, a newer text has ended the run.
fn analyse(job: &TextToAnalyse, session: Option<Session>) -> (Session, Option<Arc<Analysis>>) {
    let TextToAnalyse { settings, has_new_settings, cancel, .. } = job;
    let mut session = session.filter(|_| !*has_new_settings).unwrap_or_else(|| Session {
        lint: LintSession::new(settings.options, settings.setup.clone(), CacheUse::ManyRuns),
        last: None,
    });
    session.lint.set_cancel_flag(cancel.clone());
    let last = session.last.as_deref();
    let analysis = match Analysis::run(&mut session.lint, &job.document(), last) {
        Err(_) if cancel.load(Ordering::Relaxed) => None,
        result => Some(result.unwrap_or_else(|_| Analysis::failed(&job.document(), last))),
    };
    let analysis = analysis.map(|mut analysis| {
        (settings.levels)(&mut analysis.findings);
        (settings.levels)(&mut analysis.retained);
        Arc::new(analysis)
    });
    session.last = analysis.clone().or(session.last);
    (session, analysis)
}
