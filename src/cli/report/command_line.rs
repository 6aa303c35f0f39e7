//! Writes the command line of the process for people, without the secrets in it.

use std::ffi::OsString;

use tatmig::text::escape_for_display;

/// Parts of the names of options whose values are secrets. tatmig has none; a typing error may be
/// one.
const SECRET_WORDS: [&str; 4] = ["token", "password", "secret", "key"];

/// `tatmig upgrade --all-users`.
pub(crate) fn describe_command_line(words: impl Iterator<Item = OsString>) -> String {
    let mut line = "tatmig".to_owned();
    let mut is_secret = false;
    for word in words.skip(1) {
        let text = escape_for_display(&word);
        line.push(' ');
        line.push_str(&if is_secret { "…".to_owned() } else { quote(&without_secrets(&text)) });
        is_secret = !text.contains('=') && names_secret(&text);
    }
    line
}

/// Whether a word is an option whose value is a secret.
fn names_secret(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word).to_ascii_lowercase();
    name.starts_with("--") && SECRET_WORDS.iter().any(|secret| name.contains(secret))
}

/// The word without the value of a secret option, and without the password and the query of a URL.
fn without_secrets(word: &str) -> String {
    if let Some((name, _)) = word.split_once('=')
        && names_secret(word)
    {
        return format!("{name}=…");
    }
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (rest, query) = match rest.find(['?', '#']) {
        Some(end) => (&rest[..end], "?…"),
        None => (rest, ""),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => authority.to_owned(),
    };
    format!("{scheme}://{host}{path}{query}")
}

/// A text without the user names and passwords of the URLs that it quotes.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c == '`' || c.is_whitespace());
        let (authority, rest) = part.split_at(end.unwrap_or(part.len()));
        out.push_str("://");
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("…@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        out.push_str(rest);
    }
    out
}

/// The word in quotes if a shell would need them.
fn quote(word: &str) -> String {
    let is_plain =
        |character: char| character.is_alphanumeric() || "-_./=:,@%+…?{}".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The words of this process.
pub(crate) fn own_command_line() -> String {
    describe_command_line(std::env::args_os())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        for (words, expected) in [
            ("upgrade --all-users", "tatmig upgrade --all-users"),
            ("upgrade --auth-token abc -q", "tatmig upgrade --auth-token … -q"),
            ("upgrade --auth-token=abc -q", "tatmig upgrade --auth-token=… -q"),
            ("up --server=https://u:p@h:1/x?jwt=1", "tatmig up --server=https://…@h:1/x?…"),
            ("up --server http://h:1", "tatmig up --server http://h:1"),
            ("query SELECT;1", "tatmig query 'SELECT;1'"),
        ] {
            let words = std::iter::once("/bin/tatmig").chain(words.split(' ')).map(OsString::from);
            assert_eq!(describe_command_line(words), expected);
        }
        assert_eq!(
            without_passwords("`http://a:b@c/d@e` and file://x or `ws://t@h`"),
            "`http://…@c/d@e` and file://x or `ws://…@h`"
        );
        let quoted = ["x", "it's\n"].map(OsString::from);
        assert_eq!(describe_command_line(quoted.into_iter()), r"tatmig 'it'\''s\n'");
    }
}
