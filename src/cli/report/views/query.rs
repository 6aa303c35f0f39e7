//! Shows what is left of a query after its rows: the databases that failed, and the JSON document.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::ser::{SerializeSeq, Serializer};
use serde::{Serialize, ser};
use tatmig::fleet::{RowReader, TargetDatabase};
use tatmig::{Diagnostic, Rule, Scope, Source};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{escape_for_terminal, plural};
use crate::cli::report::json::{DatabaseKeys, ErrorEntry, ProblemEntry};
use crate::cli::report::query_output::{FinishedOutput, QueriedDatabase, QueryCounts, SumRow};
use crate::cli::report::rows::json_row::JsonRow;
use crate::cli::report::view::View;
use crate::cli::report::views::failures::describe_databases;

/// The result of `query`. Rows that are not part of the document are written already.
#[derive(Serialize)]
pub(crate) struct QueryView<'r> {
    /// The sums of `--sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<SumObject<'r>>,
    #[serde(skip)]
    output: &'r FinishedOutput,
    #[serde(skip)]
    rows: RefCell<Option<RowReader>>,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    notices: &'r [String],
    /// The errors that are not of one database.
    #[serde(skip)]
    errors: Vec<String>,
}

struct SumObject<'r>(&'r SumRow);

impl Serialize for SumObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SumRow { columns, values } = self.0;
        JsonRow { database: None, columns, values }.serialize(serializer)
    }
}

impl<'r> QueryView<'r> {
    pub(crate) fn new(
        output: &'r FinishedOutput,
        rows: Option<RowReader>,
        source: &'r Source<'r>,
        notices: &'r [String],
    ) -> Self {
        let overflow = match &output.sum {
            Some(Err(column)) => {
                Some(format!("the sum of column `{column}` does not fit into 64 bits"))
            }
            _ => None,
        };
        let write_error = output.write_error.as_ref();
        let write_error = write_error.map(|error| format!("cannot write the rows: {error}"));
        Self {
            sum: output.sum.as_ref().and_then(|sum| sum.as_ref().ok()).map(SumObject),
            output,
            rows: RefCell::new(rows),
            source,
            notices,
            errors: overflow.into_iter().chain(write_error).collect(),
        }
    }

    /// What to do if the statement fits the users' databases, and fails on the system database.
    fn print_selection_hint(&self, console: &Console) {
        let QueryCounts { total, failed, .. } = self.output.counts;
        let mut failures = self.output.databases.iter().filter(|queried| queried.failure.is_some());
        let is_system_alone =
            failed == 1 && failures.any(|queried| queried.database.scope == Scope::System);
        if is_system_alone && total > 1 {
            console.note("`--no-system` leaves the system database out");
        }
    }

    /// Prints each distinct failure once, with the databases that it concerns.
    fn print_failures(&self, console: &Console) {
        type Key<'k> = (&'k str, Option<usize>);
        let mut groups: BTreeMap<Key<'_>, Vec<&QueriedDatabase>> = BTreeMap::new();
        for queried in &self.output.databases {
            let Some(failure) = &queried.failure else { continue };
            let start = failure.span.as_ref().map(|span| span.start);
            groups.entry((failure.message.as_str(), start)).or_default().push(queried);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, databases)| std::cmp::Reverse(databases.len()));
        for ((message, _), databases) in groups {
            let targets: Vec<&TargetDatabase> =
                databases.iter().map(|queried| &queried.database).collect();
            let text = format!("{}: {message}", describe_databases(&targets));
            let span = databases[0].failure.as_ref().and_then(|failure| failure.span.clone());
            match span {
                Some(span) => console.diagnostics(
                    self.source,
                    &[Diagnostic::new(Rule::Sql, span, escape_for_terminal(&text))],
                ),
                None => console.error(text),
            }
        }
    }
}

impl View for QueryView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for notice in self.notices {
            console.note(notice);
        }
        self.print_failures(console);
        for error in &self.errors {
            console.error(error);
        }
        self.print_selection_hint(console);
        let failed = self.output.counts.failed;
        if self.output.sum.is_some() && failed > 0 {
            let count = plural(usize::try_from(failed).unwrap_or(usize::MAX), "database");
            console.note(format!("the sum leaves out {count} that failed"));
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.output.counts.failed > 0 || !self.errors.is_empty())
    }

    fn databases(&self) -> impl Serialize {
        DatabaseList { output: self.output, rows: &self.rows, source: self.source }
    }

    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        self.errors.iter().map(|error| ProblemEntry::from_message(error)).collect()
    }

    fn summary(&self) -> impl Serialize {
        self.output.counts
    }
}

/// The databases of the document. Their rows are read as they are written, in the same order.
struct DatabaseList<'r> {
    output: &'r FinishedOutput,
    rows: &'r RefCell<Option<RowReader>>,
    source: &'r Source<'r>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct QueriedEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    columns: &'r [String],
    rows: RowList<'r>,
    error: Option<ErrorEntry<'r>>,
}

/// The rows of one database.
struct RowList<'r> {
    columns: &'r [String],
    count: u64,
    rows: &'r RefCell<Option<RowReader>>,
}

impl Serialize for DatabaseList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_rows = self.output.sum.is_none();
        serializer.collect_seq(self.output.databases.iter().map(|queried| {
            let QueriedDatabase { database, columns, row_count, failure } = queried;
            let count = if has_rows { *row_count } else { 0 };
            QueriedEntry {
                database: DatabaseKeys::new(database),
                columns,
                rows: RowList { columns, count, rows: self.rows },
                error: failure.as_ref().map(|failure| {
                    ErrorEntry::from_message(failure.message.as_str())
                        .with_span(self.source, failure.span.as_ref())
                }),
            }
        }))
    }
}

impl Serialize for RowList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut rows = self.rows.borrow_mut();
        for _ in 0..self.count {
            let row = rows.as_mut().map(RowReader::next_row).transpose().map_err(ser_error)?;
            let Some(values) = row.flatten() else { break };
            let row = JsonRow { database: None, columns: self.columns, values: &values };
            list.serialize_element(&row)?;
        }
        list.end()
    }
}

fn ser_error<E: ser::Error>(error: std::io::Error) -> E {
    E::custom(error)
}
