//! Takes the results of a query, database by database: writes rows as they come, keeps them for the
//! JSON document, or adds them.

use std::io::{self, BufWriter, ErrorKind};
use std::ops::Range;
use std::rc::Rc;

use tatmig::database::DatabaseError;
use tatmig::fleet::{
    QueryError, QueryFailure, QueryResult, QueryRows, RowReader, RowSpool, TargetDatabase,
};
use tatmig::plan::MigrateError;
use tatmig::text::list_names;

use crate::cli::output::RowFormat;
use crate::cli::report::rows::csv::CsvWriter;
use crate::cli::report::rows::json_row::NdjsonWriter;
use crate::cli::report::rows::row_writer::{DATABASE_COLUMN, OutputRow, RowWriter, unique_names};
use crate::cli::report::rows::sum::{Sums, first_not_numeric};
use crate::cli::report::rows::table::TableWriter;

/// How many bytes of rows the JSON document keeps in memory before it uses a temporary file.
const DOCUMENT_ROWS_IN_MEMORY: usize = 4 << 20;

/// Why a database has no rows in the output.
pub(crate) struct RowFailure {
    pub(crate) message: String,
    /// The bytes of the SQL that the message is about.
    pub(crate) span: Option<Range<usize>>,
}

/// One database and what it contributed.
pub(crate) struct QueriedDatabase {
    pub(crate) database: TargetDatabase,
    pub(crate) columns: Rc<Vec<String>>,
    pub(crate) row_count: u64,
    pub(crate) failure: Option<RowFailure>,
}

/// Where rows are kept until the end.
enum RowTarget {
    /// They are written at once.
    Writer(Box<dyn RowWriter>),
    /// They are part of the JSON document.
    Document(RowSpool),
}

/// The columns of the first database that has a result.
struct Header {
    columns: Rc<Vec<String>>,
    database: String,
}

/// What the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputOptions {
    /// `None` for one JSON document.
    pub(crate) format: Option<RowFormat>,
    /// Whether the rows are added.
    pub(crate) sums_rows: bool,
}

/// The output of a query while it runs.
pub(crate) struct QueryOutput {
    options: OutputOptions,
    target: RowTarget,
    sums: Sums,
    header: Option<Header>,
    /// Every database for the JSON document, otherwise those that failed.
    databases: Vec<QueriedDatabase>,
    counts: QueryCounts,
    write_error: Option<io::Error>,
}

/// Counts of a query.
#[derive(Clone, Copy, Default, serde::Serialize)]
pub(crate) struct QueryCounts {
    pub(crate) total: u64,
    pub(crate) failed: u64,
    pub(crate) rows: u64,
}

/// What is left to report after the last database.
pub(crate) struct FinishedOutput {
    pub(crate) databases: Vec<QueriedDatabase>,
    pub(crate) counts: QueryCounts,
    /// The columns, and the sum of each; the error names a sum that does not fit.
    pub(crate) sum: Option<Result<SumRow, String>>,
    /// The rows of the JSON document.
    pub(crate) rows: Option<RowReader>,
    /// An output that could not be written, other than one that its reader closed.
    pub(crate) write_error: Option<io::Error>,
}

/// The row of `--sum`.
pub(crate) struct SumRow {
    pub(crate) columns: Rc<Vec<String>>,
    pub(crate) values: Vec<tatmig::fleet::SqlValue>,
}

/// Creates a writer to standard output.
fn new_writer(format: RowFormat) -> Box<dyn RowWriter> {
    let out = BufWriter::new(io::stdout());
    match format {
        RowFormat::Table => Box::new(TableWriter::new(out)),
        RowFormat::Csv => Box::new(CsvWriter::new(out)),
        RowFormat::Ndjson => Box::new(NdjsonWriter::new(out)),
    }
}

impl QueryOutput {
    pub(crate) fn new(options: OutputOptions) -> Self {
        Self {
            options,
            target: match options.format {
                Some(format) => RowTarget::Writer(new_writer(format)),
                None => RowTarget::Document(RowSpool::new(DOCUMENT_ROWS_IN_MEMORY)),
            },
            sums: Sums::default(),
            header: None,
            databases: Vec::new(),
            counts: QueryCounts::default(),
            write_error: None,
        }
    }

