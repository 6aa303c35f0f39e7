//! Finds the tables that a statement uses by the order of their columns: `SELECT *` as the source of
//! an INSERT or a CREATE TABLE, and an INSERT without a column list.

use std::ops::Range;

use crate::sql::tokens::Tokens;

/// A table or view whose columns a statement uses by their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PositionalUse {
    /// The name of the table, in lower case.
    pub(crate) table: String,
    /// The bytes of the statement to underline: `*` or `t.*`, or the name of an INSERT's table.
    pub(crate) range: Range<usize>,
    /// Whether the statement reads all columns with `*`; else it is an INSERT without a column
    /// list.
    pub(crate) is_star: bool,
}

/// Finds every such table of a statement. The INSERT statements in the body of a trigger count. A
/// `*` that is not the source of a row does not count: `EXISTS (SELECT * …)`, `count(*)`, a subquery
/// whose columns are used by name, and the `SELECT` of a view.
pub(crate) fn positional_uses(sql: &str) -> Vec<PositionalUse> {
    let mut reader = Reader { tokens: Tokens::new(sql), uses: Vec::new() };
    let end = reader.tokens.len();
    reader.read_statement(0..end);
    reader.uses
}

/// Keywords that end the result columns of a SELECT or its FROM clause.
const CLAUSE_KEYWORDS: [&str; 8] =
    ["FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "RETURNING"];

/// A common table expression: its name, whether it names its columns, and its SELECT.
#[derive(Clone)]
struct CommonTable {
    name: String,
    names_columns: bool,
    body: Range<usize>,
}

/// One entry of a FROM clause.
enum FromItem {
    Table { name: String, alias: String },
    Subquery { body: Range<usize>, alias: String },
}

struct Reader<'t> {
    tokens: Tokens<'t>,
    uses: Vec<PositionalUse>,
}

