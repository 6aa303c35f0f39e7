//! Tests faults between tatmig and a server: evicted namespaces, killed servers, lost responses,
//! proxies, timeouts.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fault_injection::has_strace;
use crate::fleet::{ServerFleet, document_with};
use crate::proxy::{Proxy, ProxyFault};
use crate::sqld::{Sqld, unused_address};
use crate::support::{Fleet, wait_until};

fn user_names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("u{index:03}")).collect()
}

fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

pub(crate) fn eighty_users_on_twenty_active_namespaces() {
    let sqld = Sqld::start_with(&["--disable-default-namespace", "--max-active-namespaces", "20"]);
    let users = user_names(80);
    let server_fleet = ServerFleet::from_server(sqld, &as_strs(&users)).document(4, &[]);
    let run = server_fleet.run(["upgrade", "--all-users", "--jobs", "32"]);
    run.status(0).stdout_contains("80 users: 80 upgraded to 1.2.0");
    if !run.stderr_text().is_empty() {
        run.stderr_contains("--max-active-namespaces");
    }
    server_fleet.run(["verify"]).status(0);
    for user in &users {
        assert_eq!(
            server_fleet.history(user),
            ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"],
            "{user}"
        );
    }
}

pub(crate) fn a_second_run_finishes_after_the_server_is_killed() {
    let users = user_names(60);
    let mut server_fleet = ServerFleet::new(&as_strs(&users)).document(4, &[]);
    let child = server_fleet.fleet.start(["upgrade", "--all-users", "--jobs", "2"]);
    wait_until("some are upgraded", || server_fleet.version("u005").as_deref() == Some("1.2.0"));
    server_fleet.sqld.kill();
    let run = server_fleet.fleet.wait(child);
    run.status(1).stderr_contains("the server");
    server_fleet.sqld.restart();
    let versions: Vec<_> = users.iter().map(|user| server_fleet.version(user).unwrap()).collect();
    assert!(
        versions.iter().all(|version| version == "1.0.0" || version == "1.2.0"),
        "{versions:?}"
    );
    assert!(versions.iter().any(|version| version == "1.0.0"), "it was killed too late");
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    server_fleet.run(["verify"]).status(0);
    for user in &users {
        assert_eq!(
            server_fleet.history(user),
            ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"],
            "{user}"
        );
    }
}

pub(crate) fn schema_changes_reach_a_replica() {
    let grpc = unused_address().to_string();
    let primary = Sqld::start_with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let server_fleet = ServerFleet::from_server(primary, &["ann"]).document(4, &[]);
    let replica = Sqld::start_with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'one_body'";
    wait_until("the index is on the replica", || {
        replica.try_execute("ann_longterm", &[sql]).is_ok_and(|rows| rows[0].len() == 1)
    });
    assert_eq!(replica.version("ann_longterm").as_deref(), Some("1.2.0"));
}

pub(crate) fn a_replica_can_be_read_but_not_migrated() {
    let grpc = unused_address().to_string();
    let primary = Sqld::start_with(&["--disable-default-namespace", "--grpc-listen-addr", &grpc]);
    let server_fleet = ServerFleet::from_server(primary, &["ann"]);
    let replica = Sqld::start_with(&[
        "--disable-default-namespace",
        "--primary-grpc-url",
        &format!("http://{grpc}"),
    ]);
    wait_until("the users are on the replica", || {
        replica.try_execute("system", &["SELECT * FROM users"]).is_ok_and(|rows| rows[0].len() == 1)
    });
    let url = replica.url();
    server_fleet
        .run(["status", "--server", &url])
        .status(0)
        .stdout_contains("ann     1.0.0     current");
    let server_fleet = server_fleet.document(4, &[]);
    server_fleet
        .run(["upgrade", "--all-users", "--server", &url])
        .status(1)
        .stderr_contains("pass the address of the primary to `--server`");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.sqld.version("system").as_deref(), Some("1.0.0"));
}

pub(crate) fn a_lost_response_is_resolved_from_the_history() {
    for (fault, status, message) in [
        (ProxyFault::LostCommitResponse, 0, ""),
        (ProxyFault::LostCommitRequest, 1, "the history shows that nothing was applied"),
    ] {
        let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
        server_fleet.run(["upgrade"]).status(0);
        let proxy = Proxy::new(server_fleet.sqld.address(), fault);
        let url = proxy.url();
        let run = server_fleet.run(["upgrade", "--user", "ann", "--server", &url]);
        run.status(status).stderr_contains(message);
        assert!(proxy.has_interfered(), "nothing was lost");
        let expected = if status == 0 { "1.2.0" } else { "1.0.0" };
        assert_eq!(server_fleet.version("ann").as_deref(), Some(expected));
        server_fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    }
}

pub(crate) fn a_gateway_error_after_the_commit_is_resolved_from_the_history() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.run(["upgrade"]).status(0);
    let proxy = Proxy::new(server_fleet.sqld.address(), ProxyFault::BadGateway);
    server_fleet.run(["upgrade", "--user", "ann", "--server", &proxy.url()]).status(0);
    assert!(proxy.has_interfered());
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

