//! Compares schemas, prints them as SQL or as a diagram, and generates the statements that lead from
//! one schema to another.

pub(crate) mod changes;
pub(crate) mod comment;
pub(crate) mod dependents;
pub(crate) mod diagram;
pub(crate) mod diff;
pub(crate) mod error;
pub(crate) mod generate;
pub(crate) mod mermaid;
pub(crate) mod placeholder;
pub(crate) mod rebuild;
pub(crate) mod rename;
pub(crate) mod statement;
pub(crate) mod table_change;
pub(crate) mod tidy;
pub(crate) mod virtual_table;

use std::path::Path;
use std::sync::Arc;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::connection::ConnectionSetup;
use crate::database::declared::with_section;
use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::empty_copy::{EmptyCopy, LeftOut};
use crate::migrate::replay::Replay;
#[cfg(feature = "fleet")]
use crate::plan::outcome::MigrateError;
use crate::schema;
use crate::schema::ignored::IgnoredObjects;
use crate::schema::{Object, ObjectKind, Schema, compare};
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::regular_file::SymlinkPolicy;
#[cfg(feature = "fleet")]
use crate::target::TargetDatabase;

pub use crate::schema_diff::changes::{ChangeKind, PartChange};
use crate::schema_diff::tidy::tidy_columns;

pub use crate::schema_diff::diagram::{
    DiagramChange, DiagramColumn, DiagramObject, DiagramReference, DiagramTable,
};
pub use crate::schema_diff::diff::SchemaDiff;
pub use crate::schema_diff::error::DiffError;
pub use crate::schema_diff::rename::Rename;

/// The schema of a database, without the tables of SQLite and of tatmig.
///
/// ````
/// use tatmig::migrate::Replay;
/// use tatmig::schema_diff::SchemaSnapshot;
/// use tatmig::{Changelog, Scope};
///
/// let changelog = Changelog::parse(
///     "
/// ```sql
/// -- [user:baseline→1.0.0:start]
/// CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// -- [user:baseline→1.0.0:end]
/// ```
/// ",
/// )?;
/// let replay = Replay::run(&changelog, &Default::default())?;
/// let schema = SchemaSnapshot::from_replay(&replay, Scope::User, changelog.head_index());
/// assert!(schema.sql().starts_with("CREATE TABLE notes"));
/// assert!(schema.mermaid().starts_with("erDiagram"));
/// assert!(schema.differences(&SchemaSnapshot::default())[0].contains("`notes` is missing"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
#[derive(Clone, Debug, Default)]
pub struct SchemaSnapshot(Schema);

impl SchemaSnapshot {
    /// The schema that the document describes at a version.
    #[must_use]
    pub fn from_replay(replay: &Replay<'_>, scope: Scope, index: VersionIndex) -> Self {
        Self(replay.schema_at(scope, index.get()))
    }

    /// The schema after the reverse block of the migration to a version; `None` if it has none.
    #[must_use]
    pub fn from_reverse_block(
        replay: &Replay<'_>,
        scope: Scope,
        index: VersionIndex,
    ) -> Option<Self> {
        let position = index.get();
        let step_index = position.checked_sub(1)?;
        let script = replay.script(scope, StepId::Reverse(step_index))?;
        let mut schema = replay.schema_at(scope, position);
        schema::changes::apply_changes(&mut schema, &script.object_changes);
        Some(Self(schema))
    }

