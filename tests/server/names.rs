//! Tests which users are in the fleet, and where their databases are.

use crate::fleet::{ServerFleet, USERS_AND_NOTES, document_with};
use crate::sqld::Sqld;
use crate::support::Fleet;

pub(crate) fn path_like_names_are_refused() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    for name in ["..", "a/b", "a.b", "", "-x", "a b"] {
        let user = format!("--user={name}");
        for command in ["upgrade", "init"] {
            let run = server_fleet.run([command, &user, "--namespace-pattern", "{username}"]);
            run.status(2).stderr_contains("cannot be the name of a namespace");
        }
    }
    server_fleet
        .run(["init", "--user", "default", "--namespace-pattern", "{username}"])
        .status(2)
        .stderr_contains("`default` cannot be");
    server_fleet
        .run(["status", "--system-namespace", ".."])
        .status(2)
        .stderr_contains("system namespace");
    // In the list only this user fails.
    server_fleet.sqld.execute("system", &["INSERT INTO users VALUES ('..'), ('a/b')"]);
    let run = server_fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("`.._longterm` cannot be the name of a namespace")
        .stderr_contains("`a/b` cannot be the name of a namespace");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.2.0"));
}

pub(crate) fn names_that_differ_by_case_are_refused() {
    let server_fleet = ServerFleet::new(&["ann", "bob"]).document(4, &[]);
    server_fleet
        .run(["init", "--user", "Ann"])
        .status(1)
        .stderr_contains("`Ann` and `ann` differ only by case");
    assert!(!server_fleet.sqld.has_namespace("Ann_longterm"), "it was made");
    // Another program created the namespace.
    server_fleet.sqld.create_namespace("Ann_longterm");
    server_fleet.sqld.execute("system", &["INSERT INTO users VALUES ('Ann')"]);
    server_fleet.run(["upgrade", "--user", "ann"]).status(1).stderr_contains("differ only by case");
    server_fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("differ only by case");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.2.0"));
}

pub(crate) fn an_empty_user_list_is_an_error() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.sqld.execute("system", &["DELETE FROM users"]);
    for command in ["upgrade", "adopt"] {
        server_fleet
            .run([command, "--all-users"])
            .status(2)
            .stderr_contains("`SELECT username FROM users` names no user");
    }
    assert_eq!(server_fleet.sqld.version("system").as_deref(), Some("1.0.0"));
    let server_fleet =
        ServerFleet { fleet: server_fleet.fleet.file("users.txt", "\n  \n"), ..server_fleet };
    server_fleet
        .run(["upgrade", "--all-users", "--users-from", "file:users.txt"])
        .status(2)
        .stderr_contains("the file `users.txt` names no user");
    server_fleet
        .run(["upgrade", "--all-users", "--users-from", "SELECT name FROM nobody"])
        .status(2)
        .stderr_contains("no such table: nobody");
    server_fleet
        .run(["upgrade", "--all-users", "--users-from", "users.txt"])
        .status(2)
        .stderr_contains("query:SELECT");
}

pub(crate) fn a_user_without_a_namespace_fails_alone() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.sqld.execute("system", &["INSERT INTO users VALUES ('ghost')"]);
    server_fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("the server has no namespace `ghost_longterm`");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.2.0"));
    server_fleet
        .run(["upgrade", "--user", "ghost"])
        .status(2)
        .stderr_contains("no namespace for user `ghost`: `ghost_longterm`");
}

pub(crate) fn users_can_be_read_from_a_file() {
    let server_fleet = ServerFleet::new(&["ann", "bob"]).document(4, &[]);
    let fleet = server_fleet.fleet.file("elsewhere/users.txt", "\u{feff}bob\r\n\r\n").file(
        "elsewhere/tatmig.toml",
        "users_from = \"file:users.txt\"\nfile = \"../MIGRATIONS.md\"\n",
    );
    let server_fleet = ServerFleet { fleet, ..server_fleet };
    server_fleet.run(["upgrade", "--all-users", "--config", "elsewhere/tatmig.toml"]).status(0);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.2.0"));
}

pub(crate) fn a_user_listed_twice_in_a_file_is_refused() {
    let server_fleet = ServerFleet::new(&["ann", "bob"]).document(4, &[]);
    let url = server_fleet.sqld.url();
    let fleet = server_fleet
        .fleet
        .file("users.txt", "ann\nbob\n\nann\n")
        .file("on.txt", format!("ann {url}\nbob {url}\nann {url}\n"));
    let server_fleet = ServerFleet { fleet, ..server_fleet };
    server_fleet
        .run(["upgrade", "--all-users", "--users-from", "file:users.txt"])
        .status(2)
        .stderr_contains("`users.txt`, line 4: the user `ann` is listed twice");
    server_fleet
        .run(["upgrade", "--all-users", "--users-on", "on.txt"])
        .status(2)
        .stderr_contains("`on.txt`, line 3: the user `ann` is listed twice");
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.0.0"));
}

pub(crate) fn a_file_of_users_that_is_a_fifo_is_refused() {
    let server_fleet = ServerFleet::new(&["ann"]);
    let fifo = server_fleet.fleet.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for arguments in [["--users-from", "file:fifo"], ["--users-on", "fifo"]] {
        let run = server_fleet.run(["status", arguments[0], arguments[1]]);
        run.status(2).stderr_contains("not a regular file");
    }
}

