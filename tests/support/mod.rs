//! Builds a fleet in a temporary directory and runs the real program on it. Every test binary uses
//! this builder.

#[cfg(unix)]
#[allow(dead_code, reason = "only some of the test binaries use a terminal")]
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::Digest;
use snapbox::IntoData;
use tempfile::TempDir;

/// The time after which a program counts as hanging. No test takes this long.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The schema of every JSON document that the program prints.
static JSON_SCHEMA: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&parsed_schema()).unwrap());

/// The schema of a line of `--json-lines` that is about one database.
static DATABASE_EVENT_SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let definitions = &parsed_schema()["$defs"];
    let schema = serde_json::json!({"$ref": "#/$defs/databaseEvent", "$defs": definitions});
    jsonschema::validator_for(&schema).unwrap()
});

fn parsed_schema() -> serde_json::Value {
    serde_json::from_str(include_str!("../../docs/tatmig.schema.json")).unwrap()
}

/// Markdown with these blocks, each in its own fence. The SQL of a block begins on the third line
/// of its fence, so that line numbers are easy to count.
pub(crate) fn document(blocks: &[(&str, &str)]) -> String {
    let fence = |(tag, sql): &(&str, &str)| {
        format!("```sql\n-- [{tag}:start]\n{}\n-- [{tag}:end]\n```\n\n", sql.trim_end())
    };
    blocks.iter().map(fence).collect()
}

/// A small document: the system's baseline, a table of notes, a column, and a unique index that
/// fails for a user with a duplicate note. The SQL is in lines 3, 9, 15 and 21.
pub(crate) const NOTES: &[(&str, &str)] = &[
    ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);"),
    ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"),
    ("user:1.1.0→1.2.0", "CREATE UNIQUE INDEX one_body ON notes (body);"),
];

/// Rows that violate the unique index of [`NOTES`].
pub(crate) const DUPLICATE_NOTES: &str = "INSERT INTO notes (body) VALUES ('tea'), ('tea');";

/// Whether this process ignores SIGINT.
fn is_sigint_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> 1 & 1 == 1)
}

