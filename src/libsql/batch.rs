//! An order as one batch: the guard, the statements, the rows of the record, the checks, and the
//! end.

use crate::database::history;
use crate::database::history_entry::{Entry, State};
use crate::database::job::{Ending, Order};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::Lesson;
use crate::libsql::foreign_key_check::{Counts, KeyCheck, check_clean, count_after, count_before};
use crate::libsql::namespace::{FINGERPRINT, Seen};
use crate::libsql::precondition::guard;
use crate::libsql::program::{FAIL, Mark, Program};
use crate::sql::lexer;
use crate::sqld::hrana::{Step, Value};

/// The batch for an order.
pub(crate) fn program(
    (order, expected, seen): (&Order<'_>, &State, &Seen),
    lesson: &Lesson,
    check: KeyCheck,
) -> (Program, Option<Counts>) {
    let mut program = Program::begin();
    guard(&mut program, expected, seen);
    let own = |program: &mut Program, sql: String, args: Vec<Value>| {
        program.then(Step::does(sql, args), Mark::Own);
    };
    let recorded = matches!(expected, State::Recorded(_));
    if !recorded && order.steps.iter().any(|step| step.entry.is_some()) {
        own(&mut program, history::CREATE.to_owned(), Vec::new());
    }
    if check != KeyCheck::Clean {
        count_before(&mut program, lesson, &order.renames);
    }
    let guarded = |step: &crate::database::job::Step<'_, '_>| {
        !step.script.rebuilt.is_empty() && !step.script.allows(Rule::RowLoss)
    };
    let counts_rows = order.steps.iter().any(guarded);
    if counts_rows {
        own(
            &mut program,
            "CREATE TABLE _tatmig_rows (step INTEGER, name TEXT, n INTEGER)".to_owned(),
            Vec::new(),
        );
    }
    for (at, step) in order.steps.iter().enumerate() {
        let number = Value::Integer(i64::try_from(at).unwrap_or(i64::MAX));
        if guarded(step) {
            for table in &step.script.rebuilt {
                let count = format!(
                    "INSERT INTO _tatmig_rows SELECT ?1, ?2, count(*) FROM {} NOT INDEXED",
                    lexer::quote(table)
                );
                let count = Step::does(count, vec![number.clone(), Value::text(table)]);
                program.or_else((count, Mark::Aside), vec![is_absent(table)]);
            }
        }
        if let Some(entry) = &step.entry {
            let note = entry.note.clone().or_else(|| lesson.note(at));
            program.then(append(order, entry, note), Mark::Own);
        }
        for (nth, statement) in step.script.statements.iter().enumerate() {
            if !lesson.satisfied.contains_key(&(at, nth)) {
                let does = Step::does(statement.sql.text(), Vec::new());
                program.then(does, Mark::Statement(at, nth));
            }
        }
        if guarded(step) {
            for (nth, table) in step.script.rebuilt.iter().enumerate() {
                check_rows(&mut program, (at, nth), table);
            }
        }
        if step.entry.is_some() && !step.script.statements.is_empty() {
            own(&mut program, TIMED.to_owned(), Vec::new());
        }
        if !step.applied.is_empty() {
            own(&mut program, history::CREATE_SOURCES.to_owned(), Vec::new());
        }
        for part in &step.applied {
            let args = vec![
                Value::text(part.checksum.to_string()),
                Value::text(part.scope.to_string()),
                Value::text(part.from.clone()),
                Value::text(part.to.clone()),
                Value::text(part.sql.clone()),
            ];
            own(&mut program, KEEP.to_owned(), args);
        }
    }
    let counts = match check {
        KeyCheck::Clean => {
            check_clean(&mut program, &lesson.keys_after);
            None
        }
        KeyCheck::Compared | KeyCheck::Counted => Some(count_after(&mut program, lesson, check)),
    };
    if counts_rows {
        own(&mut program, "DROP TABLE _tatmig_rows".to_owned(), Vec::new());
    }
    if let Some(after) = &lesson.after {
        let sql = format!("SELECT CASE WHEN ({FINGERPRINT}) IS ?1 THEN 1 ELSE {FAIL} END");
        program.then(Step::does(sql, vec![Value::text(after.clone())]), Mark::Schema);
    }
    program.end(match order.ending {
        Ending::Commit => "COMMIT",
        Ending::Rollback => "ROLLBACK",
    });
    (program, counts)
}

/// A row of the record. It takes the server's clock, and the statements' time afterwards.
fn append(order: &Order<'_>, entry: &Entry, note: Option<String>) -> Step {
    let args = vec![
        Value::text(entry.event.name()),
        Value::text(entry.from.clone()),
        Value::text(entry.to.clone()),
        Value::text(order.scope.to_string()),
        Value::optional(entry.checksum.map(|checksum| checksum.to_string())),
        Value::optional(entry.chain.map(|chain| chain.to_string())),
        Value::text(env!("CARGO_PKG_VERSION")),
        Value::optional(note),
    ];
    Step::does(
        "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
         applied_at, duration_ms, tool_version, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
         strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0, ?7, ?8)",
        args,
    )
}

/// The row is written before the statements, and becomes the time of their end.
const TIMED: &str = "\
UPDATE _tatmig_migrations SET \
duration_ms = CAST(round((julianday('now') - julianday(applied_at)) * 86400000) AS INTEGER), \
applied_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
WHERE rowid = (SELECT max(rowid) FROM _tatmig_migrations)";

const KEEP: &str = "\
INSERT OR IGNORE INTO _tatmig_sources (checksum, scope, from_version, to_version, sql) \
VALUES (?1, ?2, ?3, ?4, ?5)";

/// Fails if there is a table of that name.
fn is_absent(table: &str) -> Step {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' \
         AND name = ?1 COLLATE NOCASE) THEN {FAIL} ELSE 1 END"
    );
    Step::does(sql, vec![Value::text(table)])
}

/// The row guard of a rebuilt table.
fn check_rows(program: &mut Program, (step, nth): (usize, usize), table: &str) {
    let before = "coalesce((SELECT n FROM _tatmig_rows WHERE step = ?1 AND name = ?2), 0)";
    let after = format!("(SELECT count(*) FROM {} NOT INDEXED)", lexer::quote(table));
    let args = || vec![Value::Integer(i64::try_from(step).unwrap_or(i64::MAX)), Value::text(table)];
    let asked = program.then(Step::asks(format!("SELECT {before}, {after}"), args()), Mark::Own);
    let sql = format!("SELECT CASE WHEN {after} >= {before} THEN 1 ELSE {FAIL} END");
    program.then(Step::does(sql, args()), Mark::Rows(step, nth, asked));
}