pub(crate) fn a_batch_reported_as_not_applied_cannot_be_committed_later() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.run(["upgrade"]).status(0);
    let before = server_fleet.dump("ann");
    let held = ProxyFault::HeldCommit(Duration::from_secs(5));
    let proxy = Proxy::new(server_fleet.sqld.address(), held);
    let arguments = ["upgrade", "--user", "ann", "--server", &proxy.url(), "--server-timeout", "2"];
    let run = server_fleet.run(arguments);
    run.status(1).stderr_contains("the history shows that nothing was applied");
    assert_eq!(server_fleet.dump("ann"), before);
    wait_until("the server has the batch", || proxy.commits() == 1);
    assert_eq!(server_fleet.dump("ann"), before);
    server_fleet.run(["upgrade", "--user", "ann"]).status(0);
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

pub(crate) fn an_interrupt_after_the_batch_was_sent_is_reported_as_unknown() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.run(["upgrade"]).status(0);
    let held = ProxyFault::HeldCommit(Duration::from_secs(5));
    let proxy = Proxy::new(server_fleet.sqld.address(), held);
    let child = server_fleet.fleet.start(["upgrade", "--user", "ann", "--server", &proxy.url()]);
    wait_until("the batch was sent", || proxy.has_interfered());
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let run = server_fleet.fleet.wait(child);
    run.status(130)
        .stderr_contains("whether the server committed the change is unknown")
        .stderr_contains("Run the command again");
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    // The server commits it all the same.
    wait_until("the batch arrives", || server_fleet.version("ann").as_deref() == Some("1.2.0"));
    server_fleet.run(["upgrade", "--user", "ann"]).status(0).stdout_contains("already at 1.2.0");
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

pub(crate) fn a_lost_response_to_a_seed_is_never_reported_as_not_applied() {
    let seed = [("user:seed:demo", "INSERT INTO notes (body) VALUES ('tea');")];
    for (fault, rows) in [(ProxyFault::LostCommitResponse, 1), (ProxyFault::LostCommitRequest, 0)] {
        let server_fleet = ServerFleet::new(&["ann"]).document(2, &seed);
        let proxy = Proxy::new(server_fleet.sqld.address(), fault);
        let run = server_fleet.run(["seed", "demo", "--user", "ann", "--server", &proxy.url()]);
        run.status(1).stderr_contains(if rows == 1 {
            "Look whether the rows of the seed exist"
        } else {
            "nothing was applied"
        });
        assert!(proxy.has_interfered());
        let count = server_fleet.rows("ann", "SELECT count(*) FROM notes");
        assert_eq!(count, [rows.to_string()]);
    }
}

pub(crate) fn a_socket_error_after_a_write_was_sent_sends_nothing_twice() {
    if !has_strace() {
        return;
    }
    for error in ["EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED"] {
        let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
        server_fleet.run(["upgrade"]).status(0);
        let held = ProxyFault::HeldCommit(Duration::from_secs(4));
        let proxy = Proxy::new(server_fleet.sqld.address(), held);
        let child =
            server_fleet.fleet.start(["upgrade", "--user", "ann", "--server", &proxy.url()]);
        wait_until("the batch was sent", || proxy.has_interfered());
        let mut strace = Command::new("strace")
            .args(["-fqq", "-o", "/dev/null", "-e", "trace=recvfrom", "-e"])
            .arg(format!("inject=recvfrom:error={error}:when=1"))
            .args(["-p", &child.id().to_string()])
            .spawn()
            .unwrap();
        let run = server_fleet.fleet.wait(child);
        let _ = strace.kill();
        strace.wait().unwrap();
        run.status(1).stderr_contains("was lost");
        wait_until("the server has the batch", || proxy.commits() > 0);
        assert_eq!(proxy.commits(), 1, "{error}: the batch was sent again");
        let history = server_fleet.history("ann");
        assert!(history.len() == 1 || history.len() == 3, "{error}: {history:?}");
    }
}

pub(crate) fn a_proxy_that_drops_the_namespace_header_is_detected() {
    let sqld = Sqld::start_with(&[]);
    let server_fleet = ServerFleet::from_server(sqld, &["ann"]).document(4, &[]);
    let proxy = Proxy::new(server_fleet.sqld.address(), ProxyFault::NoNamespaceHeader);
    // A name without a dot makes the server fall back to `default`.
    let url = format!("http://localhost:{}", proxy.address.port());
    let run = server_fleet.run(["upgrade", "--all-users", "--server", &url]);
    run.status(2).stderr_contains("it opened the namespace `default`");
    assert!(proxy.has_interfered());
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.sqld.rows("default", "SELECT count(*) FROM sqlite_schema"), ["0"]);
}

pub(crate) fn a_server_that_never_responds_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fleet = Fleet::new().document(document_with(2, &[]));
    let started = Instant::now();
    fleet
        .run(["upgrade", "--all-users", "--server", &url, "--server-timeout", "0.5"])
        .status(2)
        .stderr_contains("no response within 0.5 seconds");
    assert!(started.elapsed() < Duration::from_mins(1));
    drop(listener);
}

