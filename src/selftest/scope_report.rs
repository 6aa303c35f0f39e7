//! Holds what the test of one scope found.

use crate::document::tag::VersionPoint;
use crate::selftest::attribute::Finding;
use crate::selftest::fill::FillGap;

/// One version at which rows were inserted.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) baseline_index: usize,
    pub(crate) position: usize,
    pub(crate) table_count: usize,
    pub(crate) row_count: usize,
    /// The lowest point that was reached from here through reverse blocks.
    pub(crate) down_to: Option<VersionPoint>,
    pub(crate) gaps: Vec<FillGap>,
}

/// A finding, with the positions of the versions whose rows are affected.
pub(crate) struct LocatedFinding {
    pub(crate) baseline_index: usize,
    pub(crate) first_position: usize,
    pub(crate) last_position: usize,
    pub(crate) finding: Finding,
}

/// What the test of a scope found.
#[derive(Default)]
pub(crate) struct ScopeReport {
    pub(crate) stops: Vec<Stop>,
    pub(crate) findings: Vec<LocatedFinding>,
}
