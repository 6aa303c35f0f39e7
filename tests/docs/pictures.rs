//! Draws the terminal pictures in `docs/pictures` from real runs of the program, and compares them
//! with the files. `SNAPSHOTS=overwrite cargo test --test docs pictures` draws them again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anstyle::{AnsiColor, RgbColor};
use anstyle_svg::{Palette, Term};
use regex::Regex;
use rusqlite::Connection;

use crate::overwrites;
use crate::page::root;
use crate::program;

/// The document of `tatmig demo`, and the heading of its first migration after the baseline.
const DEMO: &str = include_str!("../../src/cli/commands/demo.md");
const FIRST_MIGRATION: &str = "## 1.0.0 → 1.1.0";

/// The users of `tatmig demo`, one name a line.
const USERS: &str = include_str!("../../src/cli/commands/demo_users.txt");

/// Columns of the terminal: longer lines continue on the next line.
const COLUMNS: usize = 104;

/// A picture of commands and what they print.
struct Picture {
    name: &'static str,
    /// What a person hears who cannot see the picture.
    title: &'static str,
    commands: &'static [&'static str],
}

#[test]
fn the_first_picture_is_current() {
    let picture = Picture {
        name: "upgrade",
        title: "tatmig upgrade migrates 24 users; one fails, is rolled back, repaired and migrated",
        commands: &[
            "tatmig upgrade --all-users",
            "tatmig seed merge-tags --user grace",
            "tatmig upgrade --all-users",
        ],
    };
    let directory = demo_fleet();
    picture.check(directory.path());
}

#[test]
fn the_picture_of_a_typo_is_current() {
    let picture = Picture {
        name: "error-typo",
        title: "tatmig lint points at the column name that does not exist",
        commands: &["tatmig lint"],
    };
    let directory = demo_fleet();
    let typo = DEMO.replace("ON tags (note_id, tag)", "ON tags (note, tag)");
    assert_ne!(typo, DEMO);
    fs::write(directory.path().join("MIGRATIONS.md"), typo).unwrap();
    picture.check(directory.path());
}

#[test]
fn the_picture_of_an_edited_migration_is_current() {
    let picture = Picture {
        name: "error-edited",
        title: "tatmig upgrade refuses a migration that was edited after it was applied",
        commands: &["tatmig upgrade --user ada"],
    };
    let directory = demo_fleet();
    run(directory.path(), &["upgrade", "--user", "ada", "--quiet"]);
    let edited = DEMO.replace("pinned INTEGER NOT NULL DEFAULT 0", "pinned BOOLEAN DEFAULT false");
    assert_ne!(edited, DEMO);
    fs::write(directory.path().join("MIGRATIONS.md"), edited).unwrap();
    picture.check(directory.path());
}

#[test]
fn the_picture_of_a_risk_is_current() {
    let picture = Picture {
        name: "error-risk",
        title: "tatmig lint reports a copy of rows by the order of their columns",
        commands: &["tatmig lint"],
    };
    let directory = demo_fleet();
    let marker = "CREATE UNIQUE INDEX IF NOT EXISTS one_tag_once ON tags (note_id, tag);\n";
    let risk = DEMO.replace(
        marker,
        "CREATE TABLE tags_new (note_id INTEGER NOT NULL, tag TEXT NOT NULL, UNIQUE (note_id, tag));\n\
         INSERT INTO tags_new SELECT * FROM tags;\n\
         DROP TABLE tags;\n\
         ALTER TABLE tags_new RENAME TO tags;\n",
    );
    assert_ne!(risk, DEMO);
    fs::write(directory.path().join("MIGRATIONS.md"), risk).unwrap();
    picture.check(directory.path());
}

/// The fleet of `tatmig demo` before its upgrade: 24 users at 1.0.0, one of them with a note that
/// has a tag twice.
fn demo_fleet() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let baseline = DEMO.split(FIRST_MIGRATION).next().unwrap();
    fs::write(path.join("MIGRATIONS.md"), baseline).unwrap();
    let settings = "users_dir = \"users\"\nuser_pattern = \"{username}.db\"\n";
    fs::write(path.join("tatmig.toml"), settings).unwrap();
    fs::create_dir(path.join("users")).unwrap();
    let mut arguments = vec!["init"];
    for user in USERS.lines() {
        arguments.extend(["--user", user]);
    }
    run(path, &arguments);
    let grace = Connection::open(path.join("users/grace.db")).unwrap();
    grace
        .execute_batch(
            "INSERT INTO notes (title, body) VALUES ('Tea', ''), ('Work', '');
             INSERT INTO tags VALUES (1, 'home'), (2, 'work'), (2, 'work');",
        )
        .unwrap();
    fs::write(path.join("MIGRATIONS.md"), DEMO).unwrap();
    directory
}

fn run(directory: &Path, arguments: &[&str]) {
    let output = program::tatmig(directory, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Picture {
    #[track_caller]
    fn check(&self, directory: &Path) {
        let path = root().join("docs/pictures").join(self.name).with_extension("svg");
        let drawn = self.draw(directory);
        if overwrites() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, drawn).unwrap();
            return;
        }
        let saved = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            saved == drawn,
            "docs/pictures/{}.svg is not what the program prints now; \
             `SNAPSHOTS=overwrite cargo test --test docs pictures` draws it",
            self.name
        );
    }

    fn draw(&self, directory: &Path) -> String {
        // The time of a run is another one each time.
        let duration = Regex::new(r"\b\d+(\.\d+)? ?(µs|ms|s)\b").unwrap();
        let mut terminal = String::new();
        for command in self.commands {
            writeln!(terminal, "\u{1b}[2m$\u{1b}[0m \u{1b}[1m{command}\u{1b}[0m").unwrap();
            let output = program::command("sh", directory)
                .args(["-c", &format!("exec 2>&1\n{command}")])
                .env("TATMIG_COLOR", "always")
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            terminal += &duration.replace_all(&text, "0.1 s");
            terminal.push('\n');
        }
        in_both_themes(&TERMINAL.render_svg(&wrap(terminal.trim_end())), self.title)
    }
}

