//! What `status --stats` tells: the rows of every table and the sizes, of the system database and of
//! all users together.

use serde_json::{Value, json};
use tatmig::Scope;
use tatmig::backup::format_bytes;
use tatmig::database::Stats;
use tatmig::fleet::Fleet;
use tatmig::plan::MigrateError;
use tatmig::text::escape_for_display;

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::{Report, plural};

/// What the databases of a fleet hold.
pub(crate) struct FleetStats {
    /// Each database that was counted or could not be, the system database first.
    databases: Vec<(Scope, String, Result<Stats, MigrateError>)>,
}

impl FleetStats {
    pub(crate) fn new(fleet: &Fleet, stats: Vec<Option<Result<Stats, MigrateError>>>) -> Self {
        let databases = fleet.databases().zip(stats);
        let databases = databases.filter_map(|(database, stats)| {
            Some((database.scope, escape_for_display(&database.name), stats?))
        });
        Self { databases: databases.collect() }
    }

    fn in_scope(&self, scope: Scope) -> impl Iterator<Item = (&str, &Result<Stats, MigrateError>)> {
        let in_scope =
            self.databases.iter().filter(move |(database_scope, ..)| *database_scope == scope);
        in_scope.map(|(_, name, stats)| (name.as_str(), stats))
    }

    fn total(&self, scope: Scope) -> Stats {
        let mut total = Stats::default();
        for stats in self.in_scope(scope).filter_map(|(_, stats)| stats.as_ref().ok()) {
            total += stats;
        }
        total
    }

    /// The same for programs: the sums, and each database by itself.
    pub(crate) fn to_json(&self) -> Value {
        let databases = self.databases.iter().map(|(scope, name, stats)| match stats {
            Ok(stats) => json!({ "name": name, "scope": scope, "stats": stats, "error": null }),
            Err(error) => {
                json!({ "name": name, "scope": scope, "stats": null, "error": error.to_string() })
            }
        });
        json!({
            "system": self.total(Scope::System),
            "users": self.total(Scope::User),
            "databases": databases.collect::<Vec<_>>(),
        })
    }
}

impl Report {
    /// Tells what databases hold, and which of them could not be counted.
    pub(crate) fn print_stats(&self, fleet_stats: &FleetStats) {
        for scope in Scope::BOTH {
            let total = fleet_stats.total(scope);
            let counted: Vec<_> =
                fleet_stats.in_scope(scope).filter(|(_, stats)| stats.is_ok()).collect();
            let database_count = fleet_stats.in_scope(scope).count();
            let label = match counted.as_slice() {
                [] => continue,
                [(name, _)] if database_count == 1 => (*name).to_owned(),
                counted if counted.len() == database_count => plural(database_count, "user"),
                counted => format!("{} of {}", counted.len(), plural(database_count, "user")),
            };
            self.print_line(format!("\n{label}: {}", describe_size(&total)));
            self.print_table_rows(&total);
            if self.verbosity == Verbosity::Verbose && counted.len() > 1 {
                for (name, stats) in counted {
                    if let Ok(stats) = stats {
                        self.print_line(format!(
                            "  {name}: {}, {}",
                            row_count(stats.rows()),
                            describe_size(stats)
                        ));
                    }
                }
            }
        }
        for (_, name, stats) in &fleet_stats.databases {
            if let (Err(error), OutputFormat::Text) = (stats, self.format) {
                self.print_note(format!("`{name}` could not be counted: {error}"));
            }
        }
    }

    /// The rows of each table, the names and the numbers below each other.
    fn print_table_rows(&self, stats: &Stats) {
        let names: Vec<String> =
            stats.tables.keys().map(|name| escape_for_display(name.as_ref())).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let count_width =
            stats.tables.values().flatten().max().map_or(0, |rows| rows.to_string().len());
        for (name, count) in names.iter().zip(stats.tables.values()) {
            self.print_line(match count {
                Some(1) => format!("  {name:width$}  {:>count_width$} row", 1),
                Some(count) => format!("  {name:width$}  {count:>count_width$} rows"),
                None => format!("  {name:width$}  its module is the application's own"),
            });
        }
    }
}

/// `1 row`, `2 rows`.
fn row_count(count: u64) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

/// `36.8 kB in 9 pages, 2 of them free (8.1 kB), and a WAL of 4.1 kB`.
fn describe_size(stats: &Stats) -> String {
    let plural = if stats.pages == 1 { "" } else { "s" };
    let free = match stats.free_pages {
        0 => String::new(),
        free => format!(", {free} of them free ({})", format_bytes(stats.free_bytes)),
    };
    let wal = match stats.wal_bytes {
        0 => String::new(),
        wal => format!(", and a WAL of {}", format_bytes(wal)),
    };
    format!("{} in {} page{plural}{free}{wal}", format_bytes(stats.file_bytes), stats.pages)
}
