//! Tests what the program writes to a terminal: results in color, the stage of a long command, and
//! the line that ends it after Ctrl-C.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::terminal::{Ended, OnTerminal, Streams, without_colors};
use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, wait_until};

const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const DIM: &str = "\u{1b}[2m";

/// SQL that never ends.
const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;";

/// Ann is at 1.1.0 and fails at 1.2.0, bob is at 1.2.0, cleo is unversioned.
fn fleet() -> Fleet {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.1.0");
    let fleet = fleet.user("bob", "").user("ann", DUPLICATE_NOTES);
    fleet.run(["upgrade", "--user", "bob"]).status(0);
    fleet.user("cleo", "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
}

fn on_terminal(fleet: &Fleet, arguments: &[&str]) -> Ended {
    OnTerminal::start(fleet.command(arguments), Streams::Output).wait()
}

#[test]
fn results_are_colored_on_a_terminal_and_equal_elsewhere_byte_for_byte() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["status"], &[GREEN, YELLOW, DIM]),
        (&["status", "-v"], &[GREEN, YELLOW, DIM]),
        (&["verify"], &[GREEN, RED, DIM]),
        (&["upgrade", "--all-users"], &[GREEN, RED, DIM]),
        (&["upgrade", "--all-users", "-v", "--fail-fast", "--jobs", "1"], &[RED, YELLOW]),
        (&["upgrade", "--user", "ann", "--to", "1.1.0", "--rehearse"], &[GREEN]),
        (&["adopt", "--user", "cleo"], &[GREEN]),
        (&["stamp", "1.0.0", "--user", "cleo"], &[GREEN]),
        (&["init", "--user", "dora", "--user", "bob"], &[GREEN]),
        (&["reset", "--user", "bob", "--yes", "--no-backup"], &[GREEN]),
        (&["lint"], &[YELLOW, DIM]),
        (&["test"], &[GREEN, DIM]),
        (&["doctor"], &[GREEN, RED, DIM]),
        (&["history"], &[]),
        (&["schema"], &[]),
        (&["query", "SELECT 1 AS one", "--system"], &[]),
        (&["new", "1.3.0", "-m", "more"], &[GREEN]),
    ];
    let fleet = fleet();
    for (arguments, colors) in cases {
        let copy = fleet.copy();
        let piped = copy.run(*arguments);
        let terminal = on_terminal(&fleet.copy(), arguments);
        assert!(!piped.stdout_text().contains('\u{1b}'), "{arguments:?}");
        // Two copies of the fleet differ in their directory, and the disk in its free space.
        let stable = |text: &str| {
            let is_stable = |line: &&str| !line.contains("disk space") && !line.contains("/tmp");
            text.lines().filter(is_stable).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            stable(&without_colors(&terminal.text)),
            stable(&piped.stdout_text()),
            "{arguments:?}"
        );
        assert!(piped.has_status(&[terminal.status.unwrap()]), "{}", piped.describe());
        for color in *colors {
            assert!(terminal.text.contains(color), "{arguments:?} {color:?}\n{:?}", terminal.text);
        }
        if colors.is_empty() {
            assert!(!terminal.text.contains('\u{1b}'), "{arguments:?}\n{:?}", terminal.text);
        }
    }
}

#[test]
fn a_copy_and_its_restoration_are_colored() {
    let fleet = fleet();
    for arguments in
        [&["backup", "--all-users"] as &[&str], &["restore", "latest", "--user", "bob"]]
    {
        let text = on_terminal(&fleet, arguments).text;
        assert!(text.contains(GREEN) && text.contains(DIM), "{text:?}");
        assert!(without_colors(&text).contains("database"), "{text:?}");
    }
}

#[test]
fn the_color_of_a_state_word_is_its_own() {
    let text = on_terminal(&fleet(), &["status"]).text;
    assert!(text.contains(&format!("{YELLOW}behind\u{1b}[0m")), "{text:?}");
    assert!(text.contains(&format!("{GREEN}current\u{1b}[0m")), "{text:?}");
    assert!(text.contains(&format!("{YELLOW}unversioned\u{1b}[0m")), "{text:?}");
}

