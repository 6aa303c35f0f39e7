//! Finds the rows whose columns a name in a statement can mean: those of tables, views, subqueries and
//! common table expressions, under their aliases, from the innermost query outwards.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::common_tables::{CommonTable, listed_names, read_common_tables};
use crate::sql::from_clause::{CLAUSE_KEYWORDS, FromItem, is_query, read_from_clause};
use crate::sql::result_columns::{ResultColumn, result_columns};
use crate::sql::tokens::Tokens;

/// How many subqueries and views are read for one name. A document whose views name each other many
/// times is not read to the end.
const MAX_QUERIES: usize = 200;

/// Whether the columns of a source have to be qualified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Plain,
    /// `new.id`, `old.id`, `excluded.id`.
    Qualified,
}

/// What a query reads rows from.
#[derive(Clone, Debug)]
pub(crate) struct RowSource {
    /// The table or its alias, in lower case; empty for a subquery without an alias.
    pub(crate) name: String,
    /// `None` for a subquery or a common table expression.
    pub(crate) object: Option<Arc<Object>>,
    pub(crate) columns: Vec<RowColumn>,
    pub(crate) access: Access,
}

impl RowSource {
    pub(crate) fn column(&self, name: &str) -> Option<&RowColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A column of a source.
#[derive(Clone, Debug)]
pub(crate) struct RowColumn {
    pub(crate) name: String,
    /// The column of a table that it is, through subqueries and views; `None` for a computed one.
    pub(crate) origin: Option<TableColumn>,
}

/// A column of a table of the schema.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) table: Arc<Object>,
    pub(crate) name: String,
}

/// The sources of a statement.
pub(crate) struct RowSources<'t, 's> {
    pub(crate) tokens: &'t Tokens<'s>,
    /// An object is that of the first schema that has it.
    schemas: &'t [Schema],
    queries_left: Cell<usize>,
}

/// The tokens around a place: up to the brackets around it.
struct Level {
    range: Range<usize>,
    /// The bracket before the range; `None` outside all brackets.
    opening: Option<usize>,
}

impl<'t, 's> RowSources<'t, 's> {
    pub(crate) fn new(tokens: &'t Tokens<'s>, schemas: &'t [Schema]) -> Self {
        Self { tokens, schemas, queries_left: Cell::new(MAX_QUERIES) }
    }

    /// The sources of each query around a token, the innermost first.
    pub(crate) fn levels(&self, index: usize) -> Vec<Vec<RowSource>> {
        let mut levels = Vec::new();
        let mut at = index;
        let mut is_visible = true;
        loop {
            let level = self.level(at);
            if is_visible {
                levels.push(self.sources_of(self.part(&level.range, at), at));
            }
            let Some(opening) = level.opening else { break };
            if let Some(table) = self.table_of_list(opening) {
                return vec![vec![table]];
            }
            // A query in FROM or WITH does not see what is beside it.
            is_visible = !self.is_row_query(opening);
            at = opening;
        }
        levels.push(self.trigger_rows());
        levels
    }

    /// The column that a name means, at the index of the name itself.
    pub(crate) fn column(&self, index: usize) -> Option<RowColumn> {
        let name = self.tokens.name(index);
        if self.tokens.preceded_by(index, ".") {
            let source = self.source_named(index, &self.tokens.name(index.checked_sub(2)?))?;
            return source.column(&name).cloned();
        }
        let levels = self.levels(index);
        let mut sources = levels.iter().flatten().filter(|source| source.access == Access::Plain);
        sources.find_map(|source| source.column(&name).cloned())
    }

    /// The source that is called so at a place.
    pub(crate) fn source_named(&self, index: usize, name: &str) -> Option<RowSource> {
        let mut sources = self.levels(index).into_iter().flatten();
        sources.find(|source| source.name.eq_ignore_ascii_case(name))
    }

    /// A table that the statement need not read, as a source.
    pub(crate) fn table(&self, name: &str, index: usize) -> RowSource {
        self.table_named(name, name.to_lowercase(), index)
    }

