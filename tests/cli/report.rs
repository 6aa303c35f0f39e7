//! Tests `--report` and `--metrics`: what the files hold, which paths are refused before a run, and
//! what happens if a file cannot be written after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, wait_until};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES)
        .system("")
        .users(4, "")
        .upgrade_to("1.1.0")
        .user("u002", DUPLICATE_NOTES)
}

/// The JSON in a page.
fn page_data(fleet: &Fleet, name: &str) -> Value {
    let page = fs::read_to_string(fleet.path(name)).unwrap();
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// Names of which each begins with the length of what it shares with the one before it.
fn decode_names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let shared = line[..1].chars().next().unwrap().to_digit(36).unwrap() as usize;
        let beginning = names.last().map_or("", |last| &last[..shared]);
        names.push(format!("{beginning}{}", &line[1..]));
    }
    names
}

/// The files of the fleet's directory.
fn file_names(fleet: &Fleet) -> BTreeSet<String> {
    let entries = fs::read_dir(fleet.path("")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_page_has_what_the_run_did() {
    let fleet = fleet();
    let before = file_names(&fleet);
    fleet.run(["upgrade", "--all-users", "--report", "page.html"]).status(1);
    let data = page_data(&fleet, "page.html");
    assert_eq!(data["verdict"], "5 databases: 4 upgraded to 1.2.0, 1 failed");
    assert_eq!(data["run"]["command_line"], "tatmig upgrade --all-users --report page.html");
    assert_eq!(data["run"]["exit_status"], 1);
    assert_eq!(data["run"]["head"], "1.2.0");
    assert_eq!(data["run"]["sqlite"], tatmig::rusqlite::version());
    let groups: Vec<String> = data["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            format!("{} {} {} {}", group["scope"], group["state"], group["count"], group["names"])
        })
        .collect();
    assert_eq!(
        groups,
        [
            r#""user" "failed" 1 "0u002\n""#,
            r#""system" "upgraded" 1 "0system\n""#,
            r#""user" "upgraded" 3 "0u000\n31\n33\n""#,
        ]
    );
    let cause = &data["causes"][0];
    assert_eq!(cause["count"], 1);
    assert_eq!(cause["position"], "MIGRATIONS.md:21:33");
    assert!(cause["excerpt"].as_str().unwrap().contains("CREATE UNIQUE INDEX one_body"));
    assert!(cause["rows"][0].as_str().unwrap().contains("body = 'tea'"), "{cause:#}");
    let steps = data["document"]["steps"].as_array().unwrap();
    let user_step = steps.iter().find(|step| step["scope"] == "user").unwrap();
    assert_eq!(user_step["sql"], "CREATE UNIQUE INDEX one_body ON notes (body);");
    assert_eq!(user_step["databases"], 3);
    let table = &data["document"]["diagrams"][0]["tables"][0];
    assert_eq!((&table["name"], &table["change"]), (&"notes".into(), &"changed".into()));
    // Nothing but the page is new.
    let mut after = file_names(&fleet);
    assert!(after.remove("page.html"));
    assert_eq!(after, before);
    assert_eq!(fleet.database("u002").rows("SELECT body FROM notes"), ["tea", "tea"]);
}

#[cfg(unix)]
#[test]
fn a_page_is_an_ordinary_new_file_and_replaces_an_older_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = fleet();
    fs::write(fleet.path("ordinary"), "").unwrap();
    let mode = |name: &str| fs::metadata(fleet.path(name)).unwrap().permissions().mode();
    for (command, verdict) in [("status", "5 databases"), ("lint", "MIGRATIONS.md: ")] {
        fleet.run([command, "--report", "page.html", "--metrics", "run.prom"]).status(0);
        assert!(page_data(&fleet, "page.html")["verdict"].as_str().unwrap().starts_with(verdict));
        assert_eq!(mode("page.html"), mode("ordinary"));
        assert_eq!(mode("run.prom"), mode("ordinary"));
    }
    // An empty file may be one that the caller reserved.
    fs::write(fleet.path("reserved.html"), "").unwrap();
    fleet.run(["status", "--report", "reserved.html"]).status(0);
    assert_eq!(page_data(&fleet, "reserved.html")["run"]["command"], "status");
}

