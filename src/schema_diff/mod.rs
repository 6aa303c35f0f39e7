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

use crate::database::Look;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;
use crate::schema;
use crate::schema::{Kind, Object, Schema};
use crate::sqlite::file::SqliteFile;

/// The schema of a database, apart from what is SQLite's own or tatmig's own.
///
/// ````
/// use tatmig::{Changelog, Replay, Scope, Shape};
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
/// let shape = Shape::at(&replay, Scope::User, changelog.head_position());
/// assert!(shape.sql().starts_with("CREATE TABLE notes"));
/// assert!(shape.mermaid().starts_with("erDiagram"));
/// assert!(shape.differences(&Shape::default())[0].contains("`notes` is missing"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
#[derive(Clone, Debug, Default)]
pub struct Shape(Schema);

/// The statements that lead from one shape to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The SQL of a block; empty where the shapes are the same.
    pub sql: String,
    /// What a human has to look at, each in words.
    pub remarks: Vec<String>,
}

impl Shape {
    /// What the document describes at the position of a version.
    #[must_use]
    pub fn at(replay: &Replay<'_>, scope: Scope, position: usize) -> Self {
        Self::new(replay.schema_at(scope, position))
    }

    /// What the reverse block of the migration to a position leaves behind; none if there is none.
    #[must_use]
    pub fn reversed(replay: &Replay<'_>, scope: Scope, position: usize) -> Option<Self> {
        let at = position.checked_sub(1)?;
        let script = replay.script(scope, StepId::Reverse(at))?;
        let mut schema = replay.schema_at(scope, position);
        schema::tracker::apply(&mut schema, &script.changes);
        Some(Self::new(schema))
    }

    /// The shape of a database file, which is read without a trace.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read.
    pub fn of_file(path: &Path, patience: &Patience) -> Result<Self, DatabaseError> {
        SqliteFile::read(path, patience, Look::schema).map(Self::new)
    }

    /// Leaves out the tables in which virtual tables keep their rows.
    fn new(mut schema: Schema) -> Self {
        let shadows: BTreeSet<String> =
            schema.values().flat_map(|object| statement::shadows(object)).collect();
        schema.retain(|key, object| object.kind == Kind::Trigger || !shadows.contains(key.name()));
        Self(schema)
    }

    /// Whether it has no object at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In what another shape differs from this one, each in words, whatever their spelling.
    #[must_use]
    pub fn differences(&self, is: &Self) -> Vec<String> {
        compare::differences(&self.0, &is.0)
    }

    /// The statements that make another shape of this one and keep the rows.
    ///
    /// # Errors
    ///
    /// A virtual table that differs, and that nobody can copy without knowing it; SQLite's, if not
    /// even an empty database in memory can be made.
    pub fn way_to(&self, target: &Self) -> Result<Way, WayError> {
        generate::way(&self.0, &target.0)
    }

    /// Every statement that makes it: tables, parents first, each with its indexes; views; triggers.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut out = Vec::new();
        for table in statement::in_order(self.of(Kind::Table)) {
            out.push(statement::whole(&table.sql));
            let indexes = self.of(Kind::Index);
            let own = indexes.filter(|index| index.table.eq_ignore_ascii_case(&table.name));
            out.extend(own.map(|index| statement::whole(&index.sql)));
        }
        let rest = statement::in_order(self.of(Kind::View));
        out.extend(rest.into_iter().map(|object| statement::whole(&object.sql)));
        out.extend(self.of(Kind::Trigger).map(|object| statement::whole(&object.sql)));
        out.iter().map(|text| format!("{text}\n")).collect::<Vec<_>>().join("\n")
    }

    /// A Mermaid entity relationship diagram of the tables.
    #[must_use]
    pub fn mermaid(&self) -> String {
        mermaid::draw(&self.0)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.0.values().filter(move |object| object.kind == kind)
    }
}

/// Why no statements lead from one shape to another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WayError {
    /// A virtual table that is declared otherwise.
    #[error(
        "the virtual table `{table}` is declared otherwise, and its rows cannot be read back from it; write that part by hand"
    )]
    Virtual {
        /// Its name.
        table: String,
    },
    /// SQLite's refusal.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for WayError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
