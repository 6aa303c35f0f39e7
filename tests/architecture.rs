//! Checks the layout of `src/` and the wording of what users read.
//!
//! The checks read the sources with a Rust parser, so unit tests do not count. Only the check of
//! comments reads lines, of tests and benchmarks as well. Each check is a function from files to
//! violations, and has a unit test on a small source that violates its rule.
#![allow(
    clippy::expect_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// The modules directly under `src/`, from top to bottom. A module imports only modules below it.
/// `cli` belongs to the binary and reaches the library through the crate `tatmig`.
const LAYERS: [&str; 22] = [
    "main",
    "cli",
    "lsp",
    "import",
    "edit",
    "backup",
    "fleet",
    "selftest",
    "lint",
    "schema_diff",
    "migrate",
    "target",
    "libsql",
    "plan",
    "sqlite",
    "database",
    "document",
    "sqld",
    "schema",
    "sql",
    "source",
    "text",
];

/// The only files directly under `src/`; everything else lives in a directory.
const ROOT_FILES: [&str; 4] = ["src/main.rs", "src/lib.rs", "src/source.rs", "src/text.rs"];

/// The crate roots, which declare and re-export every module.
const CRATE_ROOTS: [&str; 2] = ["src/main.rs", "src/lib.rs"];

const MAX_LINES: usize = 450;

/// Words that a reader with English as a second language has to guess, as regular expressions.
const BANNED_WORDS: &[&str] = &[
    "tells?|told|telling",
    "stands?|stood|standing",
    "mend(s|ed|ing)?",
    "anew",
    r"(takes?|taken|taking|took)(\s+\S+){0,2}\s+back",
    r"(is|are)\s+there",
    r"not\s+begun",
    r"(goes|went)\s+through",
    r"(is|are)\s+none",
    r"made\s+out",
    "nobody",
    "kin",
    "likewise",
    "goes",
    "hangs?",
    "lent",
    "mercy",
    "errand",
];

/// Texts that contain a banned word in another sense, and may.
const ALLOWED_PHRASES: &[&str] = &[
    // The usual adjective, not the verb.
    "stand-alone",
];

#[test]
fn modules_import_only_lower_layers() {
    assert_none(&upward_imports(&read_sources()));
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    assert_none(&import_circles(&read_sources()));
}

#[test]
fn only_the_named_files_are_at_the_root() {
    assert_none(&stray_root_files(&read_sources()));
}

#[test]
fn files_are_short() {
    assert_none(&long_files(&read_sources()));
}

#[test]
fn functions_take_no_tuples() {
    assert_none(&tuple_parameters(&read_sources()));
}

#[test]
fn one_module_opens_connections() {
    let mut files = read_sources();
    // The databases of the demo belong to a document of its own.
    files.retain(|file| file.path != "src/cli/commands/demo.rs");
    assert_none(&opened_connections(&files));
}

#[test]
fn one_module_is_unsafe() {
    assert_none(&unsafe_code(&read_sources()));
}

#[test]
fn messages_use_plain_words() {
    assert_none(&banned_words_in_messages(&read_sources()));
}

#[test]
fn comments_use_plain_words() {
    let mut files = read_sources();
    for directory in ["tests", "benches", "fuzz/fuzz_targets"] {
        files.extend(read_directory(directory));
    }
    // This file contains the words.
    files.retain(|file| file.path != "tests/architecture.rs");
    assert_none(&banned_words_in_comments(&files));
}

#[test]
fn every_file_is_declared_as_a_module() {
    assert_none(&undeclared_files(&read_sources()));
}

#[test]
fn help_uses_plain_words() {
    let mut violations = Vec::new();
    check_help(&mut Vec::new(), &mut violations);
    assert_none(&violations);
}

