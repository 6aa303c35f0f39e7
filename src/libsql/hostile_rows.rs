//! Tests with random rows that no row of a broken or hostile server makes tatmig panic or run for
//! ever.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::foreign_key_violations::{self, ForeignKeyViolations};
use crate::database::foreign_keys::ForeignKeySet;
use crate::database::session::{Query, Session};
use crate::database::{history, integrity, schema_reader, stats};
use crate::libsql::copy::{copy_contents, find_difference};
use crate::libsql::endpoint::TransferEndpoint;
use crate::schema::renames::Renames;
use crate::sql::value::{Row, Rows, SqlValue};
use crate::sqld::protocol::StepResults;

/// Returns the next of its results to each query, again and again.
#[derive(Clone, Debug)]
struct HostileServer {
    results: Vec<Rows>,
    next: RefCell<usize>,
}

impl HostileServer {
    fn next_rows(&self) -> Rows {
        let mut next = self.next.borrow_mut();
        *next += 1;
        self.results.get(*next % (self.results.len() + 1)).cloned().unwrap_or_default()
    }
}

impl Session for HostileServer {
    type Error = DatabaseError;

    fn query_all(
        &self,
        queries: &[Query<'_>],
    ) -> Result<Vec<Result<Rows, DatabaseError>>, DatabaseError> {
        Ok(queries.iter().map(|_| Ok(self.next_rows())).collect())
    }

    fn query(&self, _: &str, _: &[SqlValue]) -> Result<Rows, DatabaseError> {
        Ok(self.next_rows())
    }
}

impl TransferEndpoint for HostileServer {
    fn select_expression(&self, expression: &str) -> String {
        expression.to_owned()
    }

    fn query(&mut self, _: &str) -> Result<Rows, DatabaseError> {
        Ok(self.next_rows())
    }

    fn execute_all(&mut self, _: Vec<Query<'static>>) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn unexpected_rows(&self, reason: String) -> DatabaseError {
        DatabaseError::NotADatabase { reason }
    }
}

/// Values of every class, among them those that the queries of tatmig ask for.
fn value() -> impl Strategy<Value = SqlValue> {
    const TEXTS: &[&str] = &[
        "table",
        "index",
        "trigger",
        "view",
        "shadow",
        "t",
        "u",
        "T",
        "INTEGER",
        "",
        "pk",
        "c",
        "sqlite_sequence",
        "_tatmig_migrations",
        "upgrade",
        "adopt",
        "1.0.0",
        "ok",
        "CASCADE",
        "CREATE TABLE t (x)",
        "CREATE TABLE u (",
        "CREATE VIRTUAL TABLE t USING fts5 (x)",
        "CREATE INDEX t ON u (x)",
        "ATTACH 'x' AS y",
        "\u{0}",
        "\u{1b}[31m",
    ];
    prop_oneof![
        1 => Just(SqlValue::Null),
        4 => prop_oneof![Just(0), Just(1), Just(2), -1..4_i64, Just(i64::MAX), Just(i64::MIN)]
            .prop_map(SqlValue::Integer),
        1 => any::<f64>().prop_map(SqlValue::Real),
        8 => prop::sample::select(TEXTS).prop_map(SqlValue::from_text),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(SqlValue::Text),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(SqlValue::Blob),
    ]
}

fn rows() -> impl Strategy<Value = Rows> {
    (0..11_usize).prop_flat_map(|width| {
        let row = prop::collection::vec(value(), width).prop_map(Row);
        let short_row = prop::collection::vec(value(), 0..11).prop_map(Row);
        prop::collection::vec(prop_oneof![9 => row, 1 => short_row], 0..5)
    })
}

fn server() -> impl Strategy<Value = HostileServer> {
    prop::collection::vec(rows(), 0..12)
        .prop_map(|results| HostileServer { results, next: RefCell::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rows_of_a_server_make_a_read_panic(server in server()) {
        let _ = history::state(&server);
        let _ = history::entries(&server);
        let _ = history::accepted_drift(&server);
        let _ = history::stored_source(&server, "");
        let _ = integrity::check(&server);
        let _ = schema_reader::read_schema(&server);
        let _ = foreign_key_violations::check(&server);
        let tables = BTreeSet::from(["t".to_owned()]);
        if let (Ok(before), Ok(after)) = (
            ForeignKeyViolations::scan(&server, &tables),
            ForeignKeyViolations::scan(&server, &tables),
        ) {
            let _ = (after.row_count(), after.introduced_since(&before, &Renames::new()));
        }
        let schema = schema_reader::schema_from_rows(server.next_rows());
        let _ = ForeignKeySet::from_schema(&schema, &tables);
        if let (Ok(mut sum), Ok(stats)) = (stats::read(&server), stats::read(&server)) {
            sum += &stats;
            let _ = sum.rows();
        }
    }

    #[test]
    fn no_rows_of_a_server_make_a_transfer_panic_or_run_for_ever(mut server in server()) {
        let connection = Connection::open_in_memory().unwrap();
        let _ = copy_contents(&mut server, &mut &connection);
        let _ = find_difference(&mut server, &mut &connection);
        let mut same_server = server.clone();
        let _ = find_difference(&mut server, &mut same_server);
    }

    #[test]
    fn no_bytes_make_the_reader_of_responses_panic(
        body in prop::collection::vec(any::<u8>(), 0..64),
        step_count in 0..4_usize,
    ) {
        let _ = StepResults::parse(&body, step_count, "http://server");
    }

    #[test]
    fn no_json_makes_the_reader_of_responses_panic(
        results in prop::collection::vec(json(), 0..3),
        errors in prop::collection::vec(json(), 0..3),
        step_count in 0..4_usize,
    ) {
        let result = serde_json::json!({ "step_results": results, "step_errors": errors });
        let response = serde_json::json!({ "type": "ok", "response": { "result": result } });
        let body = serde_json::json!({ "baton": null, "results": [response] }).to_string();
        if let Ok(mut results) = StepResults::parse(body.as_bytes(), step_count, "http://server") {
            for step in 0..=step_count {
                let _ = (results.succeeded(step), results.step_error(step).to_string());
                let _ = results.take_rows(step);
            }
        }
    }
}

/// What may be in the place of a statement's result: rows, an error, or anything else.
fn json() -> impl Strategy<Value = serde_json::Value> {
    const PARTS: &[&str] = &[
        "null",
        "{}",
        "[]",
        "1",
        "\"x\"",
        "{\"rows\":null}",
        "{\"message\":\"m\"}",
        "{\"message\":\"m (at offset 99999999999999999999)\",\"code\":null}",
        "{\"cols\":[{}],\"rows\":[[{\"type\":\"integer\",\"value\":\"1\"}]]}",
        "{\"cols\":[{}],\"rows\":[[{\"type\":\"integer\",\"value\":1}]]}",
        "{\"cols\":[{}],\"rows\":[[{\"type\":\"float\",\"value\":null}]]}",
        "{\"cols\":[{}],\"rows\":[[{\"type\":\"blob\",\"base64\":\"*\"}]]}",
        "{\"cols\":[{},{}],\"rows\":[[]]}",
        "{\"cols\":[],\"rows\":[[{\"type\":\"null\"}]]}",
    ];
    prop::sample::select(PARTS).prop_map(|text| serde_json::from_str(text).unwrap_or_default())
}
