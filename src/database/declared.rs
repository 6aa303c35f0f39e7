//! Registers the functions and collations that an application declares. SQL that names them
//! compiles; a statement that needs a result of theirs fails.
//!
//! A function can return an error. The callback of a collation cannot, so it records that it was
//! called: [`without_comparisons`] turns the record into an error of the statement, and a commit
//! hook rolls back a transaction with a comparison that was not checked.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering as MemoryOrdering};
use std::sync::{Arc, OnceLock};

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, ffi};

use crate::document::extensions::{DeclaredFunction, Extensions};

/// How many bytes the name of a function may have in SQLite.
const MAX_NAME_LENGTH: usize = 255;

/// How many arguments a function may have in SQLite.
const MAX_ARGUMENT_COUNT: i32 = 127;

/// What ends the messages about a declared function.
const FUNCTION_SUFFIX: &str = "is a function of the application; tatmig cannot execute it";

/// What ends the messages about a declared collation.
const COLLATION_SUFFIX: &str = "is a collation of the application; tatmig cannot compare with it";

/// A comparison with a declared collation.
struct Comparison {
    collation: String,
    /// The flag of the connection that its commit hook reads.
    is_tainted: Arc<AtomicBool>,
    /// The flag before the comparison.
    was_tainted: bool,
}

/// Whether a connection of this process has a declared collation. Without one, statements run as if
/// this module did not exist.
static EXISTS: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The first comparison of the statement that runs in this thread. SQLite calls a collation in
    /// the thread that steps the statement.
    static COMPARISON: RefCell<Option<Comparison>> = const { RefCell::new(None) };
}

/// Registers the declared functions and collations on a connection.
///
/// # Errors
///
/// A name that SQLite does not accept, or that SQLite has itself.
pub(crate) fn register(
    connection: &mut Connection,
    extensions: &Extensions,
) -> rusqlite::Result<()> {
    for function in extensions.functions() {
        register_function(connection, function)?;
    }
    if extensions.collations().is_empty() {
        return Ok(());
    }
    let is_tainted = Arc::new(AtomicBool::new(false));
    for name in extensions.collations() {
        let is_builtin =
            ["BINARY", "NOCASE", "RTRIM"].iter().any(|own| own.eq_ignore_ascii_case(name));
        if is_builtin || !is_valid_name(name) {
            return Err(error(format!(
                "the collation `{name}` cannot be declared: {}",
                if is_builtin { "SQLite has it" } else { "this is not a name" }
            )));
        }
        register_collation(connection, name, &is_tainted)?;
    }
    // A rollback hook cannot reset the flag: SQLite calls it when it closes a connection inside a
    // transaction, and rusqlite has freed the closure then.
    connection.commit_hook(Some(move || is_tainted.swap(false, MemoryOrdering::Relaxed)))
}

fn register_function(connection: &Connection, function: &DeclaredFunction) -> rusqlite::Result<()> {
    let DeclaredFunction { name, argument_count } = function;
    let problem = if !is_valid_name(name) {
        Some("this is not a name".to_owned())
    } else if !(-1..=MAX_ARGUMENT_COUNT).contains(argument_count) {
        Some(format!("a function has at most {MAX_ARGUMENT_COUNT} arguments"))
    } else if is_own_function(connection, name)? {
        Some("SQLite has it, and tatmig executes it as SQLite does".to_owned())
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(error(format!("the function `{name}` cannot be declared: {problem}")));
    }
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let message = format!("`{name}` {FUNCTION_SUFFIX}");
    connection.create_scalar_function(name.as_str(), *argument_count, flags, move |_| {
        Err::<i64, _>(error(message.clone()))
    })
}

/// Whether SQLite itself has a function of a name.
fn is_own_function(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    /// The names of SQLite's functions in lower case, read from the first connection.
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();

    let names = match NAMES.get() {
        Some(names) => names,
        None => {
            let query = "SELECT lower(name) FROM pragma_function_list WHERE builtin";
            let mut statement = connection.prepare(query)?;
            let names = statement.query_map([], |row| row.get(0))?;
            let names = names.collect::<rusqlite::Result<_>>()?;
            NAMES.get_or_init(|| names)
        }
    };
    Ok(names.contains(&name.to_ascii_lowercase()))
}

fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_LENGTH && !name.contains('\0')
}

/// Registers a collation for as long as one statement needs it.
pub(crate) fn register_substitute(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    register_collation(connection, name, &Arc::default())
}

fn register_collation(
    connection: &Connection,
    name: &str,
    is_tainted: &Arc<AtomicBool>,
) -> rusqlite::Result<()> {
    EXISTS.store(true, MemoryOrdering::Relaxed);
    let (collation, is_tainted) = (name.to_owned(), is_tainted.clone());
    connection.create_collation(name, move |left: &str, right: &str| {
        let order = left.cmp(right);
        // Two equal texts are equal in every collation. U+FFFD may replace bytes that are not UTF-8.
        if order != Ordering::Equal || left.contains('\u{fffd}') {
            let was_tainted = is_tainted.swap(true, MemoryOrdering::Relaxed);
            COMPARISON.with_borrow_mut(|comparison| {
                comparison.get_or_insert_with(|| Comparison {
                    collation: collation.clone(),
                    is_tainted: is_tainted.clone(),
                    was_tainted,
                });
            });
        }
        order
    })
}

/// Runs a statement, and fails if it compared with a declared collation, whatever its result is:
/// the order that the callback returned is not that of the application. The caller rolls back what
/// the statement wrote.
pub(crate) fn without_comparisons<T>(
    run: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if !EXISTS.load(MemoryOrdering::Relaxed) {
        return run();
    }
    COMPARISON.take();
    let result = run();
    let Some(comparison) = COMPARISON.take() else { return result };
    let Comparison { collation, is_tainted, was_tainted } = comparison;
    is_tainted.store(was_tainted, MemoryOrdering::Relaxed);
    match result {
        Err(interrupt) if is_interrupt(&interrupt) => Err(interrupt),
        _ => Err(error(format!("`{collation}` {COLLATION_SUFFIX}"))),
    }
}

/// Runs a statement like [`without_comparisons`], inside a transaction, and undoes a statement that
/// compared.
pub(crate) fn undoing_comparisons<T>(
    connection: &Connection,
    run: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if !EXISTS.load(MemoryOrdering::Relaxed) {
        return run();
    }
    connection.execute_batch("SAVEPOINT comparison")?;
    let result = without_comparisons(run);
    let is_declared = result.as_ref().err().is_some_and(|error| is_declared(&error.to_string()));
    let end = if is_declared {
        "ROLLBACK TO comparison; RELEASE comparison"
    } else {
        "RELEASE comparison"
    };
    let end_result = connection.execute_batch(end);
    result.and_then(|value| end_result.map(|()| value))
}

fn is_interrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

/// The error of a commit that the commit hook refused; every other error unchanged.
pub(crate) fn explain_commit_error(commit_error: rusqlite::Error) -> rusqlite::Error {
    if commit_error.sqlite_extended_error_code() == Some(ffi::SQLITE_CONSTRAINT_COMMITHOOK) {
        error("a statement compared with a collation of the application, so everything was rolled back".to_owned())
    } else {
        commit_error
    }
}

/// An error that SQLite reports as one of the statement.
fn error(message: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(message))
}

/// What to do about a message of SQLite that names something which this SQLite does not have, or
/// which is only declared. `None` for any other message.
pub(crate) fn help(message: &str) -> Option<String> {
    let load = "load the extension that has it with `[[extension]]` in tatmig.toml";
    if let Some(section) = section_for_missing(message) {
        return Some(match section {
            MissingSection::Extension => {
                format!("tatmig's SQLite does not have it; {load}")
            }
            MissingSection::Declaration(section) => format!(
                "tatmig's SQLite does not have it; {load}, or declare it in `[{section}]` there if it belongs to the application"
            ),
        });
    }
    if message.contains("unsafe use of") {
        return Some("a trigger, view, CHECK or index may use this only if the schema is trusted: set `trusted_schema = true` in tatmig.toml if you trust the schema of every database with it; an application that embeds tatmig calls `Extensions::with_trusted_schema`".to_owned());
    }
    is_declared(message).then(|| {
        format!("{load}, write the statement without it, or let the application run the migration on its own connection (`Changelog::upgrade`)")
    })
}

