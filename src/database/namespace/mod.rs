//! A database that is a namespace of a libSQL server. Whatever changes it is one batch of one
//! request: a guard on the record's last row and on the schema, `BEGIN IMMEDIATE`, the statements,
//! the rows of the record, the checks, `COMMIT`; each step runs only if the one before did and the
//! transaction is still open, and what does not reach the end is rolled back. The server takes a
//! lock away from whoever holds it for 5 seconds while another waits, and runs what follows
//! without a transaction: so there is never a second request, and never a step without condition.
//!
//! The decisions that a file's transaction takes between two statements have to be in the SQL
//! here. They come about thus:
//!
//! - *What the schema decides* (an ADD COLUMN that had been done, the post-condition, which
//!   foreign keys there are) is learned once for each schema that an order meets: the order runs
//!   in the real namespace, what it leaves is sent back, and it is rolled back ([`lesson`]). The
//!   batch that commits does so only if it ends in exactly the schema that was judged, so that no
//!   other course of events can be committed. A fleet has few schemas, so nearly every database
//!   takes one request to read and one to migrate.
//! - *What rows decide* is decided by queries in the batch that fail by an overflow: rows of
//!   rebuilt tables are counted before and after into a table of tatmig's own that is dropped
//!   before the commit; no row may lack its parent after the last step, and where one does, the
//!   batch runs once more and counts those of before as well, so that old ones are not blamed.
//!
//! An answer that is lost is never asked for again: the record is read, and it tells whether the
//! batch was committed.
//!
//! Statements are sent as SQLite split them in the replay, and the guard of the replay refused
//! what no block may do before any database was looked for; no splitter is needed here.

mod carry;
mod keys;
mod lesson;
mod program;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

pub(crate) use self::carry::Carried;
use self::keys::Keys;
use self::lesson::{Lesson, as_sqlite};
use self::program::{FAIL, Mark, Program, Stopped};
use super::apply::error_span;
use super::file::Patience;
use super::foreign_keys::{Census, broken, shown as shown_value};
use super::history::{self, Event, Record, State};
use super::order::{Done, Ending, Order, Statement};
use super::practice::ForeignKeys;
use super::schema::Schema;
use super::schema::told::{self, QUESTIONS, Told};
use super::stats::{self, Stats};
use super::{Database, DatabaseError, Look};
use crate::document::problem::Rule;
use crate::document::sql;
use crate::server::hrana::{Results, Rows, Send, SqlError, Step, Value};
use crate::server::{Server, ServerError, pause};

/// A server, and what was learned of the schemas that its namespaces have.
#[derive(Debug)]
pub struct Host {
    pub(crate) server: Server,
    lessons: Mutex<HashMap<[u8; 32], Arc<Lesson>>>,
}

/// Two are one where they are at one address.
impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.server.url() == other.server.url()
    }
}

impl Eq for Host {}

impl Host {
    /// A server of which nothing is known yet.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, lessons: Mutex::default() }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The whole schema as one text, the same for the same schema. tatmig's own tables and SQLite's
/// are no part of it.
const FINGERPRINT: &str = "\
SELECT coalesce(group_concat(o, char(10)), '') FROM (\
SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) AS o FROM sqlite_schema \
WHERE lower(substr(name, 1, 7)) <> 'sqlite_' AND lower(substr(name, 1, 8)) <> '_tatmig_' ORDER BY 1)";

/// Where the server keeps what it opened.
const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// What a database looked like when its state was read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// SQLite's own count of schema changes.
    schema_version: i64,
    fingerprint: String,
    /// Whether the record's table is there.
    has_record: bool,
    /// The file under the server, which tells one namespace from another.
    file: String,
}

/// How foreign keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyCheck {
    /// No row may lack its parent.
    Clean,
    /// No more rows than before may.
    Compared,
    /// They are counted, and the block says that they may.
    Counted,
}

/// A namespace.
pub(crate) struct Namespace {
    host: Arc<Host>,
    name: String,
    patience: Patience,
    seen: RefCell<Option<Seen>>,
}

/// How often a batch is sent that SQLite or the server interrupted without having run it.
const INTERRUPTED_TRIES: usize = 4;

impl Namespace {
    /// Nothing is sent yet.
    pub(crate) fn new(host: &Arc<Host>, name: &str, patience: &Patience) -> Self {
        Self {
            host: host.clone(),
            name: name.to_owned(),
            patience: patience.clone(),
            seen: RefCell::new(None),
        }
    }

