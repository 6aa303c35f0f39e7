//! Turns the SQL of another tool into parts of a block: statements to keep, to leave out, or to
//! comment out for a person.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::edit::page::with_line_ends;
use crate::import::comments::defuse_comments;
use crate::import::migration::{Chunk, SourceSection, Variables};
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
use crate::sql::object_statement::ObjectStatement;
use crate::sql::statements::{split, with_final_semicolon};
use crate::sql::tokens::Tokens;

static BRACED_VARIABLE: LazyLock<Regex> = LazyLock::new(|| constant_pattern(r"\$\{[^}\n]*\}"));
static ENVIRONMENT_VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"\$(?:\{[^}\n]*\}|[A-Za-z_]\w*)"));

/// The statements of a block, or of a reverse block.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The file that they come from, as messages show it.
    pub(crate) file: String,
    pub(crate) parts: Vec<Part>,
}

/// One statement with what precedes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Comments and white space.
    pub(crate) leading: String,
    /// Empty at the end of a section.
    pub(crate) statement: String,
    /// The line of the statement in the file.
    pub(crate) line: usize,
    pub(crate) action: Action,
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Keep,
    Remove(Removal),
    /// It is commented out, and a person has to do something, for this reason.
    Todo(String),
}

/// Why a statement is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Removal {
    /// `BEGIN` and `COMMIT`.
    Transaction,
    /// `PRAGMA foreign_keys` and `PRAGMA defer_foreign_keys` with a value.
    ForeignKeyPragma,
    /// A PRAGMA that only checks.
    CheckPragma,
    /// A statement about the tool's own table.
    Bookkeeping,
}

impl Removal {
    /// What was left out, and why nothing is missing.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Transaction => {
                "`BEGIN` and `COMMIT` are left out: tatmig runs all pending migrations of a database in one transaction"
            }
            Self::ForeignKeyPragma => {
                "`PRAGMA foreign_keys` and `PRAGMA defer_foreign_keys` are left out: foreign keys are off during migrations and checked before the commit"
            }
            Self::CheckPragma => {
                "PRAGMAs that only check are left out: foreign keys are checked before the commit"
            }
            Self::Bookkeeping => {
                "statements about the tool's own version table are left out: tatmig keeps its own history"
            }
        }
    }
}

impl Section {
    /// Reads the statements of a section. Those about one of the tables in `bookkeeping` are left
    /// out.
    pub(crate) fn from_source(source: &SourceSection, bookkeeping: &[&str]) -> Self {
        let mut parts = Vec::new();
        for (index, chunk) in source.chunks.iter().enumerate() {
            let is_last = index + 1 == source.chunks.len();
            read_chunk(chunk, is_last, bookkeeping, &mut parts);
        }
        Self { file: source.file.clone(), parts }
    }

    /// Whether nothing of the section would run or remains to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| match part.action {
            Action::Keep => part.statement.is_empty(),
            Action::Remove(_) => true,
            Action::Todo(_) => false,
        })
    }

    /// The kinds of statements that are left out.
    pub(crate) fn removals(&self) -> BTreeSet<Removal> {
        let removals = self.parts.iter().filter_map(|part| match part.action {
            Action::Remove(removal) => Some(removal),
            _ => None,
        });
        removals.collect()
    }
}

/// Adds the parts of a chunk.
fn read_chunk(chunk: &Chunk, is_last: bool, bookkeeping: &[&str], parts: &mut Vec<Part>) {
    if let Some(reason) = &chunk.unknown_reason {
        parts.push(Part {
            leading: String::new(),
            statement: String::new(),
            line: chunk.first_line,
            action: Action::Todo(reason.clone()),
        });
    }
    let text = with_line_ends(&chunk.text, "\n");
    let text = if is_last { text } else { with_final_semicolon(&text) };
    let mut line = chunk.first_line;
    for range in split(&text) {
        let leading = &text[range.leading.clone()];
        let statement = &text[range.statement.clone()];
        line += leading.matches('\n').count();
        let action = if range.is_terminated {
            decide_action(statement, chunk.variables, bookkeeping)
        } else {
            Action::Todo("a string, a quoted name or a comment has no end".to_owned())
        };
        parts.push(Part {
            leading: close_comment(defuse_comments(leading)),
            statement: match action {
                Action::Todo(_) => statement.to_owned(),
                _ => defuse_comments(statement),
            },
            line,
            action,
        });
        line += statement.matches('\n').count();
    }
}

