//! `upgrade` and `seed`: run the document's SQL on the fleet.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use semver::Version;
use tatmig::fleet::{Fleet, OnFailure, Options, Outcome, Selection};
use tatmig::{Changelog, Failure, Problem, Ready, Refusal, Scope, Verdict};

use crate::cli::command_args::{Upgrade, Users};
use crate::cli::commands::{Text, Tools, backup};
use crate::cli::report::{Aside, DONE, Deed, Kept};

pub(crate) fn run(tools: Tools<'_>, arguments: &Upgrade) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let Some(version) = &arguments.planned else {
        let target = changelog.target(arguments.to.as_deref())?;
        return migrate(tools, arguments, (&changelog, target));
    };
    let version = Version::parse(version)
        .with_context(|| format!("`--planned {version}` is not a version"))?;
    let position = changelog
        .position(&version)
        .with_context(|| format!("version `{version}` is not in {}", text.name))?;
    let text = Text { text: changelog.uncommented(&version)?, ..text };
    let changelog = tools.changelog(&text)?;
    migrate(tools, arguments, (&changelog.released_up_to(position), position))
}

/// Brings the fleet to the version at a position, in the way that was asked for.
fn migrate(
    tools: Tools<'_>,
    arguments: &Upgrade,
    (changelog, target): (&Changelog<'_>, usize),
) -> anyhow::Result<u8> {
    let mut fleet = tools.fleet(changelog, &arguments.users.selection())?;
    let replay = tools.replay(changelog, target)?;
    let options = Options {
        on_failure: if arguments.fail_fast { OnFailure::Stop } else { OnFailure::GoOn },
        canary: arguments.canary,
        ..tools.options()
    };
    let bar = tools.report.progress(fleet.members().count());
    if arguments.dry_run {
        let statuses =
            fleet.status((changelog, Some(&replay), target), &options, &mut || bar.inc(1));
        bar.finish_and_clear();
        let ready = tools.ready((changelog, &replay), target);
        return Ok(tools.report.dry_run(&ready, (&fleet, &statuses)));
    }
    let ready = tools.ready((changelog, &replay), target);
    let rehearsal =
        Ready::rehearsal(changelog, &replay, target).with_practice(tools.settings.practice(None));
    let mut outcome = None;
    if arguments.rehearse || arguments.all_or_nothing {
        outcome = Some(fleet.upgrade(&rehearsal, &options, &mut |_, _| bar.inc(1)));
    }
    let mut passed = outcome.as_ref().is_none_or(Outcome::is_clean);
    let mut copies = None;
    if arguments.backup && passed {
        let statuses = fleet.standings(&ready, &options, &mut || {});
        let concerned =
            statuses.iter().map(|status| backup::is_concerned(status.as_ref())).collect::<Vec<_>>();
        bar.suspend(|| {
            copies = backup::before(tools, (&mut fleet, &concerned), ("upgrade", &options))?;
            anyhow::Ok(())
        })?;
        if arguments.all_or_nothing && fleet.members().any(|member| member.refused.is_some()) {
            outcome = Some(fleet.upgrade(&rehearsal, &options, &mut |_, _| {}));
            passed = false;
        }
    }
    if !arguments.rehearse && passed {
        bar.reset();
        outcome = Some(fleet.upgrade(&ready, &options, &mut |_, _| bar.inc(1)));
    }
    bar.finish_and_clear();
    // One of the two has run.
    let Some(outcome) = outcome else { return Ok(DONE) };
    let kept = kept((&fleet, &outcome), (&ready, &options));
    let to = ready.target().to_string();
    let aside = Aside { kept, copies, held: None, deed: Deed::Upgrade };
    let status = tools.report.upgraded((&fleet, &outcome), (changelog.source(), &to), &aside);
    if arguments.all_or_nothing && !passed {
        tools.report.line("nothing was committed: not every database passed the rehearsal");
    }
    Ok(status)
}

/// What the system database kept of migrations that were edited since, beside what they are now.
pub(crate) fn kept(
    (fleet, outcome): (&Fleet, &Outcome),
    (ready, options): (&Ready<'_, '_>, &Options),
) -> Kept {
    let mut kept = Kept::new();
    let Some(system) = &fleet.system else { return kept };
    let mut seen = BTreeSet::new();
    for (member, verdict) in outcome.by_member(fleet) {
        let Verdict::Failed { failure, .. } = verdict else { continue };
        let Failure::Refused(Refusal::Edited { edits }) = &**failure else { continue };
        for edit in edits {
            if seen.insert(edit.recorded.clone())
                && let Some(changes) =
                    ready.changes(edit, member.scope, (system, &options.patience))
            {
                kept.insert(edit.recorded.clone(), changes);
            }
        }
    }
    kept
}

/// Runs seed blocks, in the order named: each on the system database, then on the users.
pub(crate) fn seed(tools: Tools<'_>, names: &[String], users: &Users) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    for name in names {
        if !changelog.seeds().iter().any(|seed| seed.name == *name) {
            let mut known: Vec<&str> =
                changelog.seeds().iter().map(|seed| seed.name.as_str()).collect();
            known.dedup();
            match known.as_slice() {
                [] => bail!(
                    "the document has no seed block; one is tagged `-- [user:seed:{name}:start]`"
                ),
                known => {
                    bail!("the document has no seed `{name}`; it has `{}`", known.join("`, `"))
                }
            }
        }
    }
    let wanted = |scope: Scope| {
        changelog.seeds().iter().any(|seed| seed.scope == scope && names.contains(&seed.name))
    };
    if matches!(users.selection(), Selection::Named(_)) && !wanted(Scope::User) {
        let (noun, puts) = if names.len() == 1 { ("seed", "puts") } else { ("seeds", "put") };
        let names = names.join("`, `");
        bail!("the {noun} `{names}` {puts} nothing into user databases; leave `--user` out");
    }
    let fleet = Fleet::discover(&tools.settings.layout, wanted, &users.selection())?;
    let target = changelog.head_position();
    // What fails in a seed stands in the way of that seed alone.
    let asked = changelog.seeds().iter().filter(|seed| names.contains(&seed.name));
    let blocks: Vec<_> =
        asked.map(|seed| seed.part.sql().span(0..seed.part.sql().text().len())).collect();
    let is_asked =
        |problem: &Problem| blocks.iter().any(|block| block.contains(&problem.span.start));
    let replay = tools.unjudged_replay(&changelog)?;
    let problems = replay.problems(target).zip(replay.all_problems());
    let weighed = problems.map(|(told, whole)| if is_asked(&whole) { whole } else { told });
    tools.judge(&changelog, weighed)?;
    let ready = tools.ready((&changelog, &replay), target);
    let outcome = fleet.seed(&ready, (names, &tools.options()), &mut |_, _| {});
    Ok(tools.report.seeded((&fleet, &outcome), changelog.source()))
}
