//! Runs an ALTER TABLE in a database that has indexes or columns with collations of the application.
//! SQLite reads the whole schema for some forms of ALTER TABLE, and refuses it if any object, even
//! of another table, names a collation that this SQLite does not have.

use rusqlite::Connection;

use crate::database::declared::register_substitute;
use crate::database::error::sqlite_message;
use crate::database::schema_reader::read_table_objects;
use crate::sql::tokens::Tokens;
use crate::sqlite::authorizer::StatementAuthorizer;

/// Runs a statement. If it is an ALTER TABLE that fails for a missing collation of another table,
/// runs it again with a substitute for the collation, which is removed afterwards. The statement
/// compares no row of that table, so the substitute is never called; a call would fail the statement.
/// The authorizer is enabled before and afterwards.
pub(crate) fn run_with_substitutes(
    connection: &Connection,
    authorizer: &StatementAuthorizer,
    sql: &str,
    run: impl Fn() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut result = run();
    let mut substitutes: Vec<String> = Vec::new();
    while let Err(error) = &result {
        let Some(name) = missing_collation(error) else { break };
        authorizer.disable();
        if substitutes.contains(&name) || !is_alter_of_other_table(connection, sql, &name)? {
            break;
        }
        register_substitute(connection, &name)?;
        substitutes.push(name);
        authorizer.enable();
        result = run();
    }
    for name in &substitutes {
        connection.remove_collation(name.as_str())?;
    }
    result
}

fn missing_collation(error: &rusqlite::Error) -> Option<String> {
    let message = sqlite_message(error);
    let (_, name) = message.split_once("no such collation sequence: ")?;
    Some(name.to_owned())
}

/// Whether a statement alters a table that does not use a collation, nor do its indexes.
fn is_alter_of_other_table(
    connection: &Connection,
    sql: &str,
    collation: &str,
) -> rusqlite::Result<bool> {
    let tokens = Tokens::new(sql);
    if !tokens.match_seq(0, &["ALTER", "TABLE"]) {
        return Ok(false);
    }
    let table = tokens.name(tokens.skip_schema_qualifier(2));
    let uses_collation = |sql: &str| {
        let tokens = Tokens::new(sql);
        (1..tokens.len())
            .any(|index| tokens.is_name(index, collation) && tokens.preceded_by(index, "COLLATE"))
    };
    let objects = read_table_objects(connection, &table)?;
    Ok(!objects.iter().any(|object| uses_collation(&object.sql)))
}
