//! Reports parts of the schema that an older SQLite cannot read. tatmig runs the document with its
//! bundled SQLite, but the application may open the database with an older one. Only what is stored
//! in the schema counts, not the statements that created it.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::BlockRun;
use crate::lint::engine::SqliteVersion;
use crate::schema::{ObjectKind, Schema};
use crate::sql::tokens::Tokens;

/// A feature that needs a certain SQLite version, and the tokens that use it.
struct Feature {
    description: String,
    since: SqliteVersion,
    token_range: Range<usize>,
}

impl Feature {
    /// A feature of SQLite 3.`minor`.0.
    fn new(description: &str, minor: u32, token_range: Range<usize>) -> Self {
        let since = SqliteVersion(3, minor, 0);
        Self { description: description.to_owned(), since, token_range }
    }
}

/// SQL functions, each with the minor version of SQLite 3 that introduced it.
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

/// Checks the objects that a block has created and not dropped again.
pub(crate) fn check(
    schema: &Schema,
    block_run: &BlockRun<'_, '_>,
    min_sqlite: SqliteVersion,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for statement_run in &block_run.statement_runs {
        let slice = &statement_run.statement.sql;
        let statement_tokens = Tokens::new(slice.text());
        for (key, object) in &statement_run.object_changes {
            let Some(object) = object else { continue };
            // The application never reads what the same block drops again.
            if schema.get(key).is_none_or(|remaining| remaining.kind != object.kind) {
                continue;
            }
            let stored_features = find_features(object.kind, &Tokens::new(&object.sql));
            for feature in find_features(object.kind, &statement_tokens) {
                let is_stored = stored_features
                    .iter()
                    .any(|stored_feature| stored_feature.description == feature.description);
                if !is_stored || feature.since <= min_sqlite {
                    continue;
                }
                let range = &feature.token_range;
                let span = statement_tokens.span(slice, range.start, range.end - 1);
                let is_already_reported = |diagnostic: &Diagnostic| {
                    diagnostic.rule == Rule::NeedsNewerSqlite && diagnostic.span == span
                };
                if !diagnostics.iter().any(is_already_reported) {
                    let message = format!(
                        "{} in the {} `{}` needs SQLite {}, but `min_sqlite` is {min_sqlite}",
                        feature.description, object.kind, object.name, feature.since
                    );
                    diagnostics.push(
                        Diagnostic::new(Rule::NeedsNewerSqlite, span, message).help(
                            "an application with an older SQLite cannot read the database; avoid the feature, or raise `min_sqlite`",
                        ),
                    );
                }
            }
        }
    }
}

/// The features in the SQL of an object, or in the statement that creates it, that need a certain
/// SQLite version.
fn find_features(kind: ObjectKind, tokens: &Tokens<'_>) -> Vec<Feature> {
    let mut features = match kind {
        ObjectKind::Index => index_features(tokens),
        ObjectKind::Table => table_features(tokens),
        ObjectKind::View | ObjectKind::Trigger => Vec::new(),
    };
    features.extend((0..tokens.len()).filter(|index| !tokens.is_quoted(*index)).filter_map(
        |index| {
            operator_feature(kind, tokens, index)
                .or_else(|| statement_feature(kind, tokens, index))
                .or_else(|| function_feature(tokens, index))
        },
    ));
    features
}

/// A feature of an expression: an operator, a clause of an aggregate, a literal.
fn operator_feature(kind: ObjectKind, tokens: &Tokens<'_>, index: usize) -> Option<Feature> {
    let token = index..index + 1;
    let two_tokens = index..index + 2;
    let is_followed_by = |expected: &str| tokens.is(index + 1, expected);
    let follows_bracket = tokens.preceded_by(index, ")");
    let feature = match tokens.text(index).to_ascii_uppercase().as_str() {
        "-" if is_followed_by(">") && tokens.is_adjacent(index) => {
            Feature::new("the operator `->`", 38, two_tokens)
        }
        "OVER" if follows_bracket => Feature::new("a window function", 25, token),
        "FILTER" if is_followed_by("(") && follows_bracket => Feature::new("`FILTER`", 30, token),
        "NULLS" if is_followed_by("FIRST") || is_followed_by("LAST") => {
            Feature::new("`NULLS FIRST` or `LAST`", 30, two_tokens)
        }
        "DISTINCT" if is_followed_by("FROM") => Feature::new("`IS DISTINCT FROM`", 39, two_tokens),
        "WITH" if matches!(kind, ObjectKind::View | ObjectKind::Trigger) => Feature {
            since: SqliteVersion(3, 8, 3),
            ..Feature::new("a common table expression", 8, token)
        },
        word if word.starts_with(|c: char| c.is_ascii_digit())
            && word.contains('_')
            && !is_followed_by("(") =>
        {
            Feature::new("a number with `_` in it", 46, token)
        }
        _ => return None,
    };
    Some(feature)
}

