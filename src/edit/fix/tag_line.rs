//! Corrects a line that was meant to be a tag.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::near_miss::bracket_content;
use crate::document::suggest::suggest_tag;
use crate::document::tag_parser::{TagLine, parse_tag_line};
use crate::document::tag_syntax::arrow_of;
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};

/// Writes the suggested tag in place of a malformed one. Text behind the tag moves to the next line;
/// a tag inside a sentence is left alone.
pub(crate) fn correct_tag(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let line = context.line_content(finding.span.start);
    let text = &context.view.text[line.clone()];
    let Some(TagLine::Malformed(malformed)) = parse_tag_line(text) else { return None };
    let tag = malformed.suggestion?;
    let body = text.trim_start_matches(|c: char| !c.is_alphanumeric() && !"[({<".contains(c));
    // A tag that is only found somewhere in a line has other text before it.
    if suggest_tag(bracket_content(body)).as_ref() != Some(&tag) {
        return None;
    }
    let trailing_text = match body.find([']', ')', '}']) {
        Some(close) if body.starts_with(['[', '(', '{', '<']) => body[close + 1..].trim(),
        _ => "",
    };
    let mut new = tag.to_string().replace('→', arrow_of(text));
    if trailing_text.chars().any(char::is_alphanumeric) {
        new.push_str(context.view.line_ending);
        new.push_str(context.line_prefix(line.start));
        new.push_str(trailing_text);
    }
    // Without build metadata, a version is another one.
    let safety =
        if finding.rule == Rule::MalformedTag { FixSafety::Safe } else { FixSafety::NeedsPerson };
    let title = format!("write the tag as `{tag}`");
    Some(Fix::new(finding, safety, title, vec![TextEdit::new(line, new)]))
}
