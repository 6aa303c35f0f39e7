//! Writes text into SQL comments that cannot be mistaken for tags or end early.

/// A line comment. It stays a single comment even if a name in `text` contains a line feed.
pub(crate) fn to_comment(text: &str) -> String {
    // A bracket could begin a tag.
    let sanitize = |character: char| match character {
        '[' => '(',
        ']' => ')',
        c if c.is_control() => ' ',
        c => c,
    };
    let text: String = text.chars().map(sanitize).collect();
    let text = text.replace('→', " to ").replace("->", " to ").replace("=>", " to ");
    format!("-- {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A declaration on one line, with its backticks replaced so that it can be quoted in backticks.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'")
}
