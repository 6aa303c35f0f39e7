//! Formats and matches one component of a path template. The length of a component that contains
//! the name grows with the length of the name, so the length of what was found decides where each
//! placeholder begins and ends: at most one name can be in it.

use crate::target::name_hash::NameHash;

/// One component of a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathComponent {
    /// `*`: any name.
    Any,
    /// A sequence of literals and placeholders.
    Pieces(Vec<Piece>),
}

/// A part of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    /// `{username}`.
    Name,
    /// `{username:N}`: the first bytes of the name.
    NamePrefix(usize),
    /// `{sha256:N}` and others: the first digits of the name's hash.
    Hash(NameHash, usize),
}

impl Piece {
    /// The length of the piece for a name of this length.
    fn len(&self, name_len: usize) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Name => name_len,
            Self::NamePrefix(count) => name_len.min(*count),
            Self::Hash(_, digits) => *digits,
        }
    }

    /// Whether some name has these bytes here.
    fn has_shape(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Literal(text) => bytes == text.as_bytes(),
            Self::Name | Self::NamePrefix(_) => true,
            // Digits in the wrong case are a wrong hash, which is reported.
            Self::Hash(..) => bytes.iter().all(u8::is_ascii_hexdigit),
        }
    }

    /// Whether this name has these bytes here.
    fn is_of(&self, bytes: &[u8], name: &[u8]) -> bool {
        match self {
            Self::Literal(text) => bytes == text.as_bytes(),
            Self::Name => bytes == name,
            Self::NamePrefix(count) => bytes == &name[..name.len().min(*count)],
            Self::Hash(hash, digits) => bytes == hash.digits(name).first(*digits),
        }
    }
}

impl PathComponent {
    /// Whether the component contains the whole name.
    pub(crate) fn has_name(&self) -> bool {
        self.pieces().contains(&Piece::Name)
    }

    /// Whether the component has the name once and no other placeholder.
    pub(crate) fn is_plain_name(&self) -> bool {
        let mut pieces = self.pieces().iter().filter(|piece| !matches!(piece, Piece::Literal(_)));
        pieces.next() == Some(&Piece::Name) && pieces.next().is_none()
    }

    /// The text of a component without placeholders.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.pieces() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    fn pieces(&self) -> &[Piece] {
        match self {
            Self::Any => &[],
            Self::Pieces(pieces) => pieces,
        }
    }

    /// Appends the component of a name. Nothing is appended for `*`.
    pub(crate) fn append(&self, name: &[u8], path: &mut Vec<u8>) {
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => path.extend_from_slice(text.as_bytes()),
                Piece::Name => path.extend_from_slice(name),
                Piece::NamePrefix(count) => path.extend_from_slice(&name[..name.len().min(*count)]),
                Piece::Hash(hash, digits) => {
                    path.extend_from_slice(hash.digits(name).first(*digits));
                }
            }
        }
    }

    /// Whether bytes are this component of a name.
    pub(crate) fn is_of(&self, bytes: &[u8], name: &[u8]) -> bool {
        let Self::Pieces(pieces) = self else { return true };
        self.len(name.len()) == bytes.len()
            && split(pieces, bytes, name.len()).all(|part| part.piece.is_of(part.bytes, name))
    }

    /// Whether bytes can be this component: literals and hexadecimal digits are in their places.
    pub(crate) fn has_shape(&self, bytes: &[u8]) -> bool {
        let Self::Pieces(pieces) = self else { return true };
        self.name_len(bytes.len()).is_some_and(|name_len| {
            split(pieces, bytes, name_len).all(|part| part.piece.has_shape(part.bytes))
        })
    }

    /// The name in bytes that have the shape of this component; `None` if the component does not
    /// contain the whole name.
    pub(crate) fn name_in<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let name_len = self.name_len(bytes.len())?;
        let mut parts = split(self.pieces(), bytes, name_len);
        parts.find(|part| *part.piece == Piece::Name).map(|part| part.bytes)
    }

    /// The length of the component for a name of this length.
    fn len(&self, name_len: usize) -> usize {
        self.pieces().iter().map(|piece| piece.len(name_len)).sum()
    }

    /// The smallest length of a name for which the component has this length. Every longer name has
    /// a longer component, or the same pieces if the component has only the first bytes of the name.
    fn name_len(&self, len: usize) -> Option<usize> {
        // The usual component: the length of the name is what the literals leave.
        if self.is_plain_name() {
            return len.checked_sub(self.len(0));
        }
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.len(middle) < len {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (self.len(low) == len).then_some(low)
    }
}

/// The bytes of one piece.
struct Part<'p, 'b> {
    piece: &'p Piece,
    bytes: &'b [u8],
}

/// Splits bytes, which must have the length of the component, into the parts of its pieces.
fn split<'p, 'b>(
    pieces: &'p [Piece],
    bytes: &'b [u8],
    name_len: usize,
) -> impl Iterator<Item = Part<'p, 'b>> {
    let mut rest = bytes;
    pieces.iter().map(move |piece| {
        let (bytes, after) = rest.split_at(piece.len(name_len).min(rest.len()));
        rest = after;
        Part { piece, bytes }
    })
}
