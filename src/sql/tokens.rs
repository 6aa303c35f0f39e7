//! The words of one statement, comments and blanks left out: enough to find a keyword, a name and
//! the brackets around them, at their places in the document.

use std::ops::Range;

use crate::source::Piece;
use crate::sql::lexer;
use crate::sql::lexer::{Kind, Token};

/// The tokens of a statement that mean something to SQLite.
#[derive(Debug)]
pub(crate) struct Words<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    depths: Vec<usize>,
}

impl<'t> Words<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let tokens: Vec<Token> = lexer::tokens(text, 0)
            .filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment))
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
        Self { text, tokens, depths }
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token as it is written; empty behind the last one.
    pub(crate) fn text(&self, at: usize) -> &'t str {
        self.tokens.get(at).map_or("", |token| &self.text[token.range.clone()])
    }

    /// How many brackets stand open around a token; brackets count as outside.
    pub(crate) fn depth(&self, at: usize) -> usize {
        self.depths.get(at).copied().unwrap_or(0)
    }

    /// Whether a token is this keyword, in any case of letters, or this symbol.
    pub(crate) fn is(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }

    /// Whether the token before is this keyword or symbol.
    pub(crate) fn follows(&self, at: usize, word: &str) -> bool {
        at > 0 && self.is(at - 1, word)
    }

    /// Whether these words stand one behind the other from a token on.
    pub(crate) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.is(at + offset, word))
    }

    pub(crate) fn is_quoted(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Quoted)
    }

    /// A name without its quotes.
    pub(crate) fn name(&self, at: usize) -> String {
        let text = self.text(at);
        let inner = || text.get(1..text.len().saturating_sub(1)).unwrap_or("");
        match text.as_bytes().first() {
            Some(b'"') => inner().replace("\"\"", "\""),
            Some(b'`') => inner().replace("``", "`"),
            Some(b'\'') => inner().replace("''", "'"),
            Some(b'[') => inner().to_owned(),
            _ => text.to_owned(),
        }
    }

    /// The position of a name, its schema skipped: `main.t`.
    pub(crate) fn qualified(&self, at: usize) -> usize {
        if self.is(at + 1, ".") { at + 2 } else { at }
    }

    pub(crate) fn is_name(&self, at: usize, name: &str) -> bool {
        self.name(at).eq_ignore_ascii_case(name)
    }

    /// The token behind the bracket that closes the one at `open`.
    pub(crate) fn behind(&self, open: usize) -> usize {
        let depth = self.depth(open);
        (open + 1..self.len())
            .find(|at| self.is(*at, ")") && self.depth(*at) == depth)
            .map_or(self.len(), |at| at + 1)
    }

    /// The document's range from one token to another, both included.
    pub(crate) fn span(&self, piece: &Piece<'_>, first: usize, last: usize) -> Range<usize> {
        match (self.tokens.get(first), self.tokens.get(last)) {
            (Some(first), Some(last)) => piece.span(first.range.start..last.range.end),
            (Some(first), None) => piece.span(first.range.clone()),
            _ => piece.span(0..piece.text().len().min(1)),
        }
    }

    /// The bytes of a token in the statement.
    pub(crate) fn range(&self, at: usize) -> Range<usize> {
        self.tokens.get(at).map_or(0..0, |token| token.range.clone())
    }

    /// What the statement does: its first keyword behind any `WITH`.
    pub(crate) fn verb(&self) -> usize {
        const VERBS: [&str; 6] = ["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"];
        if !self.is(0, "WITH") {
            return 0;
        }
        (1..self.len())
            .find(|at| self.depth(*at) == 0 && VERBS.iter().any(|verb| self.is(*at, verb)))
            .unwrap_or(0)
    }

    /// The first position of a keyword outside all brackets, from a token on.
    pub(crate) fn outer(&self, from: usize, word: &str) -> Option<usize> {
        (from..self.len()).find(|at| self.depth(*at) == 0 && self.is(*at, word))
    }

    /// Tokens with one blank between them, names bare, in lower case.
    pub(crate) fn folded(&self, range: Range<usize>) -> String {
        range
            .map(|at| match self.text(at).as_bytes().first() {
                Some(b'\'') => self.text(at).to_owned(),
                _ => self.name(at).to_lowercase(),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Where a name stands in a statement, else the statement's first line.
pub(crate) fn span_of_name(piece: &Piece<'_>, name: &str) -> Range<usize> {
    let words = Words::of(piece.text());
    (0..words.len())
        .find(|at| words.is_name(*at, name))
        .map_or_else(|| crate::source::whole_span(piece), |at| words.span(piece, at, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_brackets_and_their_names() {
        let words =
            Words::of("WITH x AS (DELETE 1) /* c */ UPDATE main.\"t\"\"s\" SET a = (1) WHERE 1");
        assert_eq!(words.text(words.verb()), "UPDATE");
        assert_eq!(words.name(words.qualified(words.verb() + 1)), "t\"s");
        assert!(words.outer(0, "WHERE").is_some());
        assert_eq!(words.outer(0, "DELETE"), None);
        let open = (0..words.len()).find(|at| words.is(*at, "(")).unwrap();
        assert_eq!(words.text(words.behind(open)), "UPDATE");
    }
}
