//! What reading a document costs: in all, and as it grows.

use std::fmt::Write as _;
use std::sync::Arc;

use divan::{Bencher, black_box};
use tatmig::{Changelog, Source};

fn main() {
    divan::main();
}

/// A document of some migrations that add columns to a hundred tables, with the prose around
/// them that people write.
fn document(migrations: usize) -> String {
    let mut text =
        "# Migrations\n\n## Baseline: 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\n".to_owned();
    for table in 0..100 {
        let _ = writeln!(text, "CREATE TABLE IF NOT EXISTS t{table} (id INTEGER PRIMARY KEY);");
    }
    text.push_str("-- [user:baseline→1.0.0:end]\n```\n\n");
    for n in 0..migrations {
        let (from, to) = (format!("1.0.{n}"), format!("1.0.{}", n + 1));
        let table = n % 100;
        let _ = writeln!(
            text,
            "## {from} → {to}\n\n**Date**: 2026-01-01\n**Description**: Column number {n}, for a \
             reason that somebody wrote down here so that the next one understands it\n\n\
             ```sql\n-- [user:{from}→{to}:start]\n-- One more thing to know of every row\n\
             ALTER TABLE t{table} ADD COLUMN c{n} TEXT NOT NULL DEFAULT 'nothing yet';\n\
             -- [user:{from}→{to}:end]\n```\n"
        );
    }
    text
}

/// Read, pair, order and check.
#[divan::bench(args = [10, 1_000, 10_000])]
fn parse(bencher: Bencher<'_, '_>, migrations: usize) {
    let text = document(migrations);
    bencher
        .counter(divan::counter::BytesCount::of_str(&text))
        .bench(|| Changelog::parse(black_box(&text)).map(|changelog| changelog.versions().len()));
}

/// Read and replayed in memory; most of it is SQLite's own work.
#[divan::bench(args = [10, 100, 1_000], sample_count = 10)]
fn lint(bencher: Bencher<'_, '_>, migrations: usize) {
    let text = document(migrations);
    bencher.bench(|| tatmig::lint(Source::new("m.md", black_box(&text)), &Arc::default()));
}

/// Text that a careless reader goes through twice at every step.
#[divan::bench(args = [50_000, 200_000], sample_count = 10)]
fn brackets(bencher: Bencher<'_, '_>, count: usize) {
    let text = "[".repeat(count);
    bencher.bench(|| tatmig::lint(Source::new("m.md", black_box(&text)), &Arc::default()).1);
}

#[divan::bench(args = [1, 10], sample_count = 10)]
fn one_line_of_megabytes(bencher: Bencher<'_, '_>, megabytes: usize) {
    let text = "word [user: ".repeat(megabytes * 87_382);
    bencher.bench(|| tatmig::lint(Source::new("m.md", black_box(&text)), &Arc::default()).1);
}