    /// Sends statements that read, in a transaction of their own so that they see one moment; the
    /// answers stand at their places from 1. Each may fail alone.
    fn ask(&self, questions: Vec<Step>) -> Result<Results, DatabaseError> {
        let mut steps = vec![Step::does("BEGIN", Vec::new())];
        steps.extend(questions);
        steps.push(Step::does("ROLLBACK", Vec::new()));
        let mut lost = 0;
        loop {
            let sent =
                self.host.server.batch(&self.name, Send::reading(&steps), &self.patience.stop);
            match sent {
                // What only reads may be asked again.
                Err(ServerError::Lost { .. }) if lost < 2 => {
                    lost += 1;
                    pause(Duration::from_millis(100), &self.patience.stop);
                }
                result => {
                    let results = result?;
                    if let Err(error) = &results.steps[0] {
                        return Err(ServerError::from(error.clone()).into());
                    }
                    return Ok(results);
                }
            }
        }
    }

    /// A server that does not know how tatmig names the namespace, or a proxy that drops the
    /// header, opens another one without a word.
    fn check_file(&self, file: &str) -> Result<(), ServerError> {
        let directory = std::path::Path::new(file).parent().and_then(std::path::Path::file_name);
        match directory.and_then(std::ffi::OsStr::to_str) {
            Some(directory) if file.contains("/dbs/") && directory != self.name => {
                Err(ServerError::Strange {
                    url: self.host.server.url().to_owned(),
                    reason: format!(
                        "asked for the namespace `{}`, it opened `{directory}`; does a proxy drop the header `x-namespace-bin`?",
                        self.name
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// The rows of one query.
    fn rows(&self, sql: impl Into<String>, args: Vec<Value>) -> Result<Rows, DatabaseError> {
        let results = self.ask(vec![Step::asks(sql, args)])?;
        Ok(results.need(1)?.clone())
    }

    /// The first column of a query's rows, as texts.
    pub(crate) fn texts(&self, sql: &str) -> Result<BTreeSet<String>, DatabaseError> {
        let rows = self.rows(sql, Vec::new())?;
        Ok(rows.iter().filter_map(|row| row.first()?.shown()).collect())
    }

    fn told(&self) -> Result<Told, DatabaseError> {
        let results =
            self.ask(QUESTIONS.iter().map(|question| Step::asks(*question, Vec::new())).collect())?;
        Ok(told::read([
            results.need(1)?,
            results.need(2)?,
            results.need(3)?,
            results.need(4)?,
            results.need(5)?,
        ]))
    }

    /// Sends a whole program, again where nothing of it can have run: another program's lock was
    /// in the way, or the server interrupted it.
    fn run(&self, program: &Program) -> Result<Results, ServerError> {
        let since = Instant::now();
        let mut interrupted = 0;
        loop {
            let batch = Send::writing(&program.steps);
            let results = self.host.server.batch(&self.name, batch, &self.patience.stop)?;
            let Err(Stopped { mark, error: Some(error), .. }) =
                program.outcome(&results, |_| false)
            else {
                return Ok(results);
            };
            let busy = mark == Mark::Begin && is_busy(&error);
            if busy && since.elapsed() < self.patience.busy_timeout {
                pause(Duration::from_millis(50), &self.patience.stop);
            } else if error.words().0 == "interrupted" && interrupted < INTERRUPTED_TRIES {
                interrupted += 1;
            } else {
                return Ok(results);
            }
        }
    }

    /// What is known of an order on this schema, learned if need be.
    fn lesson(
        &self,
        (order, expected): (&Order<'_>, &State),
        seen: &Seen,
    ) -> Result<Arc<Lesson>, DatabaseError> {
        if order.effects.is_empty()
            && order.steps.iter().all(|step| step.script.statements.is_empty())
        {
            return Ok(Arc::default());
        }
        let key = key(order, seen);
        let lessons = || self.host.lessons.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lesson) = lessons().get(&key) {
            return Ok(lesson.clone());
        }
        let lesson = Arc::new(self.learn((order, expected), seen)?);
        lessons().insert(key, lesson.clone());
        Ok(lesson)
    }

    /// The batch for an order.
    fn program(
        (order, expected, seen): (&Order<'_>, &State, &Seen),
        lesson: &Lesson,
        check: KeyCheck,
    ) -> (Program, Option<Counts>) {
        let mut program = Program::begin();
        program.then(guard(expected, seen), Mark::Guard);
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
        let guarded = |step: &super::order::Step<'_, '_>| {
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
                        sql::quote(table)
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
            KeyCheck::Compared | KeyCheck::Counted => {
                Some(count_after(&mut program, lesson, check))
            }
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

    /// After an answer that did not come: what the record tells of it.
    fn settle(
        &self,
        (order, expected): (&Order<'_>, &State),
        lost: ServerError,
    ) -> Result<(), DatabaseError> {
        const TRIES: u32 = 4;
        let to = order.steps.iter().rev().find_map(|step| step.entry.as_ref()).map(|e| &e.to);
        let (Ending::Commit, Some(to)) = (order.ending, to) else {
            return match order.ending {
                Ending::Rollback => Err(DatabaseError::NotApplied { lost }),
                Ending::Commit => {
                    let after = "it leaves no record".to_owned();
                    Err(DatabaseError::Unknown { lost, after })
                }
            };
        };
        let mut after = String::new();
        for again in 0..TRIES {
            pause(Duration::from_millis(50 << again), &self.patience.stop);
            match (self.state(), expected) {
                (Ok(State::Recorded(now)), State::Recorded(then)) if now.id > then.id => {
                    return if now.to == *to { Ok(()) } else { Err(DatabaseError::Moved) };
                }
                (Ok(State::Recorded(now)), State::New | State::Unversioned) => {
                    return if now.to == *to { Ok(()) } else { Err(DatabaseError::Moved) };
                }
                (Ok(_), _) => return Err(DatabaseError::NotApplied { lost }),
                (Err(DatabaseError::Interrupted), _) => break,
                (Err(error), _) => after = error.to_string(),
            }
        }
        Err(DatabaseError::Unknown { lost, after })
    }

    /// Sends the batch of an order and reads what came of it.
    fn try_apply(
        &self,
        (order, expected, seen): (&Order<'_>, &State, &Seen),
        lesson: &Lesson,
        check: KeyCheck,
    ) -> Result<Vec<String>, Halt> {
        let (program, counts) = Self::program((order, expected, seen), lesson, check);
        let results = match self.run(&program) {
            Ok(results) => results,
            Err(
                lost @ (ServerError::Lost { .. }
                | ServerError::Refused { .. }
                | ServerError::Strange { .. }),
            ) => {
                self.settle((order, expected), lost)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(DatabaseError::from(error).into()),
        };
        let mut notes = Vec::new();
        if let Some(counts) = counts {
            counts.read(&results, check, &mut notes)?;
        }
        match program.outcome(&results, |_| false) {
            Ok(()) => Ok(notes),
            Err(stop) => {
                let rows = match stop.mark {
                    Mark::Rows(.., asked) => results.rows(asked).cloned().unwrap_or_default(),
                    _ => Rows::new(),
                };
                if stop.mark == Mark::Keys && stop.error.as_ref().is_some_and(is_raised) {
                    return Err(Halt::Keys);
                }
                Err(stopped(order, stop, &rows).into())
            }
        }
    }
}

/// Why a batch changed nothing.
enum Halt {
    /// A row lacks its parent.
    Keys,
    Error(DatabaseError),
}

impl From<DatabaseError> for Halt {
    fn from(error: DatabaseError) -> Self {
        Self::Error(error)
    }
}

/// Where the counts of foreign keys are in an answer.
struct Counts {
    total: usize,
    new: usize,
    shown: usize,
}

impl Counts {
    fn read(
        &self,
        results: &Results,
        check: KeyCheck,
        notes: &mut Vec<String>,
    ) -> Result<(), DatabaseError> {
        let number = |at: usize, column: usize| {
            let value = results.rows(at).and_then(|rows| rows.first()?.get(column)?.integer());
            usize::try_from(value.unwrap_or(0)).unwrap_or(0)
        };
        let (groups, rows) = (number(self.new, 0), number(self.new, 1));
        if check == KeyCheck::Compared && rows > 0 {
            let shown = results.rows(self.shown).cloned().unwrap_or_default();
            let mut words: Vec<String> = shown.iter().map(|row| in_words(row)).collect();
            if groups > words.len() {
                words.push(format!("and {} more", groups - words.len()));
            }
            return Err(DatabaseError::ForeignKeys { broken: words, rows });
        }
        let total = number(self.total, 0);
        if total > 0 {
            let noun = if total == 1 { "row refers" } else { "rows refer" };
            let why = match check {
                KeyCheck::Counted => "that are missing",
                KeyCheck::Clean | KeyCheck::Compared => "that were missing before already",
            };
            notes.push(format!("{total} {noun} to parents {why}"));
        }
        Ok(())
    }
}

/// A group of rows without their parent: child, parent, how many, the key's width and values.
fn in_words(row: &[Value]) -> String {
    let text = |at: usize| row.get(at).and_then(Value::shown).unwrap_or_default();
    let rows = row.get(2).and_then(Value::integer).unwrap_or(1);
    let width = row.get(3).and_then(Value::integer).unwrap_or(1);
    let width = usize::try_from(width).unwrap_or(1);
    let key: Vec<String> = row.iter().skip(4).take(width).map(value_in_words).collect();
    broken((&text(0), &text(1)), &key, usize::try_from(rows).unwrap_or(1))
}

fn value_in_words(value: &Value) -> String {
    use rusqlite::types::Value as V;
    shown_value(&match value {
        Value::Null => V::Null,
        Value::Integer(number) => V::Integer(*number),
        Value::Real(number) => V::Real(*number),
        Value::Text(text) => V::Text(text.clone()),
        Value::Blob(bytes) => V::Blob(bytes.clone()),
    })
}

/// What makes a lesson another one: the statements, where they lead, and the schema before.
fn key(order: &Order<'_>, seen: &Seen) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    put(&order.scope.to_string());
    for step in &order.steps {
        put("step");
        if let Some(entry) = &step.entry {
            put(entry.event.name());
            put(&entry.from);
            put(&entry.to);
        }
        for statement in &step.script.statements {
            put(statement.sql.text());
        }
    }
    put(&seen.fingerprint);
    hash.finalize().into()
}

/// Fails unless the record ends as it did, and the schema is the one that was looked at.
fn guard(expected: &State, seen: &Seen) -> Step {
    const TABLE: &str = history::TABLE;
    let schema = "(SELECT schema_version FROM pragma_schema_version)";
    let (record, mut args) = match expected {
        State::Recorded(record) => (
            format!(
                "(SELECT max(rowid) FROM {TABLE}) IS ?2 AND EXISTS (SELECT 1 FROM {TABLE} \
                 WHERE rowid = ?2 AND to_version IS ?3 AND applied_at IS ?4)"
            ),
            vec![
                Value::Integer(record.id),
                Value::text(record.to.clone()),
                Value::text(record.applied_at.clone()),
            ],
        ),
        State::New | State::Unversioned if seen.has_record => {
            (format!("NOT EXISTS (SELECT 1 FROM {TABLE})"), Vec::new())
        }
        State::New | State::Unversioned => (
            "NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE lower(name) = '_tatmig_migrations')"
                .to_owned(),
            Vec::new(),
        ),
    };
    args.insert(0, Value::Integer(seen.schema_version));
    args.push(Value::text(seen.file.clone()));
    let file = format!("({FILE}) IS ?{}", args.len());
    let sql =
        format!("SELECT CASE WHEN {schema} IS ?1 AND {file} AND {record} THEN 1 ELSE {FAIL} END");
    Step::does(sql, args)
}

/// A row of the record. It takes the server's clock, and the statements' time afterwards.
fn append(order: &Order<'_>, entry: &history::Entry, note: Option<String>) -> Step {
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
    let after = format!("(SELECT count(*) FROM {} NOT INDEXED)", sql::quote(table));
    let args = || vec![Value::Integer(i64::try_from(step).unwrap_or(i64::MAX)), Value::text(table)];
    let asked = program.then(Step::asks(format!("SELECT {before}, {after}"), args()), Mark::Own);
    let sql = format!("SELECT CASE WHEN {after} >= {before} THEN 1 ELSE {FAIL} END");
    program.then(Step::does(sql, args()), Mark::Rows(step, nth, asked));
}

/// No row may lack its parent.
fn check_clean(program: &mut Program, keys: &Keys) {
    for orphans in &keys.orphans {
        let sql =
            format!("SELECT CASE WHEN EXISTS (SELECT 1 {}) THEN {FAIL} ELSE 1 END", orphans.query);
        program.then(Step::does(sql, Vec::new()), Mark::Keys);
    }
}

/// Columns `k0, k1, …`, each with something before it.
fn key_columns(lead: &str, width: usize) -> String {
    (0..width).fold(String::new(), |mut text, at| {
        let _ = write!(text, "{lead}k{at}");
        text
    })
}

/// Counts the rows without parents into a table of tatmig's own.
fn count(
    program: &mut Program,
    (orphans, width): (&keys::Orphans, usize),
    (phase, names): (i64, (&str, &str)),
) {
    let columns = &orphans.columns;
    let filled = vec!["NULL".to_owned(); width - columns.len()];
    let values: Vec<String> = columns.iter().cloned().chain(filled).collect();
    let sql = format!(
        "INSERT INTO _tatmig_orphans SELECT ?1, ?2, ?3, count(*), {}, {} {} GROUP BY {}",
        columns.len(),
        values.join(", "),
        orphans.query,
        columns.join(", ")
    );
    let args = vec![Value::Integer(phase), Value::text(names.0), Value::text(names.1)];
    program.then(Step::does(sql, args), Mark::Own);
}

fn count_before(program: &mut Program, lesson: &Lesson, renames: &[(String, String)]) {
    let width = lesson.keys_before.width().max(lesson.keys_after.width());
    let create = format!(
        "CREATE TABLE _tatmig_orphans (phase, child, parent, n, width{})",
        key_columns(", ", width)
    );
    program.then(Step::does(create, Vec::new()), Mark::Own);
    let now = |name: &str| {
        let forth = renames.iter();
        forth
            .fold(name.to_owned(), |name, (from, to)| if name == *from { to.clone() } else { name })
    };
    for orphans in &lesson.keys_before.orphans {
        let names = (orphans.child.as_str(), orphans.parent.as_str());
        count(program, (orphans, width), (0, names));
        let (child, parent) = (now(names.0), now(names.1));
        if (child.as_str(), parent.as_str()) != names {
            count(program, (orphans, width), (0, (&child, &parent)));
        }
    }
}

fn count_after(program: &mut Program, lesson: &Lesson, check: KeyCheck) -> Counts {
    let width = lesson.keys_before.width().max(lesson.keys_after.width());
    for orphans in &lesson.keys_after.orphans {
        let names = (orphans.child.clone(), orphans.parent.clone());
        // A key that could not be used before held nobody to anything.
        let phase = if lesson.keys_before.unusable_between.contains(&names) { 2 } else { 1 };
        count(program, (orphans, width), (phase, (&names.0, &names.1)));
    }
    let ask =
        |program: &mut Program, sql: String| program.then(Step::asks(sql, Vec::new()), Mark::Own);
    let total =
        ask(program, "SELECT coalesce(sum(n), 0) FROM _tatmig_orphans WHERE phase > 0".to_owned());
    let keys = key_columns(", ", width);
    let new = format!(
        "SELECT child, parent, sum(CASE phase WHEN 1 THEN n WHEN 0 THEN -n ELSE 0 END) AS d, \
         width{keys} FROM _tatmig_orphans WHERE phase < 2 GROUP BY child, parent, width{keys} HAVING d > 0"
    );
    let counted = ask(program, format!("SELECT count(*), coalesce(sum(d), 0) FROM ({new})"));
    let shown = ask(program, format!("{new} ORDER BY child, parent{keys} LIMIT {}", Census::SHOWN));
    if check == KeyCheck::Compared {
        let sql = format!("SELECT CASE WHEN EXISTS ({new}) THEN {FAIL} ELSE 1 END");
        program.then(Step::does(sql, Vec::new()), Mark::Keys);
    }
    program.then(Step::does("DROP TABLE _tatmig_orphans", Vec::new()), Mark::Own);
    Counts { total, new: counted, shown }
}

/// The bytes of the document that an error is about.
pub(super) fn span(
    statement: &Statement<'_>,
    (words, offset): (&str, Option<usize>),
) -> Range<usize> {
    error_span(&statement.sql, &as_sqlite(words, offset))
}

/// A statement that failed.
fn statement_error(
    order: &Order<'_>,
    (step, nth): (usize, usize),
    (error, ended): (&SqlError, bool),
) -> DatabaseError {
    let step = &order.steps[step];
    let statement = &step.script.statements[nth];
    let (message, offset) = error.words();
    let span = span(statement, (&message, offset));
    let migration = step.label.clone();
    if ended {
        DatabaseError::EndedTransaction { migration, message, span }
    } else {
        DatabaseError::Statement { migration, message, span }
    }
}

/// Why a batch did not get to its end.
fn stopped(order: &Order<'_>, why: Stopped, rows: &[Vec<Value>]) -> DatabaseError {
    let Stopped { mark, error, ended } = why;
    let Some(error) = error else {
        return match mark {
            Mark::Statement(step, nth) => {
                let error = SqlError {
                    code: None,
                    message: "the transaction was over after it".to_owned(),
                };
                statement_error(order, (step, nth), (&error, true))
            }
            _ => DatabaseError::LockTaken,
        };
    };
    if is_taken(&error) {
        return DatabaseError::LockTaken;
    }
    match mark {
        Mark::Begin if is_busy(&error) => DatabaseError::Busy { holder: None },
        Mark::Guard if is_raised(&error) || error.message.contains("no such table") => {
            DatabaseError::Moved
        }
        Mark::Statement(step, nth) => statement_error(order, (step, nth), (&error, ended)),
        Mark::Rows(step, nth, _) => {
            let number =
                |at: usize| rows.first().and_then(|row| row.get(at)?.integer()).unwrap_or(0);
            let step = &order.steps[step];
            let (migration, table) = (step.label.clone(), step.script.rebuilt[nth].clone());
            DatabaseError::RowLoss { migration, table, before: number(0), after: number(1) }
        }
        Mark::Schema if is_raised(&error) => DatabaseError::Moved,
        _ => DatabaseError::Server(error.into()),
    }
}

/// Whether a query of tatmig's failed because it was to.
fn is_raised(error: &SqlError) -> bool {
    error.message.contains("integer overflow")
}

fn is_busy(error: &SqlError) -> bool {
    error.code() == "SQLITE_BUSY" || error.message.contains("database is locked")
}

/// The server gave the lock to somebody who waited for it.
fn is_taken(error: &SqlError) -> bool {
    error.code() == "TRANSACTION_TIMEOUT" || error.message.contains("timed-out")
}

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

impl Database for Namespace {
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError> {
        let started = Instant::now();
        refuse_unknown(order)?;
        let seen = self.seen.borrow().clone();
        let seen = match seen {
            Some(seen) => seen,
            None => {
                self.state()?;
                self.seen.borrow().clone().ok_or(DatabaseError::Moved)?
            }
        };
        let lesson = self.lesson((order, expected), &seen)?;
        if !lesson.missing.is_empty() {
            let accepted = match expected {
                State::Recorded(_) => self.accepted()?,
                State::New | State::Unversioned => Vec::new(),
            };
            let missing = lesson.missing.iter().filter(|words| !accepted.contains(words));
            let missing: Vec<String> = missing.cloned().collect();
            if !missing.is_empty() {
                return Err(DatabaseError::Effects { missing });
            }
        }
        let allowed = order.foreign_keys == ForeignKeys::Told
            || order.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys));
        let mut check = match (allowed, lesson.keys_after.orphans.is_empty()) {
            (_, true) => KeyCheck::Clean,
            (true, false) => KeyCheck::Counted,
            (false, false) if lesson.is_dirty() => KeyCheck::Compared,
            (false, false) => KeyCheck::Clean,
        };
        let run = (order, expected, &seen);
        let keys = loop {
            match self.try_apply(run, &lesson, check) {
                Ok(notes) => break notes,
                // Once more, beside the rows that lacked theirs before.
                Err(Halt::Keys) if check == KeyCheck::Clean => check = KeyCheck::Compared,
                Err(Halt::Keys) => return Err(DatabaseError::Moved),
                Err(Halt::Error(error)) => return Err(error),
            }
        };
        if check == KeyCheck::Compared {
            lesson.set_dirty();
        }
        let mut notes: Vec<String> =
            (0..order.steps.len()).filter_map(|step| lesson.note(step)).collect();
        notes.extend(keys);
        for key in lesson.keys_after.unusable.difference(&lesson.keys_before.unusable) {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(Done { notes, duration: started.elapsed() })
    }
}

/// What the server would refuse is refused here, with its place, before anything is sent.
fn refuse_unknown(order: &Order<'_>) -> Result<(), DatabaseError> {
    for step in &order.steps {
        for statement in &step.script.statements {
            if let Some((message, range)) = super::dialect::refused(statement.sql.text()) {
                let (migration, span) = (step.label.clone(), statement.sql.span(range));
                return Err(DatabaseError::Statement { migration, message, span });
            }
        }
    }
    Ok(())
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
