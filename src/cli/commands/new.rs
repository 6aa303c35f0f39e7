//! `new`: the next migration's section, empty or with the SQL that leads to a database's schema.
//! The edited document is run in memory before it takes the place of the old one.

use std::path::Path;

use anyhow::{Context, bail};
use semver::Version;
use tatmig::edit::{Bump, NewBlock, NewMigration};
use tatmig::migrate::Replay;
use tatmig::schema_diff::{SchemaDiff, SchemaSnapshot};
use tatmig::{Changelog, Rule, Scope, Severity, Source, edit};

use crate::cli::command_args::{NewArgs, VersionArg};
use crate::cli::commands::{AlreadyReported, CommandContext, DocumentFile, write_document};
use crate::cli::report::{EXIT_SUCCESS, MigrationChange};

pub(crate) fn run(context: CommandContext<'_>, args: &NewArgs) -> anyhow::Result<u8> {
    let path = &context.settings.file;
    let file_exists = path.symlink_metadata().is_ok();
    let document = if file_exists {
        context.read_document()?
    } else {
        DocumentFile {
            name: tatmig::text::escape_for_display(path.as_os_str()),
            text: "# Migrations\n".to_owned(),
        }
    };
    let source = Source::new(&document.name, &document.text);
    let changelog = match Changelog::parse_named(&document.name, &document.text) {
        Ok(changelog) => Some(changelog),
        Err(error) => {
            let mut errors = error.diagnostics().iter().filter(|p| p.severity == Severity::Error);
            if !errors.all(|diagnostic| diagnostic.rule == Rule::NoMigrations) {
                bail!(AlreadyReported(
                    context.report.print_document_error(&source, error.diagnostics())
                ));
            }
            None
        }
    };
    let to = resolve_version(args.version(), changelog.as_ref())?;
    let (parts, notes) = match &args.from_db {
        Some(file) => match parts_from_database(context, changelog.as_ref(), (file, args))? {
            Some(parts) => parts,
            None => {
                let head = changelog.as_ref().map(|changelog| changelog.head().to_string());
                return Ok(context
                    .report
                    .print_no_difference(&document.name, (file, head.as_deref())));
            }
        },
        None => (empty_parts(changelog.as_ref(), args), Vec::new()),
    };
    let today = today();
    let new_migration =
        NewMigration { to, description: &args.message, date: &today, blocks: parts };
    let edited_text = edit::append(&source, changelog.as_ref(), &new_migration, args.planned())?;
    let edited_changelog = Changelog::parse_named(&document.name, &edited_text)?;
    if let Some(file) = &args.from_db {
        check_round_trip(context, (&edited_changelog, file), &new_migration.blocks[0])?;
    }
    if file_exists {
        write_document::replace_document(path, &document, &edited_text)?;
    } else {
        write_document::create_document(path, &edited_text)?;
    }
    let migration = edited_changelog
        .forward_migrations()
        .find(|migration| migration.to.version() == Some(&new_migration.to));
    let Some(migration) = migration else {
        bail!("the document was written, and has no `{}`", new_migration.to)
    };
    let notes = [notes, renumbered_planned(changelog.as_ref(), &edited_changelog)].concat();
    context.report.print_migration_change(
        &edited_changelog,
        &MigrationChange { migration, notes: &notes, action: "added" },
    );
    Ok(EXIT_SUCCESS)
}

pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn resolve_version(
    requested: VersionArg<'_>,
    changelog: Option<&Changelog<'_>>,
) -> anyhow::Result<Version> {
    match (requested, changelog) {
        (VersionArg::Exact(text), _) => Version::parse(text).with_context(|| {
            format!("`{text}` is not a version; write three numbers, such as `1.2.0`")
        }),
        (VersionArg::Next(bump), Some(changelog)) => Ok(bump.apply(changelog.head())),
        (VersionArg::Unspecified, Some(changelog)) => Ok(Bump::Patch.apply(changelog.head())),
        (_, None) => bail!(
            "the document has no migration yet, so there is no next version; name the one that the first baseline leads to, such as `tatmig new 1.0.0 -m …`"
        ),
    }
}

/// Parts to be written by hand.
fn empty_parts(changelog: Option<&Changelog<'_>>, args: &NewArgs) -> Vec<NewBlock> {
    let reverse = args.reverse.then(String::new);
    let empty_part = |scope| NewBlock { scope, sql: String::new(), reverse: reverse.clone() };
    match args.scope {
        Some(scope) => vec![empty_part(scope.into())],
        None => Scope::BOTH
            .into_iter()
            .filter(|scope| changelog.is_none_or(|changelog| changelog.has_scope(*scope)))
            .map(empty_part)
            .collect(),
    }
}

