//! One block run in memory: SQLite says where each statement ends, the guard sees what it does, and
//! what it changes in the schema is kept.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, ErrorCode};

use crate::database::connection::open_in_memory;
use crate::database::error::sqlite_message;
use crate::database::error_span::error_span;
use crate::database::history;
use crate::database::job::{ColumnChange, CompiledScript, Statement};
use crate::database::schema_reader::read_table;
use crate::database::schema_tracker::SchemaTracker;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::schema;
use crate::schema::changes::SchemaChange;
use crate::schema::{Schema, Table};
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;
use crate::sqlite::authorizer::{StatementAuthorizer, StatementEffects};
use crate::sqlite::transaction::reset_connection;

/// A database in memory that blocks are tried on.
pub(crate) struct ShadowDatabase {
    connection: Connection,
    authorizer: StatementAuthorizer,
    tracker: SchemaTracker,
    /// After a first failure, what is missing may only be missing because of it.
    has_failed: Cell<bool>,
}

/// What came of a block.
pub(crate) struct BlockResult<'a> {
    pub(crate) script: CompiledScript<'a>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What an ALTER TABLE found.
struct TableBeforeAlter {
    table: String,
    structure: Table,
    table_names: BTreeSet<String>,
}

/// How one statement ended.
enum StatementResult {
    Succeeded,
    /// It did not, and the next one may be tried.
    Failed(Diagnostic),
    /// It did not, and where the next one begins is not known.
    Unrecoverable(Diagnostic),
}