#[test]
fn documents_use_plain_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "packaging/python/README.md",
        "packaging/npm/README.md",
    ];
    let mut paths = names.map(String::from).to_vec();
    for entry in fs::read_dir(root.join("docs")).expect("docs/ is readable") {
        let name = entry.expect("docs/ is readable").file_name();
        let name = name.to_str().expect("names in docs/ are UTF-8");
        paths.extend(has_extension(name, "md").then(|| format!("docs/{name}")));
    }
    let mut violations = Vec::new();
    for path in paths {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        for (line, word) in banned_words_in(&text) {
            violations.push(Violation::new(&path, line, format!("`{word}`")));
        }
    }
    assert_none(&violations);
}

/// Where a rule is violated, and how.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: String) -> Self {
        Self { path: path.to_owned(), line, message }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Panics with all violations, and their number per directory.
#[track_caller]
fn assert_none(violations: &[Violation]) {
    let mut counts = BTreeMap::new();
    let mut list = String::new();
    for violation in violations {
        let directory = violation.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        *counts.entry(directory).or_insert(0) += 1;
        writeln!(list, "{violation}").expect("a string takes any text");
    }
    assert!(violations.is_empty(), "{} violations {counts:?}\n{list}", violations.len());
}

/// A file of `src/`, parsed.
struct SourceFile {
    /// Relative to the crate, with slashes: `src/plan/mod.rs`.
    path: String,
    text: String,
    items: syn::File,
}

impl SourceFile {
    fn parse(path: &str, text: &str) -> Self {
        let items = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text: text.to_owned(), items }
    }

    /// `["plan", "outcome"]` for `src/plan/outcome.rs`; empty for a crate root.
    fn module(&self) -> Vec<String> {
        if CRATE_ROOTS.contains(&self.path.as_str()) {
            return Vec::new();
        }
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(String::from).collect()
    }

    /// The module directly under `src/` that the file belongs to.
    fn layer(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or(path)
    }

    fn is_crate_root(&self) -> bool {
        CRATE_ROOTS.contains(&self.path.as_str())
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|own| own == extension)
}

fn read_sources() -> Vec<SourceFile> {
    read_directory("src")
}

/// Parses every Rust file below a directory of the crate, in the order of their paths.
fn read_directory(directory: &str) -> Vec<SourceFile> {
    fn collect(root: &Path, directory: &str, files: &mut Vec<SourceFile>) {
        for entry in fs::read_dir(root.join(directory)).expect("the sources are readable") {
            let entry = entry.expect("the sources are readable");
            let name = entry.file_name();
            let path = format!("{directory}/{}", name.to_str().expect("source names are UTF-8"));
            if entry.path().is_dir() {
                collect(root, &path, files);
            } else if has_extension(&path, "rs") {
                let text = fs::read_to_string(entry.path()).expect("the sources are readable");
                files.push(SourceFile::parse(&path, &text));
            }
        }
    }
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), directory, &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

/// A path in a file that names something of the crate.
struct Import {
    segments: Vec<String>,
    line: usize,
}

/// What the checks need of a file, without its unit tests and documentation.
#[derive(Default)]
struct Contents {
    paths: Vec<Import>,
    /// String literals, in macros and attributes too, each with its line.
    literals: Vec<(String, usize)>,
    /// The names of functions with a tuple parameter, each with its line.
    tuple_functions: Vec<(String, usize)>,
}

impl Contents {
    fn read(file: &SourceFile) -> Self {
        let mut contents = Self::default();
        contents.visit_file(&file.items);
        contents
    }

