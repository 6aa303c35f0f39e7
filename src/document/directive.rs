//! Reads directives: comments of a block such as `-- tatmig:allow RULE reason` and
//! `-- tatmig:assert reason`.

use std::ops::Range;

use memchr::memmem;
use strsim::osa_distance;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::lines::trim_range;
use crate::document::migration::AllowDirective;
use crate::source::SourceSlice;
use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};
use crate::text::nearest_name;

/// A directive as written. The texts after the name may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directive<'t> {
    Allow {
        rule_name: &'t str,
        reason: &'t str,
    },
    Assert {
        reason: &'t str,
    },
    /// Something that a person has to write or decide.
    Todo {
        task: &'t str,
    },
    Misspelled {
        name: &'t str,
        rule: Rule,
    },
}

/// The statements that an assertion can be about begin with one of these words.
const SELECT_KEYWORDS: [&str; 3] = ["SELECT", "VALUES", "WITH"];

impl<'t> Directive<'t> {
    /// Parses a comment, with its comment marks. `None` for an ordinary comment.
    pub(crate) fn parse(comment: &'t str) -> Option<Self> {
        let text = comment
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | '*'))
            .trim_end_matches(['*', '/'])
            .trim_end();
        let is_ours = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("tatmig"));
        if !is_ours {
            return None;
        }
        let separator = text[6..].chars().next()?;
        let body = text[6 + separator.len_utf8()..].trim_start();
        let (name, rest) = split_word(body);
        if separator == ':' && text.starts_with("tatmig") {
            match name {
                "allow" => {
                    let (rule_name, reason) = split_word(rest);
                    return Some(Self::Allow { rule_name, reason });
                }
                "assert" => return Some(Self::Assert { reason: rest }),
                "todo" => return Some(Self::Todo { task: rest }),
                _ => {}
            }
        }
        let name = name.trim_end_matches(':');
        let rule = if osa_distance(&name.to_lowercase(), "assert") <= 2 {
            Rule::MalformedAssert
        } else {
            Rule::MalformedAllow
        };
        // Prose may begin with the program's name as well. Only a colon, or the exact name of a
        // directive, is no coincidence.
        let is_name = ["allow", "assert"].iter().any(|known| name.eq_ignore_ascii_case(known));
        (separator == ':' || is_name).then_some(Self::Misspelled { name, rule })
    }
}

/// The first word of a text and the trimmed rest.
fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// The comments of `range` that are directives.
fn directives(text: &str, range: Range<usize>) -> impl Iterator<Item = (Token, Directive<'_>)> {
    let has_any = memmem::find(text[range.clone()].to_ascii_lowercase().as_bytes(), b"tatmig");
    let tokens = has_any.map(|_| lexer::tokens(&text[..range.end], range.start));
    tokens.into_iter().flatten().filter(|token| token.kind == TokenKind::Comment).filter_map(
        |token| {
            let directive = Directive::parse(&text[token.range.clone()])?;
            Some((token, directive))
        },
    )
}

/// Whether SQL of a block may be commented out, as it is in a planned migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockState {
    Planned,
    Released,
}

/// The `-- tatmig:allow` directives of a block. Reports every malformed directive.
pub(crate) fn read_directives(
    block: &SourceSlice<'_>,
    state: BlockState,
    mut report: impl FnMut(Diagnostic),
) -> Vec<AllowDirective> {
    let text = block.text();
    let mut allow_directives = Vec::new();
    for (token, directive) in directives(text, 0..text.len()) {
        let span = block.document_span(trim_range(text, token.range.clone()));
        match directive {
            Directive::Allow { rule_name, .. } if !is_on_own_line(text, &token) => {
                report(allow_beside_statement(span, rule_name));
            }
            Directive::Allow { rule_name, reason } => match Rule::from_name(rule_name) {
                Some(rule) if !reason.is_empty() => {
                    allow_directives.push(AllowDirective { rule, reason: reason.to_owned() });
                }
                rule => report(malformed_allow(span, rule_name, rule)),
            },
            Directive::Assert { reason } => {
                if let Some(message) = assert_error(text, &token, reason, state) {
                    report(malformed_assert(span, message));
                }
            }
            // The replay reports it for the blocks that a run needs.
            Directive::Todo { .. } => {}
            Directive::Misspelled { name, rule } => report(misspelled(span, name, rule)),
        }
    }
    allow_directives
}

/// The error of a line between the blocks of a code block, if it is a directive: no block reads it.
/// `span` is its place in the document.
pub(crate) fn directive_outside_block(line: &str, span: Range<usize>) -> Option<Diagnostic> {
    let error = |rule, message: String, next: &str| {
        let help = format!("move the comment below the start tag of its block, above the {next}");
        Diagnostic::new(rule, span.clone(), message).help(help)
    };
    let comment = lexer::tokens(line, 0).find(|token| token.kind == TokenKind::Comment)?;
    match Directive::parse(&line[comment.range])? {
        Directive::Allow { rule_name, .. } => {
            let message =
                format!("`tatmig:allow {rule_name}` is outside any block and allows nothing");
            Some(error(Rule::MalformedAllow, message, "statement"))
        }
        Directive::Assert { .. } => {
            let message = "this assertion is outside any block and checks nothing".to_owned();
            Some(error(Rule::MalformedAssert, message, "SELECT"))
        }
        Directive::Misspelled { name, rule } => Some(misspelled(span, name, rule)),
        // What is left to do may be anywhere.
        Directive::Todo { .. } => None,
    }
}

fn misspelled(span: Range<usize>, name: &str, rule: Rule) -> Diagnostic {
    Diagnostic::new(rule, span, format!("`{name}` is not a directive of tatmig"))
        .help("write `-- tatmig:allow RULE reason` or `-- tatmig:assert reason`, in lower case")
}

