//! Fills the tables of a database with a few rows each that satisfy its constraints: parents
//! before children, and where SQLite refuses a row, other values for the columns that it names.
//! A table that takes no row is named.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::database::error::message;
use crate::schema::{Column, ForeignKey, Key, Kind, Schema, Table, is_internal, is_own};
use crate::selftest::values;
use crate::selftest::values::{Check, Manner, ROWS, unquoted};
use crate::sql::lexer::quote;

/// How many values are tried for one row.
const ATTEMPTS: usize = 500;

/// How many rows of a parent are referred to.
const PARENTS: usize = 8;

/// What was put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) tables: usize,
    pub(crate) rows: usize,
    /// Tables that did not take rows as they should, each with why.
    pub(crate) caveats: Vec<(String, Shortfall, String)>,
}

/// Fills every ordinary table. `later` is the schema that the document leads to: tame rows heed
/// its constraints too, as far as they can.
pub(crate) fn fill(
    connection: &Connection,
    manner: Manner,
    later: &Schema,
) -> rusqlite::Result<Filled> {
    let plans = plans(connection, manner, later)?;
    connection.execute_batch("BEGIN")?;
    let order = order(&plans);
    let mut shortfalls = BTreeMap::new();
    let mut done = BTreeSet::new();
    for at in order {
        let filling = Filling { connection, plans: &plans, done: &done, manner };
        let shortfall = filling.table(&plans[at])?;
        done.insert(plans[at].name.to_ascii_lowercase());
        shortfalls.extend(shortfall.map(|shortfall| (at, shortfall)));
    }
    remove_orphans(connection, &plans, &plans.iter().collect::<Vec<_>>())?;
    let mut filled = Filled::default();
    for (at, plan) in plans.iter().enumerate() {
        let count = format!("SELECT count(*) FROM {}", quote(&plan.name));
        let rows: u32 = connection.query_row(&count, [], |row| row.get(0))?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        filled.rows += rows;
        filled.tables += usize::from(rows > 0);
        let orphaned = || {
            let reason = "each of its rows refers to one that could not be made".to_owned();
            (rows == 0).then_some((Shortfall::NoRows, reason))
        };
        if let Some((shortfall, reason)) = shortfalls.remove(&at).or_else(orphaned) {
            filled.caveats.push((plan.name.clone(), shortfall, reason));
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(filled)
}

/// In what a table falls short of what it was to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortfall {
    /// No row satisfies its constraints: it was tested empty.
    NoRows,
    /// It took rows only with its triggers off.
    TriggersOff,
}

/// What became of a row.
enum Took {
    Row,
    /// The triggers refused it, with these words.
    WithoutTriggers(String),
    Nothing(String),
}

/// A table, and all that its rows have to heed.
struct Plan {
    name: String,
    table: Table,
    checks: Vec<Check>,
    keys: Vec<ForeignKey>,
}

impl Plan {
    /// Whether two foreign keys share a column.
    fn keys_overlap(&self) -> bool {
        let columns = || self.keys.iter().flat_map(|key| &key.columns);
        columns().count() > columns().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>().len()
    }
}

/// The ordinary tables: not the virtual ones, nor those in which these keep their rows.
fn plans(connection: &Connection, manner: Manner, later: &Schema) -> rusqlite::Result<Vec<Plan>> {
    let mut list = connection.prepare(
        "SELECT l.name, s.sql FROM pragma_table_list l \
         JOIN sqlite_schema s ON s.name = l.name AND s.type = 'table' \
         WHERE l.schema = 'main' AND l.type = 'table' ORDER BY s.rowid",
    )?;
    let names = list
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut plans = Vec::new();
    for (name, sql) in names.into_iter().filter(|(name, _)| !is_internal(name) && !is_own(name)) {
        let table = Table::read(connection, &name)?;
        let mut plan =
            Plan { keys: table.foreign_keys.clone(), checks: Check::read(&sql), name, table };
        if manner == Manner::Tame
            && let Some(later) = later.get(&Key::new(Kind::Table, &plan.name))
        {
            plan.checks.extend(Check::read(&later.sql));
            let new = later.structure.foreign_keys.iter().filter(|key| {
                key.columns.iter().all(|column| plan.table.column(column).is_some())
                    && !plan.keys.iter().any(|known| known.columns == key.columns)
            });
            let new: Vec<ForeignKey> = new.cloned().collect();
            plan.keys.extend(new);
        }
        // A key of several columns decides for the keys of one that it contains.
        plan.keys.sort_by_key(|key| std::cmp::Reverse(key.columns.len()));
        plans.push(plan);
    }
    Ok(plans)
}

/// Parents before children; in a circle the table declared first.
fn order(plans: &[Plan]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(plans.len());
    while order.len() < plans.len() {
        let waits = |at: usize| {
            plans[at].keys.iter().any(|key| {
                plans.iter().enumerate().any(|(parent, plan)| {
                    parent != at
                        && !order.contains(&parent)
                        && plan.name.eq_ignore_ascii_case(&key.parent)
                })
            })
        };
        let open = || (0..plans.len()).filter(|at| !order.contains(at));
        let Some(next) = open().find(|at| !waits(*at)).or_else(|| open().next()) else { break };
        order.push(next);
    }
    order
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Value(Value),
    /// Left to the column's default.
    Default,
    /// The same as in another column of the row: it refers to itself.
    Same(usize),
}

/// Columns that get their values together: one column, or those of a foreign key.
struct Slot {
    columns: Vec<usize>,
    /// The first to be tried in front.
    choices: Vec<Vec<Choice>>,
    bump: usize,
}

impl Slot {
    fn current(&self) -> &[Choice] {
        &self.choices[self.bump % self.choices.len()]
    }
}

struct Filling<'f> {
    connection: &'f Connection,
    plans: &'f [Plan],
    /// Tables in lower case that have their rows.
    done: &'f BTreeSet<String>,
    manner: Manner,
}

