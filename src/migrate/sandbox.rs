//! One block run in memory: SQLite says where each statement ends, the guard sees what it does, and
//! what it changes in the schema is kept.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, ErrorCode};

use crate::database::connection::in_memory;
use crate::database::error::message;
use crate::database::error_span::error_span;
use crate::database::history;
use crate::database::job::{ColumnChange, Script, Statement};
use crate::document::diagnostic::{Problem, Rule};
use crate::schema;
use crate::schema::tracker::{Churn, Tracked};
use crate::schema::{Schema, Table};
use crate::source::{Piece, whole_span};
use crate::sql::lexer;
use crate::sqlite::authorizer::{Guard, Seen};
use crate::sqlite::transaction::put_back;

/// A database in memory that blocks are tried on.
pub(crate) struct Scratch {
    connection: Connection,
    guard: Guard,
    tracked: Tracked,
    /// After a first failure, what is missing may only be missing because of it.
    failed: Cell<bool>,
}

/// What came of a block.
pub(crate) struct Run<'a> {
    pub(crate) script: Script<'a>,
    pub(crate) problems: Vec<Problem>,
}

/// What an ALTER TABLE found.
struct Before {
    table: String,
    structure: Table,
    names: BTreeSet<String>,
}

/// How one statement ended.
enum Verdict {
    Ran,
    /// It did not, and the next one may be tried.
    Refused(Problem),
    /// It did not, and where the next one begins is not known.
    Lost(Problem),
}

