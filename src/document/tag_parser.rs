//! The grammar of tags and of version headings; the one place that knows regular expressions.
//! A line is a tag, looks like one (and is then an error with the right spelling beside it), or is
//! neither.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use semver::Version;

use crate::document::diagnostic::Rule;
use crate::document::suggest::{edge_like, ends, mend_version, scope_like};
use crate::document::tag::{Edge, Point, Scope, Tag};

/// A line that is a tag or looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagLine {
    Tag(Tag, Edge),
    Malformed {
        rule: Rule,
        message: String,
        help: String,
        /// The part of the line that is wrong, where one part is.
        at: Option<Range<usize>>,
    },
}

/// What a correct tag looks like, for help lines.
const EXAMPLE: &str = "-- [user:0.3.19→0.3.20:start]";

const OPENING: [char; 4] = ['[', '(', '{', '<'];
const CLOSING: [char; 3] = [']', ')', '}'];

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
    MENTION,
    r"(?i)\b(?:system|user)\s*:\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+?|baseline)\s*(?:→|->|=>)\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+|baseline)"
);
pattern!(FULL_VERSION, r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?");
pattern!(
    HEADING_PAIR,
    r"(?ix)(?:^|[^0-9A-Za-z.])v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*?[0-9A-Za-z])?|baseline)\s*(?:→|->)\s*
      v?(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?|baseline)"
);

/// Reads a line, its line end included or not.
pub(crate) fn read(line: &str) -> Option<TagLine> {
    // Nearly every line ends here: the patterns see candidates only.
    let start = line.trim_ascii_start();
    if start.is_empty() || start.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let body = start.trim_start_matches(is_mark);
    let start = start.trim_start_matches(is_blank);
    let marked = MARKS.iter().any(|mark| start.starts_with(mark));
    if !(body.starts_with(OPENING) || marked) {
        return None;
    }
    // No tag is longer; what follows one on its line is wrong whatever it is.
    let end = line.floor_char_boundary(line.len() - body.len() + 400);
    let (line, body) = (&line[..end], &body[..end - (line.len() - body.len())]);
    if let Some((scope, subject, edge)) = strict(line) {
        let tag = match subject {
            Subject::Seed(name) => Ok(Tag::Seed { scope, name: name.to_owned() }),
            Subject::Migration(from, to) => migration(scope, from, to),
        };
        return Some(match tag {
            Ok(tag) => TagLine::Tag(tag, edge),
            Err(Wrong { rule, message, part }) => {
                let start = part.as_ptr() as usize - line.as_ptr() as usize;
                let at = Some(start..start + part.len());
                TagLine::Malformed { rule, message, help: nearest(inside(body)), at }
            }
        });
    }
    look_alike(line, body, marked)
}

/// What a tag is about.
enum Subject<'t> {
    Seed(&'t str),
    Migration(&'t str, &'t str),
}

/// The parts of a line that has every mark of a tag in its place, its versions not yet read.
fn strict(line: &str) -> Option<(Scope, Subject<'_>, Edge)> {
    let inner =
        line.trim().strip_prefix("--")?.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let (scope, rest) = inner.split_once(':')?;
    let (subject, edge) = rest.rsplit_once(':')?;
    let scope = match scope.trim() {
        "system" => Scope::System,
        "user" => Scope::User,
        _ => return None,
    };
    let edge = match edge.trim() {
        "start" => Edge::Start,
        "end" => Edge::End,
        _ => return None,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_point = |text: &str| {
        let foreign = |c: char| c.is_whitespace() || matches!(c, ':' | '[' | ']');
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
        !text.is_empty() && (text.as_bytes().iter().all(is_plain) || !text.contains(foreign))
    };
    if let Some((word, name)) = subject.split_once(':') {
        let name = name.trim();
        let is_seed = word.trim() == "seed" && !name.is_empty() && name.chars().all(is_name);
        return is_seed.then_some((scope, Subject::Seed(name), edge));
    }
    let (arrow, mark) = subject.rmatch_indices(['→', '>']).next()?;
    let (from, to) = (&subject[..arrow], subject[arrow + mark.len()..].trim());
    let from = if mark == ">" { from.strip_suffix('-')? } else { from }.trim();
    (is_point(from) && is_point(to)).then_some((scope, Subject::Migration(from, to), edge))
}

/// What stands in the bracket that `body` begins with; without one, all of it.
fn inside(body: &str) -> &str {
    let inner = body.trim_start_matches(OPENING);
    match inner.find(CLOSING) {
        Some(end) if inner.len() < body.len() => inner[..end].trim(),
        _ => inner.trim(),
    }
}

/// What begins a comment, here or in another language.
const MARKS: [&str; 6] = ["--", "–", "—", "#", "//", "/*"];

/// Blanks, those that nobody sees among them.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_mark(c: char) -> bool {
    is_blank(c) || matches!(c, '-' | '–' | '—' | '#' | '/' | '*' | ';')
}

/// A line that holds the heart of a tag, a scope and two versions, whatever stands around it.
/// For lines that are no SQL: comments, and what stands outside any block.
pub(crate) fn mention(line: &str) -> Option<TagLine> {
    if !line.contains(':') {
        return None;
    }
    let found = MENTION.find(&line[..line.floor_char_boundary(400)])?;
    Some(TagLine::Malformed {
        rule: Rule::MalformedTag,
        message: "this holds a tag and is not one".to_owned(),
        help: nearest(
            line[found.start()..].trim_end().trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        ),
        at: Some(found.range()),
    })
}

/// A version of a tag that is none.
struct Wrong<'t> {
    rule: Rule,
    message: String,
    part: &'t str,
}

