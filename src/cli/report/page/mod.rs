//! Renders the page that `--report` writes: one HTML file with its own style and script, and the
//! result as JSON, which the script shows. A policy in the page forbids every request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::cli::report::digest::causes::Cause;
use crate::cli::report::digest::databases::GroupEntry;
use crate::cli::report::digest::document::DocumentDigest;
use crate::cli::report::digest::durations::{BOUNDS, Durations};
use crate::cli::report::digest::{Digest, ScenarioLine};
use crate::cli::report::format::escape_for_terminal;
use crate::cli::report::output_file::FileKind;
use crate::cli::report::run_info::RunInfo;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The parts of the script, in order.
const SCRIPTS: [&str; 4] = [
    include_str!("base.js"),
    include_str!("databases.js"),
    include_str!("schema.js"),
    include_str!("page.js"),
];

/// Names of databases are left out beyond this size of a page in bytes.
const MAX_SIZE: usize = 1_900_000;

/// What the script shows.
#[derive(Serialize)]
struct PageData<'r, F> {
    run: &'r RunInfo<'r>,
    verdict: &'r str,
    target: Option<String>,
    notices: &'r [String],
    groups: Vec<GroupEntry<'r>>,
    causes: &'r [Cause],
    bounds: [f64; BOUNDS.len()],
    durations: &'r Durations,
    findings: F,
    findings_left_out: usize,
    /// Whether the steps ran; else they are pending.
    have_run: bool,
    document: &'r DocumentDigest,
    scenarios: &'r [ScenarioLine],
    gaps: &'r [String],
}

/// Renders the whole page.
pub(crate) fn render(run: &RunInfo<'_>, digest: &Digest) -> String {
    // A function of its own, since browsers have global names such as `top`.
    let script = format!("(() => {{\n{}}})();\n", SCRIPTS.concat());
    let without_names = data(run, digest, 0);
    let fixed_size = TEMPLATE.len() + STYLE.len() + script.len() + without_names.len();
    let data = data(run, digest, MAX_SIZE.saturating_sub(fixed_size));
    let title = format!("tatmig {}", run.command);
    let verdict = escape_for_terminal(&digest.verdict);
    let policy = policy(&script);
    let mut page = FileKind::Report.beginning().to_owned();
    let mut parts = TEMPLATE.split("{{");
    page.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, text) = part.split_once("}}").unwrap_or((part, ""));
        match name {
            "policy" => page.push_str(&policy),
            "title" => page.push_str(&escape_html(&title)),
            "verdict" => page.push_str(&escape_html(&verdict)),
            "style" => page.push_str(STYLE),
            "data" => page.push_str(&data),
            _ => page.push_str(&script),
        }
        page.push_str(text);
    }
    page
}

/// Only this style and this script run, and nothing is requested.
fn policy(script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(script)
    )
}

/// The result as JSON that can be inside an HTML element. The names take at most `name_budget`
/// bytes.
fn data(run: &RunInfo<'_>, digest: &Digest, name_budget: usize) -> String {
    let data = PageData {
        run,
        verdict: &digest.verdict,
        target: digest.target.as_ref().map(ToString::to_string),
        notices: &digest.notices,
        groups: digest.databases.entries(name_budget),
        causes: &digest.causes.list,
        bounds: BOUNDS,
        durations: &digest.durations,
        findings: digest.findings.listed(),
        findings_left_out: digest.findings.left_out(),
        have_run: digest.steps.have_run,
        document: &digest.document,
        scenarios: &digest.scenarios,
        gaps: &digest.gaps,
    };
    // Only an error of a `Serialize` implementation can occur, and the derived ones have none.
    let json = serde_json::to_string(&data).unwrap_or_default();
    json.replace('<', r"\u003c").replace('\u{2028}', r"\u2028").replace('\u{2029}', r"\u2029")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
