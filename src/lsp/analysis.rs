//! Analyses one text: its findings, and the model of the schema. While a text cannot be run, the model
//! of the last one that could serves on, and so do the findings in text that did not change.

use std::sync::Arc;
use std::time::Duration;

use crate::document::changelog::parse_source;
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::lines::trim_range;
use crate::edit::change::TextChange;
use crate::lint::session::{LintRun, LintSession};
use crate::lsp::model::Model;
use crate::source::Source;

/// What is known of one text.
pub(crate) struct Analysis {
    pub(crate) text: Arc<str>,
    pub(crate) version: i32,
    /// What `tatmig lint` reports of the text.
    pub(crate) findings: Vec<Diagnostic>,
    /// Findings of an earlier text, in parts that did not change, which `lint` cannot find while an
    /// error stops it.
    pub(crate) retained: Vec<Diagnostic>,
    /// The newest text that could be run, and its model.
    pub(crate) model: Option<Arc<AnalysedModel>>,
    /// The newest text without errors.
    base: Option<Arc<AnalysedModel>>,
}

/// A text to analyse.
pub(crate) struct AnalysedText<'t> {
    /// The name of the document, which messages show.
    pub(crate) name: &'t str,
    pub(crate) text: &'t Arc<str>,
    pub(crate) version: i32,
}

/// A model and the document that it is of.
pub(crate) struct AnalysedModel {
    pub(crate) text: Arc<str>,
    pub(crate) model: Model,
    findings: Vec<Diagnostic>,
    is_error_free: bool,
}

impl Analysis {
    /// Lints a text. `previous` is the analysis of the text before.
    ///
    /// # Errors
    ///
    /// The run was cancelled, or SQLite cannot create a database in memory.
    pub(crate) fn run(
        session: &mut LintSession,
        document: &AnalysedText<'_>,
        previous: Option<&Self>,
    ) -> rusqlite::Result<Self> {
        let AnalysedText { name, text, version } = *document;
        let LintRun { report, result, uncommented_text } = session.lint(Source::new(name, text))?;
        let findings = report.diagnostics;
        let is_error_free = !findings.iter().any(|found| found.severity == Severity::Error);
        let live_text = uncommented_text.map_or_else(|| text.clone(), Arc::from);
        let model = result.and_then(|result| {
            let changelog = parse_source(Source::new("", &live_text)).0.ok()?;
            let model = Model::new(&changelog, result);
            let text = text.clone();
            Some(Arc::new(AnalysedModel { text, model, findings: findings.clone(), is_error_free }))
        });
        let earlier = previous.and_then(|previous| previous.base.clone());
        let retained = match &earlier {
            Some(earlier) if !is_error_free => retained_findings(earlier, text, &findings),
            _ => Vec::new(),
        };
        let model = model.or_else(|| previous.and_then(|previous| previous.model.clone()));
        let base = match &model {
            Some(model) if model.is_error_free && Arc::ptr_eq(&model.text, text) => {
                Some(model.clone())
            }
            _ => earlier,
        };
        Ok(Self { text: text.clone(), version, findings, retained, model, base })
    }

    /// The analysis of a text whose run took too long. The part that changed since the text before is
    /// the likely cause.
    pub(crate) fn stopped(
        document: &AnalysedText<'_>,
        previous: Option<&Self>,
        limit: Duration,
    ) -> Self {
        let text = document.text;
        let span = previous.map_or(0..0, |previous| {
            let change = TextChange::between(&previous.text, text);
            change.old.start..change.new_end
        });
        let message =
            format!("the run of this document was stopped after {} s", limit.as_secs_f64());
        let finding = Diagnostic::new(Rule::Sql, trim_range(text, span), message)
            .severity(Severity::Warning)
            .help("a recursive `WITH` may have no end; `tatmig lint` has no limit");
        Self { findings: vec![finding], ..Self::failed(document, previous) }
    }

    /// The analysis of a text that could not be run because of an error that is not the document's:
    /// no findings, and the model of the text before.
    pub(crate) fn failed(document: &AnalysedText<'_>, previous: Option<&Self>) -> Self {
        Self {
            text: document.text.clone(),
            version: document.version,
            findings: Vec::new(),
            retained: Vec::new(),
            model: previous.and_then(|previous| previous.model.clone()),
            base: previous.and_then(|previous| previous.base.clone()),
        }
    }

    /// The model, if it is that of this text.
    pub(crate) fn current_model(&self) -> Option<&Model> {
        let analysed = self.model.as_ref()?;
        Arc::ptr_eq(&analysed.text, &self.text).then_some(&analysed.model)
    }
}

/// The findings of an earlier text that lie in its unchanged beginning or end, and that the new text
/// does not have.
fn retained_findings(
    earlier: &AnalysedModel,
    text: &str,
    findings: &[Diagnostic],
) -> Vec<Diagnostic> {
    let change = TextChange::between(&earlier.text, text);
    let moved = earlier.findings.iter().filter_map(|finding| move_finding(&change, finding));
    moved.filter(|finding| !findings.contains(finding)).collect()
}

/// The finding in a text that was changed; `None` if the change touched a part that it points to.
fn move_finding(change: &TextChange, finding: &Diagnostic) -> Option<Diagnostic> {
    let mut moved = finding.clone();
    moved.span = change.move_range(&finding.span)?;
    for (span, _) in &mut moved.related {
        *span = change.move_range(span)?;
    }
    Some(moved)
}
