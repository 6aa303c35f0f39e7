//! What an upgrade tells: a line for each scope, every failure with its place in the document,
//! and what to do next.

use std::cmp::Reverse as Other;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use tatmig::backup::Backup;
use tatmig::fleet::{Fleet, Outcome};
use tatmig::{
    DatabaseError, Direction, Failure, Member, Passage, Point, Problem, Ready, Refusal, Rule,
    Scope, Source, Status, StepId, Verdict,
};

use crate::cli::report::backup::{copied, copy_of};
use crate::cli::report::{DONE, FAILED, Report, failure_json, plural, printable, some};
use crate::cli::settings::{Format, Volume};

/// What ran, where the system database kept it, by checksum: shown beside an edited migration.
pub(crate) type Kept = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// What a run was asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Deed {
    #[default]
    Upgrade,
    Downgrade,
    Reset,
}

impl Deed {
    /// What a database is then for which it was done.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Upgrade => "upgraded",
            Self::Downgrade => "downgraded",
            Self::Reset => "reset",
        }
    }
}

/// What is told beside the outcome of a run.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub(crate) kept: Kept,
    /// The copies that were made first.
    pub(crate) copies: Option<Backup>,
    /// Why the system database was left out.
    pub(crate) held: Option<String>,
    pub(crate) deed: Deed,
}

