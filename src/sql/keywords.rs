//! Lists the keywords, types and functions of SQLite, and which keywords cannot be names.

/// The keywords of SQLite 3.51 that a migration can use.
pub(crate) const KEYWORDS: &[&str] = &[
    "ABORT",
    "ACTION",
    "ADD",
    "AFTER",
    "ALL",
    "ALTER",
    "ALWAYS",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "AUTOINCREMENT",
    "BEFORE",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "CONFLICT",
    "CONSTRAINT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "DEFAULT",
    "DEFERRABLE",
    "DEFERRED",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DROP",
    "EACH",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXCLUDE",
    "EXISTS",
    "EXPLAIN",
    "FAIL",
    "FILTER",
    "FIRST",
    "FOLLOWING",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "GENERATED",
    "GLOB",
    "GROUP",
    "GROUPS",
    "HAVING",
    "IF",
    "IGNORE",
    "IMMEDIATE",
    "IN",
    "INDEX",
    "INDEXED",
    "INITIALLY",
    "INNER",
    "INSERT",
    "INSTEAD",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "KEY",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATCH",
    "MATERIALIZED",
    "NATURAL",
    "NO",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "NULLS",
    "OF",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OTHERS",
    "OUTER",
    "OVER",
    "PARTITION",
    "PLAN",
    "PRAGMA",
    "PRECEDING",
    "PRIMARY",
    "QUERY",
    "RAISE",
    "RANGE",
    "RECURSIVE",
    "REFERENCES",
    "REGEXP",
    "REINDEX",
    "RENAME",
    "REPLACE",
    "RESTRICT",
    "RETURNING",
    "RIGHT",
    "ROW",
    "ROWID",
    "ROWS",
    "SELECT",
    "SET",
    "STORED",
    "STRICT",
    "TABLE",
    "TEMP",
    "TEMPORARY",
    "THEN",
    "TIES",
    "TO",
    "TRIGGER",
    "UNBOUNDED",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "VIEW",
    "VIRTUAL",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHOUT",
];

/// The keywords of SQLite that must be quoted to be a name. Some are names in most places, such as a
/// column `if`, but not in all: SQLite stores `CREATE TABLE IF NOT EXISTS if (a)` as a definition that
/// it cannot read again.
const RESERVED: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "AS",
    "AUTOINCREMENT",
    "BETWEEN",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "CONSTRAINT",
    "CREATE",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "DEFAULT",
    "DEFERRABLE",
    "DELETE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "FOREIGN",
    "FROM",
    "GROUP",
    "HAVING",
    "IF",
    "IN",
    "INDEX",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "RAISE",
    "REFERENCES",
    "RETURNING",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TRANSACTION",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// The names of types with which a column is usually declared.
pub(crate) const TYPES: &[&str] =
    &["INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "ANY", "BOOLEAN", "DATE", "DATETIME", "JSON"];

/// Functions that every SQLite of the last years has.
pub(crate) const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "changes",
    "char",
    "coalesce",
    "concat",
    "count",
    "date",
    "datetime",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
    "json_set",
    "json_type",
    "json_valid",
    "julianday",
    "last_insert_rowid",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "printf",
    "quote",
    "random",
    "randomblob",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "strftime",
    "substr",
    "sum",
    "time",
    "total",
    "trim",
    "typeof",
    "unhex",
    "unicode",
    "unixepoch",
    "upper",
    "zeroblob",
];

/// Whether a word is a keyword or a usual type, in any case of letters.
pub(crate) fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&upper.as_str()).is_ok() || TYPES.contains(&upper.as_str())
}

