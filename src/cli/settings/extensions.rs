//! Reads the sections of `tatmig.toml` about what the application adds to SQLite: `[[extension]]`,
//! `[functions]`, `[collations]` and `trusted_schema`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tatmig::database::{ConnectionSetup, Extensions};
use tatmig::fleet::ExtensionLibrary;
use toml::Spanned;

use crate::cli::value_parsers::OneOrMany;

/// The length of a SHA-256 in hexadecimal.
const SHA256_LENGTH: usize = 64;

/// The sections of `tatmig.toml`. Values carry their place for messages.
#[derive(Debug)]
pub(crate) struct ExtensionSections<'s> {
    /// The directory to which the paths of libraries are relative.
    pub(crate) base_dir: &'s Path,
    pub(crate) libraries: &'s [ExtensionSection],
    pub(crate) functions: &'s [Spanned<String>],
    pub(crate) collations: &'s [Spanned<String>],
    /// The key `trusted_schema`.
    pub(crate) trusts_schema: bool,
}

/// A table `[[extension]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtensionSection {
    path: Spanned<PathBuf>,
    sha256: Option<Spanned<OneOrMany>>,
    entry_point: Option<String>,
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
        if self.trusts_schema {
            extensions = extensions.with_trusted_schema();
        }
        for entry in self.functions {
            extensions = checked(entry, add_function(&extensions, entry)?)?;
        }
        for entry in self.collations {
            extensions = checked(entry, extensions.with_collation(entry.get_ref()))?;
        }
        for library in self.libraries {
            extensions = library.load(self.base_dir, extensions)?;
        }
        Ok(extensions)
    }
}

impl ExtensionSection {
    /// Loads the library once and adds it to `extensions`.
    fn load(&self, base_dir: &Path, extensions: Extensions) -> Result<Extensions, InvalidValue> {
        let mut library = ExtensionLibrary::new(base_dir.join(self.path.get_ref()));
        if let Some(sha256) = &self.sha256 {
            library.sha256 = sha256.get_ref().to_vec();
            let is_sha256 = |text: &String| {
                text.len() == SHA256_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            // Without a checksum, any file would be loaded.
            if library.sha256.is_empty() || !library.sha256.iter().all(is_sha256) {
                let message = format!("must be a SHA-256: {SHA256_LENGTH} hexadecimal digits");
                return Err(InvalidValue { span: sha256.span(), message });
            }
        }
        library.entry_point.clone_from(&self.entry_point);
        library
            .add_to(extensions)
            .map_err(|error| InvalidValue { span: self.path.span(), message: error.to_string() })
    }
}

/// Adds a function that is written as its name and number of arguments, such as `slug/1`.
fn add_function(
    extensions: &Extensions,
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
