//! Checks the names of namespaces. The server accepts every text and uses it as a path, so that `..`
//! overwrites its own data. This rule is tatmig's own.

use std::ffi::OsStr;

use crate::text::escape_for_display;

/// Why a name is not allowed for a namespace of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceNameError {
    /// Only letters, digits, `_` and `-` are safe on every server.
    #[error(
        "`{0}` cannot be the name of a namespace: it may have at most 128 letters, digits, `_` and `-`, and has to start with a letter or a digit"
    )]
    Invalid(String),
    /// The namespace that the server uses for requests without a name.
    #[error(
        "`default` cannot be a database of a fleet: the server uses that namespace for requests without a name"
    )]
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
