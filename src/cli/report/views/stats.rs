//! Shows what `status --stats` counted: the rows of every table and the sizes, of the system
//! database and of all users together.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tatmig::Scope;
use tatmig::database::Stats;
use tatmig::fleet::Fleet;
use tatmig::plan::MigrateError;
use tatmig::text::escape_for_display;

use crate::cli::report::console::Console;
use crate::cli::report::format::{format_size, plural};
use crate::cli::report::json::ErrorEntry;

/// The contents of a fleet's databases, the system database first.
pub(crate) struct FleetStats {
    databases: Vec<DatabaseStats>,
}

/// The contents of one database, or why they could not be counted.
struct DatabaseStats {
    scope: Scope,
    name: String,
    result: Result<Stats, MigrateError>,
}

impl DatabaseStats {
    fn stats(&self) -> Option<&Stats> {
        self.result.as_ref().ok()
    }
}

impl FleetStats {
    /// Takes one result for each database of the fleet; `None` for one that was not counted.
    pub(crate) fn new(fleet: &Fleet, results: Vec<Option<Result<Stats, MigrateError>>>) -> Self {
        let databases = fleet.databases().zip(results).filter_map(|(database, result)| {
            Some(DatabaseStats {
                scope: database.scope,
                name: escape_for_display(&database.name),
                result: result?,
            })
        });
        Self { databases: databases.collect() }
    }

    fn in_scope(&self, scope: Scope) -> impl Iterator<Item = &DatabaseStats> {
        self.databases.iter().filter(move |database| database.scope == scope)
    }

    fn total(&self, scope: Scope) -> Stats {
        let mut total = Stats::default();
        for stats in self.in_scope(scope).filter_map(DatabaseStats::stats) {
            total += stats;
        }
        total
    }

    pub(crate) fn print_text(&self, console: &Console) {
        for scope in Scope::BOTH {
            self.print_scope(console, scope);
        }
    }

    fn print_scope(&self, console: &Console, scope: Scope) {
        let database_count = self.in_scope(scope).count();
        let counted: Vec<_> = self
            .in_scope(scope)
            .filter_map(|database| Some((database.name.as_str(), database.stats()?)))
            .collect();
        let label = match counted.as_slice() {
            [] => return,
            [(name, _)] if database_count == 1 => (*name).to_owned(),
            counted if counted.len() == database_count => plural(database_count, "user"),
            counted => format!("{} of {}", counted.len(), plural(database_count, "user")),
        };
        let total = self.total(scope);
        console.line(format!("\n{label}: {}", describe_size(&total)));
        print_table_rows(console, &total);
        if console.is_verbose() && counted.len() > 1 {
            for (name, stats) in counted {
                console.line(format!(
                    "  {name}: {}, {}",
                    row_count(stats.rows()),
                    describe_size(stats)
                ));
            }
        }
    }

    pub(crate) fn print_errors(&self, console: &Console) {
        for DatabaseStats { name, result, .. } in &self.databases {
            if let Err(error) = result {
                console.note(format!("the rows of `{name}` could not be counted: {error}"));
            }
        }
    }
}

impl Serialize for FleetStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("FleetStats", 3)?;
        object.serialize_field("system", &self.total(Scope::System))?;
        object.serialize_field("users", &self.total(Scope::User))?;
        object.serialize_field("databases", &self.databases)?;
        object.end()
    }
}

impl Serialize for DatabaseStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("DatabaseStats", 4)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("scope", &self.scope)?;
        object.serialize_field("stats", &self.stats())?;
        object.serialize_field(
            "error",
            &self.result.as_ref().err().map(ErrorEntry::without_position),
        )?;
        object.end()
    }
}

/// Prints the rows of each table, with the names and the numbers aligned.
fn print_table_rows(console: &Console, stats: &Stats) {
    let names: Vec<String> =
        stats.tables.keys().map(|name| escape_for_display(name.as_ref())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let count_width =
        stats.tables.values().flatten().max().map_or(0, |rows| rows.to_string().len());
    for (name, count) in names.iter().zip(stats.tables.values()) {
        console.line(match count {
            Some(1) => format!("  {name:width$}  {:>count_width$} row", 1),
            Some(count) => format!("  {name:width$}  {count:>count_width$} rows"),
            None => format!("  {name:width$}  cannot be counted: it needs a module or collation that is not available here"),
        });
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
        free => format!(", {free} of them free ({})", format_size(stats.free_bytes)),
    };
    let wal = match stats.wal_bytes {
        0 => String::new(),
        wal => format!(", and a WAL of {}", format_size(wal)),
    };
    format!("{} in {} page{plural}{free}{wal}", format_size(stats.file_bytes), stats.pages)
}
