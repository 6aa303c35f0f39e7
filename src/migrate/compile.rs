//! Compiles a block: runs it statement by statement in the sandbox, where SQLite decides where each
//! statement ends, and collects what each statement does. The result is the script that real
//! databases run later.

use std::cell::Cell;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, ErrorCode};

use crate::database::assertion::{column_names, failing_rows};
use crate::database::connection::ConnectionSetup;
use crate::database::declared::without_comparisons;
use crate::database::error::sqlite_message;
use crate::database::job::{Assertion, CompiledScript, PositionalTable, Statement};
use crate::database::known_names::missing_module_help;
use crate::database::schema_reader::read_table_objects;
use crate::document::diagnostic::Diagnostic;
use crate::document::directive;
use crate::migrate::alter_table::{AlterTableResult, TableBeforeAlter};
use crate::migrate::positional::positional_tables;
use crate::migrate::sandbox::{Sandbox, SandboxCopy};
use crate::migrate::statement_errors;
use crate::migrate::statement_errors::{EarlierFailure, is_unrecoverable};
use crate::schema::Schema;
use crate::schema::changes::SchemaChange;
use crate::schema::losses::DroppedTable;
use crate::schema::statement_effects::StatementEffects;
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;
use crate::sql::object_statement::dropped_table;
use crate::sql::tokens::Tokens;
use crate::sqlite::temporary::{TemporaryObjects, reset_connection};

/// Compiles blocks one after the other; each sees the schema that the ones before it have created.
pub(crate) struct BlockCompiler {
    /// A transaction is always open in it.
    sandbox: Sandbox,
    /// Whether a statement has failed. Later errors may then only be consequences of that.
    earlier_failure: Cell<EarlierFailure>,
}

/// The state of a compiler after some blocks.
#[derive(Clone)]
pub(crate) struct CompilerCopy {
    sandbox: SandboxCopy,
    earlier_failure: EarlierFailure,
}

/// A compiled block.
pub(crate) struct CompiledBlock {
    /// The statements that ran, also where others failed.
    pub(crate) script: CompiledScript<'static>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What the statements of a block have done so far.
#[derive(Default)]
struct BlockProgress {
    script: CompiledScript<'static>,
    schema_change: SchemaChange,
    /// Tables that were dropped, in lower case, by their names before the block.
    dropped_tables: Vec<String>,
    /// The reason of the `-- tatmig:assert` above the next statement.
    assertion: Option<String>,
}

/// What a statement is about to use, as it is before the statement.
struct BeforeStatement {
    alter: Option<TableBeforeAlter>,
    dropped_table: Option<DroppedTable>,
    positional_tables: Vec<PositionalTable>,
}

/// How one statement ended.
enum StatementResult {
    Succeeded,
    /// The statement failed, and the next one can be run.
    Failed(Diagnostic),
    /// The statement failed, and where the next one begins is unknown.
    Unrecoverable(Diagnostic),
}

impl BlockCompiler {
    /// Starts with an empty schema. After a cancellation, compiling ends with an interrupt error.
    pub(crate) fn new(setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let sandbox = Sandbox::new(setup)?;
        sandbox.begin()?;
        Ok(Self { sandbox, earlier_failure: Cell::new(EarlierFailure::None) })
    }

    /// Copies the state after the compiled blocks.
    pub(crate) fn copy(&mut self) -> rusqlite::Result<CompilerCopy> {
        Ok(CompilerCopy {
            sandbox: self.sandbox.copy()?,
            earlier_failure: self.earlier_failure.get(),
        })
    }

    /// Continues from a copy.
    pub(crate) fn from_copy(
        copy: &CompilerCopy,
        setup: &ConnectionSetup,
    ) -> rusqlite::Result<Self> {
        let sandbox = Sandbox::from_copy(&copy.sandbox, setup)?;
        sandbox.begin()?;
        Ok(Self { sandbox, earlier_failure: Cell::new(copy.earlier_failure) })
    }