fn migration<'t>(scope: Scope, from: &'t str, to: &'t str) -> Result<Tag, Wrong<'t>> {
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let baseline = |text: &str| text.eq_ignore_ascii_case("baseline");
    if !has_digit(from) && !has_digit(to) && !baseline(from) && !baseline(to) {
        return Ok(Tag::Placeholder { scope, from: from.to_owned(), to: to.to_owned() });
    }
    Ok(Tag::Migration { scope, from: point(from)?, to: point(to)? })
}

fn point(text: &str) -> Result<Point, Wrong<'_>> {
    if let Some(point) = Point::parse(text) {
        return Ok(point);
    }
    let (rule, message) = match Version::parse(text) {
        Ok(_) => (
            Rule::BuildMetadata,
            format!("version `{text}` has build metadata, which orders nothing"),
        ),
        Err(error) => (Rule::MalformedTag, not_a_version(text, &error)),
    };
    Err(Wrong { rule, message, part: text })
}

fn not_a_version(text: &str, error: &semver::Error) -> String {
    let bare = text.trim_start_matches(['v', 'V']);
    let numbers = bare.split('.').all(|part| part.parse::<u64>().is_ok());
    if text.eq_ignore_ascii_case("baseline") {
        format!("`{text}` is written `baseline`, in small letters")
    } else if bare.len() < text.len() && bare.starts_with(|c: char| c.is_ascii_digit()) {
        format!("`{text}` is not a semantic version: it is written without the `v`")
    } else if numbers && bare.split('.').count() != 3 {
        format!("`{text}` is not a semantic version, which has three numbers")
    } else if text.contains(|c: char| c.is_ascii_digit()) {
        format!("`{text}` is not a semantic version: {error}")
    } else {
        format!("`{text}` is neither a semantic version nor `baseline`")
    }
}

