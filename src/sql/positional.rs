//! Finds the tables that a statement uses by the order of their columns: `SELECT *` as the source of
//! an INSERT or a CREATE TABLE, as a row that is compared or assigned, in one arm of a compound
//! SELECT or under a list of column names; `(a, b) IN t`; and an INSERT without a column list.

use std::ops::Range;

use crate::sql::from_clause::{CLAUSE_KEYWORDS, is_query};
use crate::sql::positional_query::{ColumnUse, CommonTable, QueryReader};
pub(crate) use crate::sql::positional_query::{PositionalKind, PositionalUse};
use crate::sql::tokens::Tokens;

/// Finds every such table of a statement. The statements in the body of a trigger count. A `*` whose
/// columns are used by name does not count: `EXISTS (SELECT * …)`, `count(*)`, a subquery in FROM,
/// and the `SELECT` of a view without a list of column names.
pub(crate) fn positional_uses(sql: &str) -> Vec<PositionalUse> {
    let mut reader = StatementReader::new(sql);
    let end = reader.queries.tokens.len();
    reader.read_statement(0..end);
    reader.queries.uses
}

/// Finds the tables by whose columns a view has its own columns in their order.
pub(crate) fn order_of_view(create_view_sql: &str) -> Vec<PositionalUse> {
    let mut reader = StatementReader::new(create_view_sql);
    if let Some(body) = reader.view_body() {
        reader.queries.read_query(body, ColumnUse::ByPosition, &[]);
    }
    reader.queries.uses
}

/// Reads one statement.
struct StatementReader<'t> {
    queries: QueryReader<'t>,
}

impl<'t> StatementReader<'t> {
    fn new(sql: &'t str) -> Self {
        Self { queries: QueryReader { tokens: Tokens::new(sql), uses: Vec::new() } }
    }

    fn read_statement(&mut self, range: Range<usize>) {
        let (start, common_tables) = self.queries.read_with_clause(range.clone(), &[]);
        let rest = start..range.end;
        if self.queries.tokens.is(start, "INSERT") || self.queries.tokens.is(start, "REPLACE") {
            self.read_insert(rest, &common_tables);
        } else if self.queries.tokens.is(start, "UPDATE") {
            self.read_update(rest, &common_tables);
        } else if self.queries.tokens.is(start, "DELETE") {
            self.queries.read_expressions(rest, &common_tables);
        } else if self.queries.tokens.is(start, "CREATE") {
            self.read_create(rest);
        } else if is_query(&self.queries.tokens, start) {
            self.queries.read_query(rest, ColumnUse::ByName, &common_tables);
        }
    }

    fn read_create(&mut self, range: Range<usize>) {
        let kind = self.created_kind();
        if self.queries.tokens.is(kind, "TRIGGER") {
            self.read_trigger(kind..range.end);
        } else if self.queries.tokens.is(kind, "TABLE") {
            let select = self.queries.tokens.find_keyword(range.clone(), &["AS"]) + 1;
            if is_query(&self.queries.tokens, select) {
                self.queries.read_query(select..range.end, ColumnUse::ByPosition, &[]);
            }
        } else if let Some(body) = self.view_body() {
            let names_columns = self.queries.tokens.is(body.start - 2, ")");
            let column_use = if names_columns { ColumnUse::ByPosition } else { ColumnUse::ByName };
            self.queries.read_query(body, column_use, &[]);
        }
    }

    /// The index of the word that says what a CREATE statement creates.
    fn created_kind(&self) -> usize {
        if self.queries.tokens.is(1, "TEMP") || self.queries.tokens.is(1, "TEMPORARY") {
            2
        } else {
            1
        }
    }

    /// The SELECT of a CREATE VIEW.
    fn view_body(&self) -> Option<Range<usize>> {
        let view = self.created_kind();
        if !self.queries.tokens.is(0, "CREATE") || !self.queries.tokens.is(view, "VIEW") {
            return None;
        }
        let end = self.queries.tokens.len();
        let body = self.queries.tokens.find_keyword(view..end, &["AS"]) + 1;
        (body < end).then_some(body..end)
    }

    /// Reads the condition of a trigger, and its statements between BEGIN and END.
    fn read_trigger(&mut self, range: Range<usize>) {
        let begin = self.queries.tokens.find_keyword(range.clone(), &["BEGIN"]);
        self.queries.read_expressions(range.start..begin, &[]);
        let mut start = begin + 1;
        while start < range.end {
            let end = self.queries.tokens.find_keyword(start..range.end, &[";"]);
            self.read_statement(start..end);
            start = end + 1;
        }
    }

    fn read_insert(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let into = self.queries.tokens.find_keyword(range.clone(), &["INTO"]);
        let name = self.queries.tokens.skip_schema_qualifier(into + 1);
        let mut index = name + 1;
        if self.queries.tokens.is(index, "AS") {
            index += 2;
        }
        if self.queries.tokens.is(index, "(") {
            index = self.queries.tokens.after_matching_close(index);
        } else if !self.queries.tokens.is(index, "DEFAULT") {
            self.queries.add_use(name, PositionalKind::Insert);
        }
        if index < range.end {
            self.queries.read_query(index..range.end, ColumnUse::ByPosition, common_tables);
        }
    }

