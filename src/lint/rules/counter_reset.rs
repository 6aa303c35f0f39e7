//! Reports rebuilds that lose the AUTOINCREMENT counter of their table. SQLite decides: the block
//! runs in the sandbox once more, with a counter that only rows which were deleted can explain.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::autoincrement::{LoweredCounter, find_lowered_counter, read_counters};
use crate::database::job::CompiledScript;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::BlockRun;
use crate::migrate::sandbox::Sandbox;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::source::first_line_span;
use crate::sql::object_statement::{created_table, dropped_table};
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
    if let Some(LoweredCounter { table, .. }) = lowered {
        diagnostics.push(new_diagnostic(sandbox.schema(), script, &table));
    }
    Ok(())
}

/// The counters that earlier blocks have taken from tables. All names are in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostCounters {
    /// Tables that had a counter once and have lost it with their AUTOINCREMENT.
    removed: BTreeSet<String>,
    /// Tables that were renamed with their counter, each with its first name.
    set_aside: BTreeMap<String, String>,
}

impl LostCounters {
    /// Follows a block that ran. Reports a table that gets AUTOINCREMENT again without its old counter,
    /// and the drop of a table that was set aside with the counter of the one that replaced it.
    pub(crate) fn follow(
        &mut self,
        block_run: &BlockRun<'_, '_>,
        schema_after: &Schema,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let script = block_run.script;
        let writes_counters = writes_counters(script);
        for table in &script.rebuilt_tables {
            let counted_before = has_counter(&block_run.schema_before, table);
            if has_counter(schema_after, table) {
                if self.removed.remove(table) && !writes_counters {
                    diagnostics.push(counter_of_earlier_block(script, table));
                }
            } else if counted_before {
                self.removed.insert(table.clone());
            }
        }
        let renames = &script.operations.table_renames;
        let present_name = |table: &String| {
            if script.rebuilt_tables.contains(table) {
                table.clone()
            } else {
                renames.final_name(table)
            }
        };
        self.removed = self.removed.iter().map(present_name).collect();
        if writes_counters {
            self.set_aside.clear();
            return;
        }
        for dropped in &script.dropped_tables {
            let replaced = self.set_aside.remove(dropped);
            if let Some(table) = replaced.filter(|table| has_counter(schema_after, table)) {
                diagnostics.push(counter_of_table_aside(script, dropped, &table));
            }
        }
        for (from, to) in renames.pairs() {
            let is_rebuilt = script.rebuilt_tables.iter().any(|table| table == from || table == to);
            if is_rebuilt {
                continue;
            }
            let first = self.set_aside.remove(from);
            let first = first
                .or_else(|| has_counter(&block_run.schema_before, from).then(|| from.to_owned()));
            self.set_aside.extend(first.map(|first| (to.to_owned(), first)));
        }
    }
}

fn has_counter(schema: &Schema, table: &str) -> bool {
    let table = schema.get(&ObjectKey::new(ObjectKind::Table, table));
    table.is_some_and(|table| is_autoincrement(table))
}

fn counter_of_table_aside(script: &CompiledScript<'_>, dropped: &str, table: &str) -> Diagnostic {
    Diagnostic::new(
        Rule::CounterReset,
        script.rebuild_span(dropped),
        format!(
            "this drops the AUTOINCREMENT counter that `{table}` had: the ids of deleted rows would be used again"
        ),
    )
    .help(format!(
        "before this, add `UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence WHERE lower(name) IN ('{dropped}', '{table}')) WHERE lower(name) = '{table}';`"
    ))
}

/// Whether a statement names SQLite's table of counters.
fn writes_counters(script: &CompiledScript<'_>) -> bool {
    script.statements.iter().any(|statement| {
        let tokens = Tokens::new(statement.sql.text());
        (0..tokens.len()).any(|index| tokens.is_name(index, "sqlite_sequence"))
    })
}

fn counter_of_earlier_block(script: &CompiledScript<'_>, table: &str) -> Diagnostic {
    Diagnostic::new(
        Rule::CounterReset,
        script.rebuild_span(table),
        format!(
            "`{table}` gets AUTOINCREMENT again, but an earlier migration removed it with its counter: the ids of deleted rows would be used again"
        ),
    )
    .help("keep the counter in a table where AUTOINCREMENT is removed, and insert it into `sqlite_sequence` here; if ids may be used again, say so with `-- tatmig:allow counter-reset` and the reason")
}

fn is_autoincrement(table: &Object) -> bool {
    table.table_definition().is_some_and(|definition| {
        definition.constraints.primary_key_options.iter().any(|option| option == "autoincrement")
    })
}

fn new_diagnostic(schema: &Schema, script: &CompiledScript<'_>, table: &str) -> Diagnostic {
    let renames = &script.operations.table_renames;
    let created = renames.original_name(table);
    let dropping = script.statements.iter().find_map(|statement| {
        let name = dropped_table(&Tokens::new(statement.sql.text()))?.to_lowercase();
        (name == table || renames.original_name(&name) == table).then_some((&statement.sql, name))
    });
    let (span, dropped) = match (&dropping, script.statements.first()) {
        (Some((sql, name)), _) => (span_of_name(sql, name), name.as_str()),
        (None, Some(first)) => (first_line_span(&first.sql), table),
        (None, None) => (0..0, table),
    };
    // SQLite compares the names in `sqlite_sequence` with the case of their letters.
    let text = |name: &str| spelled_name(schema, script, name).replace('\'', "''");
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

/// The name of a table of the block, given in lower case, as the block or the schema before spells it.
fn spelled_name(schema: &Schema, script: &CompiledScript<'_>, name: &str) -> String {
    let in_block = script.statements.iter().find_map(|statement| {
        let tokens = Tokens::new(statement.sql.text());
        let renamed = || {
            let is_alter = tokens.match_seq(0, &["ALTER", "TABLE"]);
            let keyword = tokens.find_top_level(2, "TO").filter(|_| is_alter)?;
            Some(tokens.name(keyword + 1))
        };
        created_table(&tokens).or_else(renamed).filter(|found| found.eq_ignore_ascii_case(name))
    });
    let in_schema = schema.get(&ObjectKey::new(ObjectKind::Table, name));
    let existing = in_schema.map(|table| table.name.clone());
    existing.or(in_block).unwrap_or_else(|| name.to_owned())
}
