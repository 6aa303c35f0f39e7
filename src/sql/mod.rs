//! Reads SQL text: the only code that does.

pub(crate) mod create_table;
pub(crate) mod lexer;
pub(crate) mod tokens;
pub(crate) mod value;
