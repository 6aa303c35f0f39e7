//! What `verify` tells: databases of one shape once, with their count.

use std::collections::BTreeMap;

use serde_json::json;
use tatmig::{Changelog, Failure, Member, Scope, Verification};

use super::{DONE, FAILED, Report, plural, some};
use crate::cli::Format;

impl Report {
    /// Tells what was found and returns the exit status.
    pub(crate) fn verified(
        &self,
        changelog: &Changelog<'_>,
        results: &[(&Member, &Result<Verification, Failure>)],
    ) -> u8 {
        let wrong = results.iter().filter(|(_, result)| is_wrong(result)).count();
        if self.format == Format::Json {
            let databases: Vec<_> = results
                .iter()
                .map(|(member, result)| {
                    let found = result.as_ref().ok();
                    json!({
                        "name": member.shown(),
                        "scope": member.scope,
                        "path": member.home.shown(),
                        "version": found.and_then(|found| found.version.as_ref()),
                        "findings": found.map(|found| &found.findings),
                        "remarks": found.map(|found| &found.remarks),
                        "error": result.as_ref().err().map(ToString::to_string),
                    })
                })
                .collect();
            Self::json(&json!({
                "file": changelog.source().name(),
                "databases": databases,
                "summary": { "total": results.len(), "wrong": wrong },
            }));
            return if wrong > 0 { FAILED } else { DONE };
        }
        let mut shapes: BTreeMap<(Scope, Vec<String>, Vec<String>), Vec<String>> = BTreeMap::new();
        for (member, result) in results {
            let (findings, remarks) = match result {
                Ok(found) => (found.findings.clone(), found.remarks.clone()),
                Err(failure) => (vec![failure.to_string()], Vec::new()),
            };
            shapes.entry((member.scope, findings, remarks)).or_default().push(member.shown());
        }
        for ((scope, findings, remarks), names) in shapes {
            let who = match scope {
                Scope::System => "system".to_owned(),
                Scope::User => format!("{} ({})", plural(names.len(), "user"), some(&names)),
            };
            let judgement = match findings.len() {
                0 => "like the document".to_owned(),
                count => plural(count, "finding"),
            };
            self.line(format!("{who}: {judgement}"));
            for finding in findings {
                self.line(format!("  {finding}"));
            }
            for remark in remarks {
                self.line(format!("  note: {remark}"));
            }
        }
        if wrong > 0 { FAILED } else { DONE }
    }
}

fn is_wrong(result: &Result<Verification, Failure>) -> bool {
    result.as_ref().map_or(true, |found| !found.findings.is_empty())
}
