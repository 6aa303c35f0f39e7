//! Reads SQL text: the lexer, the tokens of one statement, the definitions of tables, and type
//! affinities. SQLite itself decides what is valid.

pub(crate) mod affinity;
pub(crate) mod create_table;
pub(crate) mod lexer;
pub(crate) mod table_definition;
pub(crate) mod tokens;
pub(crate) mod value;
