//! Writes the rebuild of a table in place of an ALTER TABLE that SQLite cannot run.

use std::ops::Range;
use std::sync::Arc;

use rusqlite::Connection;

use crate::database::schema_reader::read_schema;
use crate::document::blocks::Block;
use crate::document::changelog::StepId;
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Scope, Tag};
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::edit::page::with_line_ends;
use crate::migrate::empty_copy::EmptyCopy;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::schema_diff::generate::generate;
use crate::source::SourceSlice;
use crate::sql::statements::statement_ranges;
use crate::sql::tokens::Tokens;

pub(crate) fn rebuild_table(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let block = context.live_block_at(finding.span.start)?;
    let statement = statement_at(block, finding.span.start)?;
    let tokens = Tokens::new(statement.text());
    if !tokens.match_seq(0, &["ALTER", "TABLE"]) {
        return None;
    }
    let (scope, step) = step_of(context, block)?;
    context.sql_safety(step)?;
    let start = statement.document_offset(0);
    let before = schema_before(context, scope, step, start)?;
    let name_index = tokens.skip_schema_qualifier(2);
    let table = before.get(&ObjectKey::new(ObjectKind::Table, &tokens.name(name_index)))?;
    let end = if tokens.is(tokens.len() - 1, ";") { tokens.len() - 1 } else { tokens.len() };
    let change = Alteration { tokens: &tokens, table, range: name_index + 1..end };
    let new_sql = change.new_definition()?;
    let mut after = before.clone();
    after.insert(table.key(), altered(table, new_sql, context)?);
    let sql = generate(&before, &after, context.setup).ok()?.sql;
    let span = statement.full_span();
    // Inside lists and quotes every line would need their marks, and in a planned migration the
    // marks of a comment.
    let is_plain = context.line_prefix(start).is_empty();
    let is_commented = context.view.text.get(span.clone()) != Some(statement.text());
    if sql.is_empty() || !is_plain || is_commented {
        return None;
    }
    let sql = with_line_ends(sql.trim_end(), context.view.line_ending);
    let title = format!("rebuild the table `{}`", table.name);
    Some(Fix::new(finding, FixSafety::NeedsPerson, title, vec![TextEdit::new(span, sql)]))
}

/// The statement of a block that contains a byte of the document.
fn statement_at<'t>(block: &Block<'t>, offset: usize) -> Option<SourceSlice<'t>> {
    statement_ranges(block.sql.text())
        .find(|range| block.sql.document_span(range.clone()).contains(&offset))
        .map(|range| block.sql.slice(range))
}

fn step_of(context: &FixContext<'_>, block: &Block<'_>) -> Option<(Scope, StepId)> {
    let changelog = context.live_changelog.as_ref()?;
    let Tag::Migration { scope, from, to } = &block.tag else { return None };
    let step = changelog.step_ids().find(|id| {
        changelog.step(*id).is_some_and(|found| (&found.from, &found.to) == (from, to))
    })?;
    Some((*scope, step))
}

/// The schema before a statement of a migration up the chain.
fn schema_before(
    context: &FixContext<'_>,
    scope: Scope,
    step: StepId,
    start: usize,
) -> Option<Schema> {
    let replay = context.replay()?;
    let StepId::Forward(index) = step else { return None };
    let copy = EmptyCopy::create(&replay.schema_at(scope, index), context.setup).ok()?;
    for statement in &replay.script(scope, step)?.statements {
        if statement.sql.document_offset(0) < start {
            // A statement that needs rows fails, and changes no schema.
            let _ = copy.connection.execute_batch(statement.sql.text());
        }
    }
    read_schema(&copy.connection).ok()
}

/// The table with another definition, if SQLite accepts it.
fn altered(table: &Object, sql: String, context: &FixContext<'_>) -> Option<Arc<Object>> {
    let empty = EmptyCopy::create(&Schema::new(), context.setup).ok()?;
    let connection: &Connection = &empty.connection;
    connection.execute_batch(&sql).ok()?;
    let object = Object::new(table.kind, table.name.clone(), table.table.clone(), sql);
    Some(Arc::new(object))
}

/// The part of an ALTER TABLE behind the name of the table.
struct Alteration<'t, 's> {
    tokens: &'t Tokens<'s>,
    table: &'t Object,
    range: Range<usize>,
}

