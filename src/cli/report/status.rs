//! What `status`, `history` and `init` tell.

use std::collections::BTreeMap;

use serde_json::json;
use tatmig::{Changelog, Condition, Finding, Member, Record, Source, Status, Verdict};

use crate::cli::report::{DONE, FAILED, Holdings, PENDING, Report, failure_json, plural};
use crate::cli::settings::{Format, Volume};

/// Up to this many databases are all listed.
const LISTED: usize = 30;

impl Report {
    /// Tells where databases stand; `exit_code`: what is pending is worth an exit status.
    pub(crate) fn statuses(
        &self,
        (changelog, statuses): (&Changelog<'_>, &[(&Member, &Status)]),
        holdings: Option<&Holdings>,
        asked: ExitCodeAsked,
    ) -> u8 {
        let count =
            |condition| statuses.iter().filter(|(_, status)| status.condition == condition).count();
        if self.format == Format::Json {
            let entry = |(member, status): &(&Member, &Status)| {
                json!({
                        "name": member.shown(),
                        "scope": member.scope,
                        "path": member.home.shown(),
                        "version": status.version,
                        "state": status.condition,
                        "pending": status.pending.iter().map(ToString::to_string).collect::<Vec<_>>(),
                        "detected": status.finding.as_ref().map(|finding| {
                            let (there, missing) = finding.lists();
                            json!({
                                "match": finding.name(),
                                "version": finding.best().map(|at| changelog.versions()[at].to_string()),
                                "there": there,
                                "missing": missing,
                            })
                        }),
                        "error": status.failure.as_ref().filter(|_| status.condition != Condition::Unversioned).map(|failure| failure_json(failure, changelog.source())),
                })
            };
            let mut all = json!({
                "file": changelog.source().name(),
                "head": changelog.head().to_string(),
                "planned": changelog.planned().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "summary": {
                    "total": statuses.len(),
                    "new": count(Condition::New),
                    "current": count(Condition::Current),
                    "behind": count(Condition::Behind),
                    "unversioned": count(Condition::Unversioned),
                    "ahead": count(Condition::Ahead),
                    "edited": count(Condition::Edited),
                    "error": count(Condition::Error),
                },
            });
            if let Some(holdings) = holdings {
                all["stats"] = holdings.json();
            }
            Self::json_list(all, "databases", || statuses.iter().map(entry));
        } else {
            self.status_lines(changelog, statuses);
            if let Some(holdings) = holdings {
                self.holdings(holdings);
            }
        }
        let wrong = [Condition::Ahead, Condition::Edited, Condition::Error];
        if wrong.into_iter().any(|condition| count(condition) > 0) {
            FAILED
        } else if asked == ExitCodeAsked::Yes && count(Condition::Current) < statuses.len() {
            PENDING
        } else {
            DONE
        }
    }

    fn status_lines(&self, changelog: &Changelog<'_>, statuses: &[(&Member, &Status)]) {
        let planned: Vec<String> =
            changelog.planned().iter().map(|version| format!("{version} planned")).collect();
        let mut head = vec![format!("{}: head is {}", changelog.source().name(), changelog.head())];
        head.extend(planned);
        self.line(head.join(", "));
        let words: Vec<(String, String)> = statuses
            .iter()
            .map(|(_, status)| {
                let version = status.version.clone().unwrap_or_else(|| "-".to_owned());
                (version, condition_words(changelog, status))
            })
            .collect();
        let mut tally: BTreeMap<&(String, String), usize> = BTreeMap::new();
        for words in &words {
            *tally.entry(words).or_default() += 1;
        }
        let all = self.volume == Volume::Verbose || statuses.len() <= LISTED;
        let most = tally.iter().max_by_key(|(_, count)| **count).map(|(words, _)| (*words).clone());
        let listed: Vec<_> = statuses
            .iter()
            .zip(&words)
            .filter(|(_, words)| all || Some(*words) != most.as_ref())
            .collect();
        if !all {
            for ((version, condition), count) in &tally {
                self.line(format!("{}: {version} {condition}", plural(*count, "database")));
            }
        }
        // Where a fleet differs in a thousand ways, the counts say it.
        let shown = if all { listed.len() } else { LISTED };
        let width = listed
            .iter()
            .take(shown)
            .map(|((member, _), _)| member.shown().chars().count())
            .max()
            .unwrap_or(0);
        for ((member, _), (version, condition)) in listed.iter().take(shown) {
            self.line(format!("{:width$}  {version:8}  {condition}", member.shown()));
        }
        if listed.len() > shown {
            self.line(format!("and {} more; `-v` lists all", listed.len() - shown));
        }
    }

    /// The document's migrations, newest last.
    pub(crate) fn changelog(&self, changelog: &Changelog<'_>) -> u8 {
        let source = changelog.source();
        if self.format == Format::Json {
            let migrations: Vec<_> = changelog
                .history()
                .map(|migration| {
                    json!({
                        "from": migration.from,
                        "to": migration.to,
                        "title": migration.title,
                        "date": migration.date,
                        "description": migration.description,
                        "planned": migration.planned,
                        "system": migration.system.is_some(),
                        "user": migration.user.is_some(),
                        "line": source.line(migration.span.start),
                    })
                })
                .collect();
            Self::json(&json!({
                "file": source.name(),
                "head": changelog.head().to_string(),
                "migrations": migrations,
            }));
            return DONE;
        }
        for migration in changelog.history() {
            let mut words = vec![format!("{:20}", migration.to_string())];
            words.push(format!("{:10}", migration.date.as_deref().unwrap_or("-")));
            words.extend(migration.planned.then(|| "(planned)".to_owned()));
            let told = migration.description.as_ref().or(migration.title.as_ref());
            words.extend(told.map(|told| told.clone().into_owned()));
            self.line(format!("{}  {}", words.join("  "), place(source, migration.span.start)));
        }
        DONE
    }

    /// What one database went through.
    pub(crate) fn records(&self, member: &Member, records: &[Record]) -> u8 {
        if self.format == Format::Json {
            Self::json(
                &json!({ "name": member.shown(), "scope": member.scope, "history": records }),
            );
            return DONE;
        }
        if records.is_empty() {
            self.line(format!("`{}` has no record of any migration", member.shown()));
        }
        for record in records {
            let event = format!("{:?}", record.event).to_lowercase();
            let note = record.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
            self.line(format!(
                "{}  {event:9}  {} → {}  {} ms  tatmig {}{note}",
                record.applied_at, record.from, record.to, record.duration_ms, record.tool_version
            ));
        }
        DONE
    }

    /// What `init` did, for programs.
    pub(crate) fn inited(&self, told: &[(&Member, &str)]) {
        if self.format == Format::Json {
            let databases: Vec<_> = told
                .iter()
                .map(|(member, outcome)| {
                    json!({
                        "name": member.shown(),
                        "scope": member.scope,
                        "path": member.home.shown(),
                        "outcome": outcome,
                    })
                })
                .collect();
            Self::json(&json!({ "databases": databases }));
        }
    }

    /// What `init` did with one database.
    pub(crate) fn made(&self, member: &Member, verdict: Option<&Verdict>) {
        let path = member.home.shown();
        match verdict {
            Some(Verdict::Upgraded(passage)) => {
                self.line(format!("{path}: made at {}", passage.route.to));
            }
            None => self.line(format!("{path}: there already, left alone")),
            Some(_) => {}
        }
    }
}

/// Whether `--exit-code` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCodeAsked {
    Yes,
    No,
}

