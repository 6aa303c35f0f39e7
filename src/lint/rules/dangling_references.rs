//! Reports views, triggers and foreign keys that a block leaves unusable. A block may break them
//! while it rebuilds a table: what counts is the state after its last statement.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::database::error_span::span_of_message;
use crate::database::usable_references::{
    DanglingReferences, Reference, Usability, UsabilityChange, UsableReferences,
};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, Origins, StatementRun};
use crate::lint::rules::foreign_keys::BrokenKey;
use crate::schema::{Object, ObjectKind};
use crate::source::first_line_span;
use crate::sql::tokens::{Tokens, span_of_name};

/// What the statements of a block so far have changed.
#[derive(Default)]
pub(crate) struct BlockReferences(BTreeMap<Reference, ReferenceInBlock>);

struct ReferenceInBlock {
    /// None if the reference did not exist before the block.
    before: Option<Usability>,
    /// The index of the last statement after which the reference was dangling in a new way.
    broken_by: Option<usize>,
}

impl BlockReferences {
    pub(crate) fn add(&mut self, statement_index: usize, changes: Vec<UsabilityChange>) {
        for UsabilityChange { reference, before, after } in changes {
            let entry =
                self.0.entry(reference).or_insert(ReferenceInBlock { before, broken_by: None });
            let is_new = entry.before.is_none();
            if after.is_some_and(|after| {
                after.is_dangling() || is_new && after.fault_of_document().is_some()
            }) {
                entry.broken_by = Some(statement_index);
            }
        }
    }

    /// Whether a reference could be used before the block, and how not; none if it did not exist. A
    /// foreign key of a table that the block renames is the same key.
    fn before(&self, reference: &Reference, block_run: &BlockRun<'_, '_>) -> Option<&Usability> {
        self.before_of(reference).or_else(|| {
            let Reference::ForeignKey { child, columns } = reference else { return None };
            let renames = &block_run.script.operations.table_renames;
            let (child, columns) = (renames.original_name(child), columns.clone());
            self.before_of(&Reference::ForeignKey { child, columns })
        })
    }

    fn before_of(&self, reference: &Reference) -> Option<&Usability> {
        self.0.get(reference).and_then(|entry| entry.before.as_ref())
    }
}

/// What the rule needs besides the block.
pub(crate) struct DanglingCheck<'c> {
    pub(crate) references: &'c UsableReferences,
    /// References that were dangling in the same way at the version that a reverse block leads to.
    pub(crate) known: &'c DanglingReferences,
    pub(crate) origins: &'c Origins,
}

impl DanglingCheck<'_> {
    /// Checks every reference that a block has changed.
    pub(crate) fn check(
        &self,
        block_run: &BlockRun<'_, '_>,
        block_references: &BlockReferences,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        for (reference, entry) in &block_references.0 {
            let is_unusable = |now: &&Usability| {
                now.is_dangling() || entry.before.is_none() && now.fault_of_document().is_some()
            };
            let Some(usability) = self.references.get(reference).filter(is_unusable) else {
                continue;
            };
            let Some(statement_run) =
                entry.broken_by.and_then(|index| block_run.statement_runs.get(index))
            else {
                continue;
            };
            let before = block_references.before(reference, block_run);
            if self.known.get(reference) == Some(usability) {
                continue;
            }
            if let Some(foreign_key) = self.references.foreign_key(reference) {
                let rule = match before {
                    None => Rule::BrokenForeignKey,
                    Some(Usability::Usable) => Rule::DanglingReference,
                    // It was reported where it became unusable.
                    Some(_) => continue,
                };
                let Self { references, origins, .. } = self;
                let broken_key =
                    BrokenKey { rule, reference, foreign_key, usability, references, origins };
                diagnostics.push(broken_key.diagnostic(block_run, statement_run));
            } else if let Some(object) = self.references.object(reference)
                && let Some(message) = usability.fault_of_document()
            {
                let creating_run = creating_statement(block_run, object)
                    .filter(|_| !matches!(reference, Reference::FullText { .. }));
                match (creating_run, before) {
                    (Some(creating_run), _) => {
                        diagnostics.push(created_unusable(creating_run, object, message));
                    }
                    (None, Some(Usability::Usable)) => {
                        diagnostics.push(self.broken(statement_run, reference, message));
                    }
                    _ => {}
                }
            }
        }
    }

    /// A view or trigger that another statement broke.
    fn broken(
        &self,
        statement_run: &StatementRun<'_, '_>,
        reference: &Reference,
        message: &str,
    ) -> Diagnostic {
        let kind = reference.noun();
        let name = self.references.object(reference).map_or("", |object| object.name.as_str());
        let diagnostic = Diagnostic::new(
            Rule::DanglingReference,
            breaking_span(statement_run, message),
            format!("after this, the {kind} `{name}` cannot be used: {}", displayed(message)),
        )
        .help(format!(
            "drop the {kind} before, and create it again in the same block, fitting the new schema; if it is no longer needed, drop it"
        ));
        match self.origins.get(&reference.object_key()) {
            Some(origin) => {
                diagnostic.related(origin.clone(), format!("the {kind} was created here"))
            }
            None => diagnostic,
        }
    }
}

/// The statement of the block that created a view or trigger.
fn creating_statement<'t, 's, 'a>(
    block_run: &'t BlockRun<'s, 'a>,
    object: &Object,
) -> Option<&'t StatementRun<'s, 'a>> {
    block_run.statement_runs.iter().rfind(|statement_run| {
        Tokens::new(statement_run.statement.sql.text()).is(0, "CREATE")
            && statement_run
                .object_changes
                .iter()
                .any(|(key, created)| *key == object.key() && created.is_some())
    })
}

/// A view or trigger that cannot be used as it was created.
fn created_unusable(
    statement_run: &StatementRun<'_, '_>,
    object: &Object,
    message: &str,
) -> Diagnostic {
    let statement = &statement_run.statement.sql;
    let (kind, name) = (object.kind, &object.name);
    let tokens = Tokens::new(statement.text());
    let body = match kind {
        // The condition and the columns of a trigger are checked as well.
        ObjectKind::Trigger => tokens.find_top_level(0, "ON").map_or(0, |index| index + 2),
        _ => tokens.find_top_level(0, "AS").unwrap_or(0),
    };
    let body_start = tokens.byte_range(body).start;
    let span = span_of_message(statement, body_start, message)
        .or_else(|| span_of_message(statement, 0, message))
        .unwrap_or_else(|| first_line_span(statement));
    let consequence = match kind {
        ObjectKind::Trigger => format!("every statement on `{}` that fires it fails", object.table),
        _ => "every query of it fails".to_owned(),
    };
    Diagnostic::new(
        Rule::DanglingReference,
        span,
        format!("the {kind} `{name}` cannot be used: {}", displayed(message)),
    )
    .help(format!(
        "correct the name, or create what is missing in the same block; SQLite accepts the {kind} as it is, and {consequence}"
    ))
}

/// The part of a statement that broke something: what the message names, else the changed object.
fn breaking_span(statement_run: &StatementRun<'_, '_>, message: &str) -> Range<usize> {
    let statement = &statement_run.statement.sql;
    span_of_message(statement, 0, message).unwrap_or_else(|| {
        match statement_run.object_changes.first() {
            Some((key, _)) => span_of_name(statement, &key.name),
            None => first_line_span(statement),
        }
    })
}

/// SQLite names the schema `main` only in some of its messages.
fn displayed(message: &str) -> String {
    message.replace("no such table: main.", "no such table: ")
}
