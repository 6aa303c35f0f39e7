//! The names of namespaces. The server takes every text, and makes a path of it: `..` writes over
//! its own data. So the rule is tatmig's.

use std::ffi::OsStr;

use crate::text::escape_for_display;

/// A name that no namespace of tatmig's may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceNameError {
    /// Letters, digits, `_` and `-` alone are safe on every server.
    #[error(
        "`{0}` cannot be the name of a namespace: letters, digits, `_` and `-` make one, at most 128, and the first is a letter or a digit"
    )]
    Invalid(String),
    /// The server's own.
    #[error("`default` cannot be a database of a fleet: a server falls back to that namespace")]
    Reserved,
}

const MAX_LENGTH: usize = 128;

/// Checks the name of a namespace.
pub(crate) fn validate(name: &str) -> Result<(), NamespaceNameError> {
    let mut bytes = name.bytes();
    let is_first_valid = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_rest_valid =
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_first_valid || !is_rest_valid || name.len() > MAX_LENGTH {
        return Err(NamespaceNameError::Invalid(escape_for_display(OsStr::new(name))));
    }
    if name.eq_ignore_ascii_case("default") {
        return Err(NamespaceNameError::Reserved);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_names_are_valid() {
        for name in ["ann", "Ann_longterm", "0", "a-b_c", &"x".repeat(128)] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
        for name in
            ["", ".", "..", "a.b", "a/b", "-a", "_a", "a b", "é", "a\0", "a\n", &"x".repeat(129)]
        {
            assert!(matches!(validate(name), Err(NamespaceNameError::Invalid(_))), "{name:?}");
        }
        assert_eq!(validate("default"), Err(NamespaceNameError::Reserved));
        assert_eq!(validate("Default"), Err(NamespaceNameError::Reserved));
    }
}
