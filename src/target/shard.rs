//! Which part of a fleet a database belongs to: a hash of its user's name that is the same on every
//! machine and in every version, so that parts need no coordinator.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// One of several parts of a fleet: `2/8` is the second of eight.
///
/// ```
/// use tatmig::fleet::Shard;
///
/// let parts: Vec<Shard> = vec!["1/2".parse()?, "2/2".parse()?];
/// let holders = parts.iter().filter(|part| part.contains("ann".as_ref())).count();
/// assert_eq!(holders, 1);
/// # Ok::<(), tatmig::fleet::ShardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: usize,
    count: NonZeroUsize,
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no part of the fleet; `2/8` is the second of eight")]
pub struct ShardError(String);

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let invalid = || ShardError(text.to_owned());
        let (index, count) = text.split_once('/').ok_or_else(invalid)?;
        let index: usize = index.trim().parse().map_err(|_| invalid())?;
        let of: NonZeroUsize = count.trim().parse().map_err(|_| invalid())?;
        if index == 0 || index > of.get() {
            return Err(invalid());
        }
        Ok(Self { index: index - 1, count: of })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// Whether a user's database belongs to this part.
    #[must_use]
    pub fn contains(&self, user: &OsStr) -> bool {
        shard_index(user, self.count) == self.index
    }
}

/// The part, from 0, that a user belongs to.
pub(crate) fn shard_index(user: &OsStr, shard_count: NonZeroUsize) -> usize {
    let digest = Sha256::digest(user.as_encoded_bytes());
    let mut first_bytes = [0; 8];
    first_bytes.copy_from_slice(&digest[..8]);
    let shard_count = u64::try_from(shard_count.get()).unwrap_or(u64::MAX);
    usize::try_from(u64::from_be_bytes(first_bytes) % shard_count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_belongs_to_one_shard_and_shards_are_even() {
        let shards: Vec<Shard> =
            (1..=4).map(|number| format!("{number}/4").parse().unwrap()).collect();
        let mut counts = [0; 4];
        for user in 0..1000 {
            let user = format!("user{user}");
            let containing: Vec<usize> =
                (0..4).filter(|number| shards[*number].contains(OsStr::new(&user))).collect();
            assert_eq!(containing.len(), 1, "{user}");
            counts[containing[0]] += 1;
        }
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }

    #[test]
    fn shard_assignment_is_stable() {
        let shard_count = NonZeroUsize::new(3).unwrap();
        let indices: Vec<usize> = ["ann", "bob", "cid", "dora"]
            .iter()
            .map(|user| shard_index(OsStr::new(user), shard_count))
            .collect();
        assert_eq!(indices, [2, 2, 0, 2]);
    }

    #[test]
    fn invalid_shards_are_rejected() {
        for invalid in ["", "1", "0/2", "3/2", "a/b", "1/0", "-1/2"] {
            assert!(invalid.parse::<Shard>().is_err(), "{invalid}");
        }
        assert_eq!("2/8".parse::<Shard>().unwrap().to_string(), "2/8");
    }
}
