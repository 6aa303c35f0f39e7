//! One database in memory, made at a version, filled, and sent through the document: to head, down
//! by the reverse blocks and up again. What it holds is compared leg by leg.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::history_entry::{Entry, Event};
use crate::database::job::{Order, Step};
use crate::database::{Database, Look};
use crate::document::changelog::StepId;
use crate::document::diagnostic::Rule;
use crate::document::tag::Point;
use crate::migrate::embedded::Lent;
use crate::migrate::migrator::Ready;
use crate::plan;
use crate::plan::Standing;
use crate::plan::outcome::{Failure, Verdict};
use crate::schema::Schema;
use crate::selftest::attribute::Trouble;
use crate::selftest::context::Document;
use crate::selftest::fill::Filled;
use crate::selftest::snapshot::{Difference, Intent, Snapshot};
use crate::selftest::values::Manner;
use crate::selftest::{attribute, fill, snapshot};

/// What came of one database.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) filled: Filled,
    /// How far down the reverse blocks led.
    pub(crate) down_to: Option<Point>,
    pub(crate) troubles: Vec<Trouble>,
}

/// A way that is gone in one transaction.
#[derive(Clone, Copy)]
enum Leg {
    /// To the version at a position.
    Up(usize),
    /// As many reverse blocks as that.
    Down(usize),
}

/// How long the legs are. Going step by step from every version costs the square of their number
/// in comparisons, so that is done only where something is wrong, to find the step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stride {
    Long,
    Step,
}

/// Each with the step that it came from, as far as that is known.
type Troubles = Result<Vec<(Option<StepId>, Trouble)>, DatabaseError>;

/// Whether rows stopped a migration.
fn stops(trouble: &Trouble) -> bool {
    matches!(trouble.problem.rule, Rule::Constraint | Rule::ForeignKeys | Rule::Sql)
}

