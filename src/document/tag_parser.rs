//! Parses one line of a code block: the line is a tag, looks like a tag (an error with a suggested
//! correction), or is neither.

use crate::document::near_miss::{
    LinePrefix, MalformedTag, OPENING_BRACKETS, bracket_content, find_near_miss,
};
use crate::document::suggest::suggest_tag;
use crate::document::tag::{BlockBoundary, Tag};
use crate::document::tag_syntax::{
    InvalidVersion, TagSubject, parse_migration_tag, parse_well_formed,
};

/// A line that is a tag or looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagLine {
    Tag(Tag, BlockBoundary),
    Malformed(MalformedTag),
}

/// The longest tag, in bytes after the comment mark.
const MAX_TAG_LEN: usize = 400;

/// Marks that begin a comment in SQL or in another language.
const COMMENT_MARKERS: [&str; 6] = ["--", "–", "—", "#", "//", "/*"];

/// Parses a line, with or without its line end; `None` if it neither is a tag nor looks like one.
pub(crate) fn parse_tag_line(line: &str) -> Option<TagLine> {
    // Nearly every line is excluded here, before any pattern is tried.
    let start = line.trim_ascii_start();
    if start.is_empty() || start.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let body = start.trim_start_matches(is_comment_marker_char);
    let start = start.trim_start_matches(is_any_whitespace);
    let is_comment = COMMENT_MARKERS.iter().any(|mark| start.starts_with(mark));
    if !(body.starts_with(OPENING_BRACKETS) || is_comment) {
        return None;
    }
    let is_too_long = body.len() > MAX_TAG_LEN;
    // A longer line is malformed, so the rest of it need not be read.
    let end = line.floor_char_boundary(line.len() - body.len() + MAX_TAG_LEN);
    let (line, body) = (&line[..end], &body[..end - (line.len() - body.len())]);
    let Some(parts) = parse_well_formed(line) else {
        let prefix = if is_comment { LinePrefix::CommentMark } else { LinePrefix::Bracket };
        let near_miss = find_near_miss(line, body, prefix)?;
        let near_miss = if is_too_long && !body.contains(']') {
            near_miss.too_long(MAX_TAG_LEN)
        } else if body.starts_with(OPENING_BRACKETS) {
            near_miss.naming_character(line, bracket_content(body))
        } else {
            near_miss
        };
        return Some(TagLine::Malformed(near_miss));
    };
    let tag = match parts.subject {
        TagSubject::Seed(name) => Ok(Tag::Seed { scope: parts.scope, name: name.to_owned() }),
        TagSubject::Migration { from, to } => parse_migration_tag(parts.scope, from, to),
    };
    Some(match tag {
        Ok(tag) => TagLine::Tag(tag, parts.boundary),
        Err(InvalidVersion { rule, message, text }) => {
            let start = text.as_ptr() as usize - line.as_ptr() as usize;
            let range = Some(start..start + text.len());
            let suggestion = suggest_tag(bracket_content(body));
            let malformed = MalformedTag { rule, message, suggestion, range };
            TagLine::Malformed(malformed.naming_character(line, bracket_content(body)))
        }
    })
}

