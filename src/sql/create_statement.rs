//! Reads what a `CREATE` statement, as `sqlite_schema` stores it, says of an object other than an
//! ordinary table: its definition in one canonical spelling.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::sql::key_term::KeyTerm;
use crate::sql::object_statement::ObjectStatement;
use crate::sql::tokens::Tokens;

/// An index. Names, keywords and expressions are in lower case and in one canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexDefinition {
    pub(crate) is_unique: bool,
    pub(crate) table: String,
    pub(crate) terms: Vec<KeyTerm>,
    /// The condition of a partial index.
    pub(crate) filter: Option<String>,
}

/// The collations of the columns of a table, apart from BINARY, by column. All in lower case.
pub(crate) type ColumnCollations = BTreeMap<String, String>;

impl IndexDefinition {
    /// Reads a CREATE INDEX. `collations` are those of the columns of its table.
    pub(crate) fn parse(sql: &str, collations: &ColumnCollations) -> Self {
        let tokens = Tokens::new(sql);
        let on = tokens.find_top_level(0, "ON").unwrap_or(tokens.len());
        let opening = on + 2;
        let end = tokens.after_matching_close(opening);
        let terms = tokens.split_at_commas(opening + 1..end.saturating_sub(1));
        let filter = tokens.find_top_level(end, "WHERE");
        Self {
            is_unique: tokens.is(1, "UNIQUE"),
            table: tokens.name(on + 1).to_ascii_lowercase(),
            terms: terms.into_iter().map(|term| parse_term(&tokens, term, collations)).collect(),
            filter: filter.map(|keyword| {
                let end = (keyword + 1..tokens.len()).rev().find(|index| !tokens.is(*index, ";"));
                let condition = keyword + 1..end.map_or(keyword + 1, |last| last + 1);
                tokens.normalized(tokens.without_outer_brackets(condition))
            }),
        }
    }
}

/// Reads a term of an index. An expression may have the collation of one of its columns.
fn parse_term(tokens: &Tokens<'_>, range: Range<usize>, collations: &ColumnCollations) -> KeyTerm {
    let term = KeyTerm::parse(tokens, range);
    let default = match term.column() {
        Some(column) => collations.get(column).map_or("binary", String::as_str).to_owned(),
        None if collations.is_empty() => "binary".to_owned(),
        None => return term,
    };
    term.without_collation(&default)
}

/// The module and the arguments of a virtual table, in lower case and in one canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleDefinition {
    pub(crate) module: String,
    pub(crate) arguments: Vec<String>,
}

impl ModuleDefinition {
    pub(crate) fn parse(sql: &str) -> Self {
        let tokens = Tokens::new(sql);
        let using = tokens.find_top_level(0, "USING").unwrap_or(tokens.len());
        let opening = using + 2;
        let arguments = opening + 1..tokens.after_matching_close(opening).saturating_sub(1);
        let arguments = if tokens.is(opening, "(") && !arguments.is_empty() {
            tokens.split_at_commas(arguments)
        } else {
            Vec::new()
        };
        let module = tokens.name(using + 1).to_ascii_lowercase();
        let is_full_text = ["fts3", "fts4", "fts5"].contains(&module.as_str());
        Self {
            module,
            arguments: arguments
                .into_iter()
                .map(|item| {
                    if is_full_text && tokens.is(item.start + 1, "=") {
                        full_text_option(&tokens, item)
                    } else if is_full_text {
                        full_text_column(&tokens, item)
                    } else {
                        tokens.normalized(item)
                    }
                })
                .collect(),
        }
    }

    /// The endings of the names of the shadow tables that the module creates; none if the module
    /// does not belong to SQLite.
    pub(crate) fn shadow_suffixes(&self) -> Option<&'static [&'static str]> {
        Some(match self.module.as_str() {
            "fts3" | "fts4" => &["content", "segments", "segdir", "docsize", "stat"],
            "fts5" => &["data", "idx", "content", "docsize", "config"],
            "rtree" | "rtree_i32" | "geopoly" => &["node", "parent", "rowid"],
            "fts5vocab" | "fts4aux" | "dbstat" => &[],
            _ => return None,
        })
    }
}

