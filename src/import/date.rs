//! Reads the date in the name of a migration: `20240131120000_notes`, `2024-01-31-120000_notes`,
//! `V2024.01.31__notes`, and seconds or milliseconds since 1970.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The years in which somebody may have written a migration.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2199;

/// The date at the beginning of a name, in UTC; `None` if the name begins with no date.
pub(crate) fn date_of_name(name: &str) -> Option<Date> {
    let name = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let is_separator = |byte: u8| matches!(byte, b'-' | b'_' | b'.' | b'T' | b':');
    let end = name.bytes().position(|byte| !(byte.is_ascii_digit() || is_separator(byte)));
    let run = &name[..end.unwrap_or(name.len())];
    let digits: String = run.chars().filter(char::is_ascii_digit).collect();
    let first_group = run.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    date_of_digits(&digits).or_else(|| date_of_digits(first_group))
}

fn date_of_digits(digits: &str) -> Option<Date> {
    match digits.len() {
        8 | 12 | 14.. => calendar_date(digits),
        10 => calendar_date(digits).or_else(|| date_of_seconds(digits.parse().ok()?)),
        13 => date_of_seconds(digits.parse::<i64>().ok()? / 1000),
        _ => None,
    }
}

/// The date of `YYYYMMDD…`.
fn calendar_date(digits: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse().ok();
    let day: i16 = number(6..8)?;
    let month: i16 = number(4..6)?;
    let date = Date::new(number(0..4)?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let hour: i16 = number(8..10).unwrap_or(0);
    (YEARS.contains(&date.year()) && hour < 24).then_some(date)
}

/// The date of a number of milliseconds since 1970.
pub(crate) fn date_of_milliseconds(milliseconds: i64) -> Option<Date> {
    date_of_seconds(milliseconds / 1000)
}

fn date_of_seconds(seconds: i64) -> Option<Date> {
    let date = Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC).date();
    YEARS.contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_with_a_date_have_one() {
        for (name, expected) in [
            ("20240131120000_notes", "2024-01-31"),
            ("202401311200_notes", "2024-01-31"),
            ("20240131_notes", "2024-01-31"),
            ("20240131_120000_notes", "2024-01-31"),
            ("20240131_2fa", "2024-01-31"),
            ("2024-01-31-120000_notes", "2024-01-31"),
            ("2024-01-31-120000-0000_notes", "2024-01-31"),
            ("V2024.01.31__notes", "2024-01-31"),
            ("V20240131120000__notes", "2024-01-31"),
            ("1706702400_notes", "2024-01-31"),
            ("1706702400000_notes", "2024-01-31"),
            ("0001_notes", ""),
            ("1_20240131", ""),
            ("20241331120000_notes", ""),
            ("99999999_notes", ""),
            ("00000000000000_setup", ""),
            ("notes", ""),
            ("", ""),
        ] {
            let found = date_of_name(name).map(|date| date.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{name}");
        }
    }
}
