//! Runs `schema --diff`: compares the document's schema with that of another version, a file or a
//! user's database. Nothing is written.

use std::path::Path;

use anyhow::{Context, bail};
use semver::Version;
use tatmig::edit::ScopeSchema;
use tatmig::fleet::{
    Fleet, Selection, SystemSelection, UserSelection, has_database_header, read_regular_file,
};
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::text::escape_for_display;
use tatmig::{Changelog, Scope};

use crate::cli::args::document_commands::SchemaArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::new_from_db::{infer_scope, quoted_path};
use crate::cli::commands::schema::schemas_at;
use crate::cli::document_file::DocumentFile;
use crate::cli::report::views::schema_diff::{SchemaDiffView, ScopeDiff};
use crate::cli::value_parsers::{parse_version, parse_version_or_head};

/// The two sides of a comparison.
struct Sides {
    from: String,
    to: String,
    schemas: Vec<SchemaPair>,
    /// What is left out of the comparison.
    notes: Vec<String>,
}

/// The two schemas of one scope.
struct SchemaPair {
    scope: Scope,
    from: SchemaSnapshot,
    to: SchemaSnapshot,
}

pub(crate) fn run(context: CommandContext<'_>, args: &SchemaArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = &context.parse_changelog(&document)?;
    let comparison = Comparison { context, changelog, scope: args.scope.map(Scope::from) };
    let at = parse_version_or_head(args.at.as_deref())?;
    let sides = match (&args.diff, &args.diff_user) {
        (Some(spec), _) => match parse_versions(spec)? {
            Some(_) if at.is_some() => {
                bail!("`--at` names one side of the comparison; `--diff {spec}` names both")
            }
            Some(versions) => comparison.versions(&versions)?,
            None => comparison.file(Path::new(spec), at.as_ref())?,
        },
        (None, Some(_)) if comparison.scope == Some(Scope::System) => {
            bail!("`--diff-user` compares a user database, which `--scope system` leaves out")
        }
        (None, Some(user)) => comparison.user(user, at.as_ref())?,
        (None, None) => {
            bail!("name what to compare with: `--diff V1..V2`, `--diff FILE` or `--diff-user NAME`")
        }
    };
    let setup = &context.settings.connection_setup;
    let diffs: Vec<ScopeDiff> = sides
        .schemas
        .iter()
        .map(|pair| ScopeDiff::new(pair.scope, &pair.from, &pair.to, setup))
        .collect();
    let view = SchemaDiffView::new(&sides.from, &sides.to, diffs, &sides.notes);
    Ok(context.report.emit(&view.with_action(args.action())))
}

/// The versions of `V1..V2`; `None` if the text is not of this form. `baseline` is the empty schema.
fn parse_versions(spec: &str) -> anyhow::Result<Option<[String; 2]>> {
    let Some((from, to)) = spec.split_once("..") else { return Ok(None) };
    let is_named = |text: &str| ["head", "baseline"].contains(&text);
    let looks_like_version =
        |text: &str| is_named(text) || text.starts_with(|first: char| first.is_ascii_digit());
    if !looks_like_version(from) || !looks_like_version(to) || Path::new(spec).exists() {
        return Ok(None);
    }
    for text in [from, to] {
        if !is_named(text) {
            parse_version(text)?;
        }
    }
    Ok(Some([from.to_owned(), to.to_owned()]))
}

/// The document's side of a comparison.
#[derive(Clone, Copy)]
struct Comparison<'r, 'a> {
    context: CommandContext<'r>,
    changelog: &'r Changelog<'a>,
    /// The scope that was asked for.
    scope: Option<Scope>,
}

impl Comparison<'_, '_> {
    /// The document's name with a version, for messages.
    fn side(changelog: &Changelog<'_>, version: &str) -> String {
        format!("{} at {version}", changelog.source().name())
    }

