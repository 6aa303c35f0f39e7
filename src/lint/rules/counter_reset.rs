//! Reports rebuilds that lose the AUTOINCREMENT counter of their table. SQLite decides: the block
//! runs in the sandbox once more, with a counter that only rows which were deleted can explain.

use crate::database::autoincrement::{find_lowered_counter, read_counters};
use crate::database::job::CompiledScript;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::migrate::sandbox::Sandbox;
use crate::schema::{Object, ObjectKey, ObjectKind};
use crate::source::{SourceSlice, first_line_span};
use crate::sql::tokens::{Tokens, span_of_name};

/// Higher than the id of any row that a document inserts.
const COUNTER: i64 = 1_000_000_000_000;

/// Runs a block that has not run yet, and undoes that.
pub(crate) fn check(
    sandbox: &mut Sandbox,
    script: &CompiledScript<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    let tables: Vec<String> = script
        .rebuilt_tables
        .iter()
        .filter(|table| {
            let key = ObjectKey::new(ObjectKind::Table, table);
            sandbox.schema().get(&key).is_some_and(|object| is_autoincrement(object))
        })
        .cloned()
        .collect();
    if tables.is_empty() {
        return Ok(());
    }
    let lowered = sandbox.run_and_roll_back(|sandbox| {
        for table in &tables {
            let key = ObjectKey::new(ObjectKind::Table, table);
            let name =
                sandbox.schema().get(&key).map_or(table.clone(), |object| object.name.clone());
            let connection = sandbox.connection();
            connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?1", [&name])?;
            connection.execute(
                "INSERT INTO main.sqlite_sequence (name, seq) VALUES (?1, ?2)",
                (&name, COUNTER),
            )?;
        }
        let before = read_counters(sandbox.connection(), &tables)?;
        for statement in &script.statements {
            sandbox.run_statement(statement.sql.text())?;
            if sandbox.has_transaction_ended() {
                return Ok(None);
            }
        }
        find_lowered_counter(sandbox.connection(), &before)
    })?;
    diagnostics.extend(lowered.map(|lowered| new_diagnostic(script, &lowered.table)));
    Ok(())
}

fn is_autoincrement(table: &Object) -> bool {
    table.table_definition().is_some_and(|definition| {
        definition.constraints.primary_key_options.iter().any(|option| option == "autoincrement")
    })
}

fn new_diagnostic(script: &CompiledScript<'_>, table: &str) -> Diagnostic {
    let renames = &script.operations.table_renames;
    let created = renames.original_name(table);
    let dropping = script.statements.iter().find_map(|statement| {
        let name = dropped_table(&statement.sql)?;
        (name == table || renames.original_name(&name) == table).then_some((&statement.sql, name))
    });
    let (span, dropped) = match (&dropping, script.statements.first()) {
        (Some((sql, name)), _) => (span_of_name(sql, name), name.as_str()),
        (None, Some(first)) => (first_line_span(&first.sql), table),
        (None, None) => (0..0, table),
    };
    let text = |name: &str| name.replace('\'', "''");
    Diagnostic::new(
        Rule::CounterReset,
        span,
        format!(
            "this rebuild loses the AUTOINCREMENT counter of `{table}`: the ids of deleted rows would be used again"
        ),
    )
    .help(format!(
        "before the rows are copied, add `INSERT INTO sqlite_sequence (name, seq) SELECT '{}', seq FROM sqlite_sequence WHERE name = '{}';`",
        text(&created),
        text(dropped)
    ))
}

/// The table that a DROP TABLE names, in lower case.
fn dropped_table(statement: &SourceSlice<'_>) -> Option<String> {
    let tokens = Tokens::new(statement.text());
    let index = if tokens.match_seq(2, &["IF", "EXISTS"]) { 4 } else { 2 };
    tokens
        .match_seq(0, &["DROP", "TABLE"])
        .then(|| tokens.name(tokens.skip_schema_qualifier(index)).to_lowercase())
}
