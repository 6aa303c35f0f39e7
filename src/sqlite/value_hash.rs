//! Hashes the values of a column, so that a run can compare those before and after without keeping them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use rusqlite::types::ValueRef;

/// A number has one hash, in whatever type it is stored: a rebuild may change the type.
pub(crate) fn hash_value(value: ValueRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let number = |text: &str| {
        let whole = text.parse::<i64>().map(|number| number.to_string()).ok();
        whole.or_else(|| {
            let real = text.parse::<f64>().ok().filter(|real| real.is_finite());
            real.map(|real| real.to_string())
        })
    };
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(integer) => integer.to_string().hash(&mut hasher),
        ValueRef::Real(real) => real.to_string().hash(&mut hasher),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            match std::str::from_utf8(bytes).ok().and_then(number) {
                Some(number) => number.hash(&mut hasher),
                None => bytes.hash(&mut hasher),
            }
        }
    }
    hasher.finish()
}
