//! Reads SQL text: the lexer, where statements end, the tokens of one statement, the definitions of tables and
//! other objects, the tables that are used by position, and type affinities. SQLite itself decides
//! what is valid.

pub(crate) mod affinity;
pub(crate) mod common_tables;
pub(crate) mod create_statement;
pub(crate) mod create_table;
pub(crate) mod definition_parser;
pub(crate) mod from_clause;
pub(crate) mod key_term;
pub(crate) mod keywords;
pub(crate) mod lexer;
pub(crate) mod mistake_pattern;
pub(crate) mod mistakes;
pub(crate) mod object_statement;
pub(crate) mod positional;
pub(crate) mod positional_query;
pub(crate) mod pragmas;
pub(crate) mod read_statement;
pub(crate) mod result_columns;
pub(crate) mod statements;
pub(crate) mod table_definition;
pub(crate) mod tokens;
pub(crate) mod value;
