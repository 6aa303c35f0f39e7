//! Reads the common table expressions of a `WITH`.

use std::ops::Range;

use crate::sql::tokens::Tokens;

/// A common table expression: `name (columns) AS (body)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommonTable {
    /// In lower case.
    pub(crate) name: String,
    /// Empty without a list.
    pub(crate) columns: Vec<String>,
    /// The tokens of its query.
    pub(crate) body: Range<usize>,
}

/// The common table expressions behind the keyword at an index, as far as they can be read.
pub(crate) fn read_common_tables(tokens: &Tokens<'_>, with: usize) -> Vec<CommonTable> {
    let mut tables = Vec::new();
    let mut index = with + 1 + usize::from(tokens.is(with + 1, "RECURSIVE"));
    loop {
        let name = tokens.name(index).to_lowercase();
        let mut columns = Vec::new();
        index += 1;
        if tokens.is(index, "(") {
            columns = listed_names(tokens, index);
            index = tokens.after_matching_close(index);
        }
        if !tokens.is(index, "AS") {
            return tables;
        }
        index += 1;
        index += usize::from(tokens.is(index, "NOT"));
        index += usize::from(tokens.is(index, "MATERIALIZED"));
        if !tokens.is(index, "(") {
            return tables;
        }
        let end = tokens.after_matching_close(index);
        let is_closed = tokens.preceded_by(end, ")") && end > index + 1;
        let body = index + 1..if is_closed { end - 1 } else { end };
        tables.push(CommonTable { name, columns, body });
        if !tokens.is(end, ",") {
            return tables;
        }
        index = end + 1;
    }
}

/// The names between brackets.
pub(crate) fn listed_names(tokens: &Tokens<'_>, opening: usize) -> Vec<String> {
    let end = tokens.after_matching_close(opening);
    let names = tokens.split_at_commas(opening + 1..end.saturating_sub(1).max(opening + 1));
    names.into_iter().map(|range| tokens.name(range.start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_table_with_its_columns() {
        let tokens = Tokens::new(
            "WITH RECURSIVE A (x, \"y z\") AS NOT MATERIALIZED (SELECT 1, 2), b AS (SELECT 3) SELECT 1",
        );
        let tables = read_common_tables(&tokens, 0);
        let shown: Vec<_> = tables
            .iter()
            .map(|table| {
                format!(
                    "{} {:?} {}",
                    table.name,
                    table.columns,
                    tokens.text_between(table.body.clone())
                )
            })
            .collect();
        assert_eq!(shown, ["a [\"x\", \"y z\"] SELECT 1, 2", "b [] SELECT 3"]);
        for sql in
            ["WITH", "WITH a", "WITH a (", "WITH a AS", "WITH a AS (", "WITH a AS (SELECT 1),"]
        {
            let tokens = Tokens::new(sql);
            for table in read_common_tables(&tokens, 0) {
                assert!(table.body.end <= tokens.len(), "{sql}");
            }
        }
    }
}
