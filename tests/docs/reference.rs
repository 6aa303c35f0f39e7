//! Keeps the reference of commands and settings equal to the help of the program. In
//! `docs/commands.md` the lines between `<!-- help: COMMAND -->` and `<!-- end -->`, and in
//! `docs/configuration.md` those after `<!-- settings -->`, are written from the help texts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use regex::Regex;

use crate::page::Page;
use crate::program;
use crate::{WRITING, overwrites};

const COMMANDS: &str = "docs/commands.md";
const CONFIGURATION: &str = "docs/configuration.md";
const END: &str = "<!-- end -->\n";

/// The flags that mean the same in every command, and have a section of their own.
const SELECTION: [&str; 4] = ["--user <NAME>", "--all-users", "--system", "--no-system"];

/// A flag or an argument in a help text.
#[derive(Debug, Clone, PartialEq)]
struct Argument {
    /// As in `-f, --file <PATH>`.
    name: String,
    text: String,
    variable: Option<String>,
}

/// A help text in its parts.
#[derive(Debug, Default)]
struct Help {
    about: Vec<String>,
    usage: Vec<String>,
    /// The names and the aliases of subcommands.
    commands: Vec<(String, Option<String>)>,
    arguments: Vec<Argument>,
    /// The options of every command.
    global: Vec<Argument>,
    examples: Vec<String>,
}

