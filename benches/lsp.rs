//! Measures the language server over real messages: from a change in the last migration to its
//! diagnostics, and from a request for completion to its answer.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "here all of it is measurement")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const URI: &str = "untitled:MIGRATIONS.md";

/// How often each change and each completion is measured.
const RUNS: usize = 60;

fn main() {
    // `cargo test` runs benchmarks once, to see that they work.
    let runs = if std::env::args().any(|argument| argument == "--bench") { RUNS } else { 2 };
    println!("{:<24} {:>10} {:>10} {:>10}", "", "median", "95 %", "slowest");
    let tatlock = std::fs::read_to_string("fixtures/tatlock/MIGRATIONS.md").unwrap();
    measure("tatlock", &tatlock, "-- [user:0.3.22→0.3.23:end]", runs);
    measure("own example", include_str!("../MIGRATIONS.md"), "", runs);
    measure("1,000 migrations", &generated(1_000), "", runs);
}

/// A baseline of 100 tables, and migrations that each add a column to one of them.
fn generated(count: usize) -> String {
    let mut text =
        "# Migrations\n\n## Baseline: 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\n".to_owned();
    for table in 0..100 {
        let _ = writeln!(text, "CREATE TABLE t{table} (id INTEGER PRIMARY KEY, body TEXT);");
    }
    text.push_str("-- [user:baseline→1.0.0:end]\n```\n");
    for number in 0..count {
        let (from, to) = (format!("1.{number}.0"), format!("1.{}.0", number + 1));
        let _ = write!(
            text,
            "\n## {from} → {to}\n\n**Date**: 2026-01-01\n**Description**: a column\n\n```sql\n\
             -- [user:{from}→{to}:start]\nALTER TABLE t{} ADD COLUMN c{number} TEXT;\n\
             -- [user:{from}→{to}:end]\n```\n",
            number % 100
        );
    }
    text
}

/// Types a statement above an end tag, by default the last one, one character at a time.
fn measure(name: &str, text: &str, end_tag: &str, runs: usize) {
    let mut server = Server::start();
    let at = match end_tag {
        "" => text.rfind("-- [").unwrap(),
        tag => text.find(tag).unwrap(),
    };
    let line = text[..at].matches('\n').count();
    let started = Instant::now();
    server.notify(
        "textDocument/didOpen",
        &json!({ "textDocument": {
        "uri": URI, "languageId": "markdown", "version": 1, "text": text } }),
    );
    server.wait_for_diagnostics(1);
    let opened = started.elapsed();
    server.change(2, line, 0, "\n");
    server.wait_for_diagnostics(2);
    let statement = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'something';";
    let (mut changes, mut completions) = (Vec::new(), Vec::new());
    let mut column = 0;
    for (run, character) in statement.chars().cycle().take(runs).enumerate() {
        let version = run + 3;
        let started = Instant::now();
        server.change(version, line, column, &character.to_string());
        column += 1;
        // Completion does not wait for the analysis of the change.
        let asked = Instant::now();
        server.complete(line, column);
        completions.push(asked.elapsed());
        server.wait_for_diagnostics(version);
        changes.push(started.elapsed());
    }
    println!("{name:<24} {:>10}", format!("{} ms to open", opened.as_millis()));
    show("  change to diagnostics", changes);
    show("  completion", completions);
    server.stop();
}

fn show(name: &str, mut durations: Vec<Duration>) {
    durations.sort();
    let at = |share: usize| {
        format!("{:.1} ms", durations[(durations.len() - 1) * share / 100].as_secs_f64() * 1e3)
    };
    println!("{name:<24} {:>10} {:>10} {:>10}", at(50), at(95), at(100));
}

struct Server {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next_id: usize,
    /// The last version whose diagnostics were published.
    published: i64,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tatmig"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, input, output, next_id: 0, published: 0 };
        server.request("initialize", &json!({ "processId": null, "capabilities": {} }));
        server.notify("initialized", &json!({}));
        server
    }

    fn stop(mut self) {
        self.request("shutdown", &Value::Null);
        self.notify("exit", &Value::Null);
        assert!(self.process.wait().unwrap().success());
    }

    fn change(&mut self, version: usize, line: usize, column: usize, text: &str) {
        let position = json!({ "line": line, "character": column });
        self.notify("textDocument/didChange", &json!({
            "textDocument": { "uri": URI, "version": version },
            "contentChanges": [{ "range": { "start": position, "end": position }, "text": text }],
        }));
    }

    fn complete(&mut self, line: usize, column: usize) {
        let result = self.request(
            "textDocument/completion",
            &json!({
                "textDocument": { "uri": URI },
                "position": { "line": line, "character": column },
            }),
        );
        assert!(result["items"].is_array(), "{result}");
    }

    fn wait_for_diagnostics(&mut self, version: usize) {
        while self.published < i64::try_from(version).unwrap() {
            self.read();
        }
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.read();
            if message["id"] == json!(id) {
                return message["result"].take();
            }
        }
    }

    fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let input = self.input.as_mut().unwrap();
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        input.flush().unwrap();
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            match line.trim().strip_prefix("Content-Length: ") {
                Some(value) => length = value.parse().unwrap(),
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        let mut content = vec![0; length];
        self.output.read_exact(&mut content).unwrap();
        let message: Value = serde_json::from_slice(&content).unwrap();
        if message["method"] == "textDocument/publishDiagnostics" {
            self.published = message["params"]["version"].as_i64().unwrap_or(self.published);
        }
        message
    }
}
