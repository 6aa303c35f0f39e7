//! Tests interrupts and kills: the first signal ends a run cleanly with a message, the second ends
//! it immediately, and every database is in its old or its new state.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[cfg(target_os = "linux")]
use crate::fault_injection::has_strace;
use crate::support::{Fleet, NOTES, wait_until};

/// In a database with a note, 1.1.0 never ends.
const ENDLESS_MIGRATION: &[(&str, &str)] = &[
    ("user:baseline→1.0.0", "CREATE TABLE notes (body INTEGER);\nCREATE TABLE log (x);"),
    (
        "user:1.0.0→1.1.0",
        "INSERT INTO log VALUES (1);\n\
         WITH RECURSIVE n (i) AS (SELECT body FROM notes UNION ALL SELECT i + 1 FROM n) \
         INSERT INTO log SELECT count(*) FROM n;",
    ),
];

/// A single SQLite function call that takes minutes, in a database with a note.
const UNINTERRUPTIBLE: &str = "INSERT INTO log VALUES (1);
INSERT INTO log SELECT instr(printf('%.*c', body * 8000000, 'a'), printf('%.*c', 4000000, 'a') || 'b')
FROM notes;";

const ONE_WAS_FINISHED: &str = "interrupted; 1 database was finished, and SQLite rolls back what was running; run the command again to finish\n";

fn fleet_with_endless_migration() -> Fleet {
    Fleet::from_blocks(ENDLESS_MIGRATION)
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0")
        .user("ann", "INSERT INTO notes VALUES (1)")
}

fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The endless statement runs once the previous one has created a journal.
fn wait_until_running(fleet: &Fleet) {
    wait_until("ann's journal is there", || fleet.path("ann_longterm.db-journal").exists());
    wait_until("bob is done", || fleet.database("bob").version().as_deref() == Some("1.1.0"));
}

#[test]
fn an_interrupt_ends_an_endless_statement() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let fleet = fleet_with_endless_migration();
        let before = fleet.database("ann").dump();
        let run = fleet.start(["upgrade", "--all-users"]);
        wait_until_running(&fleet);
        send_signal(&run, signal);
        fleet.wait(run).status(status).stdout_contains("2 users: 1 upgraded to 1.1.0, 1 skipped\n");
        assert_eq!(fleet.database("ann").dump(), before);
        assert!(!fleet.path("ann_longterm.db-journal").exists());

        let fleet = fleet.user("ann", "DELETE FROM notes");
        fleet.run(["upgrade", "--all-users"]).status(0);
    }
}

#[test]
fn an_interrupted_run_is_still_one_json_document() {
    let fleet = fleet_with_endless_migration();
    let run = fleet.start(["upgrade", "--all-users", "--json"]);
    wait_until_running(&fleet);
    send_signal(&run, Signal::INT);
    let json = fleet.wait(run).status(130).json();
    assert_eq!(json["databases"][0]["outcome"], "skipped");
    assert_eq!(json["databases"][1]["outcome"], "upgraded");
}

