//! Reads headings: their level, the versions that they bind the tags below them to, and `(Planned)`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::document::tag::{VersionPair, VersionPoint};
use crate::document::version_text::continues_version;

static FULL_VERSION: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?"));
static HEADING_VERSIONS: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(
        r"(?ix)(?:^|[^0-9A-Za-z.])v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*?[0-9A-Za-z])?|baseline)\s*(?:→|->)\s*
          v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?|baseline)",
    )
});

/// The level and the title of a line that is an ATX heading: one to six `#`, then white space.
pub(crate) fn parse_atx_heading(line: &str) -> Option<(u8, &str)> {
    let line = line.trim();
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &line[level..];
    let level = u8::try_from(level).ok().filter(|level| (1..=6).contains(level))?;
    rest.starts_with([' ', '\t']).then(|| (level, rest.trim().trim_end_matches('#').trim_end()))
}

/// Whether a heading holds `(Planned)`, in any case of letters, which makes every migration below it
/// planned.
pub(crate) fn is_planned(title: &str) -> bool {
    if !title.contains('(') {
        return false;
    }
    let lower = title.to_lowercase();
    lower
        .split('(')
        .skip(1)
        .any(|rest| rest.split_once(')').is_some_and(|(word, _)| word.trim() == "planned"))
}

/// The versions that a heading binds the tags below it to: `X → Y`, or the word Baseline and one
/// version.
pub(crate) fn heading_versions(text: &str) -> Option<VersionPair> {
    find_versions(text).map(|(versions, _)| versions)
}

/// The versions of a heading, and the byte range that they have in its title.
pub(crate) fn find_versions(text: &str) -> Option<(VersionPair, Range<usize>)> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // In nearly every heading the versions are the two words around the only arrow. The pattern is
    // slower.
    if let Some((left, right)) = text.split_once('→').filter(|_| !text.contains('>'))
        && let Some(from_text) = left.split_whitespace().next_back()
        && let Some(to_text) = right.split_whitespace().next()
        && let Some(from) = VersionPoint::parse(from_text)
        && let Some(to) = VersionPoint::parse(to_text)
    {
        let start = left.trim_end().len() - from_text.len();
        let end = text.len() - right.trim_start().len() + to_text.len();
        return Some((VersionPair::new(from, to), start..end));
    }
    // The pattern has no groups: capturing them is much slower than finding the pair.
    if let Some(found) = HEADING_VERSIONS.find(text) {
        if continues_version(&text[found.end()..]) {
            return None;
        }
        // The match begins with the character before the versions, which may be a bracket.
        let pair = found.as_str().trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let (from, to) = pair.split_once(['→', '>'])?;
        let versions = VersionPair::new(parse_loosely(from)?, parse_loosely(to)?);
        return Some((versions, found.end() - pair.len()..found.end()));
    }
    let has_baseline = text
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("baseline"));
    let mut versions = FULL_VERSION.find_iter(text);
    match (has_baseline, versions.next(), versions.next()) {
        (true, Some(version), None) if !continues_version(&text[version.end()..]) => {
            let to = VersionPoint::parse(version.as_str())?;
            Some((VersionPair::new(VersionPoint::Baseline, to), version.range()))
        }
        _ => None,
    }
}

/// Parses a version that may have a `v` before it and other characters around it.
fn parse_loosely(text: &str) -> Option<VersionPoint> {
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    VersionPoint::parse(text).or_else(|| VersionPoint::parse(&text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_names_two_versions_or_a_baseline() {
        let versions =
            |text: &str| heading_versions(text).map(|pair| format!("{}→{}", pair.from, pair.to));
        assert_eq!(
            versions("Migration: 0.3.19 → 0.3.20 (Planned)").as_deref(),
            Some("0.3.19→0.3.20")
        );
        assert_eq!(versions("v1.0.0-rc.1->1.0.0").as_deref(), Some("1.0.0-rc.1→1.0.0"));
        assert_eq!(versions("Baseline: 0.3.19").as_deref(), Some("baseline→0.3.19"));
        assert_eq!(versions("Baseline → 0.3.19").as_deref(), Some("baseline→0.3.19"));
        assert_eq!(versions("System Database Schema (0.3.19)"), None);
        assert_eq!(versions("Migration: [from_version] → [to_version]"), None);
    }

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&FULL_VERSION, &HEADING_VERSIONS] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