pub(crate) fn an_unreachable_server_is_reported() {
    let url = format!("http://{}", unused_address());
    let fleet = Fleet::new().document(document_with(2, &[]));
    fleet
        .run(["upgrade", "--all-users", "--server", &url])
        .status(2)
        .stderr_contains("cannot be reached");
    for (wrong, message) in [
        ("ftp://x", "is not the address of a server"),
        ("localhost:8080", "is not the address of a server"),
        ("http://", "is not the address of a server"),
    ] {
        fleet.run(["status", "--server", wrong]).status(2).stderr_contains(message);
    }
}

/// A key for this test, and two tokens signed with it: one with full access, one that only reads.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAsEvnxTvxvKjb2+C2+UuLFqiR73jx1zMTrZnMC0KDzWQ=\n-----END PUBLIC KEY-----\n";
const FULL_ACCESS_TOKEN: &str = "eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.e30.FpWAuR6IZd18LCuk7G-wBKdZnH1uCMa64yR8Yj1fwqxMMJEbIaT7dVHa84qNPMQU2039U0WxgzeMC5Ar7kdiCg";
const READ_ONLY_TOKEN: &str = "eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.eyJhIjogInJvIn0.v_P1gu8uaH_x3blfxzWpK0oTxrez3RAbCcSA9ci5nPWrd6k8gDANJV-6I7bSNT9chi1tmNJp72g7JOMhBP6RDw";

pub(crate) fn an_invalid_token_is_refused() {
    let keys = Fleet::new().file("key.pem", PUBLIC_KEY);
    let key = keys.path("key.pem");
    let sqld = Sqld::start_with(&[
        "--disable-default-namespace",
        "--auth-jwt-key-file",
        key.to_str().unwrap(),
        "--admin-auth-key",
        "c2VjcmV0",
    ])
    .with_token(FULL_ACCESS_TOKEN);
    let fleet = |token: &str| {
        Fleet::new()
            .env("TATMIG_SERVER", sqld.url())
            .env("TATMIG_ADMIN", sqld.admin_url())
            .env("TATMIG_AUTH_TOKEN", token)
            .env("TATMIG_ADMIN_KEY", "c2VjcmV0")
            .document(document_with(2, &[]))
    };
    fleet(FULL_ACCESS_TOKEN).run(["init", "--user", "ann"]).status(0);
    sqld.execute("system", &["INSERT INTO users VALUES ('ann')"]);
    let with_pending_migrations = |fleet: Fleet| fleet.document(document_with(4, &[]));
    for token in ["", "garbage"] {
        let run = with_pending_migrations(fleet(token));
        let run = run.run(["upgrade", "--all-users"]);
        run.status(2)
            .stderr_contains("the server refuses the token (401); set it in `TATMIG_AUTH_TOKEN`");
    }
    // The token may read but not write.
    with_pending_migrations(fleet(READ_ONLY_TOKEN)).run(["status"]).status(0);
    with_pending_migrations(fleet(READ_ONLY_TOKEN)).run(["upgrade", "--all-users"]).status(1);
    assert_eq!(sqld.version("ann_longterm").as_deref(), Some("1.0.0"));
    with_pending_migrations(fleet(FULL_ACCESS_TOKEN)).run(["upgrade", "--all-users"]).status(0);
    assert_eq!(sqld.version("ann_longterm").as_deref(), Some("1.2.0"));
    let wrong = fleet(FULL_ACCESS_TOKEN).env("TATMIG_ADMIN_KEY", "d3Jvbmc=");
    wrong
        .run(["init", "--user", "bob"])
        .status(1)
        .stderr_contains("the server refuses the admin key");
}

pub(crate) fn an_interrupt_ends_a_long_statement() {
    let forever = "SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000000000 * (SELECT count(*) FROM tags)) SELECT i FROM c)";
    let sql = format!("INSERT INTO notes (body) VALUES ('stray');\n{forever};");
    let server_fleet = ServerFleet::new(&["ann"])
        // On the empty table of the replay the statement ends immediately.
        .execute(
            "ann",
            &["INSERT INTO notes (body) VALUES ('tea')", "INSERT INTO tags VALUES (1, 1)"],
        )
        .document(2, &[("user:1.0.0→1.1.0", &sql)]);
    let mut child = server_fleet.fleet.start(["upgrade", "--all-users"]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    let process = rustix::process::Pid::from_child(&child);
    let interrupted = Instant::now();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    server_fleet.fleet.wait(child).status(130);
    assert!(interrupted.elapsed() < Duration::from_secs(30));
    // The server releases the lock once the connection is closed.
    let sql = "INSERT INTO tags VALUES (2, 1)";
    server_fleet.sqld.execute("ann_longterm", &["BEGIN IMMEDIATE", sql, "COMMIT"]);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.0.0"));
    assert_eq!(server_fleet.rows("ann", "SELECT body FROM notes"), ["tea"]);
}
