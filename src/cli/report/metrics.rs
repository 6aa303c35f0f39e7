//! Renders a run as metrics in the text format of Prometheus, for the textfile collector of
//! `node_exporter`. No label has the name of a user, so that the number of series stays small.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::report::digest::Digest;
use crate::cli::report::digest::durations::{BOUNDS, Durations};
use crate::cli::report::output_file::FileKind;
use crate::cli::report::run_info::RunInfo;

/// How many versions of a state have series of their own.
const MAX_VERSIONS: usize = 50;

/// A metric and its samples.
struct Metric<'r> {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: Vec<Sample<'r>>,
}

struct Sample<'r> {
    suffix: &'static str,
    labels: Vec<Label<'r>>,
    value: f64,
}

struct Label<'r> {
    name: &'static str,
    value: std::borrow::Cow<'r, str>,
}

/// Renders all metrics of a run.
pub(crate) fn render(run: &RunInfo<'_>, digest: &Digest) -> String {
    let mut out = FileKind::Metrics.beginning().to_owned();
    for metric in run_metrics(run).into_iter().chain(result_metrics(run, digest)) {
        metric.write(&mut out);
    }
    out
}

fn run_metrics<'r>(run: &'r RunInfo<'_>) -> Vec<Metric<'r>> {
    let command = || label("command", run.command);
    let one = |labels, value| vec![Sample { suffix: "", labels, value }];
    let gauge = |name, help, samples| Metric { name, kind: "gauge", help, samples };
    let mut metrics = vec![
        gauge(
            "tatmig_build_info",
            "The versions of tatmig and of SQLite; the value is 1.",
            one(vec![command(), label("version", run.version), label("sqlite", run.sqlite)], 1.0),
        ),
        gauge(
            "tatmig_exit_status",
            "The exit status of the last run; 0 is success.",
            one(vec![command()], f64::from(run.exit_status)),
        ),
        gauge(
            "tatmig_last_run_timestamp_seconds",
            "When the last run ended, in seconds since 1970.",
            one(vec![command()], (run.end.as_duration().as_secs_f64() * 1e3).round() / 1e3),
        ),
        gauge(
            "tatmig_run_duration_seconds",
            "How long the last run took.",
            one(vec![command()], run.seconds),
        ),
    ];
    if let Some(head) = &run.head {
        metrics.push(gauge(
            "tatmig_head_info",
            "The last released version of the document; the value is 1.",
            one(vec![command(), label("file", run.file), label("version", head)], 1.0),
        ));
    }
    metrics
}

fn result_metrics<'r>(run: &'r RunInfo<'_>, digest: &'r Digest) -> Vec<Metric<'r>> {
    let command = || label("command", run.command);
    let mut metrics = Vec::new();
    if digest.databases.total() > 0 {
        metrics.push(database_metric(run, digest));
    }
    if !digest.causes.list.is_empty() {
        let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
        for cause in &digest.causes.list {
            *failures.entry(cause.rule.unwrap_or("none")).or_default() += cause.count;
        }
        let samples = failures.into_iter().map(|(rule, count)| Sample {
            suffix: "",
            labels: vec![command(), label("rule", rule)],
            value: to_f64(count),
        });
        metrics.push(Metric {
            name: "tatmig_failures",
            kind: "gauge",
            help: "Databases with a failure or a finding, by the rule that they broke.",
            samples: samples.collect(),
        });
    }
    let samples = digest.findings.counts().into_iter().map(|found| Sample {
        suffix: "",
        labels: vec![command(), label("severity", found.severity)],
        value: to_f64(found.count),
    });
    metrics.push(Metric {
        name: "tatmig_document_problems",
        kind: "gauge",
        help: "Problems of the document that the last run reported.",
        samples: samples.collect(),
    });
    if digest.durations.count() > 0 {
        metrics.push(Metric {
            name: "tatmig_database_duration_seconds",
            kind: "histogram",
            help: "How long the databases took, from the lock to the commit.",
            samples: histogram_samples(run.command, &digest.durations),
        });
    }
    metrics
}

/// The databases by scope, state and version.
fn database_metric<'r>(run: &'r RunInfo<'_>, digest: &'r Digest) -> Metric<'r> {
    let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for group in digest.databases.iter() {
        let version = group.key.version.as_deref().unwrap_or_default();
        *versions.entry(version).or_default() += group.count;
    }
    let mut common: Vec<&str> = versions.keys().copied().collect();
    common.sort_by_key(|version| std::cmp::Reverse(versions[version]));
    common.truncate(MAX_VERSIONS);
    for group in digest.databases.iter() {
        let version = group.key.version.as_deref().unwrap_or_default();
        let version = if common.contains(&version) { version } else { "other" };
        *counts.entry((group.key.scope.name(), group.key.state.name(), version)).or_default() +=
            group.count;
    }
    let samples = counts.into_iter().map(|((scope, state, version), count)| Sample {
        suffix: "",
        labels: vec![
            label("command", run.command),
            label("scope", scope),
            label("state", state),
            label("version", version),
        ],
        value: to_f64(count),
    });
    Metric {
        name: "tatmig_databases",
        kind: "gauge",
        help: "Databases of the last run by state (or outcome) and version; the version is empty if it is unknown.",
        samples: samples.collect(),
    }
}

fn histogram_samples<'r>(command: &'r str, durations: &Durations) -> Vec<Sample<'r>> {
    let mut total = 0;
    let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    let buckets = bounds.zip(durations.counts).map(|(bound, count)| {
        total += count;
        let bound = Label { name: "le", value: bound.into() };
        let labels = vec![label("command", command), bound];
        Sample { suffix: "_bucket", labels, value: to_f64(total) }
    });
    let mut samples: Vec<Sample<'_>> = buckets.collect();
    let plain = |suffix, value| Sample { suffix, labels: vec![label("command", command)], value };
    samples.push(plain("_sum", durations.sum));
    samples.push(plain("_count", to_f64(durations.count())));
    samples
}

impl Metric<'_> {
    fn write(&self, out: &mut String) {
        let Self { name, kind, help, samples } = self;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { suffix, labels, value } in samples {
            let labels = labels
                .iter()
                .map(|label| format!("{}=\"{}\"", label.name, escape_label(&label.value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            let _ = writeln!(out, "{name}{suffix}{{{labels}}} {value}");
        }
    }
}

fn label<'r>(name: &'static str, value: &'r str) -> Label<'r> {
    Label { name, value: value.into() }
}

/// Escapes what the format gives a meaning to.
fn escape_label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Counts are far below the largest integer that a float holds exactly.
fn to_f64(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::from(u32::MAX), f64::from)
}
