//! Names the objects that the document does not manage: the bookkeeping tables of known tools, and
//! what the settings add to them.

use regex::{RegexSet, RegexSetBuilder};

use crate::schema::{Object, ObjectKey, Schema};

/// The bookkeeping tables of tools that keep them in the database of an application.
const KNOWN_TOOLS: [&str; 20] = [
    "_litestream_*",
    "alembic_version",
    "schema_migrations",
    "goose_db_version",
    "refinery_schema_history",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "flyway_schema_history",
    "kysely_migration*",
    "knex_migrations*",
    "__drizzle_migrations",
    "_prisma_migrations",
    "django_migrations",
    "ar_internal_metadata",
    "d1_migrations",
    "_cf_*",
    "android_metadata",
    "room_master_table",
    "grdb_migrations",
    "sqlite_stat*",
];

/// Patterns for the names of objects that the document does not manage. In a pattern, `*` is any
/// text and `?` is any character; the case of ASCII letters does not count.
#[derive(Clone, Debug)]
pub struct IgnoredObjects {
    patterns: RegexSet,
}

/// The bookkeeping tables of known tools.
impl Default for IgnoredObjects {
    fn default() -> Self {
        Self::new::<&str>(&[])
    }
}

impl IgnoredObjects {
    /// The bookkeeping tables of known tools, and the objects whose names match one of the
    /// patterns.
    ///
    /// ```
    /// use tatmig::migrate::IgnoredObjects;
    ///
    /// let ignored = IgnoredObjects::new(&["tmp_*"]);
    /// assert!(ignored.matches("tmp_import") && ignored.matches("alembic_version"));
    /// assert!(!ignored.matches("notes"));
    /// ```
    #[must_use]
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Self {
        let patterns = KNOWN_TOOLS.into_iter().chain(patterns.iter().map(AsRef::as_ref));
        let patterns = RegexSetBuilder::new(patterns.map(to_regex)).case_insensitive(true).build();
        // Every pattern is escaped text with wildcards, so only one of absurd length fails.
        Self { patterns: patterns.unwrap_or_default() }
    }

    /// Whether one of the patterns matches a name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.is_match(name)
    }

    /// Whether an object, or the table that it belongs to, is ignored. `is_documented` returns
    /// whether the document creates an object of that name: such an object is never ignored.
    pub(crate) fn ignores(
        &self,
        object: &Object,
        is_documented: impl Fn(&ObjectKey) -> bool,
    ) -> bool {
        let owner = ObjectKey { is_trigger: false, name: object.table.to_ascii_lowercase() };
        !is_documented(&object.key())
            && (self.matches(&object.name) || self.matches(&object.table) && !is_documented(&owner))
    }

    /// Removes the ignored objects from a schema.
    pub(crate) fn remove_from(
        &self,
        schema: &mut Schema,
        is_documented: impl Fn(&ObjectKey) -> bool,
    ) {
        schema.retain(|_, object| !self.ignores(object, &is_documented));
    }
}

fn to_regex(pattern: &str) -> String {
    let escaped = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    format!("(?s)^{escaped}$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ObjectKind;

    #[test]
    fn objects_of_ignored_tables_are_ignored_and_documented_ones_never() {
        let patterns = IgnoredObjects::new(&["tmp_*", "a?c.d"]);
        let ignores = |kind, name: &str, table: &str, documented: &str| {
            let object = Object::new(kind, name.to_owned(), table.to_owned(), String::new());
            patterns.ignores(&object, |key| key.name == documented)
        };
        assert!(ignores(ObjectKind::Table, "_litestream_seq", "_litestream_seq", ""));
        assert!(ignores(ObjectKind::Table, "TMP_x", "TMP_x", ""));
        assert!(ignores(ObjectKind::Index, "by_time", "kysely_migration_lock", ""));
        assert!(!ignores(ObjectKind::Table, "tmp_x", "tmp_x", "tmp_x"));
        assert!(!ignores(ObjectKind::Index, "by_time", "tmp_x", "tmp_x"));
        assert!(!ignores(ObjectKind::Table, "atmp_x", "atmp_x", ""));
        assert!(patterns.matches("abc.d") && !patterns.matches("abcxd"));
    }
}
