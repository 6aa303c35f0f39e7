//! Follows the links of the documents to files and headings. Links to other sites are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use crate::page::{Page, pages, root};

/// The address of the repository's files, for links that leave the book.
const REPOSITORY: &str = "https://github.com/tatmig/tatmig/";

/// Documents that are not pages of the book.
const OTHER_DOCUMENTS: [&str; 14] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/README.md",
    "editors/emacs/README.md",
    "editors/helix/README.md",
    "editors/neovim/README.md",
    "editors/vscode/README.md",
    "editors/zed/README.md",
    "examples/fastapi-notes/README.md",
    "examples/node-notes/README.md",
    "packaging/README.md",
    "packaging/npm/README.md",
    "packaging/python/README.md",
];

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let documents: Vec<_> = pages().into_iter().chain(OTHER_DOCUMENTS.map(Page::read)).collect();
    let mut anchors = BTreeMap::new();
    let mut broken = Vec::new();
    let mut links = 0;
    for document in &documents {
        for link in links_of(&document.text) {
            links += 1;
            if let Err(reason) = follow(document, &link, &mut anchors) {
                broken.push(format!("{}: `{link}` {reason}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(links >= 20, "the documents have links");
}

#[test]
fn every_page_is_in_the_summary_and_the_index() {
    for list in ["docs/SUMMARY.md", "docs/README.md"] {
        let listed: BTreeSet<_> = links_of(&Page::read(list).text)
            .into_iter()
            .map(|link| format!("docs/{link}"))
            .collect();
        for page in pages() {
            if !["README.md", "docs/SUMMARY.md", "docs/README.md"].contains(&page.path.as_str()) {
                assert!(listed.contains(&page.path), "{list} does not list {}", page.path);
            }
        }
    }
}

/// Checks that a link leads somewhere, or returns why it does not.
fn follow(
    document: &Page,
    link: &str,
    anchors: &mut BTreeMap<PathBuf, BTreeSet<String>>,
) -> Result<(), &'static str> {
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = if let Some(path) = target.strip_prefix(REPOSITORY) {
        match path.strip_prefix("blob/main/").or_else(|| path.strip_prefix("tree/main/")) {
            Some(path) => PathBuf::from(path),
            None => return Ok(()),
        }
    } else if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    } else if target.is_empty() {
        PathBuf::from(&document.path)
    } else {
        resolve(Path::new(&document.path).parent().unwrap(), target)?
    };
    if document.path.starts_with("docs/")
        && !target.starts_with(REPOSITORY)
        && !path.starts_with("docs")
    {
        return Err("leaves the book: link to https://github.com/tatmig/tatmig/blob/main/…");
    }
    if !root().join(&path).exists() {
        return Err("does not exist");
    }
    if !anchor.is_empty() {
        let known = anchors.entry(path.clone()).or_insert_with(|| {
            anchors_of(&fs::read_to_string(root().join(&path)).unwrap_or_default())
        });
        if !known.contains(anchor) {
            return Err("names no heading of that page");
        }
    }
    Ok(())
}

/// The path of a link from a directory of the repository.
fn resolve(directory: &Path, target: &str) -> Result<PathBuf, &'static str> {
    let mut path = PathBuf::new();
    for component in directory.join(target).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return Err("leaves the repository"),
        }
    }
    Ok(path)
}

/// The targets of links and pictures, those in HTML included.
fn links_of(text: &str) -> Vec<String> {
    let in_html = Regex::new(r#"\b(?:href|src|srcset)="([^"]*)""#).unwrap();
    let mut links = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push(dest_url.into_string());
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                links.extend(in_html.captures_iter(&html).map(|captures| captures[1].to_owned()));
            }
            _ => {}
        }
    }
    links
}

/// The anchors of the headings, as GitHub and mdBook form them.
fn anchors_of(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let mut unique = slug.clone();
                let mut count = 0;
                while !anchors.insert(unique.clone()) {
                    count += 1;
                    unique = format!("{slug}-{count}");
                }
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let letters = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    letters.flat_map(char::to_lowercase).collect()
}

#[test]
fn headings_have_the_anchors_of_github() {
    let text = "# What `test` does\n\n```sh\n# no heading\n```\n\n## Go back\n\n## Go back\n";
    let expected = ["go-back", "go-back-1", "what-test-does"].map(String::from);
    assert_eq!(anchors_of(text), BTreeSet::from(expected));
}

#[test]
fn a_wrong_link_is_found() {
    let page = Page { path: "docs/a.md".to_owned(), text: String::new() };
    let mut anchors = BTreeMap::new();
    let mut result = |link: &str| follow(&page, link, &mut anchors);
    assert_eq!(result("lints.md#destructive"), Ok(()));
    assert_eq!(result("lints.md#no-such-rule"), Err("names no heading of that page"));
    assert_eq!(result("no-such-page.md"), Err("does not exist"));
    assert_eq!(result("../../outside.md"), Err("leaves the repository"));
    assert!(result("../README.md").unwrap_err().starts_with("leaves the book"));
    assert_eq!(result(&format!("{REPOSITORY}blob/main/README.md")), Ok(()));
    assert_eq!(result(&format!("{REPOSITORY}blob/main/no-such.md")), Err("does not exist"));
}
