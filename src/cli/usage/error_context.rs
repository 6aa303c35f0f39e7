//! Reads what an error of clap is about.

use clap::error::{ContextKind, ContextValue};

/// The text of a context value of an error; empty if the error has none.
pub(crate) fn text(error: &clap::Error, kind: ContextKind) -> String {
    texts(error, kind).into_iter().next().unwrap_or_default()
}

/// The texts of a context value of an error.
pub(crate) fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}
