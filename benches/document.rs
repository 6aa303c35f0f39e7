//! Measures how long parsing and linting a document take, and how the time grows with its size.

use std::fmt::Write as _;

use divan::{Bencher, black_box};
use tatmig::database::ConnectionSetup;
use tatmig::{Changelog, Source};

fn main() {
    divan::main();
}

/// A document whose migrations add columns to a hundred tables, so that the schema grows with it.
fn growing_document(migrations: usize) -> String {
    document_with_migrations(migrations, |number| {
        format!(
            "ALTER TABLE t{} ADD COLUMN c{number} TEXT NOT NULL DEFAULT 'nothing yet';",
            number % 100
        )
    })
}

/// A document whose migrations add, fill and drop columns, so that the schema does not grow.
fn constant_size_document(migrations: usize) -> String {
    document_with_migrations(migrations, |number| {
        let (table, column) = (number / 4 % 100, number / 4);
        match number % 4 {
            0 => format!("ALTER TABLE t{table} ADD COLUMN c{column} TEXT;"),
            1 => format!("UPDATE t{table} SET c{column} = 'x' WHERE c{column} IS NULL;"),
            2 => format!("CREATE INDEX IF NOT EXISTS i{column} ON t{table} (id, c{column});"),
            _ => format!(
                "DROP INDEX IF EXISTS i{column};\nALTER TABLE t{table} DROP COLUMN c{column};"
            ),
        }
    })
}

/// Migrations with realistic prose around each.
fn document_with_migrations(migrations: usize, sql: impl Fn(usize) -> String) -> String {
    let mut text =
        "# Migrations\n\n## Baseline: 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\n".to_owned();
    for table in 0..100 {
        let _ = writeln!(text, "CREATE TABLE IF NOT EXISTS t{table} (id INTEGER PRIMARY KEY);");
    }
    text.push_str("-- [user:baseline→1.0.0:end]\n```\n\n");
    for number in 0..migrations {
        let (from, to) = (format!("1.0.{number}"), format!("1.0.{}", number + 1));
        let sql = sql(number);
        let _ = writeln!(
            text,
            "## {from} → {to}\n\n**Date**: 2026-01-01\n**Description**: Column number {number}, for a \
             reason that somebody wrote down here so that the next one understands it\n\n\
             ```sql\n-- [user:{from}→{to}:start]\n-- One more thing to know of every row\n\
             {sql}\n-- [user:{from}→{to}:end]\n```\n"
        );
    }
    text
}

/// Parses a document: reads blocks, pairs tags, and orders versions.
#[divan::bench(args = [10, 1_000, 10_000])]
fn parse(bencher: Bencher<'_, '_>, migrations: usize) {
    let text = growing_document(migrations);
    bencher
        .counter(divan::counter::BytesCount::of_str(&text))
        .bench(|| Changelog::parse(black_box(&text)).map(|changelog| changelog.versions().len()));
}

/// Parses and lints a document. Most of the time is SQLite's replay.
#[divan::bench(args = [10, 100, 1_000], sample_count = 10)]
fn lint(bencher: Bencher<'_, '_>, migrations: usize) {
    let text = growing_document(migrations);
    bencher.bench(|| {
        tatmig::lint::lint(Source::new("m.md", black_box(&text)), &ConnectionSetup::default())
    });
}

/// The same with a schema that does not grow.
#[divan::bench(args = [1_000, 10_000], sample_count = 5, sample_size = 1)]
fn lint_constant_size(bencher: Bencher<'_, '_>, migrations: usize) {
    let text = constant_size_document(migrations);
    bencher.bench(|| {
        tatmig::lint::lint(Source::new("m.md", black_box(&text)), &ConnectionSetup::default())
    });
}

/// Text on which a naive parser would be quadratic.
#[divan::bench(args = [50_000, 200_000], sample_count = 10)]
fn lint_brackets(bencher: Bencher<'_, '_>, count: usize) {
    let text = "[".repeat(count);
    bencher.bench(|| {
        tatmig::lint::lint(Source::new("m.md", black_box(&text)), &ConnectionSetup::default())
            .is_unusable
    });
}

#[divan::bench(args = [1, 10], sample_count = 10)]
fn lint_long_line(bencher: Bencher<'_, '_>, megabytes: usize) {
    let text = format!("# Long\n\n{}\nend\n", "word [user: ".repeat(megabytes * 87_382));
    bencher.bench(|| {
        tatmig::lint::lint(Source::new("m.md", black_box(&text)), &ConnectionSetup::default())
            .is_unusable
    });
}
