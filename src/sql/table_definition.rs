//! Holds the definition of a table as values that do not depend on how its SQL is spelled: two
//! tables are declared the same if and only if their definitions are equal.

use std::fmt;
use std::fmt::Write as _;

use crate::sql::key_term::{KeyOrder, KeyTerm, list_terms};
use crate::sql::tokens::Tokens;

/// A column. Names, types, keywords and expressions are in lower case and in one canonical
/// spelling; strings keep their case.
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

/// A column, and how it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColumnDefinition {
    pub(crate) spec: ColumnSpec,
    /// The constraints that concern this column alone, wherever the table declares them: checks,
    /// unique keys and foreign keys, sorted.
    pub(crate) constraints: Vec<String>,
    /// The SQL that declares the column, as written.
    pub(crate) sql: String,
    /// The name as written, without its quotes.
    pub(crate) name: String,
    /// The declared type as written.
    pub(crate) declared_type: String,
    /// The default as written, without the brackets around an expression.
    pub(crate) default: Option<String>,
}

impl PartialEq for ColumnDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.constraints == other.constraints
    }
}

impl Eq for ColumnDefinition {}

/// The definition without the name: `TEXT NOT NULL DEFAULT 'x'`.
impl fmt::Display for ColumnDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.declared_type.is_empty() { "no type" } else { &self.declared_type })?;
        let on_conflict = |f: &mut fmt::Formatter<'_>, action: &str| match action {
            "" => Ok(()),
            action => write!(f, " ON CONFLICT {}", action.to_ascii_uppercase()),
        };
        if let Some(action) = &self.spec.not_null {
            f.write_str(" NOT NULL")?;
            on_conflict(f, action)?;
        }
        if let Some(default) = &self.default {
            let is_expression =
                self.spec.default.as_ref().is_some_and(|default| default.starts_with('('));
            if is_expression {
                write!(f, " DEFAULT ({default})")?;
            } else {
                write!(f, " DEFAULT {default}")?;
            }
        }
        if let Some(collation) = &self.spec.collation {
            write!(f, " COLLATE {}", collation.to_ascii_uppercase())?;
        }
        if let Some((expression, storage)) = &self.spec.generated {
            write!(f, " AS {expression}")?;
            if *storage == GeneratedStorage::Stored {
                f.write_str(" STORED")?;
            }
        }
        self.constraints.iter().try_for_each(|constraint| write!(f, " {constraint}"))
    }
}

/// A foreign key as written. Two keys are equal if they differ in the case of names only.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    /// Empty if the key references the primary key of the parent.
    pub(crate) parent_columns: Vec<String>,
    /// In upper case; `NO ACTION` by default.
    pub(crate) on_update: String,
    pub(crate) on_delete: String,
    pub(crate) is_deferred: bool,
}

impl ForeignKey {
    /// What the key refers to and how: `REFERENCES p(id) ON DELETE CASCADE`.
    pub(crate) fn reference(&self) -> String {
        let mut text = format!("REFERENCES {}", self.parent);
        if !self.parent_columns.is_empty() {
            let _ = write!(text, "({})", self.parent_columns.join(", "));
        }
        for (event, action) in [("UPDATE", &self.on_update), ("DELETE", &self.on_delete)] {
            if action != "NO ACTION" {
                let _ = write!(text, " ON {event} {action}");
            }
        }
        if self.is_deferred {
            text.push_str(" DEFERRABLE INITIALLY DEFERRED");
        }
        text
    }
}

impl fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) {}", self.columns.join(", "), self.reference())
    }
}

impl PartialEq for ForeignKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_string().eq_ignore_ascii_case(&other.to_string())
    }
}

impl Eq for ForeignKey {}

/// The definition of a table without its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableDefinition {
    pub(crate) columns: Vec<ColumnDefinition>,
    /// In the order of their declaration.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) constraints: TableConstraints,
}

/// The constraints and options of a table, those declared in its columns included. The unique
/// keys, checks, foreign keys and options are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableConstraints {
    pub(crate) primary_key: Vec<KeyTerm>,
    /// `autoincrement`, the `ON CONFLICT` action of the primary key, and [`NO_ROWID_ALIAS`].
    pub(crate) primary_key_options: Vec<String>,
    pub(crate) unique_keys: Vec<UniqueKey>,
    /// The expressions in their brackets.
    pub(crate) checks: Vec<String>,
    /// In lower case.
    pub(crate) foreign_keys: Vec<String>,
    /// `strict` and `without rowid`.
    pub(crate) options: Vec<String>,
    /// Tokens that belong to none of these, so that unknown syntax still counts as a difference.
    pub(crate) unrecognized_tokens: Vec<String>,
}

/// A `UNIQUE` constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UniqueKey {
    pub(crate) terms: Vec<KeyTerm>,
    /// The action of its `ON CONFLICT` clause, or an empty text.
    pub(crate) conflict_action: String,
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