    /// The schema that the compiled blocks have created.
    pub(crate) fn schema(&self) -> &Schema {
        self.sandbox.schema()
    }

    /// Runs `action` and undoes what its blocks did.
    pub(crate) fn run_and_roll_back<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.sandbox.savepoint()?;
        let value = action(self)?;
        self.sandbox.roll_back_to_savepoint()?;
        Ok(value)
    }

    /// Runs a block and continues after statements that fail. Only an interrupt or an error of the
    /// sandbox itself is an error.
    pub(crate) fn compile_block(
        &mut self,
        block: &SourceSlice<'_>,
    ) -> rusqlite::Result<CompiledBlock> {
        let mut progress = BlockProgress::default();
        let mut diagnostics = Vec::new();
        let text = block.text();
        let mut previous_end = 0;
        let mut offset = lexer::skip_trivia(text, 0);
        while offset < text.len() {
            progress.assertion =
                directive::assertion_in(text, previous_end..offset).map(ToOwned::to_owned);
            let (end, result) = self.run_next_statement(block, offset, &mut progress)?;
            previous_end = end;
            match result {
                StatementResult::Succeeded => {}
                StatementResult::Failed(diagnostic) => diagnostics.push(diagnostic),
                StatementResult::Unrecoverable(diagnostic) => {
                    diagnostics.push(diagnostic);
                    break;
                }
            }
            offset = lexer::skip_trivia(text, end);
        }
        let BlockProgress { mut script, schema_change, mut dropped_tables, .. } = progress;
        if script.resets_connection {
            reset_connection(self.sandbox.connection(), &TemporaryObjects::default())?;
        }
        script.dropped_tables.clone_from(&dropped_tables);
        // A table that existed before the block and exists after it was rebuilt.
        dropped_tables.retain(|name| self.sandbox.has_table(name));
        script.schema_change = schema_change;
        script.object_changes = self.sandbox.read_changes(schema_change)?;
        dropped_tables.retain(|name| self.sandbox.has_table(name));
        script.rebuilt_tables = dropped_tables;
        Ok(CompiledBlock { script, diagnostics })
    }

    /// Prepares and runs the statement at `offset`. Returns the offset at which it ends.
    fn run_next_statement(
        &self,
        block: &SourceSlice<'_>,
        offset: usize,
        progress: &mut BlockProgress,
    ) -> rusqlite::Result<(usize, StatementResult)> {
        let (end, prepared) = prepare_statement(&self.sandbox, block.text(), offset);
        let statement_sql = block.slice(offset..end);
        let result = match prepared {
            Ok(prepared) => self.run_prepared(&statement_sql, prepared, progress)?,
            Err(error) => {
                self.sandbox.authorizer().disable();
                self.diagnose_failure(&statement_sql, &error)
            }
        };
        Ok((end, result))
    }

