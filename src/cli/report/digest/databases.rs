//! Groups databases that have everything but their names in common, and stores the names compactly.

use std::collections::HashMap;

use serde::Serialize;
use tatmig::Scope;

use crate::cli::report::digest::excerpt::clip;
use crate::cli::report::state::State;

/// Beyond this many groups, databases are grouped by their state and cause only.
const MAX_GROUPS: usize = 1_000;
const MAX_VERSION: usize = 60;
const MAX_DETAIL: usize = 300;

/// What the databases of a group have in common.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct GroupKey {
    pub(crate) scope: Scope,
    pub(crate) state: State,
    /// The version before the run, if it changed.
    pub(crate) before: Option<String>,
    pub(crate) version: Option<String>,
    /// What else there is to say, such as pending versions.
    pub(crate) detail: String,
    /// The index of the cause of the failure.
    pub(crate) cause: Option<usize>,
}

impl GroupKey {
    pub(crate) fn new(scope: Scope, state: State) -> Self {
        Self { scope, state, before: None, version: None, detail: String::new(), cause: None }
    }
}

/// Databases with one key.
pub(crate) struct DatabaseGroup {
    pub(crate) key: GroupKey,
    pub(crate) count: usize,
    names: NameList,
}

/// A group as the page has it.
#[derive(Serialize)]
pub(crate) struct GroupEntry<'r> {
    #[serde(flatten)]
    key: &'r GroupKey,
    count: usize,
    /// How many of the names are left out.
    left_out: usize,
    names: &'r str,
}

/// All groups, in the order in which their first databases were added.
#[derive(Default)]
pub(crate) struct DatabaseGroups {
    groups: Vec<DatabaseGroup>,
    index_by_key: HashMap<GroupKey, usize>,
}

impl DatabaseGroups {
    pub(crate) fn add(&mut self, mut key: GroupKey, name: &str) {
        let index = self.index_by_key.get(&key).copied().unwrap_or_else(|| {
            if self.groups.len() >= MAX_GROUPS {
                key = GroupKey { cause: key.cause, ..GroupKey::new(key.scope, key.state) };
                "different from the others".clone_into(&mut key.detail);
            }
            let next = self.groups.len();
            let index = *self.index_by_key.entry(key.clone()).or_insert(next);
            if index == next {
                let key = key.clipped();
                self.groups.push(DatabaseGroup { key, count: 0, names: NameList::default() });
            }
            index
        });
        let group = &mut self.groups[index];
        group.count += 1;
        group.names.push(name);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &DatabaseGroup> {
        self.groups.iter()
    }

    pub(crate) fn total(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The groups with as many names as fit into `budget` bytes. The names of small groups, which
    /// differ from the others, come first.
    pub(crate) fn entries(&self, budget: usize) -> Vec<GroupEntry<'_>> {
        let mut groups: Vec<&DatabaseGroup> = self.groups.iter().collect();
        groups.sort_by_key(|group| group.names.text.len());
        let mut left = budget;
        let entries = groups.into_iter().map(|group| {
            let kept = group.names.beginning(left);
            left -= kept.text.len() + kept.count;
            GroupEntry {
                key: &group.key,
                count: group.count,
                left_out: group.count - kept.count,
                names: kept.text,
            }
        });
        entries.collect()
    }
}

impl GroupKey {
    fn clipped(self) -> Self {
        let clip_version = |version: Option<String>| version.map(|text| clip(&text, MAX_VERSION));
        Self {
            before: clip_version(self.before),
            version: clip_version(self.version),
            detail: clip(&self.detail, MAX_DETAIL),
            ..self
        }
    }
}

/// Names, each as the length of the beginning that it shares with the name before it, and the rest.
/// The length is one character of [`LENGTHS`]; a line feed ends each name.
#[derive(Default)]
struct NameList {
    text: String,
    last: String,
}

/// The names that fit.
struct KeptNames<'r> {
    text: &'r str,
    count: usize,
}

/// The digits of base 62; the page has the same.
const LENGTHS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl NameList {
    fn push(&mut self, name: &str) {
        // Only ASCII is shared: it has the same length in UTF-8 and in JavaScript.
        let pairs = self.last.bytes().zip(name.bytes());
        let shared = pairs.take_while(|(left, right)| left == right && left.is_ascii()).count();
        let shared = shared.min(LENGTHS.len() - 1);
        self.text.push(char::from(LENGTHS[shared]));
        self.text.push_str(&name[shared..]);
        self.text.push('\n');
        name.clone_into(&mut self.last);
    }

    /// The beginning of the list that takes up to `budget` bytes in JSON, where a line feed has two.
    fn beginning(&self, budget: usize) -> KeptNames<'_> {
        let mut kept = KeptNames { text: "", count: 0 };
        let (mut used, mut end) = (0, 0);
        for line in self.text.split_inclusive('\n') {
            used += line.len() + 1;
            if used > budget {
                break;
            }
            end += line.len();
            kept = KeptNames { text: &self.text[..end], count: kept.count + 1 };
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> DatabaseGroups {
        let mut groups = DatabaseGroups::default();
        for name in names {
            groups.add(GroupKey::new(Scope::User, State::Current), name);
        }
        groups
    }

    #[test]
    fn names_share_their_beginnings() {
        let groups = groups(&["u0001", "u0002", "u0010", "zoé", "zoë", ""]);
        assert_eq!(groups.entries(100)[0].names, "0u0001\n42\n310\n0zoé\n2ë\n0\n");
    }

    #[test]
    fn names_that_do_not_fit_are_counted() {
        let groups = groups(&["ann", "bob", "cleo"]);
        for (budget, names, left_out) in
            [(0, "", 3), (6, "0ann\n", 2), (12, "0ann\n0bob\n", 1), (100, "0ann\n0bob\n0cleo\n", 0)]
        {
            let entries = groups.entries(budget);
            assert_eq!((entries[0].names, entries[0].left_out), (names, left_out), "{budget}");
        }
    }

    #[test]
    fn small_groups_keep_their_names_first() {
        let mut groups = groups(&["ann", "bob", "cleo"]);
        groups.add(GroupKey::new(Scope::User, State::Failed), "dora");
        let entries = groups.entries(8);
        assert_eq!((entries[0].key.state, entries[0].left_out), (State::Failed, 0));
        assert_eq!((entries[1].key.state, entries[1].left_out), (State::Current, 3));
    }

    #[test]
    fn many_different_databases_stay_bounded() {
        let mut groups = DatabaseGroups::default();
        for number in 0..5_000 {
            let version = Some(format!("1.0.{number}"));
            groups.add(GroupKey { version, ..GroupKey::new(Scope::User, State::Ahead) }, "x");
        }
        assert_eq!(groups.iter().count(), MAX_GROUPS + 1);
        assert_eq!(groups.total(), 5_000);
    }
}
