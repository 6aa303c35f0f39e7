//! The grammar of tags and of version headings; the one place that knows regular expressions.
//! A line is a tag, looks like one (and is then an error with the right spelling beside it), or is
//! neither.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use semver::Version;

use crate::document::diagnostic::Rule;
use crate::document::suggest::{
    first_and_last_word, suggest_boundary, suggest_scope, suggest_version,
};
use crate::document::tag::{BlockBoundary, Scope, Tag, VersionPoint};

/// A line that is a tag or looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagLine {
    Tag(Tag, BlockBoundary),
    Malformed {
        rule: Rule,
        message: String,
        help: String,
        /// The part of the line that is wrong, where one part is.
        range: Option<Range<usize>>,
    },
}

/// What a correct tag looks like, for help lines.
const EXAMPLE_TAG: &str = "-- [user:0.3.19→0.3.20:start]";

const OPENING_BRACKETS: [char; 4] = ['[', '(', '{', '<'];
const CLOSING_BRACKETS: [char; 3] = [']', ')', '}'];

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            #[allow(clippy::expect_used)] // a constant that the tests compile
            Regex::new($text).expect("the pattern is a constant")
        });
    };
}

pattern!(ARROW, r"→|⇒|⟶|➔|➜|[-–—=~]+>|\s>\s|(?i)\sto\s");
pattern!(VERSION_LIKE, r"(?i)\bv?\d[0-9A-Za-z.+-]*|\bbaseline\b");
pattern!(
    EMBEDDED_TAG,
    r"(?i)\b(?:system|user)\s*:\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+?|baseline)\s*(?:→|->|=>)\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+|baseline)"
);
pattern!(FULL_VERSION, r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?");
pattern!(
    HEADING_VERSIONS,
    r"(?ix)(?:^|[^0-9A-Za-z.])v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*?[0-9A-Za-z])?|baseline)\s*(?:→|->)\s*
      v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?|baseline)"
);

/// Reads a line, its line end included or not.
pub(crate) fn parse_tag_line(line: &str) -> Option<TagLine> {
    // Nearly every line ends here: the patterns see candidates only.
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
    // No tag is longer; what follows one on its line is wrong whatever it is.
    let end = line.floor_char_boundary(line.len() - body.len() + 400);
    let (line, body) = (&line[..end], &body[..end - (line.len() - body.len())]);
    if let Some((scope, subject, boundary)) = parse_well_formed(line) {
        let tag = match subject {
            TagSubject::Seed(name) => Ok(Tag::Seed { scope, name: name.to_owned() }),
            TagSubject::Migration(from, to) => parse_migration_tag(scope, from, to),
        };
        return Some(match tag {
            Ok(tag) => TagLine::Tag(tag, boundary),
            Err(InvalidVersion { rule, message, text: part }) => {
                let start = part.as_ptr() as usize - line.as_ptr() as usize;
                let at = Some(start..start + part.len());
                TagLine::Malformed {
                    rule,
                    message,
                    help: suggestion(bracket_content(body)),
                    range: at,
                }
            }
        });
    }
    near_miss(line, body, is_comment)
}

/// What a tag is about.
enum TagSubject<'t> {
    Seed(&'t str),
    Migration(&'t str, &'t str),
}

