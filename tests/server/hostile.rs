//! Tests that a broken or hostile server causes errors which name it: no panic, no endless loop, no
//! change of the files.

use serde_json::{Value, json};

use crate::fleet::{ServerFleet, USERS_AND_NOTES};
use crate::proxy::{Proxy, ProxyFault};
use crate::support::Fleet;

/// The lists of results of a response, one for each batch.
fn batch_results(response: &mut Value) -> impl Iterator<Item = &mut Value> {
    let results = response.get_mut("results").and_then(Value::as_array_mut);
    let results = results.into_iter().flatten();
    results.filter_map(|result| result.pointer_mut("/response/result/step_results"))
}

/// Calls `alter` with the results of each statement of a response.
fn for_each_result(response: &mut Value, alter: impl Fn(&mut Value)) {
    let steps = batch_results(response).filter_map(Value::as_array_mut).flatten();
    steps.filter(|step| step.is_object()).for_each(alter);
}

fn for_each_row(response: &mut Value, alter: impl Fn(&mut Vec<Value>)) {
    for_each_result(response, |result| {
        let rows = result.get_mut("rows").and_then(Value::as_array_mut).into_iter().flatten();
        rows.filter_map(Value::as_array_mut).for_each(&alter);
    });
}

fn drop_last_value(response: &mut Value) {
    for_each_row(response, |row| drop(row.pop()));
}

/// Like [`drop_last_value`], with a list of columns that agrees.
fn drop_last_column(response: &mut Value) {
    drop_last_value(response);
    for_each_result(response, |result| {
        result.get_mut("cols").and_then(Value::as_array_mut).map(Vec::pop);
    });
}

fn empty_rows(response: &mut Value) {
    for_each_row(response, Vec::clear);
    for_each_result(response, |result| result["cols"] = json!([]));
}

fn no_rows(response: &mut Value) {
    for_each_result(response, |result| result["rows"] = json!([]));
}

fn nulls(response: &mut Value) {
    for_each_row(response, |row| row.fill(json!({ "type": "null" })));
}

fn texts(response: &mut Value) {
    for_each_row(response, |row| row.fill(json!({ "type": "text", "value": "zz" })));
}

fn blobs(response: &mut Value) {
    for_each_row(response, |row| row.fill(json!({ "type": "blob", "base64": "/w" })));
}

fn large_integers(response: &mut Value) {
    let value = i64::MAX.to_string();
    for_each_row(response, |row| row.fill(json!({ "type": "integer", "value": value })));
}

fn negative_integers(response: &mut Value) {
    let value = i64::MIN.to_string();
    for_each_row(response, |row| row.fill(json!({ "type": "integer", "value": value })));
}

fn too_large_integers(response: &mut Value) {
    let value = "9".repeat(40);
    for_each_row(response, |row| row.fill(json!({ "type": "integer", "value": value })));
}

fn floats(response: &mut Value) {
    for_each_row(response, |row| row.fill(json!({ "type": "float", "value": 1e308 })));
}

fn rows_are_numbers(response: &mut Value) {
    for_each_result(response, |result| result["rows"] = json!([1, 2]));
}

fn no_step_results(response: &mut Value) {
    batch_results(response).for_each(|results| *results = json!([]));
}

fn no_results(response: &mut Value) {
    response["results"] = json!([]);
}

fn null_results(response: &mut Value) {
    let results = batch_results(response).filter_map(Value::as_array_mut);
    results.for_each(|results| results.fill(Value::Null));
}

fn errors_without_text(response: &mut Value) {
    for result in response["results"].as_array_mut().into_iter().flatten() {
        *result = json!({ "type": "error", "error": { "message": "" } });
    }
}

/// Every row twice, so that pages never end.
fn repeated_rows(response: &mut Value) {
    for_each_result(response, |result| {
        let rows = result.get("rows").and_then(Value::as_array);
        if let Some(first) = rows.and_then(|rows| rows.first()).cloned() {
            result["rows"] = Value::Array(vec![first; 500]);
        }
    });
}

/// Alters a response.
type Alteration = fn(&mut Value);

const ALTERATIONS: [(&str, Alteration); 18] = [
    ("drop_last_value", drop_last_value),
    ("drop_last_column", drop_last_column),
    ("empty_rows", empty_rows),
    ("no_rows", no_rows),
    ("nulls", nulls),
    ("texts", texts),
    ("blobs", blobs),
    ("large_integers", large_integers),
    ("negative_integers", negative_integers),
    ("too_large_integers", too_large_integers),
    ("floats", floats),
    ("rows_are_numbers", rows_are_numbers),
    ("no_step_results", no_step_results),
    ("no_results", no_results),
    ("null_results", null_results),
    ("errors_without_text", errors_without_text),
    ("repeated_rows", repeated_rows),
    ("results_are_text", |response| response["results"] = json!("none")),
];

