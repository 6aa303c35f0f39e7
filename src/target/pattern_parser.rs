//! Reads the text of a path template: literals, placeholders in braces, and `*`, separated by `/`.

use crate::target::name_hash::NameHash;
use crate::target::path_component::{PathComponent, Piece};

/// The largest N of `{username:N}`: no file name is longer.
const MAX_PREFIX: usize = 255;

/// How the placeholders are written, for messages.
const PLACEHOLDERS: &str =
    "`{username}`, `{username:N}`, `{sha256:N}`, `{sha1:N}` and `{md5:N}` with a number N";

/// Reads a template.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence.
pub(crate) fn parse_components(text: &str) -> Result<Vec<PathComponent>, String> {
    if text.starts_with('/') || std::path::Path::new(text).is_absolute() {
        return Err(
            "it is an absolute path; pass the directory with `--users-dir` and a relative pattern"
                .to_owned(),
        );
    }
    if text.contains('\0') {
        return Err("it contains a NUL character, which no path can have".to_owned());
    }
    if std::path::MAIN_SEPARATOR != '/' && text.contains(std::path::MAIN_SEPARATOR) {
        return Err("its components must be separated by `/`".to_owned());
    }
    let components: Vec<PathComponent> =
        text.split('/').map(parse_component).collect::<Result<_, _>>()?;
    if !components.iter().any(PathComponent::has_name) {
        return Err("it must contain `{username}`, as in `{username}_longterm.db`".to_owned());
    }
    Ok(components)
}

fn parse_component(text: &str) -> Result<PathComponent, String> {
    match text {
        "" => {
            return Err("it has an empty component; write single `/` between components, and none at the end".to_owned());
        }
        "." | ".." => {
            return Err(format!(
                "it contains the component `{text}`; every database must be below `--users-dir`"
            ));
        }
        "*" => return Ok(PathComponent::Any),
        _ => {}
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        push_literal(&mut pieces, literal)?;
        let Some((placeholder, after)) = after.split_once('}') else {
            return Err(format!(
                "`{{{after}` has no closing brace; the placeholders are {PLACEHOLDERS}"
            ));
        };
        pieces.push(parse_placeholder(placeholder)?);
        rest = after;
    }
    push_literal(&mut pieces, rest)?;
    Ok(PathComponent::Pieces(pieces))
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &str) -> Result<(), String> {
    if literal.contains('*') {
        return Err("`*` must be a whole component, as in `*/{username}.db`".to_owned());
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
    Ok(())
}

fn parse_placeholder(placeholder: &str) -> Result<Piece, String> {
    let hashes = [NameHash::Sha256, NameHash::Sha1, NameHash::Md5];
    let (name, number) = match placeholder.split_once(':') {
        Some((name, number)) => (name, Some(number)),
        None => (placeholder, None),
    };
    if name == "username" {
        return match number {
            None => Ok(Piece::Name),
            Some(number) => Ok(Piece::NamePrefix(parse_number(placeholder, number, MAX_PREFIX)?)),
        };
    }
    let Some(hash) = hashes.into_iter().find(|hash| hash.name() == name) else {
        return Err(unknown_placeholder(placeholder, name));
    };
    let Some(number) = number else {
        return Err(format!(
            "`{{{name}}}` needs the number of digits, from 1 to {}, as in `{{{name}:2}}`",
            hash.max_digits()
        ));
    };
    Ok(Piece::Hash(hash, parse_number(placeholder, number, hash.max_digits())?))
}

/// The number N of a placeholder.
fn parse_number(placeholder: &str, number: &str, max: usize) -> Result<usize, String> {
    let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = number.parse().ok().filter(|parsed| is_digits && (1..=max).contains(parsed));
    parsed.ok_or_else(|| format!("the number of `{{{placeholder}}}` must be from 1 to {max}"))
}

fn unknown_placeholder(placeholder: &str, name: &str) -> String {
    const MAX_DISTANCE: usize = 2;
    const NAMES: [&str; 4] = ["username", "sha256", "sha1", "md5"];
    let lower_case = name.trim().to_lowercase().replace(['-', '_', ' '], "");
    let nearest = match lower_case.as_str() {
        "" => None,
        "user" | "name" | "userid" | "id" | "did" => Some("username"),
        lower_case => NAMES
            .into_iter()
            .min_by_key(|known| strsim::levenshtein(known, lower_case))
            .filter(|known| strsim::levenshtein(known, lower_case) <= MAX_DISTANCE),
    };
    match nearest {
        Some("username") => {
            format!("unknown placeholder `{{{placeholder}}}`; did you mean `{{username}}`?")
        }
        Some(hash) => {
            format!("unknown placeholder `{{{placeholder}}}`; did you mean `{{{hash}:2}}`?")
        }
        None => {
            format!("unknown placeholder `{{{placeholder}}}`; the placeholders are {PLACEHOLDERS}")
        }
    }
}
