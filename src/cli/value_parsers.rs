//! Parses numbers, durations, versions and lists of flags, variables and `tatmig.toml`, with error messages in
//! tatmig's own words.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{anyhow, bail};
use semver::Version;
use serde::Deserialize;
use tatmig::plan::TargetError;

const INVALID_NUMBER: &str = "must be a whole number of 0 or more";
const INVALID_COUNT: &str = "must be a whole number of 1 or more";
const INVALID_SECONDS: &str = "must be a number of seconds of 0 or more, such as 10 or 0.5";

/// A string or a list of strings.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// Copies the strings into a list.
    pub(crate) fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(texts) => texts.clone(),
        }
    }
}

/// Parses a number of seconds, which may have a fraction.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    seconds(text.parse().map_err(|_| INVALID_SECONDS)?)
}

/// Converts seconds to a duration; a negative, infinite or too large number is an error.
pub(crate) fn seconds(seconds: f64) -> Result<Duration, &'static str> {
    Duration::try_from_secs_f64(seconds).map_err(|_| INVALID_SECONDS)
}

/// Parses a whole number of 0 or more.
pub(crate) fn parse_number(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| INVALID_NUMBER)
}

/// Parses a whole number of 1 or more.
pub(crate) fn parse_count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| INVALID_COUNT)
}

/// Converts an integer to a count; 0 and negative numbers are errors.
pub(crate) fn count(number: i64) -> Result<NonZeroUsize, &'static str> {
    usize::try_from(number).ok().and_then(NonZeroUsize::new).ok_or(INVALID_COUNT)
}

/// Parses a number of migrations to undo, written with a minus: `-1`.
pub(crate) fn parse_negative_steps(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.strip_prefix('-')
        .and_then(|number| number.parse().ok())
        .ok_or("must be a number of migrations with a minus, such as `-1`")
}

/// The version that was probably meant: `1.2` and `v1.2.0` mean `1.2.0`.
fn complete_version(text: &str) -> Option<Version> {
    let text = text.trim_start_matches(['v', 'V']);
    let mut completed =
        ["", ".0", ".0.0"].iter().map(|end| Version::parse(&format!("{text}{end}")));
    completed.find_map(Result::ok)
}

/// Parses `true` or `false`, also as `on`, `yes`, `1` and the like.
pub(crate) fn parse_switch(text: &str) -> Result<bool, &'static str> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("must be `true` or `false`"),
    }
}

/// Parses the version of an option that names head without a value. `None` for head.
pub(crate) fn parse_version_or_head(text: Option<&str>) -> anyhow::Result<Option<Version>> {
    text.filter(|text| *text != "head").map(parse_version).transpose()
}

/// Parses a version. The reason that `semver` gives is left out: the example says more.
pub(crate) fn parse_version(text: &str) -> anyhow::Result<Version> {
    let version = Version::parse(text).map_err(|_| match complete_version(text) {
        Some(version) => anyhow!("`{text}` is not a version; did you mean `{version}`?"),
        None => anyhow!("`{text}` is not a version; write three numbers, such as `1.2.0`"),
    })?;
    if !version.build.is_empty() {
        bail!(TargetError::BuildMetadata { version });
    }
    Ok(version)
}
