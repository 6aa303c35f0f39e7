//! Finds the values that an argument can have: users, versions, backups, seeds and rules.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap_complete::CompletionCandidate;
use tatmig::{Changelog, Rule};

use crate::cli::args::CliArgs;
use crate::cli::document_file::DocumentFile;
use crate::cli::settings::Settings;

/// More users than this are completed letter by letter.
const MAX_USERS: usize = 200;

/// Which versions an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionKind {
    /// The versions of the document, planned ones included.
    Any,
    /// Also `baseline`.
    OrBaseline,
    /// Also `baseline` and `head`.
    OrBaselineOrHead,
    /// Planned versions only.
    Planned,
}

/// What completions are made from.
pub(crate) struct Candidates {
    /// `None` if a setting is invalid.
    settings: Option<Settings>,
    /// The directory in which the shell is, before `-C`.
    pub(crate) start_directory: Option<PathBuf>,
}

impl Candidates {
    pub(crate) fn new(settings: Option<Settings>, start_directory: Option<PathBuf>) -> Self {
        Self { settings, start_directory }
    }

    /// The users whose names begin with what was typed. If they are many, what they have in common,
    /// with each next character: a shell inserts the common part of all candidates, so that leaving
    /// some out would insert a wrong name.
    pub(crate) fn users(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(settings) = &self.settings else { return Vec::new() };
        let users = settings.fleet_config.users_with_prefix(typed);
        let printable = users.iter().filter_map(|user| user.to_str());
        let names: Vec<&str> =
            printable.filter(|name| !name.contains(|c: char| c.is_control())).collect();
        if names.len() <= MAX_USERS {
            return names.into_iter().map(CompletionCandidate::new).collect();
        }
        next_characters(&names).into_iter().map(CompletionCandidate::new).collect()
    }

    /// The versions of the document.
    pub(crate) fn versions(&self, typed: &OsStr, kind: VersionKind) -> Vec<CompletionCandidate> {
        let mut found = Vec::new();
        let Some(document) = self.document() else { return found };
        let Ok(changelog) = Changelog::parse_named(&document.name, &document.text) else {
            return found;
        };
        for migration in changelog.forward_migrations() {
            let text = migration.description.as_deref().or(migration.title.as_deref());
            let candidate = CompletionCandidate::new(migration.to.to_string());
            let candidate = match (migration.planned, text) {
                (true, _) => candidate.help(Some("planned".into())),
                (false, text) => candidate.help(text.map(|text| text.to_owned().into())),
            };
            if migration.planned || kind != VersionKind::Planned {
                found.push(candidate);
            }
        }
        if matches!(kind, VersionKind::OrBaseline | VersionKind::OrBaselineOrHead) {
            found
                .push(CompletionCandidate::new("baseline").help(Some("nothing is applied".into())));
        }
        if kind == VersionKind::OrBaselineOrHead {
            found.push(CompletionCandidate::new("head").help(Some("the last version".into())));
        }
        // A version ends one migration, unless a later baseline ends there too.
        let mut values = BTreeSet::new();
        found.retain(|candidate| values.insert(candidate.get_value().to_owned()));
        starting_with(found, typed)
    }

    /// The seeds of the document.
    pub(crate) fn seeds(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(document) = self.document() else { return Vec::new() };
        let Ok(changelog) = Changelog::parse_named(&document.name, &document.text) else {
            return Vec::new();
        };
        let names: BTreeSet<&str> =
            changelog.seeds().iter().map(|seed| seed.name.as_str()).collect();
        starting_with(names.into_iter().map(CompletionCandidate::new).collect(), typed)
    }

    /// The backups, the newest first, and `latest`.
    pub(crate) fn backups(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(settings) = &self.settings else { return Vec::new() };
        let entries = std::fs::read_dir(&settings.backups_dir).into_iter().flatten().flatten();
        let mut ids: Vec<String> = entries
            .filter(|entry| entry.path().join("manifest.json").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|id| !id.starts_with('.'))
            .collect();
        ids.sort_unstable_by(|left, right| right.cmp(left));
        let latest = ids.first().map(|_| "latest".to_owned());
        starting_with(latest.into_iter().chain(ids).map(CompletionCandidate::new).collect(), typed)
    }

    fn document(&self) -> Option<DocumentFile> {
        DocumentFile::read(&self.settings.as_ref()?.file, None).ok()
    }
}

/// The rules of `lint`, and `warnings` where all of them can be named.
pub(crate) fn rules(typed: &OsStr, also: &[&'static str]) -> Vec<CompletionCandidate> {
    let names = also.iter().copied().chain(Rule::ALL.iter().map(|rule| rule.name()));
    starting_with(names.map(CompletionCandidate::new).collect(), typed)
}

/// The commands that have a man page.
pub(crate) fn commands(typed: &OsStr) -> Vec<CompletionCandidate> {
    let command = CliArgs::clap_command();
    let candidate = |command: &clap::Command| {
        CompletionCandidate::new(command.get_name().to_owned()).help(command.get_about().cloned())
    };
    starting_with(command.get_subcommands().map(candidate).collect(), typed)
}

fn starting_with(
    mut candidates: Vec<CompletionCandidate>,
    typed: &OsStr,
) -> Vec<CompletionCandidate> {
    let typed = typed.as_encoded_bytes();
    candidates.retain(|candidate| candidate.get_value().as_encoded_bytes().starts_with(typed));
    candidates
}

/// What all names begin with, followed by each next character that one of them has; a name that
/// ends there is itself.
fn next_characters(names: &[&str]) -> BTreeSet<String> {
    let Some((first, rest)) = names.split_first() else { return BTreeSet::new() };
    let common = rest.iter().fold(first.chars().count(), |common, name| {
        first.chars().zip(name.chars()).take(common).take_while(|(a, b)| a == b).count()
    });
    names.iter().map(|name| name.chars().take(common + 1).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_completed_by_their_next_character() {
        let names = ["user10", "user11", "user2", "user", "userü"];
        let next = next_characters(&names);
        assert_eq!(next.into_iter().collect::<Vec<_>>(), ["user", "user1", "user2", "userü"]);
        assert!(next_characters(&[]).is_empty());
    }
}
