//! Fills the tables of a database with a few rows each that satisfy its constraints: parents
//! before children, and where SQLite refuses a row, other values for the columns that it names.
//! A table that takes no row is named.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::database::error::sqlite_message;
use crate::schema::{
    Column, ForeignKey, ObjectKey, ObjectKind, Schema, Table, is_sqlite_name, is_tatmig_name,
};
use crate::selftest::values;
use crate::selftest::values::{CheckConstraint, DataProfile, ROWS_PER_TABLE};
use crate::sql::lexer::{quote_identifier, unquote};

/// How many values are tried for one row.
const MAX_ATTEMPTS: usize = 500;

/// How many rows of a parent are referred to.
const MAX_PARENT_ROWS: usize = 8;

/// What was put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct FillReport {
    pub(crate) table_count: usize,
    pub(crate) row_count: usize,
    /// Tables that did not take rows as they should, each with why.
    pub(crate) coverage_gaps: Vec<(String, GapKind, String)>,
}

/// Fills every ordinary table. `later` is the schema that the document leads to: tame rows heed
/// its constraints too, as far as they can.
pub(crate) fn fill_tables(
    connection: &Connection,
    profile: DataProfile,
    later_schema: &Schema,
) -> rusqlite::Result<FillReport> {
    let table_specs = read_table_specs(connection, profile, later_schema)?;
    connection.execute_batch("BEGIN")?;
    let fill_order = fill_order(&table_specs);
    let mut gaps = BTreeMap::new();
    let mut filled_tables = BTreeSet::new();
    for index in fill_order {
        let filler = TableFiller {
            connection,
            table_specs: &table_specs,
            filled_tables: &filled_tables,
            manner: profile,
        };
        let gap = filler.fill_table(&table_specs[index])?;
        filled_tables.insert(table_specs[index].name.to_ascii_lowercase());
        gaps.extend(gap.map(|gap| (index, gap)));
    }
    remove_orphans(connection, &table_specs, &table_specs.iter().collect::<Vec<_>>())?;
    let mut report = FillReport::default();
    for (index, table_spec) in table_specs.iter().enumerate() {
        let count_query = format!("SELECT count(*) FROM {}", quote_identifier(&table_spec.name));
        let rows: u32 = connection.query_row(&count_query, [], |row| row.get(0))?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        report.row_count += rows;
        report.table_count += usize::from(rows > 0);
        let gap_from_orphans = || {
            let reason = "each of its rows refers to one that could not be made".to_owned();
            (rows == 0).then_some((GapKind::NoRows, reason))
        };
        if let Some((shortfall, reason)) = gaps.remove(&index).or_else(gap_from_orphans) {
            report.coverage_gaps.push((table_spec.name.clone(), shortfall, reason));
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(report)
}

/// In what a table falls short of what it was to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// No row satisfies its constraints: it was tested empty.
    NoRows,
    /// It took rows only with its triggers off.
    TriggersOff,
}

/// What became of a row.
enum InsertResult {
    Inserted,
    /// The triggers refused it, with these words.
    InsertedWithoutTriggers(String),
    Rejected(String),
}

/// A table, and all that its rows have to heed.
struct TableSpec {
    name: String,
    table: Table,
    checks: Vec<CheckConstraint>,
    foreign_keys: Vec<ForeignKey>,
}

impl TableSpec {
    /// Whether two foreign keys share a column.
    fn has_overlapping_foreign_keys(&self) -> bool {
        let columns = || self.foreign_keys.iter().flat_map(|key| &key.columns);
        columns().count() > columns().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>().len()
    }
}

/// The ordinary tables: not the virtual ones, nor those in which these keep their rows.
fn read_table_specs(
    connection: &Connection,
    profile: DataProfile,
    later_schema: &Schema,
) -> rusqlite::Result<Vec<TableSpec>> {
    let mut table_query = connection.prepare(
        "SELECT l.name, s.sql FROM pragma_table_list l \
         JOIN sqlite_schema s ON s.name = l.name AND s.type = 'table' \
         WHERE l.schema = 'main' AND l.type = 'table' ORDER BY s.rowid",
    )?;
    let names_and_sql = table_query
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut table_specs = Vec::new();
    for (name, sql) in
        names_and_sql.into_iter().filter(|(name, _)| !is_sqlite_name(name) && !is_tatmig_name(name))
    {
        let table = Table::read(connection, &name)?;
        let mut table_spec = TableSpec {
            foreign_keys: table.foreign_keys.clone(),
            checks: CheckConstraint::parse_all(&sql),
            name,
            table,
        };
        if profile == DataProfile::Typical
            && let Some(later) =
                later_schema.get(&ObjectKey::new(ObjectKind::Table, &table_spec.name))
        {
            table_spec.checks.extend(CheckConstraint::parse_all(&later.sql));
            let later_keys = later.structure.foreign_keys.iter().filter(|key| {
                key.columns.iter().all(|column| table_spec.table.column(column).is_some())
                    && !table_spec.foreign_keys.iter().any(|known| known.columns == key.columns)
            });
            let new: Vec<ForeignKey> = later_keys.cloned().collect();
            table_spec.foreign_keys.extend(new);
        }
        // A key of several columns decides for the keys of one that it contains.
        table_spec.foreign_keys.sort_by_key(|key| std::cmp::Reverse(key.columns.len()));
        table_specs.push(table_spec);
    }
    Ok(table_specs)
}

/// Parents before children; in a circle the table declared first.
fn fill_order(table_specs: &[TableSpec]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(table_specs.len());
    while order.len() < table_specs.len() {
        let has_pending_parent = |index: usize| {
            table_specs[index].foreign_keys.iter().any(|key| {
                table_specs.iter().enumerate().any(|(parent, table_spec)| {
                    parent != index
                        && !order.contains(&parent)
                        && table_spec.name.eq_ignore_ascii_case(&key.parent)
                })
            })
        };
        let pending = || (0..table_specs.len()).filter(|index| !order.contains(index));
        let Some(next) =
            pending().find(|index| !has_pending_parent(*index)).or_else(|| pending().next())
        else {
            break;
        };
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
    SameAsColumn(usize),
}

/// Columns that get their values together: one column, or those of a foreign key.
struct Slot {
    columns: Vec<usize>,
    /// The first to be tried in front.
    choices: Vec<Vec<Choice>>,
    index: usize,
}

impl Slot {
    fn current(&self) -> &[Choice] {
        &self.choices[self.index % self.choices.len()]
    }
}

struct TableFiller<'f> {
    connection: &'f Connection,
    table_specs: &'f [TableSpec],
    /// Tables in lower case that have their rows.
    filled_tables: &'f BTreeSet<String>,
    manner: DataProfile,
}

impl TableFiller<'_> {
    /// Puts rows into a table; returns in what it falls short, and why.
    fn fill_table(&self, table_spec: &TableSpec) -> rusqlite::Result<Option<(GapKind, String)>> {
        let mut gap = None;
        for row in 0..ROWS_PER_TABLE {
            match self.insert_row(table_spec, row)? {
                InsertResult::Inserted => {}
                InsertResult::InsertedWithoutTriggers(reason) => {
                    gap = Some((GapKind::TriggersOff, reason));
                }
                InsertResult::Rejected(reason) if row == 0 => {
                    return Ok(Some((GapKind::NoRows, reason)));
                }
                // There are no more rows than its constraints let in.
                InsertResult::Rejected(_) => break,
            }
        }
        Ok(gap)
    }

    /// Puts one row in.
    fn insert_row(&self, table_spec: &TableSpec, row: usize) -> rusqlite::Result<InsertResult> {
        let mut slots = match self.build_slots(table_spec, row)? {
            Ok(slots) => slots,
            Err(reason) => return Ok(InsertResult::Rejected(reason)),
        };
        // Triggers fire as they would for the application, so that what they keep in step (an
        // index for searching, say) is in step. Where they refuse every row, or fail, they are
        // turned off, which is told: the table is to have rows all the same.
        let Some(reason) = self.try_insert(table_spec, &mut slots)? else {
            return Ok(InsertResult::Inserted);
        };
        if !self.has_trigger(table_spec)? {
            return Ok(InsertResult::Rejected(reason));
        }
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let second_result = self.try_insert(table_spec, &mut slots);
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        Ok(second_result?
            .map_or(InsertResult::InsertedWithoutTriggers(reason), InsertResult::Rejected))
    }

    fn has_trigger(&self, table_spec: &TableSpec) -> rusqlite::Result<bool> {
        self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)",
            [&table_spec.name],
            |row| row.get(0),
        )
    }

    fn try_insert(
        &self,
        table_spec: &TableSpec,
        slots: &mut [Slot],
    ) -> rusqlite::Result<Option<String>> {
        let mut reason = String::new();
        for _ in 0..MAX_ATTEMPTS {
            match insert(self.connection, table_spec, slots) {
                Ok(()) if !table_spec.has_overlapping_foreign_keys() => return Ok(None),
                Ok(()) => {
                    if !remove_orphans(self.connection, self.table_specs, &[table_spec])? {
                        return Ok(None);
                    }
                    "no parents fit all of its keys".clone_into(&mut reason);
                }
                Err(error) => {
                    reason = sqlite_message(&error);
                    match error.sqlite_error_code() {
                        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {}
                        Some(ErrorCode::OperationInterrupted) => return Err(error),
                        _ => return Ok(Some(reason)),
                    }
                }
            }
            let suspect_slots = suspect_slots(table_spec, slots, &reason);
            if !advance_choices(slots, &suspect_slots) {
                // Every combination was tried of what SQLite blames; the rest may be to blame.
                let all_slots: Vec<usize> = (0..slots.len()).collect();
                if suspect_slots == all_slots || !advance_choices(slots, &all_slots) {
                    break;
                }
            }
        }
        Ok(Some(reason))
    }

    /// What may stand in each column of a row; or why nothing can.
    fn build_slots(
        &self,
        table_spec: &TableSpec,
        row: usize,
    ) -> rusqlite::Result<Result<Vec<Slot>, String>> {
        let columns = &table_spec.table.columns;
        let mut slots: Vec<Slot> = Vec::new();
        let mut assigned_columns = BTreeSet::new();
        for key in &table_spec.foreign_keys {
            let key_columns: Vec<usize> = key
                .columns
                .iter()
                .filter_map(|name| column_position(&table_spec.table, name))
                .collect();
            let unassigned: Vec<usize> = (0..key_columns.len())
                .filter(|key_position| !assigned_columns.contains(&key_columns[*key_position]))
                .collect();
            if key_columns.len() != key.columns.len() || unassigned.is_empty() {
                continue;
            }
            // Where another key has given some of the values, the rest is tried until it fits.
            let own: Vec<usize> =
                unassigned.iter().map(|key_position| key_columns[*key_position]).collect();
            let mut choices = self.parent_choices(table_spec, key, row)?;
            for tuple in &mut choices {
                *tuple =
                    unassigned.iter().map(|key_position| tuple[*key_position].clone()).collect();
            }
            let is_nullable = own.iter().all(|column_index| {
                !columns[*column_index].not_null && !is_primary_key(table_spec, *column_index)
            });
            if is_nullable {
                let null = vec![Choice::Value(Value::Null); own.len()];
                let is_first_self_reference =
                    row == 0 && key.parent.eq_ignore_ascii_case(&table_spec.name);
                let is_null_edge_case =
                    self.manner == DataProfile::EdgeCases && row == ROWS_PER_TABLE - 1;
                let null_comes_first =
                    choices.is_empty() || is_first_self_reference || is_null_edge_case;
                choices.insert(if null_comes_first { 0 } else { choices.len() }, null);
            }
            if choices.is_empty() {
                return Ok(Err(format!("its parent `{}` holds no row", key.parent)));
            }
            choices.dedup();
            assigned_columns.extend(own.iter().copied());
            slots.push(Slot { columns: own, choices, index: 0 });
        }
        for (column_index, column) in columns.iter().enumerate() {
            if column.hidden == 0 && !assigned_columns.contains(&column_index) {
                let choices = self.column_choices(table_spec, (column_index, row));
                slots.push(Slot { columns: vec![column_index], choices, index: 0 });
            }
        }
        Ok(Ok(slots))
    }

    /// The values for a column: strange ones in the first rows, in the last two NULL and the
    /// default, by turns from column to column.
    fn column_choices(
        &self,
        table_spec: &TableSpec,
        (column_index, row): (usize, usize),
    ) -> Vec<Vec<Choice>> {
        let column = &table_spec.table.columns[column_index];
        let mut values =
            values::candidate_values(column, &table_spec.checks, (column_index, row), self.manner);
        if self.manner == DataProfile::Typical {
            // SQLite knows nothing of the checks that a later version has.
            let permitted: Vec<Value> = values
                .iter()
                .filter(|value| self.satisfies_checks(table_spec, column, value))
                .cloned()
                .collect();
            if !permitted.is_empty() {
                values = permitted;
            }
        }
        let mut choices: Vec<Choice> = values.into_iter().map(Choice::Value).collect();
        let has_edge_cases = self.manner == DataProfile::EdgeCases;
        if !column.not_null && !is_primary_key(table_spec, column_index) {
            let comes_first = has_edge_cases && row == ROWS_PER_TABLE - 2 + column_index % 2;
            let null = Choice::Value(Value::Null);
            choices.insert(if comes_first { 0 } else { choices.len() }, null);
        }
        if column.default.is_some() {
            let comes_first = has_edge_cases && row == ROWS_PER_TABLE - 1 - column_index % 2;
            choices.insert(if comes_first { 0 } else { choices.len() }, Choice::Default);
        }
        choices.into_iter().map(|choice| vec![choice]).collect()
    }

    /// Whether no check refuses a value of a column, as far as that column alone decides it.
    fn satisfies_checks(&self, table_spec: &TableSpec, column: &Column, value: &Value) -> bool {
        table_spec.checks.iter().filter(|check| check.mentions(&column.name)).all(|check| {
            let select = format!(
                "SELECT {} FROM (SELECT ?1 AS {})",
                check.expression,
                quote_identifier(&column.name)
            );
            let result = self.connection.prepare_cached(&select).and_then(|mut statement| {
                statement.query_row([value], |row| row.get::<_, Option<f64>>(0))
            });
            !matches!(result, Ok(Some(0.0)))
        })
    }

    /// The rows of its parent that a row may refer to.
    fn parent_choices(
        &self,
        table_spec: &TableSpec,
        key: &ForeignKey,
        row: usize,
    ) -> rusqlite::Result<Vec<Vec<Choice>>> {
        let Some(parent) = self
            .table_specs
            .iter()
            .find(|candidate| candidate.name.eq_ignore_ascii_case(&key.parent))
        else {
            return Ok(vec![]);
        };
        let column_names = parent_columns(key, &parent.table);
        let column_indexes: Option<Vec<usize>> =
            column_names.iter().map(|name| column_position(&parent.table, name)).collect();
        let Some(at) =
            column_indexes.filter(|column_indexes| column_indexes.len() == key.columns.len())
        else {
            return Ok(vec![]);
        };
        let is_self_reference = parent.name == table_spec.name;
        let mut choices = existing_keys(self.connection, parent, &column_names)?;
        if !choices.is_empty() {
            let offset = row.saturating_sub(usize::from(is_self_reference)) % choices.len();
            choices.rotate_left(offset);
        }
        if is_self_reference {
            let same_row: Vec<Choice> =
                at.iter().map(|column_indexes| Choice::SameAsColumn(*column_indexes)).collect();
            // The first row can refer to nothing but itself.
            choices.insert(if row == 0 { 0 } else { choices.len() }, same_row);
        } else if choices.is_empty()
            && !self.filled_tables.contains(&parent.name.to_ascii_lowercase())
        {
            // Parent and child refer to each other: the values that the parent will have.
            let first_choices = |row: usize| {
                let value = |at: &usize| self.column_choices(parent, (*at, row))[0].clone();
                at.iter().flat_map(value).collect::<Vec<_>>()
            };
            let predicted = (row..ROWS_PER_TABLE).chain(0..row).map(first_choices);
            choices = predicted.filter(|tuple| !tuple.contains(&Choice::Default)).collect();
        }
        Ok(choices)
    }
}