#[test]
fn the_variables_name_the_files_too() {
    let fleet = fleet().env("TATMIG_REPORT", "page.html").env("TATMIG_METRICS", "run.prom");
    fleet.run(["status"]).status(0);
    assert_eq!(page_data(&fleet, "page.html")["run"]["command"], "status");
    assert!(fleet.path("run.prom").exists());
    // They do not concern a command without these options, or a rule's description.
    fs::remove_file(fleet.path("page.html")).unwrap();
    fleet.run(["history"]).status(0);
    fleet.run(["lint", "--explain", "sql"]).status(0);
    assert!(!fleet.path("page.html").exists());
}

#[test]
fn a_path_that_must_not_be_written_is_refused_before_the_run() {
    let fleet = fleet()
        .file("tatmig.toml", "users_dir = \"users\"\n")
        .file("other.html", "<!DOCTYPE html>\n<p>mine")
        .file("empty.db", "")
        .directory("users/dir")
        .directory("away");
    fs::rename(fleet.path("u000_longterm.db"), fleet.path("users/u000_longterm.db")).unwrap();
    for (path, reason) in [
        ("users/u000_longterm.db", "the path of a user database"),
        ("users/new_longterm.db", "the path of a user database"),
        ("system.db", "the path of the system database"),
        ("./users/../system.db", "the path of the system database"),
        ("system.db-wal", "a file that belongs to a database"),
        ("users/u000_longterm.db-journal", "a file that belongs to a database"),
        ("MIGRATIONS.md", "the path of the document"),
        ("tatmig.toml", "was not written by this option"),
        ("other.html", "was not written by this option"),
        ("u001_longterm.db", "was not written by this option"),
        ("empty.db", "was not written by this option"),
        ("users/dir", "this is a directory"),
        ("missing/page.html", "cannot be written"),
        ("-", "not the name of a file"),
        ("..", "not the name of a file"),
        ("/dev/null", "not a regular file"),
    ] {
        for option in ["--report", "--metrics"] {
            let run = fleet.run_without_changes(["upgrade", "--all-users", "--json", option, path]);
            let json = run.status(2).json();
            let message = json["error"]["message"].as_str().unwrap();
            assert!(message.contains(reason), "{option} {path}: {message}");
        }
    }
    let run = fleet.run_without_changes(["status", "--report", "x.html", "--metrics", "x.html"]);
    run.status(2).stderr_contains("name the same file");
    // The metrics of an earlier run are no page.
    fleet.run(["status", "--metrics", "run.prom"]).status(0);
    let run = fleet.run_without_changes(["status", "--report", "run.prom"]);
    run.status(2).stderr_contains("was not written by this option");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let fleet = fleet();
    fleet.run(["status", "--report", "page.html"]).status(0);
    for (link, target) in [("link.html", "page.html"), ("dangling.html", "none.html")] {
        std::os::unix::fs::symlink(target, fleet.path(link)).unwrap();
        let run = fleet.run_without_changes(["upgrade", "--all-users", "--report", link]);
        run.status(2).stderr_contains("not a regular file");
    }
}

#[test]
fn without_settings_only_a_usual_name_is_written() {
    let fleet = fleet().file("tatmig.toml", "nonsense = 1\n");
    for (path, is_written) in [("page.html", true), ("new.db", false)] {
        fleet.run(["status", "--report", path]).status(2).stderr_contains("nonsense");
        assert_eq!(fleet.path(path).exists(), is_written, "{path}");
    }
    assert!(page_data(&fleet, "page.html")["verdict"].as_str().unwrap().contains("nonsense"));
}

