//! Answers the requests of the protocol: one file for each kind.

pub(crate) mod code_actions;
pub(crate) mod code_lenses;
pub(crate) mod commands;
pub(crate) mod complete_sql;
pub(crate) mod complete_tags;
pub(crate) mod completion;
pub(crate) mod diagnostics;
pub(crate) mod hover;
pub(crate) mod navigation;
pub(crate) mod rename;
pub(crate) mod semantic_tokens;
pub(crate) mod structure;
pub(crate) mod symbols;
pub(crate) mod typed_statement;
