//! Runs `import`: writes the document from the migrations of another tool, after a run in memory.

use std::path::Path;

use anyhow::bail;
use tatmig::Source;
use tatmig::document::MigrationTool;
use tatmig::import::{self, Candidate, ImportError, ImportOptions, SourceTree};
use tatmig::lint::LintOptions;

use crate::cli::args::document_commands::ImportArgs;
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::commands::write_document;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::views::import::ImportView;
use crate::cli::value_parsers::parse_version;

pub(crate) fn run(context: CommandContext<'_>, args: &ImportArgs) -> anyhow::Result<u8> {
    let path = &context.settings.file;
    let name = tatmig::text::escape_for_display(path.as_os_str());
    if path.symlink_metadata().is_ok() {
        bail!(
            "the document `{name}` exists already and is never overwritten; name a new one with `--file`"
        );
    }
    let first_version = parse_version(&args.version_from)?;
    let tree = read_tree(context, &args.path)?;
    let Candidate { tool, reason } = choose_tool(&tree, args.tool())?;
    let mut lint_options = LintOptions::default();
    lint_options.backend = context.backend();
    let options = ImportOptions {
        scope: args.scope.into(),
        first_version,
        squash_before: args.squash_before.as_deref(),
        lint_options,
    };
    let setup = &context.settings.connection_setup;
    let import = match import::import_migrations(&tree, tool, &options, setup) {
        Ok(import) => import,
        // The signal decides the exit status.
        Err(_) if context.signals.received_signal().is_some() => {
            bail!(AlreadyReported(EXIT_INVALID_INPUT))
        }
        Err(ImportError::Unusable { text, diagnostics }) => {
            let source = Source::new(&name, &text);
            bail!(AlreadyReported(context.report.emit_document_error(&source, &diagnostics)));
        }
        Err(error) => return Err(error.into()),
    };
    if context.signals.received_signal().is_some() {
        bail!(AlreadyReported(EXIT_INVALID_INPUT));
    }
    write_document::create_document(path, &import.text)?;
    let source = Source::new(&name, &import.text);
    Ok(context.report.emit(&ImportView::new(&source, &import, &options, &reason)))
}

fn read_tree(context: CommandContext<'_>, path: &Path) -> anyhow::Result<SourceTree> {
    if path.as_os_str() != "-" {
        return Ok(SourceTree::read(path)?);
    }
    Ok(SourceTree::from_bytes("standard input", context.read_standard_input()?))
}

/// The tool that was named, or the one that the files belong to, with what speaks for it.
fn choose_tool(tree: &SourceTree, named: Option<MigrationTool>) -> Result<Candidate, ImportError> {
    match named {
        Some(tool) => Ok(Candidate { tool, reason: String::new() }),
        None => import::detect(tree),
    }
}
