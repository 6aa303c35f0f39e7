//! The two ends of a carried database's way, a file and a namespace: each with one transaction open,
//! each giving and taking values as the bytes that they are.

use rusqlite::types::{Value as Own, ValueRef};
use rusqlite::{Connection, params_from_iter};
use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::libsql::error::is_taken;
use crate::libsql::namespace::Namespace;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{After, Condition, Results, Send, Step, Value};
use crate::sqld::server::Kind;

/// A value as its bytes are, whatever they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// Mostly UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

pub(crate) type Cells = Vec<Cell>;

impl Cell {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    pub(crate) fn integer(&self) -> i64 {
        if let Self::Integer(number) = self { *number } else { 0 }
    }

    pub(crate) fn size(&self) -> usize {
        8 + match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        }
    }

    pub(crate) fn digest(&self, hash: &mut Sha256) {
        let mut put = |tag: u8, bytes: &[u8]| {
            hash.update([tag]);
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        match self {
            Self::Null => put(0, &[]),
            Self::Integer(number) => put(1, &number.to_le_bytes()),
            Self::Real(number) => put(2, &number.to_bits().to_le_bytes()),
            Self::Text(bytes) => put(3, bytes),
            Self::Blob(bytes) => put(4, bytes),
        }
    }
}

/// One end of the way. All of its statements are in one transaction.
pub(crate) trait End {
    /// How an expression is selected so that [`End::rows`] gives it back as it is.
    fn selected(&self, expression: &str) -> String;

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError>;

    /// Runs statements in their order.
    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError>;
}

impl End for &Connection {
    fn selected(&self, expression: &str) -> String {
        expression.to_owned()
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError> {
        let mut statement = self.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|at| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    ValueRef::Text(bytes) => Cell::Text(bytes.to_vec()),
                    ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
                })
            });
            found.push(cells.collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }

    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError> {
        for (sql, cells) in statements {
            let values = cells.into_iter().map(|cell| match cell {
                Cell::Null => Own::Null,
                Cell::Integer(number) => Own::Integer(number),
                Cell::Real(number) => Own::Real(number),
                Cell::Blob(bytes) => Own::Blob(bytes),
                // Bound as bytes and cast back where they are no UTF-8.
                Cell::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Own::Blob(error.into_bytes()), Own::Text),
            });
            let mut statement = self.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

/// A stream to a namespace with a transaction open in it.
pub(crate) struct Stream<'n> {
    namespace: &'n Namespace,
    baton: Option<String>,
    kind: Kind,
}

impl<'n> Stream<'n> {
    pub(crate) fn begin(namespace: &'n Namespace, kind: Kind) -> Result<Self, DatabaseError> {
        let does = |sql: &str| Step::does(sql, Vec::new());
        let steps = match kind {
            // The server takes the pragma for a write, and a copy may be closed to writes.
            Kind::Reads => vec![does("BEGIN")],
            Kind::Writes => vec![
                does("PRAGMA foreign_keys = OFF"),
                does("BEGIN IMMEDIATE").when(Condition::Ok { step: 0 }),
            ],
        };
        let mut stream = Self { namespace, baton: None, kind };
        stream.send(&steps, After::Keep)?;
        Ok(stream)
    }

    fn send(&mut self, steps: &[Step], after: After) -> Result<Results, DatabaseError> {
        let batch = Send { steps, baton: self.baton.as_deref(), after, kind: self.kind };
        let Namespace { host, name, patience, .. } = self.namespace;
        let results = host.server.batch(name, batch, &patience.stop)?;
        self.baton.clone_from(&results.baton);
        if let Some(error) = results.steps.iter().find_map(|step| step.as_ref().err()) {
            if is_taken(error) {
                return Err(DatabaseError::LockTaken);
            }
            return Err(ServerError::from(error.clone()).into());
        }
        if steps.len() > 1 || after == After::Close {
            results.need(steps.len() - 1).map_err(|_| DatabaseError::LockTaken)?;
        }
        Ok(results)
    }

    /// Ends the transaction. An error after COMMIT was sent leaves it unknown what came of it.
    pub(crate) fn end(mut self, how: &'static str) -> Result<(), DatabaseError> {
        let open = Condition::IsAutocommit.negated();
        let steps = vec![Step::does(how, Vec::new()).when(open)];
        match self.send(&steps, After::Close) {
            Err(DatabaseError::Server(lost @ ServerError::Lost { .. })) if how == "COMMIT" => {
                let after = "what is there has to be compared; run it again".to_owned();
                Err(DatabaseError::Unknown { lost, after })
            }
            result => result.map(drop),
        }
    }
}

impl End for Stream<'_> {
    /// JSON has neither infinities nor texts that are no UTF-8.
    fn selected(&self, e: &str) -> String {
        format!(
            "CASE typeof({e}) WHEN 'text' THEN 't' || hex({e}) \
             WHEN 'real' THEN CASE WHEN {e} = 9e999 THEN '+' WHEN {e} = -9e999 THEN '-' ELSE {e} END \
             ELSE {e} END"
        )
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Cells>, DatabaseError> {
        let steps = vec![Step::asks(sql, Vec::new()).when(Condition::IsAutocommit.negated())];
        let results = self.send(&steps, After::Keep)?;
        let rows = results.rows(0).ok_or(DatabaseError::LockTaken)?;
        let cell = |value: &Value| match value {
            Value::Null => Cell::Null,
            Value::Integer(number) => Cell::Integer(*number),
            Value::Real(number) => Cell::Real(*number),
            Value::Blob(bytes) => Cell::Blob(bytes.clone()),
            Value::Text(text) => match text.as_bytes() {
                b"+" => Cell::Real(f64::INFINITY),
                b"-" => Cell::Real(f64::NEG_INFINITY),
                coded => Cell::Text(unhex(coded.get(1..).unwrap_or_default())),
            },
        };
        Ok(rows.iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    fn run(&mut self, statements: Vec<(String, Cells)>) -> Result<(), DatabaseError> {
        let mut steps = Vec::new();
        for (sql, cells) in statements {
            let values = cells.into_iter().map(|cell| match cell {
                Cell::Null => Value::Null,
                Cell::Integer(number) => Value::Integer(number),
                Cell::Real(number) => Value::Real(number),
                Cell::Blob(bytes) => Value::Blob(bytes),
                Cell::Text(bytes) => String::from_utf8(bytes)
                    .map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text),
            });
            let mut conds = vec![Condition::IsAutocommit.negated()];
            conds.extend(steps.len().checked_sub(1).map(|step| Condition::Ok { step }));
            steps.push(Step::does(sql, values.collect()).when(Condition::And { conds }));
        }
        if steps.is_empty() {
            return Ok(());
        }
        let results = self.send(&steps, After::Keep)?;
        results.need(steps.len() - 1).map_err(|_| DatabaseError::LockTaken)?;
        Ok(())
    }
}

fn unhex(coded: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap_or(0);
    coded.chunks_exact(2).map(byte).collect()
}
