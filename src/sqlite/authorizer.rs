//! The guard: SQLite's authorizer, up while a block's statements are prepared and stepped. It
//! refuses whatever would leave the transaction, reach another file or touch tatmig's own record,
//! and in the replay it notes what a statement does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use crate::schema::tracker::Churn;
use crate::schema::{is_internal, is_own};

/// PRAGMAs that change nothing that outlives the transaction, or only what belongs to the
/// application; `data_version` and `page_size` are used by FTS5 and RTREE themselves.
const HARMLESS: &[&str] = &[
    "application_id",
    "data_version",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_keys",
    "legacy_alter_table",
    "optimize",
    "page_size",
    "user_version",
];

/// PRAGMAs that only tell; those that also set are refused with a value.
const TELLING: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// PRAGMAs that tell without a value and set with one.
const TELLING_WITHOUT_VALUE: &[&str] =
    &["auto_vacuum", "encoding", "journal_mode", "schema_version", "synchronous"];

/// What a statement did, as the authorizer saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) churn: Churn,
    /// The table that an `ALTER TABLE` names.
    pub(crate) altered: Option<String>,
    /// Whether an `ALTER TABLE` renames the table.
    pub(crate) renames_table: bool,
    /// The ordinary table that a `DROP TABLE` names, in lower case.
    pub(crate) dropped: Option<String>,
    /// Indexes, views and triggers that it makes, in lower case.
    pub(crate) made: BTreeSet<String>,
    /// Tables whose rows are inserted, updated or deleted, or that are dropped.
    pub(crate) written: BTreeSet<String>,
    /// Columns that are updated, each with its table, in lower case.
    pub(crate) updated: BTreeSet<(String, String)>,
    /// Indexes and triggers that are dropped, in lower case; a dropped table takes its own along.
    pub(crate) removed: BTreeSet<String>,
    pub(crate) temporary: bool,
    pub(crate) pragma: bool,
}

#[derive(Debug, Default)]
struct Watch {
    up: bool,
    refused: Option<String>,
    seen: Option<Seen>,
}

/// The guard of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard(Arc<Mutex<Watch>>);

impl Guard {
    /// Sets the guard on a connection, down. Any authorizer that was there is replaced.
    pub(crate) fn install(connection: &mut Connection) -> rusqlite::Result<Self> {
        let guard = Self::default();
        let watch = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let mut watch = watch.watch();
            if !watch.up {
                return Authorization::Allow;
            }
            if let Some(seen) = &mut watch.seen {
                seen.note(&context);
            }
            match refusal(&context) {
                None => Authorization::Allow,
                Some(reason) => {
                    watch.refused.get_or_insert(reason);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(guard)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the guard up for one statement.
    pub(crate) fn raise(&self) {
        let mut watch = self.watch();
        watch.up = true;
        watch.refused = None;
    }

    /// Puts the guard up for one statement and notes what it does.
    pub(crate) fn raise_and_note(&self) {
        self.raise();
        self.watch().seen = Some(Seen::default());
    }

    pub(crate) fn lower(&self) {
        self.watch().up = false;
    }

    /// Why a statement was refused since the guard went up.
    pub(crate) fn refused(&self) -> Option<String> {
        self.watch().refused.take()
    }

    /// What the statement did since the guard went up.
    pub(crate) fn seen(&self) -> Seen {
        self.watch().seen.clone().unwrap_or_default()
    }
}

impl Seen {
    fn note(&mut self, context: &AuthContext<'_>) {
        use AuthAction as A;
        let created = |seen: &mut Self| seen.churn = seen.churn.max(Churn::Created);
        match context.action {
            A::CreateTable { .. } | A::CreateVtable { .. } => created(self),
            A::CreateIndex { index_name: name, .. }
            | A::CreateTrigger { trigger_name: name, .. }
            | A::CreateView { view_name: name } => {
                created(self);
                self.made.insert(name.to_ascii_lowercase());
            }
            A::CreateTempTable { .. }
            | A::CreateTempIndex { .. }
            | A::CreateTempTrigger { .. }
            | A::CreateTempView { .. } => self.temporary = true,
            A::DropIndex { index_name: name, .. } | A::DropTrigger { trigger_name: name, .. } => {
                self.churn = Churn::Changed;
                self.removed.insert(name.to_ascii_lowercase());
            }
            A::DropTable { table_name } => {
                self.churn = Churn::Changed;
                self.written.insert(table_name.to_ascii_lowercase());
                self.dropped = Some(table_name.to_ascii_lowercase());
            }
            A::DropView { .. } | A::DropVtable { .. } => self.churn = Churn::Changed,
            A::AlterTable { table_name, .. } => {
                self.churn = Churn::Changed;
                self.altered = Some(table_name.to_owned());
            }
            A::Function { function_name: "sqlite_rename_table" } => {
                self.renames_table = true;
            }
            A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. }
                if !is_internal(table_name) =>
            {
                let table = table_name.to_ascii_lowercase();
                if let A::Update { column_name, .. } = context.action {
                    self.updated.insert((table.clone(), column_name.to_ascii_lowercase()));
                }
                self.written.insert(table);
            }
            A::Pragma { .. } => self.pragma = true,
            _ => {}
        }
    }
}

/// Why an action may not happen inside a block; none for what may.
fn refusal(context: &AuthContext<'_>) -> Option<String> {
    use AuthAction as A;
    let transaction = |keyword: &str| {
        Some(format!(
            "{keyword} is not allowed inside a block: tatmig runs all of a database's migrations in one transaction of its own"
        ))
    };
    match context.action {
        A::Transaction { operation } => transaction(match operation {
            TransactionOperation::Begin => "`BEGIN`",
            TransactionOperation::Rollback => "`ROLLBACK`",
            _ => "`COMMIT`",
        }),
        A::Savepoint { operation, .. } => transaction(match operation {
            TransactionOperation::Release => "`RELEASE`",
            TransactionOperation::Rollback => "`ROLLBACK TO`",
            _ => "`SAVEPOINT`",
        }),
        A::Attach { .. } => {
            Some("`ATTACH` is not allowed inside a block: a migration has one database".to_owned())
        }
        A::Detach { .. } => {
            Some("`DETACH` is not allowed inside a block: a migration has one database".to_owned())
        }
        A::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Some("`load_extension` is not allowed inside a block".to_owned())
        }
        A::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            let known = |list: &[&str]| list.contains(&name.as_str());
            let allowed = known(HARMLESS)
                || known(TELLING)
                || (pragma_value.is_none() && known(TELLING_WITHOUT_VALUE));
            (!allowed).then(|| {
                format!("`PRAGMA {name}` is not allowed inside a block: it would outlive the transaction, or do nothing in it")
            })
        }
        // `ANALYZE` without a name reads every table, tatmig's among them.
        A::Analyze { .. } => None,
        action => {
            named(&action).into_iter().flatten().find(|name| is_own(name)).map(|name| {
                format!("`{name}` is tatmig's own record: no block may read or change it")
            })
        }
    }
}

/// The tables and objects that an action names.
fn named<'c>(action: &AuthAction<'c>) -> Option<[&'c str; 2]> {
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
