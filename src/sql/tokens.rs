//! Splits one statement into its tokens, without comments and white space, to find keywords, names
//! and matching brackets, and their positions in the document.

use std::ops::Range;

use crate::source::SourceSlice;
use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};

/// Keywords after which an expression begins.
const EXPRESSION_KEYWORDS: &[&str] = &[
    "AND", "BETWEEN", "BY", "CASE", "ELSE", "HAVING", "IS", "LIKE", "NOT", "ON", "OR", "SELECT",
    "SET", "THEN", "WHEN", "WHERE",
];

/// The tokens of a statement, without comments and white space. An index past the last token is
/// allowed everywhere: its text is empty.
#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    text: &'t str,
    list: Vec<Token>,
    /// The bracket depth of each token.
    depths: Vec<usize>,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let tokens: Vec<Token> = lexer::tokens(text, 0)
            .filter(|token| !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment))
            .collect();
        let mut depth = 0_usize;
        let depths = tokens
            .iter()
            .map(|token| match &text[token.range.clone()] {
                "(" => {
                    depth += 1;
                    depth - 1
                }
                ")" => {
                    depth = depth.saturating_sub(1);
                    depth
                }
                _ => depth,
            })
            .collect();
        Self { text, list: tokens, depths }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The text of a token, as written.
    pub(crate) fn text(&self, index: usize) -> &'t str {
        self.list.get(index).map_or("", |token| &self.text[token.range.clone()])
    }

    /// The number of brackets around a token. A bracket itself counts as outside its pair.
    pub(crate) fn depth(&self, index: usize) -> usize {
        self.depths.get(index).copied().unwrap_or(0)
    }

    /// Whether a token is this keyword, in any case of letters, or this symbol.
    pub(crate) fn is(&self, index: usize, expected: &str) -> bool {
        self.text(index).eq_ignore_ascii_case(expected)
    }

    /// Whether the token before this one is a keyword or symbol.
    pub(crate) fn preceded_by(&self, index: usize, expected: &str) -> bool {
        index > 0 && self.is(index - 1, expected)
    }

    /// Whether the tokens from `index` on are this sequence.
    pub(crate) fn match_seq(&self, index: usize, expected: &[&str]) -> bool {
        expected
            .iter()
            .enumerate()
            .all(|(offset, expected_token)| self.is(index + offset, expected_token))
    }

    pub(crate) fn kind(&self, index: usize) -> Option<TokenKind> {
        self.list.get(index).map(|token| token.kind)
    }

    /// Whether nothing separates a token from the one after it: `1.5` is three adjacent tokens.
    pub(crate) fn is_adjacent(&self, index: usize) -> bool {
        self.byte_range(index).end == self.byte_range(index + 1).start
    }

    pub(crate) fn is_quoted(&self, index: usize) -> bool {
        self.list.get(index).is_some_and(|token| token.kind == TokenKind::Quoted)
    }

    /// Whether a token can be a name: a word or a quoted name, not a string.
    pub(crate) fn can_be_name(&self, index: usize) -> bool {
        match self.kind(index) {
            Some(TokenKind::Word) => !self.text(index).starts_with(|c: char| c.is_ascii_digit()),
            Some(TokenKind::Quoted) => !self.text(index).starts_with('\''),
            _ => false,
        }
    }

    /// A name or a string without its quotes.
    pub(crate) fn name(&self, index: usize) -> String {
        lexer::unquote(self.text(index)).into_owned()
    }

    /// The index of the name proper where a schema name and a dot may come first: `main.t`.
    pub(crate) fn skip_schema_qualifier(&self, index: usize) -> usize {
        if self.is(index + 1, ".") { index + 2 } else { index }
    }

    /// Whether a token is this name, quoted or not, in any case of letters.
    pub(crate) fn is_name(&self, index: usize, name: &str) -> bool {
        lexer::unquote(self.text(index)).eq_ignore_ascii_case(name)
    }

    /// The index after the bracket that closes the one at `opening`; the number of tokens if none
    /// does.
    pub(crate) fn after_matching_close(&self, opening: usize) -> usize {
        let depth = self.depth(opening);
        (opening + 1..self.len())
            .find(|index| self.is(*index, ")") && self.depth(*index) == depth)
            .map_or(self.len(), |index| index + 1)
    }

    /// Splits a range of tokens at the commas that have the depth of its first token.
    pub(crate) fn split_at_commas(&self, token_range: Range<usize>) -> Vec<Range<usize>> {
        if token_range.is_empty() {
            return Vec::new();
        }
        let depth = self.depth(token_range.start);
        let mut parts = Vec::new();
        let mut start = token_range.start;
        for index in token_range.clone() {
            if self.is(index, ",") && self.depth(index) == depth {
                parts.push(start..index);
                start = index + 1;
            }
        }
        parts.push(start..token_range.end);
        parts
    }

    /// The range in the document from the first token to the last, both included.
    pub(crate) fn span(&self, slice: &SourceSlice<'_>, first: usize, last: usize) -> Range<usize> {
        match (self.list.get(first), self.list.get(last)) {
            (Some(first), Some(last)) => slice.document_span(first.range.start..last.range.end),
            (Some(first), None) => slice.document_span(first.range.clone()),
            _ => slice.document_span(0..slice.text().len().min(1)),
        }
    }

    /// The text from the first token of a range to its last, as written.
    pub(crate) fn text_between(&self, range: Range<usize>) -> &'t str {
        match (self.list.get(range.start), self.list[..self.len().min(range.end)].last()) {
            (Some(first), Some(last)) if first.range.start < last.range.end => {
                &self.text[first.range.start..last.range.end]
            }
            _ => "",
        }
    }

    /// The byte range of a token in the statement.
    pub(crate) fn byte_range(&self, index: usize) -> Range<usize> {
        self.list.get(index).map_or(0..0, |token| token.range.clone())
    }

    /// The index of the keyword that says what the statement does: the first one, after any `WITH`
    /// clause.
    pub(crate) fn main_keyword(&self) -> usize {
        const MAIN_KEYWORDS: [&str; 6] =
            ["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"];
        if !self.is(0, "WITH") {
            return 0;
        }
        (1..self.len())
            .find(|index| {
                self.depth(*index) == 0
                    && MAIN_KEYWORDS.iter().any(|keyword| self.is(*index, keyword))
            })
            .unwrap_or(0)
    }

    /// The index of the first such keyword outside all brackets, from `from` on.
    pub(crate) fn find_top_level(&self, from: usize, keyword: &str) -> Option<usize> {
        (from..self.len()).find(|index| self.depth(*index) == 0 && self.is(*index, keyword))
    }

    /// The index of the first of these keywords at the depth of the first token of a range; the end of
    /// the range without one. The FROM of `IS DISTINCT FROM` is no clause.
    pub(crate) fn find_keyword(&self, range: Range<usize>, keywords: &[&str]) -> usize {
        let depth = self.depth(range.start);
        range
            .clone()
            .find(|index| {
                self.depth(*index) == depth
                    && !self.is_quoted(*index)
                    && keywords.iter().any(|keyword| self.is(*index, keyword))
                    && !(self.is(*index, "FROM") && self.preceded_by(*index, "DISTINCT"))
            })
            .unwrap_or(range.end)
    }

    /// A range without the brackets around all of it.
    pub(crate) fn without_outer_brackets(&self, mut range: Range<usize>) -> Range<usize> {
        while range.len() > 2
            && self.is(range.start, "(")
            && self.after_matching_close(range.start) == range.end
        {
            range = range.start + 1..range.end - 1;
        }
        range
    }

    /// The tokens in one canonical spelling: names unquoted, all but strings in lower case, one
    /// spelling of each operator, no brackets around a single value, and spaces only where they help
    /// the reader.
    pub(crate) fn normalized(&self, range: Range<usize>) -> String {
        self.normalized_without(range, |_| false)
    }

    /// The canonical spelling of a range without some of its tokens.
    pub(crate) fn normalized_without(
        &self,
        range: Range<usize>,
        is_left_out: impl Fn(usize) -> bool,
    ) -> String {
        let mut text = String::new();
        let mut previous = None;
        for index in range.clone() {
            if is_left_out(index) || self.is_redundant(index, &range) {
                continue;
            }
            if previous.is_some_and(|previous| self.is_space_due(previous, index)) {
                text.push(' ');
            }
            previous = Some(index);
            match self.text(index) {
                "!" if self.is_operator(index, "!=") => text.push('<'),
                "=" if index > 0 && self.is_operator(index - 1, "!=") => text.push('>'),
                string if string.starts_with('\'') && !self.is_blob(index) => text.push_str(string),
                string if string.starts_with('\'') => text.push_str(&string.to_ascii_lowercase()),
                _ => text.push_str(&self.name(index).to_ascii_lowercase()),
            }
        }
        text
    }

    /// Whether the canonical spelling has no such token: the second sign of `==`, and brackets around
    /// a single value.
    fn is_redundant(&self, index: usize, range: &Range<usize>) -> bool {
        let is_symbol = |index: usize| self.kind(index) == Some(TokenKind::Symbol);
        // After another word they could be the arguments of a function, or a list.
        let begins_expression = |index: usize| {
            index == range.start && index + 3 < range.end
                || index > range.start
                    && (is_symbol(index - 1) && !self.is(index - 1, ")")
                        || EXPRESSION_KEYWORDS.iter().any(|word| self.is(index - 1, word)))
        };
        let opens_value = |index: usize| {
            index + 2 < range.end
                && self.is(index, "(")
                && self.is(index + 2, ")")
                && !is_symbol(index + 1)
                && begins_expression(index)
        };
        match self.text(index) {
            "=" => index > range.start && self.is_operator(index - 1, "=="),
            "(" => opens_value(index),
            ")" => index >= 2 && opens_value(index - 2),
            _ => false,
        }
    }

    /// Whether an operator of two signs begins at a token.
    fn is_operator(&self, index: usize, operator: &str) -> bool {
        let (first, second) = operator.split_at(1);
        self.is(index, first) && self.is_adjacent(index) && self.is(index + 1, second)
    }

    /// Whether a string is the value of a blob: `x'00'`.
    fn is_blob(&self, index: usize) -> bool {
        self.preceded_by(index, "x") && self.is_adjacent(index - 1)
    }

    /// Whether the canonical spelling has a space between two tokens.
    fn is_space_due(&self, previous: usize, index: usize) -> bool {
        let is_symbol = |index: usize| self.kind(index) == Some(TokenKind::Symbol);
        match (self.text(previous), self.text(index)) {
            ("(" | ".", _) | (_, ")" | "," | "." | ";") => false,
            // `- -1` is not a comment.
            ("-", "-") | (",", _) => true,
            (_, "(") => is_symbol(previous),
            // `x'00'` is one literal.
            ("x" | "X", right) if right.starts_with('\'') => !self.is_blob(index),
            _ => !(is_symbol(previous) && is_symbol(index)),
        }
    }
}