impl Report {
    /// Tells what became of a fleet and returns the exit status.
    pub(crate) fn upgraded(
        &self,
        (fleet, outcome): (&Fleet, &Outcome),
        (source, target): (&Source<'_>, &str),
        aside: &Aside,
    ) -> u8 {
        let pairs: Vec<(&Member, &Verdict)> = outcome.by_member(fleet).collect();
        let failed = pairs.iter().any(|(_, verdict)| verdict.is_failure());
        if self.format == Format::Json {
            Self::outcome_json(&pairs, (source, target), aside);
        } else {
            self.told(fleet, &pairs, (target, aside));
        }
        self.failures(&pairs, source, &aside.kept);
        if self.format == Format::Text {
            self.next(&pairs, (target, aside));
        }
        if failed { FAILED } else { DONE }
    }

    /// Tells what became of seeds and returns the exit status.
    pub(crate) fn seeded(&self, (fleet, outcome): (&Fleet, &Outcome), source: &Source<'_>) -> u8 {
        let pairs: Vec<(&Member, &Verdict)> = outcome.by_member(fleet).collect();
        if self.format == Format::Json {
            Self::outcome_json(&pairs, (source, ""), &Aside::default());
        }
        for (member, verdict) in &pairs {
            self.line(format!("{}: {}", member.shown(), words(verdict)));
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.users_found) {
            self.line(format!(
                "{} left alone; `--all-users` or `--user NAME` seeds them",
                plural(count, "user database")
            ));
        }
        self.failures(&pairs, source, &Kept::new());
        if pairs.iter().any(|(_, verdict)| verdict.is_failure()) { FAILED } else { DONE }
    }

    /// Tells what was written into records, databases of one shape once.
    pub(crate) fn recorded(&self, (fleet, outcome): (&Fleet, &Outcome), source: &Source<'_>) -> u8 {
        let pairs: Vec<(&Member, &Verdict)> = outcome.by_member(fleet).collect();
        if self.format == Format::Json {
            Self::outcome_json(&pairs, (source, ""), &Aside::default());
        }
        let mut shapes: BTreeMap<(Scope, String, &[String]), Vec<String>> = BTreeMap::new();
        for (member, verdict) in &pairs {
            let drift = match verdict {
                Verdict::Recorded { drift, .. } => drift.as_slice(),
                Verdict::Failed { .. } => continue,
                _ => &[],
            };
            let shape = (member.scope, words(verdict), drift);
            shapes.entry(shape).or_default().push(member.shown());
        }
        for ((scope, words, drift), names) in shapes {
            match scope {
                Scope::System => self.line(format!("system: {words}")),
                Scope::User => {
                    self.line(format!(
                        "{} ({}): {words}",
                        plural(names.len(), "user"),
                        some(&names)
                    ));
                }
            }
            for difference in drift {
                self.line(format!("  {difference}"));
            }
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.users_found) {
            self.line(format!(
                "{} left alone; `--all-users` or `--user NAME` includes them",
                plural(count, "user database")
            ));
        }
        self.failures(&pairs, source, &Kept::new());
        if pairs.iter().any(|(_, verdict)| verdict.is_failure()) { FAILED } else { DONE }
    }

    /// A database that cannot be made or read.
    pub(crate) fn failed(&self, member: &Member, failure: &Failure, source: &Source<'_>) {
        self.failure((failure, &failure.to_string()), &[member], (source, &Kept::new()));
    }

    /// A database whose record was asked for and cannot be read.
    pub(crate) fn unreadable(&self, member: &Member, failure: &Failure) -> u8 {
        let path = member.home.shown();
        self.error(format!("`{}` ({path}): {failure}", member.shown()));
        if self.format == Format::Json {
            Self::json(&json!({ "error": failure.to_string() }));
        }
        FAILED
    }

    /// Prints the SQL that would run: each migration once for each scope, with the databases
    /// that it would run on.
    pub(crate) fn dry_run(
        &self,
        ready: &Ready<'_, '_>,
        (fleet, statuses): (&Fleet, &[Option<Status>]),
    ) -> u8 {
        let changelog = ready.changelog();
        let source = changelog.source();
        let members: Vec<&Member> = fleet.members().collect();
        let mut runs: BTreeMap<(Scope, StepId), Vec<String>> = BTreeMap::new();
        let mut failures = Vec::new();
        for (member, status) in members.iter().zip(statuses) {
            let Some(status) = status else { continue };
            for step in &status.steps {
                runs.entry((member.scope, *step)).or_default().push(member.shown());
            }
            failures.extend(status.failure.as_ref().map(|failure| (*member, failure)));
        }
        let mut runs: Vec<_> = runs.into_iter().collect();
        if ready.direction() == Direction::Down {
            runs.sort_by_key(|((scope, id), _)| match id {
                StepId::Reverse(at) => (Other(*scope), 0, Other(*at)),
                _ => (Other(*scope), 1, Other(0)),
            });
        }
        if self.format == Format::Json {
            let migrations: Vec<_> = runs
                .iter()
                .filter_map(|((scope, id), names)| {
                    let (from, to) = changelog.ends(*id)?;
                    let migration = changelog.step(*id);
                    let part = migration.and_then(|migration| migration.part(*scope));
                    let start =
                        migration.map(|m| part.map_or(m.span.start, |part| part.span().start));
                    Some(json!({
                        "scope": scope,
                        "from": from,
                        "to": to,
                        "line": start.map(|start| source.line(start)),
                        "databases": names,
                        "sql": part.map(|part| part.sql().text().to_owned()),
                    }))
                })
                .collect();
            let errors: Vec<_> = failures
                .iter()
                .map(|(member, failure)| {
                    json!({ "name": member.shown(), "scope": member.scope, "error": failure_json(failure, source) })
                })
                .collect();
            Self::json(&json!({
                "file": source.name(),
                "target": ready.target().to_string(),
                "dry_run": true,
                "migrations": migrations,
                "errors": errors,
            }));
        }
        for remark in &fleet.remarks {
            self.remark(remark);
        }
        for ((scope, id), names) in &runs {
            let Some((from, to)) = changelog.ends(*id) else { continue };
            let migration = changelog.step(*id);
            let part = migration.and_then(|migration| migration.part(*scope));
            let start = migration.map(|m| part.map_or(m.span.start, |part| part.span().start));
            let place = start.map(|start| format!(" ({}:{})", source.name(), source.line(start)));
            self.line(format!(
                "-- {scope} {from} → {to}{}: {}, {}",
                place.unwrap_or_default(),
                plural(names.len(), "database"),
                some(names).replace('`', "")
            ));
            match part {
                Some(part) => self.verbatim(part.sql().text().trim_end_matches(['\n', '\r'])),
                None => self.line("-- nothing for this scope: recorded only"),
            }
            self.line("");
        }
        if runs.is_empty() && failures.is_empty() {
            let words = match ready.direction() {
                Direction::Up => "nothing is pending up to",
                Direction::Down => "nothing stands above",
            };
            self.line(format!("-- {words} {}", ready.target()));
        }
        for (member, failure) in &failures {
            self.failed(member, failure, source);
        }
        if failures.is_empty() { DONE } else { FAILED }
    }

    fn told(&self, fleet: &Fleet, pairs: &[(&Member, &Verdict)], (target, aside): (&str, &Aside)) {
        for remark in &fleet.remarks {
            self.remark(remark);
        }
        if let Some(copies) = &aside.copies {
            self.line(copied(copies));
        }
        if let Some(held) = &aside.held {
            self.line(format!("system: {held}"));
        }
        if let Some((_, verdict)) = pairs.iter().find(|(member, _)| member.scope == Scope::System) {
            self.line(format!("system: {}", words(verdict)));
        }
        let users: Vec<_> =
            pairs.iter().filter(|(member, _)| member.scope == Scope::User).copied().collect();
        if self.volume == Volume::Verbose || users.len() == 1 {
            for (member, verdict) in &users {
                self.line(format!("{}: {}", member.shown(), words(verdict)));
            }
        }
        if users.len() > 1 {
            self.line(format!(
                "{}: {}",
                plural(users.len(), "user"),
                tally(&users, (target, aside.deed))
            ));
        }
        for (word, is_so) in [
            ("above", (|verdict| matches!(verdict, Verdict::Above { .. })) as fn(&Verdict) -> bool),
            ("below", |verdict| matches!(verdict, Verdict::Below { .. })),
        ] {
            let beyond = users.iter().filter(|(_, verdict)| is_so(verdict));
            let names: Vec<String> = beyond.map(|(member, _)| member.shown()).collect();
            if !names.is_empty() && users.len() > 1 {
                self.line(format!("{word} {target} already, left alone: {}", some(&names)));
            }
        }
        match (fleet.users.is_empty(), fleet.users_found) {
            (true, Some(0)) => self.line("no user databases found"),
            (true, Some(count)) => self.line(format!(
                "{} left alone; `--all-users` or `--user NAME` {}",
                plural(count, "user database"),
                match aside.deed {
                    Deed::Upgrade => "migrates them",
                    Deed::Downgrade => "takes them down",
                    Deed::Reset => "resets them",
                }
            )),
            _ => {}
        }
    }

    /// Every failure, those with one cause told once.
    fn failures(&self, pairs: &[(&Member, &Verdict)], source: &Source<'_>, kept: &Kept) {
        let mut causes: Vec<(&Failure, String, Vec<&Member>)> = Vec::new();
        for (member, verdict) in pairs {
            let Verdict::Failed { failure, .. } = verdict else { continue };
            let message = failure.to_string();
            match causes
                .iter_mut()
                .find(|(known, words, _)| *words == message && known.span() == failure.span())
            {
                Some((.., members)) => members.push(member),
                None => causes.push((failure, message, vec![member])),
            }
        }
        for (failure, message, members) in causes {
            self.failure((failure, &message), &members, (source, kept));
        }
    }

    pub(crate) fn failure(
        &self,
        (failure, message): (&Failure, &str),
        members: &[&Member],
        (source, kept): (&Source<'_>, &Kept),
    ) {
        let names: Vec<String> = members.iter().map(|member| member.shown()).collect();
        let who = match members {
            [only] => format!("`{}` ({})", only.shown(), only.home.shown()),
            _ => format!("{} databases ({})", members.len(), some(&names)),
        };
        let Some(span) = failure.span() else {
            self.error(format!("{who}: {message}"));
            return;
        };
        let mut problem = Problem::at(rule(failure), span, printable(&format!("{who}: {message}")));
        if let Failure::Refused(Refusal::Edited { edits }) = failure {
            let mut help = String::new();
            for edit in edits {
                if let Some((then, now)) = kept.get(&edit.recorded) {
                    for (word, statements) in [("ran then", then), ("reads now", now)] {
                        for statement in statements {
                            let (from, to) = (&edit.from, &edit.to);
                            let _ = writeln!(help, "{from} → {to} {word}: {statement}");
                        }
                    }
                }
            }
            help.push_str(
                "put the statements back as they were and write the change as a new migration; or, where the databases have what it makes now, `tatmig adopt` accepts it",
            );
            problem.help = Some(printable(&help));
        }
        self.problems(source, &[problem]);
    }

    /// What to do after a failure.
    fn next(&self, pairs: &[(&Member, &Verdict)], (target, aside): (&str, &Aside)) {
        const SHOWN: usize = 5;
        let lost = pairs.iter().filter(|(_, verdict)| verdict.is_failure());
        let copies: Vec<_> = lost
            .filter_map(|(member, _)| Some((member, copy_of(aside.copies.as_ref()?, member)?)))
            .collect();
        for (member, (path, restore)) in copies.iter().take(SHOWN) {
            self.line(format!(
                "`{}` was copied to {path} before; `{restore}` puts that back",
                member.shown()
            ));
        }
        if copies.len() > SHOWN {
            self.line(format!("and so were {} more", copies.len() - SHOWN));
        }
        let failed = pairs.iter().filter(|(_, verdict)| verdict.is_failure()).count();
        let skipped =
            pairs.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Skipped)).count();
        if failed > 0 {
            let unsettled = pairs.iter().filter(|(_, verdict)| {
                matches!(verdict, Verdict::Failed { failure, .. } if failure.is_unsettled())
            });
            let how = match (failed, unsettled.count()) {
                (1, 0) => "failed and was left as it was".to_owned(),
                (_, 0) => "failed and were left as they were".to_owned(),
                (_, open) => format!(
                    "failed; whether {open} of them changed is not known, and any other was left as it was"
                ),
            };
            self.line(format!(
                "{} {how}; mend the cause and run the same command again{}",
                plural(failed, "database"),
                match aside.deed {
                    Deed::Upgrade | Deed::Downgrade => {
                        format!(": what is at {target} already is left alone")
                    }
                    Deed::Reset => " for what is left".to_owned(),
                }
            ));
        }
        if skipped > 0 {
            self.line(format!(
                "{} not begun; run the same command again",
                plural(skipped, "database")
            ));
        }
    }
}

