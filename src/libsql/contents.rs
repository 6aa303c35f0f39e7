//! What a database holds, whatever end of a way it is at: read, written where nothing is yet, and
//! compared.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::libsql::endpoint::{Cell, Cells, End};
use crate::sql::lexer;
use crate::sqld::error::ServerError;

/// How many bytes of rows travel at a time, and how many rows at most.
const LOAD: usize = 1 << 20;
const ROWS: usize = 2_000;

/// Of one answer: the server's own limit is 10 MB, and texts take two characters a byte.
const PAGE: i64 = 500;

/// One object of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) kind: String,
    pub(crate) name: String,
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
pub(crate) struct Sheet {
    pub(crate) name: String,
    /// Columns that can be written, the row's number first where it is none of them.
    columns: Vec<String>,
    /// What its rows are ordered by.
    order: Vec<String>,
    /// Whether that is the row's number, from which reading goes on without counting.
    numbered: bool,
    pub(crate) shadow: bool,
}

/// What a database holds, its rows aside.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) made: Vec<Made>,
    pub(crate) sheets: Vec<Sheet>,
    has_sequence: bool,
    user_version: i64,
}

/// SQLite's own tables, whose rows belong to it.
fn is_sqlites(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

/// Reads what a database holds, its rows aside.
pub(crate) fn content(end: &mut dyn End) -> Result<Content, DatabaseError> {
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
    let mut columns: Vec<String> = written.map(|row| lexer::quote(&row[1].text())).collect();
    let mut keys: Vec<(i64, String)> = rows
        .iter()
        .filter(|row| row[3].integer() > 0)
        .map(|row| (row[3].integer(), lexer::quote(&row[1].text())))
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
    let table = lexer::quote(&sheet.name);
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
        format!("INSERT INTO {} ({}) VALUES ", lexer::quote(&sheet.name), sheet.columns.join(", "));
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
pub(crate) fn carry(from: &mut dyn End, to: &mut dyn End) -> Result<(), DatabaseError> {
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
            let clear = format!("DELETE FROM {}", lexer::quote(&sheet.name));
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
pub(crate) fn difference(
    left: &mut dyn End,
    right: &mut dyn End,
) -> Result<Option<String>, DatabaseError> {
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