#[test]
fn every_command_has_its_section() {
    let _writing = WRITING.lock();
    let page = Page::read(COMMANDS);
    let mut expected = BTreeMap::new();
    describe(&mut Vec::new(), None, &mut expected);
    let missing: Vec<_> = expected
        .keys()
        .filter(|command| !page.text.contains(&format!("<!-- help: {command} -->\n")))
        .map(|command| {
            format!(
                "{COMMANDS} has no section for `tatmig {command}`: add a heading and the lines\n\
                 <!-- help: {command} -->\n<!-- end -->"
            )
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(expected.len() > 20, "the help lists commands");
    check(&page, "help: ", &expected);
}

#[test]
fn the_help_lists_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let output = program::tatmig(directory.path(), &["man", "--dir", "."]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut listed = BTreeMap::new();
    describe(&mut Vec::new(), None, &mut listed);
    for page in fs::read_dir(directory.path()).unwrap() {
        let page = page.unwrap().file_name().into_string().unwrap();
        if let Some(name) = page.trim_end_matches(".1").strip_prefix("tatmig-") {
            let name = name.replace('-', " ");
            assert!(listed.contains_key(&name), "`tatmig --help` does not list `{name}`");
        }
    }
}

#[test]
fn every_setting_is_in_the_table() {
    let _writing = WRITING.lock();
    let page = Page::read(CONFIGURATION);
    let help = Help::read(&[]);
    let keys = settings_keys();
    let mut table = "| flag | variable | key | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for argument in &help.global {
        let long = argument.name.split(' ').find(|word| word.starts_with("--")).unwrap();
        let key = long.trim_matches(['-', ',']).replace('-', "_");
        let key = if keys.contains(&key) { format!("`{key}`") } else { String::new() };
        let variable = argument.variable.as_ref().map(|name| format!("`{name}`"));
        writeln!(
            table,
            "| `{}` | {} | {key} | {} |",
            argument.name.replace('|', "\\|"),
            variable.unwrap_or_default(),
            in_cell(&argument.text)
        )
        .unwrap();
    }
    table = table.replace("|  |", "| |").replace("|  |", "| |");
    let text = check(&page, "settings", &BTreeMap::from([(String::new(), table)]));
    for key in keys {
        let in_table = format!("`{key}`");
        let as_table = format!("[{key}]");
        assert!(
            text.contains(&in_table) || text.contains(&as_table),
            "{CONFIGURATION} does not name the key `{key}` of tatmig.toml"
        );
    }
}

/// Compares the generated parts of a page, or writes them. Returns the page with the new parts.
fn check(page: &Page, marker: &str, expected: &BTreeMap<String, String>) -> String {
    let mut text = page.text.clone();
    let mut stale = Vec::new();
    for (name, content) in expected {
        let start_line = format!("<!-- {marker}{name} -->\n");
        let start = text
            .find(&start_line)
            .unwrap_or_else(|| panic!("{} has no line {start_line}", page.path))
            + start_line.len();
        let end = text[start..]
            .find(END)
            .unwrap_or_else(|| panic!("{}: no {END} after {start_line}", page.path))
            + start;
        let new = format!("\n{content}\n");
        if text[start..end] != new {
            stale.push(format!("{}: {start_line}{}", page.path, &text[start..end]));
            text.replace_range(start..end, &new);
        }
    }
    let marks = text.matches(&format!("<!-- {marker}")).count();
    assert_eq!(marks, expected.len(), "{} describes a command that does not exist", page.path);
    if overwrites() {
        fs::write(page.file(), &text).unwrap();
        return text;
    }
    assert!(
        stale.is_empty(),
        "not what the help says now:\n{}\n`SNAPSHOTS=overwrite cargo test --test docs` writes it",
        stale.join("\n")
    );
    text
}

/// Describes a command and its subcommands, by their names.
fn describe(
    path: &mut Vec<String>,
    aliases: Option<&String>,
    descriptions: &mut BTreeMap<String, String>,
) {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let help = Help::read(&words);
    if !path.is_empty() {
        descriptions.insert(path.join(" "), help.describe(aliases));
    }
    for (name, aliases) in &help.commands {
        path.push(name.clone());
        describe(path, aliases.as_ref(), descriptions);
        path.pop();
    }
}

impl Help {
    fn read(command: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = program::tatmig(directory.path(), &[command, &["--help"]].concat());
        assert!(output.status.success(), "`tatmig {} --help` fails", command.join(" "));
        Self::parse(&String::from_utf8(output.stdout).unwrap())
    }

    fn parse(text: &str) -> Self {
        let mut help = Self::default();
        let mut heading = String::new();
        for paragraph in sections(text) {
            let (first, rest) = paragraph.split_once('\n').unwrap_or((&paragraph, ""));
            if let Some(usage) = first.strip_prefix("Usage: ") {
                help.usage = std::iter::once(usage).chain(rest.lines()).map(trimmed).collect();
                "Usage".clone_into(&mut heading);
            } else if first.ends_with(':') && !first.starts_with(' ') {
                first.trim_end_matches(':').clone_into(&mut heading);
                help.read_section(&heading, rest);
            } else if heading.is_empty() {
                help.about.push(joined(&paragraph));
            } else if first.starts_with(' ') {
                help.read_section(&heading, &paragraph);
            }
        }
        help
    }

    fn read_section(&mut self, heading: &str, lines: &str) {
        if heading == "Examples" {
            self.examples.extend(lines.lines().map(trimmed));
        } else if lines.trim_start().starts_with(['-', '[', '<']) {
            let arguments = parse_arguments(lines);
            if heading == "Global options" || heading.starts_with("Server options") {
                self.global.extend(arguments);
            } else {
                let own = arguments.into_iter().filter(|argument| {
                    !argument.name.ends_with("--help") && !argument.name.ends_with("--version")
                });
                self.arguments.extend(own);
            }
        } else if lines.lines().all(|line| line.starts_with("  ")) {
            self.read_commands(lines);
        }
    }

    fn read_commands(&mut self, lines: &str) {
        let aliases = Regex::new(r"\[aliases: ([^\]]*)\]").unwrap();
        for line in lines.lines().filter(|line| !line.starts_with("   ")) {
            let name = line.trim_start().split(' ').next().unwrap();
            if name != "help" {
                let aliases = aliases.captures(line).map(|captures| captures[1].to_owned());
                self.commands.push((name.to_owned(), aliases));
            }
        }
    }

    fn describe(&self, aliases: Option<&String>) -> String {
        let mut text = String::new();
        for (index, paragraph) in self.about.iter().enumerate() {
            let end = if index == 0 { "." } else { "" };
            writeln!(text, "{}{end}\n", outside_code(paragraph)).unwrap();
        }
        writeln!(text, "```text\n{}\n```\n", self.usage.join("\n")).unwrap();
        if let Some(aliases) = aliases {
            writeln!(text, "Other names: `{}`.\n", aliases.replace(", ", "`, `")).unwrap();
        }
        if !self.arguments.is_empty() {
            text.push_str("| argument | meaning |\n| --- | --- |\n");
            let selects =
                SELECTION.iter().all(|name| self.arguments.iter().any(|a| a.name == *name));
            let mut arguments = self.arguments.clone();
            if selects {
                arguments.retain(|argument| !SELECTION.contains(&argument.name.as_str()));
                let names = SELECTION.join("`, `");
                writeln!(text, "| `{names}` | [Which databases](#which-databases) |").unwrap();
            }
            for argument in &arguments {
                let name = argument.name.replace('|', "\\|");
                write!(text, "| `{name}` | {}", in_cell(&argument.text)).unwrap();
                if let Some(variable) = &argument.variable {
                    write!(text, "; or the variable `{variable}`").unwrap();
                }
                text.push_str(" |\n");
            }
            text.push('\n');
        }
        if !self.examples.is_empty() {
            writeln!(text, "```text\n{}\n```\n", self.examples.join("\n")).unwrap();
        }
        text.trim_end().to_owned() + "\n"
    }
}

/// The parts of a help text between empty lines that are not inside an option.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    let mut ends = true;
    for line in text.lines() {
        if line.trim().is_empty() {
            ends = true;
            continue;
        }
        let continues_option = line.starts_with("          ");
        match sections.last_mut() {
            Some(section) if !ends || continues_option => {
                let gap = if ends { "\n\n" } else { "\n" };
                write!(section, "{gap}{line}").unwrap();
            }
            _ => sections.push(line.to_owned()),
        }
        ends = false;
    }
    sections
}

