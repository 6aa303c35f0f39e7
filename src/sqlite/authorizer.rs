//! Installs an SQLite authorizer that is enabled while a block's statements are prepared and run.
//! It denies statements that would end the transaction, open another file, or access tatmig's own
//! tables, another database or temporary objects of the application. In the replay it also records
//! what a statement changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use crate::schema::changes::SchemaChange;
use crate::schema::statement_effects::StatementEffects;
use crate::schema::{is_sqlite_name, is_tatmig_name};
use crate::sql::pragmas::is_reading_pragma;
use crate::sqlite::query_guard::query_denial;
use crate::sqlite::temporary::TemporaryObjects;

/// PRAGMAs that a block may use besides those that only read: their effect ends with the transaction
/// or belongs to the application. FTS5 and RTREE themselves use `data_version` and `page_size`.
const ALLOWED_PRAGMAS: &[&str] = &[
    "application_id",
    "data_version",
    "defer_foreign_keys",
    "foreign_keys",
    "legacy_alter_table",
    "optimize",
    "page_size",
    "user_version",
];

/// What an enabled authorizer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthorizerMode {
    /// What a block may do.
    Block,
    /// Reading alone.
    Query,
}

#[derive(Debug, Default)]
struct AuthorizerState {
    /// `None` while the authorizer is disabled.
    mode: Option<AuthorizerMode>,
    /// Why the first denied action was denied.
    denial: Option<String>,
    /// The temporary objects of the application, in lower case.
    temporary_objects: BTreeSet<String>,
    /// What the statement changes; `None` on a connection that does not track effects.
    effects: Option<StatementEffects>,
}

/// The authorizer of one connection. Clones share the state with the callback in the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatementAuthorizer(Arc<Mutex<AuthorizerState>>);