    /// Whether further rows cannot be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.write_error.is_some()
    }

    /// Takes the result of the next database.
    pub(crate) fn accept(&mut self, database: &TargetDatabase, result: QueryResult) {
        if self.is_closed() {
            return;
        }
        let accepted = match result {
            // An interrupt is no failure of a database.
            Err(QueryFailure::Database(MigrateError::Database(DatabaseError::Interrupted))) => {
                return;
            }
            Err(error) => Err(RowFailure::from(&error)),
            Ok(rows) => self.accept_rows(database, rows),
        };
        self.counts.total += 1;
        let (columns, row_count, failure) = match accepted {
            Ok(accepted) => (accepted.columns, accepted.row_count, None),
            Err(failure) => (Rc::default(), 0, Some(failure)),
        };
        self.counts.rows += row_count;
        self.counts.failed += u64::from(failure.is_some());
        if failure.is_some() || matches!(self.target, RowTarget::Document(_)) {
            let database = database.clone();
            self.databases.push(QueriedDatabase { database, columns, row_count, failure });
        }
    }

    fn accept_rows(
        &mut self,
        database: &TargetDatabase,
        rows: QueryRows,
    ) -> Result<AcceptedRows, RowFailure> {
        let columns = self.columns_of(database, unique_names(&rows.columns))?;
        let row_count = rows.rows.count();
        let mut reader = rows.rows.into_reader().map_err(|error| RowFailure::from_io(&error))?;
        let mut sums = Sums::default();
        while let Some(values) = reader.next_row().map_err(|error| RowFailure::from_io(&error))? {
            if self.options.sums_rows {
                if let Some(index) = first_not_numeric(&values) {
                    return Err(RowFailure::not_numeric(columns.get(index)));
                }
                sums.add(&values);
                continue;
            }
            let columns = columns.as_slice();
            let written = match &mut self.target {
                RowTarget::Writer(writer) => {
                    let database = Some(database.name.as_os_str());
                    writer.write_row(OutputRow { database, columns, values: &values })
                }
                RowTarget::Document(spool) => spool.push_row(&values).map_err(io::Error::other),
            };
            if let Err(error) = written {
                self.write_error = Some(error);
                break;
            }
        }
        self.sums.merge(&sums);
        Ok(AcceptedRows { columns, row_count })
    }

    /// The columns of a database. Where the output has one header, they must be those of the first
    /// database.
    fn columns_of(
        &mut self,
        database: &TargetDatabase,
        columns: Vec<String>,
    ) -> Result<Rc<Vec<String>>, RowFailure> {
        let has_header = self.options.sums_rows
            || matches!(self.options.format, Some(RowFormat::Table | RowFormat::Csv));
        match &self.header {
            Some(header) if *header.columns == columns => Ok(Rc::clone(&header.columns)),
            Some(header) if has_header => Err(RowFailure::other_columns(&columns, header)),
            Some(_) => Ok(Rc::new(columns)),
            None => {
                let columns = Rc::new(columns);
                let header =
                    Header { columns: Rc::clone(&columns), database: database.display_name() };
                self.header = Some(header);
                Ok(columns)
            }
        }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> FinishedOutput {
        let columns = self.header.as_ref().map(|header| Rc::clone(&header.columns));
        let sum = columns.clone().filter(|_| self.options.sums_rows).map(|columns| {
            match self.sums.values(columns.len()) {
                Ok(values) => Ok(SumRow { columns, values }),
                Err(overflow) => Err(columns.get(overflow.column).cloned().unwrap_or_default()),
            }
        });
        let mut rows = None;
        match self.target {
            RowTarget::Writer(mut writer) if self.write_error.is_none() => {
                let mut header: Vec<String> = Vec::new();
                if let Some(columns) = columns.filter(|_| !self.options.sums_rows) {
                    header.push(DATABASE_COLUMN.to_owned());
                    header.extend(columns.iter().cloned());
                }
                let written = match &sum {
                    Some(Ok(SumRow { columns, values })) => {
                        let (columns, values) = (columns.as_slice(), values.as_slice());
                        writer.write_row(OutputRow { database: None, columns, values })
                    }
                    _ => Ok(()),
                };
                self.write_error = written.and_then(|()| writer.finish(&header)).err();
            }
            RowTarget::Writer(_) => {}
            RowTarget::Document(spool) => match spool.into_reader() {
                Ok(reader) => rows = Some(reader),
                Err(error) => self.write_error = Some(error),
            },
        }
        // Whoever closed the output has seen enough.
        let write_error = self.write_error.filter(|error| !is_broken_pipe(error));
        FinishedOutput { databases: self.databases, counts: self.counts, sum, rows, write_error }
    }
}

/// The columns and the number of rows that a database contributed.
struct AcceptedRows {
    columns: Rc<Vec<String>>,
    row_count: u64,
}

/// Whether the reader of the output closed it. `serde_json` wraps the error.
fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

impl From<&QueryFailure> for RowFailure {
    fn from(error: &QueryFailure) -> Self {
        let span = match error {
            QueryFailure::Query(QueryError::Statement { span, .. }) => span.clone(),
            _ => None,
        };
        Self { message: error.to_string(), span }
    }
}

impl RowFailure {
    fn from_io(error: &io::Error) -> Self {
        let message = format!("cannot read the temporary file of the rows: {error}");
        Self { message, span: None }
    }

    fn not_numeric(column: Option<&String>) -> Self {
        let column = column.map(String::as_str).unwrap_or_default();
        let message = format!(
            "`--sum` adds numbers, and column `{column}` holds something else; leave it out of the SELECT"
        );
        Self { message, span: None }
    }

    fn other_columns(columns: &[String], header: &Header) -> Self {
        let message = format!(
            "its columns ({}) are not those of `{}` ({}); name the columns instead of `*`, or use `--json` or `--ndjson`",
            list_names(columns),
            header.database,
            list_names(&header.columns)
        );
        Self { message, span: None }
    }
}