/// A feature of a SELECT, or of a statement in the body of a trigger.
fn statement_feature(kind: ObjectKind, tokens: &Tokens<'_>, index: usize) -> Option<Feature> {
    let token = index..index + 1;
    let is_followed_by = |expected: &str| tokens.is(index + 1, expected);
    let feature = match tokens.text(index).to_ascii_uppercase().as_str() {
        "RIGHT" | "FULL"
            if is_followed_by("JOIN") || tokens.match_seq(index + 1, &["OUTER", "JOIN"]) =>
        {
            Feature::new("`RIGHT` or `FULL JOIN`", 39, token)
        }
        "MATERIALIZED" => Feature::new("`MATERIALIZED`", 35, token),
        "DO" if is_followed_by("NOTHING") || is_followed_by("UPDATE") => {
            Feature::new("an upsert", 24, token)
        }
        "UPDATE"
            if kind == ObjectKind::Trigger
                && (tokens.preceded_by(index, "BEGIN") || tokens.preceded_by(index, ";"))
                && is_update_from(tokens, index) =>
        {
            Feature::new("`UPDATE … FROM`", 33, token)
        }
        _ => return None,
    };
    Some(feature)
}

fn function_feature(tokens: &Tokens<'_>, index: usize) -> Option<Feature> {
    if !tokens.is(index + 1, "(") {
        return None;
    }
    let token = index..index + 1;
    let name = tokens.text(index).to_ascii_lowercase();
    if name.starts_with("jsonb_") || name == "jsonb" {
        return Some(Feature::new("JSONB", 45, token));
    }
    let (_, minor) = FUNCTIONS_BY_MINOR_VERSION.iter().find(|(function, _)| *function == name)?;
    Some(Feature::new(&format!("the function `{name}`"), *minor, token))
}

fn table_features(tokens: &Tokens<'_>) -> Vec<Feature> {
    let mut features = Vec::new();
    for index in 1..tokens.len() {
        let token = index..index + 1;
        if tokens.is(index, "AS") && tokens.is(index + 1, "(") {
            features.push(Feature::new("a generated column", 31, token.clone()));
        }
        let is_option = tokens.depth(index) == 0
            && (tokens.preceded_by(index, ")") || tokens.preceded_by(index, ","));
        if is_option && tokens.is(index, "STRICT") {
            features.push(Feature::new("`STRICT`", 37, token.clone()));
        }
        if is_option && tokens.match_seq(index, &["WITHOUT", "ROWID"]) {
            features.push(Feature {
                since: SqliteVersion(3, 8, 2),
                ..Feature::new("`WITHOUT ROWID`", 8, index..index + 2)
            });
        }
        if tokens.preceded_by(index, "USING") && tokens.is(index, "fts5") {
            features.push(Feature::new("`fts5`", 9, token));
        }
    }
    features
}

fn index_features(tokens: &Tokens<'_>) -> Vec<Feature> {
    let mut features = Vec::new();
    let Some(opening) = (0..tokens.len()).find(|index| tokens.is(*index, "(")) else {
        return features;
    };
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
            let token_range = item.start..expression_end;
            features.push(Feature::new("an index on an expression", 9, token_range));
        }
    }
    if let Some(index) = tokens.find_top_level(end, "WHERE") {
        features.push(Feature::new("a partial index", 8, index..index + 1));
    }
    features
}

/// Whether an UPDATE inside a trigger has a FROM clause.
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
}
