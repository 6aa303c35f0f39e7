//! Whole databases carried between files and namespaces, both ways, value by value: what arrives is
//! read back and compared before it is committed. A reader sees one moment; a writer writes all in
//! one transaction, in which every statement waits for the one before and for the transaction to be
//! still open, so that a lock that the server takes away ends in nothing.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::{Value as Own, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};
use sha2::{Digest, Sha256};

use super::{Namespace, is_taken};
use crate::database::DatabaseError;
use crate::document::sql;
use crate::server::hrana::{After, Condition, Send, Step, Value};
use crate::server::{Kind, ServerError};

/// A value as its bytes are, whatever they are.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// Mostly UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

type Cells = Vec<Cell>;

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    fn integer(&self) -> i64 {
        if let Self::Integer(number) = self { *number } else { 0 }
    }

    fn size(&self) -> usize {
        8 + match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        }
    }

    fn digest(&self, hash: &mut Sha256) {
        let mut put = |tag: u8, bytes: &[u8]| {
            hash.update([tag]);
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        match self {
            Self::Null => put(0, &[]),
            Self::Integer(number) => put(1, &number.to_le_bytes()),
            Self::Real(number) => put(2, &number.to_bits().to_le_bytes()),
            Self::Text(bytes) => put(3, bytes),
            Self::Blob(bytes) => put(4, bytes),
        }
    }
}

/// One end of the way. All of its statements are in one transaction.
trait End {
    /// How an expression is selected so that [`End::rows`] gives it back as it is.
    fn selected(&self, expression: &str) -> String;

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError>;

    /// Runs statements in their order.
    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError>;
}

/// How many bytes of rows travel at a time, and how many rows at most.
const LOAD: usize = 1 << 20;
const ROWS: usize = 2_000;

/// Of one answer: the server's own limit is 10 MB, and texts take two characters a byte.
const PAGE: i64 = 500;

impl End for &Connection {
    fn selected(&self, expression: &str) -> String {
        expression.to_owned()
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError> {
        let mut statement = self.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|at| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    ValueRef::Text(bytes) => Cell::Text(bytes.to_vec()),
                    ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
                })
            });
            found.push(cells.collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }

    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError> {
        for (sql, cells) in statements {
            let values = cells.into_iter().map(|cell| match cell {
                Cell::Null => Own::Null,
                Cell::Integer(number) => Own::Integer(number),
                Cell::Real(number) => Own::Real(number),
                Cell::Blob(bytes) => Own::Blob(bytes),
                // Bound as bytes and cast back where they are no UTF-8.
                Cell::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Own::Blob(error.into_bytes()), Own::Text),
            });
            let mut statement = self.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

/// A stream to a namespace with a transaction open in it.
struct Stream<'n> {
    namespace: &'n Namespace,
    baton: Option<String>,
    kind: Kind,
}

impl<'n> Stream<'n> {
    fn begin(namespace: &'n Namespace, kind: Kind) -> Result<Self, DatabaseError> {
        let begin = if kind == Kind::Writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let steps = vec![
            Step::does("PRAGMA foreign_keys = OFF", Vec::new()),
            Step::does(begin, Vec::new()).when(Condition::Ok { step: 0 }),
        ];
        let mut stream = Self { namespace, baton: None, kind };
        stream.send(&steps, After::Keep)?;
        Ok(stream)
    }

    fn send(
        &mut self,
        steps: &[Step],
        after: After,
    ) -> Result<crate::server::hrana::Results, DatabaseError> {
        let batch = Send { steps, baton: self.baton.as_deref(), after, kind: self.kind };
        let Namespace { host, name, patience, .. } = self.namespace;
        let results = host.server.batch(name, batch, &patience.stop)?;
        self.baton.clone_from(&results.baton);
        if let Some(error) = results.steps.iter().find_map(|step| step.as_ref().err()) {
            if is_taken(error) {
                return Err(DatabaseError::LockTaken);
            }
            return Err(ServerError::from(error.clone()).into());
        }
        if steps.len() > 1 || after == After::Close {
            results.need(steps.len() - 1).map_err(|_| DatabaseError::LockTaken)?;
        }
        Ok(results)
    }

