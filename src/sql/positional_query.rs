//! Reads the queries of a statement and finds the tables whose columns they use by their order.

use std::ops::Range;

use crate::sql::from_clause::{CLAUSE_KEYWORDS, FromItem, is_query, read_from_clause};
use crate::sql::tokens::Tokens;

/// A table or view whose columns a statement uses by their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PositionalUse {
    /// The name of the table, in lower case.
    pub(crate) table: String,
    /// The bytes of the statement to underline: `*` or `t.*`, or the name of the table.
    pub(crate) range: Range<usize>,
    pub(crate) kind: PositionalKind,
}

/// How a statement uses columns by their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionalKind {
    /// It reads all columns with `*`.
    Star,
    /// It is an INSERT without a column list.
    Insert,
    /// It compares rows with those of a table: `(a, b) IN t`.
    Membership,
}

/// How the columns of a query are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnUse {
    ByName,
    ByPosition,
}

/// A common table expression: its name, whether it names its columns, and its SELECT.
#[derive(Clone)]
pub(crate) struct CommonTable {
    name: String,
    names_columns: bool,
    body: Range<usize>,
}

/// The tokens of a statement, and the uses found so far.
pub(crate) struct QueryReader<'t> {
    pub(crate) tokens: Tokens<'t>,
    pub(crate) uses: Vec<PositionalUse>,
}