    /// Runs a prepared statement. The authorizer is enabled before and disabled afterwards.
    fn run_prepared(
        &self,
        statement_sql: &SourceSlice<'_>,
        mut prepared: rusqlite::Statement<'_>,
        progress: &mut BlockProgress,
    ) -> rusqlite::Result<StatementResult> {
        let authorizer = self.sandbox.authorizer();
        let effects = authorizer.effects();
        let assertion = progress.take_assertion(&prepared);
        let unsupported = unsupported_statement_error(statement_sql, &prepared, &effects)
            .or_else(|| assertion_error(statement_sql, &prepared, assertion.as_ref()));
        if let Some(diagnostic) = unsupported {
            authorizer.disable();
            return Ok(StatementResult::Failed(diagnostic));
        }
        authorizer.disable();
        let before = self.read_before_statement(statement_sql, &effects)?;
        authorizer.enable();
        let is_row_change = effects.schema_change == SchemaChange::None && !prepared.readonly();
        let result = run_to_completion(&mut prepared, assertion.as_ref());
        authorizer.disable();
        drop(prepared);
        if let Err(error) = &result
            && error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
        {
            // SQLite rolls back the transaction of an interrupted write. That is not the fault of
            // the block.
            return Err(result.err().unwrap_or(rusqlite::Error::InvalidQuery));
        }
        if self.sandbox.has_transaction_ended() {
            self.sandbox.begin()?;
            self.earlier_failure.set(EarlierFailure::Exists);
            return Ok(StatementResult::Unrecoverable(statement_errors::ended_transaction(
                statement_sql,
                result.err().as_ref(),
            )));
        }
        let statement_result = match result {
            Ok(None) => StatementResult::Succeeded,
            Ok(Some(rows)) => StatementResult::Failed(statement_errors::failed_assertion(
                statement_sql,
                assertion.as_ref(),
                &rows,
            )),
            // The statement stays in the script: in a database with other rows it may succeed.
            Err(error)
                if is_row_change
                    && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                StatementResult::Failed(statement_errors::constraint(statement_sql, &error))
            }
            Err(error) => return Ok(self.diagnose_failure(statement_sql, &error)),
        };
        let AlterTableResult { column_change, rename } = (before.alter)
            .map(|before| before.compare(self.sandbox.connection(), &mut progress.script, &effects))
            .transpose()?
            .unwrap_or_default();
        progress.add_effects(&effects);
        progress.script.statements.push(Statement {
            sql: statement_sql.to_owned_text(),
            column_change,
            assertion,
            positional_tables: before.positional_tables,
            rename,
            dropped_table: before.dropped_table,
            effects,
        });
        Ok(statement_result)
    }

    fn read_before_statement(
        &self,
        statement_sql: &SourceSlice<'_>,
        effects: &StatementEffects,
    ) -> rusqlite::Result<BeforeStatement> {
        let altered_table = effects.altered_table.as_deref();
        Ok(BeforeStatement {
            alter: altered_table
                .map(|table| TableBeforeAlter::read(self.sandbox.connection(), table))
                .transpose()?,
            dropped_table: self.read_dropped_table(statement_sql, effects)?,
            positional_tables: positional_tables(
                self.sandbox.connection(),
                statement_sql.text(),
                effects,
            )?,
        })
    }

    /// Reads the table that a DROP TABLE or DROP VIEW names, which may not exist.
    fn read_dropped_table(
        &self,
        statement_sql: &SourceSlice<'_>,
        effects: &StatementEffects,
    ) -> rusqlite::Result<Option<DroppedTable>> {
        let name = dropped_table(&Tokens::new(statement_sql.text()))
            .filter(|_| !effects.has_temporary_objects);
        let Some(name) = name else { return Ok(None) };
        let documented = read_table_objects(self.sandbox.connection(), &name)?;
        Ok(Some(DroppedTable { name, documented }))
    }

    /// Describes a statement that SQLite or the authorizer rejected.
    fn diagnose_failure(
        &self,
        statement_sql: &SourceSlice<'_>,
        error: &rusqlite::Error,
    ) -> StatementResult {
        if let Some(reason) = self.sandbox.authorizer().take_denial() {
            let diagnostic =
                statement_errors::denied(statement_sql, reason, self.sandbox.connection());
            return if lexer::is_create_trigger(statement_sql.text()) {
                StatementResult::Unrecoverable(diagnostic)
            } else {
                StatementResult::Failed(diagnostic)
            };
        }
        let earlier_failure = self.earlier_failure.replace(EarlierFailure::Exists);
        let mut diagnostic = statement_errors::rejected(statement_sql, error, earlier_failure);
        if let Some(help) = missing_module_help(self.sandbox.connection(), &sqlite_message(error)) {
            diagnostic = diagnostic.help(help);
        }
        if is_unrecoverable(statement_sql.text(), &sqlite_message(error)) {
            StatementResult::Unrecoverable(diagnostic)
        } else {
            StatementResult::Failed(diagnostic)
        }
    }
}

impl BlockProgress {
    /// The assertion above the statement that is about to run.
    fn take_assertion(&mut self, prepared: &rusqlite::Statement<'_>) -> Option<Assertion> {
        let reason = self.assertion.take()?;
        Some(Assertion { reason, columns: column_names(prepared) })
    }

