//! Finds what a name in the SQL of a block means: a table, an index, a view, a trigger or a column, as
//! the document defines it at that place.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::database::job::Statement;
use crate::lsp::model::{Model, Step};
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
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
        span.start <= offset && offset <= span.end && is_name(&tokens, *index)
    })?;
    let span = statement.sql.full_span();
    let schemas =
        [model.schema_at(step, span.end), model.schema_at(step, span.start.saturating_sub(1))];
    let resolver = Resolver { tokens: &tokens, statement, schemas };
    let target = resolver.resolve(index)?;
    Some(FoundName { step, range: tokens.span(&statement.sql, index, index), target })
}

/// Whether a token can be a name: a word or a quoted name, not a string.
pub(crate) fn is_name(tokens: &Tokens<'_>, index: usize) -> bool {
    match tokens.kind(index) {
        Some(TokenKind::Word) => !tokens.text(index).starts_with(|c: char| c.is_ascii_digit()),
        Some(TokenKind::Quoted) => !tokens.text(index).starts_with('\''),
        _ => false,
    }
}

/// Whether the keyword before a name shows that it is the name of an object. `RENAME COLUMN a TO b`
/// names columns, and the ON of a join is followed by a condition.
pub(crate) fn is_object_place(tokens: &Tokens<'_>, index: usize) -> bool {
    let is_on_table = || {
        let kinds = ["INDEX", "TRIGGER"];
        tokens.preceded_by(index, "ON")
            && tokens.is(0, "CREATE")
            && (1..4).any(|at| kinds.iter().any(|kind| tokens.is(at, kind)))
            && tokens.find_top_level(0, "ON") == Some(index - 1)
    };
    OBJECT_KEYWORDS.iter().any(|word| tokens.preceded_by(index, word))
        || index >= 2 && tokens.match_seq(index - 2, &["RENAME", "TO"])
        || is_on_table()
}

/// The tokens of a statement that are this name.
pub(crate) fn tokens_named<'t>(
    tokens: &'t Tokens<'_>,
    name: &'t str,
) -> impl Iterator<Item = usize> + 't {
    (0..tokens.len()).filter(move |index| is_name(tokens, *index) && tokens.is_name(*index, name))
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

struct Resolver<'t, 's> {
    tokens: &'t Tokens<'s>,
    statement: &'t Statement<'static>,
    /// After the statement, and before it.
    schemas: [Schema; 2],
}

impl Resolver<'_, '_> {
    fn resolve(&self, index: usize) -> Option<Target> {
        let name = self.tokens.name(index);
        if self.tokens.preceded_by(index, ".") && index > 1 {
            // `main.t`, or a column of a table or of an alias.
            return self
                .column_of(&self.tokens.name(index - 2), &name)
                .or_else(|| self.object(&name))
                .or_else(|| self.column(&name));
        }
        if is_object_place(self.tokens, index) || self.tokens.is(index + 1, ".") {
            return self.object(&name).or_else(|| self.column(&name));
        }
        self.column(&name).or_else(|| self.object(&name))
    }

    fn object(&self, name: &str) -> Option<Target> {
        let kinds = [ObjectKind::Table, ObjectKind::Trigger];
        let keys = kinds.map(|kind| ObjectKey::new(kind, name));
        let mut found =
            self.schemas.iter().flat_map(|schema| keys.iter().filter_map(|key| schema.get(key)));
        found.next().cloned().map(Target::Object)
    }

    fn column_of(&self, table: &str, column: &str) -> Option<Target> {
        let key = ObjectKey::new(ObjectKind::Table, table);
        self.schemas.iter().find_map(|schema| column_in(schema.get(&key)?, column))
    }

    /// A column of one of the tables that the statement names or uses.
    fn column(&self, name: &str) -> Option<Target> {
        let mut tables = used_tables(self.statement);
        tables.extend(
            (0..self.tokens.len())
                .filter(|index| is_name(self.tokens, *index))
                .map(|index| self.tokens.name(index).to_ascii_lowercase()),
        );
        let tables = tables.iter().map(|table| ObjectKey::new(ObjectKind::Table, table));
        let keys: Vec<ObjectKey> = tables.collect();
        self.schemas.iter().find_map(|schema| {
            keys.iter().filter_map(|key| schema.get(key)).find_map(|table| column_in(table, name))
        })
    }
}

fn column_in(table: &Arc<Object>, name: &str) -> Option<Target> {
    let column = table.structure().column(name)?.name.clone();
    Some(Target::Column { table: table.clone(), column })
}

/// A name as it is compared: without quotes, in lower case.
pub(crate) fn compared(name: &str) -> String {
    lexer::unquote(name).to_ascii_lowercase()
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
