//! Runs `lsp`: the language server of the library, with the settings of each document.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tatmig::lint::LintOptions;
use tatmig::lsp::{DocumentSettings, Host, ServerExit, serve};
use tatmig::{Diagnostic, Rule};

use crate::cli::args::global::GlobalArgs;
use crate::cli::commands::lint::{LintLevels, check_rule_names};
use crate::cli::commands::new::today;
use crate::cli::report::exit_status::{EXIT_FAILURE, EXIT_SUCCESS};
use crate::cli::report::views::rule::explanation;
use crate::cli::settings::Settings;
use crate::cli::settings::file::LintSettings;
use crate::cli::settings::origins::ArgumentSources;

/// Serves an editor until it leaves. Leaving without a shutdown is a failure, as the protocol says.
pub(crate) fn run(global: &GlobalArgs, sources: &ArgumentSources) -> u8 {
    let host = EditorHost { global: global.clone(), sources: sources.clone() };
    match serve(Arc::new(host)) {
        ServerExit::AfterShutdown => EXIT_SUCCESS,
        _ => EXIT_FAILURE,
    }
}

/// The options of this process, which hold for every document.
struct EditorHost {
    global: GlobalArgs,
    sources: ArgumentSources,
}

impl Host for EditorHost {
    fn settings(&self, document: &Path) -> Result<DocumentSettings, String> {
        let global = GlobalArgs { file: Some(document.to_owned()), ..self.global.clone() };
        let settings = Settings::resolve(&global, &self.sources, Arc::default())
            .and_then(|settings| {
                check_rule_names(&settings.lint, " in tatmig.toml")?;
                Ok(settings)
            })
            .map_err(|error| format!("{error:#}"))?;
        let mut options = LintOptions::default();
        options.min_sqlite = settings.min_sqlite;
        options.backend = settings.backend();
        let levels = settings.lint.clone();
        let apply_levels = move |diagnostics: &mut Vec<Diagnostic>| {
            LintLevels { args: &LintSettings::default(), file: &levels }.apply(diagnostics);
        };
        Ok(DocumentSettings::new(options, settings.connection_setup)
            .with_levels(Arc::new(apply_levels)))
    }

    fn command(&self, document: &Path) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "tatmig".into());
        let mut command = Command::new(program);
        if let Some(directory) = document.parent().filter(|directory| directory.is_dir()) {
            command.current_dir(directory);
        }
        if let Some(config) = &self.global.config {
            command.arg("--config").arg(std::path::absolute(config).unwrap_or(config.clone()));
        }
        command.arg("--file").arg(document);
        command
    }

    fn explanation(&self, rule: Rule) -> &'static str {
        explanation(rule.name()).unwrap_or_else(|| rule.summary())
    }

    fn today(&self) -> String {
        today()
    }
}
