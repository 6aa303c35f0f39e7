//! Shows above each migration on how many databases it is pending, and offers to rehearse and test it;
//! behind its tag, how the last rehearsal went.

use gen_lsp_types as lsp;
use semver::Version;
use serde_json::Value;

use crate::document::changelog::StepId;
use crate::lsp::features::commands::{REHEARSE, STATUS, TEST};
use crate::lsp::fleet::databases;
use crate::lsp::model::{Model, Step};
use crate::lsp::snapshot::Snapshot;

/// Lenses at the heading of each migration, or at its first tag.
pub(crate) fn code_lenses(snapshot: &Snapshot) -> Vec<lsp::CodeLens> {
    let Some(model) = snapshot.model() else { return Vec::new() };
    let view = snapshot.view();
    let mut lenses = Vec::new();
    for (step, version) in migrations(model) {
        let block =
            view.blocks.list.iter().find(|block| block.tag_span.start == step.tag_span.start);
        let section = block.and_then(|block| view.owning_section(block.section));
        let span = section.map_or_else(
            || step.tag_span.clone(),
            |section| view.blocks.sections[section].span.clone(),
        );
        let range = snapshot.range(span.start..span.start);
        let mut add = |title: String, command: &str| {
            let arguments =
                vec![Value::from(snapshot.uri.0.clone()), Value::from(version.to_string())];
            lenses.push(lsp::CodeLens {
                range,
                command: Some(lsp::Command {
                    title,
                    command: command.to_owned(),
                    arguments: Some(arguments),
                    tooltip: None,
                }),
                data: None,
            });
        };
        if let Some(pending) = &snapshot.fleet.pending {
            let title = match pending.get(version) {
                Some(count) => format!("pending on {}", databases(*count)),
                None if step.is_planned => "planned".to_owned(),
                None => "pending on no database".to_owned(),
            };
            add(title, STATUS);
        }
        add("rehearse".to_owned(), REHEARSE);
        add("test".to_owned(), TEST);
    }
    lenses
}

/// The result of the last rehearsal, behind the start tags of the migration.
pub(crate) fn inlay_hints(snapshot: &Snapshot, within: lsp::Range) -> Vec<lsp::InlayHint> {
    let Some(model) = snapshot.model() else { return Vec::new() };
    let within = snapshot.offset(within.start)..=snapshot.offset(within.end);
    let steps =
        migrations(model).into_iter().filter(|(step, _)| within.contains(&step.tag_span.end));
    steps
        .filter_map(|(step, version)| {
            let rehearsal = snapshot.fleet.rehearsed.get(version)?;
            let rows = match rehearsal.rows {
                Some(1) => ", 1 row".to_owned(),
                Some(rows) => format!(", {rows} rows"),
                None => String::new(),
            };
            let time = match rehearsal.passed {
                0 => String::new(),
                _ => format!(", {} ms", rehearsal.milliseconds),
            };
            Some(lsp::InlayHint {
                position: snapshot.index.position(&snapshot.text, step.tag_span.end),
                label: lsp::Label::String(format!(
                    "rehearsed: {}{rows}{time}",
                    rehearsal.databases()
                )),
                padding_left: Some(true),
                kind: None,
                text_edits: None,
                tooltip: None,
                padding_right: None,
                data: None,
            })
        })
        .collect()
}

/// The first block of each migration up the chain, with the version that it leads to.
fn migrations(model: &Model) -> Vec<(&Step, &Version)> {
    let mut migrations: Vec<(&Step, &Version)> = Vec::new();
    for step in &model.steps {
        let is_up = matches!(step.id, StepId::Forward(_) | StepId::Baseline(_));
        let version = step.versions.as_ref().filter(|_| is_up).and_then(|(_, to)| to.version());
        let Some(version) = version else { continue };
        match migrations.iter_mut().find(|(other, _)| other.id == step.id) {
            Some((first, _)) if step.tag_span.start < first.tag_span.start => *first = step,
            Some(_) => {}
            None => migrations.push((step, version)),
        }
    }
    migrations.sort_by_key(|(step, _)| step.tag_span.start);
    migrations
}
