//! Which part of a fleet a database belongs to: a hash of its user's name that is the same on every
//! machine and in every version, so that parts need no coordinator.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// One of several parts of a fleet: `2/8` is the second of eight.
///
/// ```
/// use tatmig::Shard;
///
/// let parts: Vec<Shard> = vec!["1/2".parse()?, "2/2".parse()?];
/// let holders = parts.iter().filter(|part| part.holds("ann".as_ref())).count();
/// assert_eq!(holders, 1);
/// # Ok::<(), tatmig::ShardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: usize,
    of: NonZeroUsize,
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no part of the fleet; `2/8` is the second of eight")]
pub struct ShardError(String);

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let index: usize = index.trim().parse().map_err(|_| wrong())?;
        let of: NonZeroUsize = of.trim().parse().map_err(|_| wrong())?;
        if index == 0 || index > of.get() {
            return Err(wrong());
        }
        Ok(Self { index: index - 1, of })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl Shard {
    /// Whether a user's database belongs to this part.
    #[must_use]
    pub fn holds(&self, user: &OsStr) -> bool {
        part_of(user, self.of) == self.index
    }
}

/// The part, from 0, that a user belongs to.
pub(crate) fn part_of(user: &OsStr, of: NonZeroUsize) -> usize {
    let digest = Sha256::digest(user.as_encoded_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let of = u64::try_from(of.get()).unwrap_or(u64::MAX);
    usize::try_from(u64::from_be_bytes(first) % of).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_belongs_to_one_part_and_parts_are_even() {
        let parts: Vec<Shard> = (1..=4).map(|at| format!("{at}/4").parse().unwrap()).collect();
        let mut counts = [0; 4];
        for user in 0..1000 {
            let user = format!("user{user}");
            let holders: Vec<usize> =
                (0..4).filter(|at| parts[*at].holds(OsStr::new(&user))).collect();
            assert_eq!(holders.len(), 1, "{user}");
            counts[holders[0]] += 1;
        }
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_hash_is_the_same_for_ever() {
        let three = NonZeroUsize::new(3).unwrap();
        let parts: Vec<usize> =
            ["ann", "bob", "cid", "dora"].iter().map(|u| part_of(OsStr::new(u), three)).collect();
        assert_eq!(parts, [2, 2, 0, 2]);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for wrong in ["", "1", "0/2", "3/2", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!("2/8".parse::<Shard>().unwrap().to_string(), "2/8");
    }
}
