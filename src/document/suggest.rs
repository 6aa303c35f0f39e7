//! Suggests the tag that a malformed line was probably meant to be.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use strsim::osa_distance;

use crate::document::pattern::constant_pattern;
use crate::document::tag::{BlockBoundary, Scope, VersionPoint};

/// A version or what resembles one: `1.2.3`, `v0.4`, `Baseline`.
pub(crate) static VERSION_LIKE: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"(?i)\bv?\d[0-9A-Za-z.+-]*|\bbaseline\b"));

/// The tag that replaces a malformed one; both versions are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SuggestedTag {
    scope: Scope,
    from: String,
    to: String,
    pub(crate) boundary: BlockBoundary,
}

impl fmt::Display for SuggestedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-- [{}:{}→{}:{}]", self.scope, self.from, self.to, self.boundary)
    }
}

/// Suggests a tag for the text of a malformed one, brackets excluded; `None` unless the scope, both
/// versions and `start` or `end` can be guessed.
pub(crate) fn suggest_tag(text: &str) -> Option<SuggestedTag> {
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let (first_word, last_word) = first_and_last_word(text);
    let (scope, boundary) = (suggest_scope(first_word)?, suggest_boundary(last_word)?);
    let mut versions =
        VERSION_LIKE.find_iter(text).filter_map(|found| suggest_version(found.as_str()));
    let (from, to) = (versions.next()?, versions.next()?);
    Some(SuggestedTag { scope, from, to, boundary })
}

/// The first and the last word of a text: letters and underscores. Either may be empty.
pub(crate) fn first_and_last_word(text: &str) -> (&str, &str) {
    // A letter of another script may look like the right one.
    let is_word = |c: char| c.is_alphabetic() || c == '_';
    let first = text.find(|c| !is_word(c)).map_or(text, |end| &text[..end]);
    let last = text.rsplit(|c| !is_word(c)).next().unwrap_or("");
    (first, last)
}

/// Corrects a version: `v0.4` → `0.4.0`.
pub(crate) fn suggest_version(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['-', '.', '+', '_']).to_lowercase();
    if text == "baseline" {
        return Some(text);
    }
    let text = text.trim_start_matches('v');
    let text = text.split('+').next().unwrap_or(text);
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(n, p)| (n, Some(p)));
    let mut numbers: Vec<String> = numbers
        .split('.')
        .take(3)
        .map(|number| number.parse::<u64>().ok().map(|number| number.to_string()))
        .collect::<Option<_>>()?;
    numbers.resize(3, "0".to_owned());
    let text = match pre {
        Some(pre) => format!("{}-{pre}", numbers.join(".")),
        None => numbers.join("."),
    };
    VersionPoint::parse(&text).map(|_| text)
}

/// The scope that a word is probably meant to be. `use` and `set` are words of SQL.
pub(crate) fn suggest_scope(word: &str) -> Option<Scope> {
    let word = word.to_lowercase();
    if matches!(word.as_str(), "use" | "set") {
        return None;
    }
    if osa_distance(&word, "user") <= 1 {
        Some(Scope::User)
    } else if word == "sys" || osa_distance(&word, "system") <= 2 {
        Some(Scope::System)
    } else {
        None
    }
}

/// The boundary that a word is probably meant to be. `and` is a word of prose.
pub(crate) fn suggest_boundary(word: &str) -> Option<BlockBoundary> {
    let word = word.to_lowercase();
    match word.as_str() {
        "begin" | "open" => Some(BlockBoundary::Start),
        "stop" | "finish" | "close" | "ends" => Some(BlockBoundary::End),
        "and" => None,
        _ if osa_distance(&word, "start") <= 1 => Some(BlockBoundary::Start),
        _ if word.len() >= 3 && osa_distance(&word, "end") <= 1 => Some(BlockBoundary::End),
        _ => None,
    }
}
