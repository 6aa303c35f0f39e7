//! Reports rebuilds that lose an index or a trigger of their table: SQLite drops both with the old
//! table, and the block does not create them again.

use std::collections::BTreeSet;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::BlockRun;
use crate::schema::lost_objects::lost_objects;
use crate::schema::{Object, ObjectKind, Schema};
use crate::source::first_line_span;
use crate::sql::object_statement::dropped_table;
use crate::sql::tokens::{Tokens, span_of_name};

/// Checks the tables that a block rebuilds. `schema_after` is the schema after the block.
pub(crate) fn check(
    block_run: &BlockRun<'_, '_>,
    schema_after: &Schema,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let script = block_run.script;
    let rebuilt: BTreeSet<&str> = script.rebuilt_tables.iter().map(String::as_str).collect();
    if rebuilt.is_empty() {
        return;
    }
    for object in lost_objects(&block_run.schema_before, schema_after) {
        let table = object.table.to_lowercase();
        if rebuilt.contains(table.as_str())
            && !script.dropped_objects.contains(&object.name.to_ascii_lowercase())
        {
            diagnostics.push(new_diagnostic(block_run, object, &table));
        }
    }
}

fn new_diagnostic(block_run: &BlockRun<'_, '_>, object: &Object, table: &str) -> Diagnostic {
    let (kind, name) = (object.kind, &object.name);
    let key = object.key();
    // The statement that dropped the object with its table.
    let dropping_run = block_run.statement_runs.iter().rfind(|run| {
        run.object_changes.iter().any(|(changed, now)| *changed == key && now.is_none())
    });
    let span = dropping_run.map_or(0..0, |run| {
        let statement = &run.statement.sql;
        match dropped_table(&Tokens::new(statement.text())) {
            Some(name) => span_of_name(statement, &name),
            None => first_line_span(statement),
        }
    });
    Diagnostic::new(
        Rule::ObjectLoss,
        span,
        format!("this rebuild of `{table}` drops the {kind} `{name}`, which is not created again"),
    )
    .help(format!(
        "create the {kind} again after the new table has its name; if it is no longer needed, drop it by name: `DROP {} {name};`",
        if kind == ObjectKind::Trigger { "TRIGGER" } else { "INDEX" }
    ))
}