    fn add_effects(&mut self, effects: &StatementEffects) {
        let script = &mut self.script;
        self.schema_change = self.schema_change.max(effects.schema_change);
        match &effects.dropped_table {
            // The name before the block: a rebuild may rename the table before it drops it.
            Some(table) => {
                self.dropped_tables.push(script.operations.table_renames.original_name(table));
            }
            None => script.dropped_objects.extend(effects.dropped_objects.iter().cloned()),
        }
        script.modified_tables.extend(effects.modified_tables.iter().cloned());
        script.updated_columns.extend(effects.updated_columns.iter().cloned());
        script.operations.created_objects.extend(effects.created_objects.iter().cloned());
        script.resets_connection |= effects.has_temporary_objects || effects.has_pragma;
    }
}

/// Finds and prepares the statement that begins at `start`; returns where it ends. SQLite decides
/// that: it gets the text up to a semicolon, and up to later semicolons for as long as it reports
/// incomplete input, as it does inside a trigger. The authorizer stays enabled.
fn prepare_statement<'c>(
    sandbox: &'c Sandbox,
    text: &str,
    start: usize,
) -> (usize, rusqlite::Result<rusqlite::Statement<'c>>) {
    let mut statement_ends = lexer::tokens(text, start)
        .filter(|token| token.kind == lexer::TokenKind::Semicolon)
        .map(|token| token.range.end);
    let first = statement_ends.next().unwrap_or(text.len());
    let mut end = first;
    // The number of semicolons doubles each time, so that a trigger of many statements, or one that
    // never ends, does not take quadratic time.
    let mut semicolons_to_add = 1;
    loop {
        sandbox.authorizer().enable_and_track_effects();
        let mut batch = Batch::new(sandbox.connection(), &text[start..end]);
        match batch.next().and_then(require_statement) {
            Ok(prepared) => {
                // SQLite keeps the text of this one statement, so its length is where the statement
                // ends. With parameters the expanded text is longer, but such a statement is
                // refused anyway.
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

/// The text begins with something other than white space and comments, so a statement exists.
fn require_statement(
    statement: Option<rusqlite::Statement<'_>>,
) -> rusqlite::Result<rusqlite::Statement<'_>> {
    statement.ok_or(rusqlite::Error::InvalidQuery)
}

/// An assertion inside a statement, or above one that is not a SELECT.
fn assertion_error(
    statement_sql: &SourceSlice<'_>,
    prepared: &rusqlite::Statement<'_>,
    assertion: Option<&Assertion>,
) -> Option<Diagnostic> {
    let is_select = prepared.readonly() && prepared.column_count() > 0;
    match assertion {
        Some(_) if !is_select => Some(directive::malformed_assert(
            first_line_span(statement_sql),
            "the statement below an assertion must be a SELECT",
        )),
        _ => directive::embedded_assert(statement_sql),
    }
}

/// Runs a statement to its end. Returns the first rows of the SELECT of an assertion, if there are
/// any; the rows of other statements do not matter.
fn run_to_completion(
    prepared: &mut rusqlite::Statement<'_>,
    assertion: Option<&Assertion>,
) -> rusqlite::Result<Option<Vec<String>>> {
    if assertion.is_some() {
        return failing_rows(prepared);
    }
    without_comparisons(|| {
        let mut rows = prepared.raw_query();
        while rows.next()?.is_some() {}
        Ok(None)
    })
}

/// A statement that SQLite accepts and tatmig does not.
fn unsupported_statement_error(
    statement_sql: &SourceSlice<'_>,
    prepared: &rusqlite::Statement<'_>,
    effects: &StatementEffects,
) -> Option<Diagnostic> {
    if prepared.parameter_count() > 0 {
        return Some(statement_errors::parameter(statement_sql));
    }
    let stores_sql = effects.schema_change != SchemaChange::None || effects.has_temporary_objects;
    if stores_sql { statement_errors::reserved_name(statement_sql) } else { None }
}