/// Judges a line that is no tag by what a tag is made of: a bracket, a scope, an arrow between
/// versions, an edge. Two or three of them in one bracket are no accident.
fn look_alike(line: &str, body: &str, marked: bool) -> Option<TagLine> {
    let inner = inside(body);
    let bracketed = marked && body.starts_with('[');
    // Nearly every comment ends here.
    if !bracketed && !may_hold_version(inner) {
        return None;
    }
    let arrow = ARROW.is_match(inner);
    if !bracketed && !arrow {
        return if marked { mention(line) } else { None };
    }
    let (first, last) = ends(inner);
    let scope = scope_like(first);
    let edge = edge_like(last);
    let versions = VERSION_LIKE.find_iter(inner).count();
    let whole = scope.is_some() && arrow && edge.is_some() && versions > 0;
    // SQL may begin a line with a bracket; a comment seldom does.
    let looks = match (marked, body.starts_with('[')) {
        (true, true) => {
            (scope.is_some() && (edge.is_some() || arrow))
                || (arrow && edge.is_some() && versions > 0)
        }
        (true, false) => whole,
        (false, _) => whole && inner.contains(':'),
    };
    if !looks {
        return if marked { mention(line) } else { None };
    }
    let part = |part: &str| {
        let start = line.len() - body.len() + body.find(inner)?;
        let at = if part == first { start } else { start + inner.len() - part.len() };
        Some(at..at + part.len())
    };
    let after = body.find(CLOSING).map_or("", |end| body[end + 1..].trim());
    let (message, at) = if let (Some(scope), false) = (scope, matches!(first, "system" | "user")) {
        (format!("`{first}` is not a scope; did you mean `{scope}`?"), part(first))
    } else if scope.is_none() {
        let message = "this looks like a tag, and names neither `system` nor `user`";
        (message.to_owned(), part(first).filter(|at| !at.is_empty()))
    } else if let (Some(edge), false) = (edge, matches!(last, "start" | "end")) {
        (format!("`{last}` is neither `start` nor `end`; did you mean `{edge}`?"), part(last))
    } else if !after.is_empty() && strict(&line[..line.trim_end().len() - after.len()]).is_some() {
        let end = line.trim_end().len();
        ("text after a tag".to_owned(), Some(end - after.len()..end))
    } else {
        ("this looks like a tag and is not one".to_owned(), None)
    };
    Some(TagLine::Malformed { rule: Rule::MalformedTag, message, help: nearest(inner), at })
}

/// Without a digit and without the word, no version stands in a text.
fn may_hold_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().any(u8::is_ascii_digit)
        || bytes.windows(8).any(|word| word.eq_ignore_ascii_case(b"baseline"))
}

/// The help line: the tag that was probably meant.
fn nearest(inner: &str) -> String {
    let inner = inner.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let (first, last) = ends(inner);
    let versions: Vec<String> =
        VERSION_LIKE.find_iter(inner).filter_map(|found| mend_version(found.as_str())).collect();
    match (scope_like(first), versions.as_slice(), edge_like(last)) {
        (Some(scope), [from, to, ..], Some(edge)) => {
            format!("write `-- [{scope}:{from}→{to}:{edge}]` on a line of its own")
        }
        _ => format!("a tag stands on a line of its own and reads like `{EXAMPLE}`"),
    }
}

/// The rule and the reason of `-- tatmig:allow RULE reason`.
pub(crate) fn allowance(comment: &str) -> Option<(&str, &str)> {
    let text = comment.trim_start_matches(['-', '/', '*', ' ', '\t']).trim_end_matches(['*', '/']);
    let rest = text.strip_prefix("tatmig:")?.trim_start().strip_prefix("allow")?;
    let rest = rest.trim();
    Some(rest.split_once(char::is_whitespace).map_or((rest, ""), |(name, why)| (name, why.trim())))
}