/// An option of a full-text table such as `content = 'notes'`, whatever the quotes around its value.
fn full_text_option(tokens: &Tokens<'_>, item: Range<usize>) -> String {
    let name = tokens.name(item.start).to_ascii_lowercase();
    let values: Vec<String> = (item.start + 2..item.end).map(|index| tokens.name(index)).collect();
    let value = values.join(" ");
    let is_name = ["content", "content_rowid"].contains(&name.as_str());
    let value = if is_name { value.to_ascii_lowercase() } else { value };
    format!("{name} = '{}'", value.replace('\'', "''"))
}

/// A column of a full-text table with its options, whatever the quotes around its name.
fn full_text_column(tokens: &Tokens<'_>, item: std::ops::Range<usize>) -> String {
    let words: Vec<String> = item.map(|index| tokens.name(index).to_ascii_lowercase()).collect();
    words.join(" ")
}

/// Whether a statement creates a virtual table.
pub(crate) fn creates_virtual_table(sql: &str) -> bool {
    let mut words = crate::sql::lexer::words(sql);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("create"))
        && words.next().is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
}

/// A view or a trigger in one canonical spelling, without its name.
pub(crate) fn normalized_body(sql: &str) -> String {
    let tokens = Tokens::new(sql);
    let created = ObjectStatement::parse(&tokens);
    let start = created.map_or(0, |created| created.name + 1);
    let last = (start..tokens.len()).rev().find(|index| !tokens.is(*index, ";"));
    let body = start..last.map_or(tokens.len(), |last| last + 1);
    let text = tokens.normalized_without(body, |index| is_optional_keyword(&tokens, index));
    if created.is_some_and(|created| tokens.is(created.kind, "TRIGGER")) {
        explicit_trigger(&text)
    } else {
        text
    }
}

/// Whether a query means the same without a keyword: `AS` before a name, `INNER` and `OUTER` before
/// `JOIN`, `ALL` after `SELECT`, `ASC` in an ORDER BY.
fn is_optional_keyword(tokens: &Tokens<'_>, index: usize) -> bool {
    if tokens.is_quoted(index) {
        return false;
    }
    let is_any = |index: usize, words: &[&str]| words.iter().any(|word| tokens.is(index, word));
    match tokens.text(index).to_ascii_uppercase().as_str() {
        "AS" => true,
        "INNER" => tokens.is(index + 1, "JOIN"),
        "OUTER" => {
            let is_kind = |kind: &&str| tokens.preceded_by(index, kind);
            tokens.is(index + 1, "JOIN") && ["LEFT", "RIGHT", "FULL"].iter().any(is_kind)
        }
        "ALL" => tokens.preceded_by(index, "SELECT"),
        "ASC" => {
            let depth = tokens.depth(index);
            let clause = (0..index).rev().find(|before| {
                tokens.depth(*before) == depth
                    && is_any(*before, &["BY", "SELECT", "FROM", "WHERE", "SET", "RETURNING"])
            });
            clause.is_some_and(|by| tokens.is(by, "BY") && tokens.preceded_by(by, "ORDER"))
                && is_any(index + 1, &["", ",", ")", ";", "LIMIT", "NULLS"])
        }
        _ => false,
    }
}