impl QueryReader<'_> {
    /// Reads a query. In a compound SELECT the columns of all arms have their meaning by position,
    /// unless all arms read all columns of the same tables.
    pub(crate) fn read_query(
        &mut self,
        range: Range<usize>,
        column_use: ColumnUse,
        outer_tables: &[CommonTable],
    ) {
        let (mut start, common_tables) = self.read_with_clause(range.clone(), outer_tables);
        let mut arms = Vec::new();
        while start < range.end {
            let end = self.tokens.find_keyword(start..range.end, &["UNION", "EXCEPT", "INTERSECT"]);
            arms.push(if self.tokens.is(start, "ALL") { start + 1..end } else { start..end });
            start = end + 1;
        }
        let is_uniform = || {
            let first = self.starred_tables(arms[0].clone());
            first.is_some() && arms.iter().all(|arm| self.starred_tables(arm.clone()) == first)
        };
        let column_use =
            if arms.len() > 1 && !is_uniform() { ColumnUse::ByPosition } else { column_use };
        for arm in arms {
            if self.tokens.is(arm.start, "SELECT") {
                self.read_arm(arm.start + 1..arm.end, column_use, &common_tables);
            } else {
                self.read_expressions(arm, &common_tables);
            }
        }
    }

    fn read_arm(
        &mut self,
        range: Range<usize>,
        column_use: ColumnUse,
        common_tables: &[CommonTable],
    ) {
        let (columns, from, rest) = self.split_arm(range);
        let items = self.read_from(from, common_tables);
        let columns = self.tokens.split_at_commas(columns);
        let first_star = columns.iter().position(|column| self.is_star(column));
        let is_positional = column_use == ColumnUse::ByPosition
            || first_star.is_some_and(|star| self.has_ordinal_above(rest.clone(), star));
        for column in columns {
            if !self.is_star(&column) {
                self.read_expressions(column, common_tables);
            } else if is_positional {
                let owner =
                    (column.len() == 3).then(|| self.tokens.name(column.start).to_lowercase());
                for item in &items {
                    self.add_star(item, owner.as_deref(), column.clone(), common_tables);
                }
            }
        }
        self.read_expressions(rest, common_tables);
    }

    /// The result columns of a SELECT, its FROM clause without the keyword, and the rest.
    fn split_arm(&self, range: Range<usize>) -> (Range<usize>, Range<usize>, Range<usize>) {
        let mut start = range.start;
        if self.tokens.is(start, "DISTINCT") || self.tokens.is(start, "ALL") {
            start += 1;
        }
        let end = self.tokens.find_keyword(start..range.end, &CLAUSE_KEYWORDS);
        if !self.tokens.is(end, "FROM") || end >= range.end {
            return (start..end, end..end, end..range.end);
        }
        let from_end = self.tokens.find_keyword(end + 1..range.end, &CLAUSE_KEYWORDS);
        (start..end, end + 1..from_end, from_end..range.end)
    }

    fn is_star(&self, column: &Range<usize>) -> bool {
        let last = column.end.saturating_sub(1);
        self.tokens.is(last, "*")
            && (column.len() == 1 || column.len() == 3 && self.tokens.is(last - 1, "."))
    }

    /// The tables of which an arm reads all columns and nothing else.
    fn starred_tables(&self, arm: Range<usize>) -> Option<Vec<String>> {
        if !self.tokens.is(arm.start, "SELECT") {
            return None;
        }
        let (columns, from, _) = self.split_arm(arm.start + 1..arm.end);
        if !self.is_star(&columns) {
            return None;
        }
        let owner = (columns.len() == 3).then(|| self.tokens.name(columns.start).to_lowercase());
        let items = read_from_clause(&self.tokens, from).items;
        let read_items =
            items.iter().filter(|item| owner.as_deref().is_none_or(|owner| owner == item.alias()));
        read_items
            .map(|item| match item {
                FromItem::Table { name, .. } => Some(name.clone()),
                FromItem::Subquery { .. } => None,
            })
            .collect()
    }

    /// Whether ORDER BY or GROUP BY names a result column by a number that is greater than `count`.
    fn has_ordinal_above(&self, range: Range<usize>, count: usize) -> bool {
        let mut start = range.start;
        while start < range.end {
            let keyword = self.tokens.find_keyword(start..range.end, &["ORDER", "GROUP"]);
            let end = self.tokens.find_keyword(keyword + 1..range.end, &CLAUSE_KEYWORDS);
            let terms = self.tokens.split_at_commas((keyword + 2).min(end)..end);
            let is_ordinal = |term: &Range<usize>| {
                let is_alone = term.len() == 1
                    || ["ASC", "DESC", "NULLS", "COLLATE"]
                        .iter()
                        .any(|word| self.tokens.is(term.start + 1, word));
                is_alone
                    && self
                        .tokens
                        .text(term.start)
                        .parse()
                        .is_ok_and(|number: usize| number > count)
            };
            if terms.iter().any(is_ordinal) {
                return true;
            }
            start = end;
        }
        false
    }

    /// Reads a FROM clause: the columns of its subqueries are used by name.
    pub(crate) fn read_from(
        &mut self,
        range: Range<usize>,
        common_tables: &[CommonTable],
    ) -> Vec<FromItem> {
        let clause = read_from_clause(&self.tokens, range);
        for item in &clause.items {
            if let FromItem::Subquery { body, .. } = item {
                self.read_query(body.clone(), ColumnUse::ByName, common_tables);
            }
        }
        for expressions in clause.expressions {
            self.read_expressions(expressions, common_tables);
        }
        clause.items
    }

    /// Reads the subqueries of expressions. One with more than one column is a row, whose values
    /// have their meaning by position.
    pub(crate) fn read_expressions(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let mut index = range.start;
        while index < range.end {
            if self.tokens.is(index, "(") && is_query(&self.tokens, index + 1) {
                let end = self.tokens.after_matching_close(index);
                let column_use = if self.tokens.preceded_by(index, "EXISTS") {
                    ColumnUse::ByName
                } else {
                    ColumnUse::ByPosition
                };
                self.read_query(index + 1..end - 1, column_use, common_tables);
                index = end;
                continue;
            }
            if self.tokens.is(index, "IN") && !self.tokens.is(index + 1, "(") {
                let name = self.tokens.skip_schema_qualifier(index + 1);
                if name < range.end && !self.tokens.is(name + 1, "(") {
                    self.add_membership(index + 1..name, common_tables);
                }
            }
            index += 1;
        }
    }

    /// Adds the table on the right of IN. The range begins at its schema name, if it has one.
    fn add_membership(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let table = self.tokens.name(range.end).to_lowercase();
        match common_tables.iter().rposition(|common_table| common_table.name == table) {
            Some(index) => self.read_common_table(index, common_tables),
            None => {
                let bytes = self.tokens.byte_range(range.start).start
                    ..self.tokens.byte_range(range.end).end;
                self.push(table, bytes, PositionalKind::Membership);
            }
        }
    }

    /// Reads a common table expression whose columns are used by position. A recursive one refers to
    /// itself; only those before it are visible in it.
    fn read_common_table(&mut self, index: usize, common_tables: &[CommonTable]) {
        let CommonTable { names_columns, body, .. } = common_tables[index].clone();
        if !names_columns {
            self.read_query(body, ColumnUse::ByPosition, &common_tables[..index]);
        }
    }

    /// Adds the table of a FROM item, if `owner.*` or `*` reads all of its columns.
    fn add_star(
        &mut self,
        item: &FromItem,
        owner: Option<&str>,
        star: Range<usize>,
        common_tables: &[CommonTable],
    ) {
        if owner.is_some_and(|owner| owner != item.alias()) {
            return;
        }
        match item {
            FromItem::Subquery { body, .. } => {
                self.read_query(body.clone(), ColumnUse::ByPosition, common_tables);
            }
            FromItem::Table { name, .. } => {
                match common_tables.iter().rposition(|table| table.name == *name) {
                    Some(index) => self.read_common_table(index, common_tables),
                    None => {
                        let range = self.tokens.byte_range(star.start).start
                            ..self.tokens.byte_range(star.end - 1).end;
                        self.push(name.clone(), range, PositionalKind::Star);
                    }
                }
            }
        }
    }

    /// Reads a WITH clause, if the range begins with one. Returns the index behind it, and the
    /// tables that are visible there. A table that names its columns takes them by position.
    pub(crate) fn read_with_clause(
        &mut self,
        range: Range<usize>,
        outer_tables: &[CommonTable],
    ) -> (usize, Vec<CommonTable>) {
        let mut tables = outer_tables.to_vec();
        let mut index = range.start;
        if !self.tokens.is(index, "WITH") {
            return (index, tables);
        }
        index += if self.tokens.is(index + 1, "RECURSIVE") { 2 } else { 1 };
        while index < range.end {
            let name = self.tokens.name(index).to_lowercase();
            let names_columns = self.tokens.is(index + 1, "(");
            let opening = self.find_body(index, names_columns);
            let end = self.tokens.after_matching_close(opening);
            let body = opening + 1..end.saturating_sub(1);
            let column_use = if names_columns { ColumnUse::ByPosition } else { ColumnUse::ByName };
            self.read_query(body.clone(), column_use, &tables);
            tables.push(CommonTable { name, names_columns, body });
            index = end;
            if !self.tokens.is(index, ",") {
                break;
            }
            index += 1;
        }
        (index.min(range.end), tables)
    }

    /// The index of the bracket that opens the body of a common table expression.
    fn find_body(&self, name: usize, names_columns: bool) -> usize {
        let from =
            if names_columns { self.tokens.after_matching_close(name + 1) } else { name + 1 };
        self.tokens.find_keyword(from..self.tokens.len(), &["("])
    }

    pub(crate) fn add_use(&mut self, name: usize, kind: PositionalKind) {
        self.push(self.tokens.name(name).to_lowercase(), self.tokens.byte_range(name), kind);
    }

    /// Adds a use. A query that is used in several ways is read several times.
    fn push(&mut self, table: String, range: Range<usize>, kind: PositionalKind) {
        let found = PositionalUse { table, range, kind };
        if !self.uses.contains(&found) {
            self.uses.push(found);
        }
    }
}
