//! What goes wrong on the way: evicted namespaces, killed servers, lost answers, proxies, time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::sqld::{Sqld, free};
use crate::support::{Fleet, until};
use crate::town::{Town, town_and};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("u{at:03}")).collect()
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

pub(crate) fn eighty_users_on_twenty_active_namespaces() {
    let sqld = Sqld::with(&["--disable-default-namespace", "--max-active-namespaces", "20"]);
    let users = names(80);
    let town = Town::on(sqld, &refs(&users)).document(4, &[]);
    let run = town.run(["upgrade", "--all-users", "--jobs", "32"]);
    run.status(0).stdout_contains("80 users: 80 upgraded to 1.2.0");
    if !run.err().is_empty() {
        run.stderr_contains("--max-active-namespaces");
    }
    town.run(["verify"]).status(0);
    for user in &users {
        assert_eq!(town.record(user), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "{user}");
    }
}

pub(crate) fn a_server_that_is_killed_is_finished_by_the_second_run() {
    let users = names(60);
    let mut town = Town::of(&refs(&users)).document(4, &[]);
    let child = town.fleet.start(["upgrade", "--all-users", "--jobs", "2"]);
    until("some are upgraded", || town.version("u005").as_deref() == Some("1.2.0"));
    town.sqld.kill();
    let run = town.fleet.ended(child);
    run.status(1).stderr_contains("the server");
    town.sqld.restart();
    let versions: Vec<_> = users.iter().map(|user| town.version(user).unwrap()).collect();
    assert!(
        versions.iter().all(|version| version == "1.0.0" || version == "1.2.0"),
        "{versions:?}"
    );
    assert!(versions.iter().any(|version| version == "1.0.0"), "it was killed too late");
    town.run(["upgrade", "--all-users"]).status(0);
    town.run(["verify"]).status(0);
    for user in &users {
        assert_eq!(town.record(user), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "{user}");
    }
}

pub(crate) fn the_schema_arrives_on_a_replica() {
    let grpc = free().to_string();
    let primary = Sqld::with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let town = Town::on(primary, &["ann"]).document(4, &[]);
    let replica = Sqld::with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    town.run(["upgrade", "--all-users"]).status(0);
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'one_body'";
    until("the index is on the replica", || {
        replica.try_run("ann_longterm", &[sql]).is_ok_and(|rows| rows[0].len() == 1)
    });
    assert_eq!(replica.version("ann_longterm").as_deref(), Some("1.2.0"));
}

pub(crate) fn a_replica_is_read_and_not_written_through() {
    let grpc = free().to_string();
    let primary = Sqld::with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let town = Town::on(primary, &["ann"]);
    let replica = Sqld::with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    until("the users are on the replica", || {
        replica.try_run("system", &["SELECT * FROM users"]).is_ok_and(|rows| rows[0].len() == 1)
    });
    let url = replica.url();
    town.run(["status", "--server", &url]).status(0).stdout_contains("ann     1.0.0     current");
    let town = town.document(4, &[]);
    town.run(["upgrade", "--all-users", "--server", &url])
        .status(1)
        .stderr_contains("`--server` has to name the primary");
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.sqld.version("system").as_deref(), Some("1.0.0"));
}

/// What stands between tatmig and a server.
struct Proxy {
    address: SocketAddr,
    met: Arc<AtomicBool>,
}

/// What a proxy does with a request.
#[derive(Clone, Copy)]
enum Manner {
    /// The first one that commits is passed on; its answer is not.
    LosesTheAnswer,
    /// The first one that commits is not passed on.
    LosesTheRequest,
    /// The header that names the namespace is left out.
    DropsTheHeader,
}