/// Whether a character is white space, zero-width characters included.
fn is_any_whitespace(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_comment_marker_char(c: char) -> bool {
    is_any_whitespace(c) || matches!(c, '-' | '–' | '—' | '#' | '/' | '*' | ';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::near_miss::EXAMPLE_TAG;

    #[track_caller]
    fn assert_tag(line: &str, expected_tag: &str, expected_boundary: BlockBoundary) {
        match parse_tag_line(line) {
            Some(TagLine::Tag(tag, found)) => {
                assert_eq!((tag.to_string(), found), (expected_tag.to_owned(), expected_boundary));
            }
            other => panic!("{line:?} parsed as {other:?}"),
        }
    }

    #[track_caller]
    fn assert_malformed(line: &str, help: &str) {
        match parse_tag_line(line) {
            Some(TagLine::Malformed(malformed)) => {
                let found = malformed.help();
                assert!(found.contains(help), "the help of {line:?} is {found:?}");
            }
            other => panic!("{line:?} parsed as {other:?}"),
        }
    }

    #[test]
    fn white_space_in_a_tag_is_ignored() {
        assert_tag("-- [user:0.3.19→0.3.20:start]", "user:0.3.19→0.3.20", BlockBoundary::Start);
        assert_tag(
            "  --[ system : baseline -> 0.3.19 : end ]\r\n",
            "system:baseline→0.3.19",
            BlockBoundary::End,
        );
        assert_tag(
            "-- [user:1.0.0-rc.1->1.0.0:start]",
            "user:1.0.0-rc.1→1.0.0",
            BlockBoundary::Start,
        );
        assert_tag(
            "-- [user:1.0.0->1.0.0-rc.1:start]",
            "user:1.0.0→1.0.0-rc.1",
            BlockBoundary::Start,
        );
        assert_tag("-- [user:0.3.20→baseline:start]", "user:0.3.20→baseline", BlockBoundary::Start);
        assert_tag("-- [user:seed:demo-data:end]", "user:seed:demo-data", BlockBoundary::End);
    }

    #[test]
    fn a_tag_without_digits_is_a_placeholder_unless_it_names_baseline() {
        assert_tag(
            "-- [system:from_version→to_version:start]",
            "system:from_version→to_version",
            BlockBoundary::Start,
        );
        assert_tag("-- [user:a→b:end]", "user:a→b", BlockBoundary::End);
        assert_malformed("-- [user:baseline→to_version:start]", EXAMPLE_TAG);
        assert_malformed("-- [user:from→0.3.20:start]", EXAMPLE_TAG);
    }

    #[test]
    fn a_near_miss_is_reported_with_the_correct_tag() {
        let correct_tag = "`-- [user:0.3.19→0.3.20:start]`";
        for line in [
            "-- [usr:0.3.19→0.3.20:start]",
            "-- [users:0.3.19→0.3.20:start]",
            "-- [User:0.3.19→0.3.20:start]",
            "-- [user:0.3.19→0.3.20:START]",
            "-- [user:0.3.19→0.3.20:strat]",
            "-- [user:v0.3.19→v0.3.20:start]",
            "-- [user:0.3.19→0.3.20:begin]",
            "-- [user 0.3.19→0.3.20:start]",
            "-- [user:0.3.19→0.3.20 start]",
            "-- [user:0.3.19=>0.3.20:start]",
            "-- [user:0.3.19-->0.3.20:start]",
            "-- [user:0.3.19 to 0.3.20:start]",
            "-- [user:0.3.19→0.3.20:start",
            "-- user:0.3.19→0.3.20:start",
            "[user:0.3.19→0.3.20:start]",
            "- [user:0.3.19→0.3.20:start]",
            "# [user:0.3.19→0.3.20:start]",
            "/* [user:0.3.19→0.3.20:start] */",
            "-- (user:0.3.19→0.3.20:start)",
            "-- [user:0.3.19→0.3.20:start] adds a table",
            "-- [user:0.3.19+a→0.3.20:start]",
            "-- [user;0.3.19→0.3.20;start]",
        ] {
            assert_malformed(line, &format!("write {correct_tag}"));
        }
        assert_malformed(
            &format!("-- [user:0.3.19→0.3.20:start] {}", "é".repeat(999)),
            correct_tag,
        );
        assert_malformed("-- [user:0.4→0.5:end]", "`-- [user:0.4.0→0.5.0:end]`");
        assert_malformed("-- [sytem:baseline→0.3.19:start]", "`-- [system:baseline→0.3.19:start]`");
        assert_malformed("-- [user:0.3.19:start]", EXAMPLE_TAG);
        assert_malformed("-- [db:0.3.19→0.3.20:start]", EXAMPLE_TAG);
    }

    #[test]
    fn a_malformed_tag_reports_the_range_of_its_error() {
        for (line, expected) in [
            ("  -- [usr:0.3.19→0.3.20:start]\n", Some("usr")),
            ("-- [us\u{435}r:0.3.19→0.3.20:start]", Some("\u{435}")),
            ("-- [user:0.3.19→\u{200b}0.3.20:start]", Some("\u{200b}")),
            ("-- [user：0.3.19→0.3.20：start]", Some("：")),
            ("-- [user:０.３.１９→０.３.２０:start]", Some("０")),
            ("-- [user:seed:dé mo:start]", Some("é")),
            ("-- [user:0.3.19→v0.3.20:start]", Some("v0.3.20")),
            ("-- [user:0.3→0.3.20:start]", Some("0.3")),
            ("-- [ user:0.3.19→0.3.20:START ]", Some("START")),
            ("-- [db:0.3.19→0.3.20:start]", Some("db")),
            ("-- [user:0.3.19→0.3.20:start] adds é", Some("adds é")),
            ("-- [user:0.3.19→0.3.20 start]", None),
            ("-- [→0.3.20:start]", None),
        ] {
            match parse_tag_line(line) {
                Some(TagLine::Malformed(malformed)) => {
                    assert_eq!(malformed.range.map(|range| &line[range]), expected, "{line:?}");
                }
                other => panic!("{line:?} parsed as {other:?}"),
            }
        }
    }

    #[test]
    fn a_character_that_only_looks_right_is_named() {
        for (line, message) in [
            ("-- [us\u{435}r:0.3.19→0.3.20:start]", "U+0435 (`\u{435}`) cannot be part of a tag"),
            (
                "-- [user:0.3.19→\u{200b}0.3.20:start]",
                "U+200B (a zero-width space) cannot be part of a tag",
            ),
            ("-- [user:０.３.１９→０.３.２０:start]", "U+FF10 (`０`) cannot be part of a tag"),
            (
                &format!("-- [user:0.3.19→0.3.20{}:start]", " ".repeat(400)),
                "a tag has at most 400 bytes",
            ),
            ("-- [usr:0.3.19→0.3.20:start] é", "`usr` is not a scope; did you mean `user`?"),
            (
                "-- é user:0.3.19→0.3.20",
                "malformed tag: this line holds a scope and two versions, but is not a tag",
            ),
        ] {
            match parse_tag_line(line) {
                Some(TagLine::Malformed(malformed)) => assert_eq!(malformed.message, message),
                other => panic!("{line:?} parsed as {other:?}"),
            }
        }
        let correct_tag = "write `-- [user:0.3.19→0.3.20:start]`";
        assert_malformed("-- [us\u{435}r:0.3.19→0.3.20:start]", correct_tag);
        assert_malformed("-- [user:0.3.19→\u{200b}0.3.20:start]", correct_tag);
    }

    #[test]
    fn sql_and_its_comments_are_not_tags() {
        for line in [
            "CREATE TABLE t (x);",
            "-- No system database changes for this migration",
            "-- ALTER TABLE memories DROP COLUMN x;",
            "[user] TEXT NOT NULL,",
            "[user_id] INTEGER,",
            "-- [user] rows are kept",
            "-- system to user: at the start",
            "  -- 0.3.19 -> 0.3.20 at the start",
            "---",
            "-- [1, 2, 3]",
            "-- [x] done",
            "",
        ] {
            assert_eq!(parse_tag_line(line), None, "{line:?}");
        }
    }
}
