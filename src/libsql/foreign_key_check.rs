//! Rows without their parents, looked for by the batch itself: either there may be none, or they are
//! counted before and after into a table of tatmig's own, so that old ones are not blamed.

use std::fmt::Write as _;

use crate::database::error::DatabaseError;
use crate::database::foreign_keys::{Census, broken, shown as shown_value};
use crate::libsql::analysis::Lesson;
use crate::libsql::foreign_keys;
use crate::libsql::foreign_keys::Keys;
use crate::libsql::program::{FAIL, Mark, Program};
use crate::sqld::hrana::{Results, Step, Value};

/// How foreign keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyCheck {
    /// No row may lack its parent.
    Clean,
    /// No more rows than before may.
    Compared,
    /// They are counted, and the block says that they may.
    Counted,
}

/// Where the counts of foreign keys are in an answer.
pub(crate) struct Counts {
    total: usize,
    new: usize,
    shown: usize,
}

impl Counts {
    /// What they tell: notes, or an error.
    pub(crate) fn read(
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

pub(crate) fn value_in_words(value: &Value) -> String {
    use rusqlite::types::Value as V;
    shown_value(&match value {
        Value::Null => V::Null,
        Value::Integer(number) => V::Integer(*number),
        Value::Real(number) => V::Real(*number),
        Value::Text(text) => V::Text(text.clone()),
        Value::Blob(bytes) => V::Blob(bytes.clone()),
    })
}

/// No row may lack its parent.
pub(crate) fn check_clean(program: &mut Program, keys: &Keys) {
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
    (orphans, width): (&foreign_keys::Orphans, usize),
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

pub(crate) fn count_before(program: &mut Program, lesson: &Lesson, renames: &[(String, String)]) {
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

pub(crate) fn count_after(program: &mut Program, lesson: &Lesson, check: KeyCheck) -> Counts {
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