impl StatementAuthorizer {
    /// Installs the authorizer on a connection, disabled. An existing authorizer is replaced.
    pub(crate) fn install(connection: &mut Connection) -> rusqlite::Result<Self> {
        let authorizer = Self::default();
        let state = authorizer.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let mut state = state.lock_state();
            let Some(mode) = state.mode else { return Authorization::Allow };
            if let Some(effects) = &mut state.effects {
                add_action(effects, &context);
            }
            let reason = match mode {
                AuthorizerMode::Block => denial_reason(&context)
                    .or_else(|| foreign_object_reason(&context, &state.temporary_objects)),
                AuthorizerMode::Query => query_denial(&context),
            };
            match reason {
                None => Authorization::Allow,
                Some(reason) => {
                    state.denial.get_or_insert(reason);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(authorizer)
    }

    /// Denies the use of the application's temporary objects. Blocks may use those that they create.
    pub(crate) fn protect(&self, temporary_objects: &TemporaryObjects) {
        self.lock_state().temporary_objects =
            temporary_objects.iter().map(|object| object.name.to_ascii_lowercase()).collect();
    }

    fn lock_state(&self) -> MutexGuard<'_, AuthorizerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enables the authorizer and forgets the last denial. Effects are tracked further if
    /// [`enable_and_track_effects`](Self::enable_and_track_effects) was called before.
    pub(crate) fn enable(&self) {
        self.enable_mode(AuthorizerMode::Block);
    }

    /// Enables the authorizer in a mode, as [`enable`](Self::enable) does.
    pub(crate) fn enable_mode(&self, mode: AuthorizerMode) {
        let mut state = self.lock_state();
        state.mode = Some(mode);
        state.denial = None;
    }

    /// Enables the authorizer, and tracks what the next statement changes, without the effects of
    /// earlier statements.
    pub(crate) fn enable_and_track_effects(&self) {
        self.enable();
        self.lock_state().effects = Some(StatementEffects::default());
    }

    /// Allows everything, for tatmig's own statements.
    pub(crate) fn disable(&self) {
        self.lock_state().mode = None;
    }

    /// Why a statement was denied since the authorizer was enabled.
    pub(crate) fn take_denial(&self) -> Option<String> {
        self.lock_state().denial.take()
    }

    /// What was changed since the last call of
    /// [`enable_and_track_effects`](Self::enable_and_track_effects).
    pub(crate) fn effects(&self) -> StatementEffects {
        self.lock_state().effects.clone().unwrap_or_default()
    }
}

/// Adds what one callback reports.
fn add_action(statement: &mut StatementEffects, context: &AuthContext<'_>) {
    use AuthAction as A;
    let set_additive = |effects: &mut StatementEffects| {
        effects.schema_change = effects.schema_change.max(SchemaChange::Additive);
    };
    if let Some(name) = context.accessor
        && !statement.used_objects.contains(name)
    {
        statement.used_objects.insert(name.to_owned());
    }
    match context.action {
        A::CreateTable { table_name } | A::CreateVtable { table_name, .. } => {
            set_additive(statement);
            statement.filled_tables.insert(table_name.to_ascii_lowercase());
        }
        A::CreateIndex { index_name: name, .. }
        | A::CreateTrigger { trigger_name: name, .. }
        | A::CreateView { view_name: name } => {
            set_additive(statement);
            statement.created_objects.insert(name.to_ascii_lowercase());
        }
        A::CreateTempTable { table_name } => {
            statement.has_temporary_objects = true;
            statement.filled_tables.insert(table_name.to_ascii_lowercase());
        }
        A::CreateTempIndex { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. }
        | A::DropTempTable { .. }
        | A::DropTempView { .. } => statement.has_temporary_objects = true,
        A::DropIndex { index_name: name, .. } | A::DropTrigger { trigger_name: name, .. } => {
            statement.schema_change = SchemaChange::Any;
            statement.dropped_objects.insert(name.to_ascii_lowercase());
        }
        A::DropTable { table_name } => {
            statement.schema_change = SchemaChange::Any;
            statement.modified_tables.insert(table_name.to_ascii_lowercase());
            statement.dropped_table = Some(table_name.to_ascii_lowercase());
        }
        A::DropView { .. } | A::DropVtable { .. } => statement.schema_change = SchemaChange::Any,
        A::AlterTable { table_name, .. } => {
            statement.schema_change = SchemaChange::Any;
            statement.altered_table = Some(table_name.to_owned());
        }
        // SQLite calls this internal function for `RENAME TO`, and for no other `ALTER TABLE`.
        A::Function { function_name: "sqlite_rename_table" } => {
            statement.renames_table = true;
        }
        A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. }
            if !is_sqlite_name(table_name) =>
        {
            add_row_change(statement, &context.action, table_name.to_ascii_lowercase());
        }
        A::Read { table_name, column_name }
            if !column_name.is_empty() && !is_sqlite_name(table_name) =>
        {
            let column = column_name.to_ascii_lowercase();
            statement.read_columns.insert((table_name.to_ascii_lowercase(), column));
        }
        A::Pragma { .. } => statement.has_pragma = true,
        _ => {}
    }
}

/// Adds an INSERT, UPDATE or DELETE of a table, given in lower case.
fn add_row_change(statement: &mut StatementEffects, action: &AuthAction<'_>, table: String) {
    match action {
        AuthAction::Insert { .. } => {
            statement.filled_tables.insert(table.clone());
        }
        AuthAction::Update { column_name, .. } => {
            statement.updated_columns.insert((table.clone(), column_name.to_ascii_lowercase()));
        }
        _ => {}
    }
    statement.modified_tables.insert(table);
}

/// Why an action is denied inside a block; `None` if it is allowed.
fn denial_reason(context: &AuthContext<'_>) -> Option<String> {
    use AuthAction as A;
    let transaction_denial = |keyword: &str| {
        Some(format!(
            "{keyword} is not allowed inside a block: tatmig runs all pending migrations of a database in one transaction"
        ))
    };
    match context.action {
        A::Transaction { operation } => transaction_denial(match operation {
            TransactionOperation::Begin => "`BEGIN`",
            TransactionOperation::Rollback => "`ROLLBACK`",
            _ => "`COMMIT`",
        }),
        A::Savepoint { operation, .. } => transaction_denial(match operation {
            TransactionOperation::Release => "`RELEASE`",
            TransactionOperation::Rollback => "`ROLLBACK TO`",
            _ => "`SAVEPOINT`",
        }),
        A::Attach { .. } => Some(
            "`ATTACH` is not allowed inside a block: a migration changes one database".to_owned(),
        ),
        A::Detach { .. } => Some(
            "`DETACH` is not allowed inside a block: a migration changes one database".to_owned(),
        ),
        A::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Some("`load_extension` is not allowed inside a block".to_owned())
        }
        A::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            let is_allowed =
                ALLOWED_PRAGMAS.contains(&name.as_str()) || is_reading_pragma(&name, pragma_value);
            (!is_allowed).then(|| {
                format!("`PRAGMA {name}` is not allowed inside a block: it outlasts the transaction or has no effect inside one")
            })
        }
        // `ANALYZE` without a name reads every table, including tatmig's.
        A::Analyze { .. } => None,
        action => {
            object_names(&action).into_iter().flatten().find(|name| is_tatmig_name(name)).map(
                |name| format!("`{name}` belongs to tatmig: a block must not read or change it"),
            )
        }
    }
}

