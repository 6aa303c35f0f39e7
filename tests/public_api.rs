//! Checks the public surface of the library: the stable items with their signatures, the list of
//! what the crate root exports, and that no public function panics on hostile arguments.

#![allow(clippy::unwrap_used)] // clippy exempts test functions only

use std::collections::BTreeSet;
use std::ops::Range;

use tatmig::database::ConnectionSetup;
use tatmig::document::StepId;
use tatmig::migrate::{Migrator, Replay};
use tatmig::rusqlite::Connection;
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::semver::Version;
use tatmig::{
    Changelog, ColorMode, DatabaseState, Diagnostic, Error, ErrorKind, LineColumn, Rule, Scope,
    Severity, Source, StatusReport, UpgradeReport, VersionPoint,
};

/// What the crate root exports, in the order of `lib.rs`. A change of this list is a change of the
/// public API.
const ROOT_EXPORTS: &[&str] = &[
    "mod backup",
    "mod database",
    "mod document",
    "mod edit",
    "mod fleet",
    "mod import",
    "mod lint",
    "mod lsp",
    "mod migrate",
    "mod plan",
    "mod schema_diff",
    "mod selftest",
    "mod sqld",
    "mod text",
    "use rusqlite",
    "use semver",
    "use crate::document::changelog::Changelog",
    "use crate::document::diagnostic::{ColorMode, Diagnostic, Rule, Severity}",
    "use crate::document::extensions::Extensions",
    "use crate::document::tag::{Scope, VersionPoint}",
    "use crate::migrate::embedded::{StatusReport, UpgradeReport}",
    "use crate::migrate::error::{Error, ErrorKind}",
    "use crate::migrate::status::DatabaseState",
    "use crate::source::{LineColumn, Source}",
];

#[test]
fn the_crate_root_exports_what_the_list_names() {
    let source = include_str!("../src/lib.rs");
    let exports: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub "))
        .map(|item| item.trim_end_matches(';'))
        .collect();
    assert_eq!(exports, ROOT_EXPORTS);
}

