//! Converts between the URIs of an editor and paths.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The path of a `file:` URI; `None` for a document that is no file, such as an unsaved one.
pub(crate) fn to_path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // Between the slashes may be the name of the own computer.
    let path = &rest[rest.find('/')?..];
    let decoded = percent_decode_str(path).decode_utf8().ok()?.into_owned();
    let is_drive = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 2 && bytes[0] == b'/' && bytes[1].is_ascii_alphabetic() && bytes[2] == b':'
    };
    Some(PathBuf::from(if cfg!(windows) && is_drive(&decoded) { &decoded[1..] } else { &decoded }))
}

/// What a relative link may hold that a URI may not. A `%` is left alone: in Markdown it already
/// encodes a byte.
const NOT_IN_LINKS: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A link of a document, as a part of a URI.
pub(crate) fn encode_link(link: &str) -> String {
    utf8_percent_encode(link, &NOT_IN_LINKS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_encoded_but_not_twice() {
        assert_eq!(encode_link("a/b c%20d é.md#x"), "a/b%20c%20d%20%C3%A9.md#x");
    }

    #[test]
    fn paths_are_decoded() {
        let path = |uri| to_path(uri).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(path("file:///a/b%20c/%C3%A9.md").as_deref(), Some("/a/b c/é.md"));
        assert_eq!(path("file://localhost/a").as_deref(), Some("/a"));
        for other in ["untitled:Untitled-1", "file:", "file://x", "http://a/b"] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
