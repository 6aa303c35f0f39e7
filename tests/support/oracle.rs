//! Checks the properties that every document and every upgrade must have, for the property tests
//! and the fuzz targets. A violated property panics.

#![allow(
    clippy::expect_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

use std::fmt::Write as _;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;
use rusqlite::{Batch, Connection};
use tatmig::database::ConnectionSetup;
use tatmig::{Changelog, ColorMode, Diagnostic, Scope, Source};

/// Parses a text as a document, lints it, and renders every diagnostic.
pub(crate) fn check_document(text: &str) {
    let source = Source::new("m.md", text);
    let lint_report = tatmig::lint::lint(source.clone(), &ConnectionSetup::default());
    assert_valid_spans(&source, &lint_report.diagnostics);
    match Changelog::parse_named("m.md", text) {
        Ok(changelog) => {
            assert_valid_spans(&source, changelog.warnings());
            let parts = changelog.forward_migrations().flat_map(|migration| {
                Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope))
            });
            for part in parts {
                let sql = part.sql();
                for (index, byte) in sql.text().bytes().enumerate() {
                    assert_eq!(
                        byte,
                        text.as_bytes()[sql.document_offset(index)],
                        "SQL is the document's own"
                    );
                }
            }
        }
        Err(error) => {
            assert!(lint_report.is_unusable, "lint passes what parse refuses: {error}");
            assert_valid_spans(&source, error.diagnostics());
        }
    }
}

fn assert_valid_spans(source: &Source<'_>, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let related = diagnostic.related.iter().map(|(span, _)| span);
        for span in std::iter::once(&diagnostic.span).chain(related) {
            assert!(source.text().get(span.clone()).is_some(), "{span:?} of {diagnostic:?}");
        }
        assert!(!diagnostic.message.is_empty());
        assert!(!diagnostic.render(source, ColorMode::Colored).is_empty());
        let location = source.format_position(diagnostic.span.start);
        let rendered = diagnostic.render(source, ColorMode::Plain);
        assert!(
            rendered.contains(&format!("--> {location}\n")),
            "{location} is not in\n{rendered}"
        );
    }
}

/// Whether the SQL in a text ends soon: it has no recursion, and no number that could create a
/// value of gigabytes. In the program a signal ends an endless statement; here nothing does.
pub(crate) fn is_quick_to_run(text: &str) -> bool {
    let lowercase = text.to_ascii_lowercase();
    let has_long_number = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() > 6 && word.starts_with(|c: char| c.is_ascii_digit()));
    !has_long_number && !lowercase.contains("recursive") && text.len() < 20_000
}

/// The document and the database of an upgrade.
#[derive(Clone, Debug)]
pub(crate) struct Scenario<'s> {
    /// The block that creates the database.
    pub(crate) baseline: &'s str,
    /// The statements that the application runs afterwards.
    pub(crate) application: &'s str,
    /// The blocks of the next versions.
    pub(crate) blocks: Vec<&'s str>,
}

/// The result of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScenarioOutcome {
    /// The document or the application's statements are invalid.
    InvalidInput,
    /// The upgrade was refused, and nothing changed.
    Refused,
    /// The upgrade was applied.
    Applied,
}

