//! Defines the `manifest.json` of a backup: for each copy its database, version and checksum.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::tag::Scope;
use crate::fleet::selection::DatabaseName;
use crate::target::copy::CopyLocation;
use crate::text::escape_for_display;

/// The name of the manifest's file.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The format version that this tatmig writes; a higher one was written by a newer tatmig.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// The contents of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format version of this file.
    pub format: u32,
    /// When the backup was started, in UTC, RFC 3339.
    pub created_at: String,
    /// The version of the tatmig that wrote the backup.
    pub tool_version: String,
    /// The command that created the backup: `backup`, `upgrade`, `downgrade`, `restore` or `reset`.
    pub reason: String,
    /// The copies.
    pub databases: Vec<ManifestEntry>,
}

impl Manifest {
    /// Why an entry cannot be used: it names a file outside the backup, or an earlier entry has the
    /// same database or the same copy.
    pub(crate) fn invalid_entry(&self) -> Option<String> {
        let (mut databases, mut copies) = (HashSet::new(), HashSet::new());
        for entry in &self.databases {
            let file = escape_for_display(&entry.file);
            if !entry.is_in_backup() {
                return Some(format!("`{file}` is not the path of a file in the backup"));
            }
            if !databases.insert((entry.scope, &entry.user)) {
                return Some(match entry.scope {
                    Scope::System => "it lists the system database twice".to_owned(),
                    Scope::User => {
                        format!("it lists user `{}` twice", escape_for_display(&entry.user))
                    }
                });
            }
            if !copies.insert((&entry.server, &entry.file)) {
                return Some(format!("it lists the copy `{file}` twice"));
            }
        }
        None
    }
}

/// The copy of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    #[serde(with = "file_name")]
    pub user: OsString,
    /// The path of the copy's file, relative to the backup's directory; for a fork, its namespace.
    #[serde(with = "file_name")]
    pub file: OsString,
    /// The URL of a fork's server; `None` if the copy is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where the database was.
    pub path: String,
    /// The version in the database's history, if it has one.
    pub version: Option<String>,
    /// In bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal: of the file; for a fork, of its schema, its last history row and its
    /// row counts.
    pub sha256: String,
}

impl ManifestEntry {
    /// The database of the copy.
    pub(crate) fn database(&self) -> DatabaseName {
        DatabaseName { scope: self.scope, name: self.user.clone() }
    }

    /// Where the copy is, in the backup in a directory.
    pub(crate) fn copy_location<'e>(&'e self, dir: &'e Path) -> CopyLocation<'e> {
        CopyLocation { dir, file: Path::new(&self.file), server: self.server.as_deref() }
    }

    /// Whether the path of the copy has only names, which cannot leave the directory.
    fn is_in_backup(&self) -> bool {
        let path = Path::new(&self.file);
        let names: PathBuf = path.iter().collect();
        let has_only_names = path.components().all(|part| matches!(part, Component::Normal(_)));
        has_only_names
            // The path is written in one way, without `a//b` or `a/`.
            && names.as_os_str() == self.file
            && !self.file.as_encoded_bytes().contains(&0)
            && (self.server.is_none() || path.file_name() == Some(&self.file))
            && !self.file.is_empty()
    }
}

/// Serializes file names: as text, or as hexadecimal bytes if they are not UTF-8.
mod file_name {
    use std::ffi::OsString;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::text::os_string_from_bytes;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum EncodedName {
        Text(String),
        Bytes { hex: String },
    }

    pub(crate) fn serialize<S: Serializer>(
        name: &OsString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let encoded = match name.to_str() {
            Some(text) => EncodedName::Text(text.to_owned()),
            None => EncodedName::Bytes { hex: hex::encode(name.as_encoded_bytes()) },
        };
        encoded.serialize(serializer)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<OsString, D::Error> {
        let hex = match EncodedName::deserialize(deserializer)? {
            EncodedName::Text(text) => return Ok(text.into()),
            EncodedName::Bytes { hex } => hex,
        };
        let bytes = hex::decode(&hex)
            .map_err(|_| D::Error::custom(format!("`{hex}` is not a file name in hexadecimal")))?;
        Ok(os_string_from_bytes(&bytes))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::text::os_string_from_bytes;

    fn entry(file: &str, server: Option<&str>) -> ManifestEntry {
        ManifestEntry {
            scope: Scope::User,
            user: "ann".into(),
            file: file.into(),
            server: server.map(str::to_owned),
            path: String::new(),
            version: None,
            size: 0,
            sha256: String::new(),
        }
    }

    #[test]
    fn a_path_that_can_leave_the_backup_is_invalid() {
        for valid in ["ann.db", "3f/ann/store.sqlite", "..a/.b/...", "a b/\"c\""] {
            assert!(entry(valid, None).is_in_backup(), "{valid}");
        }
        for invalid in
            ["", ".", "..", "/ann.db", "../ann.db", "a/../b", "a/./b", "a//b", "a/", "./a", "a\0b"]
        {
            assert!(!entry(invalid, None).is_in_backup(), "{invalid}");
        }
        assert!(entry("ann", Some("http://server")).is_in_backup());
        assert!(!entry("a/nn", Some("http://server")).is_in_backup());
    }

    #[test]
    fn a_name_of_any_bytes_round_trips() {
        for bytes in [b"ann".as_slice(), b"\xff\x00a", "é\n\"".as_bytes(), b"{}"] {
            let name = os_string_from_bytes(bytes);
            let entry = ManifestEntry {
                scope: Scope::User,
                user: name.clone(),
                file: name.clone(),
                server: None,
                path: String::new(),
                version: None,
                size: 0,
                sha256: String::new(),
            };
            let text = serde_json::to_string(&entry).unwrap();
            let parsed: ManifestEntry = serde_json::from_str(&text).unwrap();
            assert_eq!((parsed.user, parsed.file), (name.clone(), name));
        }
    }
}
