//! Reads the text of a version heading beside its versions: brackets and words that were meant to be
//! `(Planned)`, and brackets that mean nothing.

use std::ops::Range;

use strsim::osa_distance;

use crate::document::heading::is_planned;

/// Words that people write for `(Planned)`.
const PLANNED_WORDS: [&str; 7] =
    ["plan", "draft", "wip", "todo", "unreleased", "pending", "future"];

/// Those of them that are rarely the name of something in a database.
const UNAMBIGUOUS_WORDS: [&str; 2] = ["wip", "unreleased"];

/// Words around the versions of a heading that do not describe the migration.
pub(crate) const FILLER_WORDS: [&str; 14] = [
    "baseline",
    "database",
    "for",
    "from",
    "migration",
    "migrations",
    "release",
    "schema",
    "the",
    "to",
    "update",
    "upgrade",
    "v",
    "version",
];

/// A part of a heading that is not its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suffix {
    /// The byte range in the title, brackets included.
    pub(crate) range: Range<usize>,
    pub(crate) meaning: SuffixMeaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuffixMeaning {
    /// It was probably meant to be `(Planned)`.
    NearlyPlanned,
    /// A bracket behind the versions with another text.
    Unknown,
}

/// The parts of a title that are nearly `(Planned)`, or brackets without a meaning. `versions` is
/// the byte range of the versions in the title.
pub(crate) fn find_suffixes(title: &str, versions: &Range<usize>) -> Vec<Suffix> {
    let mut suffixes = Vec::new();
    for part in parts(title, versions) {
        let text = &title[part.content.clone()];
        let is_planned = is_planned(&title[part.whole.clone()]);
        let is_near = !is_planned
            && match part.kind {
                PartKind::Bracket => is_planned_bracket(text),
                PartKind::AfterDash => is_nearly_planned(text) || starts_with_planned(text),
                PartKind::Text => is_planned_text(text),
            };
        let is_known = is_planned || part.kind != PartKind::Bracket || text.trim().is_empty();
        if is_near {
            let meaning = SuffixMeaning::NearlyPlanned;
            suffixes.push(Suffix { range: part.whole, meaning });
        } else if !is_known && part.whole.start >= versions.end {
            suffixes.push(Suffix { range: part.whole, meaning: SuffixMeaning::Unknown });
        }
    }
    suffixes
}

/// The brackets of a title without versions that are nearly `(Planned)`.
pub(crate) fn find_planned_brackets(title: &str) -> Option<Range<usize>> {
    parts(title, &(0..0))
        .into_iter()
        .find(|part| {
            part.kind == PartKind::Bracket
                && !is_planned(&title[part.whole.clone()])
                && is_planned_bracket(&title[part.content.clone()])
        })
        .map(|part| part.whole)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartKind {
    Bracket,
    /// Text behind a dash of any kind.
    AfterDash,
    /// Text behind the versions or a colon, or before the versions.
    Text,
}

struct Part {
    kind: PartKind,
    /// With its brackets.
    whole: Range<usize>,
    /// Without them.
    content: Range<usize>,
}

/// The closing bracket that belongs to an opening one.
fn closing_bracket(character: char) -> Option<char> {
    Some(match character {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '（' => '）',
        '【' => '】',
        _ => return None,
    })
}

pub(crate) fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '−' | '~')
}

/// Splits a title at brackets, dashes and colons. What contains the versions is left out.
fn parts(title: &str, versions: &Range<usize>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut kind = PartKind::Text;
    let mut start = 0;
    let mut position = 0;
    let add = |kind, range: Range<usize>, parts: &mut Vec<Part>| {
        parts.push(Part { kind, whole: range.clone(), content: range });
    };
    while let Some(character) = title[position..].chars().next() {
        let next = position + character.len_utf8();
        if position == versions.start && !versions.is_empty() {
            add(kind, start..position, &mut parts);
            (kind, start, position) = (PartKind::Text, versions.end, versions.end);
        } else if let Some(closing) = closing_bracket(character) {
            let length = title[next..].find(closing);
            let end = length.map_or(title.len(), |length| next + length);
            let whole_end = length.map_or(end, |_| end + closing.len_utf8());
            if !versions.is_empty() && (next..end).contains(&versions.start) {
                // The versions themselves are in brackets.
                position = next;
                continue;
            }
            add(kind, start..position, &mut parts);
            parts.push(Part {
                kind: PartKind::Bracket,
                whole: position..whole_end,
                content: next..end,
            });
            (kind, start, position) = (PartKind::Text, whole_end, whole_end);
        } else if is_separating_dash(title, position, character) || character == ':' {
            add(kind, start..position, &mut parts);
            kind = if character == ':' { PartKind::Text } else { PartKind::AfterDash };
            (start, position) = (next, next);
        } else {
            position = next;
        }
    }
    add(kind, start..title.len(), &mut parts);
    parts
}

/// Whether a dash separates two parts of a title. A hyphen does so only with a space beside it.
fn is_separating_dash(title: &str, position: usize, character: char) -> bool {
    let has_space = title[..position].ends_with([' ', '-'])
        || title[position + character.len_utf8()..].starts_with([' ', '-']);
    is_dash(character) && (!matches!(character, '-' | '\u{2010}' | '\u{2011}') || has_space)
}