/// The SQL with one space for each run of white space outside quotes, and without comments.
pub(crate) fn one_line(text: &str) -> String {
    let tokens = Tokens::new(text);
    let mut line = String::new();
    for index in 0..tokens.len() {
        if index > 0 && !tokens.is_adjacent(index - 1) {
            line.push(' ');
        }
        line.push_str(tokens.text(index));
    }
    line
}

/// The range in the document of a name in a statement; the first line if the name does not occur.
pub(crate) fn span_of_name(slice: &SourceSlice<'_>, name: &str) -> Range<usize> {
    let tokens = Tokens::new(slice.text());
    (0..tokens.len()).find(|index| tokens.is_name(*index, name)).map_or_else(
        || crate::source::first_line_span(slice),
        |index| tokens.span(slice, index, index),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_matching_parentheses_and_unquotes_names() {
        let tokens =
            Tokens::new("WITH x AS (DELETE 1) /* c */ UPDATE main.\"t\"\"s\" SET a = (1) WHERE 1");
        assert_eq!(tokens.text(tokens.main_keyword()), "UPDATE");
        assert_eq!(tokens.name(tokens.skip_schema_qualifier(tokens.main_keyword() + 1)), "t\"s");
        assert!(tokens.find_top_level(0, "WHERE").is_some());
        assert_eq!(tokens.find_top_level(0, "DELETE"), None);
        let open = (0..tokens.len()).find(|index| tokens.is(*index, "(")).unwrap();
        assert_eq!(tokens.text(tokens.after_matching_close(open)), "UPDATE");
    }
}