const TERMINAL: Term = Term::new()
    .palette(DARK)
    .fg_color(anstyle::Color::Rgb(RgbColor(0xe6, 0xed, 0xf3)))
    .bg_color(anstyle::Color::Rgb(RgbColor(0x16, 0x1b, 0x22)))
    .min_width_px(880);

/// The colors on a dark background, in the order of ANSI.
const DARK: Palette = Palette([
    RgbColor(0x48, 0x4f, 0x58),
    RgbColor(0xff, 0x7b, 0x72),
    RgbColor(0x56, 0xd3, 0x64),
    RgbColor(0xe3, 0xb3, 0x41),
    RgbColor(0x79, 0xc0, 0xff),
    RgbColor(0xd2, 0xa8, 0xff),
    RgbColor(0x56, 0xd4, 0xdd),
    RgbColor(0xc9, 0xd1, 0xd9),
    RgbColor(0x8b, 0x94, 0x9e),
    RgbColor(0xff, 0x7b, 0x72),
    RgbColor(0x56, 0xd3, 0x64),
    RgbColor(0xe3, 0xb3, 0x41),
    RgbColor(0x79, 0xc0, 0xff),
    RgbColor(0xd2, 0xa8, 0xff),
    RgbColor(0x56, 0xd4, 0xdd),
    RgbColor(0xff, 0xff, 0xff),
]);

/// The colors on a light background.
const LIGHT: [(AnsiColor, &str); 16] = [
    (AnsiColor::Black, "#24292f"),
    (AnsiColor::Red, "#c9232d"),
    (AnsiColor::Green, "#116329"),
    (AnsiColor::Yellow, "#855000"),
    (AnsiColor::Blue, "#0550ae"),
    (AnsiColor::Magenta, "#6f42c1"),
    (AnsiColor::Cyan, "#1b6f78"),
    (AnsiColor::White, "#57606a"),
    (AnsiColor::BrightBlack, "#57606a"),
    (AnsiColor::BrightRed, "#c9232d"),
    (AnsiColor::BrightGreen, "#116329"),
    (AnsiColor::BrightYellow, "#855000"),
    (AnsiColor::BrightBlue, "#0550ae"),
    (AnsiColor::BrightMagenta, "#6f42c1"),
    (AnsiColor::BrightCyan, "#1b6f78"),
    (AnsiColor::BrightWhite, "#24292f"),
];

/// Continues lines that are longer than the terminal is wide on the next line, where a word ends.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    let mut in_escape = false;
    // The place behind the last space of the line, and its column.
    let mut space = None;
    for letter in text.chars() {
        match letter {
            '\n' => {
                column = 0;
                space = None;
            }
            '\u{1b}' => in_escape = true,
            _ if in_escape => in_escape = letter != 'm',
            _ => {
                if column == COLUMNS {
                    let (end, width) = space.take().unwrap_or((wrapped.len(), column));
                    wrapped.insert(end, '\n');
                    column -= width;
                }
                column += 1;
            }
        }
        wrapped.push(letter);
        if letter == ' ' && !in_escape {
            space = Some((wrapped.len(), column));
        }
    }
    wrapped
}

/// Adds what the picture needs inside a page: a size that follows the page, a title, and colors for
/// a light background.
fn in_both_themes(svg: &str, title: &str) -> String {
    let size = Regex::new(r#"^<svg width="(\d+)px" height="(\d+)px" "#).unwrap();
    let captures = size.captures(svg).unwrap();
    let width: u32 = captures[1].parse().unwrap();
    let height: u32 = captures[2].parse().unwrap();
    // The last line needs as much space below it as the first has above it.
    let height = height + 8;
    let start = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" "
    );
    let mut light = String::from(
        "    rect { stroke: #8c959f; stroke-opacity: 0.4 }\n    \
         @media (prefers-color-scheme: light) {\n      \
         .bg { fill: #f6f8fa }\n      .fg { fill: #1f2328 }\n",
    );
    let name = Regex::new("([a-z])([A-Z])").unwrap();
    for (color, value) in LIGHT {
        let class = name.replace_all(&format!("{color:?}"), "$1-$2").to_lowercase();
        if svg.contains(&format!(".fg-{class} {{")) {
            writeln!(light, "      .fg-{class} {{ fill: {value} }}").unwrap();
        }
    }
    light += "    }\n  </style>\n";
    let svg = size.replace(svg, start);
    svg.replacen("  <style>\n", &format!("  <title>{title}</title>\n  <style>\n"), 1)
        .replacen("  </style>\n", &light, 1)
        .replace("opacity: 0.4; }", "opacity: 0.7; }")
}

#[test]
fn long_lines_continue_on_the_next_line() {
    let line = "x".repeat(COLUMNS);
    assert_eq!(wrap(&line), line);
    assert_eq!(wrap(&format!("\u{1b}[1m{line}\u{1b}[0m")), format!("\u{1b}[1m{line}\u{1b}[0m"));
    assert_eq!(wrap(&format!("{line}y\nz")), format!("{line}\ny\nz"));
    let word = "y".repeat(COLUMNS - 1);
    assert_eq!(wrap(&format!("a {word} b")), format!("a \n{word} \nb"));
}
