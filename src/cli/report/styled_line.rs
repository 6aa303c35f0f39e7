//! Builds lines of results in which the words for a state have its color on a terminal.

use std::fmt::{self, Display};

use clap::builder::styling::Style;

use crate::cli::report::format::escape_for_terminal;
use crate::cli::report::state::State;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    text: String,
    /// The state that the text is about.
    state: Option<State>,
}

/// A line of a result. `Display` writes it without colors.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StyledLine {
    parts: Vec<Part>,
}

impl StyledLine {
    /// A line that begins with the words for a state.
    pub(crate) fn from_state(state: State, text: impl Display) -> Self {
        Self::default().state(state, text)
    }

    /// Adds text that is about no state.
    pub(crate) fn text(self, text: impl Display) -> Self {
        self.with(Part { text: text.to_string(), state: None })
    }

    /// Adds the words for a state.
    pub(crate) fn state(self, state: State, text: impl Display) -> Self {
        self.with(Part { text: text.to_string(), state: Some(state) })
    }

    /// Adds the parts of another line.
    pub(crate) fn line(mut self, line: Self) -> Self {
        self.parts.extend(line.parts);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Joins lines into one, separated by `, `.
    pub(crate) fn join(lines: impl IntoIterator<Item = Self>) -> Self {
        lines.into_iter().fold(Self::default(), |joined, line| {
            if joined.parts.is_empty() { line } else { joined.text(", ").line(line) }
        })
    }

    fn with(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The line with escape codes of colors: in a line with a state, everything else is dim. Other
    /// control characters are escaped.
    pub(crate) fn to_ansi(&self) -> String {
        let has_state = self.parts.iter().any(|part| part.state.is_some());
        let dim = if has_state { Style::new().dimmed() } else { Style::new() };
        let styled = self.parts.iter().filter(|part| !part.text.is_empty()).map(|part| {
            let style = part.state.map_or(dim, State::style);
            format!("{style}{}{style:#}", escape_for_terminal(&part.text))
        });
        styled.collect()
    }
}

impl Display for StyledLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| formatter.write_str(&part.text))
    }
}

impl From<String> for StyledLine {
    fn from(text: String) -> Self {
        Self::default().text(text)
    }
}

impl From<&str> for StyledLine {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_its_color_and_the_rest_is_dim() {
        let line = StyledLine::from("ann: ").state(State::Current, "at 1.2.0").text(" (a note)");
        assert_eq!(line.to_string(), "ann: at 1.2.0 (a note)");
        assert_eq!(
            line.to_ansi(),
            "\u{1b}[2mann: \u{1b}[0m\u{1b}[32mat 1.2.0\u{1b}[0m\u{1b}[2m (a note)\u{1b}[0m"
        );
        assert_eq!(StyledLine::from("no state").to_ansi(), "no state");
    }

    #[test]
    fn control_characters_of_a_name_are_escaped_in_a_colored_line() {
        let line = StyledLine::from("a\u{1b}[31mb: ").state(State::Failed, "failed");
        let codes = line.to_ansi().matches('\u{1b}').count();
        assert_eq!(codes, 4, "{:?}", line.to_ansi());
        assert!(line.to_ansi().contains("a\\u{1b}[31mb"));
    }
}
