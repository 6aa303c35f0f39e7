//! Lists the values that may be tried for each column of a generated row.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::schema::{Column, ForeignKey};
use crate::selftest::table_spec::{TableSpec, find_parent, parent_columns};
use crate::selftest::values;
use crate::selftest::values::{Choice, DataProfile, ROWS_PER_TABLE, RowKind, RowPlan};
use crate::sql::lexer::quote_identifier;

/// How many rows of a parent are referred to.
const MAX_PARENT_ROWS: usize = 2 * ROWS_PER_TABLE;

/// Columns that get their values together: a single column, or the columns of a foreign key.
pub(crate) struct Slot {
    /// Indexes of the columns.
    pub(crate) columns: Vec<usize>,
    /// One value per column in each choice; the choice to be tried first comes first.
    pub(crate) choices: Vec<Vec<Choice>>,
    /// How often the slot advanced; the current choice is this number modulo their count.
    pub(crate) index: usize,
}

impl Slot {
    pub(crate) fn current(&self) -> &[Choice] {
        &self.choices[self.index % self.choices.len()]
    }
}

/// What the choices for a row depend on.
pub(crate) struct RowSource<'f> {
    pub(crate) connection: &'f Connection,
    pub(crate) table_specs: &'f [TableSpec],
    /// The names of the tables that already have their rows, in lower case.
    pub(crate) filled_tables: &'f BTreeSet<String>,
    pub(crate) profile: DataProfile,
}