/// A directory with a document and databases.
pub(crate) struct Fleet {
    dir: TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), env: Vec::new() }
    }

    /// Creates a fleet whose document has these blocks.
    pub(crate) fn from_blocks(blocks: &[(&str, &str)]) -> Self {
        Self::new().blocks(blocks)
    }

    /// Writes `MIGRATIONS.md`, or overwrites it.
    pub(crate) fn document(self, markdown: impl AsRef<str>) -> Self {
        self.file("MIGRATIONS.md", markdown.as_ref())
    }

    pub(crate) fn blocks(self, blocks: &[(&str, &str)]) -> Self {
        self.document(document(blocks))
    }

    /// Creates `system.db`. Without SQL the file is empty.
    pub(crate) fn system(self, sql: &str) -> Self {
        self.database_file("system.db", sql)
    }

    /// Creates a user's database. Without SQL the file is empty.
    pub(crate) fn user(self, name: &str, sql: &str) -> Self {
        self.database_file(format!("{name}_longterm.db"), sql)
    }

    /// Creates `count` users: `u000`, `u001` …
    pub(crate) fn users(self, count: usize, sql: &str) -> Self {
        (0..count).fold(self, |fleet, index| fleet.user(&format!("u{index:03}"), sql))
    }

    /// Runs SQL on a file, which is created if necessary.
    pub(crate) fn database_file(self, path: impl AsRef<Path>, sql: &str) -> Self {
        let path = self.path(path);
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        if !sql.is_empty() {
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        }
        self
    }

    /// Writes `tatmig.toml`.
    pub(crate) fn config(self, toml: &str) -> Self {
        self.file("tatmig.toml", toml)
    }

    pub(crate) fn file(self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn directory(self, path: impl AsRef<Path>) -> Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    /// Sets an environment variable for every run.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Upgrades every database to a version.
    #[track_caller]
    pub(crate) fn upgrade_to(self, version: &str) -> Self {
        self.run(["upgrade", "--all-users", "--to", version]).status(0);
        self
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Copies the fleet into another directory. No database may be open in this process: copying
    /// opens and closes the file, which drops this process's locks on it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { dir: TempDir::new().unwrap(), env: self.env.clone() };
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.path(entry.file_name())).unwrap();
            }
        }
        copy
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl AsRef<[A]>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tatmig"));
        command
            .args(arguments.as_ref())
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program until it exits.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl AsRef<[A]>) -> RunOutput<'_> {
        let child = self.command(arguments).spawn().unwrap();
        self.wait(child)
    }

    /// Starts the program.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: impl AsRef<[A]>) -> Child {
        let plain = self.command(arguments);
        if !is_sigint_ignored() {
            return { plain }.spawn().unwrap();
        }
        // A test run in the background of a script ignores SIGINT, and its children inherit that.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT,TERM,HUP")
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(self.dir.path())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until a started program exits.
    #[track_caller]
    pub(crate) fn wait(&self, child: Child) -> RunOutput<'_> {
        let process = rustix::process::Pid::from_child(&child);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(TIMEOUT) else {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            panic!("the program does not end");
        };
        RunOutput { fleet: self, output: output.unwrap() }
    }

    /// Opens a database on a new connection: `system`, or a user's.
    #[track_caller]
    pub(crate) fn database(&self, name: &str) -> Database {
        let path = match name {
            "system" => self.path("system.db"),
            user => self.path(format!("{user}_longterm.db")),
        };
        Database::open(&path)
    }

    /// Reads every file under the directory.
    pub(crate) fn snapshot(&self) -> FileSnapshot {
        let mut files = BTreeMap::new();
        let mut directories = vec![self.dir.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                let name = path.strip_prefix(self.dir.path()).unwrap().to_owned();
                let content = if kind.is_dir() {
                    directories.push(path);
                    b"a directory".to_vec()
                } else if kind.is_symlink() {
                    fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes().to_vec()
                } else if kind.is_file() {
                    fs::read(&path).unwrap()
                } else {
                    b"neither file nor directory".to_vec()
                };
                files.insert(name, content);
            }
        }
        FileSnapshot(files)
    }

    /// Runs the program and asserts that it changes no byte of one file.
    #[track_caller]
    pub(crate) fn run_without_changing<A: AsRef<OsStr>>(
        &self,
        path: &Path,
        arguments: impl AsRef<[A]>,
    ) -> RunOutput<'_> {
        let before = fs::read(path).unwrap();
        let run = self.run(arguments);
        assert!(fs::read(path).unwrap() == before, "{} changed", path.display());
        run
    }

    /// Runs the program and asserts that it changes no byte of any file.
    #[track_caller]
    pub(crate) fn run_without_changes<A: AsRef<OsStr>>(
        &self,
        arguments: impl AsRef<[A]>,
    ) -> RunOutput<'_> {
        let before = self.snapshot();
        let run = self.run(arguments);
        before.assert_same(&self.snapshot());
        run
    }
}

/// The contents of files by name.
pub(crate) struct FileSnapshot(BTreeMap<PathBuf, Vec<u8>>);

impl FileSnapshot {
    /// The same without SQLite's shared memory files. Every reader writes its marks into them, and
    /// no program reads them after the last one has exited.
    pub(crate) fn without_shared_memory(mut self) -> Self {
        self.0.retain(|name, _| !name.as_os_str().as_encoded_bytes().ends_with(b"-shm"));
        self
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, after: &Self) {
        let names = |files: &Self| files.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(after), "files were made or removed");
        for (name, bytes) in &self.0 {
            assert!(after.0[name] == *bytes, "{} changed", name.display());
        }
    }
}

/// The result of a run.
pub(crate) struct RunOutput<'f> {
    fleet: &'f Fleet,
    output: Output,
}