    /// The schema of a database file. Reading changes neither the file nor its side files.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn from_file(path: &Path, options: &ConnectOptions) -> Result<Self, DatabaseError> {
        let file = DatabaseFile::new(path.to_owned(), SymlinkPolicy::Follow);
        SqliteFile::read(&file, options, ReadDatabase::schema).map(Self)
    }

    /// The schema of a database of a fleet. Reading changes nothing.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    #[cfg(feature = "fleet")]
    pub fn from_database(
        database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> Result<Self, MigrateError> {
        database.read(options, |database| database.schema()).map(Self)
    }

    /// The schema without the ignored objects. Objects that `document` has are never ignored.
    #[must_use]
    pub fn without_ignored(mut self, ignored: &IgnoredObjects, document: &Self) -> Self {
        ignored.remove_from(&mut self.0, |key| document.0.contains_key(key));
        self
    }

    /// The schema without the objects that this SQLite cannot create, because a module, function,
    /// collation or tokenizer of the application is missing. Objects that `document` has are kept.
    /// Also returns what was left out, each as a message shows it.
    ///
    /// # Errors
    ///
    /// If SQLite cannot create an empty database in memory.
    pub fn without_unloadable(
        mut self,
        document: &Self,
        setup: &ConnectionSetup,
    ) -> Result<(Self, Vec<String>), DatabaseError> {
        let mut messages = Vec::new();
        for LeftOut { object, error } in EmptyCopy::create(&self.0, setup)?.left_out {
            if !document.0.contains_key(&object.key()) {
                self.0.remove(&object.key());
                let (kind, name) = (object.kind, &object.name);
                let reason = with_section(error.to_string());
                messages.push(format!("{kind} `{name}` is left out: {reason}"));
            }
        }
        Ok((self, messages))
    }

    /// Whether the schema has no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Describes how another schema differs from this one, one message per difference. Differences
    /// in spelling, such as case and whitespace, do not count.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        compare::differences(&self.0, &other.0).iter().map(ToString::to_string).collect()
    }

    /// What changes from this schema to another one. Differences in spelling do not count.
    #[must_use]
    pub fn changes_to(&self, target: &Self) -> Vec<PartChange> {
        changes::part_changes(&self.0, &target.0)
    }

    /// Generates the statements that turn this schema into another one and keep the rows.
    ///
    /// # Errors
    ///
    /// If a virtual table differs whose rows cannot be copied without knowing its module, or if
    /// SQLite cannot create an empty database in memory.
    pub fn diff_to(&self, target: &Self) -> Result<SchemaDiff, DiffError> {
        self.diff_with_renames(target, &[], &ConnectionSetup::default())
    }

    /// Generates the statements as [`diff_to`](Self::diff_to) does, after renames that a person has
    /// confirmed. `setup` is for the databases in memory that the statements are tried on.
    ///
    /// # Errors
    ///
    /// As for `diff_to`, or a rename that does not lead from this schema to the other one.
    pub fn diff_with_renames(
        &self,
        target: &Self,
        renames: &[Rename],
        setup: &ConnectionSetup,
    ) -> Result<SchemaDiff, DiffError> {
        let start = rename::apply_renames(&self.0, &target.0, renames, setup)?;
        let mut diff = generate::generate(&start.schema, &target.0, setup)?;
        let statements = start.statements.join("\n");
        diff.sql = match (statements.is_empty(), diff.sql.is_empty()) {
            (true, _) => diff.sql,
            (false, true) => statements,
            (false, false) => format!("{statements}\n\n{}", diff.sql),
        };
        Ok(diff)
    }

    /// The statements that create the schema: tables, parents first, each with its indexes; then
    /// views; then triggers. Columns that `ALTER TABLE` added are on lines of their own.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut statements = Vec::new();
        for table in statement::sort_by_dependency(self.objects_of_kind(ObjectKind::Table)) {
            statements.push(statement::complete_statement(&tidy_columns(&table.sql)));
            let indexes = self.objects_of_kind(ObjectKind::Index);
            let own_indexes = indexes.filter(|index| index.table.eq_ignore_ascii_case(&table.name));
            statements.extend(own_indexes.map(|index| statement::complete_statement(&index.sql)));
        }
        let views = statement::sort_by_dependency(self.objects_of_kind(ObjectKind::View));
        statements
            .extend(views.into_iter().map(|object| statement::complete_statement(&object.sql)));
        statements.extend(
            self.objects_of_kind(ObjectKind::Trigger)
                .map(|object| statement::complete_statement(&object.sql)),
        );
        statements.iter().map(|text| format!("{text}\n")).collect::<Vec<_>>().join("\n")
    }

    /// A Mermaid entity relationship diagram of the tables and views.
    #[must_use]
    pub fn mermaid(&self) -> String {
        mermaid::render(&self.0)
    }

    /// The tables and views of this schema and of a later one, with what was added, changed and
    /// removed.
    #[must_use]
    pub fn diagram_to(&self, after: &Self) -> Vec<DiagramTable> {
        diagram::describe(&self.0, &after.0)
    }

    fn objects_of_kind(&self, kind: ObjectKind) -> impl Iterator<Item = &Arc<Object>> {
        self.0.values().filter(move |object| object.kind == kind)
    }
}