    fn add_use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let line = tree.span().start().line;
        let mut extend = |name: String| {
            let segments = prefix.iter().cloned().chain([name]).collect();
            self.paths.push(Import { segments, line });
        };
        match tree {
            syn::UseTree::Path(path) => {
                let prefix: Vec<_> =
                    prefix.iter().cloned().chain([path.ident.to_string()]).collect();
                self.add_use_tree(&prefix, &path.tree);
            }
            syn::UseTree::Name(name) => extend(name.ident.to_string()),
            syn::UseTree::Rename(rename) => extend(rename.ident.to_string()),
            syn::UseTree::Glob(_) => extend("*".to_owned()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use_tree(prefix, tree);
                }
            }
        }
    }

    /// Reads tokens that the parser leaves alone: the arguments of macros and attributes.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            index += 1;
            match token {
                TokenTree::Group(group) if !is_doc_attribute(group) => {
                    self.add_tokens(group.stream());
                }
                TokenTree::Literal(literal) => {
                    if let Ok(string) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.literals.push((string.value(), literal.span().start().line));
                    }
                }
                TokenTree::Ident(ident) if *ident == "crate" || *ident == "super" => {
                    let mut segments = vec![ident.to_string()];
                    while let [
                        TokenTree::Punct(_),
                        TokenTree::Punct(_),
                        TokenTree::Ident(name),
                        ..,
                    ] = &tokens[index..]
                    {
                        segments.push(name.to_string());
                        index += 3;
                    }
                    self.paths.push(Import { segments, line: ident.span().start().line });
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Contents {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_none() || !module.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.paths.push(Import { segments, line: path.span().start().line });
        visit::visit_path(self, path);
    }

    /// `pub(crate)` names no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.add_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.literals.push((literal.value(), literal.span().start().line));
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let takes_tuple = signature.inputs.iter().any(|input| match input {
            syn::FnArg::Typed(argument) => {
                is_tuple_pattern(&argument.pat) || is_tuple_type(&argument.ty)
            }
            syn::FnArg::Receiver(_) => false,
        });
        if takes_tuple {
            let line = signature.ident.span().start().line;
            self.tuple_functions.push((signature.ident.to_string(), line));
        }
        visit::visit_signature(self, signature);
    }
}

/// Whether a group is the `[doc = "…"]` of a documentation comment.
fn is_doc_attribute(group: &proc_macro2::Group) -> bool {
    let mut tokens = group.stream().into_iter();
    group.delimiter() == proc_macro2::Delimiter::Bracket
        && matches!(tokens.next(), Some(TokenTree::Ident(ident)) if ident == "doc")
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
}

fn is_tuple_pattern(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Tuple(_) => true,
        syn::Pat::Reference(reference) => is_tuple_pattern(&reference.pat),
        _ => false,
    }
}

/// Whether a type is a tuple or a reference to one. The unit type is not counted.
fn is_tuple_type(declared_type: &syn::Type) -> bool {
    match declared_type {
        syn::Type::Tuple(tuple) => !tuple.elems.is_empty(),
        syn::Type::Reference(reference) => is_tuple_type(&reference.elem),
        _ => false,
    }
}

/// The file that defines what a path names, with `crate`, `self` and `super` resolved; `None` for
/// paths that leave the crate or name something in the same file.
fn imported_file<'f>(
    importer: &SourceFile,
    segments: &[String],
    modules: &BTreeMap<Vec<String>, &'f SourceFile>,
) -> Option<&'f SourceFile> {
    let own_module = importer.module();
    let (mut path, rest) = match segments.first().map(String::as_str)? {
        "crate" => (Vec::new(), &segments[1..]),
        "self" => (own_module, &segments[1..]),
        "super" => {
            let levels = segments.iter().take_while(|segment| *segment == "super").count();
            let depth = own_module.len().saturating_sub(levels);
            (own_module[..depth].to_vec(), &segments[levels..])
        }
        // The name of a submodule, or else of another crate or a local item.
        name => {
            let child: Vec<_> = own_module.iter().cloned().chain([name.to_owned()]).collect();
            if !modules.contains_key(&child) {
                return None;
            }
            (own_module, segments)
        }
    };
    path.extend(rest.iter().cloned());
    while !path.is_empty() && !modules.contains_key(&path) {
        path.pop();
    }
    modules.get(&path).copied().filter(|file| file.path != importer.path)
}

/// The files by their modules. The crate roots share one entry: both mean "not from the defining
/// module".
fn files_by_module(files: &[SourceFile]) -> BTreeMap<Vec<String>, &SourceFile> {
    files.iter().map(|file| (file.module(), file)).collect()
}