impl Document<'_, '_> {
    /// Brings a database up to a position, the way that every real one goes.
    pub(crate) fn up(
        &self,
        connection: &mut Connection,
        target: usize,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(DatabaseError::Interrupted);
        }
        let ready = Ready::new(self.changelog, self.replay, target);
        let mut lent = Lent::new(connection)?;
        let verdict = ready.upgrade(self.scope, &mut lent);
        lent.give_back()?;
        match verdict {
            Verdict::Skipped => Err(DatabaseError::Interrupted),
            Verdict::Failed { failure, .. } => Ok(Err(*failure)),
            _ => Ok(Ok(())),
        }
    }

    /// The reverse blocks that lead down from a position, the first of them first.
    fn reverses(&self, position: usize) -> Vec<StepId> {
        let changelog = self.changelog;
        let mut ids: Vec<StepId> = (0..position)
            .rev()
            .map(StepId::Reverse)
            .take_while(|id| changelog.step(*id).is_some())
            .collect();
        let bottom = &changelog.versions()[position - ids.len()];
        let baseline = changelog.baselines().iter().position(|b| b.to.version() == Some(bottom));
        let id = baseline.map(StepId::Unbaseline);
        ids.extend(id.filter(|id| changelog.step(*id).is_some()));
        ids
    }

    fn down(
        &self,
        connection: &mut Connection,
        (position, ids): (usize, &[StepId]),
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let (changelog, replay, scope) = (self.changelog, self.replay, self.scope);
        let effects = replay.effects(scope, Standing::At(position), ids);
        let mut steps = Vec::with_capacity(ids.len());
        for id in ids {
            let (Some(migration), Some(script)) = (changelog.step(*id), replay.script(scope, *id))
            else {
                continue;
            };
            let position = migration.to.version().and_then(|to| changelog.position(to));
            let entry = Entry {
                event: Event::Downgrade,
                from: migration.from.to_string(),
                to: migration.to.to_string(),
                checksum: Some(migration.checksum(scope)),
                chain: position.map(|position| changelog.chain_checksum(scope, position)),
                note: None,
            };
            let label = attribute::label(migration);
            steps.push(Step { script, label, entry: Some(entry), applied: Vec::new() });
        }
        let order = Order { effects, ..Order::of(scope, steps) };
        let mut lent = Lent::new(connection)?;
        let result = lent.state().and_then(|state| lent.apply(&order, &state));
        lent.give_back()?;
        match result {
            Ok(_) => Ok(Ok(())),
            Err(DatabaseError::Interrupted) => Err(DatabaseError::Interrupted),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Fills a database that stands at a position and holds nothing but what the document put in,
    /// and sends it through the document. `head` is the schema that it leads to.
    pub(crate) fn run(
        &self,
        empty: &Connection,
        position: usize,
        head: &Schema,
    ) -> Result<Outcome, DatabaseError> {
        let rich = self.copy(empty)?;
        let mut outcome =
            Outcome { filled: fill::fill(&rich, Manner::Rich, head)?, ..Outcome::default() };
        let mut troubles = self.ways(&rich, position, &mut outcome.down_to)?;
        if troubles.iter().any(|(_, trouble)| stops(trouble)) {
            // Rows that stop the run keep what is behind them from being tried; others may not.
            let tame = self.copy(empty)?;
            fill::fill(&tame, Manner::Tame, head)?;
            let more = self.ways(&tame, position, &mut outcome.down_to)?;
            // That some rows may stop it is known to its author, if the block says so.
            troubles.retain(|(id, trouble)| !(stops(trouble) && self.allows(*id, trouble)));
            for (id, trouble) in more {
                let known = troubles.iter().any(|(other, found)| {
                    *other == id && found.problem.rule == trouble.problem.rule
                });
                if !known {
                    troubles.push((id, trouble));
                }
            }
        }
        outcome.troubles = troubles.into_iter().map(|(_, trouble)| trouble).collect();
        Ok(outcome)
    }

    fn allows(&self, id: Option<StepId>, trouble: &Trouble) -> bool {
        // A foreign key is a constraint too: to know that rows may stop the run is less than to let
        // them through, which `foreign-keys` does.
        let known = match trouble.problem.rule {
            Rule::ForeignKeys => &[Rule::ForeignKeys, Rule::Constraint] as &[Rule],
            rule => &[rule],
        };
        id.and_then(|id| self.replay.script(self.scope, id))
            .is_some_and(|script| known.iter().any(|rule| script.allows(*rule)))
    }

    /// Every way from a position, each from a copy of its own: to head, back down to where it came
    /// from and up again; from head as far down as the reverse blocks lead, step by step; and on
    /// the way one step down with rows that were made for it.
    fn ways(&self, filled: &Connection, position: usize, down_to: &mut Option<Point>) -> Troubles {
        let head = self.changelog.head_position();
        let reverses = self.reverses(head);
        if position == head {
            let legs = [Leg::Down(reverses.len()), Leg::Up(head)];
            self.reach(down_to, reverses.last());
            return self.way(filled, position, (&legs, Stride::Step));
        }
        let down = reverses.len().min(head - position);
        let mut long = vec![Leg::Up(position + 1), Leg::Up(head)];
        if down > 0 {
            long.extend([Leg::Down(down), Leg::Up(head)]);
            self.reach(down_to, reverses.get(down - 1));
        }
        let mut troubles = self.way(filled, position, (&long, Stride::Long))?;
        if !troubles.is_empty() {
            let steps = self.way(filled, position, (&long, Stride::Step))?;
            // Step by step nothing need be wrong: a table may have gone and come again within one
            // long leg. But a transaction that fails as a whole has failed.
            let failed = troubles.iter().any(|(_, trouble)| stops(trouble));
            if !steps.is_empty() || !failed {
                troubles = steps;
            }
        }
        if let Some(id) = self.reverses(position).first() {
            self.reach(down_to, Some(id));
            let legs = [Leg::Down(1), Leg::Up(position)];
            troubles.extend(self.way(filled, position, (&legs, Stride::Step))?);
        }
        Ok(troubles)
    }

    /// Notes how far down a step leads.
    fn reach(&self, down_to: &mut Option<Point>, id: Option<&StepId>) {
        let to = id.and_then(|id| self.changelog.step(*id)).map(|migration| migration.to.clone());
        *down_to = match (down_to.take(), to) {
            (Some(known), Some(to)) => Some(known.min(to)),
            (known, to) => known.or(to),
        };
    }

    /// Goes some legs, and compares after each.
    fn way(
        &self,
        filled: &Connection,
        mut position: usize,
        (legs, stride): (&[Leg], Stride),
    ) -> Troubles {
        let mut connection = self.copy(filled)?;
        let mut before = Snapshot::take(&connection)?;
        let mut troubles = Vec::new();
        // Below the lowest baseline there is no position.
        let mut below = false;
        for leg in legs {
            for (ids, target) in self.parts((position, below), (*leg, stride)) {
                let went = match leg {
                    Leg::Up(_) => self.up(&mut connection, target)?,
                    Leg::Down(_) => self.down(&mut connection, (position, &ids))?,
                };
                if let Err(failure) = went {
                    troubles.push(attribute::failure(self, &ids, &failure));
                    return Ok(troubles);
                }
                let after = Snapshot::take(&connection)?;
                troubles.extend(self.differences(&ids, (&before, &after)));
                (before, position) = (after, target);
                below = matches!(ids.last(), Some(StepId::Unbaseline(_)));
            }
        }
        Ok(troubles)
    }

    /// What is lost between two snapshots on the way of some steps.
    pub(crate) fn differences(
        &self,
        ids: &[StepId],
        (before, after): (&Snapshot, &Snapshot),
    ) -> Vec<(Option<StepId>, Trouble)> {
        let mut intent = Intent::default();
        for script in ids.iter().filter_map(|id| self.replay.script(self.scope, *id)) {
            intent.add(script);
        }
        let differences = snapshot::differences(before, after, &intent).into_iter();
        let names = |difference: &Difference| intent.names(&difference.table);
        differences.map(|lost| attribute::difference(self, ids, (&names(&lost), lost))).collect()
    }

    /// The transactions of a leg: the steps of each, and the position that it leads to.
    fn parts(
        &self,
        (position, below): (usize, bool),
        (leg, stride): (Leg, Stride),
    ) -> Vec<(Vec<StepId>, usize)> {
        match leg {
            Leg::Up(target) => {
                let standing = if below { Standing::BelowBaseline } else { Standing::At(position) };
                let ids =
                    |standing, target| plan::steps(self.changelog, self.scope, (standing, target));
                if stride == Stride::Long {
                    let ids = ids(standing, target);
                    return if ids.is_empty() { vec![] } else { vec![(ids, target)] };
                }
                let mut parts = Vec::new();
                let mut from = position;
                if below {
                    from = 0;
                    parts.push((ids(standing, 0), 0));
                }
                parts.extend((from..target).map(|at| (ids(Standing::At(at), at + 1), at + 1)));
                parts
            }
            Leg::Down(count) => {
                let ids: Vec<StepId> = self.reverses(position).into_iter().take(count).collect();
                let to = |id: &StepId| match id {
                    StepId::Reverse(at) => *at,
                    _ => 0,
                };
                if stride == Stride::Step {
                    return ids.iter().map(|id| (vec![*id], to(id))).collect();
                }
                let target = ids.last().map_or(position, to);
                if ids.is_empty() { vec![] } else { vec![(ids, target)] }
            }
        }
    }
}
