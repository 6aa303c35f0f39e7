//! Checks the headings of a document: version headings without a block, with the versions of another
//! one, or with a bracket that means nothing, and headings that are nearly what tatmig reads.

use std::collections::BTreeMap;

use crate::document::blocks::{Blocks, Section};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::heading::find_versions;
use crate::document::heading_pair::find_near_pair;
use crate::document::heading_suffix::{SuffixMeaning, find_planned_brackets, find_suffixes};
use crate::document::tag::VersionPair;

/// Reports what is wrong with the headings of the document.
pub(crate) fn check_sections(blocks: &mut Blocks<'_>) {
    let mut diagnostics = Vec::new();
    check_duplicates(blocks, &mut diagnostics);
    for (index, section) in blocks.sections.iter().enumerate() {
        let is_planned = blocks.planned_section(Some(index)).is_some();
        match find_versions(&section.title) {
            Some((versions, range)) => {
                if !section.has_blocks {
                    diagnostics.push(empty_heading(section, &versions));
                }
                for suffix in find_suffixes(&section.title, &range) {
                    let text = section.title[suffix.range].trim();
                    match suffix.meaning {
                        SuffixMeaning::NearlyPlanned if is_planned => {}
                        SuffixMeaning::NearlyPlanned => {
                            diagnostics.push(malformed_planned(section, text));
                        }
                        SuffixMeaning::Unknown => diagnostics.push(unknown_suffix(section, text)),
                    }
                }
            }
            None => diagnostics.extend(check_unbound(section, is_planned)),
        }
    }
    blocks.diagnostics.append(&mut diagnostics);
}

/// Checks a heading without versions: it may nearly hold them, or nearly mark the migrations below
/// it as planned.
fn check_unbound(section: &Section<'_>, is_planned: bool) -> Option<Diagnostic> {
    let near_pair = find_near_pair(&section.title)
        .filter(|found| found.is_only_content || section.has_unbound_blocks);
    if let Some(near_pair) = near_pair {
        let text = &section.title[near_pair.range];
        let help = match near_pair.suggestion {
            Some(suggestion) => format!("write `{suggestion}`"),
            None => {
                "write two versions with an arrow between them, such as `1.0.0 → 1.1.0`".to_owned()
            }
        };
        let message = format!("`{text}` does not bind the tags below this heading to versions");
        let span = section.span.clone();
        return Some(Diagnostic::new(Rule::MalformedHeading, span, message).help(help));
    }
    let bracket = find_planned_brackets(&section.title)?;
    (section.has_blocks && !is_planned).then(|| malformed_planned(section, &section.title[bracket]))
}

fn malformed_planned(section: &Section<'_>, text: &str) -> Diagnostic {
    Diagnostic::new(
        Rule::MalformedPlanned,
        section.span.clone(),
        format!("`{text}` does not mark a migration as planned: it would be applied"),
    )
    .help("write exactly `(Planned)`, with other text after it, or use another word")
}

fn unknown_suffix(section: &Section<'_>, text: &str) -> Diagnostic {
    Diagnostic::new(
        Rule::UnknownHeadingSuffix,
        section.span.clone(),
        format!("`{text}` means nothing in the heading of a migration"),
    )
    .help("write `(Planned)` if it must not be applied yet; otherwise remove the brackets")
}

fn empty_heading(section: &Section<'_>, versions: &VersionPair) -> Diagnostic {
    let (from, to) = (&versions.from, &versions.to);
    Diagnostic::new(
        Rule::EmptyHeading,
        section.span.clone(),
        format!("no block for `{versions}` follows this heading"),
    )
    .help(format!(
        "add a block tagged `-- [user:{from}→{to}:start]`, or remove the versions from the heading"
    ))
}

fn duplicate_heading_help(versions: &VersionPair) -> String {
    let end = (&versions.from).max(&versions.to);
    format!(
        "put all blocks of the migration below one heading, or correct the versions of the other; if two branches added a migration each, `tatmig renumber {end} --after {end}` moves the second behind the first"
    )
}

/// Reports version headings with the same pair, of which neither is inside the other's section.
fn check_duplicates(blocks: &Blocks<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut first_sections: BTreeMap<&VersionPair, usize> = BTreeMap::new();
    for (index, section) in blocks.sections.iter().enumerate() {
        let Some(versions) = &section.versions else { continue };
        let first = *first_sections.entry(versions).or_insert(index);
        let mut ancestors = blocks.ancestors(Some(index));
        // Each section has its own span.
        let first_span = &blocks.sections[first].span;
        if ancestors.any(|ancestor| ancestor.span == *first_span) {
            continue;
        }
        diagnostics.push(
            Diagnostic::new(
                Rule::DuplicateHeading,
                section.span.clone(),
                format!("two headings are for `{versions}`"),
            )
            .label("the second heading")
            .related(first_span.clone(), "the first heading")
            .help(duplicate_heading_help(versions)),
        );
    }
}