    /// The names of the common table expressions that a query at a place can read.
    pub(crate) fn common_table_names(&self, index: usize) -> Vec<String> {
        self.common_tables(index).into_iter().map(|table| table.name).collect()
    }

    /// Takes one query from those that may be read. False if none is left.
    fn take_query(&self) -> bool {
        let left = self.queries_left.get();
        self.queries_left.set(left.saturating_sub(1));
        left > 0
    }

    fn is_trigger(&self) -> bool {
        let tokens = self.tokens;
        tokens.is(0, "CREATE") && (1..4).any(|index| tokens.is(index, "TRIGGER"))
    }

    fn is_keyword(&self, index: usize, word: &str) -> bool {
        self.tokens.is(index, word) && !self.tokens.is_quoted(index)
    }

    fn level(&self, at: usize) -> Level {
        let tokens = self.tokens;
        let depth = tokens.depth(at);
        let is_bracket =
            |index: usize, text| tokens.is(index, text) && tokens.depth(index) + 1 == depth;
        let opening = (0..at.min(tokens.len())).rev().find(|index| is_bracket(*index, "("));
        let end = (at..tokens.len()).find(|index| is_bracket(*index, ")"));
        let range = opening.map_or(0, |index| index + 1)..end.unwrap_or(tokens.len());
        Level { range, opening }
    }

    /// The part of a range without brackets around it that contains a token, between separators.
    fn between(&self, range: &Range<usize>, at: usize, separators: &[&str]) -> Range<usize> {
        let depth = self.tokens.depth(at);
        let is_separator = |index: &usize| {
            let is_word = separators.iter().any(|word| self.is_keyword(*index, word))
                || self.is_trigger() && self.is_keyword(*index, "BEGIN");
            self.tokens.depth(*index) == depth && is_word
        };
        let start = (range.start..at).rev().find(is_separator).map_or(range.start, |at| at + 1);
        let end = (at..range.end).find(is_separator).unwrap_or(range.end);
        start..end
    }

    /// One SELECT of a compound, or one statement of a trigger.
    fn part(&self, range: &Range<usize>, at: usize) -> Range<usize> {
        self.between(range, at, &[";", "UNION", "EXCEPT", "INTERSECT"])
    }

    fn find(&self, range: Range<usize>, word: &str) -> Option<usize> {
        let found = self.tokens.find_keyword(range.clone(), &[word]);
        (found < range.end).then_some(found)
    }

    /// What a statement or query reads or changes, as its token `at` sees it.
    fn sources_of(&self, part: Range<usize>, at: usize) -> Vec<RowSource> {
        let (tokens, start) = (self.tokens, part.start);
        if part.is_empty() {
            return Vec::new();
        }
        let find = |word: &str| self.find(part.clone(), word);
        let query = ["SELECT", "VALUES", "WITH"].iter().filter_map(|word| find(word)).min();
        let is_in_query = query.is_some_and(|query| at >= query);
        if tokens.is(start, "CREATE") && !is_in_query {
            let table = find("ON").or_else(|| find("TABLE")).map(|index| index + 1);
            let guard = |index| {
                if tokens.match_seq(index, &["IF", "NOT", "EXISTS"]) { index + 3 } else { index }
            };
            return table.map(|index| self.table_at(guard(index), at)).into_iter().collect();
        }
        if tokens.match_seq(start, &["ALTER", "TABLE"]) {
            return vec![self.table_at(start + 2, at)];
        }
        if let Some(into) = find("INTO") {
            let conflict = (into..part.end).find(|index| {
                tokens.match_seq(*index, &["ON", "CONFLICT"]) || tokens.is(*index, "RETURNING")
            });
            let is_behind_query = conflict.is_some_and(|conflict| at >= conflict);
            let is_in_query = ["SELECT", "VALUES"]
                .iter()
                .filter_map(|word| self.find(into..part.end, word))
                .any(|query| at > query);
            if is_behind_query || !is_in_query {
                let table = self.table_at(into + 1, at);
                let excluded = RowSource {
                    name: "excluded".to_owned(),
                    access: Access::Qualified,
                    ..table.clone()
                };
                return if is_behind_query { vec![table, excluded] } else { vec![table] };
            }
        } else if let Some(update) = find("UPDATE") {
            let name = if tokens.is(update + 1, "OR") { update + 3 } else { update + 1 };
            let mut sources = vec![self.table_at(name, at)];
            sources.extend(self.sources_in_from(part, at));
            return sources;
        }
        self.sources_in_from(part, at)
    }

