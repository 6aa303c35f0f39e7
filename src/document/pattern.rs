//! Compiles the constant regular expressions that tags and headings are read with.

use regex::Regex;

/// Compiles a pattern that is a constant of this crate.
#[expect(clippy::expect_used, reason = "every pattern is a constant, and a test compiles each")]
pub(crate) fn constant_pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}