/// Whether nothing is before a comment in its line.
fn is_on_own_line(text: &str, comment: &Token) -> bool {
    let line_start = text[..comment.range.start].rfind('\n').map_or(0, |at| at + 1);
    text[line_start..comment.range.start].trim().is_empty()
}

fn allow_beside_statement(span: Range<usize>, rule_name: &str) -> Diagnostic {
    let message = format!("`tatmig:allow {rule_name}` is on the line of a statement");
    Diagnostic::new(Rule::MalformedAllow, span, message)
        .help("move the comment to a line of its own above the statement")
}

fn malformed_allow(span: Range<usize>, rule_name: &str, rule: Option<Rule>) -> Diagnostic {
    let (message, help) = if rule.is_some() {
        (
            format!("`{rule_name}` is allowed without a reason"),
            format!("add the reason on the same line: `-- tatmig:allow {rule_name} because …`"),
        )
    } else {
        (
            format!("unknown rule `{rule_name}`"),
            match nearest_name(rule_name, Rule::ALL.iter().map(|rule| rule.name())) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "write the name that a message shows in brackets, such as `foreign-keys` or `row-loss`"
                    .to_owned(),
            },
        )
    };
    Diagnostic::new(Rule::MalformedAllow, span, message).help(help)
}

/// A `-- tatmig:assert` that checks nothing.
pub(crate) fn malformed_assert(span: Range<usize>, message: &str) -> Diagnostic {
    Diagnostic::new(Rule::MalformedAssert, span, message).help(
        "write `-- tatmig:assert reason` on a line of its own, and below it a SELECT that returns the rows that must not exist",
    )
}

/// What is wrong with a `-- tatmig:assert`. The replay finds directives inside a statement.
fn assert_error(
    text: &str,
    token: &Token,
    reason: &str,
    state: BlockState,
) -> Option<&'static str> {
    if reason.is_empty() {
        return Some("this assertion has no reason");
    }
    if !is_on_own_line(text, token) {
        return Some("an assertion must be on a line of its own, above its SELECT");
    }
    let next = lexer::skip_trivia(text, token.range.end);
    if next == text.len() && state == BlockState::Planned {
        return None;
    }
    let is_select = lexer::tokens(text, next).next().is_some_and(|token| {
        SELECT_KEYWORDS.iter().any(|word| text[token.range.clone()].eq_ignore_ascii_case(word))
    });
    (!is_select).then_some("the statement below this assertion is not a SELECT")
}

/// The reason of the last `-- tatmig:assert` among the comments of `range`.
pub(crate) fn assertion_in(text: &str, range: Range<usize>) -> Option<&str> {
    directives(text, range)
        .filter_map(|(_, directive)| match directive {
            Directive::Assert { reason } => Some(reason),
            _ => None,
        })
        .last()
}

/// Reports each `-- tatmig:todo` of a block.
pub(crate) fn unfinished_parts(block: &SourceSlice<'_>) -> Vec<Diagnostic> {
    let text = block.text();
    let todo = |(token, directive): (Token, Directive<'_>)| {
        let Directive::Todo { task } = directive else { return None };
        let task = if task.is_empty() { String::new() } else { format!(": {task}") };
        let span = block.document_span(trim_range(text, token.range));
        let message = format!("this block is not finished{task}");
        Some(Diagnostic::new(Rule::UnfinishedBlock, span, message).help(
            "write the SQL and remove this comment; if nothing is to be done here, only remove the comment",
        ))
    };
    directives(text, 0..text.len()).filter_map(todo).collect()
}

/// Reports a `-- tatmig:assert` inside a statement, where it is an ordinary comment.
pub(crate) fn embedded_assert(statement: &SourceSlice<'_>) -> Option<Diagnostic> {
    let text = statement.text();
    let (token, _) = directives(text, 0..text.len())
        .find(|(_, directive)| matches!(directive, Directive::Assert { .. }))?;
    let span = statement.document_span(trim_range(text, token.range));
    Some(malformed_assert(span, "this assertion is inside a statement, not above one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_look_like_directives_are_told_apart_from_prose() {
        let allow = |rule_name, reason| Some(Directive::Allow { rule_name, reason });
        let assert = |reason| Some(Directive::Assert { reason });
        let misspelled = |name, rule| Some(Directive::Misspelled { name, rule });
        for (comment, expected) in [
            ("-- tatmig:allow row-loss because a b", allow("row-loss", "because a b")),
            ("--tatmig:allow row-loss", allow("row-loss", "")),
            ("/* tatmig:allow row-loss x */", allow("row-loss", "x")),
            ("-- tatmig: assert no twins", assert("no twins")),
            ("-- tatmig:assert", assert("")),
            ("-- tatmig:todo write it", Some(Directive::Todo { task: "write it" })),
            ("-- tatmig:asert no twins", misspelled("asert", Rule::MalformedAssert)),
            ("-- tatmig:assert: no twins", misspelled("assert", Rule::MalformedAssert)),
            ("-- Tatmig:Allow row-loss x", misspelled("Allow", Rule::MalformedAllow)),
            ("-- tatmig allow row-loss x", misspelled("allow", Rule::MalformedAllow)),
            ("-- tatmig:ignore row-loss", misspelled("ignore", Rule::MalformedAllow)),
            ("-- tatmig allows this", None),
            ("-- tatmigrate:allow", None),
            ("-- tatmig", None),
            ("-- see tatmig:allow", None),
        ] {
            assert_eq!(Directive::parse(comment), expected, "{comment}");
        }
    }
}
