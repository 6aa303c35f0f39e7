//! Text in double quotes that SQLite takes for a string. SQLite itself tells: the statement is
//! prepared with that mercy turned off.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::error::message;
use crate::document::diagnostic::{Problem, Rule};
use crate::lint::sandbox::Stage;
use crate::schema::tracker::Change;
use crate::schema::{Kind, Object};
use crate::source::Piece;
use crate::sql::lexer;
use crate::sql::tokens::Words;

/// Looks at a statement before it runs.
pub(crate) fn judge(
    stage: &Stage,
    statement: &Piece<'_>,
    problems: &mut Vec<Problem>,
) -> rusqlite::Result<()> {
    let mut text = statement.text().to_owned();
    if !text.contains('"') {
        return Ok(());
    }
    // Each string that was found is put into single quotes, for the next one to be found.
    strictly(stage.connection(), |connection| {
        while let Some(name) = refused(connection, &text) {
            let words = Words::of(&text);
            let Some(at) = (0..words.len()).find(|at| is_that(&words, *at, &name)) else { break };
            let range = words.range(at);
            problems.push(problem(statement, range.clone()));
            let inner = text[range.start + 1..range.end - 1].replace('\'', "_");
            text.replace_range(range, &format!("'{inner}'"));
        }
    })
}

/// Looks at what a statement has left in the schema and SQLite has not read yet: the bodies of
/// views and triggers.
pub(crate) fn judge_stored(
    stage: &Stage,
    (statement, changes): (&Piece<'_>, &[Change]),
    problems: &mut Vec<Problem>,
) -> rusqlite::Result<()> {
    if !statement.text().contains('"') {
        return Ok(());
    }
    for object in changes.iter().filter_map(|(_, object)| object.as_deref()) {
        let probes = match object.kind {
            Kind::View => vec![format!("SELECT * FROM {}", lexer::quote(&object.name))],
            Kind::Trigger => firings(stage, object),
            Kind::Table | Kind::Index => continue,
        };
        let words = Words::of(statement.text());
        strictly(stage.connection(), |connection| {
            for name in probes.iter().filter_map(|probe| refused(connection, probe)) {
                let found = (0..words.len()).find(|at| is_that(&words, *at, &name));
                if let Some(range) = found.map(|at| words.range(at)) {
                    let problem = problem(statement, range);
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
        })?;
    }
    Ok(())
}

/// Statements that would fire a trigger.
fn firings(stage: &Stage, trigger: &Object) -> Vec<String> {
    let table = lexer::quote(&trigger.table);
    let mut probes =
        vec![format!("INSERT INTO {table} DEFAULT VALUES"), format!("DELETE FROM {table}")];
    let columns = stage.schema().values().filter(|object| {
        object.kind == Kind::Table && object.name.eq_ignore_ascii_case(&trigger.table)
    });
    probes.extend(columns.flat_map(|object| &object.structure.columns).map(|column| {
        let column = lexer::quote(&column.name);
        format!("UPDATE {table} SET {column} = {column}")
    }));
    probes
}

fn strictly(connection: &Connection, look: impl FnOnce(&Connection)) -> rusqlite::Result<()> {
    let settings = [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL];
    for setting in settings {
        connection.set_db_config(setting, false)?;
    }
    look(connection);
    for setting in settings {
        connection.set_db_config(setting, true)?;
    }
    Ok(())
}

/// The quoted name, quotes included, for which SQLite knows no column.
fn refused(connection: &Connection, text: &str) -> Option<String> {
    let words = message(&connection.prepare(text).err()?);
    let quoted = words.strip_prefix("no such column: ")?;
    let token = lexer::tokens(quoted, 0).next()?;
    let name = &quoted[token.range];
    name.starts_with('"').then(|| name.to_owned())
}

fn is_that(words: &Words<'_>, at: usize, name: &str) -> bool {
    words.text(at).starts_with('"')
        && (words.text(at) == name || words.name(at) == name.trim_matches('"'))
        && !words.is(at + 1, ".")
}

fn problem(statement: &Piece<'_>, range: std::ops::Range<usize>) -> Problem {
    let text = &statement.text()[range.clone()];
    let inner = text.trim_matches('"').replace('\'', "''");
    Problem::new(
        Rule::DoubleQuotedString,
        statement.span(range),
        format!("no column is called `{text}`, so SQLite takes it for a string"),
    )
    .help(format!(
        "write '{inner}': double quotes are for names, and an SQLite built without this mercy refuses the statement"
    ))
}
