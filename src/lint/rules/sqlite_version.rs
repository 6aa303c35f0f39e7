//! What in the schema an older SQLite cannot read. tatmig runs the document with a SQLite of its
//! own; the application reads the schema with another. So only what is stored counts, not the
//! statements that made it.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::BlockRun;
use crate::lint::engine::SqliteVersion;
use crate::schema::{ObjectKind, Schema};
use crate::sql::tokens::Tokens;

/// Something that not every SQLite reads, and the tokens that say it.
struct Feature {
    description: String,
    since: SqliteVersion,
    token_range: Range<usize>,
}

/// Functions by the version that brought them.
const FUNCTIONS_BY_MINOR_VERSION: &[(&str, u32)] = &[
    ("iif", 32),
    ("sign", 35),
    ("format", 38),
    ("unixepoch", 38),
    ("unhex", 41),
    ("octet_length", 43),
    ("timediff", 43),
    ("concat", 44),
    ("concat_ws", 44),
    ("string_agg", 44),
    ("json_pretty", 46),
    ("if", 48),
    ("unistr", 50),
];

/// Looks at what a block has left in the schema.
pub(crate) fn check(
    (schema, block_run): (&Schema, &BlockRun<'_, '_>),
    min_sqlite: SqliteVersion,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for statement_run in &block_run.statement_runs {
        let slice = &statement_run.statement.sql;
        let statement_tokens = Tokens::new(slice.text());
        for (key, object) in &statement_run.object_changes {
            let Some(object) = object else { continue };
            // What the same block takes away again, the application never meets.
            if schema.get(key).is_none_or(|remaining| remaining.kind != object.kind) {
                continue;
            }
            let stored = Tokens::new(&object.sql);
            let stored = find_features(object.kind, &stored);
            for feature in find_features(object.kind, &statement_tokens) {
                let is_stored = stored
                    .iter()
                    .any(|stored_feature| stored_feature.description == feature.description);
                let span = statement_tokens.span(
                    slice,
                    feature.token_range.start,
                    feature.token_range.end - 1,
                );
                let is_already_reported = |diagnostic: &Diagnostic| {
                    diagnostic.rule == Rule::NeedsNewerSqlite && diagnostic.span == span
                };
                if is_stored
                    && feature.since > min_sqlite
                    && !diagnostics.iter().any(is_already_reported)
                {
                    diagnostics.push(
                        Diagnostic::new(
                            Rule::NeedsNewerSqlite,
                            span,
                            format!(
                                "{} in the {} `{}` needs SQLite {}, and `min_sqlite` is {min_sqlite}",
                                feature.description, object.kind, object.name, feature.since
                            ),
                        )
                        .help("an application with an older SQLite could not read the database; do without it, or raise `min_sqlite`"),
                    );
                }
            }
        }
    }
}

/// What of an object's SQL, or of the statement that makes it, not every SQLite reads.
fn find_features(kind: ObjectKind, tokens: &Tokens<'_>) -> Vec<Feature> {
    let mut found = Vec::new();
    let mut add_feature = |description: &str, (minor, patch), token_range| {
        let description = description.to_owned();
        found.push(Feature { description, since: SqliteVersion(3, minor, patch), token_range });
    };
    if kind == ObjectKind::Index {
        find_index_features(tokens, &mut add_feature);
    }
    if kind == ObjectKind::Table {
        find_table_features(tokens, &mut add_feature);
    }
    for index in (0..tokens.len()).filter(|index| !tokens.is_quoted(*index)) {
        let token = index..index + 1;
        match tokens.text(index).to_ascii_uppercase().as_str() {
            "-" if tokens.is(index + 1, ">") && tokens.is_adjacent(index) => {
                add_feature("the operator `->`", (38, 0), index..index + 2);
            }
            "OVER" if tokens.preceded_by(index, ")") => {
                add_feature("a window function", (25, 0), token);
            }
            "FILTER" if tokens.is(index + 1, "(") && tokens.preceded_by(index, ")") => {
                add_feature("`FILTER`", (30, 0), token);
            }
            "NULLS" if tokens.is(index + 1, "FIRST") || tokens.is(index + 1, "LAST") => {
                add_feature("`NULLS FIRST` or `LAST`", (30, 0), index..index + 2);
            }
            "DISTINCT" if tokens.is(index + 1, "FROM") => {
                add_feature("`IS DISTINCT FROM`", (39, 0), index..index + 2);
            }
            "RIGHT" | "FULL"
                if tokens.is(index + 1, "JOIN")
                    || tokens.match_seq(index + 1, &["OUTER", "JOIN"]) =>
            {
                add_feature("`RIGHT` or `FULL JOIN`", (39, 0), token);
            }
            "MATERIALIZED" => add_feature("`MATERIALIZED`", (35, 0), token),
            "DO" if tokens.is(index + 1, "NOTHING") || tokens.is(index + 1, "UPDATE") => {
                add_feature("an upsert", (24, 0), token);
            }
            "UPDATE"
                if kind == ObjectKind::Trigger
                    && (tokens.preceded_by(index, "BEGIN") || tokens.preceded_by(index, ";"))
                    && is_update_from(tokens, index) =>
            {
                add_feature("`UPDATE … FROM`", (33, 0), token);
            }
            "WITH" if matches!(kind, ObjectKind::View | ObjectKind::Trigger) => {
                add_feature("a common table expression", (8, 3), token);
            }
            word if tokens.is(index + 1, "(") => {
                let keyword = word.to_ascii_lowercase();
                if keyword.starts_with("jsonb_") || keyword == "jsonb" {
                    add_feature("JSONB", (45, 0), token);
                } else if let Some((_, minor)) =
                    FUNCTIONS_BY_MINOR_VERSION.iter().find(|(name, _)| *name == keyword)
                {
                    add_feature(&format!("the function `{keyword}`"), (*minor, 0), token);
                }
            }
            word if word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('_') => {
                add_feature("a number with `_` in it", (46, 0), token);
            }
            _ => {}
        }
    }
    found
}

