//! Detects headings that nearly hold two versions, such as `1.0.0 => 1.1`, and suggests the correct
//! spelling.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::document::heading_suffix::{FILLER_WORDS, is_dash};
use crate::document::pattern::constant_pattern;
use crate::document::suggest::suggest_version;
use crate::document::tag::VersionPoint;

/// Two texts like versions with something like an arrow between them.
static NEAR_PAIR: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(
        r#"(?ix)
        (?:^|[^0-9a-z.])
        (v?\d+(?:\.[0-9a-z]+)*(?:-[0-9a-z][0-9a-z.-]*?)?(?:\+[0-9a-z.-]*[0-9a-z])?|baseline)
        [\s\])}"'’”*_\u{200b}-\u{200d}\u{2060}]*
        (?:
            (→|<?[-–—=~]+>|<[-–—=~]+|[←⇐⟵⬅]\u{fe0f}?|[⇒⟶⟹➔➙➛➜➝➞➡⮕↦»›]\u{fe0f}?|>>+)
            |(?:>|\sto\s|\s-+\s|\s?[–—]\s?|\s?\.\.+\s?|…)
        )
        [\s\[({"'‘“*_\u{200b}-\u{200d}\u{2060}]*(?:version\s+)?
        (v?\d+(?:\.[0-9a-z]+)*(?:-[0-9a-z.-]*[0-9a-z])?(?:\+[0-9a-z.-]*[0-9a-z])?|baseline)"#,
    )
});

/// A version behind the word Baseline.
static NEAR_VERSION: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"(?i)\bv?\d+(?:\.[0-9a-z]+)+(?:[-+][0-9a-z.+-]*[0-9a-z])?"));

/// A heading that nearly holds two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NearPair {
    /// The versions with all that is between them, as a byte range of the title.
    pub(crate) range: Range<usize>,
    /// The correct spelling, if both versions can be corrected.
    pub(crate) suggestion: Option<String>,
    /// Whether the heading says nothing else, so that it is no ordinary heading of a text.
    pub(crate) is_only_content: bool,
}

/// Checks a title that holds no pair of versions.
pub(crate) fn find_near_pair(title: &str) -> Option<NearPair> {
    if !title.contains(|character: char| character.is_ascii_digit()) {
        return None;
    }
    let Some(captures) = NEAR_PAIR.captures(title) else { return find_near_baseline(title) };
    let (from, to) = (captures.get(1)?, captures.get(3)?);
    let is_arrow = captures.get(2).is_some();
    let (is_from_full, is_to_full) = (is_full(from.as_str()), is_full(to.as_str()));
    let both_have_dots = has_dot(from.as_str()) && has_dot(to.as_str());
    let between = &title[from.end()..to.start()];
    let is_word = between.to_lowercase().contains("to");
    // `3.11 – 3.12` may be any range of numbers.
    let is_pair = if is_arrow {
        has_dot(from.as_str()) || has_dot(to.as_str())
    } else {
        both_have_dots && (is_word || is_from_full || is_to_full)
    };
    let is_backwards = captures.get(2).is_some_and(|arrow| points_left(arrow.as_str()));
    let (first, second) = if is_backwards { (to, from) } else { (from, to) };
    let suggestion = suggest_pair(first.as_str(), second.as_str());
    if !is_pair || suggestion.is_none() && !is_from_full && !is_to_full {
        return None;
    }
    let range = from.start()..to.end();
    Some(NearPair { is_only_content: is_only_content(title, &range), range, suggestion })
}

/// `Baseline: 1.0`, with one version that is not complete.
fn find_near_baseline(title: &str) -> Option<NearPair> {
    let has_baseline = title
        .split(|character: char| !character.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("baseline"));
    let mut versions = NEAR_VERSION.find_iter(title);
    let (true, Some(version), None) = (has_baseline, versions.next(), versions.next()) else {
        return None;
    };
    let suggestion =
        suggest_version(version.as_str()).map(|version| format!("Baseline: {version}"));
    let range = version.range();
    Some(NearPair { is_only_content: is_only_content(title, &range), range, suggestion })
}

