//! Finds the signs of a frequent mistake in a statement that SQLite rejected: words around the token
//! at which SQLite stopped, or words of SQLite's message.

use std::borrow::Cow;

use crate::sql::keywords;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// How many bytes of the statement a help may repeat in one place.
const MAX_CAPTURED: usize = 60;

/// Words that begin a statement. Each but the first few can also be a name, so that SQLite stops
/// only at one of the tokens that follow.
const STATEMENT_WORDS: [&str; 14] = [
    "CREATE", "INSERT", "DELETE", "ALTER", "DROP", "UPDATE", "SELECT", "WITH", "VALUES", "REPLACE",
    "PRAGMA", "ANALYZE", "REINDEX", "TRUNCATE",
];

/// What a mistake is recognized by.
pub(crate) enum Sign {
    /// Tokens, one of which is the one at which SQLite stopped, separated by spaces. `*` is any name
    /// or number, `()` a pair of brackets with what is in it, and `A|B` either token. `^` in front
    /// means that the statement begins so.
    Tokens(&'static str),
    /// SQLite does not have a function of one of these names.
    Function(&'static str),
    /// The message, in lower case, contains this.
    Message(&'static str),
    /// A second change in one ALTER TABLE.
    SecondAlteration,
    /// The values of a type ENUM.
    EnumType,
    /// A string that ends with a backslash, and the rest of what was meant to be in it.
    BackslashQuote,
    /// UPDATE or DELETE with LIMIT.
    LimitedChange,
    /// A statement that cannot be in the body of a trigger.
    TriggerStatement,
    /// The statement above, on a line of its own, has no semicolon.
    MissingSemicolon,
    /// The statement ends inside a bracket.
    OpenBracket,
    /// A closing bracket without an opening one.
    ExtraBracket,
    /// A name that begins with a digit.
    NameWithDigit,
    /// A keyword where a name is expected.
    ReservedWord,
}

/// A statement that SQLite rejected.
pub(crate) struct FailedStatement<'s> {
    text: &'s str,
    message: String,
    tokens: Tokens<'s>,
    /// The token at which SQLite stopped, if it was a syntax error.
    stop: Option<usize>,
}

/// The parts of a statement that the help of a mistake repeats.
pub(crate) struct Captured<'s> {
    parts: Vec<Cow<'s, str>>,
    stop: Cow<'s, str>,
}

impl Captured<'_> {
    /// Fills the parts into a help.
    pub(crate) fn fill(&self, help: &str) -> String {
        let filled = help.replace("{at}", &self.stop);
        let numbered = self.parts.iter().enumerate();
        numbered
            .fold(filled, |text, (index, part)| text.replace(&format!("{{{}}}", index + 1), part))
    }
}

impl<'s> FailedStatement<'s> {
    pub(crate) fn new(text: &'s str, message: &str, offset: Option<usize>) -> Self {
        let tokens = Tokens::new(text);
        let is_syntax_error =
            message.contains("syntax error") || message.starts_with("unrecognized token");
        let at_offset =
            |offset: usize| (0..tokens.len()).find(|index| tokens.byte_range(*index).end > offset);
        let stop = offset.filter(|_| is_syntax_error).and_then(at_offset);
        Self { text, message: message.to_lowercase(), tokens, stop }
    }