/// The parts of a line that has every mark of a tag in its place, its versions not yet read.
fn parse_well_formed(line: &str) -> Option<(Scope, TagSubject<'_>, BlockBoundary)> {
    let inner =
        line.trim().strip_prefix("--")?.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let (scope, rest) = inner.split_once(':')?;
    let (subject, boundary) = rest.rsplit_once(':')?;
    let scope = match scope.trim() {
        "system" => Scope::System,
        "user" => Scope::User,
        _ => return None,
    };
    let edge = match boundary.trim() {
        "start" => BlockBoundary::Start,
        "end" => BlockBoundary::End,
        _ => return None,
    };
    let is_seed_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_version_text = |text: &str| {
        let is_delimiter = |c: char| c.is_whitespace() || matches!(c, ':' | '[' | ']');
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
        !text.is_empty() && (text.as_bytes().iter().all(is_plain) || !text.contains(is_delimiter))
    };
    if let Some((word, name)) = subject.split_once(':') {
        let name = name.trim();
        let is_seed =
            word.trim() == "seed" && !name.is_empty() && name.chars().all(is_seed_name_char);
        return is_seed.then_some((scope, TagSubject::Seed(name), edge));
    }
    let (arrow_start, arrow_head) = subject.rmatch_indices(['→', '>']).next()?;
    let (from, to) = (&subject[..arrow_start], subject[arrow_start + arrow_head.len()..].trim());
    let from = if arrow_head == ">" { from.strip_suffix('-')? } else { from }.trim();
    (is_version_text(from) && is_version_text(to)).then_some((
        scope,
        TagSubject::Migration(from, to),
        edge,
    ))
}

/// What stands in the bracket that `body` begins with; without one, all of it.
fn bracket_content(body: &str) -> &str {
    let inner = body.trim_start_matches(OPENING_BRACKETS);
    match inner.find(CLOSING_BRACKETS) {
        Some(end) if inner.len() < body.len() => inner[..end].trim(),
        _ => inner.trim(),
    }
}

/// What begins a comment, here or in another language.
const COMMENT_MARKERS: [&str; 6] = ["--", "–", "—", "#", "//", "/*"];

/// Blanks, those that nobody sees among them.
fn is_any_whitespace(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_comment_marker_char(c: char) -> bool {
    is_any_whitespace(c) || matches!(c, '-' | '–' | '—' | '#' | '/' | '*' | ';')
}

/// A line that holds the heart of a tag, a scope and two versions, whatever stands around it.
/// For lines that are no SQL: comments, and what stands outside any block.
pub(crate) fn find_embedded_tag(line: &str) -> Option<TagLine> {
    if !line.contains(':') {
        return None;
    }
    let found = EMBEDDED_TAG.find(&line[..line.floor_char_boundary(400)])?;
    Some(TagLine::Malformed {
        rule: Rule::MalformedTag,
        message: "this holds a tag and is not one".to_owned(),
        help: suggestion(
            line[found.start()..].trim_end().trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        ),
        range: Some(found.range()),
    })
}

/// A version of a tag that is none.
struct InvalidVersion<'t> {
    rule: Rule,
    message: String,
    text: &'t str,
}

fn parse_migration_tag<'t>(
    scope: Scope,
    from: &'t str,
    to: &'t str,
) -> Result<Tag, InvalidVersion<'t>> {
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let is_baseline = |text: &str| text.eq_ignore_ascii_case("baseline");
    if !has_digit(from) && !has_digit(to) && !is_baseline(from) && !is_baseline(to) {
        return Ok(Tag::Placeholder { scope, from: from.to_owned(), to: to.to_owned() });
    }
    Ok(Tag::Migration { scope, from: parse_version_point(from)?, to: parse_version_point(to)? })
}

fn parse_version_point(text: &str) -> Result<VersionPoint, InvalidVersion<'_>> {
    if let Some(point) = VersionPoint::parse(text) {
        return Ok(point);
    }
    let (rule, message) = match Version::parse(text) {
        Ok(_) => (
            Rule::BuildMetadata,
            format!("version `{text}` has build metadata, which orders nothing"),
        ),
        Err(error) => (Rule::MalformedTag, invalid_version_message(text, &error)),
    };
    Err(InvalidVersion { rule, message, text })
}