impl Eq for TableDefinition {}

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
        let column = self.column(only_column.column()?)?;
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
        let is_in_primary_key = self.primary_key_position(&column.name) > 0;
        column.not_null.is_some() || is_in_primary_key && self.has_option("without rowid")
    }

    /// Whether a column alone is a primary or unique key.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        let is_only_column =
            |key: &[KeyTerm]| matches!(key, [term] if term.plain_column() == Some(column));
        is_only_column(&self.constraints.primary_key)
            || self.constraints.unique_keys.iter().any(|key| is_only_column(&key.terms))
    }

    /// The position of a column in the primary key, from 1; 0 if the column is not part of it.
    pub(crate) fn primary_key_position(&self, column: &str) -> usize {
        let mut key = self.constraints.primary_key.iter();
        let is_column =
            |term: &KeyTerm| term.column().is_some_and(|name| name.eq_ignore_ascii_case(column));
        key.position(is_column).map_or(0, |index| index + 1)
    }

    /// The constraints and options that concern more than one column, each as SQL, sorted.
    pub(crate) fn table_clauses(&self) -> Vec<String> {
        let constraints = &self.constraints;
        let mut clauses = Vec::new();
        if !constraints.primary_key.is_empty() {
            let mut clause = format!("PRIMARY KEY ({})", list_terms(&constraints.primary_key));
            for option in &constraints.primary_key_options {
                let _ = match option.as_str() {
                    NO_ROWID_ALIAS => write!(clause, " ({NO_ROWID_ALIAS})"),
                    "autoincrement" => write!(clause, " AUTOINCREMENT"),
                    action => write!(clause, " ON CONFLICT {}", action.to_ascii_uppercase()),
                };
            }
            clauses.push(clause);
        }
        clauses.extend(
            self.constraint_clauses()
                .filter(|(column, _)| column.is_none())
                .map(|(_, clause)| clause),
        );
        clauses.extend(constraints.options.iter().map(|option| option.to_ascii_uppercase()));
        clauses.extend(constraints.unrecognized_tokens.iter().cloned());
        clauses.sort();
        clauses
    }

    /// Gives each column the constraints that concern it alone.
    pub(crate) fn assign_column_constraints(&mut self) {
        let clauses: Vec<(Option<usize>, String)> = self.constraint_clauses().collect();
        for (column, clause) in clauses {
            if let Some(column) = column {
                self.columns[column].constraints.push(clause);
            }
        }
        self.columns.iter_mut().for_each(|column| column.constraints.sort());
    }

    /// Each check, unique key and foreign key as SQL, with the index of its column if it concerns
    /// only one.
    fn constraint_clauses(&self) -> impl Iterator<Item = (Option<usize>, String)> + '_ {
        let constraints = &self.constraints;
        let checks = constraints
            .checks
            .iter()
            .map(|check| (self.only_column_in(check), format!("CHECK {check}")));
        let unique_keys = constraints.unique_keys.iter().map(|key| {
            let UniqueKey { terms, conflict_action } = key;
            let only_column = match terms.as_slice() {
                [term] if term.order == KeyOrder::Ascending => {
                    term.plain_column().and_then(|column| self.column_index(column))
                }
                _ => None,
            };
            let mut clause = match only_column {
                Some(_) => "UNIQUE".to_owned(),
                None => format!("UNIQUE ({})", list_terms(terms)),
            };
            if !conflict_action.is_empty() {
                let _ = write!(clause, " ON CONFLICT {}", conflict_action.to_ascii_uppercase());
            }
            (only_column, clause)
        });
        let foreign_keys = self.foreign_keys.iter().map(|key| {
            let lower = ForeignKey {
                columns: key.columns.iter().map(|name| name.to_ascii_lowercase()).collect(),
                parent: key.parent.to_ascii_lowercase(),
                parent_columns: key
                    .parent_columns
                    .iter()
                    .map(|name| name.to_ascii_lowercase())
                    .collect(),
                ..key.clone()
            };
            match key.columns.as_slice() {
                [column] => (self.column_index(column), lower.reference()),
                _ => (None, format!("FOREIGN KEY {lower}")),
            }
        });
        checks.chain(unique_keys).chain(foreign_keys)
    }

    fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.spec.name.eq_ignore_ascii_case(name))
    }

    /// The index of the only column that an expression names.
    fn only_column_in(&self, expression: &str) -> Option<usize> {
        let tokens = Tokens::new(expression);
        let mut columns = (0..tokens.len())
            .filter(|index| !tokens.text(*index).starts_with('\''))
            .filter_map(|index| self.column_index(&tokens.name(index)));
        let first = columns.next()?;
        columns.all(|column| column == first).then_some(first)
    }
}