const BODIES: [&str; 7] = [
    "",
    "{}",
    "null",
    "[[[[",
    "<html>404</html>",
    "{\"baton\":null,\"results\":[{\"type\":\"ok\",\"response\":{}}]}",
    "{\"baton\":1e999,\"results\":[{\"type\":\"other\"}]}",
];

fn faults() -> impl Iterator<Item = (String, ProxyFault)> {
    let altered = ALTERATIONS.map(|(name, alter)| (name.to_owned(), ProxyFault::Altered(alter)));
    let replaced = BODIES.map(|body| (format!("{body:?}"), ProxyFault::Replaced(body)));
    altered.into_iter().chain(replaced)
}

pub(crate) fn a_broken_server_causes_an_error_that_names_it() {
    let server_fleet = ServerFleet::new(&["ann"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('milk')"])
        .document(4, &[]);
    let before = server_fleet.dump("ann");
    for (name, fault) in faults() {
        let proxy = Proxy::new(server_fleet.sqld.address(), fault);
        let url = proxy.url();
        for arguments in [
            &["pull", "--user", "ann"][..],
            &["verify"],
            &["status", "--user", "ann"],
            &["upgrade", "--user", "ann"],
        ] {
            // Only the rows of tables are read in pages.
            if name == "repeated_rows" && arguments[0] != "pull" {
                continue;
            }
            let mut arguments = arguments.to_vec();
            arguments.extend(["--server", &url, "--busy-timeout", "1", "--json"]);
            let run = server_fleet.run(&arguments);
            let output = run.stdout_text() + &run.stderr_text();
            let case = format!("{name} {}: {output}", arguments[0]);
            assert!(!output.contains("panicked"), "{case}");
            assert!(run.has_status(&[1, 2]), "{case}");
            assert!(output.contains(&url), "{case}");
            assert!(!server_fleet.fleet.path("ann_longterm.db").exists(), "{case}");
        }
        assert!(proxy.has_interfered());
        assert_eq!(server_fleet.dump("ann"), before, "{name}");
    }
}

pub(crate) fn a_push_to_a_broken_server_fails_and_changes_no_file() {
    let server_fleet = ServerFleet::new(&[]);
    let files =
        Fleet::from_blocks(&USERS_AND_NOTES[..2]).system("").user("ann", "").upgrade_to("1.0.0");
    files
        .database("ann")
        .connection()
        .execute_batch("INSERT INTO notes (body) VALUES ('tea'), ('milk')")
        .unwrap();
    let files = files.env("TATMIG_ADMIN", server_fleet.sqld.admin_url());
    let before = files.snapshot();
    for (name, fault) in faults() {
        let proxy = Proxy::new(server_fleet.sqld.address(), fault);
        let url = proxy.url();
        let run = files.run(["push", "--user", "ann", "--server", &url]);
        let output = run.stdout_text() + &run.stderr_text();
        assert!(!output.contains("panicked"), "{name}: {output}");
        run.status(1);
        assert!(output.contains(&url), "{name}: {output}");
        before.assert_same(&files.snapshot());
    }
}

/// Gives an object of the schema another SQL text.
fn hostile_sql(response: &mut Value) {
    let create = format!("t{}", hex::encode_upper("CREATE TABLE tags"));
    let hostile = format!("t{}", hex::encode_upper("ATTACH 'stray.db' AS stray"));
    for_each_row(response, |row| {
        for value in row {
            if value
                .get("value")
                .and_then(Value::as_str)
                .is_some_and(|text| text.starts_with(&create))
            {
                value["value"] = Value::String(hostile.clone());
            }
        }
    });
}

pub(crate) fn the_schema_of_a_hostile_server_runs_no_other_statement() {
    let server_fleet = ServerFleet::new(&["ann"]);
    let proxy = Proxy::new(server_fleet.sqld.address(), ProxyFault::Altered(hostile_sql));
    let run = server_fleet.run(["pull", "--user", "ann", "--server", &proxy.url()]);
    run.status(1)
        .stderr_contains("the SQL of `tags` creates no object")
        .stderr_contains(&proxy.url());
    assert!(!server_fleet.fleet.path("stray.db").exists());
    assert!(!server_fleet.fleet.path("ann_longterm.db").exists());
}
