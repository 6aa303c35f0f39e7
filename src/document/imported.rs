//! Reads the value of `**Imported**: TOOL KEY`, the line below a heading that names the migration of
//! another tool which a migration came from, and defines these tools.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use strsim::osa_distance;

macro_rules! tools {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal;)*) => {
        /// A tool whose migrations tatmig can import, and whose version table it can read. The
        /// description of each says what identifies a migration in that table: the key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum MigrationTool {
            $($(#[doc = $doc])* $variant,)*
        }

        impl MigrationTool {
            /// Every tool.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that a user types.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

tools! {
    /// `schema_migrations.version`: the digits before the first `_` of the file name.
    Dbmate = "dbmate";
    /// `goose_db_version.version_id`: the number before the first `_` of the file name.
    Goose = "goose";
    /// `schema_migrations.version`: the number before the first `_` of the file name.
    GolangMigrate = "golang-migrate";
    /// `_sqlx_migrations.version`: the number before the first `_` of the file name.
    Sqlx = "sqlx";
    /// `refinery_schema_history.version`: the number between `V` and `__` in the file name.
    Refinery = "refinery";
    /// `__diesel_schema_migrations.version`: the directory's name before the first `_`, without `-`.
    Diesel = "diesel";
    /// `flyway_schema_history.version`: the text between `V` and `__` in the file name, with dots.
    /// Of a repeatable migration, which has no version there: the file name (`script`).
    Flyway = "flyway";
    /// `__drizzle_migrations.created_at`: `when` in the journal; or `hash`, the SHA-256 of the file.
    Drizzle = "drizzle";
    /// `_prisma_migrations.migration_name`: the directory's name.
    Prisma = "prisma";
    /// `d1_migrations.name`: the file name.
    D1 = "d1";
    /// `kysely_migration.name`: the file name without its ending.
    Kysely = "kysely";
    /// `knex_migrations.name`: the file name.
    Knex = "knex";
    /// `alembic_version.version_num`: the revision.
    Alembic = "alembic";
    /// `django_migrations.app` and `.name` with a dot between them: `notes.0001_initial`.
    Django = "django";
    /// `schema_migrations.version`: the number before the first `_` of the file name.
    Rails = "rails";
}

impl MigrationTool {
    /// The tool that a name was probably meant to be.
    #[must_use]
    pub fn suggest(name: &str) -> Option<Self> {
        let name = name.to_lowercase().replace('_', "-");
        let known = match name.as_str() {
            "migrate" | "golang" | "gomigrate" => Some(Self::GolangMigrate),
            "wrangler" | "cloudflare" => Some(Self::D1),
            "drizzle-kit" | "drizzle-orm" => Some(Self::Drizzle),
            "activerecord" | "active-record" | "ruby-on-rails" => Some(Self::Rails),
            _ => None,
        };
        let distance = |tool: &Self| osa_distance(&name, tool.name());
        let nearest = || Self::ALL.iter().copied().min_by_key(distance);
        known.or_else(|| {
            nearest().filter(|tool| distance(tool) <= 2 && distance(tool) < tool.name().len())
        })
    }

    /// Whether the keys of the tool are whole numbers, so that `007` is the same key as `7`.
    fn has_integer_keys(self) -> bool {
        matches!(
            self,
            Self::Goose | Self::GolangMigrate | Self::Sqlx | Self::Refinery | Self::Rails
        )
    }
}

impl fmt::Display for MigrationTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no tool's. Its `Display` lists the tools, or suggests one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownTool {
    /// The name.
    pub name: String,
}

impl fmt::Display for UnknownTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a migration tool that tatmig knows", self.name)
    }
}

impl std::error::Error for UnknownTool {}

impl FromStr for MigrationTool {
    type Err = UnknownTool;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let tool = Self::ALL.iter().copied().find(|tool| tool.name() == name);
        tool.ok_or_else(|| UnknownTool { name: name.to_owned() })
    }
}

/// The migration of another tool that a migration came from. Its `Display` is the value of the line
/// `**Imported**: …`: the tool, a space and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportedFrom {
    /// The tool.
    pub tool: MigrationTool,
    /// The text that identifies the migration in the tool's version table; not empty.
    pub key: String,
}

impl ImportedFrom {
    /// The migration of a tool with a key. `None` if no row of the tool's version table can have it.
    #[must_use]
    pub fn new(tool: MigrationTool, key: &str) -> Option<Self> {
        let key = key.trim();
        let is_possible = match tool {
            _ if key.is_empty() || key.contains(['\n', '\r']) => false,
            MigrationTool::Django => key.contains(['.', ' ', '/']),
            _ => !tool.has_integer_keys() || key.parse::<i64>().is_ok(),
        };
        is_possible.then(|| Self { tool, key: key.to_owned() })
    }

    /// The key in the one spelling that keys are compared in.
    #[must_use]
    pub fn normalized_key(&self) -> String {
        normalize_key(self.tool, &self.key)
    }
}

impl fmt::Display for ImportedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tool, self.key)
    }
}

/// A key in the one spelling that keys are compared in: `007` of a tool with whole numbers is `7`,
/// `1_2.0` of Flyway `1.2`, and `app 0001_initial` of Django `app.0001_initial`.
pub(crate) fn normalize_key(tool: MigrationTool, key: &str) -> String {
    let key = key.trim();
    match tool {
        _ if tool.has_integer_keys() => {
            key.parse::<i64>().map_or_else(|_| key.to_owned(), |number| number.to_string())
        }
        MigrationTool::Flyway => normalize_flyway_version(key),
        MigrationTool::Django => key.replacen([' ', '/'], ".", 1),
        _ => key.to_owned(),
    }
}