fn points_left(arrow: &str) -> bool {
    arrow.starts_with(['<', '←', '⇐', '⟵', '⬅']) && !arrow.ends_with('>')
}

fn suggest_pair(from: &str, to: &str) -> Option<String> {
    let (from, to) = (suggest_version(from)?, suggest_version(to)?);
    (from != to).then(|| format!("{from} → {to}"))
}

fn is_full(text: &str) -> bool {
    let text = text.trim_start_matches(['v', 'V']).to_lowercase();
    VersionPoint::parse(&text).is_some_and(|point| point.version().is_some())
}

fn has_dot(text: &str) -> bool {
    text.contains('.') || text.eq_ignore_ascii_case("baseline")
}

/// Whether the words before the versions, and those behind them up to a bracket, a dash or a colon,
/// describe nothing.
fn is_only_content(title: &str, range: &Range<usize>) -> bool {
    let is_separator =
        |character: char| is_dash(character) || matches!(character, '(' | '[' | ':' | '{');
    let behind = title[range.end..].split(is_separator).next().unwrap_or("");
    let mut words = [&title[..range.start], behind]
        .into_iter()
        .flat_map(|text| text.split(|character: char| !character.is_alphanumeric()))
        .filter(|word| !word.is_empty());
    words.all(|word| FILLER_WORDS.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_pairs_are_found_with_their_correct_spelling() {
        for (title, suggestion) in [
            ("1.0.0 → 1.1", "1.0.0 → 1.1.0"),
            ("1.0 → 1.1", "1.0.0 → 1.1.0"),
            ("1 → 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 => 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 --> 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 ⇒ 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 ➡️ 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 > 1.1.0", "1.0.0 → 1.1.0"),
            ("v1.0.0 to v1.1.0", "1.0.0 → 1.1.0"),
            ("Migration from 1.0.0 to version 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 – 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 - 1.1.0 (Planned)", "1.0.0 → 1.1.0"),
            ("1.0.0..1.1.0", "1.0.0 → 1.1.0"),
            ("[1.0.0] → [1.1.0]", "1.0.0 → 1.1.0"),
            ("01.0.0 → 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 →\u{200b} 1.1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 → 1.1.0.0", "1.0.0 → 1.1.0"),
            ("1.0.0 → 1.1.0+linux", "1.0.0 → 1.1.0"),
            ("1.0.0-rc.1 => 1.0.0", "1.0.0-rc.1 → 1.0.0"),
            ("Baseline → 1.0", "baseline → 1.0.0"),
            ("baseline to 1.0.0: notes", "baseline → 1.0.0"),
            ("Baseline: 1.0", "Baseline: 1.0.0"),
            ("1.0.0 => 1.1.0: two tables", "1.0.0 → 1.1.0"),
            ("1.1.0 ← 1.0.0", "1.0.0 → 1.1.0"),
            ("1.1.0 <- 1.0.0", "1.0.0 → 1.1.0"),
            ("1.1.0 <= 1.0", "1.0.0 → 1.1.0"),
            ("1.0.0 <-> 1.1.0", "1.0.0 → 1.1.0"),
        ] {
            let found = find_near_pair(title).unwrap_or_else(|| panic!("{title}"));
            assert_eq!(found.suggestion.as_deref(), Some(suggestion), "{title}");
            assert!(found.is_only_content, "{title}");
        }
    }

    #[test]
    fn ordinary_headings_hold_no_pair() {
        for title in [
            "Version 1.2 notes",
            "1.1.0",
            "[1.1.0] - 2026-01-31",
            "Steps 1 to 3",
            "Step 1 → step 2",
            "1 → 2",
            "2025 – 2026",
            "Python 3.11 – 3.12",
            "10 > 5",
            "2026-01-01 to 2026-02-01",
            "Baseline",
            "Baseline of 2026",
        ] {
            assert_eq!(find_near_pair(title), None, "{title}");
        }
        let prose = find_near_pair("Upgrading from 1.0 to 1.1 of Foo").unwrap();
        assert!(!prose.is_only_content);
    }

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&NEAR_PAIR, &NEAR_VERSION] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