#[test]
fn a_command_that_fails_early_has_a_page_too() {
    let fleet = fleet().document("```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABEL x;\n");
    fleet.run(["upgrade", "--report", "page.html", "--metrics", "run.prom"]).status(2);
    let data = page_data(&fleet, "page.html");
    assert!(data["verdict"].as_str().unwrap().contains("cannot be used"), "{}", data["verdict"]);
    assert_eq!(data["findings"][0]["rule"], "unclosed-block");
    assert!(data["findings"][0]["excerpt"].as_str().unwrap().contains("user:baseline"));
    let metrics = fs::read_to_string(fleet.path("run.prom")).unwrap();
    assert!(metrics.contains("tatmig_exit_status{command=\"upgrade\"} 2\n"), "{metrics}");
    let fleet = Fleet::from_blocks(NOTES).system("");
    fleet.run(["upgrade", "--to", "9.9.9", "--report", "page.html"]).status(2);
    assert!(page_data(&fleet, "page.html")["verdict"].as_str().unwrap().contains("9.9.9"));
}

#[test]
fn a_file_that_cannot_be_written_at_the_end_fails_the_command_and_not_the_upgrade() {
    for options in [&[][..], &["--json"], &["--json-lines"]] {
        let fleet = Fleet::from_blocks(NOTES).system("").users(1, "").upgrade_to("1.1.0");
        // The run waits for this lock; something else comes to the path meanwhile.
        let lock = rusqlite::Connection::open(fleet.path("system.db")).unwrap();
        lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let mut words = vec!["upgrade", "--all-users", "--report", "page.html"];
        words.extend(["--metrics", "run.prom"]);
        words.extend(options);
        let child = fleet.start(&words);
        wait_until("the check is done", || !has_trial_file(&fleet));
        std::thread::sleep(Duration::from_millis(300));
        fs::create_dir(fleet.path("page.html")).unwrap();
        drop(lock);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let message = "the file `page.html` of `--report` cannot be written: another file was created there meanwhile; the run ended before: 2 databases: 2 upgraded to 1.2.0";
        assert!(stderr.contains(message), "{stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        if !options.is_empty() {
            assert!(stdout.contains(message), "{stdout}");
        }
        assert_eq!(fleet.database("u000").version().as_deref(), Some("1.2.0"));
        let metrics = fs::read_to_string(fleet.path("run.prom")).unwrap();
        assert!(metrics.contains("tatmig_exit_status{command=\"upgrade\"} 1\n"), "{metrics}");
    }
}

fn has_trial_file(fleet: &Fleet) -> bool {
    file_names(fleet).iter().any(|name| name.starts_with(".tatmig-report-"))
}

#[test]
fn json_and_a_page_can_be_asked_for_together() {
    let fleet = fleet();
    let run = fleet.run(["upgrade", "--all-users", "--json", "--report", "page.html"]);
    assert_eq!(run.status(1).json()["summary"]["failed"], 1);
    assert_eq!(page_data(&fleet, "page.html")["causes"][0]["count"], 1);
    for format in ["sarif", "github"] {
        fleet.run(["lint", "--format", format, "--report", "page.html"]).status(0);
        assert_eq!(page_data(&fleet, "page.html")["run"]["command"], "lint");
    }
}

#[test]
fn an_edited_migration_is_shown_as_it_was_applied_and_as_it_is_now() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(2, "").upgrade_to("1.2.0");
    let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    let fleet = fleet.document(text.replace("DEFAULT 0", "DEFAULT 7"));
    fleet.run(["upgrade", "--all-users", "--report", "page.html"]).status(1);
    let cause = &page_data(&fleet, "page.html")["causes"][0];
    let help = cause["help"].as_str().unwrap();
    assert!(help.contains("as applied: ALTER TABLE") && help.contains("DEFAULT 7"), "{help}");
    assert_eq!((&cause["rule"], &cause["count"]), (&"edited".into(), &2.into()));
}

#[test]
fn equal_failures_are_one_entry() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(60, "").upgrade_to("1.1.0");
    let fleet =
        (0..50).fold(fleet, |fleet, number| fleet.user(&format!("u{number:03}"), DUPLICATE_NOTES));
    fleet.run(["upgrade", "--all-users", "--report", "page.html"]).status(1);
    let data = page_data(&fleet, "page.html");
    assert_eq!(data["causes"].as_array().unwrap().len(), 1);
    assert_eq!(data["causes"][0]["count"], 50);
}

