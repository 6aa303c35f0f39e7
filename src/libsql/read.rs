//! What a namespace says of itself: questions, and their answers as values.

use crate::database::error::DatabaseError;
use crate::database::foreign_keys::{ForeignKeyViolations, describe};
use crate::database::history_entry::{HistoryEntry, HistoryEvent, HistoryState};
use crate::database::stats::Stats;
use crate::database::{ReadDatabase, history, stats};
use crate::libsql::foreign_key_check::format_server_value;
use crate::libsql::foreign_keys::ForeignKeySet;
use crate::libsql::namespace::{
    DATABASE_FILE_QUERY, Namespace, SCHEMA_FINGERPRINT_QUERY, StateSnapshot,
};
use crate::schema::Schema;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{BatchStep, Value};

const NEWEST_ROW: &str = "ORDER BY rowid DESC LIMIT 1";

impl ReadDatabase for Namespace {
    fn history_state(&self) -> Result<HistoryState, DatabaseError> {
        let queries = vec![
            BatchStep::query(
                format!(
                    "SELECT {} FROM {} {NEWEST_ROW}",
                    history::ENTRY_COLUMNS,
                    history::TABLE_NAME
                ),
                Vec::new(),
            ),
            BatchStep::query(
                "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema \
                 WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'), \
                 (SELECT type FROM sqlite_schema WHERE name = '_tatmig_migrations' COLLATE NOCASE)",
                Vec::new(),
            ),
            BatchStep::query("SELECT schema_version FROM pragma_schema_version", Vec::new()),
            BatchStep::query(SCHEMA_FINGERPRINT_QUERY, Vec::new()),
            BatchStep::query(DATABASE_FILE_QUERY, Vec::new()),
        ];
        let results = self.run_read_batch(queries)?;
        let value_at = |step: usize, column: usize| -> Result<Value, ServerError> {
            let row = results.required_rows(step)?.first();
            Ok(row.and_then(|row| row.get(column)).cloned().unwrap_or(Value::Null))
        };
        let object_type = value_at(2, 1)?.to_text();
        let file = value_at(5, 0)?.to_text().unwrap_or_default();
        self.check_opened_namespace(&file)?;
        *self.snapshot.borrow_mut() = Some(StateSnapshot {
            schema_version: value_at(3, 0)?.as_integer().unwrap_or_default(),
            fingerprint: value_at(4, 0)?.to_text().unwrap_or_default(),
            has_history_table: object_type.is_some(),
            server_file: file,
        });
        let state_without_entries = if value_at(2, 0)?.as_integer() == Some(1) {
            HistoryState::Empty
        } else {
            HistoryState::Unversioned
        };
        match object_type.as_deref() {
            None => return Ok(state_without_entries),
            Some("table") => {}
            Some(kind) => {
                return Err(DatabaseError::InvalidHistoryTable { reason: format!("is a {kind}") });
            }
        }
        match &results.steps[1] {
            Ok(Some(rows)) => rows.first().map_or(Ok(state_without_entries), |row| {
                Ok(HistoryState::Versioned(entry_from_row(row)?))
            }),
            Ok(None) => {
                Err(ServerError::ResponseLost { reason: "a step did not run".to_owned() }.into())
            }
            Err(error) => {
                let reason = format!("is another table: {}", error.message_and_offset().0);
                Err(DatabaseError::InvalidHistoryTable { reason })
            }
        }
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, DatabaseError> {
        if !matches!(self.history_state()?, HistoryState::Versioned(_)) {
            return Ok(Vec::new());
        }
        let sql =
            format!("SELECT {} FROM {} ORDER BY id", history::ENTRY_COLUMNS, history::TABLE_NAME);
        self.query(sql, Vec::new())?.iter().map(|row| entry_from_row(row)).collect()
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        Ok(self.introspect()?.schema)
    }

    fn accepted_drift(&self) -> Result<Vec<String>, DatabaseError> {
        let sql = format!(
            "SELECT note FROM {} WHERE event = 'adopt' AND note IS NOT NULL",
            history::TABLE_NAME
        );
        let notes = self.query(sql, Vec::new())?;
        let notes = notes.iter().filter_map(|row| row.first()?.to_text());
        Ok(notes.flat_map(|note| note.lines().map(str::to_owned).collect::<Vec<_>>()).collect())
    }

    fn stored_source(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        let results = self.run_read_batch(vec![
            BatchStep::query(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_tatmig_sources' AND type = 'table')",
                Vec::new(),
            ),
            BatchStep::query(
                "SELECT sql FROM _tatmig_sources WHERE checksum = ?1",
                vec![Value::from_text(checksum)],
            ),
        ])?;
        if results.required_rows(1)?.first().and_then(|row| row.first()?.as_integer()) != Some(1) {
            return Ok(None);
        }
        Ok(results.required_rows(2)?.first().and_then(|row| row.first()?.to_text()))
    }

    fn check_integrity(&self) -> Result<Vec<String>, DatabaseError> {
        let lines = self.query("PRAGMA integrity_check(20)", Vec::new())?;
        let lines = lines.iter().filter_map(|row| row.first()?.to_text());
        Ok(lines.filter(|line| line != "ok").collect())
    }

    fn check_foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        let key_set = ForeignKeySet::from_schema(&self.introspect()?, None);
        let unusable = key_set.unusable_keys.iter().cloned().collect();
        if key_set.orphan_queries.is_empty() {
            return Ok((Vec::new(), unusable));
        }
        let mut queries = Vec::new();
        for orphan_query in &key_set.orphan_queries {
            let columns = orphan_query.key_columns.join(", ");
            let group_count = format!(
                "SELECT {columns}, count(*) {} GROUP BY {columns}",
                orphan_query.from_clause
            );
            queries.push(BatchStep::query(
                format!(
                    "SELECT count(*), (SELECT count(*) {}) FROM ({group_count})",
                    orphan_query.from_clause
                ),
                Vec::new(),
            ));
            queries.push(BatchStep::query(
                format!(
                    "{group_count} ORDER BY {columns} LIMIT {}",
                    ForeignKeyViolations::MAX_LISTED
                ),
                Vec::new(),
            ));
        }
        let results = self.run_read_batch(queries)?;
        let (mut descriptions, mut group_count, mut row_count) = (Vec::new(), 0, 0);
        for (index, orphan_query) in key_set.orphan_queries.iter().enumerate() {
            let count_from = |value: Option<&Value>| {
                usize::try_from(value.and_then(Value::as_integer).unwrap_or(0)).unwrap_or(0)
            };
            let counts = results.required_rows(2 * index + 1)?.first();
            group_count += count_from(counts.and_then(|row| row.first()));
            row_count += count_from(counts.and_then(|row| row.get(1)));
            for row in results.required_rows(2 * index + 2)? {
                if descriptions.len() < ForeignKeyViolations::MAX_LISTED {
                    let key_values: Vec<String> = row[..orphan_query.key_columns.len()]
                        .iter()
                        .map(format_server_value)
                        .collect();
                    descriptions.push(describe(
                        (&orphan_query.child, &orphan_query.parent),
                        &key_values,
                        count_from(row.last()),
                    ));
                }
            }
        }
        if group_count > descriptions.len() {
            let more = group_count - descriptions.len();
            descriptions.push(format!(
                "and {more} more rows refer to what is not there, {row_count} in all"
            ));
        }
        Ok((descriptions, unusable))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        let names = self.query_texts(stats::TABLE_NAMES_QUERY)?;
        let pragma =
            |name: &str| BatchStep::query(format!("SELECT * FROM pragma_{name}"), Vec::new());
        let mut queries: Vec<BatchStep> =
            stats::SIZE_PRAGMAS.iter().map(|name| pragma(name)).collect();
        queries.extend(
            names.iter().map(|name| BatchStep::query(stats::row_count_query(name), Vec::new())),
        );
        let results = self.run_read_batch(queries)?;
        let count_at = |index: usize| -> Option<u64> {
            results.rows(index)?.first()?.first()?.as_integer().map(i64::unsigned_abs)
        };
        let first_table_step = 1 + stats::SIZE_PRAGMAS.len();
        let tables =
            names.into_iter().zip(first_table_step..).map(|(name, index)| (name, count_at(index)));
        let mut pragmas = [0; stats::SIZE_PRAGMAS.len()];
        for (index, value) in pragmas.iter_mut().enumerate() {
            results.required_rows(1 + index)?;
            *value = count_at(1 + index).unwrap_or(0);
        }
        Ok(stats::build(tables.collect(), pragmas))
    }
}

fn entry_from_row(row: &[Value]) -> Result<HistoryEntry, DatabaseError> {
    let text_at = |column: usize| row.get(column).and_then(Value::to_text);
    let required_text = |at: usize| {
        text_at(at).ok_or_else(|| {
            let reason = format!("holds a row that tatmig did not write: column {at} is no text");
            DatabaseError::InvalidHistoryTable { reason }
        })
    };
    let event = required_text(1)?;
    let event = HistoryEvent::parse(&event).ok_or_else(|| DatabaseError::InvalidHistoryTable {
        reason: format!("holds a row that tatmig did not write: unknown event `{event}`"),
    })?;
    Ok(HistoryEntry {
        id: row.first().and_then(Value::as_integer).unwrap_or_default(),
        event,
        from: required_text(2)?,
        to: required_text(3)?,
        checksum: text_at(4),
        chain: text_at(5),
        applied_at: required_text(6)?,
        duration_ms: row.get(7).and_then(Value::as_integer).unwrap_or_default(),
        tool_version: required_text(8)?,
        note: text_at(9),
    })
}
