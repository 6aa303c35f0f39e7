//! What `verify` tells: databases of one shape once, with their count.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::VerifyReport;
use tatmig::plan::MigrateError;
use tatmig::{Changelog, Scope};

use crate::cli::output::OutputFormat;
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS, Report, list_names, plural};

/// What databases are told together by: their scope, what is wrong with them, and the remarks.
type ReportGroup<'r> = (Scope, Cow<'r, [String]>, &'r [String]);

impl Report {
    /// Tells what was found and returns the exit status.
    pub(crate) fn print_verification(
        &self,
        changelog: &Changelog<'_>,
        results: &[(&TargetDatabase, &Result<Arc<VerifyReport>, MigrateError>)],
    ) -> u8 {
        let faulty_count = results.iter().filter(|(_, result)| has_problem(result)).count();
        if self.format == OutputFormat::Json {
            let entry = |(database, result): &(
                &TargetDatabase,
                &Result<Arc<VerifyReport>, MigrateError>,
            )| {
                let report = result.as_ref().ok();
                json!({
                    "name": database.display_name(),
                    "scope": database.scope,
                    "path": database.location.display(),
                    "version": report.and_then(|report| report.version.as_ref()),
                    "findings": report.map(|report| &report.findings),
                    "remarks": report.map(|report| &report.notes),
                    "error": result.as_ref().err().map(ToString::to_string),
                })
            };
            let output = json!({
                "file": changelog.source().name(),
                "summary": { "total": results.len(), "wrong": faulty_count },
            });
            Self::print_json_list(output, "databases", || results.iter().map(entry));
            return if faulty_count > 0 { EXIT_FAILURE } else { EXIT_SUCCESS };
        }
        let mut groups: BTreeMap<ReportGroup<'_>, Vec<String>> = BTreeMap::new();
        for (database, result) in results {
            let (findings, notes) = match result {
                Ok(found) => (Cow::from(&found.findings), &*found.notes),
                Err(error) => (Cow::from(vec![error.to_string()]), &[][..]),
            };
            groups
                .entry((database.scope, findings, notes))
                .or_default()
                .push(database.display_name());
        }
        for ((scope, findings, notes), names) in groups {
            let label = match scope {
                Scope::System => "system".to_owned(),
                Scope::User => format!("{} ({})", plural(names.len(), "user"), list_names(&names)),
            };
            let summary = match findings.len() {
                0 => "like the document".to_owned(),
                count => plural(count, "finding"),
            };
            self.print_line(format!("{label}: {summary}"));
            for detection in &*findings {
                self.print_line(format!("  {detection}"));
            }
            for note in notes {
                self.print_line(format!("  note: {note}"));
            }
        }
        if faulty_count > 0 { EXIT_FAILURE } else { EXIT_SUCCESS }
    }
}

fn has_problem(result: &Result<Arc<VerifyReport>, MigrateError>) -> bool {
    result.as_ref().map_or(true, |report| !report.findings.is_empty())
}