/// A trigger fires BEFORE unless its statement says otherwise, and always for each row.
fn explicit_trigger(text: &str) -> String {
    let has_time = ["before ", "after ", "instead "].iter().any(|time| text.starts_with(time));
    let (head, body) = match text.split_once(" begin ") {
        Some((head, body)) => (head.replacen(" for each row", "", 1), body),
        None => (text.to_owned(), ""),
    };
    format!("{}{head} begin {body}", if has_time { "" } else { "before " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_of_an_index_is_ignored() {
        let same = |left: &str, right: &str| {
            let none = ColumnCollations::new();
            assert_eq!(IndexDefinition::parse(left, &none), IndexDefinition::parse(right, &none));
        };
        same(
            "CREATE UNIQUE INDEX i ON actor (lower(handle))",
            "create unique index \"i\" on \"actor\" (lower(\"handle\"))",
        );
        same(
            "CREATE INDEX i ON t (a ASC, (b + 1))",
            "CREATE INDEX i ON [t](\"a\",b+1 COLLATE binary)",
        );
        same("CREATE INDEX i ON t (a) WHERE a > 1", "CREATE INDEX i ON t(A) where ((a)>1)");
        same(
            "CREATE INDEX i ON t (a) WHERE a IS NOT NULL AND b != 2;",
            "CREATE INDEX i ON t(A) where ( a is not null and (b) <> (2) )",
        );
    }

    #[test]
    fn meaning_of_an_index_is_compared() {
        let definitions = [
            "CREATE INDEX i ON t (a)",
            "CREATE UNIQUE INDEX i ON t (a)",
            "CREATE INDEX i ON u (a)",
            "CREATE INDEX i ON t (a DESC)",
            "CREATE INDEX i ON t (a COLLATE NOCASE)",
            "CREATE INDEX i ON t (a) WHERE a > 'X'",
            "CREATE INDEX i ON t (a) WHERE a > 'x'",
            "CREATE INDEX i ON t (b)",
            "CREATE INDEX i ON t (a, b)",
        ]
        .map(|sql| IndexDefinition::parse(sql, &ColumnCollations::new()));
        for (index, left) in definitions.iter().enumerate() {
            assert!(!definitions[index + 1..].contains(left), "{left:?}");
        }
        let none = ColumnCollations::new();
        let sql = "CREATE INDEX i ON t (A COLLATE NOCASE DESC)";
        let term = &IndexDefinition::parse(sql, &none).terms[0];
        assert_eq!(term.to_string(), "a collate nocase desc");
    }

    #[test]
    fn spelling_of_a_trigger_is_ignored() {
        assert_eq!(
            normalized_body("CREATE TRIGGER x INSERT ON t FOR EACH ROW BEGIN SELECT 'A'; END;"),
            normalized_body("create trigger \"x\" before insert on [t] begin select 'A' ;end"),
        );
        assert_ne!(
            normalized_body("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 'A'; END"),
            normalized_body("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 'a'; END"),
        );
    }

    #[test]
    fn optional_keywords_of_a_view_are_ignored() {
        for (left, right) in [
            ("SELECT a FROM t", "select A from \"t\""),
            ("SELECT a AS b, 1 AS \"As\" FROM t AS u", "SELECT a b, 1 \"as\" FROM t u"),
            ("SELECT ALL a FROM t INNER JOIN u ON 1", "SELECT a FROM t JOIN u ON 1"),
            (
                "SELECT a FROM t LEFT OUTER JOIN u USING (a)",
                "SELECT a FROM t LEFT JOIN u USING (a)",
            ),
            ("SELECT a FROM t ORDER BY a ASC, b ASC", "SELECT a FROM t ORDER BY a, b"),
            ("SELECT a FROM t ORDER BY a ASC LIMIT 1", "SELECT a FROM t ORDER BY a LIMIT 1"),
            ("SELECT a FROM t WHERE a != (b) AND b == 1", "SELECT a FROM t WHERE a <> b AND b = 1"),
        ] {
            let body = |query: &str| normalized_body(&format!("CREATE VIEW v AS {query};"));
            assert_eq!(body(left), body(right));
        }
        for (left, right) in [
            ("SELECT a FROM t UNION ALL SELECT 1", "SELECT a FROM t UNION SELECT 1"),
            ("SELECT a asc FROM t", "SELECT a FROM t"),
            ("SELECT a asc, b FROM t ORDER BY 1", "SELECT a, b FROM t ORDER BY 1"),
            ("SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t ORDER BY a"),
            ("SELECT a FROM t CROSS JOIN u", "SELECT a FROM t JOIN u"),
            ("SELECT f(a) FROM t", "SELECT f a FROM t"),
            ("SELECT (a, b) < (1, 2) FROM t", "SELECT a, b < (1, 2) FROM t"),
            ("SELECT a IN (b) FROM t", "SELECT a IN b FROM t"),
        ] {
            let body = |query: &str| normalized_body(&format!("CREATE VIEW v AS {query};"));
            assert_ne!(body(left), body(right));
        }
    }

    #[test]
    fn virtual_tables_are_recognized() {
        assert!(creates_virtual_table("CREATE /* x */ VIRTUAL TABLE v USING fts5(a)"));
        assert!(!creates_virtual_table("CREATE TABLE virtual (a)"));
        let module =
            ModuleDefinition::parse("CREATE VIRTUAL TABLE v USING FTS5(a, tokenize = 'porter')");
        assert_eq!(module.module, "fts5");
        assert_eq!(module.arguments, ["a", "tokenize = 'porter'"]);
        let columns = "CREATE VIRTUAL TABLE v USING fts5('A', [b] UNINDEXED)";
        assert_eq!(ModuleDefinition::parse(columns).arguments, ["a", "b unindexed"]);
    }
}
