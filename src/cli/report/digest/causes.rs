//! Groups failures by their cause: the message and the position in the document.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::{Diagnostic, Rule, Source};

use crate::cli::report::digest::excerpt::{Excerpts, clip, clip_message};
use crate::cli::report::format::escape_for_terminal;

/// Beyond this many causes, the others are one.
const MAX_CAUSES: usize = 100;
const MAX_ROWS: usize = 10;
const MAX_ROW: usize = 200;

/// The message of all causes beyond the limit.
const OTHERS: &str = "other errors, each with a message of its own; `--json` has all of them";

/// Why some databases failed.
#[derive(Serialize)]
pub(crate) struct Cause {
    pub(crate) rule: Option<&'static str>,
    pub(crate) message: String,
    help: Option<String>,
    /// The position in the document, as `MIGRATIONS.md:12:3`.
    position: Option<String>,
    excerpt: Option<String>,
    /// The first rows of the first database that the error is about.
    rows: Vec<String>,
    /// The first database with this cause, and its path.
    first: String,
    pub(crate) count: usize,
}

/// What makes two failures the same.
#[derive(PartialEq, Eq, Hash)]
struct CauseKey {
    message: String,
    span: Option<Range<usize>>,
}

/// All causes, in the order in which they were met.
#[derive(Default)]
pub(crate) struct Causes {
    pub(crate) list: Vec<Cause>,
    index_by_key: HashMap<CauseKey, usize>,
    excerpts: Excerpts,
}

/// Where the cause of a failure is in the list.
struct Placed {
    index: usize,
    /// Whether no failure before it had the cause.
    is_new: bool,
}

impl Causes {
    /// Adds the failure of a database. Returns the index of its cause.
    pub(crate) fn add(
        &mut self,
        database: &TargetDatabase,
        error: &MigrateError,
        source: &Source<'_>,
    ) -> usize {
        let span = error.span();
        let message = without_path(&error.to_string(), database);
        let Placed { index, is_new } =
            self.place(CauseKey { message, span: span.clone() }, database);
        if is_new {
            let rule = error.rule();
            let excerpt = span.as_ref().and_then(|span| {
                let diagnostic = Diagnostic::new(rule.unwrap_or(Rule::Sql), span.clone(), "");
                self.excerpts.render(source, &diagnostic)
            });
            let rows = error.rows().iter().take(MAX_ROWS);
            let cause = &mut self.list[index];
            cause.rule = rule.map(Rule::name);
            cause.help = error.help().map(|help| clip_message(&escape_for_terminal(&help)));
            cause.position = span.map(|span| source.format_position(span.start));
            cause.excerpt = excerpt;
            cause.rows = rows.map(|row| clip(&escape_for_terminal(row), MAX_ROW)).collect();
        }
        index
    }

    /// Adds what was found in a database, as text. Returns the index of its cause.
    pub(crate) fn add_message(&mut self, database: &TargetDatabase, message: &str) -> usize {
        let message = without_path(message, database);
        self.place(CauseKey { message, span: None }, database).index
    }

    /// Adds to a new cause what only the view knows about it.
    pub(crate) fn set_help(&mut self, index: usize, help: impl FnOnce() -> Option<String>) {
        if let Some(cause) = self.list.get_mut(index).filter(|cause| cause.count == 1)
            && let Some(help) = help()
        {
            cause.help = Some(clip_message(&help));
        }
    }

    /// Counts a database with a cause.
    fn place(&mut self, mut key: CauseKey, database: &TargetDatabase) -> Placed {
        let is_full = self.list.len() >= MAX_CAUSES && !self.index_by_key.contains_key(&key);
        if is_full {
            key = CauseKey { message: OTHERS.to_owned(), span: None };
        }
        let next = self.list.len();
        let text = clip_message(&escape_for_terminal(&key.message));
        let index = *self.index_by_key.entry(key).or_insert(next);
        let is_new = index == next;
        if is_new {
            self.list.push(Cause::new(text, database));
        }
        self.list[index].count += 1;
        // The cause of all others has no position or rows: they differ.
        Placed { index, is_new: is_new && !is_full }
    }
}

impl Cause {
    fn new(message: String, database: &TargetDatabase) -> Self {
        Self {
            rule: None,
            message,
            help: None,
            position: None,
            excerpt: None,
            rows: Vec::new(),
            first: format!("{} ({})", database.display_name(), database.location.display()),
            count: 0,
        }
    }
}

/// The message without the path of the database, which differs from the next database's.
fn without_path(message: &str, database: &TargetDatabase) -> String {
    let path = database.location.display();
    if path.is_empty() { message.to_owned() } else { message.replace(&path, "…") }
}
