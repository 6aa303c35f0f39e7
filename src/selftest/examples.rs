//! Finds an example of the rows that make a statement fail: runs the statements before it on a copy,
//! and then looks for a row that violates the constraint.

use std::ops::Range;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::job::{CompiledScript, Statement};
use crate::selftest::check_constraint::CheckConstraint;
use crate::selftest::context::{SelfTestContext, TestDatabase};
use crate::selftest::row_comparison::shorten;
use crate::sql::lexer::{quote_identifier, unquote};
use crate::sql::tokens::Tokens;

/// The temporary table for the rows that a statement would insert.
const INSERTED_ROWS: &str = "temp.tatmig_inserted_rows";

impl SelfTestContext<'_, '_> {
    /// Describes a row that makes the statement at `span` fail with a message of SQLite. `None` if
    /// none is found.
    pub(crate) fn example_row(
        &self,
        database: &TestDatabase,
        scripts: &[&CompiledScript<'_>],
        message: &str,
        span: &Range<usize>,
    ) -> Result<Option<String>, DatabaseError> {
        let copy = self.copy_test_database(database)?;
        let failed = run_statements_before(&copy.connection, scripts, span);
        let example = failed
            .and_then(|statement| find_example(&copy.connection, statement.sql.text(), message));
        self.check_cancelled()?;
        Ok(example)
    }

    /// Runs statements on a copy without the checks of a migration, so that what they lose can be
    /// compared. Returns the copy, or `None` if a statement fails.
    pub(crate) fn run_unchecked(
        &self,
        database: &TestDatabase,
        scripts: &[&CompiledScript<'_>],
    ) -> Result<Option<TestDatabase>, DatabaseError> {
        let copy = self.copy_test_database(database)?;
        let nowhere = usize::MAX..usize::MAX;
        let failed = run_statements_before(&copy.connection, scripts, &nowhere);
        self.check_cancelled()?;
        Ok(if failed.is_none() { Some(copy) } else { None })
    }
}

/// Runs statements up to the one at `span`, or to one that fails, and returns that one.
fn run_statements_before<'s, 'a>(
    connection: &Connection,
    scripts: &[&'s CompiledScript<'a>],
    span: &Range<usize>,
) -> Option<&'s Statement<'a>> {
    scripts.iter().flat_map(|script| &script.statements).find(|statement| {
        let text = statement.sql.text();
        let own_span = statement.sql.full_span();
        own_span.contains(&span.start) || connection.execute_batch(text).is_err()
    })
}

fn find_example(connection: &Connection, sql: &str, message: &str) -> Option<String> {
    let tokens = Tokens::new(sql);
    if tokens.match_seq(0, &["CREATE", "UNIQUE", "INDEX"]) {
        return duplicates_under_index(connection, sql, &tokens);
    }
    let (table, columns) = collect_inserted_rows(connection, sql, &tokens)?;
    let column_in_message = |prefix: &str| {
        let named = message.split(prefix).nth(1)?;
        columns.iter().find(|column| named.trim().ends_with(&format!(".{column}")))
    };
    if let Some(named) = message.strip_prefix("UNIQUE constraint failed: ") {
        let names: Vec<String> = named
            .split(", ")
            .filter_map(|name| name.rsplit('.').next())
            .map(quote_identifier)
            .collect();
        return ["BINARY", "NOCASE", "RTRIM"].into_iter().find_map(|collation| {
            let terms: Vec<String> =
                names.iter().map(|name| format!("{name} COLLATE {collation}")).collect();
            duplicates(connection, INSERTED_ROWS, &terms, "1")
        });
    }
    let (condition, shown) = if let Some(column) = column_in_message("NOT NULL constraint failed:")
    {
        (format!("{} IS NULL", quote_identifier(column)), column.clone())
    } else if let Some(name) = message.strip_prefix("CHECK constraint failed: ") {
        let sql: String = connection
            .query_row(
                "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                [&table],
                |row| row.get(0),
            )
            .ok()?;
        let checks = CheckConstraint::parse_all(&sql);
        let check = checks.iter().find(|check| check.name == unquote(name))?;
        let shown = columns.iter().find(|column| check.mentions(column))?;
        (format!("NOT ({})", check.expression), shown.clone())
    } else {
        let kind = message.strip_prefix("cannot store ")?.split(' ').next()?.to_lowercase();
        let column = column_in_message("column ")?;
        (format!("typeof({}) = '{kind}'", quote_identifier(column)), column.clone())
    };
    let mut names = vec![columns.first()?.clone()];
    if shown != names[0] {
        names.push(shown);
    }
    let values: Vec<String> =
        names.iter().map(|name| format!("quote({})", quote_identifier(name))).collect();
    let select =
        format!("SELECT {} FROM {INSERTED_ROWS} WHERE {condition} LIMIT 1", values.join(", "));
    let values: Vec<String> = connection
        .query_row(&select, [], |row| (0..names.len()).map(|index| row.get(index)).collect())
        .ok()?;
    let parts: Vec<String> = names
        .iter()
        .zip(values)
        .map(|(name, value)| format!("`{name}` is {}", shorten(&value)))
        .collect();
    Some(format!("for example the row where {}", parts.join(" and ")))
}

/// The rows that `CREATE UNIQUE INDEX` rejects.
fn duplicates_under_index(
    connection: &Connection,
    sql: &str,
    tokens: &Tokens<'_>,
) -> Option<String> {
    let on = tokens.find_top_level(0, "ON")?;
    let table = &sql[tokens.byte_range(on + 1)];
    let end = tokens.after_matching_close(on + 2);
    let terms: Vec<String> = tokens
        .split_at_commas(on + 3..end - 1)
        .into_iter()
        .map(|term| {
            let is_order = |index| tokens.is(index, "ASC") || tokens.is(index, "DESC");
            let last = if is_order(term.end - 1) { term.end - 2 } else { term.end - 1 };
            sql[tokens.byte_range(term.start).start..tokens.byte_range(last).end].to_owned()
        })
        .collect();
    let condition = if tokens.is(end, "WHERE") && end + 1 < tokens.len() {
        sql[tokens.byte_range(end + 1).start..].trim_end_matches([';', ' ', '\n', '\r']).to_owned()
    } else {
        "1".to_owned()
    };
    duplicates(connection, table, &terms, &condition)
}

/// Describes rows that agree in some expressions and satisfy a condition.
fn duplicates(
    connection: &Connection,
    table: &str,
    terms: &[String],
    condition: &str,
) -> Option<String> {
    let not_null: Vec<String> = terms.iter().map(|term| format!("({term}) IS NOT NULL")).collect();
    let values: Vec<String> = terms
        .iter()
        .map(|term| format!("group_concat(DISTINCT quote({term}) COLLATE BINARY)"))
        .collect();
    let select = format!(
        "SELECT count(*), {} FROM {table} WHERE ({condition}) AND {} GROUP BY {} HAVING count(*) > 1 \
         ORDER BY count(*) DESC, length(min({})) DESC LIMIT 1",
        values.join(", "),
        not_null.join(" AND "),
        terms.join(", "),
        terms[0],
    );
    let (count, values): (i64, Vec<String>) = connection
        .query_row(&select, [], |row| {
            let values = (1..=terms.len()).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            Ok((row.get(0)?, values))
        })
        .ok()?;
    let parts: Vec<String> = terms
        .iter()
        .zip(values)
        .map(|(term, value)| {
            let name = term.split(" COLLATE").next().unwrap_or(term);
            format!("`{}` is {}", unquote(name.trim()), shorten(&value))
        })
        .collect();
    Some(format!("for example the {count} rows where {}", parts.join(" and ")))
}

/// Puts the rows that `INSERT … SELECT` would insert into a table without constraints. Returns the
/// table of the statement and the columns.
fn collect_inserted_rows(
    connection: &Connection,
    sql: &str,
    tokens: &Tokens<'_>,
) -> Option<(String, Vec<String>)> {
    let into = (0..tokens.len().min(4)).find(|index| tokens.is(*index, "INTO"))?;
    let table_index = tokens.skip_schema_qualifier(into + 1);
    let table = tokens.name(table_index);
    let mut select_index = table_index + 1;
    let columns: Vec<String> = if tokens.is(select_index, "(") {
        let end = tokens.after_matching_close(select_index);
        let names = (select_index + 1..end - 1).filter(|index| !tokens.is(*index, ","));
        let columns = names.map(|index| tokens.name(index)).collect();
        select_index = end;
        columns
    } else {
        let mut query = connection.prepare("SELECT name FROM pragma_table_info(?1)").ok()?;
        let names = query.query_map([&table], |row| row.get(0)).ok()?;
        names.collect::<rusqlite::Result<_>>().ok()?
    };
    if !tokens.is(select_index, "SELECT") {
        return None;
    }
    let names: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    let select = &sql[tokens.byte_range(select_index).start..];
    let statements = format!(
        "CREATE TEMP TABLE tatmig_inserted_rows ({}); INSERT INTO {INSERTED_ROWS} {select}",
        names.join(", ")
    );
    connection.execute_batch(&statements).ok()?;
    Some((table, columns))
}