/// The options of a section: a line with the name, then lines that are indented further.
fn parse_arguments(lines: &str) -> Vec<Argument> {
    let variable = Regex::new(r"\[env: ([A-Z_]+)\]").unwrap();
    let default = Regex::new(r"\[default: ([^\]]+)\]").unwrap();
    let mut arguments: Vec<Argument> = Vec::new();
    for line in lines.lines() {
        if line.starts_with("          ") || line.is_empty() {
            let text = &mut arguments.last_mut().unwrap().text;
            match line.trim().strip_prefix("- ") {
                Some(value) => {
                    let (name, meaning) = value.split_once(':').unwrap_or((value, ""));
                    let separator = if text.ends_with(':') { " " } else { ", " };
                    write!(text, "{separator}`{name}` ({})", meaning.trim()).unwrap();
                }
                None if line.trim().is_empty() => text.push('\n'),
                None if text.is_empty() || text.ends_with('\n') => text.push_str(line.trim()),
                None => write!(text, " {}", line.trim()).unwrap(),
            }
        } else {
            let name = line.trim().to_owned();
            arguments.push(Argument { name, text: String::new(), variable: None });
        }
    }
    for argument in &mut arguments {
        argument.variable =
            variable.captures(&argument.text).map(|captures| captures[1].to_owned());
        let text = variable.replace_all(&argument.text, "");
        let text = default.replace_all(&text, "(default: $1)");
        let sentences: Vec<_> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        argument.text = sentences.join(". ").replace(".. ", ". ").replace(" ()", "");
    }
    arguments
}

/// The keys that `tatmig.toml` may have, from the error about one that it may not have.
fn settings_keys() -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("tatmig.toml"), "no_such_key = 1\n").unwrap();
    let output = program::tatmig(directory.path(), &["status"]);
    let error = String::from_utf8(output.stderr).unwrap();
    let keys = Regex::new("`([a-z_]+)`").unwrap();
    let known = error.split("expected one of").nth(1).unwrap_or_else(|| panic!("{error}"));
    keys.captures_iter(known).map(|captures| captures[1].to_owned()).collect()
}

fn trimmed(line: &str) -> String {
    line.trim().to_owned()
}

fn joined(paragraph: &str) -> String {
    paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Help text as Markdown: flags become code, and what looks like a tag or an emphasis is escaped.
fn outside_code(text: &str) -> String {
    let flag = Regex::new(r"(^|[\s(])(--[a-z][a-z-]*)").unwrap();
    let parts = text.split('`').enumerate().map(|(index, part)| {
        if index % 2 == 1 {
            return part.to_owned();
        }
        let escaped = part.replace('<', "\\<").replace('*', "\\*");
        flag.replace_all(&escaped, "$1`$2`").into_owned()
    });
    parts.collect::<Vec<_>>().join("`")
}

fn in_cell(text: &str) -> String {
    outside_code(text).replace('|', "\\|")
}

#[test]
fn a_help_text_is_read_in_its_parts() {
    let text = "Apply things\n\nMore about\nit.\n\nUsage: tatmig up [OPTIONS]\n\nOptions:\n      \
                --to <VERSION>\n          Stop at this\n          version\n          \n          \
                [env: TATMIG_TO]\n\n  -h, --help\n          Print help\n\nGlobal options:\n      \
                --color <WHEN>\n          When\n\n          Possible values:\n          \
                - auto:   On a terminal\n          - never:  Never\n\nExamples:\n  tatmig up   go\n";
    let help = Help::parse(text);
    assert_eq!(help.about, ["Apply things", "More about it."]);
    assert_eq!(help.usage, ["tatmig up [OPTIONS]"]);
    let to = Argument {
        name: "--to <VERSION>".to_owned(),
        text: "Stop at this version".to_owned(),
        variable: Some("TATMIG_TO".to_owned()),
    };
    assert_eq!(help.arguments, [to]);
    assert_eq!(
        help.global[0].text,
        "When. Possible values: `auto` (On a terminal), `never` (Never)"
    );
    assert_eq!(help.examples, ["tatmig up   go"]);
}
