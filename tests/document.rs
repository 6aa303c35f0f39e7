//! Tests properties of every document: parsing never panics, every diagnostic has a place in the
//! file, SQL is an exact slice of the source, only versions determine the order, and a mistyped tag
//! never loses a block silently.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use tatmig::database::ConnectionSetup;
use tatmig::document::ScopedSql;
use tatmig::{Changelog, ColorMode, Diagnostic, Scope, Source};

/// Lines and parts of lines that rarely fit together.
const FRAGMENTS: &[&str] = &[
    "```sql",
    "```",
    "````",
    "~~~",
    "~~~sqlite",
    "```markdown",
    "    ",
    "\t",
    "> ",
    "- ",
    "1. ",
    "# Notebook",
    "## Baseline: 1.0.0",
    "## Migration: 1.0.0 → 1.1.0 (Planned)",
    "### 1.1.0 -> 1.0.0",
    "Setext 1.0.0 → 1.1.0\n====",
    "**Date**: 2025-01-02",
    "**Description:** née → 📌",
    "<!--",
    "-->",
    "<div>",
    "-- [user:baseline→1.0.0:start]",
    "-- [user:baseline→1.0.0:end]",
    "-- [user:1.0.0->1.1.0:start]",
    "-- [user:1.0.0->1.1.0:end]",
    "-- [system:1.1.0→1.0.0:start]",
    "-- [system:1.1.0→1.0.0:end]",
    "-- [user:seed:rows:start]",
    "-- [user:seed:rows:end]",
    "-- [user:from→to:start]",
    "-- [user:from→to:end]",
    "-- [usr:1.0.0→1.1.0:strat]",
    "-- [user:v1→é:start] 📌",
    "[user:1.0.0→1.1.0:start]",
    "/* [user:1.0→1.1:END] */",
    "-- [→:start]",
    "-- [",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);",
    "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1;",
    "END;",
    "INSERT INTO notes (body) VALUES ('it''s → 📌');",
    "INSERT OR ROLLBACK INTO notes VALUES (1, '');",
    "ALTER TABLE notes ADD COLUMN pinned;",
    "SELECT é FROM 📌 WHERE ?1 = :née;",
    "COMMIT;",
    "PRAGMA user_version = 3",
    "'",
    "\"",
    "`",
    "/*",
    "*/",
    ";",
    "\\",
    "\0",
    "\r",
    "\u{feff}",
    "\u{2028}",
    "e\u{301}",
    "👩‍👩‍👧",
    "",
];

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\n\n"), 1 => Just("")]
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        20 => select(FRAGMENTS).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (select(FRAGMENTS), 500..1500_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ];
    let lines = prop::collection::vec((fragment, line_end()), 0..24);
    (any::<bool>(), lines).prop_map(|(bom, lines)| {
        let mut text = String::from(if bom { "\u{feff}" } else { "" });
        for (fragment, end) in lines {
            text.push_str(&fragment);
            text.push_str(end);
        }
        text
    })
}

/// SQL with any number of lines; it is not run.
const SQL: &[&str] = &[
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    "INSERT INTO notes (body) VALUES ('née → 📌');",
    "INSERT INTO notes (body) VALUES ('\n-- [user:900.0.0→900.1.0:end]\n');",
    "-- only a comment: it's fine",
    "/* of\n\n   three lines */",
    "",
    "    SELECT 1;",
    "SELECT \"a\"\"b\", [c d];",
    "\tDROP VIEW recent;",
];

/// The container of a code block, which determines the prefix of its lines.
const CONTAINERS: &[(&str, &str)] =
    &[("", ""), ("", ""), ("- ", "  "), ("> ", "> "), ("1. > ", "   > "), ("> - ", ">   ")];

const FENCES: &[(&str, &str)] = &[
    ("```sql", "```"),
    ("```", "```"),
    ("~~~~ SQLite title", "~~~~"),
    ("`````sql", "``````"),
    ("", ""),
];

/// One intended block.
#[derive(Clone, Debug)]
struct Block {
    scope: Scope,
    from: String,
    to: String,
    sql: Vec<&'static str>,
    arrow: &'static str,
    fence: (&'static str, &'static str),
    container: (&'static str, &'static str),
    order: u32,
}

/// A valid document whose sections are not in version order.
#[derive(Clone, Debug)]
struct GeneratedDocument {
    text: String,
    versions: Vec<String>,
    blocks: Vec<Block>,
    line_end: &'static str,
}

impl Block {
    fn tag(&self, boundary: &str) -> String {
        format!("-- [{}:{}{}{}:{boundary}]", self.scope, self.from, self.arrow, self.to)
    }

    /// The SQL as it is in the document, without the prefixes of its container.
    fn sql_text(&self, line_end: &str) -> String {
        let lines = self.sql.iter().flat_map(|sql| sql.split('\n'));
        lines.fold(String::new(), |text, line| text + line + line_end)
    }