impl Filling<'_> {
    /// Puts rows into a table; returns in what it falls short, and why.
    fn table(&self, plan: &Plan) -> rusqlite::Result<Option<(Shortfall, String)>> {
        let mut shortfall = None;
        for row in 0..ROWS {
            match self.row(plan, row)? {
                Took::Row => {}
                Took::WithoutTriggers(reason) => {
                    shortfall = Some((Shortfall::TriggersOff, reason));
                }
                Took::Nothing(reason) if row == 0 => {
                    return Ok(Some((Shortfall::NoRows, reason)));
                }
                // There are no more rows than its constraints let in.
                Took::Nothing(_) => break,
            }
        }
        Ok(shortfall)
    }

    /// Puts one row in.
    fn row(&self, plan: &Plan, row: usize) -> rusqlite::Result<Took> {
        let mut slots = match self.slots(plan, row)? {
            Ok(slots) => slots,
            Err(reason) => return Ok(Took::Nothing(reason)),
        };
        // Triggers fire as they would for the application, so that what they keep in step (an
        // index for searching, say) is in step. Where they refuse every row, or fail, they are
        // turned off, which is told: the table is to have rows all the same.
        let Some(reason) = self.attempts(plan, &mut slots)? else { return Ok(Took::Row) };
        if !self.has_trigger(plan)? {
            return Ok(Took::Nothing(reason));
        }
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let again = self.attempts(plan, &mut slots);
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        Ok(again?.map_or(Took::WithoutTriggers(reason), Took::Nothing))
    }

    fn has_trigger(&self, plan: &Plan) -> rusqlite::Result<bool> {
        self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)",
            [&plan.name],
            |row| row.get(0),
        )
    }

    fn attempts(&self, plan: &Plan, slots: &mut [Slot]) -> rusqlite::Result<Option<String>> {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            match insert(self.connection, plan, slots) {
                Ok(()) if !plan.keys_overlap() => return Ok(None),
                Ok(()) => {
                    if !remove_orphans(self.connection, self.plans, &[plan])? {
                        return Ok(None);
                    }
                    "no parents fit all of its keys".clone_into(&mut reason);
                }
                Err(error) => {
                    reason = message(&error);
                    match error.sqlite_error_code() {
                        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {}
                        Some(ErrorCode::OperationInterrupted) => return Err(error),
                        _ => return Ok(Some(reason)),
                    }
                }
            }
            let suspects = suspects(plan, slots, &reason);
            if !advance(slots, &suspects) {
                // Every combination was tried of what SQLite blames; the rest may be to blame.
                let all: Vec<usize> = (0..slots.len()).collect();
                if suspects == all || !advance(slots, &all) {
                    break;
                }
            }
        }
        Ok(Some(reason))
    }

    /// What may stand in each column of a row; or why nothing can.
    fn slots(&self, plan: &Plan, row: usize) -> rusqlite::Result<Result<Vec<Slot>, String>> {
        let columns = &plan.table.columns;
        let mut slots: Vec<Slot> = Vec::new();
        let mut taken = BTreeSet::new();
        for key in &plan.keys {
            let own: Vec<usize> =
                key.columns.iter().filter_map(|name| position(&plan.table, name)).collect();
            let open: Vec<usize> = (0..own.len()).filter(|n| !taken.contains(&own[*n])).collect();
            if own.len() != key.columns.len() || open.is_empty() {
                continue;
            }
            // Where another key has given some of the values, the rest is tried until it fits.
            let own: Vec<usize> = open.iter().map(|n| own[*n]).collect();
            let mut choices = self.parents(plan, key, row)?;
            for tuple in &mut choices {
                *tuple = open.iter().map(|n| tuple[*n].clone()).collect();
            }
            let nullable = own.iter().all(|at| !columns[*at].not_null && !is_key(plan, *at));
            if nullable {
                let null = vec![Choice::Value(Value::Null); own.len()];
                let alone = row == 0 && key.parent.eq_ignore_ascii_case(&plan.name);
                let rich = self.manner == Manner::Rich && row == ROWS - 1;
                let first = choices.is_empty() || alone || rich;
                choices.insert(if first { 0 } else { choices.len() }, null);
            }
            if choices.is_empty() {
                return Ok(Err(format!("its parent `{}` holds no row", key.parent)));
            }
            choices.dedup();
            taken.extend(own.iter().copied());
            slots.push(Slot { columns: own, choices, bump: 0 });
        }
        for (at, column) in columns.iter().enumerate() {
            if column.hidden == 0 && !taken.contains(&at) {
                let choices = self.choices(plan, (at, row));
                slots.push(Slot { columns: vec![at], choices, bump: 0 });
            }
        }
        Ok(Ok(slots))
    }

    /// The values for a column: strange ones in the first rows, in the last two NULL and the
    /// default, by turns from column to column.
    fn choices(&self, plan: &Plan, (at, row): (usize, usize)) -> Vec<Vec<Choice>> {
        let column = &plan.table.columns[at];
        let mut values = values::candidates(column, &plan.checks, (at, row), self.manner);
        if self.manner == Manner::Tame {
            // SQLite knows nothing of the checks that a later version has.
            let heeding: Vec<Value> =
                values.iter().filter(|value| self.permit(plan, column, value)).cloned().collect();
            if !heeding.is_empty() {
                values = heeding;
            }
        }
        let mut choices: Vec<Choice> = values.into_iter().map(Choice::Value).collect();
        let rich = self.manner == Manner::Rich;
        if !column.not_null && !is_key(plan, at) {
            let first = rich && row == ROWS - 2 + at % 2;
            let null = Choice::Value(Value::Null);
            choices.insert(if first { 0 } else { choices.len() }, null);
        }
        if column.default.is_some() {
            let first = rich && row == ROWS - 1 - at % 2;
            choices.insert(if first { 0 } else { choices.len() }, Choice::Default);
        }
        choices.into_iter().map(|choice| vec![choice]).collect()
    }

    /// Whether no check refuses a value of a column, as far as that column alone decides it.
    fn permit(&self, plan: &Plan, column: &Column, value: &Value) -> bool {
        plan.checks.iter().filter(|check| check.mentions(&column.name)).all(|check| {
            let select =
                format!("SELECT {} FROM (SELECT ?1 AS {})", check.expression, quote(&column.name));
            let verdict = self.connection.prepare_cached(&select).and_then(|mut statement| {
                statement.query_row([value], |row| row.get::<_, Option<f64>>(0))
            });
            !matches!(verdict, Ok(Some(0.0)))
        })
    }

    /// The rows of its parent that a row may refer to.
    fn parents(
        &self,
        plan: &Plan,
        key: &ForeignKey,
        row: usize,
    ) -> rusqlite::Result<Vec<Vec<Choice>>> {
        let Some(parent) = self.plans.iter().find(|p| p.name.eq_ignore_ascii_case(&key.parent))
        else {
            return Ok(vec![]);
        };
        let names = parent_columns(key, &parent.table);
        let at: Option<Vec<usize>> = names.iter().map(|n| position(&parent.table, n)).collect();
        let Some(at) = at.filter(|at| at.len() == key.columns.len()) else { return Ok(vec![]) };
        let itself = parent.name == plan.name;
        let mut found = existing(self.connection, parent, &names)?;
        if !found.is_empty() {
            let by = row.saturating_sub(usize::from(itself)) % found.len();
            found.rotate_left(by);
        }
        if itself {
            let same: Vec<Choice> = at.iter().map(|at| Choice::Same(*at)).collect();
            // The first row can refer to nothing but itself.
            found.insert(if row == 0 { 0 } else { found.len() }, same);
        } else if found.is_empty() && !self.done.contains(&parent.name.to_ascii_lowercase()) {
            // Parent and child refer to each other: the values that the parent will have.
            let first = |row: usize| {
                let value = |at: &usize| self.choices(parent, (*at, row))[0].clone();
                at.iter().flat_map(value).collect::<Vec<_>>()
            };
            let predicted = (row..ROWS).chain(0..row).map(first);
            found = predicted.filter(|tuple| !tuple.contains(&Choice::Default)).collect();
        }
        Ok(found)
    }
}