/// Ends a block comment that has no end: SQLite reads it up to the end of the text.
fn close_comment(mut leading: String) -> String {
    let is_open = lexer::tokens(&leading, 0).last().is_some_and(|token| !token.is_terminated);
    if is_open {
        leading.push_str(" */");
    }
    leading
}

fn decide_action(statement: &str, variables: Variables, bookkeeping: &[&str]) -> Action {
    if statement.is_empty() {
        return Action::Keep;
    }
    if let Some(reason) = variable_in(statement, variables) {
        return Action::Todo(reason);
    }
    if let Some(line) = statement.strip_prefix('.') {
        let command = line.split_whitespace().next().unwrap_or("");
        return Action::Todo(format!(
            "`.{command}` is a command of the sqlite3 shell; write the statements that it runs"
        ));
    }
    let has_carriage_return = lexer::tokens(statement, 0).any(|token| {
        let piece = &statement[token.range];
        token.kind == TokenKind::Quoted && piece.replace("\r\n", "").contains('\r')
    });
    if has_carriage_return {
        return Action::Todo(
            "a string contains a carriage return (shown as `␍`), which no document can contain; write `char(13)`"
                .to_owned(),
        );
    }
    match removal_of(&Tokens::new(statement), bookkeeping) {
        Some(removal) => Action::Remove(removal),
        None => Action::Keep,
    }
}

/// The reason for a statement that holds a variable of the tool.
fn variable_in(statement: &str, variables: Variables) -> Option<String> {
    let pattern = match variables {
        Variables::None => return None,
        Variables::Braces => &BRACED_VARIABLE,
        Variables::Environment => &ENVIRONMENT_VARIABLE,
    };
    let found = pattern.find(statement)?.as_str();
    Some(format!("the tool replaces `{found}` by a value; write the value itself"))
}

/// Why a statement is left out; `None` if it is not.
fn removal_of(tokens: &Tokens<'_>, bookkeeping: &[&str]) -> Option<Removal> {
    if is_transaction_control(tokens) {
        return Some(Removal::Transaction);
    }
    if tokens.is(0, "PRAGMA") {
        let index = tokens.skip_schema_qualifier(1);
        let has_value = tokens.is(index + 1, "=") || tokens.is(index + 1, "(");
        return match tokens.name(index).to_ascii_lowercase().as_str() {
            "foreign_keys" | "defer_foreign_keys" if has_value => Some(Removal::ForeignKeyPragma),
            "foreign_key_check" | "integrity_check" | "quick_check" => Some(Removal::CheckPragma),
            _ => None,
        };
    }
    let index = target_index(tokens)?;
    bookkeeping.iter().any(|name| tokens.is_name(index, name)).then_some(Removal::Bookkeeping)
}

/// Whether a statement only begins a transaction or commits one.
fn is_transaction_control(tokens: &Tokens<'_>) -> bool {
    let begins = tokens.is(0, "BEGIN");
    if !begins && !tokens.is(0, "COMMIT") && !tokens.is(0, "END") {
        return false;
    }
    let kinds = ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"];
    let has_kind = begins && kinds.iter().any(|kind| tokens.is(1, kind));
    let mut index = if has_kind { 2 } else { 1 };
    if tokens.is(index, "TRANSACTION") {
        let has_name = matches!(tokens.kind(index + 1), Some(TokenKind::Word | TokenKind::Quoted));
        index += if has_name { 2 } else { 1 };
    }
    index == tokens.len() || tokens.is(index, ";") && index + 1 == tokens.len()
}

