//! Measures an upgrade of 1,000 namespaces of a libSQL server from 0.3.19 to 0.3.20 by the whole
//! command, with 1, 8 and 32 jobs. It is compared with the server's shared schema, on the same rows
//! in the same run. Every namespace is checked after every pass. Quote the ratio, never the time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench whose server fails shall stop

#[allow(dead_code, unused_imports, reason = "tests/server uses all of it")]
#[path = "../tests/server/sqld.rs"]
mod sqld;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqld::Sqld;
use tatmig::document::StepId;
use tatmig::{Changelog, Scope};
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../fixtures/tatlock/MIGRATIONS.md");
const NAMESPACES: usize = 1_000;
const ROUNDS: usize = 3;

/// What is checked in an upgraded namespace: the new columns, the new table's indexes, and its
/// rows.
const UPGRADED_QUERY: &str = "SELECT (SELECT count(*) FROM pragma_table_info('conversations') WHERE name IN \
    ('schema_version', 'compact_summary', 'compacted_up_to')), (SELECT count(*) FROM sqlite_schema \
    WHERE tbl_name = 'conversation_messages' AND name LIKE 'idx%'), (SELECT count(*) FROM memories)";

/// `conversation_topics` has a foreign key that SQLite cannot use.
const FOREIGN_KEYS_OFF: &str = "PRAGMA foreign_keys = OFF";

const INSERT_ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
    INSERT INTO memories (interaction_id, conversation_id, timestamp, user_prompt, llm_reply) \
    SELECT 'i' || i, 'c' || (i / 8), '2026-01-01', hex(randomblob(50)), hex(randomblob(75)) FROM n";

fn main() {
    // `cargo test` builds benches too, but only `cargo bench` runs this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if sqld::program_path().is_none() {
        println!("server: no libSQL server here; `{}` installs one", sqld::INSTALL_COMMAND);
        return;
    }
    let flags = ["--disable-default-namespace", "--max-active-namespaces", "4000"];
    let server_fleet = ServerFleet::new(Sqld::start_with(&flags));
    let shared_schema_fleet = SharedSchemaFleet::new(Sqld::start_with(&flags));
    let variants: [(&str, &[&str]); 4] = [
        ("tatmig, 1 job", &["--jobs", "1"]),
        ("tatmig, 8 jobs", &["--jobs", "8"]),
        ("tatmig, 32 jobs", &["--jobs", "32"]),
        ("tatmig, 32 jobs, all or nothing", &["--jobs", "32", "--all-or-nothing"]),
    ];
    let mut times: Vec<(&str, Vec<Duration>)> =
        variants.iter().map(|(name, _)| (*name, Vec::new())).collect();
    let mut shared_schema_times = Vec::new();
    for _ in 0..ROUNDS {
        for ((_, arguments), (_, times)) in variants.iter().zip(&mut times) {
            times.push(server_fleet.upgrade(arguments));
        }
        shared_schema_times.push(shared_schema_fleet.upgrade());
    }
    times.push(("shared schema", shared_schema_times));
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let shared_schema_seconds = times.last().map_or(1.0, |(_, times)| median(times));
    println!(
        "\n{NAMESPACES} namespaces, medians of {ROUNDS} passes; each was looked at after each pass"
    );
    for (name, times) in &times {
        let seconds = median(times);
        let rate = f64::from(u32::try_from(NAMESPACES).unwrap()) / seconds;
        println!(
            "{name:32} {seconds:6.2} s {rate:6.0}/s {:5.2} times as fast",
            shared_schema_seconds / seconds
        );
    }
}

fn users() -> impl Iterator<Item = String> {
    (0..NAMESPACES).map(|number| format!("user{number:04}"))
}