fn position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

fn is_key(plan: &Plan, at: usize) -> bool {
    plan.table.columns[at].primary_key > 0
}

fn parent_columns(key: &ForeignKey, parent: &Table) -> Vec<String> {
    if key.parent_columns.is_empty() { parent.primary_key() } else { key.parent_columns.clone() }
}

/// The keys that rows of a table have.
fn existing(
    connection: &Connection,
    parent: &Plan,
    names: &[String],
) -> rusqlite::Result<Vec<Vec<Choice>>> {
    let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
    let whole: Vec<String> = quoted.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT DISTINCT {} FROM {} WHERE {} LIMIT {PARENTS}",
        quoted.join(", "),
        quote(&parent.name),
        whole.join(" AND "),
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement
        .query_map([], |row| (0..names.len()).map(|at| row.get(at).map(Choice::Value)).collect())?;
    rows.collect()
}

fn insert(connection: &Connection, plan: &Plan, slots: &[Slot]) -> rusqlite::Result<()> {
    let mut row: BTreeMap<usize, &Choice> = BTreeMap::new();
    for slot in slots {
        row.extend(slot.columns.iter().copied().zip(slot.current()));
    }
    let mut names = Vec::new();
    let mut values: Vec<&Value> = Vec::new();
    for (at, choice) in &row {
        let value = match choice {
            Choice::Same(other) => row.get(other).copied().unwrap_or(&Choice::Default),
            choice => choice,
        };
        if let Choice::Value(value) = value {
            names.push(quote(&plan.table.columns[*at].name));
            values.push(value);
        }
    }
    let table = quote(&plan.name);
    let sql = if names.is_empty() {
        format!("INSERT INTO {table} DEFAULT VALUES")
    } else {
        let marks = vec!["?"; names.len()].join(", ");
        format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "))
    };
    connection.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}

