//! What a misspelt word of a tag was probably meant to be.

use crate::document::tag::{BlockBoundary, Scope, VersionPoint};

/// The first word and the last one.
pub(crate) fn first_and_last_word(inner: &str) -> (&str, &str) {
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '_';
    let first = inner.find(|c| !is_word(c)).map_or(inner, |end| &inner[..end]);
    let last = inner.rsplit(|c| !is_word(c)).next().unwrap_or("");
    (first, last)
}

/// `v0.4` → `0.4.0`.
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

pub(crate) fn suggest_scope(word: &str) -> Option<Scope> {
    let word = word.to_lowercase();
    if matches!(word.as_str(), "use" | "set") {
        return None;
    }
    if edit_distance(&word, "user") <= 1 {
        Some(Scope::User)
    } else if matches!(word.as_str(), "sys") || edit_distance(&word, "system") <= 2 {
        Some(Scope::System)
    } else {
        None
    }
}

pub(crate) fn suggest_boundary(word: &str) -> Option<BlockBoundary> {
    let word = word.to_lowercase();
    match word.as_str() {
        "begin" | "open" => Some(BlockBoundary::Start),
        "stop" | "finish" | "close" | "ends" => Some(BlockBoundary::End),
        "and" => None,
        _ if edit_distance(&word, "start") <= 1 => Some(BlockBoundary::Start),
        _ if word.len() >= 3 && edit_distance(&word, "end") <= 1 => Some(BlockBoundary::End),
        _ => None,
    }
}

/// Edit distance (insert, delete, replace, swap of neighbours).
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replace = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}
