//! Words the diagnostics for statements that fail in the replay: what failed, at which token, and
//! what to do about it.

use rusqlite::Connection;

use crate::database::assertion::describe_failing_rows;
use crate::database::declared;
use crate::database::error::sqlite_message;
use crate::database::error_span::{error_offset, error_span};
use crate::database::job::Assertion;
use crate::database::known_names::similar_pragma;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::schema;
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;
use crate::sql::mistakes;

/// Whether a statement before this one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlierFailure {
    None,
    Exists,
}

/// A statement that the authorizer denied, for the reason that it gave.
pub(crate) fn denied(
    statement_sql: &SourceSlice<'_>,
    reason: String,
    connection: &Connection,
) -> Diagnostic {
    let help = denial_help(&reason, connection);
    Diagnostic::new(Rule::RefusedStatement, first_line_span(statement_sql), reason).help(help)
}

/// What to do in place of a denied statement.
fn denial_help(reason: &str, connection: &Connection) -> String {
    let pragma = reason.strip_prefix("`PRAGMA ").and_then(|rest| Some(rest.split_once('`')?.0));
    if pragma == Some("journal_mode") {
        return "remove the statement; `journal_mode = \"wal\"` in tatmig.toml is for new databases, and existing ones keep their mode".to_owned();
    }
    if let Some(similar) = pragma.and_then(|name| similar_pragma(connection, name)) {
        return format!("did you mean `PRAGMA {similar}`?");
    }
    if reason.starts_with("`load_extension`") {
        return "remove it, and load the extension with `[[extension]]` in tatmig.toml".to_owned();
    }
    "remove the statement".to_owned()
}

/// A statement that SQLite rejected.
pub(crate) fn rejected(
    statement_sql: &SourceSlice<'_>,
    error: &rusqlite::Error,
    earlier_failure: EarlierFailure,
) -> Diagnostic {
    let message = sqlite_message(error);
    if message.starts_with("cannot VACUUM") {
        let reason = "`VACUUM` is not allowed inside a block: it cannot run inside a transaction";
        return Diagnostic::new(Rule::RefusedStatement, first_line_span(statement_sql), reason)
            .help("remove the statement");
    }
    let displayed_message = message.replace("no such table: main.", "no such table: ");
    let diagnostic =
        Diagnostic::new(Rule::Sql, error_span(statement_sql, error), displayed_message);
    let mistake = mistakes::help(statement_sql.text(), &message, error_offset(error));
    let help = rejection_help(statement_sql.text(), &message, earlier_failure);
    match (mistake, help) {
        (Some(mistake), _) if message.starts_with("no such function") => diagnostic.help(format!(
            "{mistake}; a function of the application is declared in `[functions]` of tatmig.toml"
        )),
        (Some(mistake), Some(help)) => diagnostic.help(format!("{mistake}; {help}")),
        (Some(help), None) | (None, Some(help)) => diagnostic.help(help),
        (None, None) => diagnostic,
    }
}

fn rejection_help(
    statement: &str,
    message: &str,
    earlier_failure: EarlierFailure,
) -> Option<String> {
    if let Some(help) = declared::help(message) {
        return Some(help);
    }
    let is_unknown_name = message.starts_with("no such")
        || message.starts_with("table ") && message.contains("has no column");
    let help = if is_unknown_name && earlier_failure == EarlierFailure::Exists {
        "possibly a follow-on error: an earlier statement failed"
    } else if is_unknown_name {
        "no earlier statement of the document creates it"
    } else if message.starts_with("duplicate column name") {
        if statement.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("create")) {
            "a table cannot have two columns of one name; remove or rename one"
        } else {
            "an earlier statement of the document already creates this column"
        }
    } else if message.contains("already exists") {
        "an earlier statement of the document already creates it; if some databases have it already, write `IF NOT EXISTS`"
    } else if message == "incomplete input" {
        "the block ends before this statement does; the body of a trigger ends with `END;`"
    } else if is_unrecoverable(statement, message) {
        "the rest of this block was not checked"
    } else if message.ends_with("may not be modified") {
        "change the schema with `CREATE`, `ALTER` and `DROP`"
    } else {
        return None;
    };
    Some(help.to_owned())
}