fn upward_imports(files: &[SourceFile]) -> Vec<Violation> {
    let modules = files_by_module(files);
    let rank = |file: &SourceFile| LAYERS.iter().position(|layer| *layer == file.layer());
    let mut violations = BTreeSet::new();
    for file in files.iter().filter(|file| file.path != "src/lib.rs") {
        let Some(own_rank) = rank(file) else {
            let message = format!("`{}` is missing from LAYERS", file.layer());
            violations.insert(Violation::new(&file.path, 1, message));
            continue;
        };
        for import in Contents::read(file).paths {
            let Some(imported) = imported_file(file, &import.segments, &modules) else { continue };
            let message = if imported.is_crate_root() {
                format!("imports `{}` from the crate root", import.segments.join("::"))
            } else if imported.layer() != file.layer()
                && rank(imported).is_none_or(|imported_rank| imported_rank <= own_rank)
            {
                format!("imports {} from a higher layer", imported.path)
            } else {
                continue;
            };
            violations.insert(Violation::new(&file.path, import.line, message));
        }
    }
    violations.into_iter().collect()
}

/// A violation for each group of files that reach each other through imports.
fn import_circles(files: &[SourceFile]) -> Vec<Violation> {
    let modules = files_by_module(files);
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_crate_root()) {
        let contents = Contents::read(file);
        let imported = contents.paths.iter().filter_map(|import| {
            imported_file(file, &import.segments, &modules).map(|file| file.path.as_str())
        });
        imports.insert(&file.path, imported.collect());
    }
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|path| (*path, reachable_from(path, &imports))).collect();
    let mut violations = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (path, targets) in &reachable {
        if !targets.contains(path) || seen.contains(path) {
            continue;
        }
        let circle: Vec<_> =
            targets.iter().filter(|target| reachable[*target].contains(path)).copied().collect();
        seen.extend(&circle);
        let edges: Vec<_> = circle
            .iter()
            .flat_map(|from| imports[from].iter().map(move |to| (*from, *to)))
            .filter(|(_, to)| circle.contains(to))
            .map(|(from, to)| format!("\n    {from} imports {to}"))
            .collect();
        violations.push(Violation::new(path, 1, format!("import circle{}", edges.concat())));
    }
    violations
}

fn reachable_from<'f>(
    start: &str,
    imports: &BTreeMap<&'f str, BTreeSet<&'f str>>,
) -> BTreeSet<&'f str> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(path) = pending.pop() {
        for target in imports.get(path).into_iter().flatten() {
            if reached.insert(*target) {
                pending.push(target);
            }
        }
    }
    reached
}

fn stray_root_files(files: &[SourceFile]) -> Vec<Violation> {
    let stray = files.iter().filter(|file| {
        file.path.matches('/').count() == 1 && !ROOT_FILES.contains(&file.path.as_str())
    });
    stray.map(|file| Violation::new(&file.path, 1, "belongs in a directory".to_owned())).collect()
}

fn long_files(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let line_count = file.text.lines().count();
        if line_count > MAX_LINES {
            violations.push(Violation::new(&file.path, line_count, "too long".to_owned()));
        }
    }
    violations
}

fn tuple_parameters(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        for (name, line) in Contents::read(file).tuple_functions {
            violations.push(Violation::new(&file.path, line, format!("`{name}` takes a tuple")));
        }
    }
    violations
}

/// Every call that opens a connection outside the module that sets connections up.
fn opened_connections(files: &[SourceFile]) -> Vec<Violation> {
    let opens = |import: &Import| match import.segments.as_slice() {
        [.., owner, function] => owner == "Connection" && function.starts_with("open"),
        _ => false,
    };
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.path != "src/database/connection.rs") {
        for import in Contents::read(file).paths.into_iter().filter(opens) {
            let message = "opens a connection without its setup".to_owned();
            violations.push(Violation::new(&file.path, import.line, message));
        }
    }
    violations
}