impl Alteration<'_, '_> {
    /// The definition of the table after the change.
    fn new_definition(&self) -> Option<String> {
        let (tokens, start) = (self.tokens, self.range.start);
        let behind = |index: usize| tokens.text_between(index..self.range.end);
        let skip_column = |index: usize| index + usize::from(tokens.is(index, "COLUMN"));
        if tokens.is(start, "ADD") {
            let constraints = ["CONSTRAINT", "CHECK", "UNIQUE", "FOREIGN", "PRIMARY"];
            if constraints.iter().any(|word| tokens.is(start + 1, word)) {
                return self.with_constraint(behind(start + 1));
            }
            return self.with_column(behind(skip_column(start + 1)));
        }
        let column = skip_column(start + 1);
        let name = tokens.name(column);
        if tokens.is(start, "DROP") {
            return self.without_column(&name);
        }
        let is_change = tokens.is(start, "ALTER") || tokens.is(start, "MODIFY");
        let old = self.column_sql(&name).filter(|_| is_change)?;
        let first = Tokens::new(&old).text(0).to_owned();
        let action = column + 1;
        let new = if tokens.match_seq(action, &["SET", "NOT", "NULL"]) {
            format!("{old} NOT NULL")
        } else if tokens.match_seq(action, &["SET", "DEFAULT"]) {
            let bare = without_default(&old).unwrap_or_else(|| old.clone());
            format!("{bare} {}", behind(action + 1))
        } else if tokens.match_seq(action, &["DROP", "DEFAULT"]) {
            without_default(&old)?
        } else if tokens.match_seq(action, &["DROP", "NOT", "NULL"]) {
            without_words(&old, &["NOT", "NULL"])?
        } else if tokens.is(action, "TYPE") {
            self.with_type(&old, behind(action + 1))
        } else if tokens.match_seq(action, &["SET", "DATA", "TYPE"]) {
            self.with_type(&old, behind(action + 3))
        } else {
            // `MODIFY COLUMN c TEXT NOT NULL` names the whole definition.
            format!("{first} {}", behind(action))
        };
        let mut sql = self.table.sql.clone();
        sql.replace_range(self.column_range(&old)?, &new);
        Some(sql)
    }

    fn column_sql(&self, name: &str) -> Option<String> {
        Some(self.table.table_definition()?.column(name)?.sql.clone())
    }

    /// Where the table declares a column: `a TEXT` is also the end of `data TEXT`.
    fn column_range(&self, column: &str) -> Option<Range<usize>> {
        let table = Tokens::new(&self.table.sql);
        let starts = (1..table.len())
            .filter(|index| table.preceded_by(*index, "(") || table.preceded_by(*index, ","))
            .map(|index| table.byte_range(index).start);
        let mut ranges = starts.map(|start| start..start + column.len());
        ranges.find(|range| self.table.sql.get(range.clone()) == Some(column))
    }

    /// With a column behind the last one; the constraints of the table follow it.
    fn with_column(&self, definition: &str) -> Option<String> {
        let last = self.table.table_definition()?.columns.last()?.sql.clone();
        let end = self.column_range(&last)?.end;
        let mut sql = self.table.sql.clone();
        sql.insert_str(end, &format!(", {definition}"));
        Some(sql)
    }

    fn with_constraint(&self, constraint: &str) -> Option<String> {
        let end = self.table.sql.rfind(')')?;
        let mut sql = self.table.sql.clone();
        let body_end = sql[..end].trim_end().len();
        sql.insert_str(body_end, &format!(", {constraint}"));
        Some(sql)
    }

    fn without_column(&self, name: &str) -> Option<String> {
        let column = self.column_sql(name)?;
        let range = self.column_range(&column)?;
        let (before, behind) = (&self.table.sql[..range.start], &self.table.sql[range.end..]);
        if let Some(rest) = behind.trim_start().strip_prefix(',') {
            return Some(format!("{before}{}", rest.trim_start()));
        }
        Some(format!("{}{behind}", before.trim_end().strip_suffix(',')?))
    }

    /// The definition of a column with another type.
    fn with_type(&self, column: &str, new_type: &str) -> String {
        let tokens = Tokens::new(column);
        let name_end = tokens.byte_range(0).end;
        let rest = column[name_end..].trim_start();
        let declared = self
            .table
            .table_definition()
            .and_then(|definition| Some(definition.column(&tokens.name(0))?.declared_type.clone()));
        let declared = declared.unwrap_or_default();
        let has_prefix =
            rest.get(..declared.len()).is_some_and(|start| start.eq_ignore_ascii_case(&declared));
        let rest = if has_prefix { rest[declared.len()..].trim_start() } else { rest };
        format!("{} {new_type} {rest}", &column[..name_end]).trim_end().to_owned()
    }
}

/// The definition of a column without its default; `None` if it has none.
fn without_default(sql: &str) -> Option<String> {
    let tokens = Tokens::new(sql);
    let first = tokens.find_top_level(1, "DEFAULT")?;
    let value = first + 1;
    let end = if tokens.is(value, "(") {
        tokens.after_matching_close(value)
    } else {
        value + 1 + usize::from(tokens.is(value, "-") || tokens.is(value, "+"))
    };
    // `1.5` is three tokens.
    let end = (end..tokens.len())
        .take_while(|index| tokens.is_adjacent(index - 1))
        .last()
        .map_or(end, |last| last + 1);
    let (start, end) = (tokens.byte_range(first).start, tokens.byte_range(end - 1).end);
    Some(format!("{}{}", sql[..start].trim_end(), &sql[end..]))
}

/// A definition without a sequence of words.
fn without_words(sql: &str, words: &[&str]) -> Option<String> {
    let tokens = Tokens::new(sql);
    let first = (0..tokens.len()).find(|index| tokens.match_seq(*index, words))?;
    let (start, end) =
        (tokens.byte_range(first).start, tokens.byte_range(first + words.len() - 1).end);
    Some(format!("{}{}", sql[..start].trim_end(), &sql[end..]))
}
