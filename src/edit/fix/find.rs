//! Finds the changes for each finding of lint by its rule.

use crate::database::connection::ConnectionSetup;
use crate::document::changelog::parse_source;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::Fix;
use crate::edit::fix::{allow, columns, fence, guard, metadata, tag_line};
use crate::edit::page::DocumentView;
use crate::lint::uncommented_text;
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
    let changelog = parse_source(source.clone()).0.ok();
    let uncommented = changelog.as_ref().and_then(|changelog| uncommented_text(changelog).ok()?);
    let live_source = match &uncommented {
        Some(text) => Source::new(source.name(), text),
        None => source.clone(),
    };
    let live_changelog = parse_source(live_source).0.ok();
    let context = FixContext {
        view: DocumentView::parse(source.text()),
        changelog,
        live_changelog,
        replay: std::cell::OnceCell::new(),
        today,
        setup,
    };
    findings.iter().flat_map(|finding| fixes_of(&context, finding)).collect()
}

/// The changes for one finding.
fn fixes_of(context: &FixContext<'_>, finding: &Diagnostic) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = match finding.rule {
        Rule::MalformedTag | Rule::BuildMetadata => tag_line::correct_tag(context, finding),
        Rule::WrongFenceLabel => fence::label_fence(context, finding),
        Rule::StrayFence => fence::lengthen_template(context, finding),
        Rule::NotRerunnable => guard::add_guard(context, finding),
        Rule::PositionalCopy => columns::name_columns(context, finding),
        Rule::MissingDate => metadata::add_date(context, finding),
        Rule::MissingDescription => metadata::add_description(context, finding),
        _ => None,
    }
    .into_iter()
    .collect();
    fixes.extend(allow::add_allow(context, finding));
    fixes
}
