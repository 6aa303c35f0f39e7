//! Keeps values that many threads need and that are expensive to compute: each is computed once for
//! its key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::database::error::DatabaseError;

/// Values that several threads compute once for each key. A value is `None` if the run was
/// cancelled meanwhile.
pub(crate) type Cache<K, V> = Mutex<HashMap<K, Arc<OnceLock<Option<V>>>>>;

/// The value of a key, which is computed by the first caller; the others wait for it.
pub(crate) fn once<K: Eq + Hash, V: Clone>(
    cache: &Cache<K, V>,
    key: K,
    compute: impl FnOnce() -> Option<V>,
) -> Result<V, DatabaseError> {
    let cell = match cache.lock().unwrap_or_else(PoisonError::into_inner).entry(key) {
        Entry::Occupied(entry) => entry.get().clone(),
        Entry::Vacant(entry) => entry.insert(Arc::default()).clone(),
    };
    cell.get_or_init(compute).clone().ok_or(DatabaseError::Interrupted)
}
