//! Uncomments the SQL of planned migrations in memory, for rehearsals and checks. Every byte keeps
//! its position in the document.

use std::ops::Range;

use rusqlite::Connection;
use semver::Version;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::sqlite_message;
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::{Migration, ScopedSql};
use crate::document::tag::Scope;
use crate::sql::lexer;

/// Keywords that begin a statement.
const STATEMENT_KEYWORDS: &[&str] = &[
    "ALTER", "ANALYZE", "CREATE", "DELETE", "DROP", "INSERT", "PRAGMA", "REINDEX", "REPLACE",
    "SELECT", "UPDATE", "WITH",
];

impl Changelog<'_> {
    /// The text of the document with the SQL of its planned migrations up to a version uncommented.
    /// Every byte keeps its position. Comments that are not SQL stay comments; SQLite's parser
    /// decides which are.
    ///
    /// ```
    /// let text = "## Baseline 1.0.0\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n\
    ///     ## 1.0.0 → 1.1.0 (Planned)\n```sql\n-- [user:1.0.0→1.1.0:start]\n-- DROP TABLE t;\n-- [user:1.0.0→1.1.0:end]\n```\n";
    /// let changelog = tatmig::Changelog::parse(text)?;
    /// let uncommented = changelog.uncomment_planned(&changelog.planned_versions()[0])?;
    /// assert!(uncommented.contains("\n   DROP TABLE t;\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// SQLite cannot open a database in memory.
    pub fn uncomment_planned(&self, version: &Version) -> rusqlite::Result<String> {
        let connection = open_in_memory(&ConnectionSetup::default())?;
        let mut text = self.source().text().as_bytes().to_vec();
        let is_planned = |migration: &&Migration<'_>| {
            migration.planned && migration.to.version().is_some_and(|to| to <= version)
        };
        let baselines = self.baselines().iter().enumerate();
        let baselines =
            baselines.map(|(index, migration)| (migration, StepId::BaselineReverse(index)));
        let chain = self.chain().iter().enumerate();
        let chain = chain.map(|(index, migration)| (migration, StepId::Reverse(index)));
        let planned = baselines
            .chain(chain)
            .filter(|(migration, _)| is_planned(migration))
            .flat_map(|(migration, reverse)| [Some(migration), self.step(reverse)])
            .flatten();
        for migration in planned {
            for block in Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope)) {
                for marker in comment_markers(&connection, block) {
                    text[marker..marker + 2].fill(b' ');
                }
            }
        }
        // Two ASCII bytes were replaced by two others, so the text is still UTF-8.
        Ok(String::from_utf8(text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// The byte offsets in the document of the comment marks of two bytes around the statements of a
/// block: `--` before each line, or `/*` and `*/`.
pub(crate) fn comment_markers(connection: &Connection, block: &ScopedSql<'_>) -> Vec<usize> {
    let text = block.sql().text();
    let comments: Vec<_> = lexer::tokens(text, 0)
        .filter(|token| token.kind == lexer::TokenKind::Comment && token.is_terminated)
        .map(|token| token.range)
        .collect();
    let is_line = |comment: &Range<usize>| text[comment.clone()].starts_with("--");
    let mut markers = Vec::new();
    let mut index = 0;
    while index < comments.len() {
        let comment = &comments[index];
        if !is_line(comment) {
            if is_statement(connection, &text[comment.start + 2..comment.end - 2]) {
                markers.extend([comment.start, comment.end - 2]);
            }
            index += 1;
            continue;
        }
        let lines = comments[index..].iter().take_while(|comment| is_line(comment));
        let lines = lines.map(|comment| &text[comment.start + 2..comment.end]);
        let count = statement_line_count(connection, lines);
        markers.extend(comments[index..index + count].iter().map(|comment| comment.start));
        index += count.max(1);
    }
    markers.into_iter().map(|offset| block.sql().document_offset(offset)).collect()
}

/// Whether the text of a comment begins with a statement.
fn is_statement(connection: &Connection, text: &str) -> bool {
    let start = lexer::skip_trivia(text, 0);
    statement_line_count(connection, text[start..].lines()) > 0
}

/// The number of lines, from the first on, that form one statement; 0 if the first line does not
/// begin a statement.
fn statement_line_count<'t>(
    connection: &Connection,
    lines: impl Iterator<Item = &'t str>,
) -> usize {
    let mut candidate = String::new();
    let mut is_uppercase = false;
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let first = line.split_whitespace().next().unwrap_or("");
            let word = first.to_ascii_uppercase();
            is_uppercase = word == first;
            if !STATEMENT_KEYWORDS.contains(&word.as_str()) {
                return 0;
            }
        }
        candidate.push_str(line);
        candidate.push('\n');
        if !line.trim_end().ends_with(';') || lexer::is_unfinished_trigger(&candidate) {
            continue;
        }
        match read_statement(connection, &candidate) {
            Candidate::Statement => return index + 1,
            // Prose may begin with such a keyword. A keyword in capitals is SQL with a syntax error,
            // which must be reported and not passed over.
            Candidate::SyntaxError => return if is_uppercase { index + 1 } else { 0 },
            Candidate::Incomplete => {}
        }
    }
    // The last statement of a block needs no semicolon.
    let is_last =
        is_uppercase && matches!(read_statement(connection, &candidate), Candidate::Statement);
    if is_last { candidate.lines().count() } else { 0 }
}

