//! Who is in the fleet, and where.

use crate::sqld::Sqld;
use crate::support::Fleet;
use crate::town::{TOWN, Town, town_and};

pub(crate) fn names_that_are_paths_are_refused() {
    let town = Town::of(&["ann"]).document(4, &[]);
    for name in ["..", "a/b", "a.b", "", "-x", "a b"] {
        let user = format!("--user={name}");
        for command in ["upgrade", "init"] {
            let run = town.run([command, &user, "--namespace-pattern", "{username}"]);
            run.status(2).stderr_contains("cannot be the name of a namespace");
        }
    }
    town.run(["init", "--user", "default", "--namespace-pattern", "{username}"])
        .status(2)
        .stderr_contains("`default` cannot be");
    town.run(["status", "--system-namespace", ".."]).status(2).stderr_contains("system namespace");
    // In the list it fails alone.
    town.sqld.run_in("system", &["INSERT INTO users VALUES ('..'), ('a/b')"]);
    let run = town.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("`.._longterm` cannot be the name of a namespace")
        .stderr_contains("`a/b` cannot be the name of a namespace");
    assert_eq!(town.version("ann").as_deref(), Some("1.2.0"));
}

pub(crate) fn names_that_differ_by_case_are_refused() {
    let town = Town::of(&["ann", "bob"]).document(4, &[]);
    town.run(["init", "--user", "Ann"])
        .status(1)
        .stderr_contains("`Ann` and `ann` differ by the case of letters alone");
    assert!(!town.sqld.has("Ann_longterm"), "it was made");
    // Another program made it.
    town.sqld.create("Ann_longterm");
    town.sqld.run_in("system", &["INSERT INTO users VALUES ('Ann')"]);
    town.run(["upgrade", "--user", "ann"])
        .status(1)
        .stderr_contains("differ by the case of letters alone");
    town.run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("differ by the case of letters alone");
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.version("bob").as_deref(), Some("1.2.0"));
}

pub(crate) fn an_empty_list_is_an_error() {
    let town = Town::of(&["ann"]).document(4, &[]);
    town.sqld.run_in("system", &["DELETE FROM users"]);
    for command in ["upgrade", "adopt"] {
        town.run([command, "--all-users"])
            .status(2)
            .stderr_contains("`SELECT username FROM users` names no user");
    }
    assert_eq!(town.sqld.version("system").as_deref(), Some("1.0.0"));
    let town = Town { fleet: town.fleet.file("users.txt", "\n  \n"), ..town };
    town.run(["upgrade", "--all-users", "--users-from", "file:users.txt"])
        .status(2)
        .stderr_contains("the file `users.txt` names no user");
    town.run(["upgrade", "--all-users", "--users-from", "SELECT name FROM nobody"])
        .status(2)
        .stderr_contains("no such table: nobody");
    town.run(["upgrade", "--all-users", "--users-from", "users.txt"])
        .status(2)
        .stderr_contains("query:SELECT");
}

pub(crate) fn a_user_without_a_namespace_fails_alone() {
    let town = Town::of(&["ann"]).document(4, &[]);
    town.sqld.run_in("system", &["INSERT INTO users VALUES ('ghost')"]);
    town.run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("the server has no namespace `ghost_longterm`");
    assert_eq!(town.version("ann").as_deref(), Some("1.2.0"));
    town.run(["upgrade", "--user", "ghost"])
        .status(2)
        .stderr_contains("there is no namespace for user `ghost`: `ghost_longterm`");
}

pub(crate) fn users_come_from_a_file_too() {
    let town = Town::of(&["ann", "bob"]).document(4, &[]);
    let fleet = town.fleet.file("elsewhere/users.txt", "\u{feff}bob\r\n\r\n").file(
        "elsewhere/tatmig.toml",
        "users_from = \"file:users.txt\"\nfile = \"../MIGRATIONS.md\"\n",
    );
    let town = Town { fleet, ..town };
    town.run(["upgrade", "--all-users", "--config", "elsewhere/tatmig.toml"]).status(0);
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.version("bob").as_deref(), Some("1.2.0"));
}

pub(crate) fn users_are_spread_over_servers_by_a_hash_or_a_file() {
    let (one, two) = (Sqld::start(), Sqld::start());
    let both = |urls: [String; 2]| urls.join(",");
    let users: Vec<String> = (0..20).map(|at| format!("u{at:02}")).collect();
    let lines = |first: usize| {
        let line = |(at, user): (usize, &String)| {
            format!("{user} {}\n", if at < first { one.url() } else { two.url() })
        };
        users.iter().enumerate().map(line).collect::<String>()
    };
    let hashed = Fleet::new()
        .env("TATMIG_SERVER", both([one.url(), two.url()]))
        .env("TATMIG_ADMIN", both([one.admin_url(), two.admin_url()]))
        .file("on.txt", lines(5))
        .document(town_and(2, &[]));
    let mut init = vec!["init".to_owned()];
    init.extend(users.iter().flat_map(|user| ["--user".to_owned(), user.clone()]));
    hashed.run(&init).status(0);
    for user in &users {
        one.run_in("system", &[&format!("INSERT INTO users VALUES ('{user}')")]);
    }
    assert!(one.has("system") && !two.has("system"), "the system is on the first server");
    let there = |sqld: &Sqld, user: &str| sqld.has(&Town::namespace(user));
    let on_one: Vec<&String> = users.iter().filter(|user| there(&one, user)).collect();
    assert!((4..=16).contains(&on_one.len()), "{on_one:?}");
    assert!(users.iter().all(|user| there(&one, user) != there(&two, user)));
    let hashed = hashed.document(town_and(4, &[]));
    hashed
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("20 users: 20 upgraded to 1.2.0");
    // Who says otherwise finds nobody there, and makes nobody there.
    let run = hashed.run(["status", "--users-on", "on.txt"]);
    run.status(1).stdout_contains("has no namespace");
    let lines: Vec<String> = users
        .iter()
        .map(|user| format!("{user}\t{}/", if there(&one, user) { one.url() } else { two.url() }))
        .collect();
    let lines = lines.join("\n");
    let named = hashed.file("on.txt", lines);
    named.run(["status", "--users-on", "on.txt", "--exit-code"]).status(0);
    let named = named.file("on.txt", "u00 http://127.0.0.1:1\n");
    named.run(["status", "--users-on", "on.txt"]).status(2).stderr_contains("`on.txt`, line 1");
}

pub(crate) fn parts_of_a_fleet_of_files_cover_it_once() {
    let fleet = Fleet::of(&TOWN[..2]).system("").users(30, "").at("1.0.0").blocks(TOWN);
    let mut sizes = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let run = fleet.run(["upgrade", "--all-users", "--shard", part, "--json"]);
        let json = run.status(0).json();
        let databases = json["databases"].as_array().unwrap();
        let upgraded =
            databases.iter().filter(|d| d["scope"] == "user" && d["outcome"] == "upgraded");
        sizes.push(upgraded.count());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 30, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size > 3), "{sizes:?}");
    fleet.run(["status", "--exit-code"]).status(0);
    fleet.run(["status", "--shard", "4/3"]).status(2);
}
