//! Classifies the tokens of SQL in fences, since the grammar of an editor sees text.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::tag::Tag;
use crate::lsp::snapshot::Snapshot;
use crate::sql::keywords::is_keyword;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;

/// The kinds of tokens, as the server announces them.
pub(crate) const TOKEN_TYPES: [&str; 8] =
    ["comment", "keyword", "string", "number", "operator", "variable", "function", "macro"];

/// Indexes of `TOKEN_TYPES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Comment = 0,
    Keyword = 1,
    String = 2,
    Number = 3,
    Operator = 4,
    Variable = 5,
    Function = 6,
    Macro = 7,
}

struct ClassifiedToken {
    /// In the document, within one line.
    range: Range<usize>,
    token_type: TokenType,
}

/// The tokens of all blocks, or of those lines of them that a range of the text contains.
pub(crate) fn semantic_tokens(
    snapshot: &Snapshot,
    within: Option<lsp::Range>,
) -> lsp::SemanticTokens {
    let within = within.map_or(0..snapshot.text.len(), |range| {
        snapshot.offset(range.start)..snapshot.offset(range.end)
    });
    let view = snapshot.view();
    let mut tokens: Vec<ClassifiedToken> = Vec::new();
    for block in &view.blocks.list {
        if matches!(block.tag, Tag::Placeholder { .. }) {
            continue;
        }
        tokens
            .push(ClassifiedToken { range: block.tag_span.clone(), token_type: TokenType::Macro });
        for (range, token_type) in classify(block.sql.text()) {
            add_lines(&mut tokens, &snapshot.text, block.sql.document_span(range), token_type);
        }
        if let Some(line) = view.end_tag_line(block) {
            let text = &snapshot.text[line.clone()];
            let start = line.start + text.find("--").unwrap_or(0);
            let end = line.start + text.trim_end().len();
            tokens.push(ClassifiedToken { range: start..end, token_type: TokenType::Macro });
        }
    }
    tokens.retain(|token| token.range.start < within.end && within.start < token.range.end);
    tokens.sort_by_key(|token| token.range.start);
    lsp::SemanticTokens { data: encode(snapshot, &tokens), ..lsp::SemanticTokens::default() }
}

/// The tokens of SQL with their kinds.
fn classify(sql: &str) -> Vec<(Range<usize>, TokenType)> {
    let mut classified = Vec::new();
    for token in lexer::tokens(sql, 0) {
        let text = &sql[token.range.clone()];
        let token_type = match token.kind {
            TokenKind::Whitespace => continue,
            TokenKind::Comment if text.contains("tatmig:") => TokenType::Macro,
            TokenKind::Comment => TokenType::Comment,
            TokenKind::Quoted if text.starts_with('\'') => TokenType::String,
            TokenKind::Word if text.starts_with(|c: char| c.is_ascii_digit()) => TokenType::Number,
            TokenKind::Word if is_keyword(text) => TokenType::Keyword,
            TokenKind::Word if sql[token.range.end..].starts_with('(') => TokenType::Function,
            TokenKind::Quoted | TokenKind::Word => TokenType::Variable,
            TokenKind::Semicolon | TokenKind::Symbol => TokenType::Operator,
        };
        classified.push((token.range, token_type));
    }
    classified
}

/// Adds a token, split at line ends: a token of the protocol is within one line.
fn add_lines(
    tokens: &mut Vec<ClassifiedToken>,
    text: &str,
    range: Range<usize>,
    token_type: TokenType,
) {
    let mut start = range.start;
    for line in text[range].split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if !content.is_empty() {
            tokens.push(ClassifiedToken { range: start..start + content.len(), token_type });
        }
        start += line.len();
    }
}

fn encode(snapshot: &Snapshot, tokens: &[ClassifiedToken]) -> Vec<lsp::SemanticToken> {
    let mut previous = lsp::Position { line: 0, character: 0 };
    tokens
        .iter()
        .map(|token| {
            let start = snapshot.index.position(&snapshot.text, token.range.start);
            let is_same_line = start.line == previous.line;
            let encoded = lsp::SemanticToken {
                delta_line: start.line - previous.line,
                delta_start: if is_same_line {
                    start.character - previous.character
                } else {
                    start.character
                },
                length: snapshot.index.len_of(&snapshot.text[token.range.clone()]),
                token_type: token.token_type as u32,
                token_modifiers_bitset: 0,
            };
            previous = start;
            encoded
        })
        .collect()
}
