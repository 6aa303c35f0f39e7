//! Words errors of usage: what is wrong with the arguments, which of them exclude each other, and what
//! the user may have meant.

pub(crate) mod conflicts;
mod error_context;
pub(crate) mod message;
mod tips;
pub(crate) mod typed_command;