impl Reader<'_> {
    fn read_statement(&mut self, range: Range<usize>) {
        let (mut start, common_tables) = self.read_with_clause(range.clone(), &[]);
        if self.tokens.is(start, "INSERT") || self.tokens.is(start, "REPLACE") {
            self.read_insert(start..range.end, &common_tables);
        } else if self.tokens.is(start, "CREATE") {
            start += 1;
            if self.tokens.is(start, "TEMP") || self.tokens.is(start, "TEMPORARY") {
                start += 1;
            }
            if self.tokens.is(start, "TRIGGER") {
                self.read_trigger_body(start..range.end);
            } else if self.tokens.is(start, "TABLE") {
                let select = self.find(start..range.end, &["AS"]);
                if self.tokens.is(select + 1, "SELECT") || self.tokens.is(select + 1, "WITH") {
                    self.read_select(select + 1..range.end, &[]);
                }
            }
        }
    }

    /// Reads the statements between BEGIN and END of a trigger.
    fn read_trigger_body(&mut self, range: Range<usize>) {
        let mut start = self.find(range.clone(), &["BEGIN"]) + 1;
        while start < range.end {
            let end = self.find(start..range.end, &[";"]);
            self.read_statement(start..end);
            start = end + 1;
        }
    }

    fn read_insert(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let into = self.find(range.clone(), &["INTO"]);
        let name = self.tokens.skip_schema_qualifier(into + 1);
        let mut index = name + 1;
        if self.tokens.is(index, "AS") {
            index += 2;
        }
        if self.tokens.is(index, "(") {
            index = self.tokens.after_matching_close(index);
        } else if !self.tokens.is(index, "DEFAULT") {
            self.add_use(name, name, false);
        }
        self.read_select(index..range.end, common_tables);
    }

    /// Reads a SELECT whose columns are used by position: all of its UNION, EXCEPT and INTERSECT
    /// arms.
    fn read_select(&mut self, range: Range<usize>, outer_tables: &[CommonTable]) {
        let (mut start, common_tables) = self.read_with_clause(range.clone(), outer_tables);
        while start < range.end {
            let end = self.find(start..range.end, &["UNION", "EXCEPT", "INTERSECT"]);
            let select = if self.tokens.is(start, "ALL") { start + 1 } else { start };
            if self.tokens.is(select, "SELECT") {
                self.read_select_arm(select + 1..end, &common_tables);
            }
            start = end + 1;
        }
    }

    fn read_select_arm(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let mut start = range.start;
        if self.tokens.is(start, "DISTINCT") || self.tokens.is(start, "ALL") {
            start += 1;
        }
        let from = self.find(start..range.end, &CLAUSE_KEYWORDS);
        if !self.tokens.is(from, "FROM") {
            return;
        }
        let items =
            self.read_from_items(from + 1..self.find(from + 1..range.end, &CLAUSE_KEYWORDS));
        for column in self.tokens.split_at_commas(start..from) {
            let last = column.end.saturating_sub(1);
            let is_star = self.tokens.is(last, "*")
                && (column.len() == 1 || column.len() == 3 && self.tokens.is(last - 1, "."));
            if !is_star {
                continue;
            }
            let owner = (column.len() == 3).then(|| self.tokens.name(column.start).to_lowercase());
            for item in &items {
                self.add_star(item, owner.as_deref(), column.start..last, common_tables);
            }
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
        let (FromItem::Table { alias, .. } | FromItem::Subquery { alias, .. }) = item;
        if owner.is_some_and(|owner| owner != alias) {
            return;
        }
        match item {
            FromItem::Subquery { body, .. } => self.read_select(body.clone(), common_tables),
            FromItem::Table { name, .. } => {
                match common_tables.iter().rposition(|table| table.name == *name) {
                    // A recursive table refers to itself; only those before it are visible here.
                    Some(index) => {
                        let CommonTable { names_columns, body, .. } = common_tables[index].clone();
                        if !names_columns {
                            self.read_select(body, &common_tables[..index]);
                        }
                    }
                    None => {
                        let range = self.tokens.byte_range(star.start).start
                            ..self.tokens.byte_range(star.end).end;
                        let table = name.clone();
                        self.uses.push(PositionalUse { table, range, is_star: true });
                    }
                }
            }
        }
    }

    /// Reads a WITH clause, if the range begins with one. Returns the index behind it, and the
    /// tables that are visible there. A table that names its columns takes them by position.
    fn read_with_clause(
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
            if names_columns {
                self.read_select(body.clone(), &tables);
            }
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
        self.find(from..self.tokens.len(), &["("])
    }

    fn read_from_items(&self, range: Range<usize>) -> Vec<FromItem> {
        let mut items = Vec::new();
        let depth = self.tokens.depth(range.start);
        let mut is_item_due = true;
        let mut index = range.start;
        while index < range.end {
            let mut next = index + 1;
            if is_item_due {
                is_item_due = false;
                if self.tokens.is(index, "(") {
                    next = self.tokens.after_matching_close(index);
                    let body = index + 1..next - 1;
                    if ["SELECT", "WITH", "VALUES"]
                        .iter()
                        .any(|word| self.tokens.is(body.start, word))
                    {
                        items.push(FromItem::Subquery { body, alias: self.read_alias(next) });
                    } else {
                        items.extend(self.read_from_items(body));
                    }
                } else {
                    let name_index = self.tokens.skip_schema_qualifier(index);
                    next = name_index + 1;
                    // A function such as `json_each(…)` has columns of a fixed order.
                    if !self.tokens.is(next, "(") {
                        let name = self.tokens.name(name_index).to_lowercase();
                        let alias = self.read_alias(next);
                        let alias = if alias.is_empty() { name.clone() } else { alias };
                        items.push(FromItem::Table { name, alias });
                    }
                }
            } else if self.tokens.depth(index) == depth {
                is_item_due = self.tokens.is(index, ",") || self.tokens.is(index, "JOIN");
            }
            index = next;
        }
        items
    }

    /// The alias of a FROM item, in lower case; empty without one.
    fn read_alias(&self, index: usize) -> String {
        const NOT_AN_ALIAS: [&str; 14] = [
            "", ",", "(", ")", "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "ON",
            "USING", "NOT",
        ];
        let index = if self.tokens.is(index, "AS") { index + 1 } else { index };
        let is_keyword = NOT_AN_ALIAS
            .iter()
            .chain(&CLAUSE_KEYWORDS)
            .chain(&["INDEXED", "UNION", "EXCEPT", "INTERSECT", ";"])
            .any(|word| self.tokens.is(index, word));
        if is_keyword { String::new() } else { self.tokens.name(index).to_lowercase() }
    }

    fn add_use(&mut self, name: usize, first: usize, is_star: bool) {
        let range = self.tokens.byte_range(first).start..self.tokens.byte_range(name).end;
        let table = self.tokens.name(name).to_lowercase();
        self.uses.push(PositionalUse { table, range, is_star });
    }

    /// The index of the first of these keywords at the depth of the range; its end without one.
    fn find(&self, range: Range<usize>, keywords: &[&str]) -> usize {
        let depth = self.tokens.depth(range.start);
        range
            .clone()
            .find(|index| {
                self.tokens.depth(*index) == depth
                    && !self.tokens.is_quoted(*index)
                    && keywords.iter().any(|keyword| self.tokens.is(*index, keyword))
            })
            .unwrap_or(range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_uses(sql: &str, expected: &[&str]) {
        let uses = positional_uses(sql);
        let tables: Vec<&str> = uses.iter().map(|found| found.table.as_str()).collect();
        assert_eq!(tables, expected, "{sql}");
    }

    #[test]
    fn finds_a_star_that_is_the_source_of_rows() {
        assert_uses("INSERT INTO n (a) SELECT * FROM t", &["t"]);
        assert_uses("INSERT INTO n (a) SELECT DISTINCT t.* FROM main.\"T\" WHERE a > 1", &["t"]);
        assert_uses("INSERT INTO n (a) SELECT x.* FROM t AS x JOIN u y ON x.a = y.a", &["t"]);
        assert_uses("INSERT INTO n (a) SELECT y.*, 1 FROM t x, u y", &["u"]);
        assert_uses("INSERT INTO n (a) SELECT * FROM t NATURAL LEFT JOIN u", &["t", "u"]);
        assert_uses("INSERT INTO n (a) SELECT * FROM (t JOIN u USING (a)) LIMIT 3", &["t", "u"]);
        assert_uses("INSERT INTO n (a) SELECT a FROM t UNION ALL SELECT * FROM u", &["u"]);
        assert_uses("CREATE TABLE n AS SELECT * FROM t", &["t"]);
        assert_uses(
            "CREATE TEMP TABLE IF NOT EXISTS n AS WITH x AS (SELECT 1) SELECT * FROM t",
            &["t"],
        );
        assert_uses("INSERT INTO n (a) SELECT * FROM (SELECT * FROM t)", &["t"]);
        assert_uses("WITH x AS (SELECT * FROM t) INSERT INTO n (a, b) SELECT * FROM x", &["t"]);
        assert_uses("INSERT INTO n (a) WITH x (p) AS (SELECT * FROM t) SELECT p FROM x", &["t"]);
    }

    #[test]
    fn a_star_whose_columns_are_used_by_name_is_not_positional() {
        assert_uses("INSERT INTO n (a) SELECT a FROM t", &[]);
        assert_uses("INSERT INTO n (a) SELECT a FROM (SELECT * FROM t)", &[]);
        assert_uses("INSERT INTO n (a) SELECT 1 WHERE NOT EXISTS (SELECT * FROM t)", &[]);
        assert_uses("INSERT INTO n (a) SELECT count(*), 2 * 3 FROM t", &[]);
        assert_uses("WITH x AS (SELECT * FROM t) INSERT INTO n (a) SELECT a FROM x", &[]);
        assert_uses("INSERT INTO n (a) SELECT * FROM json_each('[1]')", &[]);
        assert_uses("INSERT INTO n (a) SELECT * FROM (SELECT a, b FROM t)", &[]);
        assert_uses("CREATE TABLE n AS SELECT a, b FROM t", &[]);
        assert_uses("CREATE TABLE n (a AS (b) STORED, b)", &[]);
        assert_uses("CREATE VIEW v AS SELECT * FROM t", &[]);
        assert_uses("SELECT * FROM t", &[]);
        assert_uses("DELETE FROM t WHERE a IN (SELECT a FROM u)", &[]);
        assert_uses("INSERT INTO n (a) VALUES (1) RETURNING *", &[]);
    }

    #[test]
    fn finds_an_insert_without_a_column_list() {
        assert_uses("INSERT INTO n VALUES (1, 2)", &["n"]);
        assert_uses("INSERT OR IGNORE INTO main.[N] AS x VALUES (1, 2)", &["n"]);
        assert_uses("REPLACE INTO n SELECT a, b FROM t", &["n"]);
        assert_uses("INSERT INTO n SELECT * FROM t", &["n", "t"]);
        assert_uses("INSERT INTO n DEFAULT VALUES", &[]);
        assert_uses("INSERT INTO n AS x (a) VALUES (1)", &[]);
        assert_uses(
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; INSERT INTO log VALUES (new.a, 2); END",
            &["log"],
        );
    }

    #[test]
    fn incomplete_statements_end_the_search() {
        for sql in [
            "",
            "INSERT",
            "INSERT INTO",
            "WITH",
            "WITH x",
            "WITH x AS (",
            "CREATE TABLE",
            "CREATE TRIGGER",
            "INSERT INTO n (a) SELECT * FROM",
            "INSERT INTO n (a) SELECT * FROM (",
            "WITH RECURSIVE x (a",
        ] {
            positional_uses(sql);
        }
    }
}
