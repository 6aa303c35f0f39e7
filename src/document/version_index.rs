//! Numbers the versions of a changelog.

/// The index of a version on the chain of a [`Changelog`](crate::Changelog), counted from the
/// lowest baseline.
///
/// Only a changelog creates indexes, and an index is valid for that changelog only. Another
/// changelog treats an index that is too high for it as the index of its last version, without a
/// panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionIndex(usize);

impl VersionIndex {
    pub(crate) const fn new(position: usize) -> Self {
        Self(position)
    }

    /// The index into [`Changelog::versions`](crate::Changelog::versions).
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}
