//! Runs `query`: one statement that reads, on the selected databases. No byte of them changes.

use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;

use anyhow::bail;
use tatmig::fleet::{QueryError, ReadQuery};
use tatmig::{Diagnostic, Rule, Source};

use crate::cli::args::options::QueryArgs;
use crate::cli::args::selection::DefaultSelection;
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::output::{OutputFormat, RowFormat};
use crate::cli::report::progress::Stage;
use crate::cli::report::query_output::{OutputOptions, QueryOutput};
use crate::cli::report::views::query::QueryView;

pub(crate) fn run(context: CommandContext<'_>, args: &QueryArgs) -> anyhow::Result<u8> {
    let sql = read_sql(context, &args.sql)?;
    let source = Source::new("SQL", &sql);
    let query = parse_query(context, &source, &sql)?;
    let selection = args.selection.resolve(DefaultSelection::Everything)?;
    // A fleet can be queried without its document.
    let document = context.read_document().ok();
    let changelog = context.parse_if_valid(document.as_ref());
    if document.is_some() && changelog.is_none() {
        context
            .report
            .print_note("the document cannot be used; reading every database that exists");
    }
    let fleet = context.discover_existing(changelog.as_ref(), &selection)?;
    let format = row_format(context, args);
    let mut output = QueryOutput::new(OutputOptions { format, sums_rows: args.sum });
    let cancel = context.signals.cancel_flag();
    let count = fleet.databases().count();
    let mut progress = context.report.progress(Stage::Querying, Some(count));
    fleet.query(&query, &context.run_options(), &mut |database, result| {
        // Rows on the same terminal would be mixed with it.
        if std::io::stdout().is_terminal() {
            progress.finish();
        }
        progress.inc();
        output.accept(database, result);
        if output.is_closed() {
            // Ends the statements that run.
            cancel.store(true, Ordering::Relaxed);
        }
    });
    drop(progress);
    let mut finished = output.finish();
    let rows = finished.rows.take();
    let view = QueryView::new(&finished, rows, &source, &fleet.notices);
    let format = if format.is_none() { OutputFormat::Json } else { OutputFormat::Text };
    Ok(context.report.with_format(format).emit(&view))
}

/// The SQL of the argument, or of standard input for `-`.
fn read_sql(context: CommandContext<'_>, argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let text = String::from_utf8(context.read_standard_input()?);
    text.map_err(|_| anyhow::anyhow!("the SQL on standard input is not UTF-8; save it as UTF-8"))
}

/// Checks the SQL before any database is opened.
fn parse_query(
    context: CommandContext<'_>,
    source: &Source<'_>,
    sql: &str,
) -> anyhow::Result<ReadQuery> {
    let setup = &context.run_options().connect_options.setup;
    let checked = ReadQuery::new(sql).and_then(|query| query.check_syntax(setup).map(|()| query));
    match checked {
        Ok(query) => Ok(query),
        Err(QueryError::Statement { message, span: Some(span) }) if !span.is_empty() => {
            let diagnostic = Diagnostic::new(Rule::Sql, span, message);
            bail!(AlreadyReported(context.report.emit_document_error(source, &[diagnostic])))
        }
        Err(error) => bail!(error),
    }
}

/// The format of the rows; `None` for one JSON document.
fn row_format(context: CommandContext<'_>, args: &QueryArgs) -> Option<RowFormat> {
    match (args.csv, args.ndjson, context.settings.format) {
        (true, ..) => Some(RowFormat::Csv),
        (_, true, _) => Some(RowFormat::Ndjson),
        (_, _, OutputFormat::Text) => Some(RowFormat::Table),
        (_, _, OutputFormat::Json | OutputFormat::JsonLines) => None,
    }
}