    /// Ends the transaction. An error after COMMIT was sent leaves it unknown what came of it.
    fn end(mut self, how: &'static str) -> Result<(), DatabaseError> {
        let open = Condition::IsAutocommit.negated();
        let steps = vec![Step::does(how, Vec::new()).when(open)];
        match self.send(&steps, After::Close) {
            Err(DatabaseError::Server(lost @ ServerError::Lost { .. })) if how == "COMMIT" => {
                let after = "what is there has to be compared; run it again".to_owned();
                Err(DatabaseError::Unknown { lost, after })
            }
            result => result.map(drop),
        }
    }
}

impl End for Stream<'_> {
    /// JSON has neither infinities nor texts that are no UTF-8.
    fn selected(&self, e: &str) -> String {
        format!(
            "CASE typeof({e}) WHEN 'text' THEN 't' || hex({e}) \
             WHEN 'real' THEN CASE WHEN {e} = 9e999 THEN '+' WHEN {e} = -9e999 THEN '-' ELSE {e} END \
             ELSE {e} END"
        )
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError> {
        let steps = vec![Step::asks(sql, Vec::new()).when(Condition::IsAutocommit.negated())];
        let results = self.send(&steps, After::Keep)?;
        let rows = results.rows(0).ok_or(DatabaseError::LockTaken)?;
        let cell = |value: &Value| match value {
            Value::Null => Cell::Null,
            Value::Integer(number) => Cell::Integer(*number),
            Value::Real(number) => Cell::Real(*number),
            Value::Blob(bytes) => Cell::Blob(bytes.clone()),
            Value::Text(text) => match text.as_bytes() {
                b"+" => Cell::Real(f64::INFINITY),
                b"-" => Cell::Real(f64::NEG_INFINITY),
                coded => Cell::Text(unhex(coded.get(1..).unwrap_or_default())),
            },
        };
        Ok(rows.iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError> {
        let mut steps = Vec::new();
        for (sql, cells) in statements {
            let values = cells.into_iter().map(|cell| match cell {
                Cell::Null => Value::Null,
                Cell::Integer(number) => Value::Integer(number),
                Cell::Real(number) => Value::Real(number),
                Cell::Blob(bytes) => Value::Blob(bytes),
                Cell::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text),
            });
            let mut conds = vec![Condition::IsAutocommit.negated()];
            conds.extend(steps.len().checked_sub(1).map(|step| Condition::Ok { step }));
            steps.push(Step::does(sql, values.collect()).when(Condition::And { conds }));
        }
        if steps.is_empty() {
            return Ok(());
        }
        let results = self.send(&steps, After::Keep)?;
        results.need(steps.len() - 1).map_err(|_| DatabaseError::LockTaken)?;
        Ok(())
    }
}

fn unhex(coded: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap_or(0);
    coded.chunks_exact(2).map(byte).collect()
}

/// One object of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    kind: String,
    name: String,
    sql: String,
}

impl Made {
    fn is_virtual(&self) -> bool {
        self.kind == "table"
            && self.sql.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("CREATE VIRTUAL"))
    }
}

/// A table whose rows are carried.
#[derive(Clone, Debug)]
struct Sheet {
    name: String,
    /// Columns that can be written, the row's number first where it is none of them.
    columns: Vec<String>,
    /// What its rows are ordered by.
    order: Vec<String>,
    /// Whether that is the row's number, from which reading goes on without counting.
    numbered: bool,
    shadow: bool,
}

/// What a database holds, its rows aside.
#[derive(Debug, Default)]
struct Content {
    made: Vec<Made>,
    sheets: Vec<Sheet>,
    has_sequence: bool,
    user_version: i64,
}

