//! Counts how long databases took, in buckets, and keeps the slowest.

use std::time::Duration;

use serde::Serialize;

/// The upper ends of the buckets in seconds.
pub(crate) const BOUNDS: [f64; 15] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

const MAX_SLOWEST: usize = 10;

/// A histogram of durations.
#[derive(Default, Serialize)]
pub(crate) struct Durations {
    /// How many durations are in each bucket; the last one has no upper end.
    pub(crate) counts: [u64; BOUNDS.len() + 1],
    /// The sum in seconds.
    pub(crate) sum: f64,
    /// The databases that took longest, the slowest first.
    slowest: Vec<SlowDatabase>,
}

#[derive(Serialize)]
struct SlowDatabase {
    name: String,
    seconds: f64,
}

impl Durations {
    pub(crate) fn add(&mut self, name: impl FnOnce() -> String, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
        let is_slow = self.slowest.last().is_none_or(|last| seconds > last.seconds);
        if is_slow || self.slowest.len() < MAX_SLOWEST {
            let index = self.slowest.partition_point(|slow| slow.seconds >= seconds);
            self.slowest.insert(index, SlowDatabase { name: name(), seconds });
            self.slowest.truncate(MAX_SLOWEST);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_and_the_slowest_kept() {
        let mut durations = Durations::default();
        for milliseconds in (1..=20).chain([70_000]) {
            let name = || milliseconds.to_string();
            durations.add(name, Duration::from_millis(milliseconds));
        }
        assert_eq!(durations.count(), 21);
        assert_eq!(durations.counts[..6], [1, 1, 3, 5, 10, 0]);
        assert_eq!(durations.counts[BOUNDS.len()], 1);
        let names: Vec<&str> = durations.slowest.iter().map(|slow| slow.name.as_str()).collect();
        assert_eq!(names, ["70000", "20", "19", "18", "17", "16", "15", "14", "13", "12"]);
    }
}
