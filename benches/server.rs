//! 1,000 namespaces of a libSQL server brought from 0.3.19 to 0.3.20 by the whole command, at 1, 8
//! and 32 jobs, beside the server's own way to change many schemas at once, on the same rows in the
//! same run. Every namespace is looked at after every pass. Quote the ratio, never the time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench whose server fails shall stop

#[allow(dead_code, unused_imports, reason = "tests/server uses all of it")]
#[path = "../tests/server/sqld.rs"]
mod sqld;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqld::Sqld;
use tatmig::{Changelog, Scope, StepId};
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../fixtures/tatlock/MIGRATIONS.md");
const NAMESPACES: usize = 1_000;
const ROUNDS: usize = 3;

/// What an upgraded namespace holds: the new columns, the new table's indexes, and its own rows.
const UPGRADED: &str = "SELECT (SELECT count(*) FROM pragma_table_info('conversations') WHERE name IN \
    ('schema_version', 'compact_summary', 'compacted_up_to')), (SELECT count(*) FROM sqlite_schema \
    WHERE tbl_name = 'conversation_messages' AND name LIKE 'idx%'), (SELECT count(*) FROM memories)";

/// `conversation_topics` has a key that SQLite cannot use.
const KEYS_OFF: &str = "PRAGMA foreign_keys = OFF";

const FILL: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
    INSERT INTO memories (interaction_id, conversation_id, timestamp, user_prompt, llm_reply) \
    SELECT 'i' || i, 'c' || (i / 8), '2026-01-01', hex(randomblob(50)), hex(randomblob(75)) FROM n";

fn main() {
    // `cargo test` builds benches too; only `cargo bench` shall run this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if sqld::program().is_none() {
        println!("server: no libSQL server here; `{}` installs one", sqld::INSTALL);
        return;
    }
    let flags = ["--disable-default-namespace", "--max-active-namespaces", "4000"];
    let town = Town::new(Sqld::with(&flags));
    let rival = Rival::new(Sqld::with(&flags));
    let ways: [(&str, &[&str]); 4] = [
        ("tatmig, 1 job", &["--jobs", "1"]),
        ("tatmig, 8 jobs", &["--jobs", "8"]),
        ("tatmig, 32 jobs", &["--jobs", "32"]),
        ("tatmig, 32 jobs, all or nothing", &["--jobs", "32", "--all-or-nothing"]),
    ];
    let mut times: Vec<(&str, Vec<Duration>)> =
        ways.iter().map(|(name, _)| (*name, Vec::new())).collect();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        for ((_, arguments), (_, times)) in ways.iter().zip(&mut times) {
            times.push(town.upgrade(arguments));
        }
        theirs.push(rival.upgrade());
    }
    times.push(("shared schema", theirs));
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let shared = times.last().map_or(1.0, |(_, times)| median(times));
    println!(
        "\n{NAMESPACES} namespaces, medians of {ROUNDS} passes; each was looked at after each pass"
    );
    for (name, times) in &times {
        let seconds = median(times);
        let rate = f64::from(u32::try_from(NAMESPACES).unwrap()) / seconds;
        println!("{name:32} {seconds:6.2} s {rate:6.0}/s {:5.2} times as fast", shared / seconds);
    }
}

fn users() -> impl Iterator<Item = String> {
    (0..NAMESPACES).map(|number| format!("user{number:04}"))
}

/// Does something for every user on eight threads.
fn for_each(work: impl Fn(&str) + Sync) {
    let users: Vec<String> = users().collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(user);
                }
            });
        }
    });
}

/// The fleet of the command.
struct Town {
    sqld: Sqld,
    directory: TempDir,
}

impl Town {
    fn new(sqld: Sqld) -> Self {
        let town = Self { sqld, directory: TempDir::new().unwrap() };
        std::fs::write(town.directory.path().join("MIGRATIONS.md"), DOCUMENT).unwrap();
        let users: Vec<String> = users().collect();
        let mut init = vec!["init"];
        init.extend(users.iter().flat_map(|user| ["--user", user]));
        town.run(&init);
        let rows: Vec<String> = users.iter().map(|user| format!("('{user}', 'A', 'B')")).collect();
        let insert = "INSERT INTO users (username, first_name, last_name) VALUES ";
        town.sqld.run_in("system", &[&format!("{insert}{}", rows.join(", "))]);
        for_each(|user| drop(town.sqld.run_in(&format!("{user}_longterm"), &[KEYS_OFF, FILL])));
        town.down();
        town
    }