impl ShadowDatabase {
    pub(crate) fn new(cancel: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut connection = open_in_memory(cancel)?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        // The record is there as it is in every real run, for blocks to keep their hands off.
        history::create_table(&connection)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self {
            connection,
            authorizer,
            tracker: SchemaTracker::default(),
            has_failed: Cell::new(false),
        })
    }

    /// What the blocks made that it ran.
    pub(crate) fn schema(&self) -> &Schema {
        self.tracker.schema()
    }

    /// What runs from here on can be taken back.
    pub(crate) fn savepoint(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("SAVEPOINT aside")
    }

    /// Ends what was set aside as if it had not been.
    pub(crate) fn rollback(&mut self) -> rusqlite::Result<()> {
        // A block that ended the transaction took the savepoint with it.
        if self.connection.execute_batch("ROLLBACK TO aside; RELEASE aside").is_ok() {
            self.tracker.refresh(&self.connection, SchemaChange::Any)?;
        }
        Ok(())
    }

    /// Runs a block, and goes on behind statements that cannot be run.
    pub(crate) fn run_block<'a>(
        &mut self,
        block: &SourceSlice<'a>,
    ) -> rusqlite::Result<BlockResult<'a>> {
        let mut block_result =
            BlockResult { script: CompiledScript::default(), diagnostics: Vec::new() };
        let mut schema_change = SchemaChange::None;
        let mut dropped_tables = Vec::new();
        let text = block.text();
        let mut offset = lexer::skip_trivia(text, 0);
        while offset < text.len() {
            let (end, statement_result) = self.run_statement(
                block,
                offset,
                (&mut block_result.script, &mut schema_change, &mut dropped_tables),
            )?;
            match statement_result {
                StatementResult::Succeeded => {}
                StatementResult::Failed(diagnostic) => block_result.diagnostics.push(diagnostic),
                StatementResult::Unrecoverable(problem) => {
                    block_result.diagnostics.push(problem);
                    break;
                }
            }
            offset = lexer::skip_trivia(text, end);
        }
        if block_result.script.resets_connection {
            reset_connection(&self.connection)?;
        }
        // Known by its name before the block, a table that it dropped may stand again after it.
        dropped_tables.retain(|name| self.tracker.has_table(name));
        block_result.script.object_changes =
            self.tracker.refresh(&self.connection, schema_change)?;
        dropped_tables.retain(|name| self.tracker.has_table(name));
        block_result.script.rebuilt_tables = dropped_tables;
        Ok(block_result)
    }

    /// Prepares, runs and notes the statement at `at`; returns where it ends.
    fn run_statement<'a>(
        &self,
        block: &SourceSlice<'a>,
        offset: usize,
        (script, schema_change, dropped_tables): (
            &mut CompiledScript<'a>,
            &mut SchemaChange,
            &mut Vec<String>,
        ),
    ) -> rusqlite::Result<(usize, StatementResult)> {
        let text = block.text();
        let (end, prepared) = prepare_statement(&self.connection, &self.authorizer, (text, offset));
        let statement_sql = block.slice(offset..end);
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.authorizer.disable();
                return Ok((end, self.diagnose_failure(&statement_sql, &error)));
            }
        };
        if prepared.parameter_count() > 0 {
            self.authorizer.disable();
            return Ok((end, StatementResult::Failed(parameter_error(&statement_sql))));
        }
        let effects = self.authorizer.effects();
        if (effects.schema_change != SchemaChange::None || effects.has_temporary_objects)
            && let Some(diagnostic) = reserved_name_error(&statement_sql)
        {
            self.authorizer.disable();
            return Ok((end, StatementResult::Failed(diagnostic)));
        }
        let before_alter = match &effects.altered_table {
            Some(table) => {
                self.authorizer.disable();
                let before = TableBeforeAlter {
                    table: table.clone(),
                    structure: read_table(&self.connection, table)?,
                    table_names: self.table_names()?,
                };
                self.authorizer.enable();
                Some(before)
            }
            None => None,
        };
        let is_row_change = effects.schema_change == SchemaChange::None && !prepared.readonly();
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
        self.authorizer.disable();
        drop(prepared);
        let result = match result {
            // SQLite rolls an interrupted write's transaction back; no block is to blame.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Err(error);
            }
            result => result,
        };
        if self.connection.is_autocommit() {
            let problem = ended_transaction_error(&statement_sql, result.err().as_ref());
            self.connection.execute_batch("BEGIN")?;
            self.has_failed.set(true);
            return Ok((end, StatementResult::Unrecoverable(problem)));
        }
        let statement_result = match result {
            Ok(()) => StatementResult::Succeeded,
            Err(error)
                if is_row_change
                    && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                StatementResult::Failed(constraint_error(&statement_sql, &error))
            }
            Err(error) => return Ok((end, self.diagnose_failure(&statement_sql, &error))),
        };
        *schema_change = (*schema_change).max(effects.schema_change);
        let column = match before_alter {
            Some(before) => self.record_alter_table(script, &effects, before)?,
            None => None,
        };
        if effects.dropped_table.is_none() {
            script.dropped_objects.extend(effects.dropped_objects);
        }
        if let Some(table) = effects.dropped_table {
            // A table renamed out of the way is known by its first name.
            dropped_tables.push(script.operations.table_renames.original_name(&table));
        }
        script.modified_tables.extend(effects.modified_tables);
        script.updated_columns.extend(effects.updated_columns);
        script.operations.created_objects.extend(effects.created_objects);
        script.resets_connection |= effects.has_temporary_objects || effects.has_pragma;
        script.statements.push(Statement { sql: statement_sql, column_change: column });
        Ok((end, statement_result))
    }

    fn table_names(&self) -> rusqlite::Result<BTreeSet<String>> {
        let mut names = self
            .connection
            .prepare("SELECT lower(name) FROM sqlite_schema WHERE type = 'table'")?;
        names.query_map([], |row| row.get(0))?.collect()
    }

    /// What an ALTER TABLE did: a column that may be there already elsewhere, or a table whose
    /// keys need another look.
    fn record_alter_table(
        &self,
        script: &mut CompiledScript<'_>,
        effects: &StatementEffects,
        before: TableBeforeAlter,
    ) -> rusqlite::Result<Option<ColumnChange>> {
        let TableBeforeAlter { table, structure: before, table_names: names_before } = before;
        let lower_table = table.to_ascii_lowercase();
        if effects.renames_table {
            let new = self.table_names()?.into_iter().find(|name| !names_before.contains(name));
            if let Some(new) = new {
                script.operations.table_renames.push(lower_table.clone(), new);
            }
            script.modified_tables.insert(lower_table);
            return Ok(None);
        }
        let after = read_table(&self.connection, &table)?;
        let added = after.columns.iter().find(|column| before.column(&column.name).is_none());
        let dropped = before.columns.iter().find(|column| after.column(&column.name).is_none());
        match (added, dropped) {
            (Some(column), None) => {
                let Some(definition) = after.definition(&column.name) else { return Ok(None) };
                if !definition.foreign_keys.is_empty() {
                    script.modified_tables.insert(lower_table);
                }
                Ok(Some(ColumnChange::Add { table, definition }))
            }
            (None, Some(column)) => {
                Ok(Some(ColumnChange::Drop { table, column: column.name.clone() }))
            }
            (added, _) => {
                if let Some(column) = added {
                    let column = column.name.to_ascii_lowercase();
                    script.operations.renamed_columns.push((lower_table.clone(), column));
                }
                script.modified_tables.insert(lower_table);
                Ok(None)
            }
        }
    }

    /// A statement that SQLite or the guard refused.
    fn diagnose_failure(
        &self,
        statement_sql: &SourceSlice<'_>,
        error: &rusqlite::Error,
    ) -> StatementResult {
        let error_message = sqlite_message(error);
        if let Some(reason) = self.authorizer.take_denial() {
            let to_result = if lexer::is_create_trigger(statement_sql.text()) {
                StatementResult::Unrecoverable
            } else {
                StatementResult::Failed
            };
            return to_result(
                Diagnostic::new(Rule::RefusedStatement, first_line_span(statement_sql), reason)
                    .help("remove the statement"),
            );
        }
        // The parser gave up, so that the next semicolon may stand inside the body of a trigger.
        let is_unrecoverable = error_message == "incomplete input"
            || lexer::is_create_trigger(statement_sql.text())
            || ["syntax error", "unrecognized token"]
                .iter()
                .any(|kind| error_message.contains(kind))
                && lexer::tokens(statement_sql.text(), 0).any(|token| {
                    let word = &statement_sql.text()[token.range];
                    word.eq_ignore_ascii_case("TRIGGER") || word.eq_ignore_ascii_case("BEGIN")
                });
        let displayed_message = error_message.replace("no such table: main.", "no such table: ");
        let mut diagnostic =
            Diagnostic::new(Rule::Sql, error_span(statement_sql, error), displayed_message);
        if error_message.starts_with("no such")
            || error_message.starts_with("table ") && error_message.contains("has no column")
        {
            diagnostic = diagnostic.help(if self.has_failed.get() {
                "an earlier statement failed; this may only follow from it"
            } else {
                "a block may use only what the document has made up to there"
            });
        } else if error_message.starts_with("duplicate column name") {
            let is_create =
                statement_sql.text().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("create"));
            diagnostic = diagnostic.help(if is_create {
                "a table has each column once"
            } else {
                "the document itself has made this column before"
            });
        } else if error_message.contains("already exists") {
            diagnostic = diagnostic.help("the document itself has made it before; for databases that may hold it already, write `IF NOT EXISTS`");
        } else if error_message == "incomplete input" {
            diagnostic = diagnostic.help(
                "the block ends before this statement does; the body of a trigger ends with `END;`",
            );
        } else if is_unrecoverable {
            diagnostic =
                diagnostic.help("what follows in this block is looked at once this is mended");
        } else if error_message.starts_with("cannot VACUUM") {
            diagnostic = diagnostic.help("remove the statement: a block runs inside a transaction");
        } else if error_message.ends_with("may not be modified") {
            diagnostic = diagnostic.help("change the schema with `CREATE`, `ALTER` and `DROP`");
        }
        self.has_failed.set(true);
        if is_unrecoverable {
            StatementResult::Unrecoverable(diagnostic)
        } else {
            StatementResult::Failed(diagnostic)
        }
    }
}