fn find_table_features(
    tokens: &Tokens<'_>,
    add_feature: &mut impl FnMut(&str, (u32, u32), Range<usize>),
) {
    for index in 1..tokens.len() {
        if tokens.is(index, "AS") && tokens.is(index + 1, "(") {
            add_feature("a generated column", (31, 0), index..index + 1);
        }
        let is_option = tokens.depth(index) == 0
            && (tokens.preceded_by(index, ")") || tokens.preceded_by(index, ","));
        if is_option && tokens.is(index, "STRICT") {
            add_feature("`STRICT`", (37, 0), index..index + 1);
        }
        if is_option && tokens.match_seq(index, &["WITHOUT", "ROWID"]) {
            add_feature("`WITHOUT ROWID`", (8, 2), index..index + 2);
        }
        if tokens.preceded_by(index, "USING") && tokens.is(index, "fts5") {
            add_feature("`fts5`", (9, 0), index..index + 1);
        }
    }
}

fn find_index_features(
    tokens: &Tokens<'_>,
    add_feature: &mut impl FnMut(&str, (u32, u32), Range<usize>),
) {
    let Some(opening) = (0..tokens.len()).find(|index| tokens.is(*index, "(")) else { return };
    let end = tokens.after_matching_close(opening);
    for item in tokens.split_at_commas(opening + 1..end.saturating_sub(1)) {
        let mut expression_end = item.end;
        while expression_end > item.start + 1
            && (tokens.is(expression_end - 1, "ASC")
                || tokens.is(expression_end - 1, "DESC")
                || tokens.is(expression_end - 2, "COLLATE"))
        {
            expression_end -= if tokens.is(expression_end - 2, "COLLATE") { 2 } else { 1 };
        }
        if expression_end > item.start + 1 {
            add_feature("an index on an expression", (9, 0), item.start..expression_end);
        }
    }
    if let Some(at) = tokens.find_top_level(end, "WHERE") {
        add_feature("a partial index", (8, 0), at..at + 1);
    }
}

/// Whether an UPDATE inside a trigger reads from further tables.
fn is_update_from(tokens: &Tokens<'_>, index: usize) -> bool {
    let depth = tokens.depth(index);
    let end = (index..tokens.len()).find(|index| tokens.is(*index, ";")).unwrap_or(tokens.len());
    (index..end).any(|index| tokens.depth(index) == depth && tokens.is(index, "FROM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_features(kind: ObjectKind, sql: &str, expected: &[&str]) {
        let found: Vec<_> = find_features(kind, &Tokens::new(sql))
            .into_iter()
            .map(|feature| feature.description)
            .collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn features_are_found_by_their_tokens() {
        assert_features(
            ObjectKind::Table,
            "CREATE TABLE t (a, strict TEXT, b AS (a))",
            &["a generated column"],
        );
        assert_features(
            ObjectKind::Table,
            "CREATE TABLE t (a INT CHECK (CAST(a AS TEXT) <> '->')) STRICT",
            &["`STRICT`"],
        );
        assert_features(
            ObjectKind::Table,
            "CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID",
            &["`WITHOUT ROWID`"],
        );
        assert_features(ObjectKind::Index, "CREATE INDEX i ON t (a COLLATE nocase DESC, b)", &[]);
        assert_features(
            ObjectKind::Index,
            "CREATE INDEX i ON t (lower(a)) WHERE b",
            &["an index on an expression", "a partial index"],
        );
        assert_features(
            ObjectKind::View,
            "CREATE VIEW v AS SELECT a ->> 'x', iif(a, 1, 2), row_number() OVER (ORDER BY a NULLS LAST) FROM t RIGHT JOIN u",
            &[
                "the operator `->`",
                "the function `iif`",
                "a window function",
                "`NULLS FIRST` or `LAST`",
                "`RIGHT` or `FULL JOIN`",
            ],
        );
        assert_features(
            ObjectKind::Trigger,
            "CREATE TRIGGER r AFTER UPDATE OF a ON t BEGIN UPDATE u SET a = 1 FROM t; INSERT INTO u VALUES (1) ON CONFLICT DO NOTHING; END",
            &["`UPDATE … FROM`", "an upsert"],
        );
        assert_features(
            ObjectKind::Trigger,
            "CREATE TRIGGER r AFTER UPDATE ON t BEGIN UPDATE u SET a = (SELECT 1 FROM t); END",
            &[],
        );
    }

    #[test]
    fn versions_are_three_numbers() {
        assert!("3.9.2".parse::<SqliteVersion>().unwrap() < "3.35".parse().unwrap());
        for invalid in ["", "3", "4.0", "3.x", "3.35.0.1", "3.+5"] {
            assert!(invalid.parse::<SqliteVersion>().is_err(), "{invalid}");
        }
    }
}
