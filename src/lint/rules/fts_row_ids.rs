//! Reports rebuilds that may change the row ids of a table whose text an FTS table indexes by row id
//! (`content = 'table'`): searches then find other rows. SQLite decides: the statement that copies
//! the rows runs on copies of both tables, with one row.

use crate::database::full_text::ExternalContent;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::lint::created_tables::CreatedTables;
use crate::lint::probe::{ProbeDatabase, ROW_VALUES};
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::lexer;
use crate::sql::tokens::{Tokens, span_of_name};

/// The row id of the one row. No copy assigns it by chance.
const ROW_ID: i64 = 1_000_003;

/// Checks the tables that a block rebuilds. `schema_after` is the schema after the block.
pub(crate) fn check(
    probe: &ProbeDatabase,
    block_run: &BlockRun<'_, '_>,
    schema_after: &Schema,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    if block_run.script.rebuilt_tables.is_empty() {
        return Ok(());
    }
    for (key, fts) in &block_run.schema_before {
        let Some(index) = ExternalContent::from_table(fts) else { continue };
        let is_kept = schema_after.contains_key(key)
            && !block_run.changed_keys().any(|changed| changed == key)
            && !block_run.statement_runs.iter().any(|run| fills_again(run, fts));
        if !is_kept {
            continue;
        }
        let rebuilt = block_run.script.rebuilt_tables.iter();
        for table in rebuilt.filter(|table| index.reads(schema_after, table)) {
            let table = ContentTable::new(&index, table, block_run);
            diagnostics.extend(table.check_copies(probe, block_run)?);
        }
    }
    Ok(())
}

/// Whether a statement builds the index again: `INSERT INTO f (f) VALUES ('rebuild')`.
fn fills_again(statement_run: &StatementRun<'_, '_>, fts: &Object) -> bool {
    let tokens = Tokens::new(statement_run.statement.sql.text());
    tokens.is(0, "INSERT")
        && (0..tokens.len()).any(|index| tokens.is_name(index, &fts.name))
        && (0..tokens.len()).any(|index| tokens.is(index, "'rebuild'"))
}

/// A table that a block rebuilds, and the full-text table that indexes its rows.
struct ContentTable<'c> {
    fts: &'c str,
    /// In lower case.
    name: &'c str,
    /// The column that holds the row id.
    key: String,
}

impl<'c> ContentTable<'c> {
    fn new(index: &ExternalContent<'c>, name: &'c str, block_run: &BlockRun<'_, '_>) -> Self {
        let table = block_run.schema_before.get(&ObjectKey::new(ObjectKind::Table, name));
        // The row id of a view may have another name than that of its table.
        let has_key = table.is_some_and(|table| table.has_column(&index.key));
        let key = if has_key { index.key.clone() } else { "rowid".to_owned() };
        Self { fts: &index.table.name, name, key }
    }

    /// Checks each statement that copies rows into the table as the block leaves it.
    fn check_copies(
        &self,
        probe: &ProbeDatabase,
        block_run: &BlockRun<'_, '_>,
    ) -> rusqlite::Result<Option<Diagnostic>> {
        let key = ObjectKey::new(ObjectKind::Table, self.name);
        let Some(old) = block_run.schema_before.get(&key) else { return Ok(None) };
        let mut tables = CreatedTables::default();
        for (position, statement_run) in block_run.statement_runs.iter().enumerate() {
            let target = insert_target(statement_run).filter(|name| {
                let renames = &block_run.script.operations.table_renames;
                (name == self.name || renames.final_name(name) == self.name)
                    && !tables.existed_before(block_run, name)
            });
            if let Some(name) = target
                && let Some(new) = created_table(block_run, position, &name)
                && changes_row_ids(probe, block_run, [old, new], self, statement_run)?
            {
                return Ok(Some(new_diagnostic(statement_run, self, &name)));
            }
            tables.add(statement_run);
        }
        Ok(None)
    }
}

/// The table, in lower case, that an INSERT fills.
fn insert_target(statement_run: &StatementRun<'_, '_>) -> Option<String> {
    let tokens = Tokens::new(statement_run.statement.sql.text());
    let keyword = tokens.main_keyword();
    let is_insert = tokens.is(keyword, "INSERT") || tokens.is(keyword, "REPLACE");
    let into = tokens.find_top_level(keyword, "INTO").filter(|_| is_insert)?;
    Some(tokens.name(tokens.skip_schema_qualifier(into + 1)).to_lowercase())
}

