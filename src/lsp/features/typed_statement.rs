//! Reads the statement that is typed at a place of a block, with a placeholder for the word that is
//! typed.

use std::ops::Range;

use crate::document::blocks::Block;
use crate::lsp::snapshot::Snapshot;
use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};
use crate::sql::statements;
use crate::sql::tokens::Tokens;

/// A name that no document has.
const PLACEHOLDER: &str = "tatmig_typed_word";

/// A statement that is typed.
pub(crate) struct TypedStatement {
    /// The statement, with the placeholder in place of the word.
    text: String,
    /// The word that is typed, in the document: up to the place, but all of a name in quotes, whose
    /// closing quote editors write with the opening one.
    pub(crate) word: Range<usize>,
    pub(crate) quotes: Quotes,
}

/// Whether a name is typed in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    None,
    /// The opening one.
    Opened(char),
}

impl TypedStatement {
    /// Reads the statement around a byte of the document. `None` inside a comment or a string.
    pub(crate) fn read(snapshot: &Snapshot, block: &Block<'_>, offset: usize) -> Option<Self> {
        let text = live_text(snapshot, block, offset);
        let mut word = offset..offset;
        let mut quotes = Quotes::None;
        // In the text of the block.
        let mut replaced = text.len()..text.len();
        for Token { range, kind, is_terminated } in lexer::tokens(&text, 0) {
            let span = block.sql.document_span(range.clone());
            if span.start >= offset {
                replaced = range.start..range.start;
                break;
            }
            if span.end < offset {
                continue;
            }
            match kind {
                TokenKind::Comment => return None,
                TokenKind::Quoted if text[range.clone()].starts_with('\'') => return None,
                // Behind the closing quote, nothing of the name is typed any more.
                TokenKind::Quoted if is_terminated && span.end == offset => {}
                TokenKind::Word | TokenKind::Quoted => {
                    word = span.start..offset;
                    if kind == TokenKind::Quoted {
                        let opening = text[range.clone()].chars().next().unwrap_or('"');
                        quotes = Quotes::Opened(opening);
                        word.end = if is_terminated { span.end } else { offset };
                    }
                    replaced = range;
                    break;
                }
                _ => {}
            }
        }
        let (before, behind) = (&text[..replaced.start], &text[replaced.end..]);
        let text = format!("{before} {PLACEHOLDER} {behind}");
        let place = before.len() + 1;
        let statement = statements::statement_ranges(&text).find(|range| range.contains(&place))?;
        Some(Self { text: text[statement].to_owned(), word, quotes })
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens::new(&self.text)
    }

    /// The index of the placeholder.
    pub(crate) fn cursor(tokens: &Tokens<'_>) -> usize {
        (0..tokens.len()).find(|index| tokens.is(*index, PLACEHOLDER)).unwrap_or(tokens.len())
    }
}

/// The SQL of a block. A planned migration is commented out, and is completed as SQL all the same.
fn live_text(snapshot: &Snapshot, block: &Block<'_>, offset: usize) -> String {
    let text = block.sql.text();
    let commented = |text: &str| text.trim_start_matches([' ', '\t', '>']).starts_with("--");
    let line_start = snapshot.text[..offset].rfind('\n').map_or(0, |end| end + 1);
    if !commented(&snapshot.text[line_start..offset]) {
        return text.to_owned();
    }
    let text = text.replace("\n--", "\n  ");
    if commented(&text) { text.replacen("--", "  ", 1) } else { text }
}
