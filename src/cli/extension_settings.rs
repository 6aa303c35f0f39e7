//! Reads the sections of `tatmig.toml` about what the application adds to SQLite: `[functions]` and
//! `[collations]`.

use std::ops::Range;

use serde::Deserialize;
use tatmig::database::{ConnectionSetup, Extensions};
use toml::Spanned;

/// The sections of `tatmig.toml`. Values carry their place for messages.
#[derive(Debug, Default)]
pub(crate) struct ExtensionSections<'s> {
    pub(crate) functions: &'s [Spanned<String>],
    pub(crate) collations: &'s [Spanned<String>],
}

/// The table `[functions]` or `[collations]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Declarations {
    pub(crate) declared: Vec<Spanned<String>>,
}

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) struct InvalidValue {
    /// The bytes of the settings file.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

impl ExtensionSections<'_> {
    /// Combines the sections, and adds them to a connection once, so that an error is found before
    /// a command begins.
    pub(crate) fn resolve(&self) -> Result<Extensions, InvalidValue> {
        let mut extensions = Extensions::new();
        for entry in self.functions {
            extensions = checked(entry, add_function(extensions, entry)?)?;
        }
        for entry in self.collations {
            extensions = checked(entry, extensions.with_collation(entry.get_ref()))?;
        }
        Ok(extensions)
    }
}

/// Adds a function that is written as its name and number of arguments, such as `slug/1`.
fn add_function(
    extensions: Extensions,
    entry: &Spanned<String>,
) -> Result<Extensions, InvalidValue> {
    let text = entry.get_ref();
    let declared = text.rsplit_once('/').and_then(|(name, count)| match count {
        "*" => Some(extensions.clone().with_function(name, -1)),
        count if count.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(extensions.clone().with_function(name, count.parse().ok()?))
        }
        _ => None,
    });
    declared.ok_or_else(|| {
        let name = text.split('/').next().unwrap_or_default();
        let name = if name.is_empty() { "slug" } else { name };
        let message = format!(
            "`{text}` is not a function with its number of arguments; write `{name}/1`, or `{name}/*` for any number"
        );
        InvalidValue { span: entry.span(), message }
    })
}

/// The extensions, if a connection accepts them. `entry` was added last.
fn checked(entry: &Spanned<String>, extensions: Extensions) -> Result<Extensions, InvalidValue> {
    let setup = ConnectionSetup { extensions, ..ConnectionSetup::default() };
    match setup.check() {
        Ok(()) => Ok(setup.extensions),
        Err(error) => Err(InvalidValue { span: entry.span(), message: error.to_string() }),
    }
}
