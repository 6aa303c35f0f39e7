//! Words the errors of a settings file. The parser of TOML and serde describe them in words of Rust.

use tatmig::text::nearest_name;

/// What is wrong with a line of a settings file, for a message of the parser.
pub(crate) fn describe_toml_error(message: &str) -> String {
    for (beginning, noun) in [("unknown field", "key"), ("unknown variant", "value")] {
        if let Some(rest) = message.strip_prefix(beginning) {
            return describe_unknown(noun, rest);
        }
    }
    if let Some((_, expected)) =
        message.rsplit_once(", expected ").filter(|_| message.starts_with("invalid type: "))
    {
        return format!("must be {}", describe_type(expected));
    }
    let known = [
        ("expected literal string", "a value is missing, or a string has no quotes"),
        ("invalid basic string", "a string has no closing quote"),
        ("invalid literal string", "a string has no closing quote"),
        ("invalid multi-line", "a string of several lines has no closing quotes"),
        (
            "missing escaped value",
            "a backslash in a string in double quotes is written twice, or the string is put in single quotes",
        ),
        ("key with no value", "a key has no value; write `key = value`"),
        ("unquoted keys cannot be empty", "a key is missing before `=`"),
        ("duplicate key", "the key occurs twice; remove one of them"),
        ("wanted string or table", "must be a string in quotes"),
        ("missing field", "a key is missing"),
    ];
    let known = known.iter().find(|(part, _)| message.contains(part));
    known.map_or_else(|| message.to_owned(), |(_, words)| (*words).to_owned())
}

/// An unknown key or value, from the rest of serde's message, which quotes the unknown name and then
/// the known ones.
fn describe_unknown(noun: &str, rest: &str) -> String {
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let choice = match nearest_name(unknown, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("expected one of `{}`", known.join("`, `")),
    };
    format!("unknown {noun} `{unknown}`; {choice}")
}

/// The type that serde expected, in words of TOML.
fn describe_type(expected: &str) -> &str {
    match expected {
        "path string" => "a path in quotes",
        "a string" => "a string in quotes",
        "a boolean" => "`true` or `false`, without quotes",
        "a sequence" => "a list, such as `[\"destructive\"]`",
        "any valid TOML value" => "a smaller number",
        expected => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_values_are_answered_with_similar_ones() {
        for (message, expected) in [
            (
                "unknown field `usr_dir`, expected one of `file`, `users_dir`",
                "unknown key `usr_dir`; did you mean `users_dir`?",
            ),
            (
                "unknown variant `no`, expected `refuse` or `allow`",
                "unknown value `no`; expected one of `refuse`, `allow`",
            ),
        ] {
            assert_eq!(describe_toml_error(message), expected);
        }
    }
}