    fn write(&self, text: &mut String) {
        let indent = if self.fence.0.is_empty() { "    " } else { "" };
        let mut lines = vec![self.tag("start")];
        lines.extend(self.sql.iter().flat_map(|sql| sql.split('\n')).map(str::to_owned));
        lines.push(self.tag("end"));
        for line in &mut lines {
            line.insert_str(0, indent);
        }
        if indent.is_empty() {
            lines.insert(0, self.fence.0.to_owned());
            lines.push(self.fence.1.to_owned());
        }
        let (first, rest) = self.container;
        for (index, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "{}{line}", if index == 0 { first } else { rest });
        }
    }
}

fn versions() -> impl Strategy<Value = Vec<String>> {
    let step = (0..3_u8, 1..12_u64, any::<bool>());
    prop::collection::vec(step, 1..8).prop_map(|steps| {
        let mut numbers = [0, 1, 0];
        let mut versions = Vec::new();
        for (component, increment, is_prerelease) in steps {
            let component = usize::from(component);
            numbers[component] += increment;
            numbers[component + 1..].fill(0);
            let [major, minor, patch] = numbers;
            if is_prerelease {
                versions.push(format!("{major}.{minor}.{patch}-rc.{increment}"));
            }
            versions.push(format!("{major}.{minor}.{patch}"));
        }
        versions
    })
}

fn generated_document() -> impl Strategy<Value = GeneratedDocument> {
    let style = (
        (any::<bool>(), any::<bool>()),
        prop::collection::vec(select(SQL), 0..4),
        select(&["→", "->", " → ", " -> "][..]),
        select(FENCES),
        select(CONTAINERS),
        any::<u32>(),
    );
    let styles = prop::collection::vec(style, 16);
    (versions(), styles, any::<bool>(), any::<bool>()).prop_map(|(versions, styles, crlf, bom)| {
        let from = std::iter::once("baseline").chain(versions.iter().map(String::as_str));
        let mut blocks = Vec::new();
        for ((from, to), dress) in from.zip(&versions).zip(styles) {
            let ((has_both_scopes, system_first), sql, arrow, fence, container, order) = dress;
            let scopes = if system_first { Scope::BOTH } else { [Scope::User, Scope::System] };
            let from = from.to_owned();
            blocks.extend(scopes.into_iter().take(1 + usize::from(has_both_scopes)).map(|scope| {
                Block {
                    scope,
                    from: from.clone(),
                    to: to.clone(),
                    sql: sql.clone(),
                    arrow,
                    fence,
                    container,
                    order: order.rotate_left(u32::from(scope == Scope::User)),
                }
            }));
        }
        blocks.sort_by_key(|block| block.order);
        let mut text = String::from(if bom { "\u{feff}# Née\n\n" } else { "" });
        for (index, block) in blocks.iter().enumerate() {
            // A paragraph without indentation ends every container before it.
            let _ = write!(text, "Part {index}.\n\n");
            block.write(&mut text);
            text.push('\n');
        }
        let line_end = if crlf { "\r\n" } else { "\n" };
        if crlf {
            text = text.replace('\n', line_end);
        }
        GeneratedDocument { text, versions, blocks, line_end }
    })
}

/// The SQL of every forward block of a changelog, with the content of its tag.
fn forward_blocks<'c, 'a>(
    changelog: &'c Changelog<'a>,
) -> impl Iterator<Item = (Scope, String, &'c ScopedSql<'a>)> {
    changelog.forward_migrations().flat_map(|migration| {
        Scope::BOTH.into_iter().filter_map(move |scope| {
            migration.block(scope).map(|part| (scope, migration.to_string(), part))
        })
    })
}

/// The blocks that a changelog would run, in order.
fn sql_in_order(changelog: &Changelog<'_>) -> Vec<(Scope, String, String)> {
    forward_blocks(changelog)
        .map(|(scope, name, part)| (scope, name, part.sql().text().to_owned()))
        .collect()
}

fn check_spans(source: &Source<'_>, diagnostics: &[Diagnostic]) -> Result<(), TestCaseError> {
    let text = source.text();
    for diagnostic in diagnostics {
        let related = diagnostic.related.iter().map(|(span, _)| span);
        for span in std::iter::once(&diagnostic.span).chain(related) {
            prop_assert!(text.get(span.clone()).is_some(), "{span:?} of {diagnostic:?}");
        }
        prop_assert!(!diagnostic.message.is_empty());
        prop_assert!(!diagnostic.render(source, ColorMode::Colored).is_empty());
        let rendered = diagnostic.render(source, ColorMode::Plain);
        let location = source.format_position(diagnostic.span.start);
        prop_assert!(
            rendered.contains(&format!("--> {location}\n")),
            "{location} is not in\n{rendered}"
        );
    }
    Ok(())
}

