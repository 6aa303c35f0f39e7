//! Runs the commands of `docs/server.md` with its settings, in order, and compares their output.

use std::fs;

use crate::sqld::{Sqld, unused_address};
use crate::support::Fleet;
use crate::support::wait_until;

const GUIDE: &str = include_str!("../../docs/server.md");
const DOCUMENT: &str = include_str!("../../fixtures/tatlock/MIGRATIONS.md");

/// The fenced blocks with a language label.
fn fenced_blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let opening = format!("```{language}\n");
    let after = GUIDE.match_indices(&opening).map(|(offset, _)| offset).collect::<Vec<_>>();
    let length = opening.len();
    after.into_iter().map(move |offset| GUIDE[offset + length..].split("```").next().unwrap())
}

pub(crate) fn the_guide_commands_print_what_it_shows() {
    let grpc = unused_address().to_string();
    let primary = Sqld::start_with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let replica = Sqld::start_with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    let with_test_urls = |text: &str| {
        text.replace("http://127.0.0.1:8080", &primary.url())
            .replace("http://127.0.0.1:9090", &primary.admin_url())
            .replace("http://127.0.0.1:8081", &replica.url())
    };
    let fleet = Fleet::new().document(DOCUMENT).file("tatmig.toml", "users_dir = \"users\"\n");
    fs::create_dir(fleet.path("users")).unwrap();
    fleet.run(["init", "--user", "ann", "--user", "bob"]).status(0);
    rusqlite::Connection::open(fleet.path("system.db"))
        .unwrap()
        .execute_batch(
            "INSERT INTO users (username, first_name, last_name) \
             VALUES ('ann', 'Ann', 'A'), ('bob', 'Bob', 'B')",
        )
        .unwrap();
    fleet.run(["downgrade", "--to", "0.3.19", "--all-users", "--no-backup"]).status(0);

    let settings: String = fenced_blocks("toml").collect();
    assert!(settings.contains("admin"), "{settings}");
    let fleet = fleet.file("tatmig.toml", with_test_urls(&settings));
    let mut commands = 0;
    for part in fenced_blocks("console").flat_map(|block| block.split("$ ").skip(1)) {
        let (command, expected_output) = part.split_once('\n').unwrap();
        let command = with_test_urls(command);
        let command_words: Vec<&str> = command.split_whitespace().collect();
        match command_words[..] {
            ["mkdir", directory] => fs::create_dir(fleet.path(directory)).unwrap(),
            ["tatmig", "status", ..] => {
                wait_until("the replica has what it shows", || {
                    let output = fleet.command(&command_words[1..]).output().unwrap();
                    output.stdout == with_test_urls(expected_output).as_bytes()
                });
            }
            ["tatmig", ..] => {
                fleet.run(&command_words[1..]).status(0).stdout(with_test_urls(expected_output));
            }
            _ => panic!("`{command}` is none of tatmig's"),
        }
        commands += 1;
    }
    assert!(commands >= 6, "the guide shows commands");
    let pulled_fleet =
        fleet.file("tatmig.toml", "users_dir = \"back\"\nsystem_db = \"back/system.db\"\n");
    pulled_fleet.run(["verify"]).status(0);
    pulled_fleet.run(["status", "--exit-code"]).status(0);
}
