//! What in the schema an older SQLite cannot read. tatmig runs the document with a SQLite of its
//! own; the application reads the schema with another. So only what is stored counts, not the
//! statements that made it.

use std::ops::Range;

use crate::document::diagnostic::{Problem, Rule};
use crate::lint::context::Act;
use crate::lint::engine::SqliteVersion;
use crate::schema::{Kind, Schema};
use crate::sql::create_table::items;
use crate::sql::tokens::Words;

/// Something that not every SQLite reads, and the tokens that say it.
struct Feature {
    what: String,
    since: SqliteVersion,
    tokens: Range<usize>,
}

/// Functions by the version that brought them.
const FUNCTIONS: &[(&str, u32)] = &[
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
pub(crate) fn judge(
    (schema, act): (&Schema, &Act<'_, '_>),
    minimum: SqliteVersion,
    problems: &mut Vec<Problem>,
) {
    for turn in &act.turns {
        let piece = &turn.statement.sql;
        let written = Words::of(piece.text());
        for (key, object) in &turn.changes {
            let Some(object) = object else { continue };
            // What the same block takes away again, the application never meets.
            if schema.get(key).is_none_or(|left| left.kind != object.kind) {
                continue;
            }
            let stored = Words::of(&object.sql);
            let stored = features(object.kind, &stored);
            for feature in features(object.kind, &written) {
                let is_stored = stored.iter().any(|other| other.what == feature.what);
                let span = written.span(piece, feature.tokens.start, feature.tokens.end - 1);
                let told = |problem: &Problem| {
                    problem.rule == Rule::NeedsNewerSqlite && problem.span == span
                };
                if is_stored && feature.since > minimum && !problems.iter().any(told) {
                    problems.push(
                        Problem::new(
                            Rule::NeedsNewerSqlite,
                            span,
                            format!(
                                "{} in the {} `{}` needs SQLite {}, and `min_sqlite` is {minimum}",
                                feature.what, object.kind, object.name, feature.since
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
fn features(kind: Kind, words: &Words<'_>) -> Vec<Feature> {
    let mut found = Vec::new();
    let mut note = |what: &str, (minor, patch), tokens| {
        let what = what.to_owned();
        found.push(Feature { what, since: SqliteVersion(3, minor, patch), tokens });
    };
    if kind == Kind::Index {
        index(words, &mut note);
    }
    if kind == Kind::Table {
        table(words, &mut note);
    }
    for at in (0..words.len()).filter(|at| !words.is_quoted(*at)) {
        let one = at..at + 1;
        match words.text(at).to_ascii_uppercase().as_str() {
            "-" if words.is(at + 1, ">") && words.range(at).end == words.range(at + 1).start => {
                note("the operator `->`", (38, 0), at..at + 2);
            }
            "OVER" if words.follows(at, ")") => note("a window function", (25, 0), one),
            "FILTER" if words.is(at + 1, "(") && words.follows(at, ")") => {
                note("`FILTER`", (30, 0), one);
            }
            "NULLS" if words.is(at + 1, "FIRST") || words.is(at + 1, "LAST") => {
                note("`NULLS FIRST` or `LAST`", (30, 0), at..at + 2);
            }
            "DISTINCT" if words.is(at + 1, "FROM") => {
                note("`IS DISTINCT FROM`", (39, 0), at..at + 2);
            }
            "RIGHT" | "FULL"
                if words.is(at + 1, "JOIN") || words.are(at + 1, &["OUTER", "JOIN"]) =>
            {
                note("`RIGHT` or `FULL JOIN`", (39, 0), one);
            }
            "MATERIALIZED" => note("`MATERIALIZED`", (35, 0), one),
            "DO" if words.is(at + 1, "NOTHING") || words.is(at + 1, "UPDATE") => {
                note("an upsert", (24, 0), one);
            }
            "UPDATE"
                if kind == Kind::Trigger
                    && (words.follows(at, "BEGIN") || words.follows(at, ";"))
                    && is_update_from(words, at) =>
            {
                note("`UPDATE … FROM`", (33, 0), one);
            }
            "WITH" if matches!(kind, Kind::View | Kind::Trigger) => {
                note("a common table expression", (8, 3), one);
            }
            word if words.is(at + 1, "(") => {
                let word = word.to_ascii_lowercase();
                if word.starts_with("jsonb_") || word == "jsonb" {
                    note("JSONB", (45, 0), one);
                } else if let Some((_, minor)) = FUNCTIONS.iter().find(|(name, _)| *name == word) {
                    note(&format!("the function `{word}`"), (*minor, 0), one);
                }
            }
            word if word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('_') => {
                note("a number with `_` in it", (46, 0), one);
            }
            _ => {}
        }
    }
    found
}

fn table(words: &Words<'_>, note: &mut impl FnMut(&str, (u32, u32), Range<usize>)) {
    for at in 1..words.len() {
        if words.is(at, "AS") && words.is(at + 1, "(") {
            note("a generated column", (31, 0), at..at + 1);
        }
        let is_option = words.depth(at) == 0 && (words.follows(at, ")") || words.follows(at, ","));
        if is_option && words.is(at, "STRICT") {
            note("`STRICT`", (37, 0), at..at + 1);
        }
        if is_option && words.are(at, &["WITHOUT", "ROWID"]) {
            note("`WITHOUT ROWID`", (8, 2), at..at + 2);
        }
        if words.follows(at, "USING") && words.is(at, "fts5") {
            note("`fts5`", (9, 0), at..at + 1);
        }
    }
}

fn index(words: &Words<'_>, note: &mut impl FnMut(&str, (u32, u32), Range<usize>)) {
    let Some(open) = (0..words.len()).find(|at| words.is(*at, "(")) else { return };
    let end = words.behind(open);
    for item in items(words, open + 1..end.saturating_sub(1)) {
        let mut last = item.end;
        while last > item.start + 1
            && (words.is(last - 1, "ASC")
                || words.is(last - 1, "DESC")
                || words.is(last - 2, "COLLATE"))
        {
            last -= if words.is(last - 2, "COLLATE") { 2 } else { 1 };
        }
        if last > item.start + 1 {
            note("an index on an expression", (9, 0), item.start..last);
        }
    }
    if let Some(at) = words.outer(end, "WHERE") {
        note("a partial index", (8, 0), at..at + 1);
    }
}

/// Whether an UPDATE inside a trigger reads from further tables.
fn is_update_from(words: &Words<'_>, at: usize) -> bool {
    let depth = words.depth(at);
    let end = (at..words.len()).find(|at| words.is(*at, ";")).unwrap_or(words.len());
    (at..end).any(|at| words.depth(at) == depth && words.is(at, "FROM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(kind: Kind, sql: &str, expected: &[&str]) {
        let found: Vec<_> =
            features(kind, &Words::of(sql)).into_iter().map(|feature| feature.what).collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn features_are_told_by_their_tokens() {
        case(Kind::Table, "CREATE TABLE t (a, strict TEXT, b AS (a))", &["a generated column"]);
        case(
            Kind::Table,
            "CREATE TABLE t (a INT CHECK (CAST(a AS TEXT) <> '->')) STRICT",
            &["`STRICT`"],
        );
        case(Kind::Table, "CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID", &["`WITHOUT ROWID`"]);
        case(Kind::Index, "CREATE INDEX i ON t (a COLLATE nocase DESC, b)", &[]);
        case(
            Kind::Index,
            "CREATE INDEX i ON t (lower(a)) WHERE b",
            &["an index on an expression", "a partial index"],
        );
        case(
            Kind::View,
            "CREATE VIEW v AS SELECT a ->> 'x', iif(a, 1, 2), row_number() OVER (ORDER BY a NULLS LAST) FROM t RIGHT JOIN u",
            &[
                "the operator `->`",
                "the function `iif`",
                "a window function",
                "`NULLS FIRST` or `LAST`",
                "`RIGHT` or `FULL JOIN`",
            ],
        );
        case(
            Kind::Trigger,
            "CREATE TRIGGER r AFTER UPDATE OF a ON t BEGIN UPDATE u SET a = 1 FROM t; INSERT INTO u VALUES (1) ON CONFLICT DO NOTHING; END",
            &["`UPDATE … FROM`", "an upsert"],
        );
        case(
            Kind::Trigger,
            "CREATE TRIGGER r AFTER UPDATE ON t BEGIN UPDATE u SET a = (SELECT 1 FROM t); END",
            &[],
        );
    }

    #[test]
    fn versions_are_three_numbers() {
        assert!("3.9.2".parse::<SqliteVersion>().unwrap() < "3.35".parse().unwrap());
        for wrong in ["", "3", "4.0", "3.x", "3.35.0.1", "3.+5"] {
            assert!(wrong.parse::<SqliteVersion>().is_err(), "{wrong}");
        }
    }
}