fn rule(failure: &Failure) -> Rule {
    match failure {
        Failure::Refused(_) => Rule::Edited,
        Failure::Database(DatabaseError::EndedTransaction { .. }) => Rule::EndedTransaction,
        _ => Rule::Sql,
    }
}

/// What became of one database, in words.
fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Upgraded(passage) | Verdict::Downgraded(passage) => {
            with_notes(passed(passage), &passage.notes)
        }
        Verdict::Renewed { at } => format!("made anew at {at}"),
        Verdict::Rehearsed(passage) => {
            with_notes(format!("{}, rehearsed and rolled back", passed(passage)), &passage.notes)
        }
        Verdict::Current { at } => format!("already at {at}"),
        Verdict::Above { at } => format!("at {at}, above the target, left alone"),
        Verdict::Below { at } => format!("at {at}, below the target, left alone"),
        verdict @ Verdict::Failed { .. } if verdict.is_busy() => "busy".to_owned(),
        Verdict::Failed { .. } => "failed".to_owned(),
        Verdict::Recorded { at, drift } if drift.is_empty() => format!("recorded at {at}"),
        Verdict::Recorded { at, drift } => {
            format!("recorded at {at}, with {}", plural(drift.len(), "difference"))
        }
        Verdict::Seeded { notes, .. } => with_notes("seeded".to_owned(), notes),
        Verdict::Skipped => "not begun".to_owned(),
    }
}