/// The versions that a heading binds what stands under it to.
pub(crate) fn heading_pair(text: &str) -> Option<(Point, Point)> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // Nearly every pair is two words around the only arrow; the pattern costs more.
    if let Some((left, right)) = text.split_once('→').filter(|_| !text.contains('>'))
        && let Some(from) = left.split_whitespace().next_back().and_then(Point::parse)
        && let Some(to) = right.split_whitespace().next().and_then(Point::parse)
    {
        return Some((from, to));
    }
    // To find the pair is cheap; to have the pattern tell its groups is not.
    if let Some(found) = HEADING_PAIR.find(text) {
        let read = |text: &str| {
            let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
            Point::parse(text).or_else(|| Point::parse(&text.to_lowercase()))
        };
        let (from, to) = found.as_str().split_once(['→', '>'])?;
        return Some((read(from)?, read(to)?));
    }
    let names_baseline = text
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("baseline"));
    let mut versions = FULL_VERSION.find_iter(text);
    match (names_baseline, versions.next(), versions.next()) {
        (true, Some(version), None) => Some((Point::Baseline, Point::parse(version.as_str())?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tag(line: &str, shown: &str, edge: Edge) {
        match read(line) {
            Some(TagLine::Tag(tag, found)) => {
                assert_eq!((tag.to_string(), found), (shown.to_owned(), edge));
            }
            other => panic!("{line:?} read as {other:?}"),
        }
    }

    #[track_caller]
    fn malformed(line: &str, help: &str) {
        match read(line) {
            Some(TagLine::Malformed { help: found, .. }) => {
                assert!(found.contains(help), "{line:?} helped with {found:?}");
            }
            other => panic!("{line:?} read as {other:?}"),
        }
    }

    #[test]
    fn a_tag_is_free_in_its_white_space() {
        tag("-- [user:0.3.19→0.3.20:start]", "user:0.3.19→0.3.20", Edge::Start);
        tag("  --[ system : baseline -> 0.3.19 : end ]\r\n", "system:baseline→0.3.19", Edge::End);
        tag("-- [user:1.0.0-rc.1->1.0.0:start]", "user:1.0.0-rc.1→1.0.0", Edge::Start);
        tag("-- [user:1.0.0->1.0.0-rc.1:start]", "user:1.0.0→1.0.0-rc.1", Edge::Start);
        tag("-- [user:0.3.20→baseline:start]", "user:0.3.20→baseline", Edge::Start);
        tag("-- [user:seed:demo-data:end]", "user:seed:demo-data", Edge::End);
    }

    #[test]
    fn a_pair_without_digits_is_a_placeholder_unless_it_says_baseline() {
        tag(
            "-- [system:from_version→to_version:start]",
            "system:from_version→to_version",
            Edge::Start,
        );
        tag("-- [user:a→b:end]", "user:a→b", Edge::End);
        malformed("-- [user:baseline→to_version:start]", EXAMPLE);
        malformed("-- [user:from→0.3.20:start]", EXAMPLE);
    }

    #[test]
    fn what_looks_like_a_tag_is_told_its_right_spelling() {
        let right = "`-- [user:0.3.19→0.3.20:start]`";
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
            malformed(line, &format!("write {right}"));
        }
        malformed(&format!("-- [user:0.3.19→0.3.20:start] {}", "é".repeat(999)), right);
        malformed("-- [user:0.4→0.5:end]", "`-- [user:0.4.0→0.5.0:end]`");
        malformed("-- [sytem:baseline→0.3.19:start]", "`-- [system:baseline→0.3.19:start]`");
        malformed("-- [user:0.3.19:start]", EXAMPLE);
        malformed("-- [db:0.3.19→0.3.20:start]", EXAMPLE);
    }

    #[test]
    fn the_wrong_part_of_a_tag_is_known() {
        for (line, wrong) in [
            ("  -- [usr:0.3.19→0.3.20:start]\n", Some("usr")),
            ("-- [user:0.3.19→v0.3.20:start]", Some("v0.3.20")),
            ("-- [user:0.3→0.3.20:start]", Some("0.3")),
            ("-- [ user:0.3.19→0.3.20:START ]", Some("START")),
            ("-- [db:0.3.19→0.3.20:start]", Some("db")),
            ("-- [user:0.3.19→0.3.20:start] adds é", Some("adds é")),
            ("-- [user:0.3.19→0.3.20 start]", None),
            ("-- [→0.3.20:start]", None),
        ] {
            match read(line) {
                Some(TagLine::Malformed { at, .. }) => {
                    assert_eq!(at.map(|at| &line[at]), wrong, "{line:?}");
                }
                other => panic!("{line:?} read as {other:?}"),
            }
        }
    }

    #[test]
    fn sql_and_its_comments_are_left_alone() {
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
            assert_eq!(read(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_heading_binds_a_pair_or_a_baseline() {
        let pair = |text: &str| heading_pair(text).map(|(from, to)| format!("{from}→{to}"));
        assert_eq!(pair("Migration: 0.3.19 → 0.3.20 (Planned)").as_deref(), Some("0.3.19→0.3.20"));
        assert_eq!(pair("v1.0.0-rc.1->1.0.0").as_deref(), Some("1.0.0-rc.1→1.0.0"));
        assert_eq!(pair("Baseline: 0.3.19").as_deref(), Some("baseline→0.3.19"));
        assert_eq!(pair("Baseline → 0.3.19").as_deref(), Some("baseline→0.3.19"));
        assert_eq!(pair("System Database Schema (0.3.19)"), None);
        assert_eq!(pair("Migration: [from_version] → [to_version]"), None);
    }

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&MENTION, &ARROW, &VERSION_LIKE, &FULL_VERSION, &HEADING_PAIR] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