impl RunOutput<'_> {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// Whether the exit status is 0.
    pub(crate) fn is_success(&self) -> bool {
        self.output.status.success()
    }

    /// Whether the exit status is one of these.
    pub(crate) fn has_status(&self, statuses: &[i32]) -> bool {
        self.output.status.code().is_some_and(|status| statuses.contains(&status))
    }

    /// Status and output.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{}\n--- standard output\n{}--- standard error\n{}",
            self.output.status,
            self.stdout_text(),
            self.stderr_text()
        )
    }

    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn status(&self, expected: i32) -> &Self {
        assert_eq!(self.output.status.code(), Some(expected), "{}", self.describe());
        assert!(!self.stderr_text().contains("panicked"), "{}", self.describe());
        self
    }

    /// Asserts the whole of standard output; `[..]` matches anything within a line.
    #[track_caller]
    pub(crate) fn stdout(&self, expected: impl IntoData) -> &Self {
        assert_text_matches(self.stdout_text(), expected);
        self
    }

    /// Asserts the whole of standard error.
    #[track_caller]
    pub(crate) fn stderr(&self, expected: impl IntoData) -> &Self {
        assert_text_matches(self.stderr_text(), expected);
        self
    }

    #[track_caller]
    pub(crate) fn stdout_contains(&self, text: &str) -> &Self {
        assert!(self.stdout_text().contains(text), "no {text:?} in\n{}", self.describe());
        self
    }

    #[track_caller]
    pub(crate) fn stdout_lacks(&self, text: &str) -> &Self {
        assert!(!self.stdout_text().contains(text), "{text:?} in\n{}", self.describe());
        self
    }

    #[track_caller]
    pub(crate) fn stderr_contains(&self, text: &str) -> &Self {
        assert!(self.stderr_text().contains(text), "no {text:?} in\n{}", self.describe());
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(&self, text: &str) -> &Self {
        assert!(!self.stderr_text().contains(text), "{text:?} in\n{}", self.describe());
        self
    }

    /// Standard output, which must be one JSON document. Any but SARIF must be valid against
    /// `docs/tatmig.schema.json`.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let json: serde_json::Value = serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.describe()));
        if json.get("$schema").is_none() {
            let errors: Vec<String> = JSON_SCHEMA
                .iter_errors(&json)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}\n{}", errors.join("\n"), self.describe());
        }
        json
    }

    /// Standard output as lines of JSON: those of databases and the summary, which must be valid
    /// against `docs/tatmig.schema.json`.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        let lines: Vec<serde_json::Value> = self
            .stdout_text()
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        let (summary, databases) = lines.split_last().unwrap_or_else(|| panic!("no line"));
        assert!(JSON_SCHEMA.is_valid(summary), "{summary:#}");
        assert_eq!(summary["event"], "summary");
        for database in databases {
            assert!(DATABASE_EVENT_SCHEMA.is_valid(database), "{database:#}");
        }
        lines
    }

    #[track_caller]
    pub(crate) fn database(&self, name: &str) -> Database {
        self.fleet.database(name)
    }
}

/// Compares exactly, without treating backslashes as path separators.
#[track_caller]
fn assert_text_matches(actual: String, expected: impl IntoData) {
    snapbox::Assert::new()
        .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
        .normalize_paths(false)
        .eq(actual, expected);
}

/// A database, opened for reading its current contents.
pub(crate) struct Database(Connection);

impl Database {
    #[track_caller]
    pub(crate) fn open(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(connection)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }

    /// The rows of a query, each with `|` between its values.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).unwrap_or_else(|error| panic!("{error}"));
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|index| match row.get_ref(index).unwrap() {
                ValueRef::Null => "NULL".to_owned(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(blob) => format!("{blob:02x?}"),
            });
            lines.push(values.collect::<Vec<_>>().join("|"));
        }
        lines
    }

    /// The names of the tables, without those of SQLite and of tatmig.
    pub(crate) fn tables(&self) -> Vec<String> {
        self.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' \
             AND name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig%' ESCAPE '$' \
             ORDER BY name",
        )
    }

    pub(crate) fn columns(&self, table: &str) -> Vec<String> {
        self.rows(&format!("SELECT name FROM pragma_table_xinfo('{table}') ORDER BY cid"))
    }

    /// The migrations in its history: `baseline→1.0.0`.
    pub(crate) fn history(&self) -> Vec<String> {
        if self.rows("SELECT 1 FROM sqlite_schema WHERE name = '_tatmig_migrations'").is_empty() {
            return Vec::new();
        }
        self.rows("SELECT from_version || '→' || to_version FROM _tatmig_migrations ORDER BY id")
    }

    /// The version at which its history ends.
    pub(crate) fn version(&self) -> Option<String> {
        self.history().last()?.split('→').nth(1).map(str::to_owned)
    }

    /// The whole schema and every row of every table.
    pub(crate) fn dump(&self) -> Vec<String> {
        let mut lines =
            self.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name");
        let tables = self.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' \
             AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
        );
        for table in tables {
            let quoted = table.replace('"', "\"\"");
            let rows = self.rows(&format!("SELECT * FROM \"{quoted}\""));
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        lines.extend(self.rows("PRAGMA user_version"));
        lines
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Sets a flag when it is dropped, so that a thread ends also if an assertion fails.
pub(crate) struct SetOnDrop<'f>(pub(crate) &'f std::sync::atomic::AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "waited in vain until {description}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