/// Whether the end of a failed statement is unknown: SQLite's parser stopped, and the next
/// semicolon may be one inside the body of a trigger.
pub(crate) fn is_unrecoverable(statement: &str, message: &str) -> bool {
    let is_parse_error =
        ["syntax error", "unrecognized token"].iter().any(|kind| message.contains(kind));
    message == "incomplete input"
        || lexer::is_create_trigger(statement)
        || is_parse_error
            && lexer::tokens(statement, 0).any(|token| {
                let word = &statement[token.range];
                word.eq_ignore_ascii_case("TRIGGER") || word.eq_ignore_ascii_case("BEGIN")
            })
}

/// A statement that names one of tatmig's tables where the authorizer does not see it yet: in the
/// body of a trigger or a view, as the parent of a foreign key, or as the new name of a table.
pub(crate) fn reserved_name(statement_sql: &SourceSlice<'_>) -> Option<Diagnostic> {
    let text = statement_sql.text();
    let token = lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted))
        .find(|token| schema::is_tatmig_name(&lexer::unquote(&text[token.range.clone()])))?;
    let name = lexer::unquote(&text[token.range.clone()]);
    Some(
        Diagnostic::new(
            Rule::RefusedStatement,
            statement_sql.document_span(token.range.clone()),
            format!("`{name}` belongs to tatmig: a block must not read or change it"),
        )
        .help("names that begin with `_tatmig_` are reserved; use another name"),
    )
}

/// A statement with a parameter.
pub(crate) fn parameter(statement_sql: &SourceSlice<'_>) -> Diagnostic {
    let text = statement_sql.text();
    let parameter_range = lexer::tokens(text, 0)
        .find(|token| text[token.range.clone()].starts_with(['?', ':', '@', '$']))
        .map_or(0..1, |token| {
            let name = lexer::tokens(text, token.range.end).next();
            let end =
                name.filter(|name| name.kind == lexer::TokenKind::Word).map(|name| name.range.end);
            token.range.start..end.unwrap_or(token.range.end)
        });
    Diagnostic::new(
        Rule::Parameter,
        statement_sql.document_span(parameter_range),
        "a block cannot have parameters: no value is bound, and SQLite would use NULL",
    )
    .help("write the value itself")
}

/// A statement that ended the transaction, with the error that it ended with.
pub(crate) fn ended_transaction(
    statement_sql: &SourceSlice<'_>,
    error: Option<&rusqlite::Error>,
) -> Diagnostic {
    let message = error.map(sqlite_message).unwrap_or_default();
    Diagnostic::new(
        Rule::EndedTransaction,
        error.map_or_else(
            || first_line_span(statement_sql),
            |error| error_span(statement_sql, error),
        ),
        format!("this statement ends the transaction of the whole run: {message}"),
    )
    .help("write `INSERT OR ABORT`, `OR IGNORE` or `RAISE(ABORT, …)`; `ROLLBACK` is not allowed in a block")
}

/// A statement that breaks a constraint.
pub(crate) fn constraint(statement_sql: &SourceSlice<'_>, error: &rusqlite::Error) -> Diagnostic {
    Diagnostic::new(
        Rule::Constraint,
        error_span(statement_sql, error),
        format!("this statement fails on an otherwise empty database: {}", sqlite_message(error)),
    )
    .help("with other rows it may succeed; `INSERT OR IGNORE` makes it safe to run again")
}

/// The SELECT of an assertion returned rows.
pub(crate) fn failed_assertion(
    statement_sql: &SourceSlice<'_>,
    assertion: Option<&Assertion>,
    rows: &[String],
) -> Diagnostic {
    let reason = assertion.map_or("", |assertion| &assertion.reason);
    Diagnostic::new(
        Rule::Assert,
        first_line_span(statement_sql),
        format!(
            "assertion failed on an otherwise empty database: {reason}: {}",
            describe_failing_rows(rows)
        ),
    )
    .help("correct the SELECT, or the rows that the document itself inserts")
}