/// The slots that may be to blame for a constraint that SQLite named.
fn suspects(plan: &Plan, slots: &[Slot], message: &str) -> Vec<usize> {
    let columns = &plan.table.columns;
    let is_blamed: Box<dyn Fn(usize) -> bool + '_> =
        if let Some(name) = message.strip_prefix("CHECK constraint failed: ") {
            let named: Vec<&Check> =
                plan.checks.iter().filter(|check| check.name == unquoted(name)).collect();
            Box::new(move |at| {
                let mentions = |check: &Check| check.mentions(&columns[at].name);
                if named.is_empty() {
                    plan.checks.iter().any(mentions)
                } else {
                    named.iter().any(|check| mentions(check))
                }
            })
        } else {
            // `UNIQUE constraint failed: t.a, t.b`, `cannot store TEXT value in INTEGER column t.a`
            let names: BTreeSet<String> =
                message.split(['.', ',', ' ']).map(|word| word.trim().to_lowercase()).collect();
            Box::new(move |at| names.contains(&columns[at].name.to_lowercase()))
        };
    let found: Vec<usize> = (0..slots.len())
        .filter(|slot| slots[*slot].columns.iter().any(|at| is_blamed(*at)))
        .collect();
    if found.is_empty() { (0..slots.len()).collect() } else { found }
}

