//! Runs the `console` blocks of every page in their order and compares the output exactly, standard
//! error included. Times, dates and the temporary directory are the only parts that may differ.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;

use regex::Regex;
use tempfile::TempDir;

use crate::page::{Block, Directive, Item, Page, pages};
use crate::program;
use crate::{WRITING, overwrites};

/// Pages whose commands need more than a directory, and the test that runs them.
const RUN_ELSEWHERE: &[(&str, &str)] = &[("docs/server.md", "tests/server/guide.rs")];

/// Tools that a page may run beside `tatmig`. A page that needs a missing one is left out, unless
/// `TATMIG_REQUIRE_TOOLS` is set.
const TOOLS: [&str; 2] = ["jq", "sqlite3"];

/// The directory in which a page shows its commands.
const SHOWN_DIRECTORY: &str = "/srv/app";

/// What differs from run to run, and what it counts as.
static VARIABLE_PARTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\b\d{8}T\d{6}Z(-\d+)?", "<stamp>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "<time>"),
        (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
        (r"\b\d+(\.\d+)? ?(ns|µs|ms|s|min)\b", "<duration>"),
        (r#""duration_ms": \d+"#, "<duration>"),
        (r"\b\d+(\.\d+)? [GT]i?B free\b", "<space>"),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

#[test]
fn every_command_prints_what_the_page_shows() {
    let _writing = WRITING.lock();
    let results: Vec<_> = thread::scope(|scope| {
        let runs = pages().into_iter().filter(is_run_here).map(|page| {
            thread::Builder::new()
                .name(page.path.clone())
                .spawn_scoped(scope, move || PageRun::new(&page).run())
                .unwrap()
        });
        runs.collect::<Vec<_>>().into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut commands = 0;
    let mut differences = String::new();
    for result in results {
        let report = result.expect("the panic is printed above");
        commands += report.commands;
        differences += &report.differences;
    }
    assert!(
        differences.is_empty(),
        "{differences}\n`SNAPSHOTS=overwrite cargo test --test docs` writes the new output into the pages"
    );
    assert!(commands >= 10, "the pages show commands");
}

#[test]
fn what_runs_elsewhere_is_run_there() {
    for (page, test) in RUN_ELSEWHERE {
        let source = fs::read_to_string(crate::page::root().join(test)).unwrap();
        assert!(source.contains(&format!("../../{page}")), "{test} does not read {page}");
    }
}

/// Whether the commands of a page are run by this test.
fn is_run_here(page: &Page) -> bool {
    let is_run_elsewhere = RUN_ELSEWHERE.iter().any(|(path, _)| *path == page.path);
    let needs = |tool: &str| {
        let use_of_tool = Regex::new(&format!(r"(?m)^\$ (.*\| )?{tool} ")).unwrap();
        page.items().iter().any(|item| match item {
            Item::Block(block) => block.label == "console" && use_of_tool.is_match(&block.content),
            Item::Directive(_) => false,
        })
    };
    let has_tools = std::env::var_os("TATMIG_REQUIRE_TOOLS").is_some()
        || TOOLS.iter().all(|tool| !needs(tool) || is_installed(tool));
    !is_run_elsewhere && has_tools
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

#[derive(Default)]
struct Report {
    commands: usize,
    differences: String,
}

/// The commands of a page, in a directory of their own.
struct PageRun<'p> {
    page: &'p Page,
    root: TempDir,
    directory: PathBuf,
    /// What the next block is for.
    next: Option<Directive>,
    /// The exit status of the last command in the next block.
    exit: i32,
    report: Report,
    replacements: Vec<(std::ops::Range<usize>, String)>,
}

impl<'p> PageRun<'p> {
    fn new(page: &'p Page) -> Self {
        let root = TempDir::new().unwrap();
        let directory = root.path().canonicalize().unwrap();
        let report = Report::default();
        Self { page, root, directory, next: None, exit: 0, report, replacements: Vec::new() }
    }

    fn run(mut self) -> Report {
        for item in self.page.items() {
            match item {
                Item::Directive(directive) => self.follow(directive),
                Item::Block(block) => self.read(&block),
            }
        }
        assert!(self.next.is_none(), "{}: a comment has no block", self.page.path);
        if overwrites() && !self.replacements.is_empty() {
            let mut text = self.page.text.clone();
            for (range, content) in self.replacements.iter().rev() {
                text.replace_range(range.clone(), content);
            }
            fs::write(self.page.file(), text).unwrap();
            self.report.differences.clear();
        }
        self.report
    }

    fn follow(&mut self, directive: Directive) {
        match directive {
            Directive::Run(command) => {
                let output = self.shell(&command);
                assert_eq!(output.1, 0, "{}: `{command}`:\n{}", self.page.path, output.0);
            }
            Directive::Sqlite { path, sql } => {
                let connection = rusqlite::Connection::open(self.directory.join(path)).unwrap();
                connection.execute_batch(&sql).unwrap();
            }
            Directive::Restart => {
                self.root = TempDir::new().unwrap();
                self.directory = self.root.path().canonicalize().unwrap();
            }
            Directive::Fill { path, sql } => {
                let path = self.directory.join(path);
                let before = fs::read_to_string(&path).unwrap();
                let lines = before.lines().map(|line| {
                    if line.starts_with("-- tatmig:todo") { sql.as_str() } else { line }
                });
                fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
            }
            Directive::Exit(status) => self.exit = status,
            Directive::File(_)
            | Directive::Append(_)
            | Directive::Todo(_)
            | Directive::Shows(_) => {
                assert!(self.next.is_none(), "{}: a comment has no block", self.page.path);
                self.next = Some(directive);
            }
        }
    }

    fn read(&mut self, block: &Block) {
        if block.label == "console" {
            self.run_block(block);
            return;
        }
        let (path, text) = match self.next.take() {
            None => return,
            Some(Directive::Shows(path)) => return self.compare_file(block, &path),
            Some(Directive::File(path)) => (path, block.content.clone()),
            Some(Directive::Append(path)) => {
                let before = fs::read_to_string(self.directory.join(&path)).unwrap_or_default();
                (path, before + &block.content)
            }
            Some(Directive::Todo(path)) => {
                let before = fs::read_to_string(self.directory.join(&path)).unwrap();
                let todo = before.lines().find(|line| line.starts_with("-- tatmig:todo"));
                let todo = todo.unwrap_or_else(|| panic!("{path} has no `-- tatmig:todo`"));
                (path, before.replacen(&format!("{todo}\n"), &block.content, 1))
            }
            Some(directive) => unreachable!("{directive:?} is not for a block"),
        };
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn compare_file(&mut self, block: &Block, path: &str) {
        let content = fs::read_to_string(self.directory.join(path)).unwrap();
        if normalize(&content) != normalize(&block.content) {
            let place = format!("{}:{}", self.page.path, block.line);
            writeln!(self.report.differences, "{place}: {path} contains\n{content}").unwrap();
            self.replacements.push((block.range.clone(), content));
        }
    }

    fn run_block(&mut self, block: &Block) {
        let commands = console_commands(&block.content);
        let place = format!("{}:{}", self.page.path, block.line);
        assert!(!commands.is_empty(), "{place}: the block has no line that begins with `$ `");
        let last = commands.len() - 1;
        let exit = std::mem::take(&mut self.exit);
        let mut new_content = String::new();
        let mut differs = false;
        for (index, (command, expected_output)) in commands.into_iter().enumerate() {
            let (output, status) = self.shell(&command);
            let expected_status = if index == last { exit } else { 0 };
            assert_eq!(
                status, expected_status,
                "{place}: the exit status of `{command}`, which printed\n{output}"
            );
            assert!(
                !output.lines().any(|line| line.starts_with(&"`".repeat(block.fence))),
                "{place}: `{command}` prints a fence; write more backticks around the block"
            );
            writeln!(new_content, "$ {command}").unwrap();
            if normalize(&output) == normalize(&expected_output) {
                new_content += &expected_output;
            } else {
                differs = true;
                writeln!(
                    self.report.differences,
                    "{place}: `{command}` prints\n{output}--- and not\n{expected_output}"
                )
                .unwrap();
                new_content += &output;
            }
            self.report.commands += 1;
        }
        if differs {
            self.replacements.push((block.range.clone(), new_content));
        }
    }

    /// Runs a command as a shell does. Returns what it prints, and its exit status.
    fn shell(&mut self, command: &str) -> (String, i32) {
        if let Some(directory) = command.strip_prefix("cd ") {
            self.directory = self.directory.join(directory).canonicalize().unwrap();
            return (String::new(), 0);
        }
        let output = program::command("sh", &self.directory)
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .env("HOME", self.root.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let root = self.root.path().canonicalize().unwrap();
        let text = text.replace(root.to_str().unwrap(), SHOWN_DIRECTORY);
        (text, output.status.code().unwrap_or(-1))
    }
}

/// The commands of a block, each with the output that is shown below it. A command continues on the
/// next line after a backslash.
fn console_commands(content: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continues = false;
    for line in content.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
            continues = command.ends_with('\\');
        } else if let Some((command, output)) = commands.last_mut() {
            if continues {
                write!(command, "\n{line}").unwrap();
                continues = line.ends_with('\\');
            } else {
                writeln!(output, "{line}").unwrap();
            }
        }
    }
    commands
}

fn normalize(output: &str) -> String {
    let mut text = output.to_owned();
    for (pattern, name) in &*VARIABLE_PARTS {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

#[test]
fn only_times_are_normalized() {
    assert_eq!(normalize("took 1.25 s, 20261121T114500Z"), "took <duration>, <stamp>");
    assert_eq!(normalize("1.25.0, 3 users, 20 rows"), "1.25.0, 3 users, 20 rows");
    assert_eq!(
        console_commands("$ a \\\n  b\nc\n$ d\n"),
        [("a \\\n  b".to_owned(), "c\n".to_owned()), ("d".to_owned(), String::new())]
    );
    assert!(Path::new(SHOWN_DIRECTORY).is_absolute());
}
