//! What `verify` tells: databases of one shape once, with their count.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tatmig::{Changelog, Failure, Member, Scope, Verification};

use crate::cli::report::{DONE, FAILED, Report, plural, some};
use crate::cli::settings::Format;

/// What databases are told together by: their scope, what is wrong with them, and the remarks.
type Shape<'r> = (Scope, Cow<'r, [String]>, &'r [String]);

impl Report {
    /// Tells what was found and returns the exit status.
    pub(crate) fn verified(
        &self,
        changelog: &Changelog<'_>,
        results: &[(&Member, &Result<Arc<Verification>, Failure>)],
    ) -> u8 {
        let wrong = results.iter().filter(|(_, result)| is_wrong(result)).count();
        if self.format == Format::Json {
            let entry = |(member, result): &(&Member, &Result<Arc<Verification>, Failure>)| {
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
            };
            let told = json!({
                "file": changelog.source().name(),
                "summary": { "total": results.len(), "wrong": wrong },
            });
            Self::json_list(told, "databases", || results.iter().map(entry));
            return if wrong > 0 { FAILED } else { DONE };
        }
        let mut shapes: BTreeMap<Shape<'_>, Vec<String>> = BTreeMap::new();
        for (member, result) in results {
            let (findings, remarks) = match result {
                Ok(found) => (Cow::from(&found.findings), &*found.remarks),
                Err(failure) => (Cow::from(vec![failure.to_string()]), &[][..]),
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
            for finding in &*findings {
                self.line(format!("  {finding}"));
            }
            for remark in remarks {
                self.line(format!("  note: {remark}"));
            }
        }
        if wrong > 0 { FAILED } else { DONE }
    }
}

fn is_wrong(result: &Result<Arc<Verification>, Failure>) -> bool {
    result.as_ref().map_or(true, |found| !found.findings.is_empty())
}