impl Scratch {
    pub(crate) fn new(stop: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut connection = in_memory(stop)?;
        let guard = Guard::install(&mut connection)?;
        // The record is there as it is in every real run, for blocks to keep their hands off.
        history::create(&connection)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self { connection, guard, tracked: Tracked::default(), failed: Cell::new(false) })
    }

    /// What the blocks made that it ran.
    pub(crate) fn schema(&self) -> &Schema {
        self.tracked.schema()
    }

    /// What runs from here on can be taken back.
    pub(crate) fn set_aside(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("SAVEPOINT aside")
    }

    /// Ends what was set aside as if it had not been.
    pub(crate) fn take_back(&mut self) -> rusqlite::Result<()> {
        // A block that ended the transaction took the savepoint with it.
        if self.connection.execute_batch("ROLLBACK TO aside; RELEASE aside").is_ok() {
            self.tracked.refresh(&self.connection, Churn::Changed)?;
        }
        Ok(())
    }

    /// Runs a block, and goes on behind statements that cannot be run.
    pub(crate) fn run<'a>(&mut self, block: &Piece<'a>) -> rusqlite::Result<Run<'a>> {
        let mut run = Run { script: Script::default(), problems: Vec::new() };
        let mut churn = Churn::None;
        let mut dropped = Vec::new();
        let text = block.text();
        let mut at = lexer::skip_empty(text, 0);
        while at < text.len() {
            let (end, verdict) =
                self.statement(block, at, (&mut run.script, &mut churn, &mut dropped))?;
            match verdict {
                Verdict::Ran => {}
                Verdict::Refused(problem) => run.problems.push(problem),
                Verdict::Lost(problem) => {
                    run.problems.push(problem);
                    break;
                }
            }
            at = lexer::skip_empty(text, end);
        }
        if run.script.leaves_state {
            put_back(&self.connection)?;
        }
        // Known by its name before the block, a table that it dropped may stand again after it.
        dropped.retain(|name| self.tracked.has_table(name));
        run.script.changes = self.tracked.refresh(&self.connection, churn)?;
        dropped.retain(|name| self.tracked.has_table(name));
        run.script.rebuilt = dropped;
        Ok(run)
    }

    /// Prepares, runs and notes the statement at `at`; returns where it ends.
    fn statement<'a>(
        &self,
        block: &Piece<'a>,
        at: usize,
        (script, churn, dropped): (&mut Script<'a>, &mut Churn, &mut Vec<String>),
    ) -> rusqlite::Result<(usize, Verdict)> {
        let text = block.text();
        let (end, prepared) = split(&self.connection, &self.guard, (text, at));
        let piece = block.slice(at..end);
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.guard.lower();
                return Ok((end, self.failure(&piece, &error)));
            }
        };
        if prepared.parameter_count() > 0 {
            self.guard.lower();
            return Ok((end, Verdict::Refused(parameter(&piece))));
        }
        let seen = self.guard.seen();
        if (seen.churn != Churn::None || seen.temporary)
            && let Some(problem) = own_name(&piece)
        {
            self.guard.lower();
            return Ok((end, Verdict::Refused(problem)));
        }
        let altered = match &seen.altered {
            Some(table) => {
                self.guard.lower();
                let before = Before {
                    table: table.clone(),
                    structure: Table::read(&self.connection, table)?,
                    names: self.table_names()?,
                };
                self.guard.raise();
                Some(before)
            }
            None => None,
        };
        let changes_rows = seen.churn == Churn::None && !prepared.readonly();
        let result = {
            let mut rows = prepared.raw_query();
            loop {
                match rows.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        };
        self.guard.lower();
        drop(prepared);
        let result = match result {
            // SQLite rolls an interrupted write's transaction back; no block is to blame.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Err(error);
            }
            result => result,
        };
        if self.connection.is_autocommit() {
            let problem = ended(&piece, result.err().as_ref());
            self.connection.execute_batch("BEGIN")?;
            self.failed.set(true);
            return Ok((end, Verdict::Lost(problem)));
        }
        let verdict = match result {
            Ok(()) => Verdict::Ran,
            Err(error)
                if changes_rows
                    && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                Verdict::Refused(constraint(&piece, &error))
            }
            Err(error) => return Ok((end, self.failure(&piece, &error))),
        };
        *churn = (*churn).max(seen.churn);
        let column = match altered {
            Some(before) => self.alteration(script, &seen, before)?,
            None => None,
        };
        if seen.dropped.is_none() {
            script.removed.extend(seen.removed);
        }
        if let Some(table) = seen.dropped {
            // A table renamed out of the way is known by its first name.
            let back = script.deeds.renames.iter().rev();
            dropped.push(
                back.fold(table, |name, (from, to)| if *to == name { from.clone() } else { name }),
            );
        }
        script.touched.extend(seen.written);
        script.updated.extend(seen.updated);
        script.deeds.made.extend(seen.made);
        script.leaves_state |= seen.temporary || seen.pragma;
        script.statements.push(Statement { sql: piece, column });
        Ok((end, verdict))
    }

    fn table_names(&self) -> rusqlite::Result<BTreeSet<String>> {
        let mut names = self
            .connection
            .prepare("SELECT lower(name) FROM sqlite_schema WHERE type = 'table'")?;
        names.query_map([], |row| row.get(0))?.collect()
    }

    /// What an ALTER TABLE did: a column that may be there already elsewhere, or a table whose
    /// keys need another look.
    fn alteration(
        &self,
        script: &mut Script<'_>,
        seen: &Seen,
        before: Before,
    ) -> rusqlite::Result<Option<ColumnChange>> {
        let Before { table, structure: before, names } = before;
        let lower = table.to_ascii_lowercase();
        if seen.renames_table {
            let new = self.table_names()?.into_iter().find(|name| !names.contains(name));
            script.deeds.renames.extend(new.map(|new| (lower.clone(), new)));
            script.touched.insert(lower);
            return Ok(None);
        }
        let after = Table::read(&self.connection, &table)?;
        let added = after.columns.iter().find(|column| before.column(&column.name).is_none());
        let dropped = before.columns.iter().find(|column| after.column(&column.name).is_none());
        match (added, dropped) {
            (Some(column), None) => {
                let Some(definition) = after.definition(&column.name) else { return Ok(None) };
                if !definition.foreign_keys.is_empty() {
                    script.touched.insert(lower);
                }
                Ok(Some(ColumnChange::Added { table, definition }))
            }
            (None, Some(column)) => {
                Ok(Some(ColumnChange::Dropped { table, column: column.name.clone() }))
            }
            (added, _) => {
                if let Some(column) = added {
                    let column = column.name.to_ascii_lowercase();
                    script.deeds.renamed_columns.push((lower.clone(), column));
                }
                script.touched.insert(lower);
                Ok(None)
            }
        }
    }

    /// A statement that SQLite or the guard refused.
    fn failure(&self, piece: &Piece<'_>, error: &rusqlite::Error) -> Verdict {
        let words = message(error);
        if let Some(reason) = self.guard.refused() {
            let verdict =
                if lexer::is_trigger(piece.text()) { Verdict::Lost } else { Verdict::Refused };
            return verdict(
                Problem::new(Rule::RefusedStatement, whole_span(piece), reason)
                    .help("remove the statement"),
            );
        }
        // The parser gave up, so that the next semicolon may stand inside the body of a trigger.
        let lost = words == "incomplete input"
            || lexer::is_trigger(piece.text())
            || ["syntax error", "unrecognized token"].iter().any(|kind| words.contains(kind))
                && lexer::tokens(piece.text(), 0).any(|token| {
                    let word = &piece.text()[token.range];
                    word.eq_ignore_ascii_case("TRIGGER") || word.eq_ignore_ascii_case("BEGIN")
                });
        let shown = words.replace("no such table: main.", "no such table: ");
        let mut problem = Problem::new(Rule::Sql, error_span(piece, error), shown);
        if words.starts_with("no such")
            || words.starts_with("table ") && words.contains("has no column")
        {
            problem = problem.help(if self.failed.get() {
                "an earlier statement failed; this may only follow from it"
            } else {
                "a block may use only what the document has made up to there"
            });
        } else if words.starts_with("duplicate column name") {
            let creates = piece.text().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("create"));
            problem = problem.help(if creates {
                "a table has each column once"
            } else {
                "the document itself has made this column before"
            });
        } else if words.contains("already exists") {
            problem = problem.help("the document itself has made it before; for databases that may hold it already, write `IF NOT EXISTS`");
        } else if words == "incomplete input" {
            problem = problem.help(
                "the block ends before this statement does; the body of a trigger ends with `END;`",
            );
        } else if lost {
            problem = problem.help("what follows in this block is looked at once this is mended");
        } else if words.starts_with("cannot VACUUM") {
            problem = problem.help("remove the statement: a block runs inside a transaction");
        } else if words.ends_with("may not be modified") {
            problem = problem.help("change the schema with `CREATE`, `ALTER` and `DROP`");
        }
        self.failed.set(true);
        if lost { Verdict::Lost(problem) } else { Verdict::Refused(problem) }
    }
}

