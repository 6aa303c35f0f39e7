//! Generates the SQL of a new migration from a database's schema, and checks that it leads there.

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::database::DatabaseError;
use tatmig::edit::NewBlock;
use tatmig::migrate::Replay;
use tatmig::schema_diff::{Rename, SchemaDiff, SchemaSnapshot};
use tatmig::{Changelog, Rule, Scope, Severity};

use crate::cli::args::document_commands::NewArgs;
use crate::cli::commands::context::CommandContext;

/// The database whose schema a new migration leads to.
pub(crate) struct DatabaseSource<'r> {
    context: CommandContext<'r>,
    pub(crate) file: &'r Path,
    scope: Scope,
}

/// A block with generated SQL, and what its author has to check.
pub(crate) struct GeneratedBlock {
    /// None if head's schema is the database's.
    pub(crate) block: Option<NewBlock>,
    pub(crate) notes: Vec<String>,
}

impl<'r> DatabaseSource<'r> {
    /// Takes the scope from the arguments, else from the file's path, else from the document if all
    /// of its blocks have one scope.
    ///
    /// # Errors
    ///
    /// None of these decides the scope.
    pub(crate) fn new(
        context: CommandContext<'r>,
        file: &'r Path,
        changelog: Option<&Changelog<'_>>,
        args: &NewArgs,
    ) -> anyhow::Result<Self> {
        let scope = match args.scope {
            Some(scope) => scope.into(),
            None => infer_scope(context, file, changelog)?,
        };
        Ok(Self { context, file, scope })
    }

    /// Generates the SQL that leads from head's schema to the database's.
    pub(crate) fn generate_block(
        &self,
        changelog: Option<&Changelog<'_>>,
        args: &NewArgs,
    ) -> anyhow::Result<GeneratedBlock> {
        let head_snapshot = match changelog {
            Some(changelog) => {
                let position = changelog.head_index();
                let replay = self.context.replay(changelog, position)?;
                SchemaSnapshot::from_replay(&replay, self.scope, position)
            }
            None => SchemaSnapshot::default(),
        };
        let (snapshot, left_out) = self.read_snapshot(&head_snapshot)?;
        let setup = &self.context.settings.connection_setup;
        let diff = head_snapshot
            .diff_with_renames(&snapshot, &args.rename, setup)
            .with_context(|| self.quoted_path())?;
        if diff.sql.is_empty() && head_snapshot.differences(&snapshot).is_empty() {
            return Ok(GeneratedBlock { block: None, notes: left_out });
        }
        let SchemaDiff { sql, warnings: mut notes, suspected_renames, .. } = diff;
        notes.extend(suspected_renames.iter().map(|rename| {
            format!("if a rename is meant, remove this migration and add `--rename {rename}` to the command")
        }));
        notes.extend(left_out);
        let mut reverse = None;
        if args.reverse {
            let renames: Vec<Rename> = args.rename.iter().rev().map(Rename::reversed).collect();
            let diff = snapshot
                .diff_with_renames(&head_snapshot, &renames, setup)
                .with_context(|| self.quoted_path())?;
            notes.extend(diff.warnings.into_iter().map(|note| format!("reverse block: {note}")));
            reverse = Some(diff.sql);
        }
        let block = NewBlock { scope: self.scope, sql, reverse };
        Ok(GeneratedBlock { block: Some(block), notes })
    }

