//! Derives a column's type affinity from its declared type, by the rules of SQLite's manual
//! (<https://sqlite.org/datatype3.html#determination_of_column_affinity>).

/// The affinity of a column: which storage class SQLite prefers for its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// The affinity of a declared type, in any case of letters. The order of the rules is SQLite's:
    /// `CHARINT` is an integer, and `FLOATING POINT` too, because of `INT`.
    pub(crate) fn from_declared_type(declared_type: &str) -> Self {
        let name = declared_type.to_ascii_uppercase();
        let contains_any = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if contains_any(&["INT"]) {
            Self::Integer
        } else if contains_any(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if name.is_empty() || contains_any(&["BLOB"]) {
            Self::Blob
        } else if contains_any(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_follow_the_manual() {
        for (declared_type, expected) in [
            ("INTEGER", Affinity::Integer),
            ("charint", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("VARCHAR(255)", Affinity::Text),
            ("text", Affinity::Text),
            ("", Affinity::Blob),
            ("BLOB", Affinity::Blob),
            ("DOUBLE PRECISION", Affinity::Real),
            ("DECIMAL(10, 5)", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::from_declared_type(declared_type), expected, "{declared_type}");
        }
    }
}
