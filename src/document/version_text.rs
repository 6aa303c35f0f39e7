//! Finds a version in text where it is not part of a longer one: `1.0.0` is in `v1.0.0`, but not in
//! `11.0.0`, `1.0.0.1` or `1.0.0-rc.1`.

use std::ops::Range;

/// The places of a version in a text. A `v` in front of it is not part of it.
pub(crate) fn find_version<'t>(
    text: &'t str,
    version: &'t str,
) -> impl Iterator<Item = Range<usize>> + 't {
    text.match_indices(version).map(|(start, found)| start..start + found.len()).filter(
        move |range| {
            !is_continued_by_version(&text[..range.start]) && !continues_version(&text[range.end..])
        },
    )
}

/// Whether the text behind a version belongs to it, as in `1.0.0.1` and `1.0.0+linux`.
pub(crate) fn continues_version(rest: &str) -> bool {
    let mut characters = rest.chars();
    match characters.next() {
        Some('+') => true,
        // A full stop ends a sentence unless a number follows.
        Some('.' | '-') => characters.next().is_some_and(|next| next.is_ascii_alphanumeric()),
        Some(next) => next.is_ascii_alphanumeric(),
        None => false,
    }
}

/// Whether the version behind a text belongs to it, as in `1` and `rev`.
fn is_continued_by_version(before: &str) -> bool {
    let before = before.strip_suffix(['v', 'V']).unwrap_or(before);
    before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, version: &str, expected: &[usize]) {
        let starts: Vec<_> = find_version(text, version).map(|range| range.start).collect();
        assert_eq!(starts, expected, "{version} in {text}");
    }

    #[test]
    fn a_version_is_found_as_a_whole_word_only() {
        for text in
            ["1.2.3.", "1.2.3", "1.2.3 - a", "1.2.3, b", "1.2.3-", "1.2.3→1.3.0", "1.2.3->2.0.0"]
        {
            check(text, "1.2.3", &[0]);
        }
        for text in [
            "11.2.3",
            "1.2.3.4",
            "1.2.30",
            "1.2.3-rc.1",
            "1.2.3+a",
            "0.1.2.3",
            "rev1.2.3",
            "a1.2.3",
        ] {
            check(text, "1.2.3", &[]);
        }
        check("since (1.2.3) and v1.2.3, V1.2.3", "1.2.3", &[7, 19, 27]);
        check("[user:1.0.0→1.0.0-rc.1:start]", "1.0.0", &[6]);
        check("1.0.0-rc.1->1.0.0", "1.0.0", &[12]);
        check("1.0.0-rc.1->1.0.0-rc.10", "1.0.0-rc.1", &[0]);
        check("user:baseline→1.0.0", "baseline", &[5]);
    }
}
