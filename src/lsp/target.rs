//! Finds what a name in the SQL of a block means: a table, an index, a view, a trigger or a column, as
//! the document defines it at that place.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::database::job::Statement;
use crate::lsp::model::{Model, Step};
use crate::lsp::row_sources::{RowColumn, RowSources, TableColumn};
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::tokens::Tokens;

/// Keywords behind which the name of an object follows.
const OBJECT_KEYWORDS: [&str; 12] = [
    "FROM",
    "JOIN",
    "INTO",
    "UPDATE",
    "TABLE",
    "INDEX",
    "VIEW",
    "TRIGGER",
    "REFERENCES",
    "EXISTS",
    "REINDEX",
    "ANALYZE",
];

/// What a name means.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Object(Arc<Object>),
    Column { table: Arc<Object>, column: String },
}

impl Target {
    /// The object, or the table of the column.
    pub(crate) fn object(&self) -> &Arc<Object> {
        match self {
            Self::Object(object) => object,
            Self::Column { table, .. } => table,
        }
    }

    /// The name as the schema spells it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.name,
            Self::Column { column, .. } => column,
        }
    }

    /// Whether both are the same object or column of a schema, at whatever version.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_column = |target: &Self| matches!(target, Self::Column { .. });
        self.object().key() == other.object().key()
            && is_column(self) == is_column(other)
            && self.name().eq_ignore_ascii_case(other.name())
    }
}

/// A name in a statement.
pub(crate) struct FoundName<'m> {
    pub(crate) step: &'m Step,
    /// In the document.
    pub(crate) range: Range<usize>,
    pub(crate) target: Target,
}

/// The object or column that is named at a byte of the document.
pub(crate) fn find_name(model: &Model, offset: usize) -> Option<FoundName<'_>> {
    let step = model.step_at(offset)?;
    let statement = model.statements(step).iter().find(|statement| {
        let span = statement.sql.full_span();
        span.start <= offset && offset <= span.end
    })?;
    let tokens = Tokens::new(statement.sql.text());
    let index = (0..tokens.len()).find(|index| {
        let span = tokens.span(&statement.sql, *index, *index);
        span.start <= offset && offset <= span.end && tokens.can_be_name(*index)
    })?;
    let schemas = schemas_around(model, step, statement);
    let target = Resolver { tokens: &tokens, schemas: &schemas }.resolve(index)?;
    Some(FoundName { step, range: tokens.span(&statement.sql, index, index), target })
}

/// Whether the keyword before a name shows that it is the name of an object. `RENAME COLUMN a TO b`
/// names columns, and the ON of a join is followed by a condition.
pub(crate) fn is_object_place(tokens: &Tokens<'_>, index: usize) -> bool {
    OBJECT_KEYWORDS.iter().any(|word| tokens.preceded_by(index, word))
        || index >= 2 && tokens.match_seq(index - 2, &["RENAME", "TO"])
        || is_table_of_index_or_trigger(tokens, index)
}

/// Whether a name behind ON is that of a table: the first ON outside brackets, of CREATE INDEX or
/// CREATE TRIGGER. Any other is the condition of a join.
pub(crate) fn is_table_of_index_or_trigger(tokens: &Tokens<'_>, index: usize) -> bool {
    tokens.preceded_by(index, "ON")
        && tokens.is(0, "CREATE")
        && (1..4).any(|at| ["INDEX", "TRIGGER"].iter().any(|kind| tokens.is(at, kind)))
        && tokens.find_top_level(0, "ON") == Some(index - 1)
}

/// The tokens of a statement that are this name.
pub(crate) fn tokens_named<'t>(
    tokens: &'t Tokens<'_>,
    name: &'t str,
) -> impl Iterator<Item = usize> + 't {
    (0..tokens.len())
        .filter(move |index| tokens.can_be_name(*index) && tokens.is_name(*index, name))
}

/// The tables that a statement reads or changes, in lower case.
pub(crate) fn used_tables(statement: &Statement<'_>) -> BTreeSet<String> {
    let effects = &statement.effects;
    let mut tables: BTreeSet<String> = effects.modified_tables.clone();
    tables.extend(effects.filled_tables.iter().cloned());
    tables.extend(effects.read_columns.iter().map(|(table, _)| table.clone()));
    tables.extend(effects.updated_columns.iter().map(|(table, _)| table.clone()));
    tables.extend(effects.altered_table.iter().map(|table| table.to_ascii_lowercase()));
    tables.extend(effects.dropped_table.iter().cloned());
    tables
}

