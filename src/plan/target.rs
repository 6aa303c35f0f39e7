//! Resolves the target version of a run.

use semver::Version;

use crate::document::changelog::Changelog;
use crate::document::suggest::suggest_version;
use crate::document::version_index::VersionIndex;
use crate::plan::error::TargetError;
use crate::text::nearest_name;

/// The target version of a run, as a position on the chain of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Up to the n-th version of the chain.
    Up(usize),
    /// Down to the n-th version by reverse blocks; without one, down to `baseline`.
    Down(Option<usize>),
}

impl Changelog<'_> {
    /// The index of the released version that a text names. `None` and `head` name head.
    ///
    /// ```
    /// # let text = "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n";
    /// let changelog = tatmig::Changelog::parse(text)?;
    /// assert_eq!(changelog.target_index(Some("1.0.0"))?, changelog.head_index());
    /// assert!(changelog.target_index(Some("2.0.0")).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The text is not a semantic version, or the version is planned or not in the document.
    pub fn target_index(&self, to: Option<&str>) -> Result<VersionIndex, TargetError> {
        let Some(text) = to.filter(|text| *text != "head") else {
            return Ok(self.head_index());
        };
        let head = self.head().clone();
        let document = self.source().name().to_owned();
        let Ok(version) = Version::parse(text) else {
            let (text, hint) = (text.to_owned(), version_hint(self, text));
            return Err(TargetError::NotAVersion { text, hint });
        };
        if !version.build.is_empty() {
            return Err(TargetError::BuildMetadata { version });
        }
        match self.index_of(&version) {
            Some(index) if index <= self.head_index() => Ok(index),
            Some(_) => Err(TargetError::PlannedVersion { version, document, head }),
            None => {
                let nearby_versions = nearby_versions(self, &version);
                Err(TargetError::UnknownVersion { version, document, nearby_versions })
            }
        }
    }
}

/// What to write in place of a text that is no version.
fn version_hint(changelog: &Changelog<'_>, text: &str) -> String {
    if text == "baseline" {
        return "it is the state before every migration, and `tatmig downgrade --to baseline` leads to it".to_owned();
    }
    let mut known: Vec<String> = changelog.versions().iter().map(ToString::to_string).collect();
    let corrected = suggest_version(text).filter(|corrected| known.contains(corrected));
    known.extend(["head", "baseline"].map(ToOwned::to_owned));
    let similar = || nearest_name(text, known.iter().map(String::as_str)).map(ToOwned::to_owned);
    match corrected.or_else(similar) {
        Some(version) => format!("did you mean `{version}`?"),
        None => format!("versions have the form `{}`", changelog.head()),
    }
}

/// The released versions on both sides of a version that is not in the document, as text.
fn nearby_versions(changelog: &Changelog<'_>, version: &Version) -> String {
    const MAX_LISTED: usize = 6;
    let released = &changelog.versions()[..=changelog.head_position()];
    let insertion_index = released.partition_point(|known| known < version);
    let start = insertion_index
        .saturating_sub(MAX_LISTED / 2)
        .min(released.len().saturating_sub(MAX_LISTED));
    let end = (start + MAX_LISTED).min(released.len());
    let listed: Vec<String> =
        released[start..end].iter().map(|version| format!("`{version}`")).collect();
    let suffix = if listed.len() < released.len() { ", among others" } else { "" };
    format!("{}{suffix}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::position::tests::document;

    #[test]
    fn planned_and_unknown_targets_are_rejected() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        assert!(matches!(
            changelog.target_index(Some("2.1.0")),
            Err(TargetError::PlannedVersion { .. })
        ));
        assert!(matches!(
            changelog.target_index(Some("1.0.5")),
            Err(TargetError::UnknownVersion { .. })
        ));
        assert!(matches!(changelog.target_index(Some("1")), Err(TargetError::NotAVersion { .. })));
        assert_eq!(changelog.target_index(None), Ok(VersionIndex::new(3)));
    }
}