    fn run(&self, arguments: &[&str]) {
        let status = command(self.directory.path(), &self.sqld).args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    fn down(&self) {
        self.run(&["downgrade", "--to", "0.3.19", "--all-users", "--no-backup"]);
    }

    /// One pass: up, looked at, and down again.
    fn upgrade(&self, arguments: &[&str]) -> Duration {
        let started = Instant::now();
        self.run(&[&["upgrade", "--all-users"], arguments].concat());
        let time = started.elapsed();
        for_each(|user| {
            let name = format!("{user}_longterm");
            assert_eq!(self.sqld.rows(&name, UPGRADED), ["3|2|40"], "{name}");
            assert_eq!(self.sqld.version(&name).as_deref(), Some("0.3.20"), "{name}");
        });
        self.down();
        time
    }
}

fn command(directory: &Path, sqld: &Sqld) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    command
        .env_clear()
        .env("TATMIG_SERVER", sqld.url())
        .env("TATMIG_ADMIN", sqld.admin_url())
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The same databases as children of a schema that the server keeps them to.
struct Rival {
    sqld: Sqld,
    up: String,
    down: String,
}

impl Rival {
    fn new(sqld: Sqld) -> Self {
        let changelog = Changelog::parse(DOCUMENT).unwrap();
        let sql = |id: StepId| {
            let part = changelog.step(id).unwrap().part(Scope::User).unwrap();
            part.sql().text().to_owned()
        };
        let rival = Self { sqld, up: sql(StepId::Forward(0)), down: sql(StepId::Reverse(0)) };
        rival.create("schema", "{\"shared_schema\": true}");
        for_each(|user| rival.create(user, "{\"shared_schema_name\": \"schema\"}"));
        rival.change(&sql(StepId::Baseline(0)));
        rival.change("CREATE TABLE history (version TEXT, applied_at TEXT)");
        for_each(|user| drop(rival.sqld.run_in(user, &[KEYS_OFF, FILL])));
        rival
    }

    fn create(&self, name: &str, body: &str) {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let url = format!("{}/v1/namespaces/{name}/create", self.sqld.admin_url());
        agent.post(url).content_type("application/json").send(body).unwrap();
    }

    fn ask(&self, path: &str, body: Option<&str>) -> serde_json::Value {
        use base64::Engine;
        let name = base64::engine::general_purpose::STANDARD_NO_PAD.encode("schema");
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let url = format!("{}{path}", self.sqld.url());
        let mut answer = match body {
            Some(body) => agent.post(url).header("x-namespace-bin", name).send(body).unwrap(),
            None => agent.get(url).header("x-namespace-bin", name).call().unwrap(),
        };
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Changes the schema, and waits until every child has the change.
    fn change(&self, sql: &str) {
        let sequence = serde_json::json!({ "type": "sequence", "sql": sql });
        let body =
            serde_json::json!({ "baton": null, "requests": [sequence, { "type": "close" }] });
        let answer = self.ask("/v3/pipeline", Some(&body.to_string()));
        assert_eq!(answer["results"][0]["type"], "ok", "{answer}");
        loop {
            let jobs = self.ask("/v1/jobs", None);
            let states = jobs["migrations"].as_array().unwrap();
            if states.iter().all(|job| job["status"] == "RunSuccess") {
                return;
            }
            assert!(states.iter().all(|job| job["status"] != "RunFailure"), "{jobs}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One pass: up, with a row of history, looked at, and down again.
    fn upgrade(&self) -> Duration {
        let record = "INSERT INTO history VALUES ('0.3.20', CURRENT_TIMESTAMP);";
        let started = Instant::now();
        self.change(&format!("{}\n{record}", self.up));
        let time = started.elapsed();
        for_each(|user| assert_eq!(self.sqld.rows(user, UPGRADED), ["3|2|40"], "{user}"));
        self.change(&self.down);
        time
    }
}