/// What a text is that begins with a keyword of SQL.
enum Candidate {
    Statement,
    Incomplete,
    SyntaxError,
}

fn read_statement(connection: &Connection, text: &str) -> Candidate {
    let Err(error) = connection.prepare(text) else { return Candidate::Statement };
    let message = sqlite_message(&error);
    if message == "incomplete input" {
        Candidate::Incomplete
    } else if message.contains("syntax error") || message.contains("unrecognized token") {
        Candidate::SyntaxError
    } else {
        // The statement names a table that an empty database does not have, but it is SQL.
        Candidate::Statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_uncommented_and_prose_is_not() {
        let text = "## Baseline 1.0.0\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a, b);\n-- [user:baseline→1.0.0:end]\n```\n\
                    ## 1.0.0 → 1.1.0 (Planned)\n```sql\n-- [user:1.0.0→1.1.0:start]\n\
                    -- Drop the column that nobody reads;\n-- ALTER TABLE t\n--   DROP COLUMN b;\n-- then:\n\
                    --CREATE TRIGGER x AFTER INSERT ON t BEGIN\n--  DELETE FROM t;\n--  SELECT 1;\n-- END;\n\
                    -- [user:1.0.0→1.1.0:end]\n```\n";
        let changelog = Changelog::parse(text).unwrap();
        let version = Version::new(1, 1, 0);
        let uncommented = changelog.uncomment_planned(&version).unwrap();
        assert_eq!(uncommented.len(), text.len());
        let changelog = Changelog::parse(&uncommented).unwrap();
        let part = changelog.chain()[0].user.as_ref().unwrap();
        assert_eq!(
            lexer::normalize(part.sql().text()),
            "ALTER TABLE t DROP COLUMN b ; CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t ; SELECT 1 ; END"
        );
        assert!(uncommented.contains("-- Drop the column"));
    }

    #[test]
    fn comments_in_slashes_and_a_last_statement_without_a_semicolon_are_uncommented() {
        for (sql, expected) in [
            ("/* ALTER TABLE t DROP COLUMN b; */", "ALTER TABLE t DROP COLUMN b"),
            (
                "/*\n-- why\nALTER TABLE t DROP COLUMN b;\nDELETE FROM t\n*/",
                "ALTER TABLE t DROP COLUMN b ; DELETE FROM t",
            ),
            ("-- ALTER TABLE t\n--   DROP COLUMN b", "ALTER TABLE t DROP COLUMN b"),
            ("-- first\n/* DELETE FROM t; */\n-- SELECT 1;", "DELETE FROM t ; SELECT 1"),
            ("/* Drop the column; it is not used. */\n-- Select the rows", ""),
            ("/* DELETE comes later */\n-- UPDATE needed", ""),
        ] {
            let text = format!(
                "## Baseline 1.0.0\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a, b);\n-- [user:baseline→1.0.0:end]\n```\n\
                 ## 1.0.0 → 1.1.0 (Planned)\n```sql\n-- [user:1.0.0→1.1.0:start]\n{sql}\n-- [user:1.0.0→1.1.0:end]\n```\n"
            );
            let changelog = Changelog::parse(&text).unwrap();
            let uncommented = changelog.uncomment_planned(&Version::new(1, 1, 0)).unwrap();
            let changelog = Changelog::parse(&uncommented).unwrap();
            let block = changelog.chain()[0].user.as_ref().unwrap();
            assert_eq!(lexer::normalize(block.sql().text()), expected, "{sql}");
        }
    }
}
