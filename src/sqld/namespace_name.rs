//! The names of namespaces. The server takes every text, and makes a path of it: `..` writes over
//! its own data. So the rule is tatmig's.

use std::ffi::OsStr;

use crate::text::shown;

/// A name that no namespace of tatmig's may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Letters, digits, `_` and `-` alone are safe on every server.
    #[error(
        "`{0}` cannot be the name of a namespace: letters, digits, `_` and `-` make one, at most 128, and the first is a letter or a digit"
    )]
    Unsafe(String),
    /// The server's own.
    #[error("`default` cannot be a database of a fleet: a server falls back to that namespace")]
    Default,
}

const LONGEST: usize = 128;

/// Checks the name of a namespace.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !first || !rest || name.len() > LONGEST {
        return Err(NameError::Unsafe(shown(OsStr::new(name))));
    }
    if name.eq_ignore_ascii_case("default") {
        return Err(NameError::Default);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_names_are_names() {
        for name in ["ann", "Ann_longterm", "0", "a-b_c", &"x".repeat(128)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in
            ["", ".", "..", "a.b", "a/b", "-a", "_a", "a b", "é", "a\0", "a\n", &"x".repeat(129)]
        {
            assert!(matches!(check(name), Err(NameError::Unsafe(_))), "{name:?}");
        }
        assert_eq!(check("default"), Err(NameError::Default));
        assert_eq!(check("Default"), Err(NameError::Default));
    }
}