fn passed(passage: &Passage) -> String {
    match &passage.route.from {
        Point::Baseline => format!("made at {}", passage.route.to),
        from @ Point::Version(_) if *from == passage.route.to => format!("at {from}"),
        from @ Point::Version(_) => format!("{from} → {}", passage.route.to),
    }
}

fn with_notes(text: String, notes: &[String]) -> String {
    if notes.is_empty() { text } else { format!("{text} ({})", notes.join("; ")) }
}

/// `98 upgraded to 0.3.20, 1 already there, 1 failed`.
fn tally(users: &[(&Member, &Verdict)], (target, deed): (&str, Deed)) -> String {
    let count = |test: fn(&Verdict) -> bool| users.iter().filter(|(_, v)| test(v)).count();
    let upgraded = count(|verdict| matches!(verdict, Verdict::Upgraded(_)));
    let downgraded = count(|verdict| matches!(verdict, Verdict::Downgraded(_)));
    let renewed = count(|verdict| matches!(verdict, Verdict::Renewed { .. }));
    let rehearsed = count(|verdict| matches!(verdict, Verdict::Rehearsed(_)));
    let noted = count(
        |verdict| matches!(verdict, Verdict::Upgraded(passage) | Verdict::Downgraded(passage) | Verdict::Rehearsed(passage) if !passage.notes.is_empty()),
    );
    let way = if deed == Deed::Downgrade { "down" } else { "up" };
    let words = [
        (upgraded, format!("upgraded to {target}")),
        (downgraded, format!("downgraded to {target}")),
        (renewed, format!("made anew at {target}")),
        (rehearsed, format!("rehearsed {way} to {target} and rolled back")),
        (noted, "of them with notes (`-v` shows them)".to_owned()),
        (count(|verdict| matches!(verdict, Verdict::Current { .. })), "already there".to_owned()),
        (count(|verdict| matches!(verdict, Verdict::Above { .. })), "above it".to_owned()),
        (count(|verdict| matches!(verdict, Verdict::Below { .. })), "below it".to_owned()),
        (count(tatmig::Verdict::is_failure) - count(Verdict::is_busy), "failed".to_owned()),
        (count(Verdict::is_busy), "busy".to_owned()),
        (count(|verdict| matches!(verdict, Verdict::Skipped)), "not begun".to_owned()),
    ];
    let told: Vec<String> = words
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    told.join(", ")
}