#[test]
fn no_user_is_started_if_the_system_database_is_interrupted() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE notes (body INTEGER);\nCREATE TABLE log (x);"),
        ("system:1.0.0→1.1.0", ENDLESS_MIGRATION[1].1),
        ("user:1.0.0→1.1.0", "CREATE TABLE more (x);"),
    ]);
    let fleet = fleet.system("").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.system("INSERT INTO notes VALUES (1)");
    let before = [fleet.database("system").dump(), fleet.database("bob").dump()];
    let run = fleet.start(["upgrade", "--all-users"]);
    wait_until("its journal is there", || fleet.path("system.db-journal").exists());
    send_signal(&run, Signal::TERM);
    fleet.wait(run).status(143).stdout_contains("bob: skipped\n");
    assert_eq!([fleet.database("system").dump(), fleet.database("bob").dump()], before);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_lock() {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0");
    let lock = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let run = fleet.start(["upgrade", "--all-users", "--busy-timeout", "3600"]);
    wait_until("bob is done", || fleet.database("bob").version().as_deref() == Some("1.2.0"));
    send_signal(&run, Signal::INT);
    fleet.wait(run).status(130);
    drop(lock);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_an_endless_replay_and_changes_nothing() {
    let series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let reads = format!("{series} SELECT count(*) FROM n;");
    let writes = format!("CREATE TABLE a (x);\n{series} INSERT INTO a SELECT count(*) FROM n;");
    for (sql, command) in [
        (&reads, &["upgrade", "--all-users"] as &[&str]),
        (&writes, &["upgrade", "--all-users"]),
        (&reads, &["lint"]),
        (&writes, &["lint"]),
    ] {
        let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", sql)]).user("ann", "");
        let before = fleet.snapshot();
        let run = fleet.start(command);
        wait_until_signals_are_caught(&run);
        send_signal(&run, Signal::INT);
        fleet.wait(run).status(130).stderr("interrupted; no database was changed\n");
        before.assert_same(&fleet.snapshot());
    }
}

#[cfg(target_os = "linux")]
fn wait_until_signals_are_caught(run: &Child) {
    let status = format!("/proc/{}/status", run.id());
    wait_until("signals are caught", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // INT and, registered last, HUP.
        mask.is_some_and(|mask| mask & 0b11 == 0b11)
    });
}

/// One document has a statement that never ends with generated rows, the other thousands of short
/// statements.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_a_test_on_generated_rows() {
    let table =
        |index| format!("CREATE TABLE t{index} (id INTEGER PRIMARY KEY, a TEXT, b TEXT);\n");
    let many_tables = (0..400).map(table).collect::<Vec<_>>().concat();
    let many_migrations: Vec<(String, String)> = (0..400)
        .map(|index| {
            let tag = format!("user:1.{index}.0→1.{}.0", index + 1);
            (tag, format!("ALTER TABLE t{index} ADD COLUMN c TEXT;"))
        })
        .collect();
    let mut many = vec![("user:baseline→1.0.0", many_tables.as_str())];
    many.extend(many_migrations.iter().map(|(tag, sql)| (tag.as_str(), sql.as_str())));
    for blocks in [ENDLESS_MIGRATION, &many] {
        let fleet = Fleet::from_blocks(blocks);
        let run = fleet.start(["test"]);
        wait_until_signals_are_caught(&run);
        send_signal(&run, Signal::INT);
        fleet.wait(run).status(130).stdout("").stderr("interrupted; no database was changed\n");
    }
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0");
    let lock = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let plain = fleet.command(["upgrade", "--all-users", "--busy-timeout", "3600"]);
    let run = Command::new("sh")
        .arg("-c")
        .arg("trap '' HUP; exec \"$0\" \"$@\"")
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("bob is done", || fleet.database("bob").version().as_deref() == Some("1.2.0"));
    send_signal(&run, Signal::HUP);
    drop(lock);
    fleet.wait(run).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn killed_in_the_middle_is_before_or_after() {
    const USERS: usize = 50;
    const GROW_DATABASE: &str = "CREATE TABLE big (x);\n\
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
        INSERT INTO big SELECT hex(randomblob(20)) FROM n;\n\
        UPDATE notes SET body = 'after';";
    let blocks = [
        (
            "user:baseline→1.0.0",
            "CREATE TABLE notes (body TEXT);\nINSERT INTO notes VALUES ('before');",
        ),
        ("user:1.0.0→1.1.0", GROW_DATABASE),
        ("user:1.1.0→1.2.0", "ALTER TABLE big ADD COLUMN y;\nDELETE FROM big WHERE rowid % 2;"),
    ];
    // The moment of each kill: this many databases are done, or the first is being written.
    for done in [0, 1, 7, 20, 45] {
        let fleet = Fleet::from_blocks(&blocks).users(USERS, "").upgrade_to("1.0.0");
        let name = |index: usize| format!("u{index:03}");
        let size = |at: usize| {
            std::fs::metadata(fleet.path(format!("{}_longterm.db", name(at)))).unwrap().len()
        };
        let initial_size = size(0);
        let mut run = fleet.start(["upgrade", "--all-users", "--jobs", "4"]);
        wait_until("it is in the middle", || match done {
            0 => (0..USERS)
                .any(|index| fleet.path(format!("{}_longterm.db-journal", name(index))).exists()),
            done => (0..USERS).filter(|index| size(*index) > initial_size).count() >= done,
        });
        // The child is not reaped yet, so its process ID is not reused even if it has exited.
        send_signal(&run, Signal::KILL);
        run.wait().unwrap();

        for index in 0..USERS {
            let user = fleet.database(&name(index));
            let expected = match user.version().as_deref() {
                Some("1.0.0") => (vec!["notes"], "before", 1),
                Some("1.2.0") => (vec!["big", "notes"], "after", 3),
                other => panic!("{} is between two versions: {other:?}", name(index)),
            };
            let found = user.rows("SELECT body FROM notes").concat();
            let tables = user.tables();
            assert_eq!(
                (tables, found.as_str(), user.history().len()),
                (expected.0.into_iter().map(str::to_owned).collect(), expected.1, expected.2,),
                "{}",
                name(index)
            );
            assert_eq!(user.rows("PRAGMA integrity_check"), ["ok"]);
        }
        fleet.run(["upgrade", "--all-users"]).status(0);
        for index in 0..USERS {
            let user = fleet.database(&name(index));
            assert_eq!(user.rows("SELECT count(*), count(y) FROM big"), ["1000|0"]);
            assert_eq!(user.history().len(), 3, "{}", name(index));
        }
    }
}