/// The SQL between the document's head and a database, and what is to be said of it; none if there
/// is no difference.
fn parts_from_database(
    context: CommandContext<'_>,
    changelog: Option<&Changelog<'_>>,
    (file, args): (&Path, &NewArgs),
) -> anyhow::Result<Option<(Vec<NewBlock>, Vec<String>)>> {
    let scope = resolve_scope(context, changelog, (file, args))?;
    let snapshot = read_snapshot(context, file)?;
    let head_snapshot = match changelog {
        Some(changelog) => {
            let position = changelog.head_index();
            SchemaSnapshot::from_replay(&context.replay(changelog, position)?, scope, position)
        }
        None => SchemaSnapshot::default(),
    };
    let diff = head_snapshot.diff_to(&snapshot).with_context(|| quoted_path(file))?;
    if diff.sql.is_empty() && head_snapshot.differences(&snapshot).is_empty() {
        return Ok(None);
    }
    let SchemaDiff { sql, warnings: mut notes } = diff;
    let reverse = if args.reverse {
        let reverse_diff = snapshot.diff_to(&head_snapshot).with_context(|| quoted_path(file))?;
        notes.extend(
            reverse_diff.warnings.into_iter().map(|note| format!("on the way back: {note}")),
        );
        Some(reverse_diff.sql)
    } else {
        None
    };
    Ok(Some((vec![NewBlock { scope, sql, reverse }], notes)))
}

fn quoted_path(file: &Path) -> String {
    format!("`{}`", tatmig::text::escape_for_display(file.as_os_str()))
}

fn read_snapshot(context: CommandContext<'_>, file: &Path) -> anyhow::Result<SchemaSnapshot> {
    let snapshot = SchemaSnapshot::from_file(file, &context.connect_options())
        .with_context(|| quoted_path(file))?;
    if snapshot.is_empty() {
        bail!("{} holds nothing: no table, no view; is it the right file?", quoted_path(file));
    }
    Ok(snapshot)
}

/// Which databases a file stands for: what was typed, else what its name or the document tells.
fn resolve_scope(
    context: CommandContext<'_>,
    changelog: Option<&Changelog<'_>>,
    (file, args): (&Path, &NewArgs),
) -> anyhow::Result<Scope> {
    if let Some(scope) = args.scope {
        return Ok(scope.into());
    }
    let fleet_config = &context.settings.fleet_config;
    let is_same_file = |left: &Path, right: &Path| match (left.canonicalize(), right.canonicalize())
    {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    };
    if is_same_file(file, &fleet_config.system_db) {
        return Ok(Scope::System);
    }
    let has_user_file_name = file.file_name().is_some_and(|name| {
        fleet_config.path_template.user_name(name).is_some_and(|user| !user.is_empty())
    });
    let only_scope = changelog.and_then(|changelog| {
        let mut scopes = Scope::BOTH.into_iter().filter(|scope| changelog.has_scope(*scope));
        scopes.next().filter(|_| scopes.next().is_none())
    });
    match (only_scope, has_user_file_name) {
        (Some(scope), _) => Ok(scope),
        (None, true) => Ok(Scope::User),
        (None, false) => bail!(
            "is {} a system database or a user's? say `--scope system` or `--scope user`",
            quoted_path(file)
        ),
    }
}

/// The new document makes what it was written from, and leads back where it says so.
fn check_round_trip(
    context: CommandContext<'_>,
    (edited_changelog, file): (&Changelog<'_>, &Path),
    part: &NewBlock,
) -> anyhow::Result<()> {
    let replay = Replay::run(edited_changelog, &context.signals.cancel_flag())
        .context("the new document in memory")?;
    let position = edited_changelog.head_index();
    let diagnostics: Vec<_> = replay
        .diagnostics(position)
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .collect();
    if !diagnostics.is_empty() {
        context.report.print_diagnostics(edited_changelog.source(), &diagnostics);
        bail!(
            "the SQL that leads to {} does not run, so the document is left as it is; write that migration by hand",
            quoted_path(file)
        );
    }
    let target = read_snapshot(context, file)?;
    let differences =
        target.differences(&SchemaSnapshot::from_replay(&replay, part.scope, position));
    if !differences.is_empty() {
        bail!(
            "the SQL would not lead to the schema of {}, so the document is left as it is: {}",
            quoted_path(file),
            differences.join("; ")
        );
    }
    if part.reverse.is_some() {
        let versions = edited_changelog.versions().iter().rev();
        let version_below = versions
            .skip_while(|version| *version >= edited_changelog.head())
            .find_map(|version| edited_changelog.index_of(version));
        let before = version_below.map_or_else(SchemaSnapshot::default, |index| {
            SchemaSnapshot::from_replay(&replay, part.scope, index)
        });
        let reversed =
            SchemaSnapshot::from_reverse_block(&replay, part.scope, position).unwrap_or_default();
        let differences = before.differences(&reversed);
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
fn renumbered_planned(old: Option<&Changelog<'_>>, new: &Changelog<'_>) -> Vec<String> {
    let planned_migrations = |changelog: &Changelog<'_>| -> Vec<String> {
        let chain = changelog.chain().iter().filter(|migration| migration.planned);
        chain.map(ToString::to_string).collect()
    };
    let old = old.map(planned_migrations).unwrap_or_default();
    let pairs = old.into_iter().zip(planned_migrations(new));
    pairs
        .filter(|(old, new)| old != new)
        .map(|(old, new)| format!("the planned `{old}` is `{new}` now"))
        .collect()
}
