//! Represents the differences between two schemas, and the drift that a database's history accepts.

use std::fmt;

use crate::schema::ObjectKind;

/// One difference of an actual schema from an expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// An object that does not exist.
    Missing {
        kind: ObjectKind,
        name: String,
    },
    /// An object that should not exist.
    Unexpected {
        kind: ObjectKind,
        name: String,
    },
    /// An object that a run should have dropped.
    NotDropped {
        kind: ObjectKind,
        name: String,
    },
    /// An object of another kind.
    OtherKind {
        name: String,
        expected: ObjectKind,
        found: ObjectKind,
    },
    MissingColumn {
        table: String,
        column: String,
        expected: String,
    },
    UnexpectedColumn {
        table: String,
        column: String,
        found: String,
    },
    /// A column that a run should have renamed to this.
    RenamedColumnMissing {
        table: String,
        column: String,
    },
    /// A column that a run should have dropped.
    ColumnNotDropped {
        table: String,
        column: String,
    },
    Column {
        table: String,
        column: String,
        expected: String,
        found: String,
    },
    /// A constraint or an option that a table does not have.
    MissingClause {
        table: String,
        clause: String,
    },
    UnexpectedClause {
        table: String,
        clause: String,
    },
    /// An index, view, trigger or virtual table with another definition.
    Definition {
        kind: ObjectKind,
        name: String,
        expected: String,
        found: String,
    },
    /// A table whose columns have another order. It matters only to statements that use positions.
    ColumnOrder {
        table: String,
        expected: Vec<String>,
        found: Vec<String>,
    },
}

impl Difference {
    /// Whether the difference matters to statements that name their columns.
    pub(crate) fn is_significant(&self) -> bool {
        !matches!(self, Self::ColumnOrder { .. })
    }

    /// The name of the table or other object that differs.
    pub(crate) fn object(&self) -> &str {
        match self {
            Self::Missing { name, .. }
            | Self::Unexpected { name, .. }
            | Self::NotDropped { name, .. }
            | Self::OtherKind { name, .. }
            | Self::Definition { name, .. } => name,
            Self::MissingColumn { table, .. }
            | Self::UnexpectedColumn { table, .. }
            | Self::RenamedColumnMissing { table, .. }
            | Self::ColumnNotDropped { table, .. }
            | Self::Column { table, .. }
            | Self::MissingClause { table, .. }
            | Self::UnexpectedClause { table, .. }
            | Self::ColumnOrder { table, .. } => table,
        }
    }

    /// The column that differs.
    pub(crate) fn column(&self) -> Option<&str> {
        match self {
            Self::MissingColumn { column, .. }
            | Self::UnexpectedColumn { column, .. }
            | Self::RenamedColumnMissing { column, .. }
            | Self::ColumnNotDropped { column, .. }
            | Self::Column { column, .. } => Some(column),
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kind, name } => write!(f, "{kind} `{name}` is missing"),
            Self::Unexpected { kind, name } => write!(f, "{kind} `{name}` is not expected"),
            Self::NotDropped { kind, name } => write!(f, "{kind} `{name}` still exists"),
            Self::OtherKind { name, expected, found } => {
                write!(f, "`{name}` is a {found}, not a {expected}")
            }
            Self::MissingColumn { table, column, expected } => {
                write!(f, "column `{table}.{column}` is missing ({expected})")
            }
            Self::RenamedColumnMissing { table, column } => {
                write!(f, "column `{table}.{column}` is missing")
            }
            Self::UnexpectedColumn { table, column, found } => {
                write!(f, "column `{table}.{column}` is not expected ({found})")
            }
            Self::ColumnNotDropped { table, column } => {
                write!(f, "column `{table}.{column}` still exists")
            }
            Self::Column { table, column, expected, found } => {
                write!(f, "column `{table}.{column}` is `{found}`, not `{expected}`")
            }
            Self::MissingClause { table, clause } => write!(f, "table `{table}` lacks `{clause}`"),
            Self::UnexpectedClause { table, clause } => {
                write!(f, "table `{table}` has `{clause}`, which is not expected")
            }
            Self::Definition { kind, name, expected, found } => {
                write!(f, "{kind} `{name}` is `{found}`, not `{expected}`")
            }
            Self::ColumnOrder { table, expected, found } => write!(
                f,
                "the columns of table `{table}` have the order {}, not {}",
                found.join(", "),
                expected.join(", ")
            ),
        }
    }
}

