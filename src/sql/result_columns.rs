//! Reads the result columns of a query.

use std::ops::Range;

use crate::sql::from_clause::CLAUSE_KEYWORDS;
use crate::sql::tokens::Tokens;

/// A result column, as written. Indexes are those of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResultColumn {
    /// `*`, at its index.
    Star(usize),
    /// `t.*`, with the index of `t`.
    StarOf(usize),
    One {
        /// Empty for an expression without an alias, whose name SQLite makes up.
        name: String,
        /// The column that the expression is, if it is one and nothing else.
        column: Option<usize>,
    },
}

/// The result columns of a query, given with its `WITH`. Of a compound, the first SELECT names them.
/// Empty for `VALUES`.
pub(crate) fn result_columns(tokens: &Tokens<'_>, query: Range<usize>) -> Vec<ResultColumn> {
    let select = tokens.find_keyword(query.clone(), &["SELECT", "VALUES"]);
    if query.is_empty() || !tokens.is(select, "SELECT") {
        return Vec::new();
    }
    let quantifier = tokens.is(select + 1, "DISTINCT") || tokens.is(select + 1, "ALL");
    let first = select + 1 + usize::from(quantifier);
    if first >= query.end {
        return Vec::new();
    }
    let ends = [&CLAUSE_KEYWORDS[..], &["UNION", "EXCEPT", "INTERSECT", ";"]].concat();
    let end = tokens.find_keyword(first..query.end, &ends);
    let parts = tokens.split_at_commas(first..end).into_iter().filter(|part| !part.is_empty());
    parts.map(|part| result_column(tokens, &part)).collect()
}

fn result_column(tokens: &Tokens<'_>, part: &Range<usize>) -> ResultColumn {
    let last = part.end - 1;
    if tokens.is(last, "*") && part.len() == 1 {
        return ResultColumn::Star(last);
    }
    if tokens.is(last, "*") && part.len() >= 3 {
        return ResultColumn::StarOf(last - 2);
    }
    let is_aliased = tokens.can_be_name(last) && part.len() > 1;
    let has_implicit_alias =
        tokens.can_be_name(last - 1) && part.len() == 2 || tokens.is(last - 1, ")");
    let (expression, alias) = if is_aliased && tokens.is(last - 1, "AS") {
        (part.start..last - 1, Some(tokens.name(last)))
    } else if is_aliased && has_implicit_alias {
        (part.start..last, Some(tokens.name(last)))
    } else {
        (part.clone(), None)
    };
    // `c` or `t.c`
    let is_column =
        expression.len() == 1 || expression.len() == 3 && tokens.is(expression.start + 1, ".");
    let column = expression.end.checked_sub(1).filter(|_| is_column);
    let column = column.filter(|index| tokens.can_be_name(*index));
    let name = alias.or_else(|| column.map(|index| tokens.name(index))).unwrap_or_default();
    ResultColumn::One { name, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_aliases_and_stars() {
        let tokens = Tokens::new(
            "WITH x AS (SELECT 1) SELECT DISTINCT a, t.b, t.b AS c, d e, f(a, 1) g, a + 1, *, t.* FROM t, x",
        );
        let columns = result_columns(&tokens, 0..tokens.len());
        let shown: Vec<String> = columns
            .iter()
            .map(|column| match column {
                ResultColumn::Star(index) => tokens.text(*index).to_owned(),
                ResultColumn::StarOf(index) => format!("{}.*", tokens.text(*index)),
                ResultColumn::One { name, column } => {
                    format!("{name}={}", column.map_or("", |index| tokens.text(index)))
                }
            })
            .collect();
        assert_eq!(shown, ["a=a", "b=b", "c=b", "e=d", "g=", "=", "*", "t.*"]);
        for sql in ["VALUES (1)", "SELECT", "WITH x AS (SELECT 1)", ""] {
            let tokens = Tokens::new(sql);
            assert_eq!(result_columns(&tokens, 0..tokens.len()), [], "{sql}");
        }
    }
}