/// A table as the statements before a position of the block have created it.
fn created_table<'b>(
    block_run: &'b BlockRun<'_, '_>,
    position: usize,
    name: &str,
) -> Option<&'b Object> {
    let key = ObjectKey::new(ObjectKind::Table, name);
    let mut changes =
        block_run.statement_runs[..position].iter().flat_map(|run| &run.object_changes);
    changes.rfind(|(changed, _)| *changed == key)?.1.as_deref()
}

/// Whether the copy gives the row another id, or none that it had.
fn changes_row_ids(
    probe: &ProbeDatabase,
    block_run: &BlockRun<'_, '_>,
    [old, new]: [&Object; 2],
    content: &ContentTable<'_>,
    statement_run: &StatementRun<'_, '_>,
) -> rusqlite::Result<bool> {
    let renames = &block_run.script.operations.table_renames;
    // The old table may have been renamed before the copy.
    let sources: Vec<&str> = std::iter::once(content.name)
        .chain(renames.names_next_to(content.name))
        .filter(|name| !name.eq_ignore_ascii_case(&new.name))
        .collect();
    let key = lexer::quote_identifier(&content.key);
    for value in ROW_VALUES {
        let mut setup = table_sql(&new.name, new);
        for source in &sources {
            setup += &table_sql(source, old);
            setup += &row_sql(source, old, &content.key, value);
        }
        let query = format!("SELECT {key} FROM {}", lexer::quote_identifier(&new.name));
        let copied: Option<i64> = probe.run(&setup, |connection| {
            connection.execute_batch(statement_run.statement.sql.text()).ok()?;
            connection.query_row(&query, [], |row| row.get(0)).ok()
        })?;
        if let Some(copied) = copied {
            return Ok(copied != ROW_ID);
        }
    }
    Ok(false)
}

/// Creates a table with the columns of another one, of whose constraints only the alias of the row
/// id is kept.
fn table_sql(name: &str, table: &Object) -> String {
    let columns = table.structure().columns.iter().map(|column| {
        let is_alias = column.primary_key_position == 1
            && column.declared_type.eq_ignore_ascii_case("integer")
            && table.structure().primary_key().len() == 1;
        let constraint = if is_alias { " INTEGER PRIMARY KEY" } else { "" };
        format!("{}{constraint}", lexer::quote_identifier(&column.name))
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("CREATE TABLE {} ({columns});", lexer::quote_identifier(name))
}

/// Inserts the row. All of its columns but the row id have one value.
fn row_sql(name: &str, table: &Object, key: &str, value: &str) -> String {
    let name = lexer::quote_identifier(name);
    // `rowid` may be another name of the integer primary key.
    let is_alias = |column: &str| {
        table.structure().column(column).is_some_and(|column| column.primary_key_position > 0)
            && table.structure().primary_key().len() == 1
    };
    let others =
        table.columns().filter(|column| !column.eq_ignore_ascii_case(key) && !is_alias(column));
    let assignments = others.map(|column| format!("{} = {value}", lexer::quote_identifier(column)));
    let assignments = assignments.collect::<Vec<_>>().join(", ");
    let key = lexer::quote_identifier(key);
    let update = if assignments.is_empty() {
        String::new()
    } else {
        format!("UPDATE OR IGNORE {name} SET {assignments};")
    };
    format!("INSERT INTO {name} ({key}) VALUES ({ROW_ID});{update}")
}

fn new_diagnostic(
    statement_run: &StatementRun<'_, '_>,
    content: &ContentTable<'_>,
    target: &str,
) -> Diagnostic {
    let ContentTable { fts, name: content, key } = content;
    Diagnostic::new(
        Rule::FtsRowIds,
        span_of_name(&statement_run.statement.sql, target),
        format!(
            "this copy may change the row ids of `{content}`, by which `{fts}` indexes its text: searches would find other rows"
        ),
    )
    .help(format!(
        "copy `{key}` as well, or build the index again at the end of the block: `INSERT INTO {fts} ({fts}) VALUES ('rebuild');`"
    ))
}
