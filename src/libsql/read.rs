//! What a namespace says of itself: questions, and their answers as values.

use crate::database::error::DatabaseError;
use crate::database::foreign_keys::{Census, broken};
use crate::database::history_entry::{Event, Record, State};
use crate::database::stats::Stats;
use crate::database::{Look, history, stats};
use crate::libsql::foreign_key_check::value_in_words;
use crate::libsql::foreign_keys::Keys;
use crate::libsql::namespace::{FILE, FINGERPRINT, Namespace, Seen};
use crate::schema::Schema;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{Step, Value};

const LAST: &str = "ORDER BY rowid DESC LIMIT 1";

impl Look for Namespace {
    fn state(&self) -> Result<State, DatabaseError> {
        let questions = vec![
            Step::asks(
                format!("SELECT {} FROM {} {LAST}", history::COLUMNS, history::TABLE),
                Vec::new(),
            ),
            Step::asks(
                "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema \
                 WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'), \
                 (SELECT type FROM sqlite_schema WHERE name = '_tatmig_migrations' COLLATE NOCASE)",
                Vec::new(),
            ),
            Step::asks("SELECT schema_version FROM pragma_schema_version", Vec::new()),
            Step::asks(FINGERPRINT, Vec::new()),
            Step::asks(FILE, Vec::new()),
        ];
        let results = self.ask(questions)?;
        let cell = |at: usize, column: usize| -> Result<Value, ServerError> {
            let row = results.need(at)?.first();
            Ok(row.and_then(|row| row.get(column)).cloned().unwrap_or(Value::Null))
        };
        let kind = cell(2, 1)?.shown();
        let file = cell(5, 0)?.shown().unwrap_or_default();
        self.check_file(&file)?;
        *self.seen.borrow_mut() = Some(Seen {
            schema_version: cell(3, 0)?.integer().unwrap_or_default(),
            fingerprint: cell(4, 0)?.shown().unwrap_or_default(),
            has_record: kind.is_some(),
            file,
        });
        let empty = if cell(2, 0)?.integer() == Some(1) { State::New } else { State::Unversioned };
        match kind.as_deref() {
            None => return Ok(empty),
            Some("table") => {}
            Some(kind) => {
                return Err(DatabaseError::ForeignHistory { reason: format!("is a {kind}") });
            }
        }
        match &results.steps[1] {
            Ok(Some(rows)) => {
                rows.first().map_or(Ok(empty), |row| Ok(State::Recorded(record(row)?)))
            }
            Ok(None) => Err(ServerError::Lost { reason: "a step did not run".to_owned() }.into()),
            Err(error) => {
                let reason = format!("is another table: {}", error.words().0);
                Err(DatabaseError::ForeignHistory { reason })
            }
        }
    }

    fn records(&self) -> Result<Vec<Record>, DatabaseError> {
        if !matches!(self.state()?, State::Recorded(_)) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT {} FROM {} ORDER BY id", history::COLUMNS, history::TABLE);
        self.rows(sql, Vec::new())?.iter().map(|row| record(row)).collect()
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        Ok(self.told()?.schema)
    }

