//! Defines the migrations of another tool as they are read from its files: their keys, names and
//! dates, and their SQL in chunks that know their lines.

use jiff::civil::Date;

use crate::import::date::date_of_name;

/// What one tool's module reads from the files.
#[derive(Debug, Default)]
pub(crate) struct ToolMigrations {
    /// In the order in which the tool applies them.
    pub(crate) migrations: Vec<SourceMigration>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// A migration of another tool.
#[derive(Debug)]
pub(crate) struct SourceMigration {
    /// The texts that identify it in the tool's version table; several for a dump of a schema.
    pub(crate) keys: Vec<String>,
    /// The name that its heading gets.
    pub(crate) name: String,
    pub(crate) date: Option<Date>,
    pub(crate) up: SourceSection,
    pub(crate) down: Option<SourceSection>,
}

impl SourceMigration {
    /// A migration whose name begins with its date, if it has one.
    pub(crate) fn new(key: impl Into<String>, name: &str, up: SourceSection) -> Self {
        let date = date_of_name(name);
        Self { keys: vec![key.into()], name: name.to_owned(), date, up, down: None }
    }

    pub(crate) fn with_down(self, down: Option<SourceSection>) -> Self {
        Self { down, ..self }
    }
}

/// The statements in one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceSection {
    /// The file, as messages show it.
    pub(crate) file: String,
    pub(crate) chunks: Vec<Chunk>,
}

/// Consecutive lines of a file that the tool runs as one or more whole statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) text: String,
    /// The line of the file at which the text begins, from 1.
    pub(crate) first_line: usize,
    pub(crate) variables: Variables,
    /// Why statements in the place of this chunk are unknown: a program decides them.
    pub(crate) unknown_reason: Option<String>,
}

/// Whether the tool replaces variables in a chunk before it runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Variables {
    #[default]
    None,
    /// `${name}`.
    Braces,
    /// `$name` and `${name}`.
    Environment,
}

impl Chunk {
    pub(crate) fn new(text: &str, first_line: usize) -> Self {
        let variables = Variables::None;
        Self { text: text.to_owned(), first_line, variables, unknown_reason: None }
    }

    /// Statements that a program of another language runs.
    pub(crate) fn from_code(reason: impl Into<String>, line: usize) -> Self {
        Self { unknown_reason: Some(reason.into()), ..Self::new("", line) }
    }
}

impl SourceSection {
    /// A whole file.
    pub(crate) fn from_text(file: &str, text: &str) -> Self {
        Self::from_chunks(file, vec![Chunk::new(text, 1)])
    }

    pub(crate) fn from_chunks(file: &str, chunks: Vec<Chunk>) -> Self {
        Self { file: file.to_owned(), chunks }
    }

    /// A file that is a program of another language.
    pub(crate) fn from_code(file: &str, reason: impl Into<String>) -> Self {
        Self::from_chunks(file, vec![Chunk::from_code(reason, 1)])
    }

    pub(crate) fn with_variables(mut self, variables: Variables) -> Self {
        for chunk in &mut self.chunks {
            chunk.variables = variables;
        }
        self
    }
}
