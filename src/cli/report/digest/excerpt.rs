//! Cuts texts to a length that a page about many databases can hold.

use tatmig::{ColorMode, Diagnostic, Source};

/// How many characters of a message are kept.
const MAX_TEXT: usize = 1_000;

/// How many bytes of excerpts one page holds.
const MAX_EXCERPTS: usize = 300_000;

/// The text, or its beginning and how much is missing.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{}… ({} more characters)", &text[..end], text[end..].chars().count())
        }
    }
}

/// A message of usual length is kept whole.
pub(crate) fn clip_message(text: &str) -> String {
    clip(text, MAX_TEXT)
}

/// Renders excerpts of the document until they are too many.
#[derive(Default)]
pub(crate) struct Excerpts {
    used: usize,
}

impl Excerpts {
    /// The source lines of a diagnostic with their numbers, without its message; `None` once the
    /// excerpts take too much room.
    pub(crate) fn render(
        &mut self,
        source: &Source<'_>,
        diagnostic: &Diagnostic,
    ) -> Option<String> {
        if self.used > MAX_EXCERPTS {
            return None;
        }
        let mut bare = diagnostic.clone();
        bare.message.clear();
        bare.help = None;
        let rendered = bare.render(source, ColorMode::Plain);
        // The first line holds the message.
        let lines = rendered.split_once('\n').map_or("", |(_, lines)| lines);
        let excerpt = clip(lines, 4 * MAX_TEXT);
        self.used += excerpt.len();
        Some(excerpt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_says_how_much_is_missing() {
        assert_eq!(clip("häuser", 6), "häuser");
        assert_eq!(clip("häuser", 2), "hä… (4 more characters)");
    }
}