/// Flyway compares versions part by part as numbers, and missing parts count as 0. The file name of a
/// repeatable migration is no version and stays as it is.
fn normalize_flyway_version(key: &str) -> String {
    let Some(parts) = flyway_version_parts(key) else { return key.to_owned() };
    let texts: Vec<String> = parts.iter().map(u64::to_string).collect();
    if texts.is_empty() { "0".to_owned() } else { texts.join(".") }
}

/// The parts of a version of Flyway without zeros at the end, so that they compare as versions do.
/// `None` for a text that is no version.
pub(crate) fn flyway_version_parts(key: &str) -> Option<Vec<u64>> {
    let parts = key.split(['.', '_']).map(|part| part.parse().ok());
    let mut parts: Vec<u64> = parts.collect::<Option<_>>()?;
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts)
}

/// What is wrong with the value of a line `**Imported**: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImportedError {
    UnknownTool(UnknownTool),
    MissingTool,
    MissingKey(MigrationTool),
    /// The field has another name, which was probably meant to be `Imported`.
    NearName(String),
    /// No row of the tool's table can have this key.
    ImpossibleKey(MigrationTool, String),
}

/// A line `**Imported**: …` of the document.
#[derive(Clone, Debug)]
pub(crate) struct ImportedLine {
    pub(crate) span: Range<usize>,
    pub(crate) value: Result<ImportedFrom, ImportedError>,
}

/// Reads the value of the line. A key may be in backticks, since Markdown would take the underscores
/// of `__init__` for emphasis.
pub(crate) fn parse_imported(value: &str) -> Result<ImportedFrom, ImportedError> {
    let (name, key) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    if name.is_empty() {
        return Err(ImportedError::MissingTool);
    }
    let tool = name.parse().map_err(ImportedError::UnknownTool)?;
    let key = key.trim();
    let unquoted = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'));
    let key = unquoted.filter(|key| !key.contains('`')).unwrap_or(key);
    if key.is_empty() {
        return Err(ImportedError::MissingKey(tool));
    }
    ImportedFrom::new(tool, key).ok_or_else(|| ImportedError::ImpossibleKey(tool, key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_found_by_its_name_alone() {
        for tool in MigrationTool::ALL {
            assert_eq!(tool.name().parse(), Ok(*tool));
            assert_eq!(MigrationTool::suggest(tool.name()), Some(*tool));
        }
        assert!("Goose".parse::<MigrationTool>().is_err());
        assert!("".parse::<MigrationTool>().is_err());
    }

    #[test]
    fn a_misspelled_tool_is_suggested_and_another_word_is_not() {
        #[track_caller]
        fn check(name: &str, expected: Option<MigrationTool>) {
            assert_eq!(MigrationTool::suggest(name), expected, "{name}");
        }
        check("Alembic", Some(MigrationTool::Alembic));
        check("alambic", Some(MigrationTool::Alembic));
        check("golang_migrate", Some(MigrationTool::GolangMigrate));
        check("migrate", Some(MigrationTool::GolangMigrate));
        check("wrangler", Some(MigrationTool::D1));
        check("drizzle-kit", Some(MigrationTool::Drizzle));
        check("liquibase", None);
        check("from", None);
        check("by", None);
        check("", None);
    }

    #[test]
    fn keys_of_one_migration_are_equal_in_every_spelling() {
        #[track_caller]
        fn check(tool: MigrationTool, key: &str, expected: &str) {
            assert_eq!(normalize_key(tool, key), expected);
        }
        check(MigrationTool::Goose, "00007", "7");
        check(MigrationTool::Sqlx, "20240101120000", "20240101120000");
        check(MigrationTool::Dbmate, "0007", "0007");
        check(MigrationTool::Flyway, "1_2", "1.2");
        check(MigrationTool::Flyway, "001.2.0", "1.2");
        check(MigrationTool::Flyway, "0.0", "0");
        check(MigrationTool::Flyway, "0.1", "0.1");
        check(MigrationTool::Flyway, "R__views.sql", "R__views.sql");
        check(MigrationTool::Django, "notes 0001_initial", "notes.0001_initial");
    }

    #[test]
    fn the_rest_of_the_line_is_the_key() {
        let parse = |value| parse_imported(value).map(|found| found.to_string());
        assert_eq!(parse("knex  2024 01.js "), Ok("knex 2024 01.js".to_owned()));
        assert_eq!(parse("kysely `__init__`"), Ok("kysely __init__".to_owned()));
        assert_eq!(parse("goose"), Err(ImportedError::MissingKey(MigrationTool::Goose)));
        assert_eq!(parse("goose ``"), Err(ImportedError::MissingKey(MigrationTool::Goose)));
        assert_eq!(parse(""), Err(ImportedError::MissingTool));
        let impossible = ImportedError::ImpossibleKey(MigrationTool::Goose, "1.0".to_owned());
        assert_eq!(parse("goose 1.0"), Err(impossible));
        assert!(matches!(parse("liquibase 1"), Err(ImportedError::UnknownTool(_))));
    }
}
