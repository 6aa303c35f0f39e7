//! Changes comments that tatmig would read as its own: tags and directives. Of the SQL of another
//! tool, every comment is only a comment.

use crate::document::directive::Directive;
use crate::document::near_miss::find_embedded_tag;
use crate::document::tag_parser::parse_tag_line;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;

/// The text with every comment changed that tatmig would read as a tag or as a directive.
pub(crate) fn defuse_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in lexer::tokens(text, 0) {
        let piece = &text[token.range];
        match token.kind {
            TokenKind::Comment => out.push_str(&defuse_comment(piece)),
            _ => out.push_str(piece),
        }
    }
    out
}

/// A comment of one or more lines, none of which is a tag or a directive.
pub(crate) fn defuse_comment(comment: &str) -> String {
    let lines: Vec<_> = comment.split('\n').map(defuse_line).collect();
    let comment = lines.join("\n");
    match Directive::parse(&comment) {
        None => comment,
        // The comment mark has two characters.
        Some(_) => format!("{} note: {}", &comment[..2], comment[2..].trim_start()),
    }
}

fn defuse_line(line: &str) -> String {
    let is_tag = |line: &str| parse_tag_line(line).is_some() || find_embedded_tag(line).is_some();
    if !is_tag(line) {
        return line.to_owned();
    }
    let without_arrows =
        line.replace(['[', ']', '→'], " ").replace("->", " ").replace("=>", " ").replace(':', " ");
    if !is_tag(&without_arrows) {
        return without_arrows;
    }
    let words: String = line.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<_> = words.split_whitespace().collect();
    let (start, end) =
        if line.trim_start().starts_with("/*") { ("/* note", "") } else { ("-- note", "") };
    let end = if line.trim_end().ends_with("*/") { " */" } else { end };
    format!("{start} {}{end}", words.join(" "))
}

/// A statement as a comment, each line with its mark.
pub(crate) fn comment_out(statement: &str) -> String {
    let shown = statement.replace("\r\n", "\n").replace('\r', "␍");
    let lines = shown.lines().map(|line| {
        let line = if line.trim().is_empty() { "--".to_owned() } else { format!("-- {line}") };
        defuse_comment(&line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_look_like_tags_or_directives_are_changed() {
        for comment in [
            "-- [user:1.0.0→1.1.0:start]",
            "-- [user:1.0.0->1.1.0:end]",
            "-- see user:1.0.0→1.1.0",
            "/* [user:1.0.0→1.1.0:start] */",
            "/* first\n-- [user:1.0.0→1.1.0:start]\n*/",
            "-- [usr:baseline→1.1.0:start]",
            "-- user 1.0.0 to 1.1.0 start",
            "-- tatmig:allow row-loss because",
            "-- tatmig:todo write it",
            "/* tatmig:assert x */",
        ] {
            let defused = defuse_comment(comment);
            assert_ne!(defused, comment);
            assert_eq!(Directive::parse(&defused), None, "{defused}");
            for line in defused.lines() {
                assert_eq!(parse_tag_line(line), None, "{defused}");
                assert_eq!(find_embedded_tag(line), None, "{defused}");
            }
            let tokens: Vec<_> = lexer::tokens(&defused, 0).collect();
            assert!(tokens.len() == 1 && tokens[0].kind == TokenKind::Comment, "{defused}");
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "-- creates the table\nCREATE TABLE t (a /* [x] */, b DEFAULT '-- [user:1.0.0→1.1.0:start]');\n",
            "--\n-- user: 1.0 -> 2\n",
            "",
        ] {
            assert_eq!(defuse_comments(text), text);
        }
    }

    #[test]
    fn a_statement_as_a_comment_has_no_line_that_runs() {
        assert_eq!(comment_out("SELECT '\n\n-- x';"), "-- SELECT '\n--\n-- -- x';");
        let tag = comment_out("SELECT '\n[user:1.0.0→1.1.0:start]\n';");
        assert!(tag.lines().all(|line| parse_tag_line(line).is_none()), "{tag}");
        assert_eq!(comment_out("SELECT 'a\rb';"), "-- SELECT 'a␍b';");
    }
}