/// Takes the next combination of values for some slots; false after the last.
fn advance(slots: &mut [Slot], suspects: &[usize]) -> bool {
    for at in suspects {
        let slot = &mut slots[*at];
        slot.bump += 1;
        if !slot.bump.is_multiple_of(slot.choices.len()) {
            return true;
        }
    }
    false
}

/// Removes rows of some tables that refer to parents that are not there, and then those that
/// referred to them; tells whether there were any. Keys that SQLite cannot use bind nobody.
fn remove_orphans(connection: &Connection, plans: &[Plan], of: &[&Plan]) -> rusqlite::Result<bool> {
    let statements: Vec<String> = of.iter().flat_map(|plan| orphans(plans, plan)).collect();
    let mut any = false;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    // Each round but the last removes a row at least.
    let result = loop {
        let round = statements.iter().try_fold(0, |removed, sql| {
            Ok::<_, rusqlite::Error>(removed + connection.execute(sql, [])?)
        });
        match round {
            Ok(0) => break Ok(any),
            Ok(_) => any = true,
            Err(error) => break Err(error),
        }
    };
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    result
}

/// For each key of a table the statement that removes the rows without a parent.
fn orphans<'p>(plans: &'p [Plan], plan: &'p Plan) -> impl Iterator<Item = String> + 'p {
    plan.keys.iter().filter_map(|key| {
        let parent = plans.iter().find(|p| p.name.eq_ignore_ascii_case(&key.parent))?;
        let names = parent_columns(key, &parent.table);
        let known = names.iter().all(|name| parent.table.column(name).is_some());
        if names.len() != key.columns.len() || !known {
            return None;
        }
        let child = |name: &String| format!("{}.{}", quote(&plan.name), quote(name));
        let whole = key.columns.iter().map(|name| format!("{} IS NOT NULL", child(name)));
        let pairs = names.iter().zip(&key.columns);
        let same = pairs.map(|(parent, own)| format!("p.{} = {}", quote(parent), child(own)));
        Some(format!(
            "DELETE FROM {} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            quote(&plan.name),
            whole.collect::<Vec<_>>().join(" AND "),
            quote(&parent.name),
            same.collect::<Vec<_>>().join(" AND "),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sql: &str, manner: Manner) -> (Connection, Filled) {
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::harden(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let filled = fill(&connection, manner, &Schema::new()).unwrap();
        let broken: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0, "{sql}");
        (connection, filled)
    }

    #[track_caller]
    fn case(sql: &str, rows: usize) {
        for manner in [Manner::Rich, Manner::Tame] {
            let (_, filled) = filled(sql, manner);
            assert_eq!((filled.rows, filled.caveats), (rows, vec![]), "{manner:?}");
        }
    }

    #[track_caller]
    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_table_gets_its_rows() {
        case("CREATE TABLE t (a)", 6);
        case("CREATE TABLE t (a INTEGER PRIMARY KEY)", 6);
        case("CREATE TABLE t (a BOOLEAN NOT NULL, b DATE NOT NULL, UNIQUE (a, b))", 6);
        case("CREATE TABLE t (a TEXT UNIQUE CHECK (a IN ('x', 'y', 'z')) NOT NULL)", 3);
        case("CREATE TABLE t (a TEXT NOT NULL CHECK (length(a) = 36) UNIQUE)", 6);
        case("CREATE TABLE t (a TEXT CHECK (a GLOB '[0-9][0-9]') NOT NULL)", 6);
        case("CREATE TABLE t (a INT CHECK (typeof(a) = 'integer') NOT NULL)", 6);
        case("CREATE TABLE t (a, b AS (a + 1) STORED, c DEFAULT (1))", 6);
        case("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL) STRICT", 6);
    }

    #[test]
    fn children_have_parents() {
        case("CREATE TABLE c (p REFERENCES p NOT NULL); CREATE TABLE p (a TEXT PRIMARY KEY)", 12);
        case("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT NOT NULL REFERENCES t)", 6);
        case(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b); \
             CREATE TABLE b (id INTEGER PRIMARY KEY, a INT NOT NULL REFERENCES a)",
            12,
        );
        case(
            "CREATE TABLE a (x INT, y TEXT, PRIMARY KEY (x, y)) WITHOUT ROWID; \
             CREATE TABLE b (x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES a, PRIMARY KEY (x, y))",
            12,
        );
    }

    #[test]
    fn a_key_that_sqlite_cannot_use_keeps_nobody_from_having_rows() {
        let sql =
            "CREATE TABLE p (a TEXT, b TEXT); CREATE TABLE c (a TEXT NOT NULL REFERENCES p (a));
                   CREATE TABLE d (a TEXT REFERENCES nowhere)";
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::harden(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let filled = fill(&connection, Manner::Rich, &Schema::new()).unwrap();
        assert_eq!((filled.tables, filled.rows), (3, 18), "{:?}", filled.caveats);
        assert_eq!(count(&connection, "c JOIN p USING (a)"), 6);
    }

    #[test]
    fn rich_rows_are_strange_and_tame_ones_are_not() {
        let sql = "CREATE TABLE t (a TEXT, b INTEGER DEFAULT 77)";
        let (rich, _) = filled(sql, Manner::Rich);
        let (tame, _) = filled(sql, Manner::Tame);
        for wanted in ["a IS NULL", "a = ''", "a LIKE '%\"%'", "b < 0", "b = 77", "b > 1 << 52"] {
            assert!(count(&rich, &format!("t WHERE {wanted}")) > 0, "{wanted}");
        }
        assert_eq!(count(&tame, "t WHERE a > '' AND b > 0"), 6);
    }

    #[test]
    fn tame_rows_heed_what_is_to_come() {
        let later = Connection::open_in_memory().unwrap();
        later.execute_batch("CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')))").unwrap();
        let later = crate::schema::read(&later).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT)").unwrap();
        fill(&connection, Manner::Tame, &later).unwrap();
        assert_eq!(count(&connection, "t WHERE a IN ('x', 'y')"), 6);
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        let sql = "CREATE TABLE t (a INT PRIMARY KEY CHECK (a <> a)); CREATE TABLE c (a INT NOT NULL REFERENCES t)";
        let (_, filled) = filled(sql, Manner::Rich);
        let named: Vec<_> =
            filled.caveats.iter().map(|(table, what, _)| (&**table, *what)).collect();
        assert_eq!(named, [("t", Shortfall::NoRows), ("c", Shortfall::NoRows)]);
    }

    #[test]
    fn two_runs_fill_alike() {
        let sql = "CREATE TABLE t (a, b TEXT, c REAL, d BLOB, e DATE, UNIQUE (b, c))";
        let rows = |manner| {
            let (connection, _) = filled(sql, manner);
            let all = "SELECT group_concat(quote(a) || quote(b) || quote(c) || quote(d) || quote(e)) FROM t";
            connection.query_row(all, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(rows(Manner::Rich), rows(Manner::Rich));
        assert_ne!(rows(Manner::Rich), rows(Manner::Tame));
    }
}