/// The stable functions, with their signatures. It compiles as long as none of them changes.
#[test]
fn the_stable_signatures_are_unchanged() {
    type UpgradeResult = Result<UpgradeReport, Error>;
    fn changelog_functions<'a>(_text: &'a str) {
        let _: fn(&'a str) -> Result<Changelog<'a>, Error> = Changelog::parse;
        let _: fn(&str, &'a str) -> Result<Changelog<'a>, Error> = Changelog::parse_named;
        let _: fn(&Changelog<'a>, &mut Connection, Scope) -> UpgradeResult = Changelog::upgrade;
        let _: fn(&Changelog<'a>, &Connection, Scope) -> Result<StatusReport, Error> =
            Changelog::status;
        let _: for<'r> fn(&'r Changelog<'a>) -> &'r Version = Changelog::head;
        let _: for<'r> fn(&'r Changelog<'a>) -> &'r [Version] = Changelog::versions;
        let _: for<'r> fn(&'r Changelog<'a>) -> &'r [Version] = Changelog::planned_versions;
        let _: for<'r> fn(&'r Changelog<'a>) -> &'r [Diagnostic] = Changelog::warnings;
        let _: for<'r> fn(&'r Changelog<'a>) -> &'r Source<'a> = Changelog::source;
        let _: fn(&Changelog<'a>, Scope) -> bool = Changelog::has_scope;
        let _: for<'r> fn(&'r Source<'a>) -> &'r str = Source::name;
        let _: fn(&Source<'a>) -> &'a str = Source::text;
        let _: fn(&Source<'a>, usize) -> usize = Source::line_number;
        let _: fn(&Source<'a>, usize) -> LineColumn = Source::line_column;
        let _: fn(&Source<'a>, usize) -> String = Source::format_position;
        let _: fn(&Diagnostic, &Source<'a>) -> LineColumn = Diagnostic::line_column;
        let _: fn(&Diagnostic, &Source<'a>, ColorMode) -> String = Diagnostic::render;
    }
    changelog_functions("");
    let _: fn(Rule, Range<usize>, String) -> Diagnostic = Diagnostic::new;
    let _: fn(&Error) -> ErrorKind = Error::kind;
    let _: fn(&Error) -> &[Diagnostic] = Error::diagnostics;
    let _: fn(&Error) -> Option<Range<usize>> = Error::span;
    let _: fn(&str) -> Option<VersionPoint> = VersionPoint::parse;
    let _: fn(&VersionPoint) -> Option<&Version> = VersionPoint::version;
    let _: fn(&str) -> Option<Rule> = Rule::from_name;
    let _: fn(Rule) -> &'static str = Rule::name;
    let _: fn(Rule) -> &'static str = Rule::summary;
    let _: fn(Rule) -> Severity = Rule::severity;
}

/// The fields of the stable structs.
#[test]
fn the_stable_fields_are_unchanged() {
    fn report_fields(report: UpgradeReport) -> (VersionPoint, VersionPoint, Vec<Version>) {
        let _: (Vec<String>, std::time::Duration) = (report.notes, report.duration);
        (report.from, report.to, report.applied)
    }
    fn status_fields(status: StatusReport) -> (DatabaseState, Option<String>, Vec<Version>) {
        let _: (Option<Version>, Option<Error>) = (status.detected, status.error);
        (status.state, status.version, status.pending)
    }
    let _ = (report_fields, status_fields);
}

#[test]
fn the_error_can_cross_threads() {
    fn is_portable<T: std::error::Error + Send + Sync + 'static>() {}
    is_portable::<Error>();
}

/// An application that uses unstable modules can still return the one error of the crate.
#[test]
fn every_error_converts_into_the_one_error() {
    fn converts<E: Into<Error> + std::error::Error + Send + Sync + 'static>() {}
    converts::<tatmig::backup::BackupError>();
    converts::<tatmig::database::DatabaseError>();
    converts::<tatmig::document::DocumentError>();
    converts::<tatmig::edit::EditError>();
    converts::<tatmig::edit::MarkerError>();
    converts::<tatmig::fleet::FleetError>();
    converts::<tatmig::fleet::PathTemplateError>();
    converts::<tatmig::fleet::ServerSetError>();
    converts::<tatmig::fleet::ShardError>();
    converts::<tatmig::fleet::UserSourceError>();
    converts::<tatmig::lint::SqliteVersionError>();
    converts::<tatmig::plan::MigrateError>();
    converts::<tatmig::plan::PlanError>();
    converts::<tatmig::plan::TargetError>();
    converts::<tatmig::rusqlite::Error>();
    converts::<tatmig::schema_diff::DiffError>();
    converts::<tatmig::sqld::NamespaceNameError>();
    converts::<tatmig::sqld::ServerError>();
    converts::<tatmig::sqld::UrlError>();
}

fn block(tag: &str, sql: &str) -> String {
    format!("```sql\n-- [user:{tag}:start]\n{sql}\n-- [user:{tag}:end]\n```\n\n")
}

/// Two versions; `sql` is the second block.
fn document(sql: &str) -> String {
    let baseline = block("baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);");
    format!("é\n\n{baseline}{}", block("1.0.0→1.1.0", sql))
}

fn upgrade_kind(connection: &mut Connection, text: &str) -> ErrorKind {
    Changelog::parse(text).unwrap().upgrade(connection, Scope::User).unwrap_err().kind()
}

#[test]
fn every_kind_of_refusal_has_its_own_kind_of_error() {
    assert_eq!(Changelog::parse("").unwrap_err().kind(), ErrorKind::Document);
    let baseline = block("baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);");
    let full = document("ALTER TABLE notes ADD COLUMN title TEXT;");

    let mut connection = Connection::open_in_memory().unwrap();
    let no_such_table = document("DROP TABLE missing;");
    assert_eq!(upgrade_kind(&mut connection, &no_such_table), ErrorKind::Document);

    connection.execute_batch("BEGIN").unwrap();
    assert_eq!(upgrade_kind(&mut connection, &full), ErrorKind::Connection);
    connection.execute_batch("ROLLBACK; CREATE TABLE other (a)").unwrap();
    assert_eq!(upgrade_kind(&mut connection, &full), ErrorKind::Unversioned);

    let mut connection = Connection::open_in_memory().unwrap();
    let report = Changelog::parse(&full).unwrap().upgrade(&mut connection, Scope::User).unwrap();
    assert_eq!(report.from, VersionPoint::Baseline);
    assert_eq!(report.applied, [Version::new(1, 0, 0), Version::new(1, 1, 0)]);
    assert_eq!(upgrade_kind(&mut connection, &baseline), ErrorKind::Ahead);
    let edited = document("ALTER TABLE notes ADD COLUMN name TEXT;");
    assert_eq!(upgrade_kind(&mut connection, &edited), ErrorKind::Edited);
    let status = Changelog::parse(&edited).unwrap().status(&connection, Scope::User).unwrap();
    assert_eq!(status.state, DatabaseState::Edited);
    assert_eq!(status.error.unwrap().kind(), ErrorKind::Edited);

    let mut connection = Connection::open_in_memory().unwrap();
    Changelog::parse(&baseline).unwrap().upgrade(&mut connection, Scope::User).unwrap();
    connection.execute_batch("INSERT INTO notes VALUES ('a'), ('b')").unwrap();
    let duplicates = document("UPDATE notes SET body = 'same';");
    let changelog = Changelog::parse(&duplicates).unwrap();
    let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(error.to_string().starts_with("MIGRATIONS.md:11:8: "), "{error}");
    assert_eq!(&duplicates[error.span().unwrap()], "notes");
    let different = document("ALTER TABLE notes ADD COLUMN title TEXT NOT NULL DEFAULT '';");
    connection.execute_batch("ALTER TABLE notes ADD COLUMN title INTEGER").unwrap();
    assert_eq!(upgrade_kind(&mut connection, &different), ErrorKind::Drift);
}

#[test]
fn a_lock_is_busy_and_leaves_the_database_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ann.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut connection = Connection::open(&path).unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let text = document("SELECT 1;");
    assert_eq!(upgrade_kind(&mut connection, &text), ErrorKind::Busy);
    other.execute_batch("ROLLBACK").unwrap();
    Changelog::parse(&text).unwrap().upgrade(&mut connection, Scope::User).unwrap();
}

/// An application cannot construct an index, so the only hostile one is that of another changelog.
#[test]
fn an_index_of_another_changelog_does_not_panic() {
    let long_text = document("SELECT 1;");
    let long_changelog = Changelog::parse(&long_text).unwrap();
    let index = long_changelog.head_index();
    let text = block("baseline→1.0.0", "CREATE TABLE notes (body TEXT);");
    let changelog = Changelog::parse(&text).unwrap();
    assert_eq!(changelog.version(index), changelog.head());
    let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
    assert_eq!(replay.diagnostics(index).count(), 0);
    let _ = changelog.running_checksum(Scope::User, index);
    assert!(!SchemaSnapshot::from_replay(&replay, Scope::User, index).is_empty());
    assert!(SchemaSnapshot::from_reverse_block(&replay, Scope::User, index).is_none());
    assert_eq!(Migrator::new(&changelog, &replay, index).target().to_string(), "1.0.0");
    let downgrade = Migrator::new_downgrade(&changelog, &replay, Some(index));
    assert_eq!(downgrade.target().to_string(), "1.0.0");
    let far = [StepId::Forward(usize::MAX), StepId::Reverse(usize::MAX)];
    assert!(
        far.iter().all(|id| changelog.step(*id).is_none() && changelog.endpoints(*id).is_none())
    );
    let ids: BTreeSet<StepId> = far.into_iter().collect();
    assert_eq!(replay.downgrade_diagnostics(&changelog, &ids).count(), 0);
    assert_eq!(changelog.with_released_up_to(index).head().to_string(), "1.0.0");
}

#[test]
fn positions_outside_the_text_do_not_panic() {
    let text = document("SELECT 1;");
    let changelog = Changelog::parse(&text).unwrap();
    let sources = [changelog.source().clone(), Source::new("", "é"), Source::new("m.md", "")];
    let offsets = [0, 1, 2, 7, text.len(), text.len() + 1, usize::MAX - 1, usize::MAX];
    for source in &sources {
        for start in offsets {
            assert!(source.line_number(start) >= 1);
            let _ = source.format_position(start);
            for end in offsets {
                let mut diagnostic = Diagnostic::new(Rule::Sql, start..end, "\u{1b}");
                diagnostic.related.push((end..start, "label".to_owned()));
                let _ = diagnostic.line_column(source);
                for color_mode in [ColorMode::Plain, ColorMode::Colored] {
                    assert!(!diagnostic.render(source, color_mode).is_empty());
                }
                let sql = changelog.chain()[0].block(Scope::User).unwrap().sql();
                let _ = sql.document_span(start..end);
            }
        }
    }
}

#[test]
fn hostile_texts_are_errors() {
    for text in ["", "\0", "\u{feff}", "9999999999999999999999.0.0", "head\0", "-1"] {
        assert_eq!(Changelog::parse(text).unwrap_err().kind(), ErrorKind::Document, "{text:?}");
        let _ = VersionPoint::parse(text);
        let document = document("SELECT 1;");
        let changelog = Changelog::parse_named(text, &document).unwrap();
        assert!(changelog.target_index(Some(text)).is_err(), "{text:?}");
    }
}
