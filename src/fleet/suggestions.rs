//! Suggests what to do about users that have no database: the names of existing users that are
//! similar, and the command that creates the databases.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use crate::fleet::directory::DirectoryScan;
use crate::fleet::error::FleetError;
use crate::target::layout::FleetConfig;
use crate::text::{escape_for_display, nearest_name};

/// Suggestions for the named users that are not among those found.
#[derive(Debug, Default)]
pub(crate) struct UserSuggestions {
    /// Existing users with similar names, escaped for display.
    similar: Vec<String>,
    /// Users of other parts of the fleet, escaped for display.
    outside_shard: Vec<String>,
    /// The command that creates the databases, if a file can have every name.
    init_command: Option<String>,
}

impl UserSuggestions {
    /// Compares the names that no user has with those of all users found.
    pub(crate) fn new(scan: &DirectoryScan, config: &FleetConfig, names: &[OsString]) -> Self {
        let is_unknown =
            |name: &&OsString| !scan.targets.iter().any(|target| target.name == **name);
        let unknown: Vec<&OsString> = names.iter().filter(is_unknown).collect();
        let existing = || scan.targets.iter().map(|target| target.name.as_os_str());
        let mut similar: Vec<String> =
            unknown.iter().filter_map(|name| most_similar(name, existing())).collect();
        similar.dedup();
        let outside_shard: Vec<String> = unknown
            .iter()
            .filter(|name| !config.contains(name))
            .map(|name| escape_for_display(name))
            .collect();
        // The database may be among what was skipped.
        let can_create = outside_shard.is_empty()
            && scan.problems.is_empty()
            && unknown.iter().all(|name| config.user_database(name).is_ok());
        let init_command = can_create.then(|| init_command(&unknown));
        Self { similar, outside_shard, init_command }
    }

    /// Adds the suggestions to the error for the unknown users.
    pub(crate) fn add_to(self, error: FleetError) -> FleetError {
        let FleetError::UnknownUsers { users, dir, path_template, mut hint } = error else {
            return error;
        };
        // Writing to a `String` cannot fail.
        if !self.outside_shard.is_empty() {
            let names = self.outside_shard.join("`, `");
            let _ = write!(hint, "; `--shard` leaves `{names}` to another run");
        }
        if !self.similar.is_empty() {
            let _ = write!(hint, "; did you mean `{}`?", self.similar.join("`, `"));
        } else if let Some(command) = self.init_command {
            let pronoun = if users.len() == 1 { "it" } else { "them" };
            let _ = write!(hint, "; `{command}` creates {pronoun}");
        }
        FleetError::UnknownUsers { users, dir, path_template, hint }
    }
}

/// The user with the most similar name, escaped for display, if one is similar.
fn most_similar<'n>(name: &OsStr, existing: impl Iterator<Item = &'n OsStr>) -> Option<String> {
    let existing: Vec<Cow<'_, str>> = existing.map(OsStr::to_string_lossy).collect();
    let nearest = nearest_name(&name.to_string_lossy(), existing.iter().map(AsRef::as_ref));
    nearest.map(|user| escape_for_display(OsStr::new(user)))
}

/// `tatmig init --user dora --user eve`. Names that a shell would read otherwise are left to the
/// reader.
fn init_command(users: &[&OsString]) -> String {
    let is_plain = |name: &str| {
        !name.starts_with('-')
            && name.chars().all(|letter| letter.is_alphanumeric() || "_-.@+".contains(letter))
    };
    let names: Option<Vec<&str>> =
        users.iter().map(|name| name.to_str().filter(|name| is_plain(name))).collect();
    let names = names.unwrap_or_else(|| vec!["NAME"]);
    names.iter().fold("tatmig init".to_owned(), |command, name| format!("{command} --user {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_suggested() {
        let existing = ["ann", "bob", "Charlotte"].map(OsStr::new);
        for (name, expected) in [
            ("Ann", Some("ann")),
            ("anm", Some("ann")),
            ("charlote", Some("Charlotte")),
            ("dora", None),
            ("xy", None),
            ("", None),
        ] {
            let suggested = most_similar(OsStr::new(name), existing.into_iter());
            assert_eq!(suggested.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_command_names_only_what_a_shell_leaves_alone() {
        let command = |names: &[&str]| {
            let names: Vec<OsString> = names.iter().map(OsString::from).collect();
            init_command(&names.iter().collect::<Vec<_>>())
        };
        assert_eq!(command(&["dora", "eve.b"]), "tatmig init --user dora --user eve.b");
        for name in ["b b", "$(x)", "a;b", "-x"] {
            assert_eq!(command(&[name]), "tatmig init --user NAME", "{name}");
        }
    }
}