fn column_position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

fn is_primary_key(table_spec: &TableSpec, column_index: usize) -> bool {
    table_spec.table.columns[column_index].primary_key_position > 0
}

fn parent_columns(key: &ForeignKey, parent: &Table) -> Vec<String> {
    if key.parent_columns.is_empty() { parent.primary_key() } else { key.parent_columns.clone() }
}

/// The keys that rows of a table have.
fn existing_keys(
    connection: &Connection,
    parent: &TableSpec,
    column_names: &[String],
) -> rusqlite::Result<Vec<Vec<Choice>>> {
    let quoted: Vec<String> = column_names.iter().map(|name| quote_identifier(name)).collect();
    let not_null_conditions: Vec<String> =
        quoted.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT DISTINCT {} FROM {} WHERE {} LIMIT {MAX_PARENT_ROWS}",
        quoted.join(", "),
        quote_identifier(&parent.name),
        not_null_conditions.join(" AND "),
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        (0..column_names.len()).map(|index| row.get(index).map(Choice::Value)).collect()
    })?;
    rows.collect()
}

fn insert(connection: &Connection, table_spec: &TableSpec, slots: &[Slot]) -> rusqlite::Result<()> {
    let mut row: BTreeMap<usize, &Choice> = BTreeMap::new();
    for slot in slots {
        row.extend(slot.columns.iter().copied().zip(slot.current()));
    }
    let mut column_names = Vec::new();
    let mut values: Vec<&Value> = Vec::new();
    for (index, choice) in &row {
        let value = match choice {
            Choice::SameAsColumn(same_column) => {
                row.get(same_column).copied().unwrap_or(&Choice::Default)
            }
            choice => choice,
        };
        if let Choice::Value(value) = value {
            column_names.push(quote_identifier(&table_spec.table.columns[*index].name));
            values.push(value);
        }
    }
    let table = quote_identifier(&table_spec.name);
    let sql = if column_names.is_empty() {
        format!("INSERT INTO {table} DEFAULT VALUES")
    } else {
        let placeholders = vec!["?"; column_names.len()].join(", ");
        format!("INSERT INTO {table} ({}) VALUES ({placeholders})", column_names.join(", "))
    };
    connection.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}

