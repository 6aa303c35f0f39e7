//! Finds the changes for each finding of lint by its rule.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::database::connection::ConnectionSetup;
use crate::document::changelog::parse_source;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::Fix;
use crate::edit::fix::{
    allow, columns, fence, guard, heading, merged, metadata, rebuild, reverse, tag_line,
};
use crate::edit::page::DocumentView;
use crate::lint::session::uncommented_text;
use crate::migrate::replay::Replay;
use crate::source::Source;

/// The changes for findings of a document, in the order of the findings; several for some of them,
/// and none for most. `today` is the date for migrations that lack one.
///
/// ````
/// use tatmig::edit::{FixSafety, find_fixes};
///
/// let text = "## Baseline: 1.0.0\n\n```postgresql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n";
/// let source = tatmig::Source::new("m.md", text);
/// let setup = Default::default();
/// let report = tatmig::lint::lint(source.clone(), &setup);
/// let fixes = find_fixes(&source, &report.diagnostics, "2026-05-04", &setup);
/// assert_eq!(fixes[0].title, "label the fence `sql`");
/// assert_eq!(fixes[0].safety, FixSafety::Safe);
/// assert!(fixes[0].apply(text).contains("```sql\n"));
/// ````
#[must_use]
pub fn find_fixes(
    source: &Source<'_>,
    findings: &[Diagnostic],
    today: &str,
    setup: &ConnectionSetup,
) -> Vec<Fix> {
    let request = FixInput { source, today, setup, replay: None };
    with_context(&request, |context| {
        findings.iter().flat_map(|finding| fixes_of(context, finding)).collect()
    })
}

/// What changes depend on.
pub(crate) struct FixInput<'r, 't> {
    pub(crate) source: &'r Source<'t>,
    pub(crate) today: &'r str,
    pub(crate) setup: &'r ConnectionSetup,
    /// The run of the document with its planned migrations uncommented, if it is known.
    pub(crate) replay: Option<Arc<Replay<'static>>>,
}

/// Reads a document in every way that changes need.
pub(crate) fn with_context<T>(
    request: &FixInput<'_, '_>,
    action: impl FnOnce(&FixContext<'_>) -> T,
) -> T {
    let source = request.source;
    let changelog = parse_source(source.clone()).0.ok();
    let uncommented = changelog.as_ref().and_then(|changelog| uncommented_text(changelog).ok()?);
    let live_text = uncommented.as_deref().unwrap_or(source.text());
    let replay = OnceCell::new();
    if let Some(known) = &request.replay {
        let _ = replay.set(Some(known.clone()));
    }
    action(&FixContext {
        view: DocumentView::parse(source.text()),
        live_view: DocumentView::parse(live_text),
        changelog,
        live_changelog: parse_source(Source::new(source.name(), live_text)).0.ok(),
        replay,
        today: request.today,
        setup: request.setup,
    })
}

/// The changes for one finding.
pub(crate) fn fixes_of(context: &FixContext<'_>, finding: &Diagnostic) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = match finding.rule {
        Rule::MalformedTag | Rule::BuildMetadata => tag_line::correct_tag(context, finding),
        Rule::MalformedHeading => heading::correct_versions(context, finding),
        Rule::MalformedPlanned => heading::mark_as_planned(context, finding),
        Rule::WrongFenceLabel => fence::label_fence(context, finding),
        Rule::StrayFence => fence::lengthen_template(context, finding),
        Rule::NotRerunnable => guard::add_guard(context, finding),
        Rule::PositionalCopy => columns::name_columns(context, finding),
        Rule::ReverseDiffers => reverse::complete_reverse(context, finding),
        Rule::Sql | Rule::NeedsEmptyTable => rebuild::rebuild_table(context, finding),
        Rule::Fork | Rule::DuplicateTag | Rule::DuplicateHeading => {
            merged::renumber_later(context, finding)
        }
        Rule::MissingDate => metadata::add_date(context, finding),
        Rule::MissingDescription => metadata::add_description(context, finding),
        _ => None,
    }
    .into_iter()
    .collect();
    fixes.extend(allow::add_allow(context, finding));
    fixes
}