/// Finds the statement that begins at `at`. SQLite decides where it ends: text is given to it up
/// to a semicolon, and up to later ones for as long as it calls the input incomplete, which it
/// does inside a trigger. The guard stays up.
fn prepare_statement<'c>(
    connection: &'c Connection,
    authorizer: &StatementAuthorizer,
    (text, start): (&str, usize),
) -> (usize, rusqlite::Result<rusqlite::Statement<'c>>) {
    let mut statement_ends = lexer::tokens(text, start)
        .filter(|token| token.kind == lexer::TokenKind::Semicolon)
        .map(|token| token.range.end);
    let first = statement_ends.next().unwrap_or(text.len());
    let mut end = first;
    // Doubling keeps a trigger of many statements, or one that never ends, from costing a square.
    let mut semicolons_to_add = 1;
    loop {
        authorizer.enable_and_track_effects();
        match Batch::new(connection, &text[start..end]).next().and_then(require_statement) {
            Ok(prepared) => {
                // SQLite keeps the text of the statement alone, so its length tells the end.
                // With parameters it does not; such a statement is refused anyway.
                let length = prepared.expanded_sql().map_or(end - start, |sql| sql.len());
                let end = if prepared.parameter_count() == 0 { start + length } else { end };
                return (end, Ok(prepared));
            }
            Err(error) if sqlite_message(&error) == "incomplete input" && end < text.len() => {
                end = (0..semicolons_to_add)
                    .fold(end, |_, _| statement_ends.next().unwrap_or(text.len()));
                semicolons_to_add *= 2;
            }
            Err(error) => return (first.max(start + 1), Err(error)),
        }
    }
}

