//! What `push` and `pull` tell: how many databases are at their new place, and which are not.

use serde_json::json;
use tatmig::fleet::Fleet;
use tatmig::{Member, Moved, Scope};

use crate::cli::report::{DONE, FAILED, Report, plural};
use crate::cli::settings::{Format, Volume};

impl Report {
    /// Tells what became of databases that were to be moved, and returns the exit status.
    pub(crate) fn moved(
        &self,
        (fleet, members): (&Fleet, &[&Member]),
        places: &[(Member, Option<Moved>)],
    ) -> u8 {
        for remark in &fleet.remarks {
            self.remark(remark);
        }
        let pairs: Vec<_> = members.iter().zip(places).collect();
        let failed = places.iter().any(|(_, moved)| matches!(moved, Some(Moved::Failed(_))));
        if self.format == Format::Json {
            let databases: Vec<_> = pairs
                .iter()
                .map(|(member, (place, moved))| {
                    json!({
                        "name": member.shown(),
                        "scope": member.scope,
                        "from": member.home.shown(),
                        "to": place.home.shown(),
                        "outcome": word(moved.as_ref()),
                        "error": match moved {
                            Some(Moved::Failed(failure)) => Some(failure.to_string()),
                            _ => None,
                        },
                    })
                })
                .collect();
            Self::json(&json!({ "databases": databases }));
        }
        let users: Vec<_> =
            pairs.iter().filter(|(member, _)| member.scope == Scope::User).collect();
        for (member, (place, moved)) in &pairs {
            let alone = member.scope == Scope::System || users.len() == 1;
            if alone || self.volume == Volume::Verbose {
                let (name, to) = (member.shown(), place.home.shown());
                self.line(format!("{name}: {} {to}", words(moved.as_ref())));
            }
        }
        if users.len() > 1 {
            let count = |wanted: &str| {
                users.iter().filter(|(_, (_, moved))| word(moved.as_ref()) == wanted).count()
            };
            let parts: Vec<String> = [
                ("copied", "copied and compared"),
                ("there", "there already, the same"),
                ("failed", "failed"),
                ("skipped", "not begun"),
            ]
            .iter()
            .filter_map(|(word, shown)| Some((count(word), shown)).filter(|(count, _)| *count > 0))
            .map(|(count, shown)| format!("{count} {shown}"))
            .collect();
            self.line(format!("{}: {}", plural(users.len(), "user"), parts.join(", ")));
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.users_found) {
            self.line(format!(
                "{} left alone; `--all-users` or `--user NAME` includes them",
                plural(count, "user database")
            ));
        }
        for (member, (place, moved)) in &pairs {
            if let Some(Moved::Failed(failure)) = moved {
                let (name, to) = (member.shown(), place.home.shown());
                self.error(format!("`{name}` ({to}): {failure}"));
            }
        }
        if failed { FAILED } else { DONE }
    }
}

fn word(moved: Option<&Moved>) -> &'static str {
    match moved {
        Some(Moved::Carried) => "copied",
        Some(Moved::There) => "there",
        Some(Moved::Failed(_)) => "failed",
        None => "skipped",
    }
}

fn words(moved: Option<&Moved>) -> &'static str {
    match moved {
        Some(Moved::Carried) => "copied and compared:",
        Some(Moved::There) => "there already, the same:",
        Some(Moved::Failed(_)) => "failed:",
        None => "not begun:",
    }
}
