//! Reads the words of a command line that a shell passes on, and removes the quotes that the person
//! has typed.

use std::ffi::{OsStr, OsString};

/// The words of a command line up to its end, and which of them is completed.
pub(crate) struct RequestWords {
    /// How this program was called, up to `--`.
    call: Vec<OsString>,
    words: Vec<OsString>,
    cursor: usize,
}

impl RequestWords {
    /// Takes the arguments of this process. `None` if they are no request.
    pub(crate) fn new(arguments: impl Iterator<Item = OsString>, shell: &OsStr) -> Option<Self> {
        let mut call: Vec<OsString> = arguments.collect();
        let separator = call.iter().position(|argument| argument == "--")?;
        let mut words = call.split_off(separator + 1);
        let last = words.len().checked_sub(1)?;
        // fish passes the words up to the cursor, and these without quotes, but for the last one.
        let cursor = match shell.to_str() {
            Some("fish") => last,
            _ => std::env::var("_CLAP_COMPLETE_INDEX").ok()?.parse().ok()?,
        };
        let quoted = if shell == "fish" { last..last + 1 } else { 0..words.len() };
        for word in words.get_mut(quoted)?.iter_mut().filter(|_| shell != "zsh") {
            if let Some(text) = word.to_str() {
                *word = unquote(text).into();
            }
        }
        (cursor <= words.len()).then_some(Self { call, words, cursor })
    }

    /// The words before the one that is completed, the name of the program first.
    pub(crate) fn before_cursor(&self) -> &[OsString] {
        &self.words[..self.cursor]
    }

    /// The arguments of a request with these words.
    pub(crate) fn into_arguments(self) -> impl Iterator<Item = OsString> {
        self.call.into_iter().chain(self.words)
    }
}

/// The word that a shell makes of a typed one. A quote that is still open ends with the word.
fn unquote(typed: &str) -> String {
    let mut word = String::with_capacity(typed.len());
    let mut quote = None;
    let mut characters = typed.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => word.extend(characters.next()),
            ('\'' | '"', None) => quote = Some(character),
            (character, Some(open)) if character == open => quote = None,
            (character, _) => word.push(character),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_a_shell_are_removed() {
        for (typed, word) in [
            ("ann", "ann"),
            ("'an n'", "an n"),
            ("\"an n", "an n"),
            ("an\\ n", "an n"),
            ("it\\'s", "it's"),
            ("'a\\b'", "a\\b"),
            ("--user='a b'", "--user=a b"),
            ("a\\", "a"),
            ("", ""),
        ] {
            assert_eq!(unquote(typed), word, "{typed}");
        }
    }
}