#[test]
fn secrets_on_the_command_line_are_left_out() {
    let fleet = fleet();
    let words = ["status", "--report", "page.html", "--server", "http://ann:secret@127.0.0.1:9"];
    fleet.run(words).status(2);
    let page = fs::read_to_string(fleet.path("page.html")).unwrap();
    let data = page_data(&fleet, "page.html");
    assert_eq!(
        data["run"]["command_line"],
        "tatmig status --report page.html --server http://…@127.0.0.1:9"
    );
    assert!(!page.contains("secret"));
}

#[cfg(target_os = "linux")]
#[test]
fn hostile_names_do_not_become_markup() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let fleet = Fleet::from_blocks(NOTES).system("");
    for name in [
        &b"<!--<script>alert(1)_longterm.db"[..],
        "\u{2028}\u{202e}\"'&_longterm.db".as_bytes(),
        b"\xff\n_longterm.db",
        b"{{data}}_longterm.db",
    ] {
        fs::write(fleet.path(OsStr::from_bytes(name)), "").unwrap();
    }
    fleet.run(["upgrade", "--all-users", "--report", "page.html"]).status(0);
    let page = fs::read_to_string(fleet.path("page.html")).unwrap();
    assert_eq!(page.matches("<script").count(), 2, "the data and the script");
    assert!(!page.contains('\u{2028}') && !page.contains('\u{202e}'));
    let data = page_data(&fleet, "page.html");
    let groups = data["groups"].as_array().unwrap();
    let names = groups.iter().find(|group| group["scope"] == "user").unwrap();
    assert_eq!(
        decode_names(names["names"].as_str().unwrap()),
        ["<!--<script>alert(1)", "{{data}}", "\\u{2028}\\u{202e}\"'&", "\\xff\\n"]
    );
}

