//! Holds the definition of a table as values that do not depend on how its SQL is spelled: two
//! tables are declared the same if and only if their definitions are equal.

/// A column. Names, types, keywords and expressions are in lower case, with one space between
/// tokens; strings keep their case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    /// Empty for a column without a type.
    pub(crate) declared_type: String,
    /// The action of the `ON CONFLICT` clause of `NOT NULL`, or an empty text. `None` for a column
    /// without `NOT NULL`.
    pub(crate) not_null: Option<String>,
    pub(crate) default: Option<String>,
    /// `None` for `BINARY`, which is SQLite's default.
    pub(crate) collation: Option<String>,
    /// The expression of a generated column in its brackets, and where its value is stored.
    pub(crate) generated: Option<(String, GeneratedStorage)>,
}

/// An option of the primary key of `INTEGER PRIMARY KEY DESC`, which is no alias of the rowid, unlike
/// `PRIMARY KEY (id DESC)`.
pub(crate) const NO_ROWID_ALIAS: &str = "no rowid alias";

/// Whether the value of a generated column is stored or computed when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeneratedStorage {
    Virtual,
    Stored,
}

/// A column, and the SQL that declares it, as written.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) spec: ColumnSpec,
    pub(crate) sql: String,
}

/// The definition of a table without its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableDefinition {
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) constraints: TableConstraints,
}

/// The constraints and options of a table, those declared in its columns included. The unique
/// keys, checks, foreign keys and options are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableConstraints {
    /// The columns of the primary key, each with its collation and order unless they are defaults.
    pub(crate) primary_key: Vec<String>,
    /// `autoincrement`, the `ON CONFLICT` action of the primary key, and [`NO_ROWID_ALIAS`].
    pub(crate) primary_key_options: Vec<String>,
    /// The columns of each unique key, and its `ON CONFLICT` action or an empty text.
    pub(crate) unique_keys: Vec<(Vec<String>, String)>,
    /// The expressions in their brackets.
    pub(crate) checks: Vec<String>,
    pub(crate) foreign_keys: Vec<String>,
    /// `strict` and `without rowid`.
    pub(crate) options: Vec<String>,
    /// Tokens that belong to none of these, so that unknown syntax still counts as a difference.
    pub(crate) unrecognized_tokens: Vec<String>,
}

impl PartialEq for TableDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.constraints == other.constraints
            && self
                .columns
                .iter()
                .map(|column| &column.spec)
                .eq(other.columns.iter().map(|column| &column.spec))
    }
}

impl TableDefinition {
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        self.columns.iter().find(|column| column.spec.name.eq_ignore_ascii_case(name))
    }

    /// The name of the `INTEGER PRIMARY KEY` column, which is an alias of the rowid.
    pub(crate) fn rowid_alias(&self) -> Option<&str> {
        let TableConstraints { primary_key, primary_key_options, .. } = &self.constraints;
        let [only_column] = primary_key.as_slice() else { return None };
        if primary_key_options.iter().any(|option| option == NO_ROWID_ALIAS) {
            return None;
        }
        let column = self.column(only_column.strip_suffix(" desc").unwrap_or(only_column))?;
        (column.spec.declared_type == "integer" && !self.has_option("without rowid"))
            .then_some(column.spec.name.as_str())
    }

    /// Whether the table has an option, written in lower case.
    pub(crate) fn has_option(&self, option: &str) -> bool {
        self.constraints.options.iter().any(|table_option| table_option == option)
    }

    pub(crate) fn is_autoincrement(&self) -> bool {
        self.constraints.primary_key_options.iter().any(|option| option == "autoincrement")
    }

    /// Whether SQLite rejects NULL in a column. A primary key column rejects NULL only in a
    /// `WITHOUT ROWID` table.
    pub(crate) fn rejects_null(&self, column: &ColumnSpec) -> bool {
        let is_in_primary_key = self.constraints.primary_key.contains(&column.name);
        column.not_null.is_some() || is_in_primary_key && self.has_option("without rowid")
    }

    /// Whether a column alone is a primary or unique key.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        let is_only_column = |key: &[String]| key == [column];
        is_only_column(&self.constraints.primary_key)
            || self.constraints.unique_keys.iter().any(|(key, _)| is_only_column(key))
    }
}
