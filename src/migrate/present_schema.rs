//! Explains the failure of an upgrade on a database that has the schema of a later version already,
//! since its changes were made by hand or by another program.

use crate::database::ReadDatabase;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::migrate::migrator::Migrator;
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;
use crate::schema::difference::Difference;

impl Migrator<'_, '_> {
    /// Adds to the error of a statement the highest version above the database's own, up to the target,
    /// whose schema the database has. `position` is that of the database, which is unchanged.
    pub(crate) fn with_present_version(
        &self,
        error: DatabaseError,
        scope: Scope,
        position: ChainPosition,
        database: &dyn ReadDatabase,
    ) -> DatabaseError {
        let first = match position {
            ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => position + 1,
            ChainPosition::Empty => return error,
            ChainPosition::BelowBaseline => 0,
        };
        let (Target::Up(target), DatabaseError::Statement { .. }) = (self.run_target(), &error)
        else {
            return error;
        };
        let Ok(schema) = database.schema() else { return error };
        let has_schema_at = |position: usize| {
            let drift = self.detector().drift(scope, Some(position), schema.clone());
            !drift.iter().any(Difference::is_significant)
        };
        // After migrations of rows alone, the schema says nothing about what is applied.
        if first > 0 && has_schema_at(first - 1) {
            return error;
        }
        match (first..=target).rev().find(|position| has_schema_at(*position)) {
            Some(position) => {
                let version = self.version_point_at(Some(position)).to_string();
                error.with_present_version(scope, version)
            }
            None => error,
        }
    }
}
