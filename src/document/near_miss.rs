//! Detects lines that look like a tag but are not one, and says which part of the line is wrong.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::invisible::describe_character;
use crate::document::pattern::constant_pattern;
use crate::document::suggest::{
    SuggestedTag, VERSION_LIKE, first_and_last_word, suggest_boundary, suggest_scope, suggest_tag,
};
use crate::document::tag_syntax::parse_well_formed;

/// A correct tag, for hints where none can be suggested.
pub(crate) const EXAMPLE_TAG: &str = "-- [user:0.3.19→0.3.20:start]";

pub(crate) const OPENING_BRACKETS: [char; 4] = ['[', '(', '{', '<'];
const CLOSING_BRACKETS: [char; 3] = [']', ')', '}'];

static ARROW: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"→|⇒|⟶|➔|➜|[-–—=~]+>|\s>\s|(?i)\sto\s"));
static EMBEDDED_TAG: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(
        r"(?i)\b(?:system|user)\s*:\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+?|baseline)\s*(?:→|->|=>)\s*(?:v?\d+(?:\.[0-9A-Za-z+-]+)+|baseline)",
    )
});

/// A line that looks like a tag and is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MalformedTag {
    /// `malformed-tag` or `build-metadata`.
    pub(crate) rule: Rule,
    pub(crate) message: String,
    pub(crate) suggestion: Option<SuggestedTag>,
    /// The byte range of the wrong part in the line, if a single part is wrong.
    pub(crate) range: Option<Range<usize>>,
}

impl MalformedTag {
    pub(crate) fn help(&self) -> String {
        match &self.suggestion {
            Some(tag) => format!("write `{tag}` on a line of its own"),
            None => format!("write a tag on a line of its own, such as `{EXAMPLE_TAG}`"),
        }
    }

    /// Names the first character that no tag has, if there is one: it may look like another one, or
    /// like none. `inner` is the part of `line` between the brackets.
    pub(crate) fn naming_character(self, line: &str, inner: &str) -> Self {
        const ARROWS: &[char] = &['→', '⇒', '⟶', '➔', '➜', '–', '—'];
        let is_foreign = |c: &(usize, char)| !c.1.is_ascii() && !ARROWS.contains(&c.1);
        let Some((offset, character)) = inner.char_indices().find(is_foreign) else { return self };
        let start = inner.as_ptr() as usize - line.as_ptr() as usize + offset;
        let message = format!("{} cannot be part of a tag", describe_character(character));
        Self { message, range: Some(start..start + character.len_utf8()), ..self }
    }

    /// The line has more bytes than a tag may have.
    pub(crate) fn too_long(self, max_len: usize) -> Self {
        Self { message: format!("a tag has at most {max_len} bytes"), range: None, ..self }
    }

    /// The diagnostic, with `span` in the document underlined.
    pub(crate) fn into_diagnostic(self, span: Range<usize>) -> Diagnostic {
        let help = self.help();
        Diagnostic::new(self.rule, span, self.message).help(help)
    }
}

/// What a line begins with after its white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinePrefix {
    CommentMark,
    Bracket,
}

/// Checks a line that is not a tag for the parts of one: a bracket, a scope, an arrow between
/// versions, and `start` or `end`. Two or three of them in one bracket are not a coincidence.
///
/// `body` is the rest of `line` after its comment marks.
pub(crate) fn find_near_miss(line: &str, body: &str, prefix: LinePrefix) -> Option<MalformedTag> {
    let candidate = Candidate { line, body, inner: bracket_content(body), prefix };
    // Nearly every comment is excluded here.
    if !candidate.is_bracketed_comment() && !may_contain_version(candidate.inner) {
        return None;
    }
    if !candidate.is_near_miss() {
        return match prefix {
            LinePrefix::CommentMark => find_embedded_tag(line),
            LinePrefix::Bracket => None,
        };
    }
    let (message, range) = candidate.describe_error();
    Some(MalformedTag {
        rule: Rule::MalformedTag,
        message,
        suggestion: suggest_tag(candidate.inner),
        range,
    })
}

/// A line that may be a malformed tag.
struct Candidate<'t> {
    line: &'t str,
    /// The line without its comment marks.
    body: &'t str,
    /// The content of the bracket that `body` begins with, or all of `body`.
    inner: &'t str,
    prefix: LinePrefix,
}