#[test]
fn settings_decide_on_color() {
    let plain = |fleet: Fleet, arguments: &[&str]| {
        assert!(!on_terminal(&fleet, arguments).text.contains('\u{1b}'), "{arguments:?}");
    };
    plain(fleet().env("NO_COLOR", "1"), &["status"]);
    plain(fleet(), &["status", "--color", "never"]);
    plain(fleet().config("color = \"never\""), &["status"]);
    plain(fleet(), &["status", "--json"]);
    let colored = |fleet: Fleet, arguments: &[&str]| {
        assert!(fleet.run(arguments).stdout_text().contains(GREEN), "{arguments:?}");
    };
    colored(fleet().env("CLICOLOR_FORCE", "1"), &["status"]);
    colored(fleet(), &["status", "--color", "always"]);
}

#[test]
fn a_name_with_escape_codes_stays_escaped_on_a_terminal() {
    let fleet = fleet().user("e\u{1b}[31mve", "");
    let text = on_terminal(&fleet, &["status"]).text;
    assert!(text.contains("e\\u{1b}[31mve"), "{text:?}");
}

/// Runs a command that does not end by itself until its stage is shown, and interrupts it.
fn interrupt_at(fleet: &Fleet, arguments: &[&str], stage: &str) -> Ended {
    let mut command = fleet.command(arguments);
    command.stdout(Stdio::null());
    let run = OnTerminal::start(command, Streams::Errors);
    wait_until("the stage is shown", || run.text().contains(stage));
    kill_process(Pid::from_child(&run.child), Signal::INT).unwrap();
    run.wait()
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}

#[test]
fn a_long_replay_shows_its_stage_and_ctrl_c_ends_it_with_one_line() {
    for (arguments, stage) in [
        (&["upgrade", "--all-users"] as &[&str], "replaying in memory"),
        (&["verify"], "replaying in memory"),
        (&["test"], "replaying in memory"),
        (&["doctor"], "replaying in memory"),
        (&["init", "--user", "bob"], "replaying in memory"),
        (&["lint"], "checking in memory"),
    ] {
        let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", ENDLESS)]).user("ann", "");
        let before = fleet.snapshot();
        let ended = interrupt_at(&fleet, arguments, stage);
        assert_eq!(ended.status, Some(130), "{arguments:?}");
        let line = last_line(&ended.text);
        assert!(line.contains("no database was changed"), "{arguments:?}: {:?}", ended.text);
        assert_eq!(ended.text.matches("interrupted").count(), 1, "{:?}", ended.text);
        before.assert_same(&fleet.snapshot());
    }
}

#[test]
fn an_endless_query_shows_its_stage_and_ctrl_c_ends_it_with_one_line() {
    let fleet = fleet();
    for arguments in [&["query", ENDLESS] as &[&str], &["query", ENDLESS, "--csv"]] {
        let ended = interrupt_at(&fleet, arguments, "querying");
        assert_eq!(ended.status, Some(130));
        assert!(last_line(&ended.text).contains("no database was changed"), "{:?}", ended.text);
    }
}

#[test]
fn ctrl_c_ends_a_command_that_waits_for_input() {
    let fleet = fleet();
    let before = fleet.snapshot();
    for arguments in [
        &["reset", "--all-users"] as &[&str],
        &["query", "-"],
        &["import", "-", "--from", "dbmate", "-f", "new.md"],
    ] {
        let mut command = fleet.command(arguments);
        command.stdout(Stdio::null());
        let mut run = OnTerminal::start(command, Streams::InputAndErrors);
        if arguments[0] == "reset" {
            wait_until("the question is shown", || run.text().contains("Continue?"));
        } else {
            // Nothing is shown before the input.
            std::thread::sleep(Duration::from_millis(300));
        }
        kill_process(Pid::from_child(&run.child), Signal::INT).unwrap();
        wait_until("it ends", || run.child.try_wait().unwrap().is_some());
        let ended = run.wait();
        assert_eq!(ended.status, Some(130), "{arguments:?}: {:?}", ended.text);
        assert!(
            last_line(&without_colors(&ended.text)).starts_with("interrupted; no database"),
            "{arguments:?}: {:?}",
            ended.text
        );
    }
    before.assert_same(&fleet.snapshot());
}

