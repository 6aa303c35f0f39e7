//! `new`: the next migration's section, empty or with the SQL that leads to a database's schema.
//! The edited document is run in memory before it takes the place of the old one.

use std::path::Path;

use anyhow::{Context, bail};
use semver::Version;
use tatmig::edit::{Bump, NewMigration, NewPart};
use tatmig::{Changelog, Replay, Rule, Scope, Severity, Shape, Source, Way, edit};

use crate::cli::command_args::{Asked, New, Wanted};
use crate::cli::commands::{Text, Told, Tools, write_document};
use crate::cli::report::{DONE, Written};

pub(crate) fn run(tools: Tools<'_>, arguments: &New) -> anyhow::Result<u8> {
    let path = &tools.settings.file;
    let is_there = path.symlink_metadata().is_ok();
    let text = if is_there {
        tools.text()?
    } else {
        Text { name: tatmig::shown(path.as_os_str()), text: "# Migrations\n".to_owned() }
    };
    let source = Source::new(&text.name, &text.text);
    let changelog = match Changelog::parse_named(&text.name, &text.text) {
        Ok(changelog) => Some(changelog),
        Err(error) => {
            let mut errors = error.problems.iter().filter(|p| p.severity == Severity::Error);
            if !errors.all(|problem| problem.rule == Rule::NoMigrations) {
                bail!(Told(tools.report.refuse_document(&source, &error.problems)));
            }
            None
        }
    };
    let to = version(arguments.version(), changelog.as_ref())?;
    let (parts, remarks) = match &arguments.from_db {
        Some(file) => match parts_of(tools, changelog.as_ref(), (file, arguments))? {
            Some(parts) => parts,
            None => {
                let head = changelog.as_ref().map(|changelog| changelog.head().to_string());
                return Ok(tools.report.nothing_to_write(&text.name, (file, head.as_deref())));
            }
        },
        None => (empty_parts(changelog.as_ref(), arguments), Vec::new()),
    };
    let today = today();
    let new = NewMigration { to, description: &arguments.message, date: &today, parts };
    let edited = edit::append((&source, changelog.as_ref()), &new, arguments.planned())?;
    let read = Changelog::parse_named(&text.name, &edited)?;
    if let Some(file) = &arguments.from_db {
        prove(tools, (&read, file), &new.parts[0])?;
    }
    if is_there {
        write_document::replace(path, &text, &edited)?;
    } else {
        write_document::create(path, &edited)?;
    }
    let migration = read.history().find(|migration| migration.to.version() == Some(&new.to));
    let Some(migration) = migration else {
        bail!("the document was written, and has no `{}`", new.to)
    };
    let remarks = [remarks, relinked(changelog.as_ref(), &read)].concat();
    tools.report.written(&read, &Written { migration, remarks: &remarks, what: "added" });
    Ok(DONE)
}

pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn version(asked: Asked<'_>, changelog: Option<&Changelog<'_>>) -> anyhow::Result<Version> {
    match (asked, changelog) {
        (Asked::Named(text), _) => Version::parse(text).with_context(|| {
            format!("`{text}` is not a version; write three numbers, such as `1.2.0`")
        }),
        (Asked::Next(bump), Some(changelog)) => Ok(bump.after(changelog.head())),
        (Asked::Any, Some(changelog)) => Ok(Bump::Patch.after(changelog.head())),
        (_, None) => bail!(
            "the document has no migration yet, so there is no next version; name the one that the first baseline leads to, such as `tatmig new 1.0.0 -m …`"
        ),
    }
}

/// Parts to be written by hand.
fn empty_parts(changelog: Option<&Changelog<'_>>, arguments: &New) -> Vec<NewPart> {
    let reverse = (arguments.reverse() == Wanted::Yes).then(String::new);
    let part = |scope| NewPart { scope, sql: String::new(), reverse: reverse.clone() };
    match arguments.scope {
        Some(scope) => vec![part(scope.into())],
        None => Scope::BOTH
            .into_iter()
            .filter(|scope| changelog.is_none_or(|changelog| changelog.has(*scope)))
            .map(part)
            .collect(),
    }
}

