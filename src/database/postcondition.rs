//! Checks that the schema of a database has the changes that a job was expected to make.

use rusqlite::Connection;

use crate::database::job::MigrationJob;
use crate::database::known_schemas::SchemaText;
use crate::database::schema_reader::read_objects;
use crate::database::session::Session;
use crate::schema::difference::Difference;
use crate::schema::effects::ExpectedChanges;

/// Returns the expected changes that the database does not have. Empty if it has all of them.
pub(crate) fn unmet_changes<S: Session>(
    session: &S,
    expected: &ExpectedChanges,
) -> Result<Vec<Difference>, S::Error> {
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let keys = expected.keys_to_check();
    let found = read_objects(session, |key| keys.contains(key))?;
    Ok(expected.unmet_in(|key| found.get(key)))
}

/// Returns the expected changes of a job that the database does not have. A schema that has all of
/// them is remembered, so that databases with the same schema are not compared again.
pub(crate) fn unmet_changes_of_job(
    connection: &Connection,
    job: &MigrationJob<'_>,
) -> rusqlite::Result<Vec<Difference>> {
    if job.expected_changes.is_empty() {
        return Ok(Vec::new());
    }
    let schema_text = SchemaText::read(connection)?;
    if job.completed_schemas.contains(&schema_text) {
        return Ok(Vec::new());
    }
    let unmet = unmet_changes(connection, &job.expected_changes)?;
    if unmet.is_empty() {
        job.completed_schemas.insert(schema_text);
    }
    Ok(unmet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::schema_reader::read_schema;
    use crate::schema::effects::SchemaOperations;

    #[test]
    fn renamed_column_is_only_checked_by_name() {
        let database = |sql: &str| {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            connection
        };
        let schema = |sql: &str| read_schema(&database(sql)).unwrap();
        let renamed_columns = vec![("t".to_owned(), "b".to_owned())];
        let operations = SchemaOperations { renamed_columns, ..SchemaOperations::default() };
        let expected_changes = ExpectedChanges::from_operations(
            &operations,
            &schema("CREATE TABLE t (a TEXT)"),
            &schema("CREATE TABLE t (b TEXT)"),
        );
        let unmet = |sql: &str| -> Vec<String> {
            let unmet = unmet_changes(&database(sql), &expected_changes).unwrap();
            unmet.iter().map(ToString::to_string).collect()
        };
        assert!(unmet("CREATE TABLE t (b INTEGER DEFAULT 7)").is_empty());
        assert_eq!(unmet("CREATE TABLE t (c TEXT)"), ["column `t.b` is missing"]);
        let both = ["column `t.b` is missing", "column `t.a` still exists"];
        assert_eq!(unmet("CREATE TABLE t (a TEXT)"), both);
    }
}