/// The slots that may be to blame for a constraint that SQLite named.
fn suspect_slots(table_spec: &TableSpec, slots: &[Slot], message: &str) -> Vec<usize> {
    let columns = &table_spec.table.columns;
    let is_blamed: Box<dyn Fn(usize) -> bool + '_> =
        if let Some(name) = message.strip_prefix("CHECK constraint failed: ") {
            let named_checks: Vec<&CheckConstraint> =
                table_spec.checks.iter().filter(|check| check.name == unquote(name)).collect();
            Box::new(move |index| {
                let mentions = |check: &CheckConstraint| check.mentions(&columns[index].name);
                if named_checks.is_empty() {
                    table_spec.checks.iter().any(mentions)
                } else {
                    named_checks.iter().any(|check| mentions(check))
                }
            })
        } else {
            // `UNIQUE constraint failed: t.a, t.b`, `cannot store TEXT value in INTEGER column t.a`
            let names: BTreeSet<String> =
                message.split(['.', ',', ' ']).map(|word| word.trim().to_lowercase()).collect();
            Box::new(move |index| names.contains(&columns[index].name.to_lowercase()))
        };
    let suspects: Vec<usize> = (0..slots.len())
        .filter(|slot| slots[*slot].columns.iter().any(|index| is_blamed(*index)))
        .collect();
    if suspects.is_empty() { (0..slots.len()).collect() } else { suspects }
}