    /// The parts that a help can repeat, if the statement has the sign.
    pub(crate) fn find(&self, sign: &Sign) -> Option<Captured<'s>> {
        let parts = match sign {
            Sign::Tokens(pattern) => self.match_tokens(pattern)?,
            Sign::Function(names) => self.match_function(names)?,
            Sign::Message(part) => self.message.contains(part).then(Vec::new)?,
            Sign::SecondAlteration => self.match_second_alteration()?,
            Sign::EnumType => self.match_enum_type()?,
            Sign::BackslashQuote => self.is_after_backslash().then(Vec::new)?,
            Sign::LimitedChange => self.is_limited_change().then(Vec::new)?,
            Sign::TriggerStatement => self.begins_in_trigger().then(Vec::new)?,
            Sign::MissingSemicolon => self.lacks_semicolon().then(Vec::new)?,
            Sign::OpenBracket => self.has_open_bracket().then(Vec::new)?,
            Sign::ExtraBracket => self.has_extra_bracket().then(Vec::new)?,
            Sign::NameWithDigit => self.is_at_digit().then(Vec::new)?,
            Sign::ReservedWord => self.is_at_reserved_word().then(Vec::new)?,
        };
        let stop = self.stop.map_or("", |stop| self.tokens.text(stop));
        Some(Captured { parts, stop: shorten(stop) })
    }

    fn match_tokens(&self, pattern: &str) -> Option<Vec<Cow<'s, str>>> {
        let stop = self.stop?;
        let (starts, pattern) = match pattern.strip_prefix('^') {
            Some(rest) => (0..1, rest),
            None => (0..stop + 1, pattern),
        };
        let elements: Vec<&str> = pattern.split(' ').collect();
        starts.rev().find_map(|start| {
            let mut parts = Vec::new();
            let mut at = start;
            for element in &elements {
                let end = self.match_element(at, element)?;
                match *element {
                    // Without the name of the database in front.
                    "*" => parts.push(shorten(self.tokens.text(end - 1))),
                    "()" => parts.push(shorten(self.tokens.text_between(at..end))),
                    _ => {}
                }
                at = end;
            }
            (start..at).contains(&stop).then_some(parts)
        })
    }

    /// The token after an element of a pattern that begins at a token.
    fn match_element(&self, at: usize, element: &str) -> Option<usize> {
        match element {
            "*" => {
                let is_name = |index| {
                    matches!(self.tokens.kind(index), Some(TokenKind::Word | TokenKind::Quoted))
                };
                let name = if self.tokens.is(at + 1, ".") { at + 2 } else { at };
                (is_name(at) && is_name(name)).then_some(name + 1)
            }
            "()" => self.tokens.is(at, "(").then(|| self.tokens.after_matching_close(at)),
            choices => {
                choices.split('|').any(|choice| self.tokens.is(at, choice)).then_some(at + 1)
            }
        }
    }

    fn match_function(&self, names: &str) -> Option<Vec<Cow<'s, str>>> {
        let name = self.message.strip_prefix("no such function: ")?;
        names.split(' ').any(|known| known == name).then(Vec::new)
    }

    /// `ALTER TABLE t ADD COLUMN a TEXT, ADD COLUMN b TEXT`.
    fn match_second_alteration(&self) -> Option<Vec<Cow<'s, str>>> {
        let is_second = self.tokens.is(self.stop?, ",") && self.tokens.depth(self.stop?) == 0;
        if !(is_second && self.tokens.match_seq(0, &["ALTER", "TABLE"])) {
            return None;
        }
        let end = self.match_element(2, "*")?;
        Some(vec![shorten(self.tokens.text(end - 1))])
    }

    /// `column ENUM('a', 'b')`: SQLite stops at the first value.
    fn match_enum_type(&self) -> Option<Vec<Cow<'s, str>>> {
        let stop = self.stop?;
        let column = stop.checked_sub(3)?;
        let is_enum = ["ENUM", "SET"].iter().any(|name| self.tokens.is(column + 1, name));
        if !(is_enum && self.tokens.is(column + 2, "(") && self.tokens.is_quoted(stop)) {
            return None;
        }
        let values = column + 2..self.tokens.after_matching_close(column + 2);
        let parts = [column..column + 1, values];
        Some(parts.map(|range| shorten(self.tokens.text_between(range))).into())
    }

    /// `'it\'s'`: SQLite's string ends at the quote behind the backslash.
    fn is_after_backslash(&self) -> bool {
        let Some(before) = self.stop.and_then(|stop| stop.checked_sub(1)) else { return false };
        self.tokens.text(before).ends_with("\\'") && self.tokens.is_adjacent(before)
    }

    fn is_limited_change(&self) -> bool {
        let is_change = ["UPDATE", "DELETE"]
            .iter()
            .any(|word| self.tokens.is(self.tokens.main_keyword(), word));
        is_change
            && self.stop.is_some_and(|stop| {
                ["LIMIT", "ORDER"].iter().any(|word| self.tokens.is(stop, word))
            })
    }

    fn begins_in_trigger(&self) -> bool {
        lexer::is_create_trigger(self.text)
            && self.stop.is_some_and(|stop| {
                self.tokens.kind(stop) == Some(TokenKind::Word)
                    && ["BEGIN", ";"].iter().any(|word| self.tokens.preceded_by(stop, word))
            })
    }

    fn lacks_semicolon(&self) -> bool {
        let Some(stop) = self.stop.filter(|stop| self.tokens.depth(*stop) == 0) else {
            return false;
        };
        // Some keywords can be names, so that SQLite stops a little later.
        (stop.saturating_sub(2)..=stop).rev().any(|index| {
            let can_be_name =
                |word: &str| ["REPLACE", "PRAGMA", "REINDEX", "TRUNCATE"].contains(&word);
            let word = self.tokens.text(index).to_ascii_uppercase();
            let begins =
                STATEMENT_WORDS.contains(&word.as_str()) && (index == stop || can_be_name(&word));
            let is_certain = index == stop && ["CREATE", "INSERT"].contains(&word.as_str());
            index > 0
                && begins
                && (is_certain || self.begins_line(index))
                && !["BEGIN", "AS", ";", "("]
                    .iter()
                    .any(|before| self.tokens.preceded_by(index, before))
        })
    }

    /// Whether a token is the first on its line.
    fn begins_line(&self, index: usize) -> bool {
        let before = &self.text[..self.tokens.byte_range(index).start];
        let line = before.rsplit('\n').next().unwrap_or(before);
        before.len() > line.len() && line.trim().is_empty()
    }

    fn has_open_bracket(&self) -> bool {
        self.stop.is_some_and(|stop| {
            let is_end = self.tokens.is(stop, ";")
                || self.begins_line(stop)
                    && STATEMENT_WORDS.iter().any(|word| self.tokens.is(stop, word));
            is_end && self.tokens.depth(stop) > 0
        })
    }

    fn has_extra_bracket(&self) -> bool {
        self.stop.is_some_and(|stop| {
            let count = |bracket| (0..stop).filter(|index| self.tokens.is(*index, bracket)).count();
            self.tokens.is(stop, ")") && count("(") <= count(")")
        })
    }

    fn is_at_digit(&self) -> bool {
        let token = self.stop.map_or("", |stop| self.tokens.text(stop));
        token.starts_with(|first: char| first.is_ascii_digit())
            && token.contains(|character: char| character.is_alphabetic() || character == '_')
    }

    fn is_at_reserved_word(&self) -> bool {
        const BEFORE_NAMES: [&str; 12] = [
            "TABLE", "(", ",", "COLUMN", ".", "INTO", "UPDATE", "FROM", "INDEX", "ON", "ADD",
            "EXISTS",
        ];
        let Some(stop) = self.stop else { return false };
        keywords::is_reserved(self.tokens.text(stop))
            && BEFORE_NAMES.iter().any(|word| self.tokens.preceded_by(stop, word))
    }
}

/// A part of a statement, on one line and not too long for a help.
fn shorten(part: &str) -> Cow<'_, str> {
    if part.len() > MAX_CAPTURED || part.contains(['\n', '`']) {
        if part.starts_with('(') { "(…)".into() } else { "…".into() }
    } else {
        part.into()
    }
}