fn place(source: &Source<'_>, offset: usize) -> String {
    format!("({}:{})", source.name(), source.line(offset))
}

fn condition_words(changelog: &Changelog<'_>, status: &Status) -> String {
    let pending = || {
        let shown: Vec<String> = status.pending.iter().take(5).map(ToString::to_string).collect();
        let more = status.pending.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("pending {}{more}", shown.join(", "))
    };
    let why = || status.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    match status.condition {
        Condition::New => format!("new, {}", pending()),
        Condition::Current => "current".to_owned(),
        Condition::Behind => format!("behind, {}", pending()),
        Condition::Unversioned => match status.finding.as_deref() {
            Some(Finding::Match(at)) if status.pending.is_empty() => {
                format!("unversioned, its schema is that of {}", changelog.versions()[*at])
            }
            Some(Finding::Match(at)) => {
                format!(
                    "unversioned, its schema is that of {}, {}",
                    changelog.versions()[*at],
                    pending()
                )
            }
            Some(Finding::Torn { best, there, missing }) => {
                let best = best.map_or_else(
                    || "the baseline".to_owned(),
                    |at| changelog.versions()[at].to_string(),
                );
                format!(
                    "unversioned, torn: {best} fits best, {} there, {} missing; `tatmig adopt` accepts it",
                    there.len(),
                    missing.len()
                )
            }
            Some(finding) => format!("unversioned, {}: {}", finding.name(), why()),
            None => "unversioned".to_owned(),
        },
        Condition::Ahead => format!("ahead: {}", why()),
        Condition::Edited => format!("edited: {}", why()),
        Condition::Error => format!("error: {}", why()),
    }
}