#[test]
fn an_upgrade_names_the_system_database_and_then_the_users() {
    let slow = format!(
        "CREATE TABLE a (x);\nINSERT INTO a {}",
        ENDLESS.replace("SELECT 1 UNION", "SELECT x FROM b UNION")
    );
    for (scope, stage) in [("system", "system database"), ("user", "users")] {
        let fleet = Fleet::from_blocks(&[
            ("system:baseline→1.0.0", "CREATE TABLE b (x);"),
            ("user:baseline→1.0.0", "CREATE TABLE b (x);"),
            (&format!("{scope}:1.0.0→1.1.0"), &slow),
        ]);
        let fleet = fleet.system("").user("ann", "").user("bob", "").upgrade_to("1.0.0");
        let fleet = match scope {
            "system" => fleet.system("INSERT INTO b VALUES (1)"),
            _ => fleet.user("ann", "INSERT INTO b VALUES (1)"),
        };
        let ended = interrupt_at(&fleet, &["upgrade", "--all-users"], stage);
        assert_eq!(ended.status, Some(130));
        let line = last_line(&ended.text);
        let expected = match scope {
            "system" => "no database was changed",
            // The no-op of the system database is recorded.
            _ => "2 databases were upgraded, 1 was not changed; run the command again to finish",
        };
        assert!(line.contains(expected), "{:?}", ended.text);
        assert!(!ended.text.contains("committing"), "{:?}", ended.text);
    }
}

#[test]
fn a_rehearsal_and_the_commit_after_it_are_stages() {
    // The two passes take several times the delay of the progress.
    let slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
        SELECT count(*) FROM n;";
    let blocks = [("user:baseline→1.0.0", "CREATE TABLE a (x);"), ("user:1.0.0→1.1.0", slow)];
    let fleet = Fleet::from_blocks(&blocks).users(40, "").upgrade_to("1.0.0");
    let mut command = fleet.command(["upgrade", "--all-users", "--all-or-nothing", "--jobs", "1"]);
    command.stdout(Stdio::null());
    let ended = OnTerminal::start(command, Streams::Errors).wait();
    assert_eq!(ended.status, Some(0));
    assert!(ended.text.contains("rehearsing: users"), "{:?}", ended.text);
    assert!(ended.text.contains("committing: users"), "{:?}", ended.text);
}

/// A document whose replay takes longer than the delay of the progress.
fn slow_fleet() -> Fleet {
    let slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000) \
        SELECT count(*) FROM n;";
    Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", slow),
    ])
    .user("ann", "")
}

#[test]
fn no_stage_is_shown_in_a_pipe_with_quiet_or_with_json() {
    let fleet = slow_fleet();
    let started = Instant::now();
    let piped = fleet.run(["verify"]);
    assert!(started.elapsed() > Duration::from_millis(300), "the replay is too fast for this test");
    assert!(!piped.stderr_text().contains("replaying"), "{}", piped.describe());
    for flag in ["--quiet", "--json"] {
        let mut command = fleet.command(["verify", flag]);
        command.stdout(Stdio::null());
        let text = OnTerminal::start(command, Streams::Errors).wait().text;
        assert!(!text.contains("replaying"), "{flag}: {text:?}");
    }
}

#[test]
fn a_short_command_shows_no_stage() {
    let fleet = fleet();
    let mut command = fleet.command(["status", "--system"]);
    command.stdout(Stdio::null());
    let started = Instant::now();
    let ended = OnTerminal::start(command, Streams::Errors).wait();
    assert_eq!(ended.status, Some(0), "{:?}", ended.text);
    // On a machine that is this slow, a stage may be shown.
    if started.elapsed() < Duration::from_millis(300) {
        assert_eq!(ended.text, "");
    }
}

#[test]
fn results_and_notes_are_not_mixed_with_the_stage() {
    let fleet = slow_fleet();
    let run = OnTerminal::start(fleet.command(["verify"]), Streams::All);
    let text = run.wait().text;
    assert!(text.contains("replaying in memory"), "{text:?}");
    let last = text.rsplit("\u{1b}[2K").next().unwrap();
    assert!(without_colors(last).contains("1 user (`ann`): "), "{text:?}");
}