/// Every line with the keyword `unsafe`, or with a directive that permits it, outside the module that
/// loads extensions, and every unsafe block of that module without a reason.
fn unsafe_code(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let is_unsafe = |line: &str| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe_code")
                || code
                    .split(|next: char| !next.is_alphanumeric() && next != '_')
                    .any(|word| word == "unsafe")
        };
        let is_exempt =
            file.path == "src/sqlite/extensions.rs" && file.text.contains("// SAFETY: ");
        for (index, line) in file.text.lines().enumerate().filter(|(_, line)| is_unsafe(line)) {
            if !is_exempt && !line.contains('"') {
                violations.push(Violation::new(&file.path, index + 1, "is unsafe".to_owned()));
            }
        }
    }
    violations
}

fn banned_words_in_messages(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        for (literal, line) in Contents::read(file).literals {
            for (_, word) in banned_words_in(&literal) {
                let message = format!("`{word}` in {literal:?}");
                violations.push(Violation::new(&file.path, line, message));
            }
        }
    }
    violations
}

fn banned_words_in_comments(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        for (line, word) in banned_words_in(&comments_of(&file.text)) {
            violations.push(Violation::new(&file.path, line, format!("`{word}` in a comment")));
        }
    }
    violations
}

/// The comments of a source, each on its line. A line without a comment becomes `;`, so that a
/// phrase of several words is not found across it.
fn comments_of(text: &str) -> String {
    let comment_of = |line: &str| {
        let start =
            if line.trim_start().starts_with("//") { line.find("//") } else { line.find(" // ") };
        start
            .map_or(";", |start| line[start..].trim_start().trim_start_matches(['/', '!']))
            .to_owned()
    };
    text.lines().map(comment_of).collect::<Vec<_>>().join("\n")
}

/// Files that no `mod` declares, and that are therefore not compiled.
fn undeclared_files(files: &[SourceFile]) -> Vec<Violation> {
    let mut declared = BTreeSet::new();
    for file in files {
        for item in &file.items.items {
            if let syn::Item::Mod(module) = item {
                let name = module.ident.to_string();
                declared.insert(file.module().into_iter().chain([name]).collect::<Vec<_>>());
            }
        }
    }
    let is_undeclared =
        |file: &&SourceFile| !file.is_crate_root() && !declared.contains(&file.module());
    let violation = |file: &SourceFile| {
        Violation::new(&file.path, 1, "no module declares this file".to_owned())
    };
    files.iter().filter(is_undeclared).map(violation).collect()
}

/// Every banned word of a text with its line, counted from one.
fn banned_words_in(text: &str) -> Vec<(usize, String)> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = format!(r"(?i)\b(?:{})\b", BANNED_WORDS.join("|"));
        Regex::new(&pattern).expect("the banned words are regular expressions")
    });
    let mut text = text.to_owned();
    for phrase in ALLOWED_PHRASES {
        text = text.replace(phrase, "");
    }
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    PATTERN
        .find_iter(&text)
        .map(|found| (line_of(found.start()), found.as_str().to_owned()))
        .collect()
}

/// Checks the help of a command and of its subcommands.
fn check_help(command: &mut Vec<String>, violations: &mut Vec<Violation>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tatmig"))
        .args(&*command)
        .arg("--help")
        .output()
        .expect("tatmig starts");
    assert!(output.status.success(), "`tatmig {} --help` fails", command.join(" "));
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    for (line, word) in banned_words_in(&help) {
        let path = format!("tatmig {} --help", command.join(" "));
        violations.push(Violation::new(&path, line, format!("`{word}`")));
    }
    for name in subcommands_in(&help) {
        command.push(name);
        check_help(command, violations);
        command.pop();
    }
}

/// The subcommands that a help text lists above its options, under one heading or several. `help`
/// is left out, since it repeats the others.
fn subcommands_in(help: &str) -> Vec<String> {
    let lines = help.lines().take_while(|line| *line != "Options:");
    let names = lines.filter_map(|line| {
        let line = line.strip_prefix("  ").filter(|rest| rest.starts_with(char::is_lowercase))?;
        line.split(' ').next().filter(|name| *name != "help")
    });
    names.map(String::from).collect()
}