fn invalid_version_message(text: &str, error: &semver::Error) -> String {
    let without_v = text.trim_start_matches(['v', 'V']);
    let is_numeric = without_v.split('.').all(|part| part.parse::<u64>().is_ok());
    if text.eq_ignore_ascii_case("baseline") {
        format!("`{text}` is written `baseline`, in small letters")
    } else if without_v.len() < text.len() && without_v.starts_with(|c: char| c.is_ascii_digit()) {
        format!("`{text}` is not a semantic version: it is written without the `v`")
    } else if is_numeric && without_v.split('.').count() != 3 {
        format!("`{text}` is not a semantic version, which has three numbers")
    } else if text.contains(|c: char| c.is_ascii_digit()) {
        format!("`{text}` is not a semantic version: {error}")
    } else {
        format!("`{text}` is neither a semantic version nor `baseline`")
    }
}

/// Judges a line that is no tag by what a tag is made of: a bracket, a scope, an arrow between
/// versions, an edge. Two or three of them in one bracket are no accident.
fn near_miss(line: &str, body: &str, is_comment: bool) -> Option<TagLine> {
    let inner = bracket_content(body);
    let is_bracketed = is_comment && body.starts_with('[');
    // Nearly every comment ends here.
    if !is_bracketed && !may_contain_version(inner) {
        return None;
    }
    let has_arrow = ARROW.is_match(inner);
    if !is_bracketed && !has_arrow {
        return if is_comment { find_embedded_tag(line) } else { None };
    }
    let (first_word, last_word) = first_and_last_word(inner);
    let scope = suggest_scope(first_word);
    let boundary = suggest_boundary(last_word);
    let version_count = VERSION_LIKE.find_iter(inner).count();
    let is_complete = scope.is_some() && has_arrow && boundary.is_some() && version_count > 0;
    // SQL may begin a line with a bracket; a comment seldom does.
    let is_near_miss = match (is_comment, body.starts_with('[')) {
        (true, true) => {
            (scope.is_some() && (boundary.is_some() || has_arrow))
                || (has_arrow && boundary.is_some() && version_count > 0)
        }
        (true, false) => is_complete,
        (false, _) => is_complete && inner.contains(':'),
    };
    if !is_near_miss {
        return if is_comment { find_embedded_tag(line) } else { None };
    }
    let part = |part: &str| {
        let start = line.len() - body.len() + body.find(inner)?;
        let at = if part == first_word { start } else { start + inner.len() - part.len() };
        Some(at..at + part.len())
    };
    let trailing_text = body.find(CLOSING_BRACKETS).map_or("", |end| body[end + 1..].trim());
    let (message, at) =
        if let (Some(scope), false) = (scope, matches!(first_word, "system" | "user")) {
            (format!("`{first_word}` is not a scope; did you mean `{scope}`?"), part(first_word))
        } else if scope.is_none() {
            let message = "this looks like a tag, and names neither `system` nor `user`";
            (message.to_owned(), part(first_word).filter(|at| !at.is_empty()))
        } else if let (Some(edge), false) = (boundary, matches!(last_word, "start" | "end")) {
            (
                format!("`{last_word}` is neither `start` nor `end`; did you mean `{edge}`?"),
                part(last_word),
            )
        } else if !trailing_text.is_empty()
            && parse_well_formed(&line[..line.trim_end().len() - trailing_text.len()]).is_some()
        {
            let end = line.trim_end().len();
            ("text after a tag".to_owned(), Some(end - trailing_text.len()..end))
        } else {
            ("this looks like a tag and is not one".to_owned(), None)
        };
    Some(TagLine::Malformed {
        rule: Rule::MalformedTag,
        message,
        help: suggestion(inner),
        range: at,
    })
}

/// Without a digit and without the word, no version stands in a text.
fn may_contain_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().any(u8::is_ascii_digit)
        || bytes.windows(8).any(|word| word.eq_ignore_ascii_case(b"baseline"))
}

/// The help line: the tag that was probably meant.
fn suggestion(inner: &str) -> String {
    let inner = inner.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let (first_word, last_word) = first_and_last_word(inner);
    let versions: Vec<String> =
        VERSION_LIKE.find_iter(inner).filter_map(|found| suggest_version(found.as_str())).collect();
    match (suggest_scope(first_word), versions.as_slice(), suggest_boundary(last_word)) {
        (Some(scope), [from, to, ..], Some(boundary)) => {
            format!("write `-- [{scope}:{from}→{to}:{boundary}]` on a line of its own")
        }
        _ => format!("a tag stands on a line of its own and reads like `{EXAMPLE_TAG}`"),
    }
}

