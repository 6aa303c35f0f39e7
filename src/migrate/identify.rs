//! Decides the version of a database without a history from two sources: its schema, and the version
//! table of the tool that migrated it before. The version is known where both agree. Where the schema
//! fits several versions, the table decides.

use std::sync::Arc;

use crate::database::ReadDatabase;
use crate::database::error::DatabaseError;
use crate::database::version_tables::FoundTables;
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{Ambiguity, Detection, PartialMatch, distance};
use crate::migrate::detector::{Detector, SchemaMatch};
use crate::migrate::imported_versions::{VersionTableReport, version_at};
use crate::plan::error::PlanError;
use crate::schema::{Schema, compare};

/// How many differences a message lists.
const MAX_DIFFERENCES: usize = 10;

/// What a database without a history is.
#[derive(Clone, Debug)]
pub(crate) enum Detected {
    /// All of its objects are ignored, and no version table records a migration.
    New,
    Existing(Box<Identified>),
}

/// What is known about the version of a database without a history.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    /// What the schema is, as far as the version tables leave a choice.
    pub(crate) detection: Arc<Detection>,
    /// What the version tables say.
    pub(crate) tables: Vec<VersionTableReport>,
    /// Why the version tables do not allow the detected version.
    pub(crate) refusal: Option<PlanError>,
    /// Where the version is from, if a version table agrees with the schema.
    pub(crate) source: Option<String>,
    /// What a person should know about the tables.
    pub(crate) notes: Vec<String>,
}

impl Identified {
    /// The position of the version; otherwise the reason why only a person can decide it.
    pub(crate) fn resolve(&self, scope: Scope) -> Result<usize, PlanError> {
        match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => self.detection.resolve(scope),
        }
    }
}

impl Detector<'_, '_> {
    /// Finds out what a database without a history is.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or the run was cancelled.
    pub(crate) fn identify(
        &self,
        scope: Scope,
        database: &dyn ReadDatabase,
    ) -> Result<Detected, DatabaseError> {
        let schema = database.schema()?;
        let imported = self.imported_versions(scope);
        let found = FoundTables::find(&schema, &imported.tools());
        let tables = if found.is_empty() { Vec::new() } else { database.version_tables(&found)? };
        let reports = tables.iter();
        let reports: Vec<_> = reports
            .map(|table| VersionTableReport::new(self.changelog(), imported, table))
            .collect();
        let schema = self.without_ignored(scope, schema);
        let is_recorded =
            reports.iter().any(|report| report.start.is_some() || !report.problems.is_empty());
        if schema.is_empty() && !is_recorded {
            return Ok(Detected::New);
        }
        let schema_match = self.detect(scope, &schema)?;
        let mut notes = found.notes;
        notes.extend(reports.iter().flat_map(|report| report.notes.iter().cloned()));
        let identified = Identified {
            detection: schema_match.detection.clone(),
            tables: reports,
            refusal: None,
            source: None,
            notes,
        };
        if identified.tables.is_empty() {
            return Ok(Detected::Existing(Box::new(identified)));
        }
        let decision =
            Decision { detector: self, scope, schema: &schema, schema_match: &schema_match };
        Ok(Detected::Existing(Box::new(decision.decide(identified)?)))
    }
}

/// A schema next to what version tables say about it.
struct Decision<'d, 'c, 'a> {
    detector: &'d Detector<'c, 'a>,
    scope: Scope,
    schema: &'d Schema,
    schema_match: &'d SchemaMatch,
}