pub(crate) fn a_user_whom_the_file_of_servers_does_not_list_is_refused() {
    let (first_server, second_server) = (Sqld::start(), Sqld::start());
    let (first_url, second_url) = (first_server.url(), second_server.url());
    let fleet = Fleet::new()
        .env("TATMIG_SERVER", format!("{first_url},{second_url}"))
        .env("TATMIG_ADMIN", format!("{},{}", first_server.admin_url(), second_server.admin_url()))
        .file("on.txt", format!("ann {second_url}\n"))
        .document(document_with(2, &[]));
    fleet.run(["init", "--user", "ann", "--users-on", "on.txt"]).status(0);
    first_server.execute("system", &["INSERT INTO users VALUES ('ann'), ('bob')"]);
    // No server is guessed for Bob, not even where a namespace has his name.
    first_server.create_namespace("bob_longterm");
    for command in ["upgrade", "adopt"] {
        fleet
            .run([command, "--user", "bob", "--users-on", "on.txt"])
            .status(2)
            .stderr_contains("the file of `--users-on` does not list the user `bob`");
    }
    let message = "the file of `--users-on` does not list this user";
    fleet.run(["init", "--user", "bob", "--users-on", "on.txt"]).status(1).stderr_contains(message);
    let fleet = fleet.document(document_with(4, &[]));
    fleet
        .run(["upgrade", "--all-users", "--users-on", "on.txt"])
        .status(1)
        .stderr_contains(message);
    assert_eq!(second_server.version("ann_longterm").as_deref(), Some("1.2.0"));
    assert_eq!(first_server.rows("bob_longterm", "SELECT name FROM sqlite_schema"), [""; 0]);
}

pub(crate) fn users_are_placed_on_servers_by_hash_or_file() {
    let (first_server, second_server) = (Sqld::start(), Sqld::start());
    let join_urls = |urls: [String; 2]| urls.join(",");
    let users: Vec<String> = (0..20).map(|index| format!("u{index:02}")).collect();
    let lines = |first_count: usize| {
        let line = |(index, user): (usize, &String)| {
            format!(
                "{user} {}\n",
                if index < first_count { first_server.url() } else { second_server.url() }
            )
        };
        users.iter().enumerate().map(line).collect::<String>()
    };
    let hash_placed_fleet = Fleet::new()
        .env("TATMIG_SERVER", join_urls([first_server.url(), second_server.url()]))
        .env("TATMIG_ADMIN", join_urls([first_server.admin_url(), second_server.admin_url()]))
        .file("on.txt", lines(5))
        .document(document_with(2, &[]));
    let mut init = vec!["init".to_owned()];
    init.extend(users.iter().flat_map(|user| ["--user".to_owned(), user.clone()]));
    hash_placed_fleet.run(&init).status(0);
    for user in &users {
        first_server.execute("system", &[&format!("INSERT INTO users VALUES ('{user}')")]);
    }
    assert!(
        first_server.has_namespace("system") && !second_server.has_namespace("system"),
        "the system is on the first server"
    );
    let has_user = |sqld: &Sqld, user: &str| sqld.has_namespace(&ServerFleet::namespace(user));
    let on_first_server: Vec<&String> =
        users.iter().filter(|user| has_user(&first_server, user)).collect();
    assert!((4..=16).contains(&on_first_server.len()), "{on_first_server:?}");
    assert!(
        users.iter().all(|user| has_user(&first_server, user) != has_user(&second_server, user))
    );
    let hash_placed_fleet = hash_placed_fleet.document(document_with(4, &[]));
    hash_placed_fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("20 users: 20 upgraded to 1.2.0");
    // With other settings no user is found, and none is created.
    let run = hash_placed_fleet.run(["status", "--users-on", "on.txt"]);
    run.status(1).stdout_contains("has no namespace");
    let line = |user: &String| {
        let server = if has_user(&first_server, user) { &first_server } else { &second_server };
        format!("{user}\t{}/", server.url())
    };
    let lines = users.iter().map(line).collect::<Vec<_>>().join("\n");
    let file_placed_fleet = hash_placed_fleet.file("on.txt", lines);
    file_placed_fleet.run(["status", "--users-on", "on.txt", "--exit-code"]).status(0);
    let file_placed_fleet = file_placed_fleet.file("on.txt", "u00 http://127.0.0.1:1\n");
    file_placed_fleet
        .run(["status", "--users-on", "on.txt"])
        .status(2)
        .stderr_contains("`on.txt`, line 1");
}

pub(crate) fn shards_cover_a_fleet_exactly_once() {
    let fleet = Fleet::from_blocks(&USERS_AND_NOTES[..2])
        .system("")
        .users(30, "")
        .upgrade_to("1.0.0")
        .blocks(USERS_AND_NOTES);
    let mut sizes = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let run = fleet.run(["upgrade", "--all-users", "--shard", shard, "--json"]);
        let json = run.status(0).json();
        let databases = json["databases"].as_array().unwrap();
        let upgraded = databases
            .iter()
            .filter(|database| database["scope"] == "user" && database["outcome"] == "upgraded");
        sizes.push(upgraded.count());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 30, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size > 3), "{sizes:?}");
    fleet.run(["status", "--exit-code"]).status(0);
    fleet.run(["status", "--shard", "4/3"]).status(2);
}
