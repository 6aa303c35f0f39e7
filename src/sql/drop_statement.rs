//! Reads the name in a `DROP TABLE` or `DROP VIEW` statement. SQLite's authorizer does not report it
//! if the table does not exist and the statement has an `IF EXISTS`.

use crate::sql::tokens::Tokens;

/// The table or view of the main database that a statement drops, if it exists.
pub(crate) fn dropped_table(sql: &str) -> Option<String> {
    let tokens = Tokens::new(sql);
    if !tokens.is(0, "DROP") || !(tokens.is(1, "TABLE") || tokens.is(1, "VIEW")) {
        return None;
    }
    let first = if tokens.match_seq(2, &["IF", "EXISTS"]) { 4 } else { 2 };
    let name = tokens.skip_schema_qualifier(first);
    let is_main = name == first || tokens.is_name(first, "main");
    (is_main && name < tokens.len()).then(|| tokens.name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_with_or_without_quotes_and_qualifier() {
        for sql in [
            "DROP TABLE t",
            "drop table if exists t;",
            "DROP /* old */ TABLE main.\"t\"",
            "DROP VIEW [main].[t]",
        ] {
            assert_eq!(dropped_table(sql).as_deref(), Some("t"), "{sql}");
        }
        for sql in ["DROP TABLE temp.t", "DROP INDEX t", "DROP TABLE", "ALTER TABLE t DROP a", ""] {
            assert_eq!(dropped_table(sql), None, "{sql}");
        }
    }
}