/// Finds what the names of one statement mean.
pub(crate) struct Resolver<'t, 's> {
    pub(crate) tokens: &'t Tokens<'s>,
    /// After the statement, and before it.
    pub(crate) schemas: &'t [Schema; 2],
}

/// The schemas after a statement of a block, and before it.
pub(crate) fn schemas_around(model: &Model, step: &Step, statement: &Statement<'_>) -> [Schema; 2] {
    let span = statement.sql.full_span();
    [model.schema_at(step, span.end), model.schema_at(step, span.start.saturating_sub(1))]
}

impl Resolver<'_, '_> {
    /// The table, column or other object that a token names.
    pub(crate) fn resolve(&self, index: usize) -> Option<Target> {
        let tokens = self.tokens;
        let name = tokens.name(index);
        let sources = RowSources::new(tokens, self.schemas);
        if tokens.preceded_by(index, ".") && index > 1 {
            return match sources.source_named(index, &tokens.name(index - 2)) {
                Some(source) => column_target(source.column(&name)?),
                // `main.t`
                None => self.object(index, &name),
            };
        }
        if tokens.is(index + 1, ".") {
            let source = sources.source_named(index, &name);
            let object = source.and_then(|source| source.object);
            return object.map(Target::Object).or_else(|| self.object(index, &name));
        }
        if is_object_place(tokens, index) {
            let is_common_table = sources
                .common_table_names(index)
                .iter()
                .any(|common| common.eq_ignore_ascii_case(&name));
            return if is_common_table { None } else { self.object(index, &name) };
        }
        let is_alias = tokens.preceded_by(index, "AS");
        if is_alias || tokens.is(index + 1, "(") {
            return None;
        }
        match sources.column(index) {
            Some(column) => column_target(&column),
            // `FROM a, b`
            None => self.object(index, &name),
        }
    }

    /// The tokens that mean something.
    pub(crate) fn tokens_meaning(&self, target: &Target) -> Vec<usize> {
        let is_meant =
            |index: &usize| self.resolve(*index).is_some_and(|found| found.is_same(target));
        tokens_named(self.tokens, target.name()).filter(is_meant).collect()
    }

    fn object(&self, index: usize, name: &str) -> Option<Target> {
        let mut kinds = [ObjectKind::Table, ObjectKind::Trigger];
        if self.tokens.preceded_by(index, "TRIGGER") {
            kinds.reverse();
        }
        let keys = kinds.map(|kind| ObjectKey::new(kind, name));
        let mut found =
            keys.iter().flat_map(|key| self.schemas.iter().filter_map(|schema| schema.get(key)));
        found.next().cloned().map(Target::Object)
    }
}

/// The column of a table that a column is. The column of a full-text table that has the name of the
/// table is the table.
fn column_target(column: &RowColumn) -> Option<Target> {
    let TableColumn { table, name } = column.origin.clone()?;
    Some(if table.is_virtual_table() && table.name.eq_ignore_ascii_case(&name) {
        Target::Object(table)
    } else {
        Target::Column { table, column: name }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a statement in places where only an object can be named.
    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let tokens = Tokens::new(sql);
        let found = (0..tokens.len()).filter(|index| is_object_place(&tokens, *index));
        let found: Vec<_> = found.map(|index| tokens.text(index)).collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn objects_are_named_behind_keywords_that_no_column_follows() {
        check("SELECT a FROM t JOIN u ON v = w", &["t", "u"]);
        check("CREATE UNIQUE INDEX i ON t (a)", &["i", "t"]);
        check(
            "CREATE TRIGGER g AFTER UPDATE OF a ON t BEGIN DELETE FROM u; SELECT 1 FROM v JOIN w ON x; END",
            &["g", "OF", "t", "u", "v", "w"],
        );
        check("ALTER TABLE t RENAME COLUMN a TO b", &["t"]);
        check("ALTER TABLE t RENAME TO u", &["t", "u"]);
        check("CREATE TABLE c (x REFERENCES t (a))", &["c", "t"]);
    }
}
