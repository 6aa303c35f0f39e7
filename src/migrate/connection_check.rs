//! Refuses a connection of an application on which a name of the document can mean an object of
//! another database.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::schema::is_tatmig_name;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
use crate::sqlite::temporary::TemporaryObjects;

/// Refuses a connection with attached databases, or with temporary objects that hide names of the
/// document or of tatmig.
///
/// A name of the document is every word and every quoted text of its SQL: which of them names a
/// table, only a replay knows, and a connection is checked at every log-in.
pub(crate) fn ensure_only_main(
    changelog: &Changelog<'_>,
    scope: Scope,
    connection: &Connection,
) -> Result<(), DatabaseError> {
    let attached = attached_databases(connection)?;
    if !attached.is_empty() {
        return Err(DatabaseError::AttachedDatabases { names: attached });
    }
    let temporary_objects = TemporaryObjects::read(connection)?;
    if temporary_objects.iter().next().is_none() {
        return Ok(());
    }
    let names = names_in_document(changelog, scope);
    let hiding = temporary_objects.iter().filter(|object| {
        let name = object.name.to_ascii_lowercase();
        // SQLite's pragma functions are tables, which a temporary table also hides.
        is_tatmig_name(&name) || name.starts_with("pragma_") || names.contains(&name)
    });
    let objects: Vec<String> =
        hiding.map(|object| format!("temporary {} `{}`", object.kind, object.name)).collect();
    if objects.is_empty() { Ok(()) } else { Err(DatabaseError::HidingObjects { objects }) }
}

fn attached_databases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // Not the pragma function, which a temporary table can hide.
    let mut query = connection.prepare("PRAGMA database_list")?;
    let databases = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let databases: Vec<(i64, String)> = databases.collect::<rusqlite::Result<_>>()?;
    // `main` is 0 and `temp` is 1.
    Ok(databases.into_iter().filter(|(number, _)| *number > 1).map(|(_, name)| name).collect())
}

/// The words and quoted texts of the SQL of a scope, in lower case and without quotes.
fn names_in_document(changelog: &Changelog<'_>, scope: Scope) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for block in changelog.blocks(scope) {
        let text = block.sql.text();
        let tokens = lexer::tokens(text, 0)
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted));
        names.extend(
            tokens.map(|token| lexer::unquote(&text[token.range.clone()]).to_ascii_lowercase()),
        );
    }
    names
}
