//! Statements that cannot be run again: each block runs a second time, right behind the first,
//! and what fails then would fail on every database that has some of it already.

use std::collections::BTreeMap;

use crate::database::error::message;
use crate::database::error_span::error_span;
use crate::database::job::ColumnChange;
use crate::document::diagnostic::{Problem, Rule};
use crate::lint::context::{Act, Turn};
use crate::lint::sandbox::Stage;
use crate::sql::lexer;
use crate::sql::tokens::Words;

/// Runs a block again on what it has left, and takes that back.
pub(crate) fn judge(
    stage: &mut Stage,
    act: &Act<'_, '_>,
    problems: &mut Vec<Problem>,
) -> rusqlite::Result<()> {
    stage.aside(|stage| {
        let before = rows(stage, act);
        let mut inserts = Vec::new();
        for turn in &act.turns {
            let outcome = stage.run(turn.statement.sql.text())?;
            if let Err(error) = &outcome.result {
                if !turn.failed {
                    problems.push(problem(turn, error));
                }
            } else if outcome.rows > 0 {
                inserts.extend(target(turn).map(|table| (table, turn)));
            }
            if stage.has_ended() {
                return Ok(());
            }
        }
        let after = rows(stage, act);
        for (table, turn) in inserts {
            let grew =
                matches!((before.get(&table), after.get(&table)), (Some(b), Some(a)) if a > b);
            if grew {
                let words = Words::of(turn.statement.sql.text());
                let last = (0..words.len()).find(|at| words.is_name(*at, &table)).unwrap_or(0);
                problems.push(
                    Problem::new(
                        Rule::NotRerunnable,
                        words.span(&turn.statement.sql, words.verb(), last),
                        format!("run again, this puts its rows into `{table}` a second time"),
                    )
                    .help("add `WHERE NOT EXISTS (…)`, or a unique key and `INSERT OR IGNORE`"),
                );
            }
        }
        Ok(())
    })
}

/// The table that a statement inserts into, in lower case.
fn target(turn: &Turn<'_, '_>) -> Option<String> {
    let words = Words::of(turn.statement.sql.text());
    let verb = words.verb();
    let inserts = words.is(verb, "INSERT") || words.is(verb, "REPLACE");
    let into = words.outer(verb, "INTO").filter(|_| inserts)?;
    Some(words.name(words.qualified(into + 1)).to_lowercase())
}

/// How many rows the tables hold that a block inserts into.
fn rows(stage: &Stage, act: &Act<'_, '_>) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for table in act.turns.iter().filter_map(target) {
        let count = format!("SELECT count(*) FROM {}", lexer::quote(&table));
        // A table that is not there has no rows to be doubled.
        if let Ok(count) = stage.connection().query_row(&count, [], |row| row.get(0)) {
            counts.insert(table, count);
        }
    }
    counts
}

fn problem(turn: &Turn<'_, '_>, error: &rusqlite::Error) -> Problem {
    let statement = &turn.statement.sql;
    let words = message(error);
    let help = match &turn.statement.column {
        Some(ColumnChange::Added { .. }) => {
            "SQLite has no `IF NOT EXISTS` for a column; tatmig notes it as done where the column was there before, other tools would fail here"
        }
        Some(ColumnChange::Dropped { .. }) => {
            "SQLite has no `IF EXISTS` for a column; tatmig notes it as done where the column was gone before, other tools would fail here"
        }
        None if words.contains("already exists") || words.starts_with("there is already") => {
            "for databases that hold it already, write `IF NOT EXISTS`"
        }
        None if words.starts_with("no such") && Words::of(statement.text()).is(0, "DROP") => {
            "for databases that lack it already, write `IF EXISTS`"
        }
        None if words.contains("constraint failed") => {
            "write `INSERT OR IGNORE`, or `ON CONFLICT DO NOTHING`"
        }
        None => {
            "a database may have been through this already, by other hands; nothing guards the statement"
        }
    };
    Problem::new(
        Rule::NotRerunnable,
        error_span(statement, error),
        format!("this statement cannot be run again: {words}"),
    )
    .help(help)
}