    /// Requires that the edited document leads to the schema of the database, and that its reverse
    /// block, if it has one, leads back.
    pub(crate) fn check_round_trip(
        &self,
        edited_changelog: &Changelog<'_>,
        block: &NewBlock,
    ) -> anyhow::Result<()> {
        let replay = Replay::run(edited_changelog, &self.context.settings.connection_setup)
            .context("the edited document cannot be run in memory")?;
        let position = edited_changelog.head_index();
        let diagnostics: Vec<_> = replay
            .diagnostics(position)
            .filter(|diagnostic| {
                diagnostic.severity == Severity::Error && diagnostic.rule != Rule::UnfinishedBlock
            })
            .collect();
        if !diagnostics.is_empty() {
            self.context.report.print_document_errors(edited_changelog.source(), &diagnostics);
            bail!(
                "the generated SQL for {} fails, so the document was not changed; write this migration by hand",
                self.quoted_path()
            );
        }
        let result = SchemaSnapshot::from_replay(&replay, block.scope, position);
        let differences = self.read_snapshot(&result)?.0.differences(&result);
        if !differences.is_empty() {
            bail!(
                "the generated SQL does not lead to the schema of {}, so the document was not changed: {}",
                self.quoted_path(),
                differences.join("; ")
            );
        }
        if block.reverse.is_some() {
            check_reverse_block(edited_changelog, &replay, block.scope)?;
        }
        Ok(())
    }

    /// The schema of the database without ignored objects and without those that this SQLite cannot
    /// create, and a note for each of these. Objects of the document are never left out.
    fn read_snapshot(
        &self,
        document: &SchemaSnapshot,
    ) -> anyhow::Result<(SchemaSnapshot, Vec<String>)> {
        let result = SchemaSnapshot::from_file(self.file, &self.context.connect_options());
        let snapshot = match result {
            // The message names the path already.
            Err(error @ DatabaseError::Missing { .. }) => return Err(error.into()),
            result => result.with_context(|| self.quoted_path())?,
        };
        if snapshot.is_empty() {
            bail!("{} has no table and no view; check the path", self.quoted_path());
        }
        snapshot
            .without_ignored(&self.context.settings.ignored, document)
            .without_unloadable(document, &self.context.settings.connection_setup)
            .with_context(|| self.quoted_path())
    }

    fn quoted_path(&self) -> String {
        quoted_path(self.file)
    }
}

pub(crate) fn quoted_path(file: &Path) -> String {
    format!("`{}`", tatmig::text::escape_for_display(file.as_os_str()))
}

/// Requires that the reverse block of the migration that ends at head leads back to the schema
/// before it.
fn check_reverse_block(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    scope: Scope,
) -> anyhow::Result<()> {
    let position = changelog.head_index();
    let versions = changelog.versions().iter().rev();
    let version_below = versions
        .skip_while(|version| *version >= changelog.head())
        .find_map(|version| changelog.index_of(version));
    let before = version_below.map_or_else(SchemaSnapshot::default, |index| {
        SchemaSnapshot::from_replay(replay, scope, index)
    });
    let reversed = SchemaSnapshot::from_reverse_block(replay, scope, position).unwrap_or_default();
    let differences = before.differences(&reversed);
    if !differences.is_empty() {
        bail!(
            "the generated reverse block does not lead back, so the document was not changed: {}",
            differences.join("; ")
        );
    }
    Ok(())
}

pub(crate) fn infer_scope(
    context: CommandContext<'_>,
    file: &Path,
    changelog: Option<&Changelog<'_>>,
) -> anyhow::Result<Scope> {
    let fleet_config = &context.settings.fleet_config;
    if is_same_file(file, &fleet_config.system_db) {
        return Ok(Scope::System);
    }
    let absolute_path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let has_user_path = fleet_config.path_template.matches_end_of(&absolute_path);
    let only_scope = changelog.and_then(|changelog| {
        let mut scopes = Scope::BOTH.into_iter().filter(|scope| changelog.has_scope(*scope));
        scopes.next().filter(|_| scopes.next().is_none())
    });
    match (only_scope, has_user_path) {
        (Some(scope), _) => Ok(scope),
        (None, true) => Ok(Scope::User),
        (None, false) => bail!(
            "cannot decide whether {} is a system or a user database; pass `--scope system` or `--scope user`",
            quoted_path(file)
        ),
    }
}

fn is_same_file(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}
