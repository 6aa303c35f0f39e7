//! A run with the replay of another changelog is refused.

use std::time::Duration;

use tatmig::database::{ConnectOptions, ConnectionSetup};
use tatmig::fleet::{
    DatabaseFile, Fleet, Location, OnFailure, RunOptions, SymlinkPolicy, TargetDatabase,
};
use tatmig::migrate::{AdoptRequest, AdoptTarget, Migrator, PresentDrift, RecordedVersion, Replay};
use tatmig::rusqlite::Connection;
use tatmig::{Changelog, DatabaseState, Scope};

use crate::{column, notes, upgrade};

const MESSAGE: &str = "the replay is that of another changelog; run the replay of this one";

#[test]
fn a_replay_of_another_changelog_changes_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ann_longterm.db");
    let (first, other) = (notes("ALTER TABLE notes ADD COLUMN a;"), notes("DELETE FROM notes;"));
    let mut connection = Connection::open(&path).unwrap();
    let baseline = first.split("\n\n").next().unwrap();
    upgrade(&mut connection, baseline).unwrap();
    connection.execute_batch("INSERT INTO notes VALUES (1, 'tea')").unwrap();
    connection.close().unwrap();

    let (changelog, other) = (Changelog::parse(&first).unwrap(), Changelog::parse(&other).unwrap());
    let replay = Replay::run(&other, &ConnectionSetup::default()).unwrap();
    let migrator = Migrator::new(&changelog, &replay, changelog.head_index());
    let target = TargetDatabase {
        scope: Scope::User,
        name: "ann".into(),
        location: Location::File(DatabaseFile::new(path.clone(), SymlinkPolicy::Refuse)),
        skip_reason: None,
    };
    let fleet = Fleet { users: vec![target], ..Fleet::default() };
    let connect_options =
        ConnectOptions { busy_timeout: Duration::ZERO, setup: ConnectionSetup::default() };
    let on_failure = OnFailure::Continue;
    let options = RunOptions { jobs: 1, on_failure, canary: None, connect_options };
    let adopt = AdoptRequest {
        target: AdoptTarget::Position(changelog.head_index()),
        recorded_version: RecordedVersion::Overrule,
        present_drift: PresentDrift::Report,
    };
    let outcomes = [
        fleet.upgrade(&migrator, &options, &mut |_, _| {}),
        fleet.adopt(&migrator, adopt, &options, &mut |_, _| {}),
        fleet.reset(&migrator, &options, &mut |_, _| {}),
        fleet.seed(&migrator, &["s".to_owned()], &options, &mut |_, _| {}),
    ];
    for outcome in outcomes {
        let text = format!("{:?}", outcome.users[0]);
        assert!(text.contains("ForeignReplay"), "{text}");
    }
    let status = fleet.statuses(&migrator, &options, &mut || {}).remove(0).unwrap();
    assert_eq!(status.state, DatabaseState::Error);
    assert_eq!(status.error.unwrap().to_string(), MESSAGE);
    let verified = fleet.verify(&migrator, &options, &mut || {}).remove(0).unwrap();
    assert_eq!(verified.unwrap_err().to_string(), MESSAGE);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");
    assert_eq!(column(&connection, "SELECT to_version FROM _tatmig_migrations"), "1.0.0");
}
