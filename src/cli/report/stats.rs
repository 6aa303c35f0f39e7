//! What `status --stats` tells: the rows of every table and the sizes, of the system database and of
//! all users together.

use serde_json::{Value, json};
use tatmig::backup::bytes;
use tatmig::fleet::Fleet;
use tatmig::{Failure, Scope, Stats, shown};

use crate::cli::report::{Report, plural};
use crate::cli::settings::{Format, Volume};

/// What the databases of a fleet hold.
pub(crate) struct Holdings {
    /// Each database that was counted or could not be, the system database first.
    each: Vec<(Scope, String, Result<Stats, Failure>)>,
}

impl Holdings {
    pub(crate) fn of(fleet: &Fleet, stats: Vec<Option<Result<Stats, Failure>>>) -> Self {
        let each = fleet.members().zip(stats);
        let each =
            each.filter_map(|(member, stats)| Some((member.scope, shown(&member.name), stats?)));
        Self { each: each.collect() }
    }

    fn of_scope(&self, scope: Scope) -> impl Iterator<Item = (&str, &Result<Stats, Failure>)> {
        let of_scope = self.each.iter().filter(move |(found, ..)| *found == scope);
        of_scope.map(|(_, name, stats)| (name.as_str(), stats))
    }

    fn sum(&self, scope: Scope) -> Stats {
        let mut sum = Stats::default();
        for stats in self.of_scope(scope).filter_map(|(_, stats)| stats.as_ref().ok()) {
            sum += stats;
        }
        sum
    }

    /// The same for programs: the sums, and each database by itself.
    pub(crate) fn json(&self) -> Value {
        let each = self.each.iter().map(|(scope, name, stats)| match stats {
            Ok(stats) => json!({ "name": name, "scope": scope, "stats": stats, "error": null }),
            Err(failure) => {
                json!({ "name": name, "scope": scope, "stats": null, "error": failure.to_string() })
            }
        });
        json!({
            "system": self.sum(Scope::System),
            "users": self.sum(Scope::User),
            "databases": each.collect::<Vec<_>>(),
        })
    }
}

impl Report {
    /// Tells what databases hold, and which of them could not be counted.
    pub(crate) fn holdings(&self, holdings: &Holdings) {
        for scope in Scope::BOTH {
            let sum = holdings.sum(scope);
            let counted: Vec<_> =
                holdings.of_scope(scope).filter(|(_, stats)| stats.is_ok()).collect();
            let all = holdings.of_scope(scope).count();
            let who = match counted.as_slice() {
                [] => continue,
                [(name, _)] if all == 1 => (*name).to_owned(),
                counted if counted.len() == all => plural(all, "user"),
                counted => format!("{} of {}", counted.len(), plural(all, "user")),
            };
            self.line(format!("\n{who}: {}", sizes(&sum)));
            self.tables(&sum);
            if self.volume == Volume::Verbose && counted.len() > 1 {
                for (name, stats) in counted {
                    if let Ok(stats) = stats {
                        self.line(format!("  {name}: {}, {}", rows(stats.rows()), sizes(stats)));
                    }
                }
            }
        }
        for (_, name, stats) in &holdings.each {
            if let (Err(failure), Format::Text) = (stats, self.format) {
                self.remark(format!("`{name}` could not be counted: {failure}"));
            }
        }
    }

    /// The rows of each table, the names and the numbers below each other.
    fn tables(&self, stats: &Stats) {
        let names: Vec<String> = stats.tables.keys().map(|name| shown(name.as_ref())).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let most = stats.tables.values().flatten().max().map_or(0, |rows| rows.to_string().len());
        for (name, count) in names.iter().zip(stats.tables.values()) {
            self.line(match count {
                Some(1) => format!("  {name:width$}  {:>most$} row", 1),
                Some(count) => format!("  {name:width$}  {count:>most$} rows"),
                None => format!("  {name:width$}  its module is the application's own"),
            });
        }
    }
}

/// `1 row`, `2 rows`.
fn rows(count: u64) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

/// `36.8 kB in 9 pages, 2 of them free (8.1 kB), and a WAL of 4.1 kB`.
fn sizes(stats: &Stats) -> String {
    let plural = if stats.pages == 1 { "" } else { "s" };
    let free = match stats.free_pages {
        0 => String::new(),
        free => format!(", {free} of them free ({})", bytes(stats.free_bytes)),
    };
    let wal = match stats.wal_bytes {
        0 => String::new(),
        wal => format!(", and a WAL of {}", bytes(wal)),
    };
    format!("{} in {} page{plural}{free}{wal}", bytes(stats.file_bytes), stats.pages)
}
