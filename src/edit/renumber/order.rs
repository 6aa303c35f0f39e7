//! Decides which of the migrations that conflict is moved, and the new versions of all migrations
//! behind it.

use std::collections::BTreeMap;

use semver::Version;

use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::edit::error::EditError;
use crate::edit::new_migration::Bump;
use crate::edit::renumber::occurrence::Occurrence;
use crate::edit::renumber::request::RenumberRequest;
use crate::text::list_names;

/// The migrations that are renumbered, as indexes of the occurrences, and their new versions.
pub(crate) type NewVersions = BTreeMap<usize, VersionPair>;

/// A plan with the reasons for it.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) new_versions: NewVersions,
    /// Why the migration that is moved was chosen.
    pub(crate) notes: Vec<String>,
}

/// Orders the occurrences of a document in one chain.
pub(crate) struct Ordering<'o> {
    pub(crate) occurrences: &'o [Occurrence],
    pub(crate) request: &'o RenumberRequest<'o>,
    pub(crate) document: &'o str,
}

/// Which of two migrations with the same versions keeps them.
struct Choice {
    kept: usize,
    note: Option<String>,
}

impl Ordering<'_> {
    /// Plans the new versions.
    ///
    /// # Errors
    ///
    /// The version does not conflict with another one, it cannot be decided which migration moves,
    /// or databases have recorded a migration that would move.
    pub(crate) fn plan(&self) -> Result<Order, EditError> {
        let mut order = Order::default();
        let version = self.request.version;
        let named = self.with_end(version);
        let (kept, moved) = match named.as_slice() {
            [] => return Err(self.not_found()),
            [only] => (self.conflicting_with(*only)?, vec![*only]),
            _ => {
                let choice = self.choose(&named)?;
                order.notes.extend(choice.note);
                let moved = named.iter().copied().filter(|index| *index != choice.kept).collect();
                (choice.kept, moved)
            }
        };
        self.refuse_move(kept, &moved)?;
        let (stay, moved) = self.follow(kept, moved, &mut order)?;
        let end = |index: usize| &self.occurrences[index].versions.to;
        let after = self.insertion_version(&stay, &moved)?;
        let behind = stay.iter().copied().filter(|index| *end(*index) > after);
        let behind: Vec<usize> = behind.collect();
        let last = self.last_recorded(&stay).unwrap_or_else(|| after.clone());
        self.refuse_recorded(&behind, &format!("pass `--after {last}` or leave `--after` out"))?;
        let mut previous = after;
        for index in moved.into_iter().chain(behind) {
            let old = &self.occurrences[index].versions;
            let to = match (old.to.version(), previous.version()) {
                (Some(to), Some(previous)) if to <= previous => {
                    VersionPoint::Version(Bump::Patch.apply(previous))
                }
                _ => old.to.clone(),
            };
            let new = VersionPair::new(previous, to.clone());
            if new != *old {
                order.new_versions.insert(index, new);
            }
            previous = to;
        }
        Ok(order)
    }

    /// The occurrences that lead to a version.
    fn with_end(&self, version: &Version) -> Vec<usize> {
        let leads_to = |found: &Occurrence| found.versions.to.version() == Some(version);
        (0..self.occurrences.len()).filter(|index| leads_to(&self.occurrences[*index])).collect()
    }

    fn not_found(&self) -> EditError {
        EditError::CannotRenumber(format!(
            "no migration of {} leads to `{}`; name the higher version of the migration to move",
            self.document, self.request.version
        ))
    }

    /// The migration that starts where `index` starts.
    fn conflicting_with(&self, index: usize) -> Result<usize, EditError> {
        let versions = &self.occurrences[index].versions;
        let others = (0..self.occurrences.len()).filter(|other| {
            *other != index && self.occurrences[*other].versions.from == versions.from
        });
        let mut others: Vec<usize> = others.collect();
        if let [.., _, _] = others.as_slice()
            && let Some(after) = self.request.after
        {
            others.retain(|other| self.occurrences[*other].versions.to.version() == Some(after));
        }
        match others.as_slice() {
            [other] => Ok(*other),
            [] => Err(EditError::CannotRenumber(format!(
                "nothing to renumber: `{versions}` in line {} of {} is the only migration that starts at `{}`",
                self.occurrences[index].line, self.document, versions.from
            ))),
            _ => Err(EditError::CannotRenumber(format!(
                "several other migrations start at `{}`, in lines {}; name the one to move behind with `--after`",
                versions.from,
                self.lines(&others)
            ))),
        }
    }

    fn lines(&self, indexes: &[usize]) -> String {
        let lines: Vec<String> =
            indexes.iter().map(|index| self.occurrences[*index].line.to_string()).collect();
        lines.join(" and ")
    }

    /// Which of the migrations with the same versions keeps them: the one that databases recorded,
    /// else the only one that is not planned, else the first one if the caller said behind which
    /// version the other one moves.
    fn choose(&self, candidates: &[usize]) -> Result<Choice, EditError> {
        let versions = &self.occurrences[candidates[0]].versions;
        let line = |index: usize| self.occurrences[index].line;
        let recorded: Vec<(usize, Vec<String>)> = candidates
            .iter()
            .map(|index| (*index, self.recorded_in(*index, candidates)))
            .filter(|(_, names)| !names.is_empty())
            .collect();
        match recorded.as_slice() {
            [(kept, names)] => {
                return Ok(Choice {
                    kept: *kept,
                    note: Some(format!(
                        "`{versions}` in line {} keeps its versions: {} recorded it",
                        line(*kept),
                        list_names(names)
                    )),
                });
            }
            [(first, first_names), (second, second_names), ..] => {
                return Err(EditError::CannotRenumber(format!(
                    "databases recorded both migrations `{versions}`: that in line {} in {}, and that in line {} in {}; undo one of them first with the document of its branch (`tatmig -f OLD.md downgrade`), or restore these databases",
                    line(*first),
                    list_names(first_names),
                    line(*second),
                    list_names(second_names)
                )));
            }
            [] => {}
        }
        let released: Vec<usize> =
            candidates.iter().copied().filter(|index| !self.occurrences[*index].planned).collect();
        match (released.as_slice(), self.request.after) {
            ([kept], _) => Ok(Choice {
                kept: *kept,
                note: Some(format!(
                    "`{versions}` in line {} keeps its versions: the other one is planned",
                    line(*kept)
                )),
            }),
            (_, Some(_)) => Ok(Choice { kept: candidates[0], note: None }),
            (_, None) => Err(EditError::CannotRenumber(format!(
                "`{versions}` is in lines {} of {}, and no database recorded either of them, so it is not known which one is released; `tatmig renumber {to} --after {to}` moves the last one (swap the sections to move the other)",
                self.lines(candidates),
                self.document,
                to = versions.to
            ))),
        }
    }

    /// The databases that recorded this occurrence and not another one of `candidates`.
    fn recorded_in(&self, index: usize, candidates: &[usize]) -> Vec<String> {
        let occurrence = &self.occurrences[index];
        let is_distinct = |scope: Scope| {
            let checksum = occurrence.checksum(scope);
            let mut others = candidates.iter().filter(|other| **other != index);
            others.all(|other| self.occurrences[*other].checksum(scope) != checksum)
        };
        let recorded = self.request.recorded.iter().filter(|recorded| {
            recorded.is_for(&occurrence.versions)
                && (candidates.len() == 1
                    || (is_distinct(recorded.scope)
                        && recorded.checksum.as_deref()
                            == Some(&occurrence.checksum(recorded.scope).to_string())))
        });
        let mut names: Vec<String> = recorded.map(|recorded| recorded.database.clone()).collect();
        names.dedup();
        names
    }

    /// Refuses to give new versions to a migration that databases recorded.
    fn refuse_recorded(&self, indexes: &[usize], help: &str) -> Result<(), EditError> {
        for index in indexes {
            let occurrence = &self.occurrences[*index];
            let names = self.recorded_in(*index, &self.with_same_versions(*index));
            if !names.is_empty() {
                return Err(EditError::CannotRenumber(format!(
                    "`{}` in line {} is released: {} recorded it; {help}",
                    occurrence.versions,
                    occurrence.line,
                    list_names(&names)
                )));
            }
        }
        Ok(())
    }

    /// Refuses to move a migration that is released rather than the one that stays.
    fn refuse_move(&self, kept: usize, moved: &[usize]) -> Result<(), EditError> {
        let kept = &self.occurrences[kept];
        let other = format!("`tatmig renumber {}` moves the other one", kept.versions.to);
        self.refuse_recorded(moved, &other)?;
        match moved.iter().map(|index| &self.occurrences[*index]).find(|found| !found.planned) {
            Some(released) if kept.planned => Err(EditError::CannotRenumber(format!(
                "`{}` in line {} is released and `{}` in line {} is planned; {other}",
                released.versions, released.line, kept.versions, kept.line
            ))),
            _ => Ok(()),
        }
    }

    fn with_same_versions(&self, index: usize) -> Vec<usize> {
        let versions = &self.occurrences[index].versions;
        (0..self.occurrences.len())
            .filter(|other| self.occurrences[*other].versions == *versions)
            .collect()
    }

    /// The end of the last of these migrations that databases recorded.
    fn last_recorded(&self, indexes: &[usize]) -> Option<VersionPoint> {
        let is_recorded = |index: &&usize| {
            !self.recorded_in(**index, &self.with_same_versions(**index)).is_empty()
        };
        indexes
            .iter()
            .rev()
            .find(is_recorded)
            .map(|index| self.occurrences[*index].versions.to.clone())
    }

    /// Follows the chain from the migration that stays, and from those that move. Returns the
    /// migrations that stay, and those that move, both in their order.
    fn follow(
        &self,
        kept: usize,
        named: Vec<usize>,
        order: &mut Order,
    ) -> Result<(Vec<usize>, Vec<usize>), EditError> {
        let (mut stay, mut moved) = (vec![kept], named);
        let mut is_used = vec![false; self.occurrences.len()];
        for index in stay.iter().chain(&moved) {
            is_used[*index] = true;
        }
        let starting_at = |version: &VersionPoint, is_used: &[bool]| -> Vec<usize> {
            let starts = |index: &usize| self.occurrences[*index].versions.from == *version;
            (0..is_used.len()).filter(|index| !is_used[*index]).filter(starts).collect()
        };
        let mut version = self.occurrences[kept].versions.to.clone();
        loop {
            let next = starting_at(&version, &is_used);
            let next_kept = match next.as_slice() {
                [] => break,
                [only] => *only,
                [first, ..] if next.len() == self.with_same_versions(*first).len() => {
                    let choice = self.choose(&next)?;
                    order.notes.extend(choice.note);
                    choice.kept
                }
                _ => {
                    return Err(EditError::CannotRenumber(format!(
                        "several migrations start at `{version}` too, in lines {} of {}; renumber one of these first",
                        self.lines(&next),
                        self.document
                    )));
                }
            };
            moved.extend(next.iter().copied().filter(|index| *index != next_kept));
            for index in next {
                is_used[index] = true;
            }
            version = self.occurrences[next_kept].versions.to.clone();
            stay.push(next_kept);
        }
        // What follows on the branch of a migration that moves moves with it.
        let mut position = 0;
        while position < moved.len() {
            let end = self.occurrences[moved[position]].versions.to.clone();
            for index in starting_at(&end, &is_used) {
                is_used[index] = true;
                moved.push(index);
            }
            position += 1;
        }
        Ok((stay, moved))
    }

    /// The version behind which the migrations move.
    fn insertion_version(
        &self,
        stay: &[usize],
        moved: &[usize],
    ) -> Result<VersionPoint, EditError> {
        let end = |index: &usize| self.occurrences[*index].versions.to.clone();
        if let Some(after) = self.request.after {
            let after = VersionPoint::Version(after.clone());
            if stay.iter().any(|index| end(index) == after) {
                return Ok(after);
            }
            let ends: Vec<String> = stay.iter().map(|index| format!("`{}`", end(index))).collect();
            return Err(EditError::CannotRenumber(format!(
                "`--after {after}` is not a version behind which the migration can move; these are: {}",
                ends.join(", ")
            )));
        }
        let is_planned = |index: &usize| self.occurrences[*index].planned;
        // A planned migration follows every released one.
        let last_released = if moved.iter().all(is_planned) {
            stay.iter().rev().find(|index| !is_planned(index)).map(end)
        } else {
            None
        };
        Ok(last_released.max(self.last_recorded(stay)).unwrap_or_else(|| end(&stay[0])))
    }
}