/// The index of the name of the table that a statement creates, drops or writes to.
fn target_index(tokens: &Tokens<'_>) -> Option<usize> {
    let object = ObjectStatement::parse(tokens);
    let index = if let Some(object) = object.filter(|object| object.is_ordinary_table(tokens)) {
        object.name
    } else if tokens.match_seq(0, &["INSERT", "INTO"]) || tokens.match_seq(0, &["DELETE", "FROM"]) {
        2
    } else if tokens.match_seq(0, &["INSERT", "OR"]) && tokens.is(3, "INTO") {
        4
    } else if tokens.is(0, "UPDATE") {
        1
    } else if tokens.match_seq(0, &["CREATE", "UNIQUE", "INDEX"])
        || tokens.match_seq(0, &["CREATE", "INDEX"])
    {
        tokens.find_top_level(2, "ON")? + 1
    } else {
        return None;
    };
    Some(tokens.skip_schema_qualifier(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str, variables: Variables) -> Vec<Action> {
        let section = SourceSection::from_text("a.sql", text).with_variables(variables);
        let section = Section::from_source(&section, &["alembic_version"]);
        section.parts.into_iter().map(|part| part.action).collect()
    }

    #[track_caller]
    fn check_removal(statement: &str, expected: Option<Removal>) {
        let expected = expected.map_or(Action::Keep, Action::Remove);
        assert_eq!(actions(statement, Variables::None)[0], expected, "{statement}");
    }

    #[test]
    fn transaction_control_and_pragmas_without_effect_are_left_out() {
        for statement in [
            "BEGIN;",
            "begin transaction;",
            "BEGIN IMMEDIATE TRANSACTION",
            "BEGIN EXCLUSIVE;",
            "COMMIT;",
            "COMMIT TRANSACTION;",
            "END;",
            "END TRANSACTION",
        ] {
            check_removal(statement, Some(Removal::Transaction));
        }
        for statement in ["BEGIN CONCURRENT;", "ROLLBACK;", "SAVEPOINT a;", "BEGIN a b;"] {
            check_removal(statement, None);
        }
        check_removal("PRAGMA foreign_keys=OFF;", Some(Removal::ForeignKeyPragma));
        check_removal("PRAGMA main.\"foreign_keys\"(0);", Some(Removal::ForeignKeyPragma));
        check_removal("PRAGMA defer_foreign_keys = on", Some(Removal::ForeignKeyPragma));
        check_removal("PRAGMA foreign_key_check;", Some(Removal::CheckPragma));
        check_removal("PRAGMA user_version = 3;", None);
        check_removal("PRAGMA journal_mode = WAL;", None);
    }

    #[test]
    fn statements_about_the_table_of_the_tool_are_left_out() {
        for statement in [
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);",
            "CREATE TABLE IF NOT EXISTS \"alembic_version\" (a);",
            "INSERT INTO alembic_version (version_num) VALUES ('a');",
            "INSERT OR IGNORE INTO main.alembic_version VALUES ('a');",
            "UPDATE alembic_version SET version_num='b';",
            "DELETE FROM alembic_version;",
            "DROP TABLE alembic_version;",
            "CREATE UNIQUE INDEX i ON alembic_version (version_num);",
        ] {
            check_removal(statement, Some(Removal::Bookkeeping));
        }
        check_removal("INSERT INTO notes SELECT * FROM alembic_version;", None);
        check_removal("CREATE TABLE alembic_version_2 (a);", None);
    }

    #[test]
    fn what_a_person_must_write_is_not_kept() {
        let is_todo =
            |text: &str, variables| matches!(&actions(text, variables)[0], Action::Todo(_));
        assert!(is_todo("SELECT 'a", Variables::None));
        assert!(is_todo(".read a.sql\nSELECT 1;", Variables::None));
        assert!(is_todo("SELECT 'a\rb';", Variables::None));
        assert!(is_todo("SELECT '${name}';", Variables::Braces));
        assert!(is_todo("SELECT '$NAME';", Variables::Environment));
        assert!(!is_todo("SELECT '${name}';", Variables::None));
        assert!(!is_todo("SELECT '$name';", Variables::Braces));
        assert!(!is_todo("SELECT 'a\r\nb';", Variables::None));
    }

    #[test]
    fn each_statement_knows_its_line() {
        let chunk = Chunk::new("\n-- a\r\nSELECT 1;\nSELECT\n2;", 10);
        let section = SourceSection::from_chunks("a.sql", vec![chunk]);
        let section = Section::from_source(&section, &[]);
        let lines: Vec<_> = section.parts.iter().map(|part| part.line).collect();
        assert_eq!(lines, [12, 13]);
        assert_eq!(section.parts[0].leading, "\n-- a\n");
    }

    #[test]
    fn a_comment_without_an_end_is_closed() {
        let section = SourceSection::from_text("a.sql", "SELECT 1; /* the rest");
        let section = Section::from_source(&section, &[]);
        assert_eq!(section.parts[1].leading, " /* the rest */");
    }
}