/// Whether a word must be quoted to be a name, in any case of letters.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::sql::lexer::quote_if_needed;

    /// Keywords that a migration cannot use.
    const OTHER_KEYWORDS: [&str; 11] = [
        "ATTACH",
        "COMMIT",
        "DATABASE",
        "DETACH",
        "EXCLUSIVE",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "TRANSACTION",
        "VACUUM",
        "WITHIN",
    ];

    /// Statements that use a name, written `?`, in every place where a table, a column or another
    /// object can be named. Each group begins with an empty database.
    const USES: [&[&str]; 3] = [
        &[
            "CREATE TABLE ? (a)",
            "INSERT INTO ? VALUES (1)",
            "UPDATE ? SET a = 1",
            "DELETE FROM ?",
            "ALTER TABLE ? RENAME TO z",
            "ALTER TABLE z RENAME TO ?",
            "SELECT ?.a FROM ?",
            "CREATE TABLE c (x REFERENCES ? (a))",
            "SELECT * FROM c JOIN ? ON ?.a = 1",
            "SELECT * FROM c, ?",
            "SELECT ?.x FROM c AS ?",
            "CREATE VIEW v AS SELECT a FROM ? WHERE ?.a > 1",
            "CREATE TRIGGER g AFTER INSERT ON ? BEGIN SELECT 1; END",
            "CREATE INDEX i ON ? (a)",
            "DROP TRIGGER g",
            "DROP VIEW v",
            "DROP TABLE c",
            "DROP TABLE main.?",
        ],
        &[
            "CREATE TABLE t (?, b)",
            "CREATE TABLE u (b, ? TEXT CHECK (? > 1), UNIQUE (?), FOREIGN KEY (?) REFERENCES t (?))",
            "INSERT INTO t (?, b) VALUES (1, 2)",
            "UPDATE t SET ? = 1, b = ?",
            "SELECT ? FROM t",
            "SELECT b, ?, (?) FROM t WHERE ? = 1 AND b = ? GROUP BY ? ORDER BY ?",
            "SELECT max(?), t.? FROM t",
            "SELECT CASE WHEN ? THEN ? ELSE ? END AS ? FROM t",
            "INSERT INTO t (b) SELECT ? FROM t",
            "CREATE INDEX i ON t (?) WHERE ? IS NOT NULL",
            "CREATE TRIGGER g AFTER UPDATE OF ? ON t BEGIN SELECT new.?; END",
            "ALTER TABLE t RENAME ? TO z",
            "ALTER TABLE t RENAME z TO ?",
            "CREATE TABLE w (b)",
            "ALTER TABLE w ADD ?",
            "ALTER TABLE w DROP ?",
            "ALTER TABLE w ADD COLUMN ?",
            "ALTER TABLE w DROP COLUMN ?",
        ],
        &[
            "CREATE TABLE t (a)",
            "CREATE INDEX ? ON t (a)",
            "DROP INDEX ?",
            "CREATE VIEW ? AS SELECT 1",
            "DROP VIEW ?",
            "CREATE TRIGGER ? AFTER INSERT ON t BEGIN SELECT 1; END",
            "DROP TRIGGER ?",
            "CREATE INDEX IF NOT EXISTS ? ON t (a)",
            "DROP INDEX IF EXISTS ?",
        ],
    ];

    /// The first error of SQLite for the name, if one of the statements fails.
    fn use_name(name: &str) -> Result<(), String> {
        USES.iter().try_for_each(|statements| {
            let connection = Connection::open_in_memory().unwrap();
            connection.pragma_update(None, "foreign_keys", false).unwrap();
            statements.iter().try_for_each(|statement| {
                let sql = statement.replace('?', name);
                connection.execute_batch(&sql).map_err(|error| format!("{sql}: {error}"))
            })
        })
    }

    #[test]
    fn sqlite_needs_quotes_for_the_reserved_words_and_for_no_other() {
        assert!(RESERVED.is_sorted());
        for word in KEYWORDS.iter().chain(RESERVED).chain(&OTHER_KEYWORDS).chain(TYPES) {
            // SQLite does not rename a column `rowid`, quoted or not.
            let needs_quotes = use_name(word).is_err() && *word != "ROWID";
            assert_eq!(is_reserved(word), needs_quotes, "{word}: {:?}", use_name(word));
            assert_eq!(is_reserved(&word.to_ascii_lowercase()), needs_quotes, "{word}");
        }
    }

    #[test]
    fn every_name_can_be_used_as_it_is_written() {
        let names = ["", "a b", "a-b", "1a", "a\"b", "é", "日本", "a$b", "_", "true"];
        let keywords = KEYWORDS.iter().chain(RESERVED).chain(&OTHER_KEYWORDS);
        for name in names.iter().chain(keywords.filter(|word| **word != "ROWID")) {
            assert_eq!(use_name(&quote_if_needed(name)), Ok(()), "{name}");
        }
    }
}