#[test]
fn a_second_signal_ends_an_uninterruptible_statement() {
    let blocks = [ENDLESS_MIGRATION[0], ("user:1.0.0→1.1.0", UNINTERRUPTIBLE)];
    for [first, second] in
        [[Signal::INT, Signal::INT], [Signal::TERM, Signal::TERM], [Signal::HUP, Signal::INT]]
    {
        let fleet = Fleet::from_blocks(&blocks).user("ann", "").user("bob", "").upgrade_to("1.0.0");
        let fleet = fleet.user("ann", "INSERT INTO notes VALUES (1)");
        let before = fleet.database("ann").dump();
        let mut run = fleet.start(["upgrade", "--all-users"]);
        wait_until_running(&fleet);
        // The statement that takes minutes begins after the one that creates the journal.
        std::thread::sleep(std::time::Duration::from_millis(300));
        send_signal(&run, first);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(run.try_wait().unwrap().is_none(), "the statement hears no signal");
        send_signal(&run, second);
        let run = fleet.wait(run);
        assert!(run.has_status(&[129, 130, 143]), "{}", run.describe());
        run.stderr(ONE_WAS_FINISHED);
        assert_eq!(fleet.database("ann").dump(), before);
        assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
        let fleet = fleet.user("ann", "DELETE FROM notes");
        fleet.run(["upgrade", "--all-users"]).status(0);
    }
}