/// The note of a history entry that accepts differences, one a line; none without a difference.
pub(crate) fn drift_note<'d>(differences: impl Iterator<Item = &'d Difference>) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for difference in differences {
        let line = difference.to_string();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The drift that a history accepts: differences as `adopt` showed and recorded them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AcceptedDrift {
    lines: Vec<String>,
}

impl AcceptedDrift {
    pub(crate) fn new(lines: Vec<String>) -> Self {
        Self { lines }
    }

    /// Whether a difference was accepted. What a database has at the same place must be what it
    /// had then; what the document expects there may have changed since.
    pub(crate) fn accepts(&self, difference: &Difference) -> bool {
        let has_line =
            |accepted: &dyn Fn(&str) -> bool| self.lines.iter().any(|line| accepted(line));
        let text = difference.to_string();
        if has_line(&|line| line == text) {
            return true;
        }
        // A table that the document did not know was accepted whole.
        let table = Difference::Unexpected {
            kind: ObjectKind::Table,
            name: difference.object().to_owned(),
        };
        if difference.column().is_some() || !difference.is_significant() {
            let table = table.to_string();
            if has_line(&|line| line == table) {
                return true;
            }
        }
        match difference {
            Difference::Column { table, column, found, .. }
            | Difference::UnexpectedColumn { table, column, found } => {
                self.accepts_column(table, column, found)
            }
            Difference::MissingColumn { table, column, .. } => {
                let start = format!("column `{table}.{column}` is missing (");
                has_line(&|line| line.starts_with(&start))
            }
            Difference::Definition { kind, name, found, .. } => {
                let start = format!("{kind} `{name}` is `{found}`, not `");
                let unexpected = Difference::Unexpected { kind: *kind, name: name.clone() };
                let unexpected = unexpected.to_string();
                has_line(&|line| line.starts_with(&start) || line == unexpected)
            }
            Difference::MissingClause { table: name, .. }
            | Difference::UnexpectedClause { table: name, .. } => {
                let unexpected =
                    Difference::Unexpected { kind: ObjectKind::Table, name: name.clone() };
                let unexpected = unexpected.to_string();
                has_line(&|line| line == unexpected)
            }
            _ => false,
        }
    }

    /// Whether a column was accepted with this definition.
    pub(crate) fn accepts_column(&self, table: &str, column: &str, found: &str) -> bool {
        let subject = format!("column `{table}.{column}` is ");
        let (differs, unexpected) =
            (format!("`{found}`, not `"), format!("not expected ({found})"));
        self.lines.iter().filter_map(|line| line.strip_prefix(&subject)).any(|rest| {
            // Older histories hold no definition of a column that is not expected.
            rest.starts_with(&differs) || rest == unexpected || rest == "not expected"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(found: &str, expected: &str) -> Difference {
        let (table, column) = ("t".to_owned(), "c".to_owned());
        Difference::Column { table, column, expected: expected.to_owned(), found: found.to_owned() }
    }

    #[test]
    fn a_column_is_accepted_with_the_definition_that_it_had() {
        let drift = |difference: &Difference| AcceptedDrift::new(vec![difference.to_string()]);
        let unexpected = Difference::UnexpectedColumn {
            table: "t".to_owned(),
            column: "c".to_owned(),
            found: "INT DEFAULT 2".to_owned(),
        };
        for accepted in [drift(&unexpected), drift(&column("INT DEFAULT 2", "TEXT"))] {
            assert!(accepted.accepts(&column("INT DEFAULT 2", "INT DEFAULT 1")));
            assert!(accepted.accepts(&unexpected));
            assert!(!accepted.accepts(&column("INT DEFAULT 3", "INT DEFAULT 1")));
        }
        assert!(!AcceptedDrift::default().accepts(&unexpected));
    }

    #[test]
    fn an_accepted_table_is_accepted_with_all_its_differences() {
        let accepted = AcceptedDrift::new(vec!["table `t` is not expected".to_owned()]);
        assert!(accepted.accepts(&column("INT", "TEXT")));
        assert!(accepted.accepts(&Difference::MissingClause {
            table: "t".to_owned(),
            clause: "STRICT".to_owned(),
        }));
        assert!(
            !accepted
                .accepts(&Difference::Missing { kind: ObjectKind::Table, name: "t".to_owned() })
        );
    }
}