/// The SQL between the document's head and a database, and what is to be said of it; none if there
/// is no difference.
fn parts_of(
    tools: Tools<'_>,
    changelog: Option<&Changelog<'_>>,
    (file, arguments): (&Path, &New),
) -> anyhow::Result<Option<(Vec<NewPart>, Vec<String>)>> {
    let scope = scope_of(tools, changelog, (file, arguments))?;
    let shape = shape_of(tools, file)?;
    let head = match changelog {
        Some(changelog) => {
            let position = changelog.head_position();
            Shape::at(&tools.replay(changelog, position)?, scope, position)
        }
        None => Shape::default(),
    };
    let way = head.way_to(&shape).with_context(|| shown(file))?;
    if way.sql.is_empty() && head.differences(&shape).is_empty() {
        return Ok(None);
    }
    let Way { sql, mut remarks } = way;
    let reverse = match arguments.reverse() {
        Wanted::Yes => {
            let back = shape.way_to(&head).with_context(|| shown(file))?;
            remarks.extend(
                back.remarks.into_iter().map(|remark| format!("on the way back: {remark}")),
            );
            Some(back.sql)
        }
        Wanted::No => None,
    };
    Ok(Some((vec![NewPart { scope, sql, reverse }], remarks)))
}

fn shown(file: &Path) -> String {
    format!("`{}`", tatmig::shown(file.as_os_str()))
}

fn shape_of(tools: Tools<'_>, file: &Path) -> anyhow::Result<Shape> {
    let shape = Shape::of_file(file, &tools.patience()).with_context(|| shown(file))?;
    if shape.is_empty() {
        bail!("{} holds nothing: no table, no view; is it the right file?", shown(file));
    }
    Ok(shape)
}

/// Which databases a file stands for: what was typed, else what its name or the document tells.
fn scope_of(
    tools: Tools<'_>,
    changelog: Option<&Changelog<'_>>,
    (file, arguments): (&Path, &New),
) -> anyhow::Result<Scope> {
    if let Some(scope) = arguments.scope {
        return Ok(scope.into());
    }
    let layout = &tools.settings.layout;
    let same = |left: &Path, right: &Path| match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    };
    if same(file, &layout.system_db) {
        return Ok(Scope::System);
    }
    let is_users = file
        .file_name()
        .is_some_and(|name| layout.pattern.user(name).is_some_and(|user| !user.is_empty()));
    let only = changelog.and_then(|changelog| {
        let mut scopes = Scope::BOTH.into_iter().filter(|scope| changelog.has(*scope));
        scopes.next().filter(|_| scopes.next().is_none())
    });
    match (only, is_users) {
        (Some(scope), _) => Ok(scope),
        (None, true) => Ok(Scope::User),
        (None, false) => bail!(
            "is {} a system database or a user's? say `--scope system` or `--scope user`",
            shown(file)
        ),
    }
}

/// The new document makes what it was written from, and leads back where it says so.
fn prove(
    tools: Tools<'_>,
    (read, file): (&Changelog<'_>, &Path),
    part: &NewPart,
) -> anyhow::Result<()> {
    let replay = Replay::run(read, &tools.signals.stop()).context("the new document in memory")?;
    let position = read.head_position();
    let problems: Vec<_> =
        replay.problems(position).filter(|problem| problem.severity == Severity::Error).collect();
    if !problems.is_empty() {
        tools.report.problems(read.source(), &problems);
        bail!(
            "the SQL that leads to {} does not run, so the document is left as it is; write that migration by hand",
            shown(file)
        );
    }
    let target = shape_of(tools, file)?;
    let differences = target.differences(&Shape::at(&replay, part.scope, position));
    if !differences.is_empty() {
        bail!(
            "the SQL would not lead to the schema of {}, so the document is left as it is: {}",
            shown(file),
            differences.join("; ")
        );
    }
    if part.reverse.is_some() {
        let before = match position {
            0 => Shape::default(),
            position => Shape::at(&replay, part.scope, position - 1),
        };
        let back = Shape::reversed(&replay, part.scope, position).unwrap_or_default();
        let differences = before.differences(&back);
        if !differences.is_empty() {
            bail!(
                "the reverse block would not lead back, so the document is left as it is: {}",
                differences.join("; ")
            );
        }
    }
    Ok(())
}

/// The planned migrations that are called otherwise now.
fn relinked(old: Option<&Changelog<'_>>, new: &Changelog<'_>) -> Vec<String> {
    let planned = |changelog: &Changelog<'_>| -> Vec<String> {
        let chain = changelog.chain()[changelog.head_position()..].iter();
        chain.map(ToString::to_string).collect()
    };
    let old = old.map(planned).unwrap_or_default();
    let pairs = old.into_iter().zip(planned(new));
    pairs
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("the planned `{old}` is `{new}` now"))
        .collect()
}
