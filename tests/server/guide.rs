//! `docs/server.md`: its settings and its commands, in its order, print what it shows.

use std::fs;

use crate::sqld::{Sqld, free};
use crate::support::Fleet;
use crate::support::until;

const GUIDE: &str = include_str!("../../docs/server.md");
const DOCUMENT: &str = include_str!("../../fixtures/tatlock/MIGRATIONS.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let opening = format!("```{language}\n");
    let after = GUIDE.match_indices(&opening).map(|(at, _)| at).collect::<Vec<_>>();
    let length = opening.len();
    after.into_iter().map(move |at| GUIDE[at + length..].split("```").next().unwrap())
}

pub(crate) fn the_guide_goes_there_and_back() {
    let grpc = free().to_string();
    let primary = Sqld::with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let replica = Sqld::with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    let here = |text: &str| {
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

    let settings: String = blocks("toml").collect();
    assert!(settings.contains("admin"), "{settings}");
    let fleet = fleet.file("tatmig.toml", here(&settings));
    let mut commands = 0;
    for part in blocks("console").flat_map(|block| block.split("$ ").skip(1)) {
        let (command, shown) = part.split_once('\n').unwrap();
        let command = here(command);
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["mkdir", directory] => fs::create_dir(fleet.path(directory)).unwrap(),
            ["tatmig", "status", ..] => {
                until("the replica has what it shows", || {
                    let output = fleet.command(&words[1..]).output().unwrap();
                    output.stdout == here(shown).as_bytes()
                });
            }
            ["tatmig", ..] => {
                fleet.run(&words[1..]).status(0).stdout(here(shown));
            }
            _ => panic!("`{command}` is none of tatmig's"),
        }
        commands += 1;
    }
    assert!(commands >= 6, "the guide shows commands");
    let back = fleet.file("tatmig.toml", "users_dir = \"back\"\nsystem_db = \"back/system.db\"\n");
    back.run(["verify"]).status(0);
    back.run(["status", "--exit-code"]).status(0);
}