/// Runs a function for every user, on eight threads.
fn for_each_user(work: impl Fn(&str) + Sync) {
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

/// The fleet that the command migrates.
struct ServerFleet {
    sqld: Sqld,
    directory: TempDir,
}

impl ServerFleet {
    fn new(sqld: Sqld) -> Self {
        let server_fleet = Self { sqld, directory: TempDir::new().unwrap() };
        std::fs::write(server_fleet.directory.path().join("MIGRATIONS.md"), DOCUMENT).unwrap();
        let users: Vec<String> = users().collect();
        let mut init = vec!["init"];
        init.extend(users.iter().flat_map(|user| ["--user", user]));
        server_fleet.run(&init);
        let rows: Vec<String> = users.iter().map(|user| format!("('{user}', 'A', 'B')")).collect();
        let insert = "INSERT INTO users (username, first_name, last_name) VALUES ";
        server_fleet.sqld.execute("system", &[&format!("{insert}{}", rows.join(", "))]);
        for_each_user(|user| {
            drop(
                server_fleet
                    .sqld
                    .execute(&format!("{user}_longterm"), &[FOREIGN_KEYS_OFF, INSERT_ROWS]),
            );
        });
        server_fleet.downgrade();
        server_fleet
    }

    fn run(&self, arguments: &[&str]) {
        let status = command(self.directory.path(), &self.sqld).args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    fn downgrade(&self) {
        self.run(&["downgrade", "--to", "0.3.19", "--all-users", "--no-backup"]);
    }

    /// One pass: upgrade, check, downgrade.
    fn upgrade(&self, arguments: &[&str]) -> Duration {
        let started = Instant::now();
        self.run(&[&["upgrade", "--all-users"], arguments].concat());
        let time = started.elapsed();
        for_each_user(|user| {
            let name = format!("{user}_longterm");
            assert_eq!(self.sqld.rows(&name, UPGRADED_QUERY), ["3|2|40"], "{name}");
            assert_eq!(self.sqld.version(&name).as_deref(), Some("0.3.20"), "{name}");
        });
        self.downgrade();
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

/// The same databases as children of a shared schema of the server.
struct SharedSchemaFleet {
    sqld: Sqld,
    upgrade_sql: String,
    downgrade_sql: String,
}

impl SharedSchemaFleet {
    fn new(sqld: Sqld) -> Self {
        let changelog = Changelog::parse(DOCUMENT).unwrap();
        let sql = |id: StepId| {
            let part = changelog.step(id).unwrap().block(Scope::User).unwrap();
            part.sql().text().to_owned()
        };
        let shared_schema_fleet = Self {
            sqld,
            upgrade_sql: sql(StepId::Forward(0)),
            downgrade_sql: sql(StepId::Reverse(0)),
        };
        shared_schema_fleet.create_namespace("schema", "{\"shared_schema\": true}");
        for_each_user(|user| {
            shared_schema_fleet.create_namespace(user, "{\"shared_schema_name\": \"schema\"}");
        });
        shared_schema_fleet.change_schema(&sql(StepId::Baseline(0)));
        shared_schema_fleet.change_schema("CREATE TABLE history (version TEXT, applied_at TEXT)");
        for_each_user(|user| {
            drop(shared_schema_fleet.sqld.execute(user, &[FOREIGN_KEYS_OFF, INSERT_ROWS]));
        });
        shared_schema_fleet
    }

    fn create_namespace(&self, name: &str, body: &str) {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let url = format!("{}/v1/namespaces/{name}/create", self.sqld.admin_url());
        agent.post(url).content_type("application/json").send(body).unwrap();
    }

    fn request(&self, path: &str, body: Option<&str>) -> serde_json::Value {
        use base64::Engine;
        let name = base64::engine::general_purpose::STANDARD_NO_PAD.encode("schema");
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let url = format!("{}{path}", self.sqld.url());
        let mut response = match body {
            Some(body) => agent.post(url).header("x-namespace-bin", name).send(body).unwrap(),
            None => agent.get(url).header("x-namespace-bin", name).call().unwrap(),
        };
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Changes the shared schema, and waits until every child has changed.
    fn change_schema(&self, sql: &str) {
        let sequence = serde_json::json!({ "type": "sequence", "sql": sql });
        let body =
            serde_json::json!({ "baton": null, "requests": [sequence, { "type": "close" }] });
        let response = self.request("/v3/pipeline", Some(&body.to_string()));
        assert_eq!(response["results"][0]["type"], "ok", "{response}");
        loop {
            let jobs = self.request("/v1/jobs", None);
            let states = jobs["migrations"].as_array().unwrap();
            if states.iter().all(|job| job["status"] == "RunSuccess") {
                return;
            }
            assert!(states.iter().all(|job| job["status"] != "RunFailure"), "{jobs}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One pass: upgrade with a history row, check, downgrade.
    fn upgrade(&self) -> Duration {
        let history_insert = "INSERT INTO history VALUES ('0.3.20', CURRENT_TIMESTAMP);";
        let started = Instant::now();
        self.change_schema(&format!("{}\n{history_insert}", self.upgrade_sql));
        let time = started.elapsed();
        for_each_user(|user| {
            assert_eq!(self.sqld.rows(user, UPGRADED_QUERY), ["3|2|40"], "{user}");
        });
        self.change_schema(&self.downgrade_sql);
        time
    }
}