/// The text begins with something that is neither blank nor comment, so there is a statement.
fn require_statement(
    statement: Option<rusqlite::Statement<'_>>,
) -> rusqlite::Result<rusqlite::Statement<'_>> {
    statement.ok_or(rusqlite::Error::InvalidQuery)
}

/// A statement that names tatmig's record where the authorizer does not see it yet: in the body
/// of a trigger or a view, as the target of a foreign key or of a new name.
fn reserved_name_error(statement_sql: &SourceSlice<'_>) -> Option<Diagnostic> {
    let text = statement_sql.text();
    let name = |token: &lexer::Token| lexer::unquote(&text[token.range.clone()]).into_owned();
    let token = lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted))
        .find(|token| schema::is_tatmig_name(&name(token)))?;
    Some(
        Diagnostic::new(
            Rule::RefusedStatement,
            statement_sql.document_span(token.range.clone()),
            format!("`{}` is tatmig's own record: no block may read or change it", name(&token)),
        )
        .help("names that begin with `_tatmig_` are tatmig's; use another one"),
    )
}

fn parameter_error(statement_sql: &SourceSlice<'_>) -> Diagnostic {
    let text = statement_sql.text();
    let parameter_range = lexer::tokens(text, 0)
        .find(|token| {
            let token_text = &text[token.range.clone()];
            token_text.starts_with(['?', ':', '@', '$'])
        })
        .map_or(0..1, |token| {
            let name = lexer::tokens(text, token.range.end).next();
            let end =
                name.filter(|name| name.kind == lexer::TokenKind::Word).map(|name| name.range.end);
            token.range.start..end.unwrap_or(token.range.end)
        });
    Diagnostic::new(
        Rule::Parameter,
        statement_sql.document_span(parameter_range),
        "a parameter in a block: nobody gives it a value, and SQLite would take it for NULL",
    )
    .help("write the value itself")
}

fn ended_transaction_error(
    statement_sql: &SourceSlice<'_>,
    error: Option<&rusqlite::Error>,
) -> Diagnostic {
    let error_message = error.map(sqlite_message).unwrap_or_default();
    Diagnostic::new(
        Rule::EndedTransaction,
        error.map_or_else(|| first_line_span(statement_sql), |error| error_span(statement_sql, error)),
        format!("this statement ends the transaction of the whole run: {error_message}"),
    )
    .help("write `INSERT OR ABORT`, `OR IGNORE` or `RAISE(ABORT, …)`; `ROLLBACK` has no place in a block")
}

fn constraint_error(statement_sql: &SourceSlice<'_>, error: &rusqlite::Error) -> Diagnostic {
    Diagnostic::new(
        Rule::Constraint,
        error_span(statement_sql, error),
        format!("in an otherwise empty database this statement fails: {}", sqlite_message(error)),
    )
    .help("real rows may decide otherwise; `INSERT OR IGNORE` makes it safe to run again")
}