impl Proxy {
    fn before(server: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let met = Arc::new(AtomicBool::new(false));
        let told = met.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, told) = (stream.unwrap(), told.clone());
                std::thread::spawn(move || Self::serve(&stream, server, (manner, &told)));
            }
        });
        Self { address, met }
    }

    fn serve(mut client: &TcpStream, server: SocketAddr, (manner, met): (Manner, &AtomicBool)) {
        while let Some((head, body)) = message(&mut client) {
            let commits = String::from_utf8_lossy(&body).contains("\"COMMIT\"");
            let loses = commits
                && matches!(manner, Manner::LosesTheAnswer | Manner::LosesTheRequest)
                && !met.swap(true, Ordering::SeqCst);
            if loses && matches!(manner, Manner::LosesTheRequest) {
                return;
            }
            let head = match manner {
                Manner::DropsTheHeader => {
                    met.store(true, Ordering::SeqCst);
                    let lines = head.split_inclusive("\r\n");
                    lines.filter(|line| !line.starts_with("x-namespace-bin")).collect()
                }
                Manner::LosesTheAnswer | Manner::LosesTheRequest => head,
            };
            let mut upstream = TcpStream::connect(server).unwrap();
            upstream.write_all(head.as_bytes()).unwrap();
            upstream.write_all(&body).unwrap();
            let Some((head, body)) = message(&mut upstream) else { return };
            if loses {
                return;
            }
            if client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body)).is_err() {
                return;
            }
        }
    }
}