/// Whether a message is about a declared function or collation that a statement needed.
pub(crate) fn is_declared(message: &str) -> bool {
    [FUNCTION_SUFFIX, COLLATION_SUFFIX].iter().any(|suffix| message.contains(suffix))
}

/// A message about something that this SQLite does not have, with the section of tatmig.toml that
/// can add it; any other message unchanged.
pub(crate) fn with_section(message: String) -> String {
    match section_for_missing(&message) {
        Some(MissingSection::Extension) => {
            format!("{message} (`[[extension]]` in tatmig.toml can load it)")
        }
        Some(MissingSection::Declaration(section)) => {
            format!(
                "{message} (`[[extension]]` in tatmig.toml can load it, `[{section}]` can declare it)"
            )
        }
        None => message,
    }
}

/// The sections of tatmig.toml that can add what a message of SQLite misses.
enum MissingSection {
    Extension,
    /// `[[extension]]`, and the section of declarations named.
    Declaration(&'static str),
}

fn section_for_missing(message: &str) -> Option<MissingSection> {
    let sections = [
        ("no such module: ", MissingSection::Extension),
        ("no such tokenizer: ", MissingSection::Extension),
        ("unknown tokenizer: ", MissingSection::Extension),
        ("no such function: ", MissingSection::Declaration("functions")),
        ("no such collation sequence: ", MissingSection::Declaration("collations")),
    ];
    sections.into_iter().find(|(start, _)| message.contains(start)).map(|(_, section)| section)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        let extensions = Extensions::new().with_function("f", -1).with_collation("C");
        register(&mut connection, &extensions).unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT COLLATE C UNIQUE)").unwrap();
        connection
    }

    #[test]
    fn a_commit_after_an_unchecked_comparison_is_a_rollback() {
        let connection = connection();
        connection.execute_batch("BEGIN; INSERT INTO t VALUES ('a')").unwrap();
        assert!(connection.execute_batch("INSERT INTO t VALUES ('b'); COMMIT").is_err());
        assert!(connection.is_autocommit());
        let count = || connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(count(), Ok(0));
        // The next transaction is not affected.
        connection.execute_batch("BEGIN; INSERT INTO t VALUES ('a'); COMMIT").unwrap();
        assert_eq!(count(), Ok(1));
    }

    #[test]
    fn a_checked_comparison_is_an_error_and_can_be_undone() {
        let connection = connection();
        connection.execute_batch("BEGIN; INSERT INTO t VALUES ('a')").unwrap();
        let insert = |text: &str| connection.execute("INSERT INTO t VALUES (?1)", [text]);
        let error = undoing_comparisons(&connection, || insert("b")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`C` is a collation of the application; tatmig cannot compare with it"
        );
        // Two equal texts are equal in every collation.
        let error = undoing_comparisons(&connection, || insert("a")).unwrap_err();
        assert!(error.to_string().contains("UNIQUE constraint failed"), "{error}");
        let select = "SELECT count(*) FROM t WHERE a = 'b'";
        let query = || connection.query_row(select, [], |row| row.get::<_, i64>(0));
        assert!(without_comparisons(query).is_err());
        connection.execute_batch("COMMIT").unwrap();
        assert_eq!(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)), Ok(1));
    }

    #[test]
    fn a_declared_function_is_an_error_of_the_statement() {
        let error = connection().query_row("SELECT f(1, 2)", [], |_| Ok(())).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::Unknown));
        assert!(is_declared(&error.to_string()), "{error}");
        assert!(help(&error.to_string()).is_some_and(|help| help.contains("`[[extension]]`")));
    }
}
