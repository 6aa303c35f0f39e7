//! Reads pages of documentation: their fenced blocks, and the HTML comments that say how a block is
//! tested. A reader does not see these comments:
//!
//! - `<!-- file: PATH -->`: the next block is the content of this file
//! - `<!-- append: PATH -->`: the next block is added at the end of this file
//! - `<!-- todo: PATH -->`: the next block replaces the first `-- tatmig:todo` of this file
//! - `<!-- fill: PATH SQL -->`: this SQL replaces every `-- tatmig:todo` of this file
//! - `<!-- shows: PATH -->`: the next block is what this file now contains, but for dates
//! - `<!-- run: COMMAND -->`: the shell runs this command, which must succeed
//! - `<!-- sqlite: PATH SQL -->`: SQLite runs this SQL on this file, and creates it if necessary
//! - `<!-- exit: N -->`: the last command of the next block exits with this status
//! - `<!-- restart -->`: the commands that follow begin in an empty directory

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The pages whose commands the tests run, whose blocks they read, and which the book consists of,
/// but for the README.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) struct Page {
    /// The path below the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a page has for the tests, in the order of the page.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Block(Block),
    Directive(Directive),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) content: String,
    /// Where the content is in the text of the page.
    pub(crate) range: Range<usize>,
    /// The line of the opening fence, from 1.
    pub(crate) line: usize,
    /// The backticks of the fence.
    pub(crate) fence: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Directive {
    File(String),
    Append(String),
    Todo(String),
    Fill { path: String, sql: String },
    Shows(String),
    Run(String),
    Sqlite { path: String, sql: String },
    Exit(i32),
    Restart,
}

impl Page {
    pub(crate) fn read(path: impl Into<String>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .replace("\r\n", "\n");
        Self { path, text }
    }

    pub(crate) fn file(&self) -> PathBuf {
        root().join(&self.path)
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut offset = 0;
        let mut open: Option<Block> = None;
        let mut comment: Option<String> = None;
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            let next = offset + line.len();
            let text = line.trim_end_matches('\n');
            let ticks = text.bytes().take_while(|byte| *byte == b'`').count();
            if let Some(block) = &mut open {
                if ticks >= block.fence && text.len() == ticks {
                    block.range.end = offset;
                    self.text[block.range.clone()].clone_into(&mut block.content);
                    items.extend(open.take().map(Item::Block));
                }
            } else if ticks >= 3 {
                let block = Block {
                    label: text[ticks..].to_owned(),
                    content: String::new(),
                    range: next..next,
                    line: index + 1,
                    fence: ticks,
                };
                open = Some(block);
            } else if comment.is_some() || text.starts_with("<!-- ") {
                let comment_text = comment.get_or_insert_default();
                comment_text.push_str(line);
                if text.ends_with("-->") {
                    let directive = self.directive(comment_text, index + 1);
                    items.extend(directive.map(Item::Directive));
                    comment = None;
                }
            }
            offset = next;
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path);
        assert!(comment.is_none(), "{}: a comment is not closed", self.path);
        items
    }

    /// The directive of a comment; none for comments with another purpose.
    fn directive(&self, comment: &str, line: usize) -> Option<Directive> {
        let text = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        let (name, argument) = text.split_once(':').unwrap_or((text, ""));
        let argument = argument.trim().to_owned();
        match name {
            "file" => Some(Directive::File(argument)),
            "append" => Some(Directive::Append(argument)),
            "todo" => Some(Directive::Todo(argument)),
            "fill" => {
                let (path, sql) = argument.split_once(' ').unwrap();
                Some(Directive::Fill { path: path.to_owned(), sql: sql.to_owned() })
            }
            "shows" => Some(Directive::Shows(argument)),
            "run" => Some(Directive::Run(argument)),
            "sqlite" => {
                let (path, sql) = argument.split_once(' ').unwrap();
                Some(Directive::Sqlite { path: path.to_owned(), sql: sql.to_owned() })
            }
            "exit" => Some(Directive::Exit(argument.parse().unwrap())),
            "restart" => Some(Directive::Restart),
            "help" | "settings" | "end" | "tatmig" => None,
            _ => panic!("{}:{line}: the tests know no comment `{name}`", self.path),
        }
    }
}

#[test]
fn blocks_and_directives_are_found_in_their_order() {
    let text = "a\n<!-- file: x.md -->\n````markdown\n```sql\nx\n```\n````\n<!-- run: a\nb -->\n";
    let page = Page { path: "p.md".to_owned(), text: text.to_owned() };
    let content = "```sql\nx\n```\n";
    let start = text.find(content).unwrap();
    let block = Block {
        label: "markdown".to_owned(),
        content: content.to_owned(),
        range: start..start + content.len(),
        line: 3,
        fence: 4,
    };
    let expected = [
        Item::Directive(Directive::File("x.md".to_owned())),
        Item::Block(block),
        Item::Directive(Directive::Run("a\nb".to_owned())),
    ];
    assert_eq!(page.items(), expected);
}