mod checkers {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<SourceFile> {
        files.iter().map(|(path, text)| SourceFile::parse(path, text)).collect()
    }

    #[track_caller]
    fn assert_violations(violations: &[Violation], expected: &[&str]) {
        let lines: Vec<_> = violations.iter().map(Violation::to_string).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_import_from_a_higher_layer_is_found() {
        let files = sources(&[
            ("src/lib.rs", "pub use crate::plan::Plan;"),
            ("src/plan/mod.rs", "use crate::{document::tag::Tag, sqlite::{self, File}};"),
            (
                "src/sqlite/mod.rs",
                "pub(crate) fn f() -> crate::plan::Plan { crate::document::f() }",
            ),
            ("src/document/mod.rs", ""),
            ("src/document/tag.rs", "\nfn f() { println!(\"{}\", crate::plan::f()); }"),
            ("src/text.rs", "use crate::Plan;"),
            ("src/util/mod.rs", ""),
        ]);
        assert_violations(
            &upward_imports(&files),
            &[
                "src/document/tag.rs:2: imports src/plan/mod.rs from a higher layer",
                "src/sqlite/mod.rs:1: imports src/plan/mod.rs from a higher layer",
                "src/text.rs:1: imports `crate::Plan` from the crate root",
                "src/util/mod.rs:1: `util` is missing from LAYERS",
            ],
        );
    }

    #[test]
    fn unit_tests_may_import_anything() {
        let text = "#[cfg(test)] mod tests { use crate::plan::Plan; }";
        let files = sources(&[("src/plan/mod.rs", ""), ("src/text.rs", text)]);
        assert_violations(&upward_imports(&files), &[]);
    }

    #[test]
    fn an_import_circle_is_found() {
        let files = sources(&[
            ("src/lib.rs", "mod plan; pub use crate::plan::a::A;"),
            ("src/plan/mod.rs", "pub use a::A; mod a; mod b; mod c;"),
            ("src/plan/a.rs", "use crate::plan::{c::C, b as other};"),
            ("src/plan/b.rs", "fn f(_: super::a::A) {}"),
            ("src/plan/c.rs", "#[cfg(test)] mod tests { use crate::plan::a::A; }"),
        ]);
        assert_violations(
            &import_circles(&files),
            &["src/plan/a.rs:1: import circle
    src/plan/a.rs imports src/plan/b.rs
    src/plan/b.rs imports src/plan/a.rs"],
        );
    }

    #[test]
    fn a_circle_of_a_module_and_its_submodule_is_found() {
        let files = sources(&[
            ("src/plan/mod.rs", "mod a; fn f() { a::f() }"),
            ("src/plan/a.rs", "use crate::plan::Plan;"),
        ]);
        assert_eq!(import_circles(&files).len(), 1);
    }

    #[test]
    fn a_stray_root_file_is_found() {
        let files = sources(&[("src/lib.rs", ""), ("src/util.rs", ""), ("src/plan/util.rs", "")]);
        assert_violations(&stray_root_files(&files), &["src/util.rs:1: belongs in a directory"]);
    }

    #[test]
    fn a_long_file_is_found() {
        let limit = "\n".repeat(MAX_LINES);
        let files = sources(&[("src/a.rs", &limit), ("src/b.rs", &format!("{limit}\n"))]);
        assert_violations(&long_files(&files), &["src/b.rs:451: too long"]);
    }

    #[test]
    fn a_tuple_parameter_is_found() {
        let text = "fn pattern((a, b): Pair) {}
            fn plain(a: &str, unit: (), list: &[(u8, u8)], f: &dyn Fn(u8, u8)) {}
            impl S { fn method(&self, pair: &(u8, u8)) {} }
            trait T { fn declared(&self, pair: (u8, u8)); }";
        assert_violations(
            &tuple_parameters(&sources(&[("src/a.rs", text)])),
            &[
                "src/a.rs:1: `pattern` takes a tuple",
                "src/a.rs:3: `method` takes a tuple",
                "src/a.rs:4: `declared` takes a tuple",
            ],
        );
    }

    #[test]
    fn a_connection_that_another_module_opens_is_found() {
        let text = "fn f() { Connection::open_in_memory()?; UnpreparedConnection::open(p)?; }
            fn g() { rusqlite::Connection::open(path)?; }
            #[cfg(test)] mod tests { fn h() { Connection::open(path); } }";
        let files = sources(&[("src/database/connection.rs", text), ("src/sqlite/a.rs", text)]);
        assert_violations(
            &opened_connections(&files),
            &[
                "src/sqlite/a.rs:1: opens a connection without its setup",
                "src/sqlite/a.rs:2: opens a connection without its setup",
            ],
        );
    }

    #[test]
    fn unsafe_code_outside_the_loader_is_found() {
        let safe = "// SAFETY: checked\n#[allow(unsafe_code)]\nfn f() { unsafe { g() } }";
        let bare = "fn f() { unsafe { g() } }";
        let text = "// unsafe in a comment\n#[allow(unsafe_code)]\nfn f() { unsafe { g() } }\nfn unsafely() {}";
        let files = sources(&[("src/sqlite/extensions.rs", safe), ("src/plan/a.rs", text)]);
        assert_violations(
            &unsafe_code(&files),
            &["src/plan/a.rs:2: is unsafe", "src/plan/a.rs:3: is unsafe"],
        );
        let files = sources(&[("src/sqlite/extensions.rs", bare)]);
        assert_violations(&unsafe_code(&files), &["src/sqlite/extensions.rs:1: is unsafe"]);
    }

    #[test]
    fn a_banned_word_in_a_message_is_found() {
        let text = r#"/// This is told in documentation only.
            #[error("nobody knows")] struct E;
            // told
            rules! { /// told
                "goes" }
            fn f() { g("It STOOD"); format!("{}", h("not \
                begun")); }
            #[cfg(test)] mod tests { fn f() { g("told"); } }"#;
        assert_violations(
            &banned_words_in_messages(&sources(&[("src/a.rs", text)])),
            &[
                "src/a.rs:2: `nobody` in \"nobody knows\"",
                "src/a.rs:5: `goes` in \"goes\"",
                "src/a.rs:6: `STOOD` in \"It STOOD\"",
                "src/a.rs:6: `not begun` in \"not begun\"",
            ],
        );
    }

    #[test]
    fn a_banned_word_in_a_comment_is_found() {
        let text = "//! It stands.\nfn told() {} // goes\n/// It is\n/// there.\n// It is\nfn there() {}\n";
        assert_violations(
            &banned_words_in_comments(&sources(&[("src/a.rs", text)])),
            &[
                "src/a.rs:1: `stands` in a comment",
                "src/a.rs:2: `goes` in a comment",
                "src/a.rs:3: `is\n there` in a comment",
            ],
        );
    }

    #[test]
    fn an_undeclared_file_is_found() {
        let files = sources(&[
            ("src/lib.rs", "mod plan;"),
            ("src/plan/mod.rs", "mod a;"),
            ("src/plan/a.rs", ""),
            ("src/plan/b.rs", ""),
        ]);
        assert_violations(
            &undeclared_files(&files),
            &["src/plan/b.rs:1: no module declares this file"],
        );
    }

    #[test]
    fn only_whole_words_outside_allowed_phrases_are_banned() {
        let text = "a stand-alone standard kind\nif it is\nthere, take it back";
        let found = banned_words_in(text);
        assert_eq!(found, [(2, "is\nthere".to_owned()), (3, "take it back".to_owned())]);
    }

    #[test]
    fn subcommands_are_read_from_help() {
        let help = "Migrates\n\nUsage: t <COMMAND>\n\nA:\n  up    Up\n          more\n\nB:\n  down  Down\n  \
                    help  Print\n\nOptions:\n  -h  H\n";
        assert_eq!(subcommands_in(help), ["up", "down"]);
    }
}
