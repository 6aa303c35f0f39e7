//! Writes the heading of an imported migration and its description, with the name that the migration
//! has in its tool. A name can be any text, and must neither change the versions of the heading nor
//! make the migration planned.

use crate::document::heading::{find_versions, is_planned};
use crate::document::heading_suffix::find_suffixes;
use crate::document::tag::{VersionPair, VersionPoint};

/// The longest name that a heading shows, in characters.
const MAX_NAME_LEN: usize = 120;

/// The title of a migration, such as `0.1.0 → 0.1.1: 20240131120000_notes`.
pub(crate) fn title(versions: &VersionPair, name: &str) -> String {
    let pair = match &versions.from {
        VersionPoint::Baseline => format!("Baseline → {}", versions.to),
        VersionPoint::Version(_) => versions.to_string(),
    };
    let name = plain_text(name);
    let candidates = [name.clone(), format!("imported {name}"), format!("file {}", words(&name))];
    candidates
        .iter()
        .filter(|_| !name.is_empty())
        .map(|name| format!("{pair}: {name}"))
        .find(|title| is_read_as(title, versions))
        .unwrap_or(pair)
}

/// Whether a title binds exactly these versions and has no suffix that means or resembles something.
fn is_read_as(title: &str, versions: &VersionPair) -> bool {
    find_versions(title).is_some_and(|(found, range)| {
        found == *versions && !is_planned(title) && find_suffixes(title, &range).is_empty()
    })
}

/// A description of what a migration is for, from its name: `20240131120000_add_notes` becomes
/// `Add notes`. A name of numbers or hexadecimal digits stays as it is. `None` if the name says
/// nothing.
pub(crate) fn description(name: &str) -> Option<String> {
    let is_number = |word: &&str| {
        word.chars().all(|c| c.is_ascii_digit())
            || word.len() >= 10 && word.chars().all(|c| c.is_ascii_hexdigit())
    };
    let name = name.rsplit_once("__").map_or(name, |(_, description)| description);
    let all = words(&plain_text(name));
    let text = all.split(' ').skip_while(is_number).collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return (!all.is_empty()).then_some(all);
    }
    let mut characters = text.chars();
    let first = characters.next()?;
    Some(first.to_uppercase().chain(characters).collect())
}

/// A name in one line, with characters of Markdown replaced.
fn plain_text(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | ',' | '+');
    let text: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let text: String = text.trim_matches([' ', '_', '-', '.']).chars().take(MAX_NAME_LEN).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a name, with single spaces between them.
fn words(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> VersionPair {
        let point = |text| VersionPoint::parse(text).unwrap();
        VersionPair::new(point("0.1.0"), point("0.1.1"))
    }

    #[test]
    fn a_heading_shows_the_name() {
        for (name, expected) in [
            ("20240131120000_notes", "0.1.0 → 0.1.1: 20240131120000_notes"),
            ("2024-01-31-120000_notes", "0.1.0 → 0.1.1: 2024-01-31-120000_notes"),
            ("V1.2__add_notes", "0.1.0 → 0.1.1: V1.2__add_notes"),
            ("create_todo", "0.1.0 → 0.1.1: create_todo"),
            ("größe_日本", "0.1.0 → 0.1.1: größe_日本"),
            ("planned", "0.1.0 → 0.1.1: imported planned"),
            ("wip", "0.1.0 → 0.1.1: imported wip"),
            ("notes - draft", "0.1.0 → 0.1.1: file notes draft"),
            ("notes (wip)", "0.1.0 → 0.1.1: notes _wip"),
            ("notes (Planned)", "0.1.0 → 0.1.1: notes _Planned"),
            ("a `b` *c* [d](e) <f>\n# g", "0.1.0 → 0.1.1: a _b_ _c_ _d__e_ _f___ g"),
            ("", "0.1.0 → 0.1.1"),
            ("***", "0.1.0 → 0.1.1"),
        ] {
            assert_eq!(title(&pair(), name), expected, "{name:?}");
        }
    }

    #[test]
    fn no_name_changes_what_a_heading_means() {
        let baseline = VersionPair::new(VersionPoint::Baseline, pair().from);
        for name in [
            "1.0.0 → 2.0.0",
            "baseline -> 3.0.0",
            "v1.0.0_to_v2.0.0",
            ".1",
            "+build",
            "-rc.1",
            "→ 9.9.9",
            "todo",
            "plan: x",
            "x — planned",
            "-- unreleased",
            "(Planned",
            "［planned］",
            "a\u{202e}b\0c",
        ] {
            for versions in [pair(), baseline.clone()] {
                let title = title(&versions, name);
                assert!(is_read_as(&title, &versions), "{title}");
                assert!(!title.contains(char::is_control), "{title:?}");
            }
        }
    }

    #[test]
    fn a_description_is_made_of_the_words_of_the_name() {
        for (name, expected) in [
            ("20240131120000_add_notes", Some("Add notes")),
            ("2024-01-31-120000_add-notes", Some("Add notes")),
            ("V1.2__add_notes", Some("Add notes")),
            ("0001_élan", Some("Élan")),
            ("0001", Some("0001")),
            ("a1b2c3d4e5f6", Some("a1b2c3d4e5f6")),
            ("a1b2c3d4e5f6_add_notes", Some("Add notes")),
            ("", None),
            ("***", None),
        ] {
            assert_eq!(description(name).as_deref(), expected, "{name}");
        }
    }
}