    fn read_update(&mut self, range: Range<usize>, common_tables: &[CommonTable]) {
        let from = self.queries.tokens.find_keyword(range.clone(), &["FROM"]);
        self.queries.read_expressions(range.start..from, common_tables);
        if from < range.end {
            let end = self.queries.tokens.find_keyword(from + 1..range.end, &CLAUSE_KEYWORDS);
            self.queries.read_from(from + 1..end, common_tables);
            self.queries.read_expressions(end..range.end, common_tables);
        }
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
    fn finds_what_compares_and_assigns_rows() {
        assert_uses("UPDATE t SET (a, b) = (SELECT * FROM u WHERE u.a = t.a)", &["u"]);
        assert_uses("DELETE FROM t WHERE (a, b) NOT IN (SELECT * FROM u)", &["u"]);
        assert_uses("DELETE FROM t WHERE (a, b) IN u", &["u"]);
        assert_uses("DELETE FROM t WHERE (a, b) NOT IN main.\"U\" AND a > 1", &["u"]);
        assert_uses(
            "DELETE FROM t WHERE EXISTS (SELECT 1 FROM v WHERE (a, b) = (SELECT * FROM u))",
            &["u"],
        );
        assert_uses(
            "WITH x (p, q) AS (SELECT * FROM u) UPDATE t SET a = (SELECT p FROM x)",
            &["u"],
        );
        assert_uses("WITH x AS (SELECT * FROM u) DELETE FROM t WHERE (a, b) IN x", &["u"]);
        assert_uses("SELECT 1 FROM t JOIN v ON (t.a, t.b) IN (SELECT * FROM u)", &["u"]);
        assert_uses(
            "INSERT INTO n (a) VALUES (1) ON CONFLICT DO UPDATE SET (a, b) = (SELECT * FROM u)",
            &["u"],
        );
    }

    #[test]
    fn the_arms_of_a_compound_select_have_their_columns_by_position() {
        assert_uses(
            "UPDATE t SET a = z.i FROM (SELECT 0 AS i, 1 AS j UNION ALL SELECT * FROM u) z",
            &["u"],
        );
        assert_uses(
            "DELETE FROM t WHERE a IN (SELECT a FROM (SELECT * FROM u UNION SELECT * FROM v))",
            &["u", "v"],
        );
        assert_uses(
            "DELETE FROM t WHERE a IN (SELECT column1 FROM (VALUES (1, 2) UNION ALL SELECT * FROM u))",
            &["u"],
        );
        assert_uses("CREATE VIEW w AS SELECT 0 AS i, 1 AS j UNION ALL SELECT * FROM u", &["u"]);
    }

    #[test]
    fn a_number_in_order_by_or_group_by_is_a_position() {
        assert_uses(
            "DELETE FROM t WHERE a = (SELECT a FROM (SELECT * FROM u ORDER BY 2 DESC LIMIT 1))",
            &["u"],
        );
        assert_uses("SELECT a FROM (SELECT x, u.* FROM u GROUP BY x, 3)", &["u"]);
    }

    #[test]
    fn a_view_that_renames_its_columns_takes_them_by_position() {
        assert_uses("CREATE VIEW IF NOT EXISTS w (p, q) AS SELECT * FROM t", &["t"]);
        assert_uses("CREATE TEMP VIEW w (p, q) AS SELECT a, b FROM t", &[]);
        let sources = |sql: &str| -> Vec<String> {
            order_of_view(sql).into_iter().map(|found| found.table).collect()
        };
        assert_eq!(sources("CREATE VIEW w AS SELECT * FROM t"), ["t"]);
        assert_eq!(sources("CREATE VIEW w AS SELECT a, b FROM t"), [""; 0]);
        assert_eq!(sources("CREATE TABLE w (a)"), [""; 0]);
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
        assert_uses(
            "UPDATE t SET a = q.a FROM (SELECT * FROM u) q WHERE q.a IS DISTINCT FROM 1",
            &[],
        );
        assert_uses("DELETE FROM t WHERE EXISTS (SELECT * FROM u ORDER BY a, 1 + 1)", &[]);
        assert_uses("DELETE FROM t WHERE a IN (1, 2) OR a IN (SELECT a FROM u) OR a IN f(1)", &[]);
        assert_uses("SELECT a FROM (SELECT * FROM t WHERE a UNION SELECT x.* FROM t x, u)", &[]);
        assert_uses(
            "WITH RECURSIVE x AS (SELECT * FROM t UNION ALL SELECT t.* FROM t JOIN x ON 1) DELETE FROM t WHERE a IN (SELECT a FROM x)",
            &[],
        );
        assert_uses("SELECT a FROM (SELECT a, * FROM t ORDER BY 1)", &[]);
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
        assert_uses(
            "CREATE TRIGGER g AFTER UPDATE ON t WHEN (new.a, 1) IN u BEGIN DELETE FROM v WHERE (a, b) IN w; END",
            &["u", "w"],
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