/// Why an action is denied inside a block because it is about another database than `main`, or
/// about one of the application's temporary objects; `None` if it is allowed.
fn foreign_object_reason(
    context: &AuthContext<'_>,
    temporary_objects: &BTreeSet<String>,
) -> Option<String> {
    use AuthAction as A;
    let database = match context.action {
        A::AlterTable { database_name, .. } => Some(database_name),
        _ => context.database_name,
    };
    let database = database.filter(|name| !name.eq_ignore_ascii_case("main"))?;
    if !database.eq_ignore_ascii_case("temp") {
        return Some(format!(
            "`{database}` is another database: a block must use only the database that it migrates"
        ));
    }
    let mut names = object_names(&context.action)?.into_iter();
    let name = names.find(|name| temporary_objects.contains(&name.to_ascii_lowercase()))?;
    Some(format!(
        "`{name}` is a temporary object of the application: a block must not read or change it"
    ))
}

/// The tables and objects that an action names: up to two, the second one empty if the action has
/// only one. `None` if the action names none.
fn object_names<'c>(action: &AuthAction<'c>) -> Option<[&'c str; 2]> {
    use AuthAction as A;
    Some(match *action {
        A::CreateIndex { index_name, table_name }
        | A::CreateTempIndex { index_name, table_name }
        | A::DropIndex { index_name, table_name }
        | A::DropTempIndex { index_name, table_name } => [index_name, table_name],
        A::CreateTrigger { trigger_name, table_name }
        | A::CreateTempTrigger { trigger_name, table_name }
        | A::DropTrigger { trigger_name, table_name }
        | A::DropTempTrigger { trigger_name, table_name } => [trigger_name, table_name],
        A::CreateView { view_name }
        | A::CreateTempView { view_name }
        | A::DropView { view_name }
        | A::DropTempView { view_name } => [view_name, ""],
        A::CreateTable { table_name }
        | A::CreateTempTable { table_name }
        | A::DropTable { table_name }
        | A::DropTempTable { table_name }
        | A::CreateVtable { table_name, .. }
        | A::DropVtable { table_name, .. }
        | A::AlterTable { table_name, .. }
        | A::Insert { table_name }
        | A::Delete { table_name }
        | A::Update { table_name, .. }
        | A::Read { table_name, .. } => [table_name, ""],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_reaches_only_main_and_temporary_objects_of_blocks() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x); CREATE TEMP TABLE scratch (x); CREATE TEMP TABLE own (x);
                 ATTACH ':memory:' AS other; CREATE TABLE other.logs (x)",
            )
            .unwrap();
        let application = TemporaryObjects::read(&connection).unwrap();
        connection.execute_batch("CREATE TEMP TABLE made (x)").unwrap();
        let authorizer = StatementAuthorizer::install(&mut connection).unwrap();
        authorizer.protect(&application);
        let denial = |sql: &str| {
            authorizer.enable();
            let result = connection.execute_batch(sql);
            authorizer.disable();
            let denial = authorizer.take_denial();
            assert_eq!(result.is_err(), denial.is_some(), "{sql}");
            denial.unwrap_or_default()
        };
        for sql in [
            "INSERT INTO t VALUES (1)",
            "INSERT INTO made SELECT x FROM main.t",
            "ALTER TABLE temp.made RENAME TO moved; DROP TABLE moved",
            "CREATE TEMP VIEW v AS SELECT x FROM t; DROP VIEW v",
        ] {
            assert_eq!(denial(sql), "");
        }
        for sql in [
            "DROP TABLE logs",
            "INSERT INTO other.logs VALUES (1)",
            "ALTER TABLE other.logs ADD COLUMN y",
            "CREATE TABLE other.more (x)",
            "CREATE INDEX other.i ON logs (x)",
            "PRAGMA other.user_version = 4",
        ] {
            assert!(denial(sql).starts_with("`other` is another database"), "{sql}");
        }
        for sql in [
            "DELETE FROM scratch",
            "DROP TABLE scratch",
            "ALTER TABLE scratch RENAME TO taken",
            "CREATE INDEX temp.i ON scratch (x)",
            "INSERT INTO t SELECT x FROM scratch",
        ] {
            assert!(denial(sql).starts_with("`scratch` is a temporary object"), "{sql}");
        }
    }
}
