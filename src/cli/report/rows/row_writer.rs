//! Defines what writes the rows of a query, and how the columns are named.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Stdout};

use tatmig::fleet::SqlValue;

/// Buffered standard output. Standard output alone is flushed at every line feed.
pub(crate) type Out = BufWriter<Stdout>;

/// One row of the output.
#[derive(Clone, Copy)]
pub(crate) struct OutputRow<'r> {
    /// The name of the database, in the first column; `None` for a sum over databases.
    pub(crate) database: Option<&'r OsStr>,
    /// The names of the other columns, each of them once.
    pub(crate) columns: &'r [String],
    pub(crate) values: &'r [SqlValue],
}

/// Writes rows in one format.
pub(crate) trait RowWriter {
    fn write_row(&mut self, row: OutputRow<'_>) -> io::Result<()>;

    /// Writes what is left. `header` is that of a result without rows: the names of all columns.
    fn finish(&mut self, header: &[String]) -> io::Result<()>;
}

/// The name of the column with the names of databases.
pub(crate) const DATABASE_COLUMN: &str = "database";

/// Names each column once: a name that an earlier column has, or that is `database`, gets a number, as
/// in SQLite: `id`, `id:1`.
pub(crate) fn unique_names(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let is_taken = |name: &str| name == DATABASE_COLUMN || names.iter().any(|n| n == name);
        let name = if is_taken(column) {
            let numbered = (1_usize..).map(|number| format!("{column}:{number}"));
            numbered.into_iter().find(|name| !is_taken(name)).unwrap_or_default()
        } else {
            column.clone()
        };
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_the_same_name_get_numbers() {
        let columns = ["id", "id", "database", "id:1", "id"].map(String::from);
        assert_eq!(unique_names(&columns), ["id", "id:1", "database:1", "id:1:1", "id:2"]);
    }
}
