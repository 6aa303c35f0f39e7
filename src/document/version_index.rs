//! Numbers the versions of a changelog.

/// The index of a version on the chain of a [`Changelog`](crate::Changelog), counted from the
/// lowest baseline.
///
/// Only a changelog hands indexes out, and an index is meant for that changelog alone. An index
/// that is too high for another changelog is treated there as the index of the last version; it
/// never causes a panic.
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
