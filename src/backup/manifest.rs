//! What a backup holds, as its `manifest.json` tells it: whose copies, at which versions, and the
//! checksum that each must have.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::document::tag::Scope;

/// The name of the file.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The form that this tatmig writes; a higher one is another program's.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub format: u32,
    /// When it was begun, UTC, RFC 3339.
    pub created_at: String,
    /// The tatmig that wrote it.
    pub tool_version: String,
    /// What it was made for: `backup`, `upgrade`, `downgrade`, `restore` or `reset`.
    pub reason: String,
    /// The copies.
    pub databases: Vec<ManifestEntry>,
}

/// The copy of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    #[serde(with = "spelling")]
    pub user: OsString,
    /// The copy's name in the backup's directory; of a fork its namespace.
    #[serde(with = "spelling")]
    pub file: OsString,
    /// The server that a fork is on; none where the copy is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where the database lived.
    pub path: String,
    /// The version in its record; none without one.
    pub version: Option<String>,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the file, in hexadecimal; of a fork that of its schema, its record's end and the
    /// numbers of its rows.
    pub sha256: String,
}

/// Names of files as JSON holds them: as text, or in hexadecimal where they are not UTF-8.
mod spelling {
    use std::ffi::OsString;
    use std::fmt::Write as _;

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
            None => EncodedName::Bytes { hex: encode_hex(name.as_encoded_bytes()) },
        };
        encoded.serialize(serializer)
    }

    fn encode_hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<OsString, D::Error> {
        let hex = match EncodedName::deserialize(deserializer)? {
            EncodedName::Text(text) => return Ok(text.into()),
            EncodedName::Bytes { hex } => hex,
        };
        let digits: Option<Vec<u8>> = hex
            .chars()
            .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0);
        let digits = digits.ok_or_else(|| D::Error::custom(format!("`{hex}` is no name")))?;
        Ok(os_string_from_bytes(
            &digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<_>>(),
        ))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::text::os_string_from_bytes;

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
