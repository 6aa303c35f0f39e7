//! How a document writes its migrations: the rank and the words of their headings, the arrow, the
//! fields, the headings of the two scopes, rules between sections. What it has never written is
//! written as the README does.

use crate::document::changelog::Changelog;
use crate::document::lines::{Field, field, lines};
use crate::document::migration::Migration;
use crate::document::tag::{Point, Scope};
use crate::edit::page::Page;

pub(crate) struct Style {
    pub(crate) level: u8,
    /// What stands before the versions in a heading.
    prefix: String,
    heading_arrow: String,
    pub(crate) tag_arrow: &'static str,
    /// The line of each field up to its value.
    date: String,
    description: String,
    /// The headings over the blocks of each scope, whole lines.
    scopes: [Option<String>; 2],
    /// Whether a rule stands before each section.
    pub(crate) rules: bool,
}

impl Style {
    /// The style of the latest migrations that show one.
    pub(crate) fn of(page: &Page<'_>, changelog: Option<&Changelog<'_>>) -> Self {
        let mut style = Self {
            level: 2,
            prefix: String::new(),
            heading_arrow: " → ".to_owned(),
            tag_arrow: "→",
            date: "**Date**: ".to_owned(),
            description: "**Description**: ".to_owned(),
            scopes: [None, None],
            rules: false,
        };
        let Some(changelog) = changelog else { return style };
        let mut migrations: Vec<&Migration<'_>> = changelog.baselines()[..1].iter().collect();
        migrations.extend(&changelog.chain()[..changelog.head_position()]);
        // The latest one has the last word.
        for migration in migrations {
            style.learn(page, migration);
        }
        style
    }

    fn learn(&mut self, page: &Page<'_>, migration: &Migration<'_>) {
        let pair = (&migration.from, &migration.to);
        let Some(first) = page.of(pair).next() else { return };
        self.tag_arrow = if page.text[first.span.clone()].contains("->") { "->" } else { "→" };
        let Some(home) = page.home(first.section) else { return };
        let section = &page.blocks.sections[home];
        self.level = section.level;
        let heading = page.text[section.span.clone()].lines().next().unwrap_or("");
        if migration.from != Point::Baseline
            && let Some((prefix, arrow)) = parts_of(heading, pair)
        {
            (self.prefix, self.heading_arrow) = (prefix, arrow);
        }
        let extent = page.extent(home);
        let above = page.text[..extent.start].trim_end();
        self.rules = is_rule(above.lines().next_back().unwrap_or(""));
        let head = section.span.end..first.span.start.max(section.span.end);
        for line in lines(page.text, head) {
            let line = page.text[line].trim_end();
            let Some((name, value)) = field(line) else { continue };
            let before = &line[..line.len() - value.len()];
            match name {
                Field::Date => before.clone_into(&mut self.date),
                Field::Description => before.clone_into(&mut self.description),
            }
        }
        for scope in Scope::BOTH {
            let Some(block) = page.part(pair, scope) else { continue };
            if let Some(own) = block.section.filter(|own| *own != home) {
                let line = page.text[page.blocks.sections[own].span.clone()].trim_end();
                let plain = line.starts_with('#') && !line.contains(|c: char| c.is_ascii_digit());
                let shared = Scope::BOTH.into_iter().any(|other| {
                    other != scope
                        && page.part(pair, other).is_some_and(|other| other.section == Some(own))
                });
                if plain && !shared && !line.contains(['\n', '(']) {
                    self.scopes[scope as usize] = Some(line.to_owned());
                }
            }
        }
    }

    /// The heading of a migration, without its line end.
    pub(crate) fn heading(&self, from: &Point, to: &Point) -> String {
        let marks = "#".repeat(usize::from(self.level));
        match from {
            Point::Baseline => format!("{marks} Baseline: {to}"),
            Point::Version(from) => {
                format!("{marks} {}{from}{}{to}", self.prefix, self.heading_arrow)
            }
        }
    }

    pub(crate) fn date(&self, date: &str) -> String {
        format!("{}{date}", self.date)
    }

    pub(crate) fn description(&self, text: &str) -> String {
        format!("{}{text}", self.description)
    }

    /// The heading over the blocks of a scope, if the document has such.
    pub(crate) fn scope(&self, scope: Scope) -> Option<&str> {
        self.scopes[scope as usize].as_deref()
    }
}

/// What stands before and between the versions of a heading.
fn parts_of(heading: &str, (from, to): (&Point, &Point)) -> Option<(String, String)> {
    let text = heading.trim_start().trim_start_matches('#').trim_start();
    let (from, to) = (from.to_string(), to.to_string());
    let start = text.find(&from)?;
    let rest = &text[start + from.len()..];
    let arrow = &rest[..rest.find(&to)?];
    let bare = arrow.trim().trim_end_matches('v');
    let prefix = &text[..start];
    // Numbers in front are this heading's own.
    let numbered = prefix.contains(|c: char| c.is_ascii_digit());
    (bare.trim() == "→" || bare.trim() == "->")
        .then(|| (if numbered { String::new() } else { prefix.to_owned() }, arrow.to_owned()))
}

/// Whether a line is a thematic break.
pub(crate) fn is_rule(line: &str) -> bool {
    let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    bare.len() >= 3 && ["-", "*", "_"].iter().any(|mark| bare.replace(mark, "").is_empty())
}
