//! The shape of a database: its schema as a value that is told in SQL or as a diagram, held
//! against another one, and that knows the statements which lead from it to another.

pub(crate) mod compare;
pub(crate) mod generate;
pub(crate) mod mermaid;
pub(crate) mod rebuild;
pub(crate) mod statement;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::replay::Replay;
use crate::schema;
use crate::schema::{Object, ObjectKind, Schema};
use crate::sqlite::file::SqliteFile;

/// The schema of a database, apart from what is SQLite's own or tatmig's own.
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

/// The statements that lead from one shape to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaDiff {
    /// The SQL of a block; empty where the shapes are the same.
    pub sql: String,
    /// What a human has to look at, each in words.
    pub warnings: Vec<String>,
}

impl SchemaSnapshot {
    /// The schema that the document describes at a version.
    #[must_use]
    pub fn from_replay(replay: &Replay<'_>, scope: Scope, index: VersionIndex) -> Self {
        Self::new(replay.schema_at(scope, index.get()))
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
        schema::tracker::apply_changes(&mut schema, &script.object_changes);
        Some(Self::new(schema))
    }

    /// The shape of a database file, which is read without a trace.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn from_file(path: &Path, options: &ConnectOptions) -> Result<Self, DatabaseError> {
        SqliteFile::read(path, options, ReadDatabase::schema).map(Self::new)
    }

    /// Leaves out the tables in which virtual tables keep their rows.
    fn new(mut schema: Schema) -> Self {
        let shadow_tables: BTreeSet<String> =
            schema.values().flat_map(|object| statement::shadow_tables(object)).collect();
        schema.retain(|key, object| {
            object.kind == ObjectKind::Trigger || !shadow_tables.contains(key.name())
        });
        Self(schema)
    }

    /// Whether it has no object at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In what another shape differs from this one, each in words, whatever their spelling.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        compare::differences(&self.0, &other.0)
    }

    /// The statements that make another shape of this one and keep the rows.
    ///
    /// # Errors
    ///
    /// A virtual table that differs, and that nobody can copy without knowing it; SQLite's, if not
    /// even an empty database in memory can be made.
    pub fn diff_to(&self, target: &Self) -> Result<SchemaDiff, DiffError> {
        generate::generate(&self.0, &target.0)
    }

    /// Every statement that makes it: tables, parents first, each with its indexes; views; triggers.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut statements = Vec::new();
        for table in statement::sort_by_dependency(self.objects_of_kind(ObjectKind::Table)) {
            statements.push(statement::complete_statement(&table.sql));
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

    /// A Mermaid entity relationship diagram of the tables.
    #[must_use]
    pub fn mermaid(&self) -> String {
        mermaid::render(&self.0)
    }

    fn objects_of_kind(&self, kind: ObjectKind) -> impl Iterator<Item = &Arc<Object>> {
        self.0.values().filter(move |object| object.kind == kind)
    }
}

/// Why no statements lead from one shape to another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A virtual table that is declared otherwise.
    #[error(
        "the virtual table `{table}` is declared otherwise, and its rows cannot be read back from it; write that part by hand"
    )]
    VirtualTable {
        /// Its name.
        table: String,
    },
    /// SQLite's refusal.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for DiffError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
