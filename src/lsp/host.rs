//! Defines what the language server needs of the program around it: settings, the explanations of
//! rules, and commands that run the program.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::database::connection::ConnectionSetup;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::LintOptions;

/// Gives findings the levels of the settings, and leaves out those that the settings allow.
pub type LintLevelsHook = dyn Fn(&mut Vec<Diagnostic>) + Send + Sync;

/// The settings for one document.
#[derive(Clone)]
#[non_exhaustive]
pub struct DocumentSettings {
    /// What lint checks for.
    pub options: LintOptions,
    /// What every connection in memory gets.
    pub setup: ConnectionSetup,
    /// The levels of rules.
    pub levels: Arc<LintLevelsHook>,
}

impl DocumentSettings {
    /// Settings with the levels that rules have by themselves.
    #[must_use]
    pub fn new(options: LintOptions, setup: ConnectionSetup) -> Self {
        Self { options, setup, levels: Arc::new(|_| ()) }
    }

    /// Settings with other levels.
    #[must_use]
    pub fn with_levels(mut self, levels: Arc<LintLevelsHook>) -> Self {
        self.levels = levels;
        self
    }
}

/// The program that runs the language server.
pub trait Host: Send + Sync {
    /// The settings for a document.
    ///
    /// # Errors
    ///
    /// A message for the user; the document is then checked with default settings.
    fn settings(&self, document: &Path) -> Result<DocumentSettings, String>;

    /// This program with the options that name a document; the caller adds a command.
    fn command(&self, document: &Path) -> Command;

    /// The explanation of a rule, in Markdown.
    fn explanation(&self, rule: Rule) -> &'static str;

    /// Today's date, such as `2026-01-31`.
    fn today(&self) -> String;
}