impl Candidate<'_> {
    fn is_bracketed_comment(&self) -> bool {
        self.prefix == LinePrefix::CommentMark && self.body.starts_with('[')
    }

    /// Whether the line holds enough parts of a tag to be taken for a malformed one.
    fn is_near_miss(&self) -> bool {
        let has_arrow = ARROW.is_match(self.inner);
        if !self.is_bracketed_comment() && !has_arrow {
            return false;
        }
        let (first_word, last_word) = first_and_last_word(self.inner);
        let has_scope = suggest_scope(first_word).is_some();
        let has_boundary = suggest_boundary(last_word).is_some();
        let has_version = VERSION_LIKE.is_match(self.inner);
        let is_complete = has_scope && has_arrow && has_boundary && has_version;
        // SQL may begin a line with a bracket; a comment rarely does.
        match self.prefix {
            LinePrefix::CommentMark if self.body.starts_with('[') => {
                (has_scope && (has_boundary || has_arrow))
                    || (has_arrow && has_boundary && has_version)
            }
            LinePrefix::CommentMark => is_complete,
            LinePrefix::Bracket => is_complete && self.inner.contains(':'),
        }
    }

    /// The message, and the byte range in the line of the wrong part, if a single part is wrong.
    fn describe_error(&self) -> (String, Option<Range<usize>>) {
        let (first_word, last_word) = first_and_last_word(self.inner);
        let inner_start =
            self.body.find(self.inner).map(|at| self.line.len() - self.body.len() + at);
        let first_range = inner_start.map(|start| start..start + first_word.len());
        let Some(scope) = suggest_scope(first_word) else {
            let message = "malformed tag: it must begin with the scope `system` or `user`";
            return (message.to_owned(), first_range.filter(|range| !range.is_empty()));
        };
        if !matches!(first_word, "system" | "user") {
            let message = format!("`{first_word}` is not a scope; did you mean `{scope}`?");
            return (message, first_range);
        }
        if let Some(boundary) = suggest_boundary(last_word)
            && !matches!(last_word, "start" | "end")
        {
            let last_range = inner_start
                .map(|start| start + self.inner.len())
                .map(|end| end - last_word.len()..end);
            let message =
                format!("`{last_word}` is neither `start` nor `end`; did you mean `{boundary}`?");
            return (message, last_range);
        }
        let trailing_text =
            self.body.find(CLOSING_BRACKETS).map_or("", |end| self.body[end + 1..].trim());
        let end = self.line.trim_end().len();
        if !trailing_text.is_empty()
            && parse_well_formed(&self.line[..end - trailing_text.len()]).is_some()
        {
            let message = "text after a tag: a tag must be alone on its line";
            return (message.to_owned(), Some(end - trailing_text.len()..end));
        }
        ("malformed tag".to_owned(), None)
    }
}

/// Finds a scope and two versions, such as `user:1.0.0→1.1.0`, anywhere in a line. For lines that
/// are not SQL: comments, and text outside any block.
pub(crate) fn find_embedded_tag(line: &str) -> Option<MalformedTag> {
    if !line.contains(':') {
        return None;
    }
    let found = EMBEDDED_TAG.find(&line[..line.floor_char_boundary(400)])?;
    Some(MalformedTag {
        rule: Rule::MalformedTag,
        message: "malformed tag: this line holds a scope and two versions, but is not a tag"
            .to_owned(),
        suggestion: suggest_tag(
            line[found.start()..].trim_end().trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        ),
        range: Some(found.range()),
    })
}

/// The content of the bracket that `body` begins with; without a bracket, all of `body`.
pub(crate) fn bracket_content(body: &str) -> &str {
    let inner = body.trim_start_matches(OPENING_BRACKETS);
    match inner.find(CLOSING_BRACKETS) {
        Some(end) if inner.len() < body.len() => inner[..end].trim(),
        _ => inner.trim(),
    }
}

/// Whether a text holds a digit or the word `baseline`; without either it holds no version.
fn may_contain_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().any(u8::is_ascii_digit)
        || bytes.windows(8).any(|word| word.eq_ignore_ascii_case(b"baseline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&ARROW, &EMBEDDED_TAG, &VERSION_LIKE] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