    fn sources_in_from(&self, part: Range<usize>, at: usize) -> Vec<RowSource> {
        let Some(from) = self.find(part.clone(), "FROM") else { return Vec::new() };
        let clause = from + 1..part.end;
        if clause.is_empty() {
            return Vec::new();
        }
        let end = self.tokens.find_keyword(clause.clone(), &CLAUSE_KEYWORDS);
        if clause.start == end {
            return Vec::new();
        }
        let items = read_from_clause(self.tokens, clause.start..end).items.into_iter();
        items
            .map(|item| match item {
                FromItem::Table { name, alias } => self.table_named(&name, alias, at),
                FromItem::Subquery { body, alias } => RowSource {
                    name: alias,
                    object: None,
                    columns: self.query_columns(body),
                    access: Access::Plain,
                },
            })
            .collect()
    }

    /// The table whose name is at an index, under its alias if it has one.
    fn table_at(&self, index: usize, at: usize) -> RowSource {
        let name_index = self.tokens.skip_schema_qualifier(index);
        let name = self.tokens.name(name_index);
        let has_alias =
            self.tokens.is(name_index + 1, "AS") && !is_query(self.tokens, name_index + 2);
        let alias = if has_alias { self.tokens.name(name_index + 2) } else { name.clone() };
        self.table_named(&name, alias.to_lowercase(), at)
    }

    fn table_named(&self, name: &str, alias: String, at: usize) -> RowSource {
        let common = self.common_tables(at).into_iter().rev();
        if let Some(table) = common.into_iter().find(|table| table.name == name.to_lowercase()) {
            let mut columns = self.query_columns(table.body);
            for (column, name) in columns.iter_mut().zip(&table.columns) {
                column.name.clone_from(name);
            }
            let listed = table.columns.into_iter().skip(columns.len());
            columns.extend(listed.map(|name| RowColumn { name, origin: None }));
            return RowSource { name: alias, object: None, columns, access: Access::Plain };
        }
        let object = self.object(name);
        let columns = object.as_ref().map(|object| self.columns_of(object)).unwrap_or_default();
        RowSource { name: alias, object, columns, access: Access::Plain }
    }

    fn object(&self, name: &str) -> Option<Arc<Object>> {
        let key = ObjectKey::new(ObjectKind::Table, name);
        self.schemas.iter().find_map(|schema| schema.get(&key)).cloned()
    }

