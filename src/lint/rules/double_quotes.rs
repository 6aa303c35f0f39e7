//! Reports text in double quotes that SQLite reads as a string because no column has that name.
//! SQLite finds it: each statement is prepared with double-quoted strings disabled
//! (`SQLITE_DBCONFIG_DQS_DML` and `SQLITE_DBCONFIG_DQS_DDL`).

use std::ops::Range;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::error::sqlite_message;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::migrate::sandbox::Sandbox;
use crate::schema::changes::ObjectChange;
use crate::schema::{Object, ObjectKind};
use crate::source::SourceSlice;
use crate::sql::lexer;
use crate::sql::tokens::Tokens;

/// Checks a statement before it runs.
pub(crate) fn check(
    sandbox: &Sandbox,
    statement: &SourceSlice<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    let mut text = statement.text().to_owned();
    if !text.contains('"') {
        return Ok(());
    }
    // SQLite reports one name at a time. Each one found is replaced by a string in single quotes
    // of the same length, so that SQLite reports the next one.
    without_double_quoted_strings(sandbox.connection(), |connection| {
        while let Some(name) = rejected_double_quoted_name(connection, &text) {
            let tokens = Tokens::new(&text);
            let Some(index) =
                (0..tokens.len()).find(|index| is_double_quoted_name(&tokens, *index, &name))
            else {
                break;
            };
            let range = tokens.byte_range(index);
            diagnostics.push(new_diagnostic(statement, range.clone()));
            let string_text = text[range.start + 1..range.end - 1].replace('\'', "_");
            text.replace_range(range, &format!("'{string_text}'"));
        }
    })
}

/// Checks the views and triggers that a statement has created. SQLite resolves the names in their
/// bodies only when they are used, so statements that use them are prepared.
pub(crate) fn check_stored(
    sandbox: &Sandbox,
    statement: &SourceSlice<'_>,
    object_changes: &[ObjectChange],
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    if !statement.text().contains('"') {
        return Ok(());
    }
    for object in object_changes.iter().filter_map(|(_, object)| object.as_deref()) {
        let probes = match object.kind {
            ObjectKind::View => {
                vec![format!("SELECT * FROM {}", lexer::quote_identifier(&object.name))]
            }
            ObjectKind::Trigger => firing_statements(sandbox, object),
            ObjectKind::Table | ObjectKind::Index => continue,
        };
        let tokens = Tokens::new(statement.text());
        without_double_quoted_strings(sandbox.connection(), |connection| {
            for name in
                probes.iter().filter_map(|probe| rejected_double_quoted_name(connection, probe))
            {
                let token_index =
                    (0..tokens.len()).find(|index| is_double_quoted_name(&tokens, *index, &name));
                if let Some(range) = token_index.map(|index| tokens.byte_range(index)) {
                    let diagnostic = new_diagnostic(statement, range);
                    if !diagnostics.contains(&diagnostic) {
                        diagnostics.push(diagnostic);
                    }
                }
            }
        })?;
    }
    Ok(())
}

/// Statements of which at least one fires the trigger.
fn firing_statements(sandbox: &Sandbox, trigger: &Object) -> Vec<String> {
    let table = lexer::quote_identifier(&trigger.table);
    let mut statements =
        vec![format!("INSERT INTO {table} DEFAULT VALUES"), format!("DELETE FROM {table}")];
    let tables = sandbox.schema().values().filter(|object| {
        object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(&trigger.table)
    });
    statements.extend(tables.flat_map(|object| &object.structure().columns).map(|column| {
        let column = lexer::quote_identifier(&column.name);
        format!("UPDATE {table} SET {column} = {column}")
    }));
    statements
}

fn without_double_quoted_strings(
    connection: &Connection,
    action: impl FnOnce(&Connection),
) -> rusqlite::Result<()> {
    let settings = [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL];
    for setting in settings {
        connection.set_db_config(setting, false)?;
    }
    action(connection);
    for setting in settings {
        connection.set_db_config(setting, true)?;
    }
    Ok(())
}

/// The name in double quotes, without the quotes, for which SQLite found no column.
fn rejected_double_quoted_name(connection: &Connection, sql_text: &str) -> Option<String> {
    let message = sqlite_message(&connection.prepare(sql_text).err()?);
    let (name, _) = message
        .strip_prefix("no such column: \"")?
        .split_once("\" - should this be a string literal in single-quotes?")?;
    Some(name.to_owned())
}

fn is_double_quoted_name(tokens: &Tokens<'_>, index: usize, name: &str) -> bool {
    tokens.text(index).starts_with('"') && tokens.name(index) == name && !tokens.is(index + 1, ".")
}

fn new_diagnostic(statement: &SourceSlice<'_>, range: Range<usize>) -> Diagnostic {
    let text = &statement.text()[range.clone()];
    let string_text = lexer::unquote(text).replace('\'', "''");
    Diagnostic::new(
        Rule::DoubleQuotedString,
        statement.document_span(range),
        format!("no column has the name `{text}`, so SQLite reads it as a string"),
    )
    .help(format!(
        "write '{string_text}': double quotes are for names, and some builds of SQLite refuse such a string"
    ))
}
