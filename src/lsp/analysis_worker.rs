//! Lints the newest text of each document on a thread of its own. A newer text replaces one that
//! waits, and ends the run of an older one.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::lint::session::LintSession;
use crate::lsp::analysis::{AnalysedText, Analysis};
use crate::lsp::host::DocumentSettings;
use crate::migrate::chain_cache::CacheUse;

/// How long a text waits for a newer one: less than the time between two keys, and enough for the
/// changes that an editor sends at once.
const DEBOUNCE: Duration = Duration::from_millis(15);

/// How long one text may run. A recursive `WITH` that a person is still typing may have no end, and
/// would use ever more memory.
const MAX_RUN: Duration = Duration::from_mins(1);

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
                    let analysed =
                        catch_unwind(AssertUnwindSafe(|| analyse(&job, session, MAX_RUN)));
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
fn analyse(
    job: &TextToAnalyse,
    session: Option<Session>,
    max_run: Duration,
) -> (Session, Option<Arc<Analysis>>) {
    let TextToAnalyse { settings, has_new_settings, cancel, .. } = job;
    let mut session = session.filter(|_| !*has_new_settings).unwrap_or_else(|| Session {
        lint: LintSession::new(settings.options, settings.setup.clone(), CacheUse::ManyRuns),
        last: None,
    });
    session.lint.set_cancel_flag(cancel.clone());
    let last = session.last.as_deref();
    let (result, end) =
        run_with_limit(max_run, cancel, || Analysis::run(&mut session.lint, &job.document(), last));
    let analysis = match (result, end) {
        (Ok(analysis), _) => Some(analysis),
        (Err(_), RunEnd::Stopped) => Some(Analysis::stopped(&job.document(), last, max_run)),
        (Err(_), RunEnd::Finished) if cancel.load(Ordering::Relaxed) => None,
        (Err(_), RunEnd::Finished) => Some(Analysis::failed(&job.document(), last)),
    };
    let analysis = analysis.map(|mut analysis| {
        (settings.levels)(&mut analysis.findings);
        (settings.levels)(&mut analysis.retained);
        Arc::new(analysis)
    });
    session.last = analysis.clone().or(session.last);
    (session, analysis)
}

/// How a run with a limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunEnd {
    Finished,
    /// It took too long, and its cancel flag was set.
    Stopped,
}

/// Runs `work`, and sets its cancel flag if it takes longer than the limit.
fn run_with_limit<T>(
    limit: Duration,
    cancel: &AtomicBool,
    work: impl FnOnce() -> T,
) -> (T, RunEnd) {
    let (finished, is_finished) = mpsc::channel::<()>();
    thread::scope(move |scope| {
        let watch = scope.spawn(move || match is_finished.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => {
                cancel.store(true, Ordering::Relaxed);
                RunEnd::Stopped
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => RunEnd::Finished,
        });
        let result = work();
        drop(finished);
        (result, watch.join().unwrap_or(RunEnd::Finished))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::connection::ConnectionSetup;
    use crate::lint::LintOptions;

    fn job(sql: &str) -> TextToAnalyse {
        let text = format!(
            "## Baseline: 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n{sql}\n\
             -- [user:baseline→1.0.0:end]\n```\n"
        );
        TextToAnalyse {
            uri: "file:///m.md".to_owned(),
            name: "m.md".to_owned(),
            version: 1,
            text: text.into(),
            settings: DocumentSettings::new(LintOptions::default(), ConnectionSetup::default()),
            has_new_settings: false,
            cancel: Arc::default(),
        }
    }

    #[test]
    fn a_query_without_an_end_is_stopped_and_named_and_the_next_text_is_analysed() {
        let endless =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;";
        let limit = Duration::from_millis(200);
        let (session, first) = analyse(&job("SELECT a FROM t;"), None, MAX_RUN);
        assert!(first.unwrap().model.is_some());
        let typed = job(endless);
        let (session, stopped) = analyse(&typed, Some(session), limit);
        let stopped = stopped.unwrap();
        let [finding] = stopped.findings.as_slice() else { panic!("{:?}", stopped.findings) };
        assert!(finding.message.contains("was stopped after"), "{}", finding.message);
        assert!(typed.text[finding.span.clone()].contains("RECURSIVE"), "{:?}", finding.span);
        assert!(stopped.model.is_some());
        let (_, last) = analyse(&job("SELECT missing FROM t;"), Some(session), MAX_RUN);
        let messages: Vec<_> =
            last.unwrap().findings.iter().map(|found| found.message.clone()).collect();
        assert!(messages.iter().any(|found| found.contains("no such column")), "{messages:?}");
    }

    #[test]
    fn a_newer_text_ends_a_run_without_an_analysis() {
        let job = job("SELECT 1;");
        job.cancel.store(true, Ordering::Relaxed);
        assert!(analyse(&job, None, MAX_RUN).1.is_none());
    }
}