/// Finds the statement that begins at `at`. SQLite decides where it ends: text is given to it up
/// to a semicolon, and up to later ones for as long as it calls the input incomplete, which it
/// does inside a trigger. The guard stays up.
fn split<'c>(
    connection: &'c Connection,
    guard: &Guard,
    (text, at): (&str, usize),
) -> (usize, rusqlite::Result<rusqlite::Statement<'c>>) {
    let mut ends = lexer::tokens(text, at)
        .filter(|token| token.kind == lexer::Kind::Semicolon)
        .map(|token| token.range.end);
    let first = ends.next().unwrap_or(text.len());
    let mut end = first;
    // Doubling keeps a trigger of many statements, or one that never ends, from costing a square.
    let mut stride = 1;
    loop {
        guard.raise_and_note();
        match Batch::new(connection, &text[at..end]).next().and_then(found) {
            Ok(prepared) => {
                // SQLite keeps the text of the statement alone, so its length tells the end.
                // With parameters it does not; such a statement is refused anyway.
                let length = prepared.expanded_sql().map_or(end - at, |sql| sql.len());
                let end = if prepared.parameter_count() == 0 { at + length } else { end };
                return (end, Ok(prepared));
            }
            Err(error) if message(&error) == "incomplete input" && end < text.len() => {
                end = (0..stride).fold(end, |_, _| ends.next().unwrap_or(text.len()));
                stride *= 2;
            }
            Err(error) => return (first.max(at + 1), Err(error)),
        }
    }
}

/// The text begins with something that is neither blank nor comment, so there is a statement.
fn found(statement: Option<rusqlite::Statement<'_>>) -> rusqlite::Result<rusqlite::Statement<'_>> {
    statement.ok_or(rusqlite::Error::InvalidQuery)
}

/// A statement that names tatmig's record where the authorizer does not see it yet: in the body
/// of a trigger or a view, as the target of a foreign key or of a new name.
fn own_name(piece: &Piece<'_>) -> Option<Problem> {
    let text = piece.text();
    let name = |token: &lexer::Token| {
        text[token.range.clone()].trim_matches(['"', '`', '\'', '[', ']']).to_owned()
    };
    let token = lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::Kind::Word | lexer::Kind::Quoted))
        .find(|token| schema::is_own(&name(token)))?;
    Some(
        Problem::new(
            Rule::RefusedStatement,
            piece.span(token.range.clone()),
            format!("`{}` is tatmig's own record: no block may read or change it", name(&token)),
        )
        .help("names that begin with `_tatmig_` are tatmig's; use another one"),
    )
}

fn parameter(piece: &Piece<'_>) -> Problem {
    let text = piece.text();
    let at = lexer::tokens(text, 0)
        .find(|token| {
            let token_text = &text[token.range.clone()];
            token_text.starts_with(['?', ':', '@', '$'])
        })
        .map_or(0..1, |token| {
            let name = lexer::tokens(text, token.range.end).next();
            let end = name.filter(|name| name.kind == lexer::Kind::Word).map(|name| name.range.end);
            token.range.start..end.unwrap_or(token.range.end)
        });
    Problem::new(
        Rule::Parameter,
        piece.span(at),
        "a parameter in a block: nobody gives it a value, and SQLite would take it for NULL",
    )
    .help("write the value itself")
}

fn ended(piece: &Piece<'_>, error: Option<&rusqlite::Error>) -> Problem {
    let words = error.map(message).unwrap_or_default();
    Problem::new(
        Rule::EndedTransaction,
        error.map_or_else(|| whole_span(piece), |error| error_span(piece, error)),
        format!("this statement ends the transaction of the whole run: {words}"),
    )
    .help("write `INSERT OR ABORT`, `OR IGNORE` or `RAISE(ABORT, …)`; `ROLLBACK` has no place in a block")
}

fn constraint(piece: &Piece<'_>, error: &rusqlite::Error) -> Problem {
    Problem::new(
        Rule::Constraint,
        error_span(piece, error),
        format!("in an otherwise empty database this statement fails: {}", message(error)),
    )
    .help("real rows may decide otherwise; `INSERT OR IGNORE` makes it safe to run again")
}
