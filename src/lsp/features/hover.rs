//! Explains what is under the pointer: a table or column with its definition and history, a tag or
//! heading with what its migration does, a rule with its explanation.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::tag::Scope;
use crate::lsp::history::{History, definition, describe_target, history_of};
use crate::lsp::model::{Model, Step};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::target::{FoundName, find_name};

/// A text in Markdown about a part of the document.
struct Explanation {
    range: Range<usize>,
    text: String,
}

pub(crate) fn hover(snapshot: &Snapshot, position: lsp::Position) -> Option<lsp::Hover> {
    let offset = snapshot.offset(position);
    let found = rule_at(snapshot, offset).or_else(|| {
        let model = snapshot.model()?;
        explain_migration(snapshot, model, offset).or_else(|| explain_name(model, offset))
    })?;
    Some(lsp::Hover {
        contents: lsp::Contents::MarkupContent(lsp::MarkupContent {
            kind: lsp::MarkupKind::Markdown,
            value: found.text,
        }),
        range: Some(snapshot.range(found.range)),
    })
}

/// The rule whose name is at a byte of a `-- tatmig:allow`.
fn rule_at(snapshot: &Snapshot, offset: usize) -> Option<Explanation> {
    let text = &snapshot.text;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let line_start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let start = text[line_start..offset].rfind(|c| !is_word(c)).map_or(line_start, |at| {
        line_start + at + text[line_start + at..].chars().next().map_or(1, char::len_utf8)
    });
    let end = text[offset..].find(|c| !is_word(c)).map_or(text.len(), |at| offset + at);
    let is_allowed = text[line_start..start].trim_end().ends_with("tatmig:allow");
    let rule = Rule::from_name(&text[start..end]).filter(|_| is_allowed)?;
    let text = format!("**{}**\n\n{}", rule.name(), snapshot.host.explanation(rule));
    Some(Explanation { range: start..end, text })
}

fn explain_name(model: &Model, offset: usize) -> Option<Explanation> {
    let FoundName { step, range, target, .. } = find_name(model, offset)?;
    let mut text =
        format!("{}\n\n```sql\n{}\n```\n", describe_target(&target), definition(&target));
    let History { created, changed } = history_of(model, step, &target);
    for (verb, origin) in [("created in", created), ("last changed in", changed)] {
        if let Some(version) = origin.and_then(|origin| origin.version) {
            let _ = write!(text, "\n{verb} `{version}`\n");
        }
    }
    Some(Explanation { range, text })
}

/// What the migration does whose tag or heading contains a byte.
fn explain_migration(snapshot: &Snapshot, model: &Model, offset: usize) -> Option<Explanation> {
    let view = snapshot.view();
    let on_tag = model
        .steps
        .iter()
        .find(|step| step.tag_span.start <= offset && offset <= step.tag_span.end);
    let end_tag = || {
        let block =
            view.blocks.list.iter().find(|block| {
                view.end_tag_line(block).is_some_and(|line| line.contains(&offset))
            })?;
        model.step_at(block.tag_span.start)
    };
    let (range, steps): (Range<usize>, Vec<&Step>) = match on_tag.or_else(end_tag) {
        Some(step) => (step.tag_span.clone(), vec![step]),
        None => {
            let sections = &view.blocks.sections;
            let section = sections.iter().find(|section| section.span.contains(&offset))?;
            let versions = section.versions.as_ref()?;
            let steps = model.steps.iter().filter(|step| {
                let own = step.versions.as_ref();
                own.is_some_and(|(from, to)| (from, to) == (&versions.from, &versions.to))
            });
            (section.span.clone(), steps.collect())
        }
    };
    let findings = snapshot.analysis.as_ref().map_or(&[][..], |analysis| &analysis.findings);
    let texts = steps.iter().map(|step| describe_step(model, step, findings));
    let text = texts.collect::<Vec<_>>().join("\n\n");
    (!steps.is_empty()).then_some(Explanation { range, text })
}

/// The tables that a block touches, and what it destroys.
fn describe_step(model: &Model, step: &Step, findings: &[Diagnostic]) -> String {
    let mut text = match (&step.versions, step.scope) {
        (Some((from, to)), scope) => format!("**{from} → {to}**, {}", databases_of(scope)),
        (None, scope) => format!("**seed**, {}", databases_of(scope)),
    };
    if step.is_planned {
        text.push_str(", planned");
    }
    text.push_str("\n\n");
    let Some(script) = model.replay.script(step.scope, step.id) else { return text };
    let before = model.schema_before(step);
    let mut created = BTreeSet::new();
    let mut changed = BTreeSet::new();
    let mut dropped = BTreeSet::new();
    for (key, object) in &script.object_changes {
        match (before.get(key), object) {
            (None, Some(object)) => created.insert(format!("{} `{}`", object.kind, object.name)),
            (Some(_), Some(object)) => changed.insert(format!("{} `{}`", object.kind, object.name)),
            (Some(old), None) => dropped.insert(format!("{} `{}`", old.kind, old.name)),
            (None, None) => false,
        };
    }
    let rows: BTreeSet<String> = script
        .modified_tables
        .iter()
        .filter(|table| {
            let statements = &script.statements;
            statements.iter().any(|statement| {
                let effects = &statement.effects;
                effects.modified_tables.contains(*table) && effects.dropped_table.is_none()
            })
        })
        .map(|table| format!("`{table}`"))
        .collect();
    for (label, names) in
        [("creates", created), ("changes", changed), ("drops", dropped), ("writes rows of", rows)]
    {
        if !names.is_empty() {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "- {label} {names}");
        }
    }
    let destructive: Vec<&str> = findings
        .iter()
        .filter(|found| found.rule == Rule::Destructive && step.range.contains(&found.span.start))
        .map(|found| found.message.as_str())
        .collect();
    if !destructive.is_empty() {
        let _ = write!(text, "- **destructive**: {}", destructive.join("; "));
    } else if script.allows(Rule::Destructive) {
        text.push_str("- may be destructive: the block allows it with a reason");
    } else {
        text.push_str("- not destructive");
    }
    text
}

fn databases_of(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "system database",
        Scope::User => "user databases",
    }
}
