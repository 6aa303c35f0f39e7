//! Adds numeric columns over all rows of all databases.

use tatmig::fleet::SqlValue;

use crate::cli::report::rows::cell::is_number;

/// The sum of each column: integers exactly, reals as floating-point numbers. NULL adds nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    columns: Vec<Sum>,
}

/// The sum of one column.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    integers: i128,
    /// `None` until the column has a real.
    reals: Option<f64>,
    has_numbers: bool,
}

/// A sum that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SumOverflow {
    /// The index of the column.
    pub(crate) column: usize,
}

impl Sums {
    /// Adds the values of one row.
    pub(crate) fn add(&mut self, values: &[SqlValue]) {
        self.columns.resize(self.columns.len().max(values.len()), Sum::default());
        for (sum, value) in self.columns.iter_mut().zip(values) {
            sum.has_numbers |= is_number(value);
            match value {
                SqlValue::Integer(number) => sum.integers += i128::from(*number),
                SqlValue::Real(number) => sum.reals = Some(sum.reals.unwrap_or(0.0) + number),
                SqlValue::Null | SqlValue::Text(_) | SqlValue::Blob(_) => {}
            }
        }
    }

    /// Adds sums of the same columns.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.columns.resize(self.columns.len().max(other.columns.len()), Sum::default());
        for (sum, other) in self.columns.iter_mut().zip(&other.columns) {
            sum.integers += other.integers;
            sum.has_numbers |= other.has_numbers;
            if let Some(reals) = other.reals {
                sum.reals = Some(sum.reals.unwrap_or(0.0) + reals);
            }
        }
    }

    /// The sums of `column_count` columns as one row: NULL for a column without a number.
    ///
    /// # Errors
    ///
    /// A sum of integers that 64 bits cannot hold.
    pub(crate) fn values(&self, column_count: usize) -> Result<Vec<SqlValue>, SumOverflow> {
        let sum_at = |column| self.columns.get(column).copied().unwrap_or_default();
        (0..column_count)
            .map(|column| match sum_at(column) {
                Sum { has_numbers: false, .. } => Ok(SqlValue::Null),
                #[expect(clippy::cast_precision_loss, reason = "a sum with reals is a real")]
                Sum { reals: Some(reals), integers, .. } => {
                    Ok(SqlValue::Real(integers as f64 + reals))
                }
                Sum { integers, .. } => i64::try_from(integers)
                    .map(SqlValue::Integer)
                    .map_err(|_| SumOverflow { column }),
            })
            .collect()
    }
}

/// The index of the first value that cannot be added.
pub(crate) fn first_not_numeric(values: &[SqlValue]) -> Option<usize> {
    values.iter().position(|value| matches!(value, SqlValue::Text(_) | SqlValue::Blob(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_and_reals_make_a_real() {
        let mut sums = Sums::default();
        sums.add(&[SqlValue::Integer(i64::MAX), SqlValue::Integer(1), SqlValue::Null]);
        sums.add(&[SqlValue::Integer(-1), SqlValue::Real(0.5), SqlValue::Null]);
        let expected = [SqlValue::Integer(i64::MAX - 1), SqlValue::Real(1.5), SqlValue::Null];
        assert_eq!(sums.values(3).unwrap(), expected);
        let mut other = Sums::default();
        other.add(&[SqlValue::Integer(2)]);
        sums.merge(&other);
        assert_eq!(sums.values(1), Err(SumOverflow { column: 0 }));
    }

    #[test]
    fn what_is_not_a_number_cannot_be_added() {
        let text = SqlValue::Text(b"1".to_vec());
        assert_eq!(first_not_numeric(&[SqlValue::Null, text]), Some(1));
        assert_eq!(first_not_numeric(&[SqlValue::Integer(1), SqlValue::Null]), None);
    }
}