/// SQLite's own tables, whose rows belong to it.
fn is_sqlites(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

fn content(end: &mut dyn End) -> Result<Content, DatabaseError> {
    let list = |end: &dyn End, columns: &[&str]| {
        columns.iter().map(|column| end.selected(column)).collect::<Vec<_>>().join(", ")
    };
    let mut found = Content::default();
    let columns = list(end, &["type", "name", "sql"]);
    for row in end.rows(&format!("SELECT {columns} FROM sqlite_schema ORDER BY rowid"))? {
        let (kind, name, sql) = (row[0].text(), row[1].text(), row[2].text());
        if name == "sqlite_sequence" {
            found.has_sequence = true;
        }
        if !is_sqlites(&name) && row[2] != Cell::Null {
            found.made.push(Made { kind, name, sql });
        }
    }
    let columns = list(end, &["name", "type", "wr"]);
    let tables = end.rows(&format!(
        "SELECT {columns} FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') ORDER BY name"
    ))?;
    let columns = list(end, &["m.name", "x.name", "x.type", "x.pk", "x.hidden"]);
    let mut by_table: BTreeMap<String, Vec<Cells>> = BTreeMap::new();
    for row in end.rows(&format!(
        "SELECT {columns} FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY m.name, x.cid"
    ))? {
        by_table.entry(row[0].text()).or_default().push(row);
    }
    for row in tables {
        let (name, shadow, without_rowid) =
            (row[0].text(), row[1].text() == "shadow", row[2].integer() == 1);
        let columns = by_table.remove(&name).unwrap_or_default();
        if is_sqlites(&name) && name != "sqlite_sequence" || columns.is_empty() {
            continue;
        }
        found.sheets.push(sheet(name, (shadow, without_rowid), &columns));
    }
    let columns = list(end, &["user_version"]);
    let version = end.rows(&format!("SELECT {columns} FROM pragma_user_version"))?;
    found.user_version = version.first().map_or(0, |row| row[0].integer());
    Ok(found)
}

fn sheet(name: String, (shadow, without_rowid): (bool, bool), rows: &[Cells]) -> Sheet {
    let written = rows.iter().filter(|row| row[4].integer() == 0);
    let mut columns: Vec<String> = written.map(|row| sql::quote(&row[1].text())).collect();
    let mut keys: Vec<(i64, String)> = rows
        .iter()
        .filter(|row| row[3].integer() > 0)
        .map(|row| (row[3].integer(), sql::quote(&row[1].text())))
        .collect();
    keys.sort();
    let mut numbered = false;
    let order = if without_rowid {
        keys.into_iter().map(|(_, key)| key).collect()
    } else {
        // The first of its names that no column has taken.
        let taken = |alias: &str| rows.iter().any(|row| row[1].text().eq_ignore_ascii_case(alias));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| !taken(alias));
        let is_alias = keys.len() == 1
            && rows
                .iter()
                .any(|row| row[3].integer() == 1 && row[2].text().eq_ignore_ascii_case("INTEGER"));
        match rowid {
            Some(rowid) => {
                if !is_alias {
                    columns.insert(0, rowid.to_owned());
                }
                numbered = true;
                vec![rowid.to_owned()]
            }
            None => columns.clone(),
        }
    };
    Sheet { name, columns, order, numbered, shadow }
}