/// Takes the next combination of values for some slots; false after the last.
fn advance_choices(slots: &mut [Slot], slot_indexes: &[usize]) -> bool {
    for index in slot_indexes {
        let slot = &mut slots[*index];
        slot.index += 1;
        if !slot.index.is_multiple_of(slot.choices.len()) {
            return true;
        }
    }
    false
}

/// Removes rows of some tables that refer to parents that are not there, and then those that
/// referred to them; tells whether there were any. Keys that SQLite cannot use bind nobody.
fn remove_orphans(
    connection: &Connection,
    table_specs: &[TableSpec],
    children: &[&TableSpec],
) -> rusqlite::Result<bool> {
    let statements: Vec<String> =
        children.iter().flat_map(|table_spec| orphan_deletions(table_specs, table_spec)).collect();
    let mut has_removed = false;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    // Each round but the last removes a row at least.
    let result = loop {
        let removed_rows = statements.iter().try_fold(0, |removed, sql| {
            Ok::<_, rusqlite::Error>(removed + connection.execute(sql, [])?)
        });
        match removed_rows {
            Ok(0) => break Ok(has_removed),
            Ok(_) => has_removed = true,
            Err(error) => break Err(error),
        }
    };
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    result
}

/// For each key of a table the statement that removes the rows without a parent.
fn orphan_deletions<'p>(
    table_specs: &'p [TableSpec],
    table_spec: &'p TableSpec,
) -> impl Iterator<Item = String> + 'p {
    table_spec.foreign_keys.iter().filter_map(|key| {
        let parent = table_specs
            .iter()
            .find(|candidate| candidate.name.eq_ignore_ascii_case(&key.parent))?;
        let names = parent_columns(key, &parent.table);
        let columns_exist = names.iter().all(|name| parent.table.column(name).is_some());
        if names.len() != key.columns.len() || !columns_exist {
            return None;
        }
        let child_column = |name: &String| {
            format!("{}.{}", quote_identifier(&table_spec.name), quote_identifier(name))
        };
        let not_null_conditions =
            key.columns.iter().map(|name| format!("{} IS NOT NULL", child_column(name)));
        let pairs = names.iter().zip(&key.columns);
        let key_conditions = pairs.map(|(parent, child_name)| {
            format!("p.{} = {}", quote_identifier(parent), child_column(child_name))
        });
        Some(format!(
            "DELETE FROM {} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            quote_identifier(&table_spec.name),
            not_null_conditions.collect::<Vec<_>>().join(" AND "),
            quote_identifier(&parent.name),
            key_conditions.collect::<Vec<_>>().join(" AND "),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_new_database(sql: &str, profile: DataProfile) -> (Connection, FillReport) {
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::apply_security_settings(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_tables(&connection, profile, &Schema::new()).unwrap();
        let broken: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0, "{sql}");
        (connection, report)
    }

    #[track_caller]
    fn assert_filled(sql: &str, rows: usize) {
        for profile in [DataProfile::EdgeCases, DataProfile::Typical] {
            let (_, report) = fill_new_database(sql, profile);
            assert_eq!((report.row_count, report.coverage_gaps), (rows, vec![]), "{profile:?}");
        }
    }

    #[track_caller]
    fn count_rows(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_table_gets_its_rows() {
        assert_filled("CREATE TABLE t (a)", 6);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY)", 6);
        assert_filled("CREATE TABLE t (a BOOLEAN NOT NULL, b DATE NOT NULL, UNIQUE (a, b))", 6);
        assert_filled("CREATE TABLE t (a TEXT UNIQUE CHECK (a IN ('x', 'y', 'z')) NOT NULL)", 3);
        assert_filled("CREATE TABLE t (a TEXT NOT NULL CHECK (length(a) = 36) UNIQUE)", 6);
        assert_filled("CREATE TABLE t (a TEXT CHECK (a GLOB '[0-9][0-9]') NOT NULL)", 6);
        assert_filled("CREATE TABLE t (a INT CHECK (typeof(a) = 'integer') NOT NULL)", 6);
        assert_filled("CREATE TABLE t (a, b AS (a + 1) STORED, c DEFAULT (1))", 6);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL) STRICT", 6);
    }

    #[test]
    fn children_have_parents() {
        assert_filled(
            "CREATE TABLE c (p REFERENCES p NOT NULL); CREATE TABLE p (a TEXT PRIMARY KEY)",
            12,
        );
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT NOT NULL REFERENCES t)", 6);
        assert_filled(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b); \
             CREATE TABLE b (id INTEGER PRIMARY KEY, a INT NOT NULL REFERENCES a)",
            12,
        );
        assert_filled(
            "CREATE TABLE a (x INT, y TEXT, PRIMARY KEY (x, y)) WITHOUT ROWID; \
             CREATE TABLE b (x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES a, PRIMARY KEY (x, y))",
            12,
        );
    }

    #[test]
    fn unusable_foreign_key_does_not_prevent_rows() {
        let sql =
            "CREATE TABLE p (a TEXT, b TEXT); CREATE TABLE c (a TEXT NOT NULL REFERENCES p (a));
                   CREATE TABLE d (a TEXT REFERENCES nowhere)";
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::apply_security_settings(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_tables(&connection, DataProfile::EdgeCases, &Schema::new()).unwrap();
        assert_eq!((report.table_count, report.row_count), (3, 18), "{:?}", report.coverage_gaps);
        assert_eq!(count_rows(&connection, "c JOIN p USING (a)"), 6);
    }

    #[test]
    fn only_edge_case_rows_are_unusual() {
        let sql = "CREATE TABLE t (a TEXT, b INTEGER DEFAULT 77)";
        let (edge_cases, _) = fill_new_database(sql, DataProfile::EdgeCases);
        let (typical, _) = fill_new_database(sql, DataProfile::Typical);
        for condition in ["a IS NULL", "a = ''", "a LIKE '%\"%'", "b < 0", "b = 77", "b > 1 << 52"]
        {
            assert!(count_rows(&edge_cases, &format!("t WHERE {condition}")) > 0, "{condition}");
        }
        assert_eq!(count_rows(&typical, "t WHERE a > '' AND b > 0"), 6);
    }

    #[test]
    fn typical_rows_satisfy_later_constraints() {
        let later_schema = Connection::open_in_memory().unwrap();
        later_schema.execute_batch("CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')))").unwrap();
        let later_schema = crate::schema::read(&later_schema).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT)").unwrap();
        fill_tables(&connection, DataProfile::Typical, &later_schema).unwrap();
        assert_eq!(count_rows(&connection, "t WHERE a IN ('x', 'y')"), 6);
    }

    #[test]
    fn tables_that_cannot_be_filled_are_reported() {
        let sql = "CREATE TABLE t (a INT PRIMARY KEY CHECK (a <> a)); CREATE TABLE c (a INT NOT NULL REFERENCES t)";
        let (_, report) = fill_new_database(sql, DataProfile::EdgeCases);
        let gaps: Vec<_> =
            report.coverage_gaps.iter().map(|(table, kind, _)| (&**table, *kind)).collect();
        assert_eq!(gaps, [("t", GapKind::NoRows), ("c", GapKind::NoRows)]);
    }

    #[test]
    fn filling_is_deterministic() {
        let sql = "CREATE TABLE t (a, b TEXT, c REAL, d BLOB, e DATE, UNIQUE (b, c))";
        let rows = |profile| {
            let (connection, _) = fill_new_database(sql, profile);
            let all = "SELECT group_concat(quote(a) || quote(b) || quote(c) || quote(d) || quote(e)) FROM t";
            connection.query_row(all, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(rows(DataProfile::EdgeCases), rows(DataProfile::EdgeCases));
        assert_ne!(rows(DataProfile::EdgeCases), rows(DataProfile::Typical));
    }
}