    fn accepted(&self) -> Result<Vec<String>, DatabaseError> {
        let sql = format!(
            "SELECT note FROM {} WHERE event = 'adopt' AND note IS NOT NULL",
            history::TABLE
        );
        let notes = self.rows(sql, Vec::new())?;
        let notes = notes.iter().filter_map(|row| row.first()?.shown());
        Ok(notes.flat_map(|note| note.lines().map(str::to_owned).collect::<Vec<_>>()).collect())
    }

    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        let results = self.ask(vec![
            Step::asks(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_tatmig_sources' AND type = 'table')",
                Vec::new(),
            ),
            Step::asks(
                "SELECT sql FROM _tatmig_sources WHERE checksum = ?1",
                vec![Value::text(checksum)],
            ),
        ])?;
        if results.need(1)?.first().and_then(|row| row.first()?.integer()) != Some(1) {
            return Ok(None);
        }
        Ok(results.need(2)?.first().and_then(|row| row.first()?.shown()))
    }

    fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        let lines = self.rows("PRAGMA integrity_check(20)", Vec::new())?;
        let lines = lines.iter().filter_map(|row| row.first()?.shown());
        Ok(lines.filter(|line| line != "ok").collect())
    }

    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        let keys = Keys::of(&self.told()?, None);
        let unusable = keys.unusable.iter().cloned().collect();
        if keys.orphans.is_empty() {
            return Ok((Vec::new(), unusable));
        }
        let mut questions = Vec::new();
        for orphans in &keys.orphans {
            let columns = orphans.columns.join(", ");
            let groups = format!("SELECT {columns}, count(*) {} GROUP BY {columns}", orphans.query);
            questions.push(Step::asks(
                format!("SELECT count(*), (SELECT count(*) {}) FROM ({groups})", orphans.query),
                Vec::new(),
            ));
            questions.push(Step::asks(
                format!("{groups} ORDER BY {columns} LIMIT {}", Census::SHOWN),
                Vec::new(),
            ));
        }
        let results = self.ask(questions)?;
        let (mut words, mut groups, mut rows) = (Vec::new(), 0, 0);
        for (at, orphans) in keys.orphans.iter().enumerate() {
            let number = |value: Option<&Value>| {
                usize::try_from(value.and_then(Value::integer).unwrap_or(0)).unwrap_or(0)
            };
            let counts = results.need(2 * at + 1)?.first();
            groups += number(counts.and_then(|row| row.first()));
            rows += number(counts.and_then(|row| row.get(1)));
            for row in results.need(2 * at + 2)? {
                if words.len() < Census::SHOWN {
                    let key: Vec<String> =
                        row[..orphans.columns.len()].iter().map(value_in_words).collect();
                    words.push(broken((&orphans.child, &orphans.parent), &key, number(row.last())));
                }
            }
        }
        if groups > words.len() {
            let more = groups - words.len();
            words.push(format!("and {more} more rows refer to what is not there, {rows} in all"));
        }
        Ok((words, unusable))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        let names = self.texts(stats::TABLES)?;
        let pragma = |name: &str| Step::asks(format!("SELECT * FROM pragma_{name}"), Vec::new());
        let mut questions: Vec<Step> = stats::PRAGMAS.iter().map(|name| pragma(name)).collect();
        questions.extend(names.iter().map(|name| Step::asks(stats::rows_of(name), Vec::new())));
        let results = self.ask(questions)?;
        let number = |at: usize| -> Option<u64> {
            results.rows(at)?.first()?.first()?.integer().map(i64::unsigned_abs)
        };
        let first_table = 1 + stats::PRAGMAS.len();
        let tables = names.into_iter().zip(first_table..).map(|(name, at)| (name, number(at)));
        let mut pragmas = [0; stats::PRAGMAS.len()];
        for (at, value) in pragmas.iter_mut().enumerate() {
            results.need(1 + at)?;
            *value = number(1 + at).unwrap_or(0);
        }
        Ok(stats::told(tables.collect(), pragmas))
    }
}

fn record(row: &[Value]) -> Result<Record, DatabaseError> {
    let text = |at: usize| row.get(at).and_then(Value::shown);
    let need = |at: usize| {
        text(at).ok_or_else(|| {
            let reason = format!("holds a row that tatmig did not write: column {at} is no text");
            DatabaseError::ForeignHistory { reason }
        })
    };
    let event = need(1)?;
    let event = Event::parse(&event).ok_or_else(|| DatabaseError::ForeignHistory {
        reason: format!("holds a row that tatmig did not write: unknown event `{event}`"),
    })?;
    Ok(Record {
        id: row.first().and_then(Value::integer).unwrap_or_default(),
        event,
        from: need(2)?,
        to: need(3)?,
        checksum: text(4),
        chain: text(5),
        applied_at: need(6)?,
        duration_ms: row.get(7).and_then(Value::integer).unwrap_or_default(),
        tool_version: need(8)?,
        note: text(9),
    })
}