/// Gives each page of a table's rows to `each`.
fn read(
    end: &mut dyn End,
    sheet: &Sheet,
    each: &mut dyn FnMut(Vec<Cells>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let columns: Vec<String> = sheet.columns.iter().map(|column| end.selected(column)).collect();
    let (columns, order) = (columns.join(", "), sheet.order.join(", "));
    let table = sql::quote(&sheet.name);
    let (mut at, mut page) = (0_i64, PAGE);
    let mut last: Option<i64> = None;
    loop {
        let query = if sheet.numbered {
            let from = last.map_or_else(String::new, |last| format!("WHERE {order} > {last} "));
            format!("SELECT {columns}, {order} FROM {table} {from}ORDER BY {order} LIMIT {page}")
        } else {
            format!("SELECT {columns} FROM {table} ORDER BY {order} LIMIT {page} OFFSET {at}")
        };
        let mut rows = match end.rows(&query) {
            // Large rows come in smaller pages.
            Err(DatabaseError::Server(ServerError::Sql { code, .. }))
                if code == "RESPONSE_TOO_LARGE" && page > 1 =>
            {
                page = (page / 8).max(1);
                continue;
            }
            rows => rows?,
        };
        if sheet.numbered {
            for row in &mut rows {
                last = row.pop().map(|cell| cell.integer());
            }
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        at += count;
        if count > 0 {
            each(rows)?;
        }
        if count < page {
            return Ok(());
        }
    }
}

/// Writes rows, many with each statement.
fn write(end: &mut dyn End, sheet: &Sheet, rows: Vec<Cells>) -> Result<(), DatabaseError> {
    // Far below what SQLite takes, and small enough to be prepared quickly.
    const CELLS: usize = 2_000;
    let into =
        format!("INSERT INTO {} ({}) VALUES ", sql::quote(&sheet.name), sheet.columns.join(", "));
    let most = (CELLS / sheet.columns.len().max(1)).max(1);
    let (mut statements, mut weight) = (Vec::new(), 0);
    let (mut values, mut cells, mut count): (Vec<String>, Cells, usize) = Default::default();
    let flush = |values: &mut Vec<String>, cells: &mut Cells, statements: &mut Vec<_>| {
        if !values.is_empty() {
            let sql = format!("{into}{}", std::mem::take(values).join(", "));
            statements.push((sql, std::mem::take(cells)));
        }
    };
    for row in rows {
        let mut places = Vec::with_capacity(row.len());
        for cell in row {
            weight += cell.size();
            places.push(match &cell {
                Cell::Real(number) if number.is_infinite() => {
                    if *number > 0.0 {
                        "9e999"
                    } else {
                        "-9e999"
                    }
                }
                Cell::Text(bytes) if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() => {
                    cells.push(Cell::Blob(bytes.clone()));
                    "CAST(? AS TEXT)"
                }
                _ => {
                    cells.push(cell);
                    "?"
                }
            });
        }
        values.push(format!("({})", places.join(", ")));
        count += 1;
        if values.len() >= most || weight >= LOAD {
            flush(&mut values, &mut cells, &mut statements);
        }
        if weight >= LOAD || count >= ROWS {
            end.run(std::mem::take(&mut statements))?;
            (weight, count) = (0, 0);
        }
    }
    flush(&mut values, &mut cells, &mut statements);
    end.run(statements)
}

/// Carries everything from one end to another, which holds nothing.
fn carry(from: &mut dyn End, to: &mut dyn End) -> Result<(), DatabaseError> {
    let content = content(from)?;
    let shadows: Vec<&str> = content
        .sheets
        .iter()
        .filter(|sheet| sheet.shadow)
        .map(|sheet| sheet.name.as_str())
        .collect();
    let own = |made: &&Made| {
        made.kind == "table" && !made.is_virtual() && !shadows.contains(&made.name.as_str())
    };
    let statement = |made: &Made| (made.sql.clone(), Cells::new());
    let run = |to: &mut dyn End, statements: Vec<(String, Cells)>| {
        let mut statements = statements.into_iter().peekable();
        while statements.peek().is_some() {
            to.run(statements.by_ref().take(ROWS).collect())?;
        }
        Ok::<(), DatabaseError>(())
    };
    run(to, content.made.iter().filter(own).map(statement).collect())?;
    // A virtual table makes its shadows.
    run(to, content.made.iter().filter(|made| made.is_virtual()).map(statement).collect())?;
    for sheet in &content.sheets {
        if sheet.shadow || sheet.name == "sqlite_sequence" {
            let clear = format!("DELETE FROM {}", sql::quote(&sheet.name));
            to.run(vec![(clear, Cells::new())])?;
        }
    }
    let (last, sheets): (Vec<&Sheet>, Vec<&Sheet>) =
        content.sheets.iter().partition(|sheet| sheet.name == "sqlite_sequence");
    for sheet in sheets {
        read(from, sheet, &mut |rows| write(to, sheet, rows))?;
    }
    for sheet in last {
        to.run(vec![("DELETE FROM sqlite_sequence".to_owned(), Cells::new())])?;
        read(from, sheet, &mut |rows| write(to, sheet, rows))?;
    }
    run(to, content.made.iter().filter(|made| made.kind != "table").map(statement).collect())?;
    to.run(vec![(format!("PRAGMA user_version = {}", content.user_version), Cells::new())])
}

/// What two ends do not have in common, in words; none where they hold the same.
fn difference(left: &mut dyn End, right: &mut dyn End) -> Result<Option<String>, DatabaseError> {
    let (one, other) = (content(left)?, content(right)?);
    let sorted = |content: &Content| {
        let mut made = content.made.clone();
        made.sort_by(|left, right| (&left.kind, &left.name).cmp(&(&right.kind, &right.name)));
        made
    };
    let (mades, others) = (sorted(&one), sorted(&other));
    let known = |list: &[Made], made: &Made| list.contains(made);
    let odd = mades
        .iter()
        .find(|made| !known(&others, made))
        .or_else(|| others.iter().find(|made| !known(&mades, made)));
    if let Some(made) = odd {
        return Ok(Some(format!("{} `{}` is not the same", made.kind, made.name)));
    }
    if one.user_version != other.user_version {
        return Ok(Some("`user_version` is not the same".to_owned()));
    }
    for sheet in &one.sheets {
        // It is there once a row was written.
        if sheet.name == "sqlite_sequence" && !other.has_sequence {
            continue;
        }
        let (mine, theirs) = (digest(left, sheet)?, digest(right, sheet)?);
        if mine != theirs {
            let rows = |count: u64| format!("{count} {}", if count == 1 { "row" } else { "rows" });
            return Ok(Some(if mine.0 == theirs.0 {
                format!("table `{}` has {} whose values are not the same", sheet.name, rows(mine.0))
            } else {
                format!(
                    "table `{}` has {} here and {} there",
                    sheet.name,
                    rows(mine.0),
                    rows(theirs.0)
                )
            }));
        }
    }
    Ok(None)
}

/// How many rows a table has, and the checksum of all of their values.
fn digest(end: &mut dyn End, sheet: &Sheet) -> Result<(u64, [u8; 32]), DatabaseError> {
    let (mut count, mut hash) = (0, Sha256::new());
    read(end, sheet, &mut |rows| {
        for row in rows {
            count += 1;
            for cell in &row {
                cell.digest(&mut hash);
            }
        }
        Ok(())
    })?;
    Ok((count, hash.finalize().into()))
}

/// What came of carrying a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It is there now.
    Done,
    /// It was there already, the same.
    Same,
    /// Something else is there, which was left alone.
    Other(String),
}

impl Namespace {
    /// Makes a namespace that holds nothing hold what a database holds.
    pub(crate) fn fill_from(&self, source: &Connection) -> Result<Carried, DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Writes)?;
        let result = (|| {
            if !content(&mut stream)?.made.is_empty() {
                let found = difference(&mut &*source, &mut stream)?;
                return Ok(found.map_or(Carried::Same, Carried::Other));
            }
            carry(&mut &*source, &mut stream)?;
            compared(difference(&mut &*source, &mut stream)?)
        })();
        settle(stream, result)
    }

    /// Puts what a database holds in the place of what is there, in one transaction.
    pub(crate) fn replace_by(&self, source: &Connection) -> Result<(), DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Writes)?;
        let result = (|| {
            let there = content(&mut stream)?;
            let shadows: Vec<&str> = there
                .sheets
                .iter()
                .filter(|sheet| sheet.shadow)
                .map(|sheet| sheet.name.as_str())
                .collect();
            let mut drops = Vec::new();
            for kind in ["trigger", "view"] {
                drops.extend(there.made.iter().filter(|made| made.kind == kind));
            }
            drops.extend(
                there
                    .made
                    .iter()
                    .filter(|made| made.kind == "table" && !shadows.contains(&made.name.as_str())),
            );
            let drops = drops.into_iter().map(|made| {
                (format!("DROP {} {}", made.kind, sql::quote(&made.name)), Cells::new())
            });
            stream.run(drops.collect())?;
            carry(&mut &*source, &mut stream)?;
            compared(difference(&mut &*source, &mut stream)?)
        })();
        settle(stream, result).map(drop)
    }

    /// Writes what one moment's reader sees to a new file; one that is there holds nothing.
    pub(crate) fn copy_to(&self, file: &Path) -> Result<Carried, DatabaseError> {
        let mut stream = Stream::begin(self, Kind::Reads)?;
        let there = file.symlink_metadata().is_ok();
        let result = fill_file(&mut stream, file);
        if !there && !matches!(result, Ok(Carried::Done)) {
            // Nothing was committed, and nobody else knew of it.
            let _ = std::fs::remove_file(file);
        }
        stream.end("ROLLBACK")?;
        result
    }
}

fn fill_file(stream: &mut Stream<'_>, file: &Path) -> Result<Carried, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
    let mut end = &connection;
    if !content(&mut end)?.made.is_empty() {
        let found = difference(stream, &mut end)?;
        return Ok(found.map_or(Carried::Same, Carried::Other));
    }
    carry(stream, &mut end)?;
    let carried = compared(difference(stream, &mut end)?)?;
    connection.execute_batch("COMMIT")?;
    Ok(carried)
}

/// What was written is what was read, or nothing is kept.
fn compared(difference: Option<String>) -> Result<Carried, DatabaseError> {
    match difference {
        None => Ok(Carried::Done),
        Some(difference) => Err(DatabaseError::NotTheSame { difference }),
    }
}

fn settle(
    stream: Stream<'_>,
    result: Result<Carried, DatabaseError>,
) -> Result<Carried, DatabaseError> {
    match result {
        Ok(Carried::Done) => stream.end("COMMIT").map(|()| Carried::Done),
        Ok(other) => {
            let _ = stream.end("ROLLBACK");
            Ok(other)
        }
        Err(error) => {
            // The server rolls back a stream that nobody goes on with, if this does not arrive.
            let _ = stream.end("ROLLBACK");
            Err(error)
        }
    }
}