#[cfg(unix)]
#[test]
fn a_run_that_a_signal_ends_has_its_files() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(2, "").upgrade_to("1.1.0");
    let locks = ["u000", "u001"].map(|user| {
        let path = fleet.path(format!("{user}_longterm.db"));
        let lock = rusqlite::Connection::open(path).unwrap();
        lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
        lock
    });
    let words = ["upgrade", "--all-users", "--report", "page.html", "--metrics", "run.prom"];
    let child = fleet.start(words);
    wait_until("the system database is upgraded", || {
        fleet.database("system").version().as_deref() == Some("1.2.0")
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    drop(locks);
    let data = page_data(&fleet, "page.html");
    assert_eq!(data["run"]["exit_status"], 143);
    assert!(data["verdict"].as_str().unwrap().contains("2 skipped"), "{}", data["verdict"]);
    let metrics = fs::read_to_string(fleet.path("run.prom")).unwrap();
    assert!(metrics.contains("tatmig_exit_status{command=\"upgrade\"} 143\n"), "{metrics}");
}

/// A sample of a metric: its name and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

/// Reads the text format of Prometheus as its documentation defines it, and checks that every
/// sample belongs to the metric above it.
#[track_caller]
fn parse_metrics(text: &str) -> BTreeMap<Series, f64> {
    let sample_pattern =
        regex::Regex::new(r#"^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\S+)$"#).unwrap();
    let label_pattern =
        regex::Regex::new(r#"([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)"#).unwrap();
    let mut samples = BTreeMap::new();
    let (mut metric, mut kind, mut seen) = (String::new(), String::new(), BTreeSet::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split_once(' ').unwrap().0.clone_into(&mut metric);
            assert!(seen.insert(metric.clone()), "{metric} twice");
            assert!(metric.starts_with("tatmig_"), "{metric}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of_kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, metric);
            assert!(["gauge", "histogram"].contains(&of_kind), "{line}");
            of_kind.clone_into(&mut kind);
        } else if !line.starts_with('#') {
            let captures = sample_pattern.captures(line).unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(
                suffixes.iter().any(|suffix| captures[1] == format!("{metric}{suffix}")),
                "{line}"
            );
            let labels: BTreeMap<String, String> = label_pattern
                .captures_iter(&captures[2])
                .map(|label| (label[1].to_owned(), label[2].to_owned()))
                .collect();
            let length: usize =
                label_pattern.find_iter(&captures[2]).map(|found| found.len()).sum();
            assert_eq!(length, captures[2].len(), "{line}");
            let series = Series { name: captures[1].to_owned(), labels };
            assert!(
                samples.insert(series.clone(), captures[3].parse().unwrap()).is_none(),
                "{series:?}"
            );
        }
    }
    samples
}

/// The sum of the samples of a metric with these labels.
fn value(samples: &BTreeMap<Series, f64>, name: &str, labels: &[[&str; 2]]) -> f64 {
    let is_match = |series: &Series| {
        series.name == name
            && labels
                .iter()
                .all(|[key, value]| series.labels.get(*key).is_some_and(|own| own == value))
    };
    samples.iter().filter(|(series, _)| is_match(series)).map(|(_, value)| value).sum()
}

#[track_caller]
fn assert_value(samples: &BTreeMap<Series, f64>, name: &str, labels: &[[&str; 2]], expected: f64) {
    let actual = value(samples, name, labels);
    assert!((actual - expected).abs() < f64::EPSILON, "{name} {labels:?}: {actual}\n{samples:#?}");
}

#[test]
fn metrics_count_the_databases_and_name_none() {
    let fleet = fleet().file("bad_longterm.db", "x");
    fleet.run(["upgrade", "--all-users", "--metrics", "run.prom"]).status(1);
    let text = fs::read_to_string(fleet.path("run.prom")).unwrap();
    let samples = parse_metrics(&text);
    let upgrade = ["command", "upgrade"];
    let databases = |labels: &[[&str; 2]], expected| {
        assert_value(&samples, "tatmig_databases", labels, expected);
    };
    databases(&[upgrade], 6.0);
    databases(&[["state", "upgraded"], ["scope", "user"], ["version", "1.2.0"]], 3.0);
    databases(&[["state", "failed"], ["version", "1.1.0"]], 1.0);
    databases(&[["state", "failed"], ["version", ""]], 1.0);
    assert_value(&samples, "tatmig_exit_status", &[upgrade], 1.0);
    assert_value(&samples, "tatmig_head_info", &[["version", "1.2.0"]], 1.0);
    assert_value(&samples, "tatmig_failures", &[["rule", "sql"]], 1.0);
    let count = "tatmig_database_duration_seconds_count";
    assert_value(&samples, count, &[upgrade], 4.0);
    let bucket = "tatmig_database_duration_seconds_bucket";
    assert_value(&samples, bucket, &[["le", "+Inf"]], 4.0);
    assert!(value(&samples, "tatmig_last_run_timestamp_seconds", &[upgrade]) > 1.7e9);
    assert!(!text.contains("u002") && !text.contains("bad"), "{text}");
}

#[test]
fn every_command_with_metrics_keeps_to_the_format() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(1, "").upgrade_to("1.1.0");
    let fleet = fleet.env("TATMIG_FILE", "quote\"back\\slash.md");
    fs::rename(fleet.path("MIGRATIONS.md"), fleet.path("quote\"back\\slash.md")).unwrap();
    for (words, status) in [
        (&["status"][..], 0),
        (&["lint"], 0),
        (&["test"], 1),
        (&["verify"], 0),
        (&["upgrade", "--all-users", "--rehearse"], 0),
        (&["upgrade", "--all-users", "--dry-run"], 0),
        (&["upgrade", "--all-users"], 0),
        (&["downgrade", "-1", "--all-users"], 2),
    ] {
        let words = [words, &["--metrics", "run.prom"]].concat();
        fleet.run(&words).status(status);
        let samples = parse_metrics(&fs::read_to_string(fleet.path("run.prom")).unwrap());
        assert_value(&samples, "tatmig_exit_status", &[["command", words[0]]], status.into());
        assert_value(&samples, "tatmig_head_info", &[["file", "quote\\\"back\\\\slash.md"]], 1.0);
    }
}
