//! Reads which object a `CREATE` or `DROP` statement names. SQLite's authorizer does not report the
//! object of a statement with `IF EXISTS` or `IF NOT EXISTS` that does nothing.

use crate::sql::tokens::Tokens;

const KINDS: [&str; 4] = ["TABLE", "INDEX", "VIEW", "TRIGGER"];

/// A `CREATE` or `DROP` of a table, index, view or trigger, by the indexes of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectStatement {
    pub(crate) verb: ObjectVerb,
    /// `TABLE`, `INDEX`, `VIEW` or `TRIGGER`.
    pub(crate) kind: usize,
    /// Whether the statement has `IF NOT EXISTS` or `IF EXISTS`.
    pub(crate) has_guard: bool,
    /// The name of the database in front of that of the object: `main.t`.
    pub(crate) schema: Option<usize>,
    /// The name of the object; in an incomplete statement, the number of tokens or more.
    pub(crate) name: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectVerb {
    Create,
    Drop,
}

impl ObjectStatement {
    /// `None` for any other statement.
    pub(crate) fn parse(tokens: &Tokens<'_>) -> Option<Self> {
        let (verb, guard) = if tokens.is(0, "CREATE") {
            (ObjectVerb::Create, &["IF", "NOT", "EXISTS"][..])
        } else if tokens.is(0, "DROP") {
            (ObjectVerb::Drop, &["IF", "EXISTS"][..])
        } else {
            return None;
        };
        // `CREATE UNIQUE INDEX`, `CREATE TEMP TABLE`
        let kind = (1..3).find(|index| KINDS.iter().any(|kind| tokens.is(*index, kind)))?;
        let has_guard = tokens.match_seq(kind + 1, guard);
        let first = kind + 1 + if has_guard { guard.len() } else { 0 };
        let name = tokens.skip_schema_qualifier(first);
        Some(Self { verb, kind, has_guard, schema: (name != first).then_some(first), name })
    }

    /// Whether the statement creates or drops a table, but creates neither a virtual nor a temporary
    /// one.
    pub(crate) fn is_ordinary_table(&self, tokens: &Tokens<'_>) -> bool {
        self.kind == 1 && tokens.is(1, "TABLE")
    }

    /// Whether the statement itself says that the object is not one of the main database.
    pub(crate) fn is_outside_main(&self, tokens: &Tokens<'_>) -> bool {
        tokens.is(1, "TEMP")
            || tokens.is(1, "TEMPORARY")
            || self.schema.is_some_and(|schema| !tokens.is_name(schema, "main"))
    }
}

/// The name of the ordinary table that a statement creates.
pub(crate) fn created_table(tokens: &Tokens<'_>) -> Option<String> {
    let found = ObjectStatement::parse(tokens)
        .filter(|found| found.verb == ObjectVerb::Create && found.is_ordinary_table(tokens))?;
    Some(tokens.name(found.name))
}

/// The table or view of the main database that a statement drops, if it exists.
pub(crate) fn dropped_table(tokens: &Tokens<'_>) -> Option<String> {
    let found = ObjectStatement::parse(tokens).filter(|found| {
        found.verb == ObjectVerb::Drop
            && (tokens.is(found.kind, "TABLE") || tokens.is(found.kind, "VIEW"))
            && !found.is_outside_main(tokens)
            && found.name < tokens.len()
    })?;
    Some(tokens.name(found.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dropped_table_is_read_with_or_without_quotes_and_qualifier() {
        for sql in [
            "DROP TABLE t",
            "drop table if exists t;",
            "DROP /* old */ TABLE main.\"t\"",
            "DROP VIEW [main].[t]",
        ] {
            assert_eq!(dropped_table(&Tokens::new(sql)).as_deref(), Some("t"), "{sql}");
        }
        for sql in ["DROP TABLE temp.t", "DROP INDEX t", "DROP TABLE", "ALTER TABLE t DROP a", ""] {
            assert_eq!(dropped_table(&Tokens::new(sql)), None, "{sql}");
        }
    }

    #[test]
    fn the_created_table_is_an_ordinary_one() {
        for sql in ["CREATE TABLE t (a)", "create table if not exists main.[t] AS SELECT 1"] {
            assert_eq!(created_table(&Tokens::new(sql)).as_deref(), Some("t"), "{sql}");
        }
        for sql in [
            "CREATE TEMP TABLE t (a)",
            "CREATE VIRTUAL TABLE t USING fts5(a)",
            "CREATE VIEW t AS SELECT 1",
            "DROP TABLE t",
        ] {
            assert_eq!(created_table(&Tokens::new(sql)), None, "{sql}");
        }
    }

    #[test]
    fn the_name_and_the_guard_are_found_for_every_kind() {
        for (sql, kind, name, has_guard) in [
            ("CREATE UNIQUE INDEX IF NOT EXISTS main.i ON t (a)", "INDEX", "i", true),
            (
                "CREATE TEMPORARY TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
                "TRIGGER",
                "g",
                false,
            ),
            ("CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(a)", "TABLE", "f", true),
            ("DROP VIEW IF EXISTS v", "VIEW", "v", true),
        ] {
            let tokens = Tokens::new(sql);
            let found = ObjectStatement::parse(&tokens).unwrap();
            assert_eq!((tokens.text(found.kind), tokens.name(found.name)), (kind, name.to_owned()));
            assert_eq!(found.has_guard, has_guard, "{sql}");
        }
        assert_eq!(ObjectStatement::parse(&Tokens::new("CREATE")), None);
        assert_eq!(ObjectStatement::parse(&Tokens::new("SELECT 1")), None);
    }
}