impl RowSource<'_> {
    /// The choices for the columns of a row for which `is_wanted` holds, or the reason why the row
    /// cannot exist.
    pub(crate) fn build_slots(
        &self,
        table_spec: &TableSpec,
        plan: RowPlan,
        is_wanted: &dyn Fn(usize) -> bool,
    ) -> rusqlite::Result<Result<Vec<Slot>, String>> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut assigned_columns = BTreeSet::new();
        for key in &table_spec.foreign_keys {
            let is_wanted_key = key
                .columns
                .iter()
                .all(|name| table_spec.column_position(name).is_some_and(is_wanted));
            if !is_wanted_key {
                continue;
            }
            let Some(slot) = self.foreign_key_slot(table_spec, key, plan, &assigned_columns)?
            else {
                continue;
            };
            if slot.choices.is_empty() {
                return Ok(Err(format!("its parent `{}` has no rows", key.parent)));
            }
            assigned_columns.extend(slot.columns.iter().copied());
            slots.push(slot);
        }
        for (column_index, column) in table_spec.table.columns.iter().enumerate() {
            let is_assigned = assigned_columns.contains(&column_index);
            if column.hidden == 0 && !is_assigned && is_wanted(column_index) {
                let choices = self.column_choices(table_spec, column_index, plan);
                slots.push(Slot { columns: vec![column_index], choices, index: 0 });
            }
        }
        Ok(Ok(slots))
    }

    /// The choices for the columns of a foreign key that no other key has assigned yet. `None` if
    /// all are assigned, or if the table lacks a column of the key.
    fn foreign_key_slot(
        &self,
        table_spec: &TableSpec,
        key: &ForeignKey,
        plan: RowPlan,
        assigned_columns: &BTreeSet<usize>,
    ) -> rusqlite::Result<Option<Slot>> {
        let key_columns: Vec<usize> =
            key.columns.iter().filter_map(|name| table_spec.column_position(name)).collect();
        // Positions in the key. Where another key has assigned some of the columns, the choices
        // for the rest are tried until the whole key fits.
        let unassigned: Vec<usize> = (0..key_columns.len())
            .filter(|key_position| !assigned_columns.contains(&key_columns[*key_position]))
            .collect();
        if key_columns.len() != key.columns.len() || unassigned.is_empty() {
            return Ok(None);
        }
        let columns: Vec<usize> =
            unassigned.iter().map(|key_position| key_columns[*key_position]).collect();
        let mut choices = self.parent_choices(table_spec, key, plan.number)?;
        for choice in &mut choices {
            *choice = unassigned.iter().map(|key_position| choice[*key_position].clone()).collect();
        }
        let is_nullable = columns.iter().all(|column_index| {
            !table_spec.table.columns[*column_index].not_null
                && !table_spec.is_primary_key(*column_index)
        });
        if is_nullable {
            let null = vec![Choice::Value(Value::Null); columns.len()];
            let is_first_self_reference =
                plan.number == 0 && key.parent.eq_ignore_ascii_case(&table_spec.name);
            let is_null_edge_case = matches!(plan.kind, RowKind::EdgeCase(0));
            let null_comes_first =
                choices.is_empty() || is_first_self_reference || is_null_edge_case;
            choices.insert(if null_comes_first { 0 } else { choices.len() }, null);
        }
        choices.dedup();
        Ok(Some(Slot { columns, choices, index: 0 }))
    }

    /// The choices for one column.
    fn column_choices(
        &self,
        table_spec: &TableSpec,
        column_index: usize,
        plan: RowPlan,
    ) -> Vec<Vec<Choice>> {
        let column = &table_spec.table.columns[column_index];
        let mut choices = values::column_choices(column, &table_spec.checks, column_index, plan);
        if self.profile == DataProfile::Typical {
            // SQLite does not enforce the CHECK constraints of a later version, so they are
            // evaluated here.
            let is_permitted = |choice: &Choice| match choice {
                Choice::Value(value) => self.satisfies_checks(table_spec, column, value),
                Choice::Default | Choice::SameAsColumn(_) => true,
            };
            choices.sort_by_key(|choice| !is_permitted(choice));
        }
        choices.into_iter().map(|choice| vec![choice]).collect()
    }

    /// Whether no CHECK constraint rejects a value of a column. A constraint that needs other
    /// columns too cannot be evaluated here and counts as satisfied.
    fn satisfies_checks(&self, table_spec: &TableSpec, column: &Column, value: &Value) -> bool {
        table_spec.checks.iter().filter(|check| check.mentions(&column.name)).all(|check| {
            let select = format!(
                "SELECT {} FROM (SELECT ?1 AS {})",
                check.expression,
                quote_identifier(&column.name)
            );
            let Ok(mut statement) = self.connection.prepare_cached(&select) else { return true };
            let result = statement.query_row([value], |row| row.get::<_, Option<f64>>(0));
            // A function that fails rejects the value.
            !matches!(result, Ok(Some(0.0)) | Err(rusqlite::Error::SqliteFailure(..)))
        })
    }

    /// The keys of the parent rows that a row may refer to, in the order of the key's columns.
    fn parent_choices(
        &self,
        table_spec: &TableSpec,
        key: &ForeignKey,
        row: usize,
    ) -> rusqlite::Result<Vec<Vec<Choice>>> {
        let Some(parent) = find_parent(self.table_specs, key) else { return Ok(vec![]) };
        let column_names = parent_columns(key, &parent.table);
        let column_indexes: Option<Vec<usize>> =
            column_names.iter().map(|name| parent.column_position(name)).collect();
        let Some(column_indexes) =
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
            let same_row = column_indexes.into_iter().map(Choice::SameAsColumn).collect();
            // The first row can refer only to itself.
            choices.insert(if row == 0 { 0 } else { choices.len() }, same_row);
        } else if choices.is_empty()
            && !self.filled_tables.contains(&parent.name.to_ascii_lowercase())
        {
            choices = self.predicted_keys(parent, &column_indexes, row);
        }
        Ok(choices)
    }

    /// The keys that a parent will have once it is filled, for a parent and a child that refer to
    /// each other.
    fn predicted_keys(
        &self,
        parent: &TableSpec,
        column_indexes: &[usize],
        row: usize,
    ) -> Vec<Vec<Choice>> {
        let first_choices = |plan: RowPlan| {
            let value =
                |column_index: &usize| self.column_choices(parent, *column_index, plan)[0].clone();
            column_indexes.iter().flat_map(value).collect::<Vec<_>>()
        };
        let row = row % ROWS_PER_TABLE;
        // The unusual values of a key may be rejected, so that the parent gets others.
        let plans = (row..ROWS_PER_TABLE)
            .chain(0..row)
            .map(|row| RowPlan::new(0, row, self.profile))
            .filter(|plan| plan.kind == RowKind::Plain);
        let predicted = plans.map(first_choices);
        let unusable = [Choice::Default, Choice::Value(Value::Null)];
        predicted
            .filter(|choices| !choices.iter().any(|choice| unusable.contains(choice)))
            .collect()
    }
}

/// The keys of the rows that a table has.
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