    fn scopes(&self, others: &[&Changelog<'_>]) -> Vec<Scope> {
        Scope::BOTH
            .into_iter()
            .filter(|candidate| match self.scope {
                Some(scope) => scope == *candidate,
                None => {
                    self.changelog.has_scope(*candidate)
                        || others.iter().any(|other| other.has_scope(*candidate))
                }
            })
            .collect()
    }

    /// Two versions of the document.
    fn versions(&self, versions: &[String; 2]) -> anyhow::Result<Sides> {
        let scopes = self.scopes(&[]);
        let head = self.changelog.head().to_string();
        let resolved = versions.each_ref().map(|version| match version.as_str() {
            "head" => head.as_str(),
            version => version,
        });
        let [from, to] = resolved;
        let (from_schemas, to_schemas) = (self.at(from, &scopes)?, self.at(to, &scopes)?);
        let schemas = pairs(&scopes, &from_schemas, &to_schemas);
        let [from, to] = [from, to].map(|version| Self::side(self.changelog, version));
        Ok(Sides { from, to, schemas, notes: Vec::new() })
    }

    /// The schemas of the document at a version, which may be `baseline`.
    fn at(&self, version: &str, scopes: &[Scope]) -> anyhow::Result<Vec<ScopeSchema>> {
        let empty =
            |scope: &Scope| ScopeSchema { scope: *scope, schema: SchemaSnapshot::default() };
        if version == "baseline" {
            return Ok(scopes.iter().map(empty).collect());
        }
        let version = parse_version(version)?;
        schemas_at(self.context, self.changelog, self.scope, Some(&version))
    }

    /// The document and a file: a database, or another document.
    fn file(&self, path: &Path, at: Option<&Version>) -> anyhow::Result<Sides> {
        let name = escape_for_display(path.as_os_str());
        if !path.exists() {
            bail!(
                "`{name}` does not exist; write `--diff V1..V2` for two versions, or the path of a database or of another document"
            );
        }
        let bytes = read_regular_file(path).with_context(|| format!("`{name}` cannot be read"))?;
        if bytes.is_empty() || has_database_header(&bytes) {
            return self.database_file(path, at);
        }
        let Ok(text) = String::from_utf8(bytes) else {
            bail!("`{name}` is neither a SQLite database nor a document in UTF-8");
        };
        self.document(&DocumentFile { name, text }, at)
    }

    fn database_file(&self, path: &Path, at: Option<&Version>) -> anyhow::Result<Sides> {
        let scope = match self.scope {
            Some(scope) => scope,
            None => infer_scope(self.context, path, Some(self.changelog))?,
        };
        let schema = SchemaSnapshot::from_file(path, &self.context.connect_options())
            .with_context(|| quoted_path(path))?;
        self.database(scope, schema, escape_for_display(path.as_os_str()), at)
    }

    /// A user's database, in a file or on a server.
    fn user(&self, user: &Path, at: Option<&Version>) -> anyhow::Result<Sides> {
        let selection = Selection {
            system: SystemSelection::Excluded,
            users: UserSelection::Named(vec![user.as_os_str().to_owned()]),
        };
        let config = &self.context.settings.fleet_config;
        let has_blocks = |scope| self.changelog.has_scope(scope);
        let fleet = Fleet::discover(config, &selection, has_blocks)?;
        let [database] = fleet.users.as_slice() else {
            bail!("no database of the user `{}` was found", escape_for_display(user.as_os_str()))
        };
        let schema = SchemaSnapshot::from_database(database, &self.context.connect_options())?;
        self.database(Scope::User, schema, database.location.display(), at)
    }

    /// The document and the schema of a database.
    fn database(
        &self,
        scope: Scope,
        schema: SchemaSnapshot,
        name: String,
        at: Option<&Version>,
    ) -> anyhow::Result<Sides> {
        let settings = self.context.settings;
        let version = at.unwrap_or(self.changelog.head());
        let from = schemas_at(self.context, self.changelog, Some(scope), Some(version))?;
        let from = from.into_iter().next().map(|found| found.schema).unwrap_or_default();
        let (to, notes) = schema
            .without_ignored(&settings.ignored, &from)
            .without_unloadable(&from, &settings.connection_setup)?;
        Ok(Sides {
            from: Self::side(self.changelog, &version.to_string()),
            to: name,
            schemas: vec![SchemaPair { scope, from, to }],
            notes,
        })
    }

    /// The document and another one at its head.
    fn document(&self, other: &DocumentFile, at: Option<&Version>) -> anyhow::Result<Sides> {
        let other = self.context.parse_changelog(other)?;
        self.context.report.set_head(self.changelog.head());
        let scopes = self.scopes(&[&other]);
        let version = at.unwrap_or(self.changelog.head());
        let from = schemas_at(self.context, self.changelog, self.scope, Some(version))?;
        let to = schemas_at(self.context, &other, self.scope, None)?;
        Ok(Sides {
            schemas: pairs(&scopes, &from, &to),
            from: Self::side(self.changelog, &version.to_string()),
            to: Self::side(&other, &other.head().to_string()),
            notes: Vec::new(),
        })
    }
}

/// The schemas of both sides by scope. A side without a scope has an empty schema for it.
fn pairs(scopes: &[Scope], from: &[ScopeSchema], to: &[ScopeSchema]) -> Vec<SchemaPair> {
    let schema_of = |side: &[ScopeSchema], scope: Scope| {
        let found = side.iter().find(|found| found.scope == scope);
        found.map(|found| found.schema.clone()).unwrap_or_default()
    };
    let pair = |scope: &Scope| SchemaPair {
        scope: *scope,
        from: schema_of(from, *scope),
        to: schema_of(to, *scope),
    };
    scopes.iter().map(pair).collect()
}