#[test]
fn a_second_signal_counts_the_databases_that_a_downgrade_finished() {
    let reverse = format!("{UNINTERRUPTIBLE}\nDROP TABLE more;");
    let blocks = [
        ENDLESS_MIGRATION[0],
        ("user:1.0.0→1.1.0", "CREATE TABLE more (x);"),
        ("user:1.1.0→1.0.0", reverse.as_str()),
    ];
    let fleet = Fleet::from_blocks(&blocks).user("ann", "").user("bob", "").upgrade_to("1.1.0");
    let fleet = fleet.user("ann", "INSERT INTO notes VALUES (1)");
    let before = fleet.database("ann").dump();
    let run = fleet.start(["downgrade", "--all-users", "--to", "1.0.0", "--no-backup"]);
    wait_until("ann's journal is there", || fleet.path("ann_longterm.db-journal").exists());
    wait_until("bob is done", || fleet.database("bob").version().as_deref() == Some("1.0.0"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    send_signal(&run, Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(50));
    send_signal(&run, Signal::INT);
    let run = fleet.wait(run);
    assert!(run.has_status(&[130]), "{}", run.describe());
    run.stderr(ONE_WAS_FINISHED);
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_second_signal_before_the_first_database_says_that_none_was_changed() {
    let endless = UNINTERRUPTIBLE.replace("body * 8000000", "8000000").replace("FROM notes", "");
    let blocks = [ENDLESS_MIGRATION[0], ("user:1.0.0→1.1.0", endless.as_str())];
    let fleet = Fleet::from_blocks(&blocks).user("ann", "");
    let before = fleet.snapshot();
    let mut run = fleet.start(["upgrade", "--all-users"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    send_signal(&run, Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(run.try_wait().unwrap().is_none(), "the statement hears no signal");
    send_signal(&run, Signal::INT);
    let run = fleet.wait(run);
    assert!(run.has_status(&[130]), "{}", run.describe());
    run.stderr("interrupted; no database was changed\n");
    before.assert_same(&fleet.snapshot());
}

/// Delays every sync, so that the second database is in the middle of its work when the signals
/// arrive.
#[test]
#[cfg(target_os = "linux")]
fn a_second_signal_counts_what_every_command_finished() {
    if !has_strace() {
        return;
    }
    let baseline = "CREATE TABLE notes (body TEXT);";
    let fleet = || Fleet::from_blocks(&[("user:baseline→1.0.0", baseline)]);
    let unversioned = || fleet().user("ann", baseline).user("bob", baseline);
    let migrated = || fleet().user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let interrupt = |fleet: &Fleet, arguments: &[&str]| {
        let run = start_with_slow_syncs(fleet, arguments);
        wait_until_second_is_written(fleet);
        let process = traced_process(&run);
        let sent = [Signal::INT; 2].map(|signal| {
            let sent = kill_process(process, signal);
            std::thread::sleep(std::time::Duration::from_millis(50));
            sent
        });
        let run = fleet.wait(run);
        assert_eq!(sent, [Ok(()); 2], "{arguments:?}: {}", run.describe());
        assert!(run.has_status(&[130]), "{arguments:?}: {}", run.describe());
        // strace adds a line about the call that it delayed.
        let text = run.stderr_text();
        assert!(text.starts_with(ONE_WAS_FINISHED), "{arguments:?}: {text}");
    };
    interrupt(&unversioned(), &["adopt", "--all-users", "--jobs", "1"]);
    interrupt(&unversioned(), &["stamp", "1.0.0", "--all-users", "--jobs", "1"]);
    interrupt(&fleet(), &["init", "--user", "ann", "--user", "bob"]);
    let fleet = migrated();
    fleet.run(["backup", "--all-users"]).status(0);
    let id = std::fs::read_dir(fleet.path("backups")).unwrap().next().unwrap().unwrap().file_name();
    let id = id.to_str().unwrap();
    interrupt(
        &fleet.user("ann", "INSERT INTO notes VALUES ('a')").user("bob", "DROP TABLE notes"),
        &["restore", id, "--all-users", "--no-backup", "--jobs", "1"],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_database_that_an_interrupted_init_did_not_create_is_skipped() {
    if !has_strace() {
        return;
    }
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);")]);
    let run = start_with_slow_syncs(&fleet, &["init", "--user", "ann", "--user", "bob"]);
    wait_until("ann's journal is there", || fleet.path("ann_longterm.db-journal").exists());
    kill_process(traced_process(&run), Signal::INT).unwrap();
    let run = fleet.wait(run);
    assert!(run.has_status(&[130]), "{}", run.describe());
    run.stdout("ann_longterm.db: created at 1.0.0\nbob_longterm.db: skipped\n").stderr_contains(
        "interrupted; 1 database was created, 1 was not changed; run the command again to finish\n",
    );
    assert!(!fleet.path("bob_longterm.db").exists());
}

#[cfg(target_os = "linux")]
fn wait_until_second_is_written(fleet: &Fleet) {
    wait_until("bob's journal is there", || fleet.path("bob_longterm.db-journal").exists());
}

#[cfg(target_os = "linux")]
fn start_with_slow_syncs(fleet: &Fleet, arguments: &[&str]) -> Child {
    let plain = fleet.command(arguments);
    Command::new("strace")
        .args(["-fqq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
        .args(["-e", "inject=fsync,fdatasync:delay_enter=400000"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The program that strace runs.
#[cfg(target_os = "linux")]
fn traced_process(strace: &Child) -> Pid {
    let id = strace.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_ends_an_endless_query() {
    let endless =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        for format in ["--csv", "--json"] {
            let before = fleet.snapshot();
            let run = fleet.start(["query", endless, format]);
            wait_until_handled(&run);
            std::thread::sleep(std::time::Duration::from_millis(100));
            send_signal(&run, signal);
            let run = fleet.wait(run);
            run.status(status).stderr("interrupted; no database was changed\n");
            before.assert_same(&fleet.snapshot());
        }
    }
}

/// Waits until the program handles SIGINT, from which moment on a signal is a request.
#[cfg(target_os = "linux")]
fn wait_until_handled(child: &Child) {
    wait_until("SIGINT is handled", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask >> 1 & 1 == 1)
    });
}

/// The block never ends, so that every command which replays the document runs until the signal.
#[test]
#[cfg(target_os = "linux")]
fn the_first_interrupt_ends_every_command_that_runs_the_document_in_memory() {
    let endless = "CREATE TABLE notes (body INTEGER);\n\
                   WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   INSERT INTO notes SELECT count(*) FROM n;";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", endless)])
        .user("ann", "CREATE TABLE notes (body INTEGER); INSERT INTO notes VALUES (7);")
        .database_file("other.sqlite", "CREATE TABLE t (x)");
    let before = fleet.database("ann").dump();
    for arguments in [
        ["lint"].as_slice(),
        &["test"],
        &["schema"],
        &["verify"],
        &["status"],
        &["adopt", "--all-users"],
        &["upgrade", "--all-users"],
        &["upgrade", "--all-users", "--dry-run"],
        &["upgrade", "--all-users", "--rehearse"],
        &["init", "--user", "bob"],
        &["new", "--from-db", "other.sqlite", "-m", "x"],
    ] {
        let run = fleet.start(arguments);
        wait_until_handled(&run);
        std::thread::sleep(std::time::Duration::from_millis(100));
        send_signal(&run, Signal::INT);
        let run = fleet.wait(run);
        assert!(run.has_status(&[130]), "{arguments:?}: {}", run.describe());
        assert!(
            run.stderr_text().ends_with("interrupted; no database was changed\n"),
            "{arguments:?}: {}",
            run.describe()
        );
        assert_eq!(fleet.database("ann").dump(), before, "{arguments:?}");
    }
}

/// SQLite asks for an interrupt only within a long statement. Here all statements are short.
#[test]
#[cfg(target_os = "linux")]
fn the_first_interrupt_ends_a_test_of_many_short_statements() {
    let mut blocks =
        vec![("user:baseline→1.0.0".to_owned(), "CREATE TABLE t0 (n TEXT);".to_owned())];
    for index in 0..600 {
        let sql =
            format!("CREATE TABLE t{} (n TEXT);\nALTER TABLE t0 ADD COLUMN c{index};", index + 1);
        blocks.push((format!("user:1.{index}.0→1.{}.0", index + 1), sql));
    }
    let blocks: Vec<(&str, &str)> = blocks.iter().map(|(tag, sql)| (&**tag, &**sql)).collect();
    let fleet = Fleet::from_blocks(&blocks).user("ann", "");
    let run = fleet.start(["test"]);
    wait_until_handled(&run);
    std::thread::sleep(std::time::Duration::from_millis(300));
    send_signal(&run, Signal::INT);
    let run = fleet.wait(run);
    assert!(run.has_status(&[130]), "{}", run.describe());
}