impl Scenario<'_> {
    fn document(&self) -> String {
        let mut text = String::new();
        let mut from = "baseline".to_owned();
        for (index, sql) in std::iter::once(&self.baseline).chain(&self.blocks).enumerate() {
            let to = format!("1.{index}.0");
            let tag = |tag| format!("-- [user:{from}→{to}:{tag}]");
            let (start, end) = (tag("start"), tag("end"));
            let _ = write!(text, "```sql\n{start}\n{sql}\n{end}\n```\n\n");
            from = to;
        }
        text
    }

    /// Runs the baseline, the application and the upgrade on a database in memory.
    pub(crate) fn run(&self) -> ScenarioOutcome {
        let baseline_only = Scenario { blocks: Vec::new(), ..self.clone() }.document();
        let full_changelog = self.document();
        let (Ok(first), Ok(whole)) =
            (Changelog::parse(&baseline_only), Changelog::parse(&full_changelog))
        else {
            return ScenarioOutcome::InvalidInput;
        };
        let mut connection = Connection::open_in_memory().expect("memory");
        if first.upgrade(&mut connection, Scope::User).is_err() {
            assert!(dump(&connection).is_empty(), "a failed baseline left something");
            return ScenarioOutcome::InvalidInput;
        }
        if !run_application(&mut connection, self.application) {
            return ScenarioOutcome::InvalidInput;
        }
        let before = dump(&connection);
        let settings_before = connection_settings(&connection);
        let result = whole.upgrade(&mut connection, Scope::User);
        assert!(connection.is_autocommit(), "a transaction is left open");
        assert_eq!(connection_settings(&connection), settings_before, "a setting is not put back");
        let after = dump(&connection);
        let Ok(report) = result else {
            assert_eq!(before, after, "refused, and changed");
            return ScenarioOutcome::Refused;
        };
        let head = whole.head().to_string();
        let version: String = connection
            .query_row(
                "SELECT to_version FROM _tatmig_migrations ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .expect("a record");
        assert_eq!(version, head, "done, and the record says otherwise");
        if self.blocks.is_empty() {
            assert_eq!(before, after, "nothing to do, and changed");
            return ScenarioOutcome::Applied;
        }
        assert_eq!(report.applied.len(), self.blocks.len(), "{report:?}");
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM _tatmig_migrations", [], |row| row.get(0))
            .expect("a record");
        assert_eq!(usize::try_from(rows), Ok(1 + self.blocks.len()), "each migration once");
        let second_run = whole.upgrade(&mut connection, Scope::User);
        assert!(
            second_run.as_ref().is_ok_and(|report| report.applied.is_empty()),
            "{second_run:?}"
        );
        assert_eq!(after, dump(&connection), "a second run changed something");
        ScenarioOutcome::Applied
    }
}

/// Runs the application's statements, outside any migration. Returns false if no application would
/// run them: they leave a transaction open, or change tables of tatmig.
fn run_application(connection: &mut Connection, sql: &str) -> bool {
    let authorizer = |context: AuthContext<'_>| match context.action {
        AuthAction::Pragma { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => Authorization::Deny,
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
            if table_name.to_ascii_lowercase().starts_with("_tatmig") =>
        {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    };
    connection.authorizer(Some(authorizer)).expect("a guard");
    let result = execute_batch(connection, sql);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).expect("no guard");
    result.is_ok() && connection.is_autocommit()
}

fn execute_batch(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut batch = Batch::new(connection, sql);
    while let Some(mut statement) = batch.next()? {
        if statement.parameter_count() > 0 {
            continue;
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    }
    Ok(())
}

fn connection_settings(connection: &Connection) -> Vec<i64> {
    ["foreign_keys", "trusted_schema", "legacy_alter_table", "recursive_triggers"]
        .map(|name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)))
        .into_iter()
        .collect::<rusqlite::Result<_>>()
        .expect("settings can be read")
}

/// The whole schema and every row. Tables that cannot be read are listed as unreadable.
fn dump(connection: &Connection) -> Vec<String> {
    let rows = |sql: &str| -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|index| row.get(index)).collect::<Result<_, _>>()
        })?;
        rows.collect()
    };
    let schema = rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name, type");
    let mut lines = Vec::new();
    for object in schema.expect("a schema can be read") {
        if let [Value::Text(kind), Value::Text(name), ..] = &object[..]
            && kind == "table"
        {
            let sql = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
            lines.push(format!("{:?}", rows(&sql)));
        }
        lines.push(format!("{object:?}"));
    }
    let header =
        rows("SELECT user_version, application_id FROM pragma_user_version, pragma_application_id");
    if !lines.is_empty() {
        lines.push(format!("{header:?}"));
    }
    lines
}