/// The rule and the reason of `-- tatmig:allow RULE reason`.
pub(crate) fn parse_allow_directive(comment: &str) -> Option<(&str, &str)> {
    let text = comment.trim_start_matches(['-', '/', '*', ' ', '\t']).trim_end_matches(['*', '/']);
    let rest = text.strip_prefix("tatmig:")?.trim_start().strip_prefix("allow")?;
    let rest = rest.trim();
    Some(
        rest.split_once(char::is_whitespace)
            .map_or((rest, ""), |(name, reason)| (name, reason.trim())),
    )
}

/// The versions that a heading binds what stands under it to.
pub(crate) fn heading_versions(text: &str) -> Option<(VersionPoint, VersionPoint)> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // Nearly every pair is two words around the only arrow; the pattern costs more.
    if let Some((left, right)) = text.split_once('→').filter(|_| !text.contains('>'))
        && let Some(from) = left.split_whitespace().next_back().and_then(VersionPoint::parse)
        && let Some(to) = right.split_whitespace().next().and_then(VersionPoint::parse)
    {
        return Some((from, to));
    }
    // To find the pair is cheap; to have the pattern tell its groups is not.
    if let Some(found) = HEADING_VERSIONS.find(text) {
        let parse_loosely = |text: &str| {
            let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
            VersionPoint::parse(text).or_else(|| VersionPoint::parse(&text.to_lowercase()))
        };
        let (from, to) = found.as_str().split_once(['→', '>'])?;
        return Some((parse_loosely(from)?, parse_loosely(to)?));
    }
    let has_baseline = text
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("baseline"));
    let mut versions = FULL_VERSION.find_iter(text);
    match (has_baseline, versions.next(), versions.next()) {
        (true, Some(version), None) => {
            Some((VersionPoint::Baseline, VersionPoint::parse(version.as_str())?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_tag(line: &str, expected_tag: &str, expected_boundary: BlockBoundary) {
        match parse_tag_line(line) {
            Some(TagLine::Tag(tag, found)) => {
                assert_eq!((tag.to_string(), found), (expected_tag.to_owned(), expected_boundary));
            }
            other => panic!("{line:?} read as {other:?}"),
        }
    }

    #[track_caller]
    fn assert_malformed(line: &str, help: &str) {
        match parse_tag_line(line) {
            Some(TagLine::Malformed { help: found, .. }) => {
                assert!(found.contains(help), "{line:?} helped with {found:?}");
            }
            other => panic!("{line:?} read as {other:?}"),
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
            ("-- [user:0.3.19→v0.3.20:start]", Some("v0.3.20")),
            ("-- [user:0.3→0.3.20:start]", Some("0.3")),
            ("-- [ user:0.3.19→0.3.20:START ]", Some("START")),
            ("-- [db:0.3.19→0.3.20:start]", Some("db")),
            ("-- [user:0.3.19→0.3.20:start] adds é", Some("adds é")),
            ("-- [user:0.3.19→0.3.20 start]", None),
            ("-- [→0.3.20:start]", None),
        ] {
            match parse_tag_line(line) {
                Some(TagLine::Malformed { range: at, .. }) => {
                    assert_eq!(at.map(|at| &line[at]), expected, "{line:?}");
                }
                other => panic!("{line:?} read as {other:?}"),
            }
        }
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

    #[test]
    fn a_heading_names_two_versions_or_a_baseline() {
        let versions = |text: &str| heading_versions(text).map(|(from, to)| format!("{from}→{to}"));
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
        for pattern in [&EMBEDDED_TAG, &ARROW, &VERSION_LIKE, &FULL_VERSION, &HEADING_VERSIONS] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
