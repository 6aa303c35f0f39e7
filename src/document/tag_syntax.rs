//! Parses the exact syntax of a tag, `-- [SCOPE:FROM→TO:start]`, and its two versions.

use semver::Version;

use crate::document::diagnostic::Rule;
use crate::document::tag::{BlockBoundary, Scope, Tag, VersionPoint};

/// The parts of a well-formed tag line, its versions not yet parsed.
pub(crate) struct TagParts<'t> {
    pub(crate) scope: Scope,
    pub(crate) subject: TagSubject<'t>,
    pub(crate) boundary: BlockBoundary,
}

/// The middle part of a tag, between the scope and `start` or `end`.
pub(crate) enum TagSubject<'t> {
    Seed(&'t str),
    Migration { from: &'t str, to: &'t str },
}

/// The arrow between two versions as a text writes it: `->` if it has no other one.
pub(crate) fn arrow_of(text: &str) -> &'static str {
    if text.contains("->") && !text.contains('→') { "->" } else { "→" }
}

/// Splits a line that has every mark of a tag in its place; `None` for any other line.
pub(crate) fn parse_well_formed(line: &str) -> Option<TagParts<'_>> {
    let inner =
        line.trim().strip_prefix("--")?.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let (scope, rest) = inner.split_once(':')?;
    let (subject, boundary) = rest.rsplit_once(':')?;
    let scope = Scope::BOTH.into_iter().find(|known| known.name() == scope.trim())?;
    let boundary = match boundary.trim() {
        "start" => BlockBoundary::Start,
        "end" => BlockBoundary::End,
        _ => return None,
    };
    let is_seed_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if let Some((word, name)) = subject.split_once(':') {
        let name = name.trim();
        let is_seed =
            word.trim() == "seed" && !name.is_empty() && name.chars().all(is_seed_name_char);
        return is_seed.then_some(TagParts { scope, subject: TagSubject::Seed(name), boundary });
    }
    let (arrow_start, arrow_head) = subject.rmatch_indices(['→', '>']).next()?;
    let (from, to) = (&subject[..arrow_start], subject[arrow_start + arrow_head.len()..].trim());
    let from = if arrow_head == ">" { from.strip_suffix('-')? } else { from }.trim();
    let subject = TagSubject::Migration { from, to };
    (is_version_text(from) && is_version_text(to)).then_some(TagParts { scope, subject, boundary })
}

/// Whether a text has no character that separates the parts of a tag.
fn is_version_text(text: &str) -> bool {
    let is_delimiter = |c: char| c.is_whitespace() || matches!(c, ':' | '[' | ']');
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
    !text.is_empty() && (text.as_bytes().iter().all(is_plain) || !text.contains(is_delimiter))
}

/// A version of a tag that cannot be used.
pub(crate) struct InvalidVersion<'t> {
    pub(crate) rule: Rule,
    pub(crate) message: String,
    /// The version, a part of the tag's line.
    pub(crate) text: &'t str,
}

/// Parses the versions of a tag. Two texts without a digit make a placeholder, unless one of them is
/// `baseline`.
pub(crate) fn parse_migration_tag<'t>(
    scope: Scope,
    from: &'t str,
    to: &'t str,
) -> Result<Tag, InvalidVersion<'t>> {
    // Digits of other scripts are a mistake, not a placeholder.
    let has_digit = |text: &str| text.contains(char::is_numeric);
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
    let (rule, message) = if Version::parse(text).is_ok() {
        let message = format!(
            "version `{text}` has build metadata, which does not count when versions are compared"
        );
        (Rule::BuildMetadata, message)
    } else {
        (Rule::MalformedTag, invalid_version_message(text))
    };
    Err(InvalidVersion { rule, message, text })
}

fn invalid_version_message(text: &str) -> String {
    let without_v = text.trim_start_matches(['v', 'V']);
    let is_numeric = without_v.split('.').all(|part| part.parse::<u64>().is_ok());
    let is_all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_leading_zero =
        |part: &str| part.len() > 1 && part.starts_with('0') && is_all_digits(part);
    if text.eq_ignore_ascii_case("baseline") {
        return format!("`{text}` must be lowercase: `baseline`");
    }
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return format!("`{text}` is neither a semantic version nor `baseline`");
    }
    let reason = if without_v.len() < text.len()
        && without_v.starts_with(|c: char| c.is_ascii_digit())
    {
        "it must not begin with `v`"
    } else if is_numeric && without_v.split('.').count() != 3 {
        "it must have three numbers"
    } else if without_v.split('.').any(|part| is_all_digits(part) && part.parse::<u64>().is_err()) {
        "a number is too large"
    } else if text.split(['.', '-']).any(has_leading_zero) {
        "a number must not begin with a zero"
    } else {
        "write it like `1.2.3` or `1.2.3-rc.1`"
    };
    format!("`{text}` is not a semantic version: {reason}")
}