fn trim_marks(text: &str) -> &str {
    text.trim_matches(|character: char| !character.is_alphanumeric())
}

/// Whether the whole text is nearly `planned`, or a word that people write for it.
fn is_nearly_planned(text: &str) -> bool {
    let word = trim_marks(text).to_lowercase();
    PLANNED_WORDS.contains(&word.as_str())
        || word.len() <= 16 && osa_distance(&word, "planned") <= 2
}

/// Whether the first word of a text is `planned`.
fn starts_with_planned(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or("");
    trim_marks(first).eq_ignore_ascii_case("planned")
}

fn is_planned_bracket(text: &str) -> bool {
    // `(WIP: notes)`, but not `(draft posts)`.
    let text = text.trim_start();
    let first = text.find(|character: char| !character.is_alphanumeric());
    let is_followed_by_mark = first.is_some_and(|end| {
        text[end..].trim_start().starts_with(|next: char| !next.is_alphanumeric())
    });
    let first = first.map_or(text, |end| &text[..end]);
    is_nearly_planned(text)
        || text.to_lowercase().starts_with("planned")
        || is_followed_by_mark && is_nearly_planned(first)
}

/// Whether text outside brackets, without words such as `migration`, is nearly `planned`. It may
/// as well describe the migration, so that fewer words count.
fn is_planned_text(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut words = lower
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty() && !FILLER_WORDS.contains(word));
    let (Some(word), None) = (words.next(), words.next()) else { return false };
    UNAMBIGUOUS_WORDS.contains(&word) || word.len() <= 16 && osa_distance(word, "planned") <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The suffixes of a title whose versions are `1.0.0 → 1.1.0`.
    fn suffixes(title: &str) -> Vec<(String, SuffixMeaning)> {
        let versions = "1.0.0 → 1.1.0";
        let start = title.find(versions).unwrap();
        find_suffixes(title, &(start..start + versions.len()))
            .into_iter()
            .map(|suffix| (title[suffix.range].trim().to_owned(), suffix.meaning))
            .collect()
    }

    #[test]
    fn words_that_are_nearly_planned_are_found() {
        for (title, suffix) in [
            ("1.0.0 → 1.1.0 (Planed)", "(Planed)"),
            ("1.0.0 → 1.1.0 (plan)", "(plan)"),
            ("1.0.0 → 1.1.0 (WIP)", "(WIP)"),
            ("1.0.0 → 1.1.0 (Draft!)", "(Draft!)"),
            ("1.0.0 → 1.1.0 (Planned for June)", "(Planned for June)"),
            ("1.0.0 → 1.1.0 (Planned", "(Planned"),
            ("1.0.0 → 1.1.0 (WIP: notes)", "(WIP: notes)"),
            ("1.0.0 → 1.1.0 [Planned]", "[Planned]"),
            ("1.0.0 → 1.1.0 （planned）", "（planned）"),
            ("1.0.0 → 1.1.0 — Planned", "Planned"),
            ("1.0.0 → 1.1.0 – draft", "draft"),
            ("1.0.0 → 1.1.0 - Future", "Future"),
            ("1.0.0 → 1.1.0 -- planned for June", "planned for June"),
            ("1.0.0 → 1.1.0—unreleased", "unreleased"),
            ("1.0.0 → 1.1.0: notes — pending", "pending"),
            ("1.0.0 → 1.1.0: Planned", "Planned"),
            ("1.0.0 → 1.1.0 Planned", "Planned"),
            ("Planned: 1.0.0 → 1.1.0", "Planned"),
            ("Planned migration 1.0.0 → 1.1.0", "Planned migration"),
            ("[WIP] 1.0.0 → 1.1.0", "[WIP]"),
            ("(Planed) 1.0.0 → 1.1.0", "(Planed)"),
        ] {
            let expected = vec![(suffix.to_owned(), SuffixMeaning::NearlyPlanned)];
            assert_eq!(suffixes(title), expected, "{title}");
        }
    }

    #[test]
    fn other_brackets_are_unknown_and_other_words_are_a_description() {
        for (title, expected) in [
            ("1.0.0 → 1.1.0", None),
            ("1.0.0 → 1.1.0 (Planned)", None),
            ("1.0.0 → 1.1.0 (PLANNED)", None),
            ("1.0.0 → 1.1.0 (Planned) — drafts of posts", None),
            ("1.0.0 → 1.1.0 — Draft posts", None),
            ("1.0.0 → 1.1.0 — plans and prices", None),
            ("1.0.0 → 1.1.0: todo", None),
            ("1.0.0 → 1.1.0: planets", None),
            ("1.0.0 → 1.1.0 follow-up", None),
            ("(1.0.0 → 1.1.0)", None),
            ("[1.0.0 → 1.1.0] - 2026-01-31", None),
            ("(two tables) 1.0.0 → 1.1.0", None),
            ("1.0.0 → 1.1.0 (Q3)", Some("(Q3)")),
            ("1.0.0 → 1.1.0 (draft posts)", Some("(draft posts)")),
            ("1.0.0 → 1.1.0 [not planned]", Some("[not planned]")),
        ] {
            let expected: Vec<_> = expected
                .map(|text| (text.to_owned(), SuffixMeaning::Unknown))
                .into_iter()
                .collect();
            assert_eq!(suffixes(title), expected, "{title}");
        }
    }
}
