//! Finds the markers of unresolved merge conflicts, and leaves them out of the text that is read,
//! together with all versions of the conflicting lines but the first.

use std::ops::Range;

use memchr::memmem;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::lines::{line_ranges, trim_range};
use crate::source::SourceSlice;

/// A group of conflict markers.
struct Conflict {
    /// The line of each marker.
    markers: Vec<Range<usize>>,
    /// What is left out: markers, and the lines of the other versions.
    omitted: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// `<<<<<<<`
    Start,
    /// `|||||||`, above the common ancestor's lines.
    Ancestor,
    /// `=======`
    Middle,
    /// `>>>>>>>`
    End,
}

impl Marker {
    /// The marker that a line begins with: seven equal characters, and no eighth one.
    fn parse(line: &str) -> Option<Self> {
        let character = line.bytes().next()?;
        let marker = match character {
            b'<' => Self::Start,
            b'|' => Self::Ancestor,
            b'=' => Self::Middle,
            b'>' => Self::End,
            _ => return None,
        };
        let length = line.bytes().take_while(|byte| *byte == character).count();
        (length == 7).then_some(marker)
    }
}

/// Reports each group of conflict markers once. Returns the text without them; `None` if it has no
/// marker.
pub(crate) fn resolve_conflicts<'a>(
    text: &SourceSlice<'a>,
    mut report: impl FnMut(Diagnostic),
) -> Option<SourceSlice<'a>> {
    let bytes = text.text().as_bytes();
    let has_marker = |marker: &[u8]| memmem::find(bytes, marker).is_some();
    if !has_marker(b"<<<<<<<") && !has_marker(b">>>>>>>") {
        return None;
    }
    let conflicts = find_conflicts(text.text());
    if conflicts.is_empty() {
        return None;
    }
    let mut kept = Vec::new();
    let mut position = 0;
    for conflict in &conflicts {
        report(conflict.diagnostic(text));
        for omitted in &conflict.omitted {
            kept.push(position..omitted.start);
            position = omitted.end;
        }
    }
    kept.push(position..text.text().len());
    kept.retain(|range| !range.is_empty());
    Some(SourceSlice::join(text, &kept))
}

fn find_conflicts(text: &str) -> Vec<Conflict> {
    let mut conflicts: Vec<Conflict> = Vec::new();
    let mut lines = line_ranges(text, 0..text.len())
        .filter_map(|line| Some((Marker::parse(&text[line.clone()])?, line)));
    let mut open: Option<Vec<(Marker, Range<usize>)>> = None;
    for (marker, line) in &mut lines {
        match (marker, &mut open) {
            (Marker::Start, _) => {
                conflicts.extend(open.take().map(Conflict::unfinished));
                open = Some(vec![(marker, line)]);
            }
            (Marker::Ancestor | Marker::Middle, Some(markers)) => markers.push((marker, line)),
            // A setext heading or a table, unless it is between the other markers.
            (Marker::Ancestor | Marker::Middle, None) => {}
            (Marker::End, Some(markers)) => {
                markers.push((marker, line));
                conflicts.extend(open.take().map(Conflict::finished));
            }
            (Marker::End, None) => conflicts.push(Conflict::unfinished(vec![(marker, line)])),
        }
    }
    conflicts.extend(open.map(Conflict::unfinished));
    conflicts
}

impl Conflict {
    /// A group with both ends. Only the lines above the second marker are kept.
    fn finished(markers: Vec<(Marker, Range<usize>)>) -> Self {
        let markers: Vec<_> = markers.into_iter().map(|(_, line)| line).collect();
        let (first, rest) = (markers[0].clone(), &markers[1..]);
        let others = rest[0].start..rest[rest.len() - 1].end;
        Self { omitted: vec![first, others], markers }
    }

    /// A group whose other end is missing. `=======` is a marker only between the two ends.
    fn unfinished(markers: Vec<(Marker, Range<usize>)>) -> Self {
        let markers: Vec<_> = markers.into_iter().take(1).map(|(_, line)| line).collect();
        Self { omitted: markers.clone(), markers }
    }

    fn diagnostic(&self, text: &SourceSlice<'_>) -> Diagnostic {
        let span = |line: &Range<usize>| text.document_span(trim_range(text.text(), line.clone()));
        let [first, others @ ..] = self.markers.as_slice() else { unreachable!() };
        let diagnostic = Diagnostic::new(
            Rule::ConflictMarker,
            span(first),
            "the document holds an unresolved merge conflict",
        )
        .help("keep the lines of one side or combine both, and remove the marker lines");
        match others.last() {
            Some(last) => diagnostic.related(span(last), "the conflict ends here"),
            None => diagnostic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> (Option<String>, usize) {
        let mut count = 0;
        let resolved = resolve_conflicts(&SourceSlice::new(text, 0), |_| count += 1);
        (resolved.map(|slice| slice.text().to_owned()), count)
    }

    #[test]
    fn the_first_side_is_kept() {
        for (text, expected, count) in [
            ("a\n=======\nb\n", None, 0),
            ("a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> d\ne", Some("a\nb\ne"), 1),
            ("<<<<<<< a\nb\n||||||| c\nd\n=======\ne\n>>>>>>> f\n", Some("b\n"), 1),
            ("<<<<<<<\r\nb\r\n=======\r\nc\r\n>>>>>>>\r\nd\r\n", Some("b\r\nd\r\n"), 1),
            ("<<<<<<< a\nb\n=======\nc\n", Some("b\n=======\nc\n"), 1),
            ("a\n>>>>>>> b\nc\n", Some("a\nc\n"), 1),
            ("<<<<<<< a\nb\n<<<<<<< a\nc\n=======\nd\n>>>>>>> e\n", Some("b\nc\n"), 2),
            ("<<<<<<<< a\n", None, 0),
            (" <<<<<<< a\n", None, 0),
        ] {
            assert_eq!(resolve(text), (expected.map(ToOwned::to_owned), count), "{text}");
        }
    }
}