    /// The columns of a table in any of the schemas, or of a view.
    fn columns_of(&self, object: &Arc<Object>) -> Vec<RowColumn> {
        if object.kind == ObjectKind::View {
            return self.view_columns(object);
        }
        let key = object.key();
        let mut columns: Vec<RowColumn> = Vec::new();
        for table in self.schemas.iter().filter_map(|schema| schema.get(&key)) {
            for name in table.columns() {
                if !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
                    let origin = TableColumn { table: table.clone(), name: name.to_owned() };
                    columns.push(RowColumn { name: name.to_owned(), origin: Some(origin) });
                }
            }
        }
        columns
    }

    fn view_columns(&self, view: &Object) -> Vec<RowColumn> {
        let tokens = Tokens::new(&view.sql);
        let inner = RowSources {
            tokens: &tokens,
            schemas: self.schemas,
            queries_left: Cell::new(self.queries_left.get()),
        };
        let query = (0..tokens.len()).find(|index| is_query(&tokens, *index));
        let query = query.unwrap_or(tokens.len());
        let mut columns = inner.query_columns(query..tokens.len());
        self.queries_left.set(inner.queries_left.get());
        let list = tokens.find_keyword(0..query, &["AS"]);
        if list < query && tokens.preceded_by(list, ")") {
            let opening = (0..list).find(|index| tokens.is(*index, "(")).unwrap_or(list);
            for (column, name) in columns.iter_mut().zip(listed_names(&tokens, opening)) {
                column.name = name;
            }
        }
        columns
    }

    /// The table whose columns are listed in brackets: of an INSERT or of a foreign key.
    fn table_of_list(&self, opening: usize) -> Option<RowSource> {
        let tokens = self.tokens;
        let mut name = opening.checked_sub(1)?;
        if name >= 2 && tokens.is(name - 1, "AS") {
            name -= 2;
        }
        let first = if name >= 2 && tokens.is(name - 1, ".") { name - 2 } else { name };
        let is_list = ["INTO", "REFERENCES"].iter().any(|word| tokens.preceded_by(first, word));
        is_list.then(|| self.table_at(first, opening))
    }

    /// Whether the query in brackets is one of FROM or WITH, not a value.
    fn is_row_query(&self, opening: usize) -> bool {
        let tokens = self.tokens;
        if !is_query(tokens, opening + 1) {
            return false;
        }
        let is_behind = |words: &[&str]| words.iter().any(|word| tokens.preceded_by(opening, word));
        if is_behind(&["AS", "MATERIALIZED", "FROM", "JOIN"]) {
            return true;
        }
        let part = self.part(&self.level(opening).range, opening);
        let from = self.find(part.clone(), "FROM").unwrap_or(part.end);
        let is_in_from =
            from < opening && tokens.find_keyword(from + 1..part.end, &CLAUSE_KEYWORDS) > opening;
        is_in_from && is_behind(&[","])
    }

    /// The rows before and after the change, in a trigger.
    fn trigger_rows(&self) -> Vec<RowSource> {
        let tokens = self.tokens;
        if !self.is_trigger() {
            return Vec::new();
        }
        let header = 0..tokens.find_keyword(0..tokens.len(), &["BEGIN"]);
        let Some(on) = self.find(header.clone(), "ON") else { return Vec::new() };
        let table = self.table_at(on + 1, on);
        let rows = [("new", "DELETE"), ("old", "INSERT")];
        rows.into_iter()
            .filter(|(_, event)| self.find(header.start..on, event).is_none())
            .map(|(name, _)| RowSource {
                name: name.to_owned(),
                access: Access::Qualified,
                ..table.clone()
            })
            .collect()
    }

    /// The common table expressions that a query at a place can read, the outermost first.
    fn common_tables(&self, index: usize) -> Vec<CommonTable> {
        let mut tables = Vec::new();
        let mut at = index;
        loop {
            let level = self.level(at);
            let range = self.between(&level.range, at, &[";"]);
            if let Some(with) = Some(range)
                .filter(|range| !range.is_empty())
                .and_then(|range| self.find(range, "WITH"))
            {
                tables.splice(0..0, read_common_tables(self.tokens, with));
            }
            let Some(opening) = level.opening else { return tables };
            at = opening;
        }
    }

    /// The result columns of a query.
    fn query_columns(&self, query: Range<usize>) -> Vec<RowColumn> {
        if !self.take_query() {
            return Vec::new();
        }
        let columns = result_columns(self.tokens, query).into_iter();
        columns
            .flat_map(|column| match column {
                ResultColumn::Star(index) => {
                    let own = self.levels(index).into_iter().next().unwrap_or_default();
                    let plain = own.into_iter().filter(|source| source.access == Access::Plain);
                    plain.flat_map(|source| source.columns).collect()
                }
                ResultColumn::StarOf(index) => {
                    let source = self.source_named(index, &self.tokens.name(index));
                    source.map(|source| source.columns).unwrap_or_default()
                }
                ResultColumn::One { name, column } => {
                    let origin = column.and_then(|index| self.column(index)?.origin);
                    vec![RowColumn { name, origin }]
                }
            })
            .collect()
    }
}
