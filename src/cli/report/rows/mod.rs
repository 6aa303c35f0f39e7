//! Writes the rows of a query as they come: as a table, CSV, or one JSON object a line.

pub(crate) mod cell;
pub(crate) mod csv;
pub(crate) mod json_row;
pub(crate) mod row_writer;
pub(crate) mod sum;
pub(crate) mod table;
