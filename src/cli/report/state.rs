//! Names the states and outcomes that results report, and gives each name its color. JSON documents
//! spell them the same.

use std::fmt::{self, Display};

use clap::builder::styling::{AnsiColor, Color, Style};
use serde::Serialize;

/// The state of a database or of a check, or what became of a database, a migration or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Added,
    Ahead,
    Behind,
    Busy,
    Copied,
    Created,
    Current,
    Differs,
    Downgraded,
    Edited,
    Error,
    Exists,
    Failed,
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "only copies to servers are"))]
    Identical,
    Matches,
    New,
    Note,
    Ok,
    Planned,
    Recorded,
    Redone,
    Rehearsed,
    Released,
    Reset,
    Restored,
    Seeded,
    Skipped,
    Unchanged,
    Unversioned,
    Upgraded,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Busy => "busy",
            Self::Copied => "copied",
            Self::Created => "created",
            Self::Current => "current",
            Self::Differs => "differs",
            Self::Downgraded => "downgraded",
            Self::Edited => "edited",
            Self::Error => "error",
            Self::Exists => "exists",
            Self::Failed => "failed",
            Self::Identical => "identical",
            Self::Matches => "matches",
            Self::New => "new",
            Self::Note => "note",
            Self::Ok => "ok",
            Self::Planned => "planned",
            Self::Recorded => "recorded",
            Self::Redone => "redone",
            Self::Rehearsed => "rehearsed",
            Self::Released => "released",
            Self::Reset => "reset",
            Self::Restored => "restored",
            Self::Seeded => "seeded",
            Self::Skipped => "skipped",
            Self::Unchanged => "unchanged",
            Self::Unversioned => "unversioned",
            Self::Upgraded => "upgraded",
        }
    }

    /// Green if nothing is left to do, yellow if a later run has to do something, red if a person
    /// has to.
    pub(crate) fn style(self) -> Style {
        let color = match self {
            Self::Added
            | Self::Copied
            | Self::Created
            | Self::Current
            | Self::Downgraded
            | Self::Exists
            | Self::Identical
            | Self::Matches
            | Self::Ok
            | Self::Recorded
            | Self::Redone
            | Self::Released
            | Self::Reset
            | Self::Restored
            | Self::Seeded
            | Self::Unchanged
            | Self::Upgraded => AnsiColor::Green,
            Self::Behind
            | Self::Busy
            | Self::New
            | Self::Note
            | Self::Planned
            | Self::Rehearsed
            | Self::Skipped
            | Self::Unversioned => AnsiColor::Yellow,
            Self::Ahead | Self::Differs | Self::Edited | Self::Error | Self::Failed => {
                AnsiColor::Red
            }
        };
        Style::new().fg_color(Some(Color::Ansi(color)))
    }
}

impl Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_outcome_of_the_json_schema_is_a_state() {
        let schema = include_str!("../../../docs/tatmig.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let mut names = Vec::new();
        collect_enums(&schema, "", &mut names);
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            let value = serde_json::Value::String(name.clone());
            let state: State = serde_json::from_value(value).unwrap();
            assert_eq!(state.name(), name);
            assert_eq!(serde_json::to_value(state).unwrap(), name);
        }
    }

    /// The values of `state` and `outcome` in a JSON schema.
    fn collect_enums(schema: &serde_json::Value, key: &str, names: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(object) => {
                for (inner_key, value) in object {
                    let is_keyword = ["enum", "const", "oneOf", "anyOf", "items"];
                    let key =
                        if is_keyword.contains(&inner_key.as_str()) { key } else { inner_key };
                    collect_enums(value, key, names);
                }
            }
            serde_json::Value::Array(values) => {
                for value in values {
                    collect_enums(value, key, names);
                }
            }
            serde_json::Value::String(name) if ["state", "outcome"].contains(&key) => {
                names.push(name.clone());
            }
            _ => {}
        }
    }
}
