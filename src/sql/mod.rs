//! Reads SQL text: the lexer, the tokens of one statement, `CREATE TABLE` and type affinities. No
//! other module splits SQL into tokens; SQLite itself decides what is valid.

pub(crate) mod affinity;
pub(crate) mod create_table;
pub(crate) mod lexer;
pub(crate) mod tokens;
pub(crate) mod value;
