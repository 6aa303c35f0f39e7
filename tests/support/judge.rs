//! What holds of every document and of every statement that an upgrade is given, for the property
//! tests and the fuzz targets alike: whatever it is, it panics here or it holds.

#![allow(
    clippy::expect_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;
use rusqlite::{Batch, Connection};
use tatmig::{Changelog, Problem, Scope, Source, Style, Verdict};

/// Reads a text as a document, judges it, and draws all that is wrong with it.
pub(crate) fn document(text: &str) {
    let source = Source::new("m.md", text);
    let (problems, unusable) = tatmig::lint(source.clone(), &Arc::default());
    places(&source, &problems);
    match Changelog::parse_named("m.md", text) {
        Ok(changelog) => {
            places(&source, changelog.warnings());
            let parts = changelog.history().flat_map(|migration| {
                Scope::BOTH.into_iter().filter_map(|scope| migration.part(scope))
            });
            for part in parts {
                let sql = part.sql();
                for (at, byte) in sql.text().bytes().enumerate() {
                    assert_eq!(byte, text.as_bytes()[sql.offset(at)], "SQL is the document's own");
                }
            }
        }
        Err(error) => {
            assert!(unusable, "lint passes what parse refuses: {error}");
            places(&source, &error.problems);
        }
    }
}

fn places(source: &Source<'_>, problems: &[Problem]) {
    for problem in problems {
        let related = problem.related.iter().map(|(span, _)| span);
        for span in std::iter::once(&problem.span).chain(related) {
            assert!(source.text().get(span.clone()).is_some(), "{span:?} of {problem:?}");
        }
        assert!(!problem.message.is_empty());
        assert!(!problem.render(source, Style::Coloured).is_empty());
        let place = source.locate(problem.span.start);
        let drawn = problem.render(source, Style::Plain);
        assert!(drawn.contains(&format!("--> {place}\n")), "{place} is not in\n{drawn}");
    }
}

/// Whether SQL in a text comes to an end soon: no recursion, and no number that makes a value of
/// gigabytes. An endless statement is ended by a signal, and here comes none.
pub(crate) fn ends(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    let digits = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() > 6 && word.starts_with(|c: char| c.is_ascii_digit()));
    !digits && !small.contains("recursive") && text.len() < 20_000
}

/// What an upgrade is tried on.
#[derive(Clone, Debug)]
pub(crate) struct Story<'s> {
    /// The block that makes the database.
    pub(crate) baseline: &'s str,
    /// What its application does then.
    pub(crate) application: &'s str,
    /// The blocks of the next versions.
    pub(crate) blocks: Vec<&'s str>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The document or the application's statements are no use.
    Unusable,
    /// The upgrade was refused, and nothing changed.
    Refused,
    /// It was done.
    Done,
}

impl Story<'_> {
    fn document(&self) -> String {
        let mut text = String::new();
        let mut from = "baseline".to_owned();
        for (at, sql) in std::iter::once(&self.baseline).chain(&self.blocks).enumerate() {
            let to = format!("1.{at}.0");
            let edge = |edge| format!("-- [user:{from}→{to}:{edge}]");
            let (start, end) = (edge("start"), edge("end"));
            let _ = write!(text, "```sql\n{start}\n{sql}\n{end}\n```\n\n");
            from = to;
        }
        text
    }

    /// Runs the baseline, the application and the upgrade on a database in memory.
    pub(crate) fn end(&self) -> End {
        let first = Story { blocks: Vec::new(), ..self.clone() }.document();
        let whole = self.document();
        let (Ok(first), Ok(whole)) = (Changelog::parse(&first), Changelog::parse(&whole)) else {
            return End::Unusable;
        };
        let mut connection = Connection::open_in_memory().expect("memory");
        if first.upgrade(&mut connection, Scope::User).is_err() {
            assert!(dump(&connection).is_empty(), "a failed baseline left something");
            return End::Unusable;
        }
        if !live(&mut connection, self.application) {
            return End::Unusable;
        }
        let before = dump(&connection);
        let keys = setting(&connection);
        let result = whole.upgrade(&mut connection, Scope::User);
        assert!(connection.is_autocommit(), "a transaction is left open");
        assert_eq!(setting(&connection), keys, "a setting is not put back");
        let after = dump(&connection);
        let Ok(verdict) = result else {
            assert_eq!(before, after, "refused, and changed");
            return End::Refused;
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
            return End::Done;
        }
        assert!(matches!(verdict, Verdict::Upgraded(_)), "{verdict:?}");
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM _tatmig_migrations", [], |row| row.get(0))
            .expect("a record");
        assert_eq!(usize::try_from(rows), Ok(1 + self.blocks.len()), "each migration once");
        let again = whole.upgrade(&mut connection, Scope::User);
        assert!(matches!(again, Ok(Verdict::Current { .. })), "{again:?}");
        assert_eq!(after, dump(&connection), "a second run changed something");
        End::Done
    }
}

/// What the application does with its database, outside any migration. False if it is nothing that
/// one would do: leave a transaction open, or touch what is not its own.
fn live(connection: &mut Connection, sql: &str) -> bool {
    let denied = |context: AuthContext<'_>| match context.action {
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
    connection.authorizer(Some(denied)).expect("a guard");
    let done = run(connection, sql);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).expect("no guard");
    done.is_ok() && connection.is_autocommit()
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
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

fn setting(connection: &Connection) -> Vec<i64> {
    ["foreign_keys", "trusted_schema", "legacy_alter_table", "recursive_triggers"]
        .map(|name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)))
        .into_iter()
        .collect::<rusqlite::Result<_>>()
        .expect("settings can be read")
}

/// The whole schema and every row. A table that cannot be read is told as such.
fn dump(connection: &Connection) -> Vec<String> {
    let rows = |sql: &str| -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..columns).map(|at| row.get(at)).collect::<Result<_, _>>())?;
        rows.collect()
    };
    let schema = rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name, type");
    let mut all = Vec::new();
    for object in schema.expect("a schema can be read") {
        if let [Value::Text(kind), Value::Text(name), ..] = &object[..]
            && kind == "table"
        {
            let sql = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
            all.push(format!("{:?}", rows(&sql)));
        }
        all.push(format!("{object:?}"));
    }
    let header =
        rows("SELECT user_version, application_id FROM pragma_user_version, pragma_application_id");
    if !all.is_empty() {
        all.push(format!("{header:?}"));
    }
    all
}