impl Decision<'_, '_, '_> {
    fn decide(&self, mut identified: Identified) -> Result<Identified, DatabaseError> {
        let tables = &identified.tables;
        let problems: Vec<String> =
            tables.iter().flat_map(|report| report.problems.iter().cloned()).collect();
        // The database is at `start` or above it, by migrations that no other tool has.
        let start = tables.iter().map(|report| report.start).max().flatten();
        let end = tables.iter().map(|report| report.end).min().flatten();
        if !problems.is_empty() || start > end {
            identified.refusal = Some(self.refusal(&identified, problems, start));
            return Ok(identified);
        }
        let is_possible = |position: &&usize| (start..=end).contains(&Some(**position));
        let matches: Vec<usize> =
            self.schema_match.matches.iter().filter(is_possible).copied().collect();
        if let Some(detection) = self.detection_among(&matches, start) {
            if let Detection::Match(index) = detection {
                identified.source = Some(self.agreement(&identified, start, index));
            }
            identified.detection = Arc::new(detection);
            return Ok(identified);
        }
        match &*self.schema_match.detection {
            // Neither knows anything of the document.
            Detection::Unrelated if start.is_none() => {}
            Detection::Partial(partial) if self.is_as_near(partial, start)? => {
                identified.source = Some(Self::statements(&identified));
                identified.detection = Arc::new(Detection::Partial(self.partial_at(start)));
            }
            _ => identified.refusal = Some(self.refusal(&identified, Vec::new(), start)),
        }
        Ok(identified)
    }

    /// The detection if only these versions match. `start` is the version that the tables record.
    fn detection_among(&self, matches: &[usize], start: Option<usize>) -> Option<Detection> {
        let (lowest, highest) = (*matches.first()?, *matches.last()?);
        let has_statements = |from, to| self.detector.ambiguity(self.scope, from, to).is_some();
        if let Some(start) = start.filter(|start| matches.contains(start)) {
            // Later versions count as long as no statement leads to them.
            let mut equal = matches.iter().copied();
            let highest =
                equal.rfind(|position| *position >= start && !has_statements(start, *position));
            return Some(Detection::Match(VersionIndex::new(highest.unwrap_or(start))));
        }
        Some(match self.detector.ambiguity(self.scope, lowest, highest) {
            None => Detection::Match(VersionIndex::new(highest)),
            Some(statements) => {
                let versions = matches.iter().map(|position| self.point(Some(*position)));
                Detection::Ambiguous(Ambiguity { versions: versions.collect(), statements })
            }
        })
    }

    /// Whether the rest of the document leads from `start` as near to head's schema as from the
    /// version that the schema alone proposes.
    fn is_as_near(
        &self,
        partial: &PartialMatch,
        start: Option<usize>,
    ) -> Result<bool, DatabaseError> {
        let distance_from = |start| {
            let trial = self.detector.cached_trial(self.scope, self.schema, start)?;
            Ok::<_, DatabaseError>(trial.drift_at_head.as_deref().ok().map(distance))
        };
        let Some(proposal) = &partial.proposal else { return Ok(false) };
        let changelog = self.detector.changelog();
        let proposal = proposal.version().and_then(|version| changelog.position(version));
        let nearest = distance_from(proposal)?;
        Ok(distance_from(start)?.is_some_and(|distance| Some(distance) <= nearest))
    }

    /// The partial match with the version that the tables record as its proposal.
    fn partial_at(&self, start: Option<usize>) -> PartialMatch {
        let proposal = self.point(start);
        let (mut candidates, mut there) = (vec![proposal.clone()], Vec::new());
        if let Detection::Partial(partial) = &*self.schema_match.detection {
            candidates.extend(
                partial.candidates.iter().filter(|candidate| **candidate != proposal).cloned(),
            );
            there.clone_from(&partial.there);
        }
        PartialMatch {
            proposal: Some(proposal),
            candidates,
            there,
            missing: self.differences(start),
            failure: None,
            remarks: Vec::new(),
        }
    }

    /// What is missing or different at a version; below the first one, compared with that.
    fn differences(&self, position: Option<usize>) -> Vec<String> {
        let expected = self.detector.replay().schema_at(self.scope, position.unwrap_or(0));
        let differences = compare::differences(&expected, self.schema);
        let significant = differences.iter().filter(|difference| difference.is_significant());
        significant.map(ToString::to_string).collect()
    }

    /// What the tables record, in one sentence.
    fn statements(identified: &Identified) -> String {
        let statements: Vec<_> = identified
            .tables
            .iter()
            .map(|report| match report.start {
                Some(_) => format!("{}, up to {}", report.statement(), report.version),
                None => report.statement(),
            })
            .collect();
        statements.join("; ")
    }

    /// Where a version is from on which tables and schema agree.
    fn agreement(
        &self,
        identified: &Identified,
        start: Option<usize>,
        index: VersionIndex,
    ) -> String {
        let version = self.point(Some(index.get()));
        match identified.tables.as_slice() {
            [report] if start == Some(index.get()) => {
                format!("{} and the schema matches {version}", report.statement())
            }
            _ => format!("{}, and the schema matches {version}", Self::statements(identified)),
        }
    }

    fn refusal(
        &self,
        identified: &Identified,
        problems: Vec<String>,
        start: Option<usize>,
    ) -> PlanError {
        let mut versions = Vec::new();
        if problems.is_empty() && start.is_some() {
            versions.push(self.point(start));
        }
        let matches = &self.schema_match.matches;
        let schema = match &*self.schema_match.detection {
            _ if self.schema.is_empty() => "the database has no table of the document".to_owned(),
            Detection::Unrelated => {
                "none of the document's tables exists in the database".to_owned()
            }
            Detection::Partial(partial) => {
                versions.extend(partial.proposal.clone());
                self.describe_partial(partial, start)
            }
            Detection::Match(index) => {
                versions.push(self.point(Some(index.get())));
                format!("the schema matches {}", self.point(Some(index.get())))
            }
            Detection::Ambiguous(_) => {
                versions.extend(matches.iter().map(|position| self.point(Some(*position))));
                let texts: Vec<_> = matches
                    .iter()
                    .map(|position| self.point(Some(*position)).to_string())
                    .collect();
                format!("the schema matches {}", texts.join(" and "))
            }
        };
        versions.sort();
        versions.dedup();
        let problems =
            if problems.is_empty() { vec![Self::statements(identified)] } else { problems };
        PlanError::VersionTable { scope: self.scope, tables: problems, schema, versions }
    }

    /// How a schema that matches no version compares with the version that the tables record.
    fn describe_partial(&self, partial: &PartialMatch, start: Option<usize>) -> String {
        let mut differences = self.differences(start);
        let more = differences.len().saturating_sub(MAX_DIFFERENCES);
        differences.truncate(MAX_DIFFERENCES);
        if more > 0 {
            differences.push(format!("and {more} more"));
        }
        let compared_with = self.point(Some(start.unwrap_or(0)));
        let nearest = match &partial.proposal {
            Some(proposal) if *proposal != self.point(start) => {
                format!("; {proposal} is nearest")
            }
            _ => String::new(),
        };
        format!(
            "the schema matches no version{nearest} (compared with {compared_with}, {})",
            differences.join(", ")
        )
    }

    fn point(&self, position: Option<usize>) -> VersionPoint {
        version_at(self.detector.changelog(), position)
    }
}