/// One message of HTTP: its head, and its body of a known length.
fn message(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(str::trim)
                .map(|text| text.parse().unwrap())
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

pub(crate) fn a_lost_answer_is_settled_by_the_record() {
    for (manner, status, words) in [
        (Manner::LosesTheAnswer, 0, ""),
        (Manner::LosesTheRequest, 1, "its record shows that nothing was applied"),
    ] {
        let town = Town::of(&["ann"]).document(4, &[]);
        town.run(["upgrade"]).status(0);
        let proxy = Proxy::before(town.sqld.address(), manner);
        let url = format!("http://{}", proxy.address);
        let run = town.run(["upgrade", "--user", "ann", "--server", &url]);
        run.status(status).stderr_contains(words);
        assert!(proxy.met.load(Ordering::SeqCst), "nothing was lost");
        let expected = if status == 0 { "1.2.0" } else { "1.0.0" };
        assert_eq!(town.version("ann").as_deref(), Some(expected));
        town.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(town.record("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    }
}

pub(crate) fn a_proxy_that_drops_the_namespace_is_noticed() {
    let sqld = Sqld::with(&[]);
    let town = Town::on(sqld, &["ann"]).document(4, &[]);
    let proxy = Proxy::before(town.sqld.address(), Manner::DropsTheHeader);
    // A name without a dot makes the server fall back to `default`.
    let url = format!("http://localhost:{}", proxy.address.port());
    let run = town.run(["upgrade", "--all-users", "--server", &url]);
    run.status(2).stderr_contains("it opened `default`");
    assert!(proxy.met.load(Ordering::SeqCst));
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.sqld.rows("default", "SELECT count(*) FROM sqlite_schema"), ["0"]);
}

pub(crate) fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fleet = Fleet::new().document(town_and(2, &[]));
    let started = Instant::now();
    fleet
        .run(["upgrade", "--all-users", "--server", &url, "--server-timeout", "0.5"])
        .status(2)
        .stderr_contains("no answer within 0.5 seconds");
    assert!(started.elapsed() < Duration::from_mins(1));
    drop(listener);
}

pub(crate) fn a_server_that_is_not_there_is_said() {
    let url = format!("http://{}", free());
    let fleet = Fleet::new().document(town_and(2, &[]));
    fleet
        .run(["upgrade", "--all-users", "--server", &url])
        .status(2)
        .stderr_contains("cannot be reached");
    for (wrong, words) in [
        ("ftp://x", "is not the address of a server"),
        ("localhost:8080", "is not the address of a server"),
        ("http://", "is not the address of a server"),
    ] {
        fleet.run(["status", "--server", wrong]).status(2).stderr_contains(words);
    }
}

/// A key that was made for this test, and two tokens signed with it: one for all, one that only
/// reads.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAsEvnxTvxvKjb2+C2+UuLFqiR73jx1zMTrZnMC0KDzWQ=\n-----END PUBLIC KEY-----\n";
const ALL: &str = "eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.e30.FpWAuR6IZd18LCuk7G-wBKdZnH1uCMa64yR8Yj1fwqxMMJEbIaT7dVHa84qNPMQU2039U0WxgzeMC5Ar7kdiCg";
const READS: &str = "eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.eyJhIjogInJvIn0.v_P1gu8uaH_x3blfxzWpK0oTxrez3RAbCcSA9ci5nPWrd6k8gDANJV-6I7bSNT9chi1tmNJp72g7JOMhBP6RDw";

pub(crate) fn a_bad_token_is_refused() {
    let keys = Fleet::new().file("key.pem", KEY);
    let key = keys.path("key.pem");
    let sqld = Sqld::with(&[
        "--disable-default-namespace",
        "--auth-jwt-key-file",
        key.to_str().unwrap(),
        "--admin-auth-key",
        "c2VjcmV0",
    ])
    .token(ALL);
    let fleet = |token: &str| {
        Fleet::new()
            .env("TATMIG_SERVER", sqld.url())
            .env("TATMIG_ADMIN", sqld.admin_url())
            .env("TATMIG_AUTH_TOKEN", token)
            .env("TATMIG_ADMIN_KEY", "c2VjcmV0")
            .document(town_and(2, &[]))
    };
    fleet(ALL).run(["init", "--user", "ann"]).status(0);
    sqld.run_in("system", &["INSERT INTO users VALUES ('ann')"]);
    let behind = |fleet: Fleet| fleet.document(town_and(4, &[]));
    for token in ["", "garbage"] {
        let run = behind(fleet(token));
        let run = run.run(["upgrade", "--all-users"]);
        run.status(2)
            .stderr_contains("the server refuses the token (401); TATMIG_AUTH_TOKEN holds it");
    }
    // Reading it may, writing not.
    behind(fleet(READS)).run(["status"]).status(0);
    behind(fleet(READS)).run(["upgrade", "--all-users"]).status(1);
    assert_eq!(sqld.version("ann_longterm").as_deref(), Some("1.0.0"));
    behind(fleet(ALL)).run(["upgrade", "--all-users"]).status(0);
    assert_eq!(sqld.version("ann_longterm").as_deref(), Some("1.2.0"));
    let wrong = fleet(ALL).env("TATMIG_ADMIN_KEY", "d3Jvbmc=");
    wrong
        .run(["init", "--user", "bob"])
        .status(1)
        .stderr_contains("the server refuses the admin key");
}

pub(crate) fn an_interrupt_ends_a_long_statement() {
    let forever = "SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000000000 * (SELECT count(*) FROM tags)) SELECT i FROM c)";
    let sql = format!("INSERT INTO notes (body) VALUES ('stray');\n{forever};");
    let town = Town::of(&["ann"])
        // In the replay's empty table it is over at once.
        .put("ann", &["INSERT INTO notes (body) VALUES ('tea')", "INSERT INTO tags VALUES (1, 1)"])
        .document(2, &[("user:1.0.0→1.1.0", &sql)]);
    let mut child = town.fleet.start(["upgrade", "--all-users"]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    let process = rustix::process::Pid::from_child(&child);
    let interrupted = Instant::now();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    town.fleet.ended(child).status(130);
    assert!(interrupted.elapsed() < Duration::from_secs(30));
    // The server lets go of the lock once the connection is gone.
    let sql = "INSERT INTO tags VALUES (2, 1)";
    town.sqld.run_in("ann_longterm", &["BEGIN IMMEDIATE", sql, "COMMIT"]);
    assert_eq!(town.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(town.rows("ann", "SELECT body FROM notes"), ["tea"]);
}