fn check_document(text: &str) -> Result<(), TestCaseError> {
    let source = Source::new("m.md", text);
    let lint_report = tatmig::lint::lint(source.clone(), &ConnectionSetup::default());
    check_spans(&source, &lint_report.diagnostics)?;
    match Changelog::parse_named("m.md", text) {
        Ok(changelog) => check_spans(&source, changelog.warnings())?,
        Err(error) => {
            prop_assert!(lint_report.is_unusable);
            prop_assert!(!error.to_string().is_empty());
            check_spans(&source, error.diagnostics())?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}|(?s).{0,200}") {
        check_document(&text)?;
    }

    #[test]
    fn fragments_are_read_without_a_panic_and_every_problem_has_a_place(text in fragments()) {
        check_document(&text)?;
    }

    #[test]
    fn a_corrupted_document_is_read_without_a_panic(
        document in generated_document(),
        cut in any::<(Index, Index)>(),
        patch in select(FRAGMENTS),
    ) {
        let start = cut.0.index(document.text.len() + 1);
        let mut ends = [start, (start + cut.1.index(60)).min(document.text.len())];
        for end in &mut ends {
            while !document.text.is_char_boundary(*end) {
                *end -= 1;
            }
        }
        let mut text = document.text;
        text.replace_range(ends[0]..ends[1], patch);
        check_document(&text)?;
    }

    #[test]
    fn blocks_are_ordered_by_version(document in generated_document()) {
        let changelog = Changelog::parse(&document.text);
        let changelog = changelog.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let found: Vec<_> = changelog.versions().iter().map(ToString::to_string).collect();
        prop_assert_eq!(&found, &document.versions);
        prop_assert_eq!(changelog.head().to_string(), found[found.len() - 1].clone());
        prop_assert_eq!(changelog.baselines().len(), 1);
    }

    #[test]
    fn sql_is_the_bytes_of_the_document(document in generated_document()) {
        let changelog = Changelog::parse(&document.text);
        let changelog = changelog.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(forward_blocks(&changelog).count(), document.blocks.len());
        for (scope, name, part) in forward_blocks(&changelog) {
            let block = document.blocks.iter()
                .find(|block| block.scope == scope && name == format!("{} → {}", block.from, block.to))
                .unwrap();
            let piece = part.sql();
            prop_assert_eq!(piece.text(), block.sql_text(document.line_end));
            prop_assert_eq!(&document.text[part.tag_span()], block.tag("start"));
            if block.container.0.is_empty() && !block.fence.0.is_empty() {
                let at = piece.document_offset(0);
                prop_assert_eq!(piece.text(), &document.text[at..at + piece.text().len()]);
            }
            for (at, byte) in piece.text().bytes().enumerate() {
                prop_assert_eq!(byte, document.text.as_bytes()[piece.document_offset(at)]);
            }
        }
    }

    #[test]
    fn a_missing_tag_line_is_an_error(document in generated_document(), which in any::<Index>()) {
        let tags: Vec<_> = document.blocks.iter().map(|block| block.tag("start"))
            .chain(document.blocks.iter().map(|block| block.tag("end")))
            .collect();
        let text = document.text.replacen(which.get(&tags).as_str(), "", 1);
        prop_assert!(Changelog::parse(&text).is_err(), "{}", text);
    }

    #[test]
    fn a_missing_fence_loses_no_block(document in generated_document(), which in any::<Index>()) {
        let before = Changelog::parse(&document.text).map(|changelog| sql_in_order(&changelog));
        let before = before.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let fences: Vec<_> = document.text.match_indices(['`', '~'])
            .map(|(at, mark)| at..document.text[at..].find('\n').map_or(0, |end| at + end + mark.len()))
            .filter(|fence| !document.text[..fence.start].ends_with(['`', '~']))
            .collect();
        prop_assume!(!fences.is_empty());
        let mut text = document.text.clone();
        text.replace_range(which.get(&fences).clone(), document.line_end);
        if let Ok(changelog) = Changelog::parse(&text) {
            prop_assert_eq!(sql_in_order(&changelog), before, "{}", text);
        }
    }

    #[test]
    fn a_typo_in_a_tag_loses_no_block(
        document in generated_document(),
        which in any::<Index>(),
        at in any::<Index>(),
        slip in prop_oneof![select(&["", " ", "0", "1", "-", "[", "]", ":", "s", "U", ".", "→", "\n"][..])],
        replaces in any::<bool>(),
    ) {
        let before = Changelog::parse(&document.text).map(|changelog| sql_in_order(&changelog));
        let before = before.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let tags: Vec<_> = document.blocks.iter().map(|block| block.tag("start"))
            .chain(document.blocks.iter().map(|block| block.tag("end")))
            .collect();
        let tag = which.get(&tags);
        let chars: Vec<_> = tag.char_indices().map(|(at, c)| at..at + c.len_utf8()).collect();
        let mut place = at.get(&chars).clone();
        if !replaces {
            place.end = place.start;
        }
        let mut wrong = tag.clone();
        wrong.replace_range(place, slip);
        let text = document.text.replacen(tag.as_str(), &wrong, 1);
        if let Ok(changelog) = Changelog::parse(&text) {
            // A line end before the tag adds a blank line of SQL.
            let trim = |(scope, name, sql): (Scope, String, String)| (scope, name, sql.trim().to_owned());
            let after: Vec<_> = sql_in_order(&changelog).into_iter().map(trim).collect();
            let before: Vec<_> = before.into_iter().map(trim).collect();
            prop_assert_eq!(after, before, "{} for {}", wrong, tag);
        }
    }
}
