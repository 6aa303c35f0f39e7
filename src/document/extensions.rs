//! Names what an application adds to SQLite on its own connections, so that tatmig's connections
//! get the same: functions, collations and extension libraries. A value of this module changes
//! nothing by itself; `src/database/connection.rs` applies it to each connection that tatmig opens.

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;

/// Adds something to a connection that was just opened.
type ConnectionHook = dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync;

/// What an application adds to SQLite on its own connections.
///
/// A function or collation that only the application has is *declared*: SQL that names it compiles,
/// such as an index on an expression, a CHECK, a generated column or a trigger. tatmig cannot
/// execute it. A statement that needs its result fails, and the database is rolled back. What a
/// connection hook registers is executed.
///
/// ````
/// use tatmig::{Changelog, Extensions, Scope};
///
/// let document = "
/// ```sql
/// -- [user:baseline→1.0.0:start]
/// CREATE TABLE notes (title TEXT COLLATE UNICODE_CI);
/// CREATE INDEX by_slug ON notes (slug(title));
/// -- [user:baseline→1.0.0:end]
/// ```
/// ";
/// let extensions = Extensions::new().with_function("slug", 1).with_collation("UNICODE_CI");
/// let changelog = Changelog::parse(document)?.with_extensions(extensions);
/// # use tatmig::rusqlite::{Connection, functions::FunctionFlags};
/// # let mut connection = Connection::open_in_memory()?;
/// # let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
/// # connection.create_scalar_function("slug", 1, flags, |arguments| arguments.get::<String>(0))?;
/// # connection.create_collation("UNICODE_CI", |left: &str, right: &str| left.cmp(right))?;
/// // The application has registered both on its own connection.
/// changelog.upgrade(&mut connection, Scope::User)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// A copy shares the contents.
#[derive(Clone, Default)]
pub struct Extensions(Arc<Additions>);

#[derive(Clone, Default)]
struct Additions {
    functions: Vec<DeclaredFunction>,
    collations: Vec<String>,
    hooks: Vec<Arc<ConnectionHook>>,
    schema_trust: SchemaTrust,
}

/// What the triggers, views, CHECKs, defaults and indexes of a database may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SchemaTrust {
    /// Functions and virtual tables that are marked as innocuous.
    #[default]
    InnocuousOnly,
    /// All but those that may only be used directly.
    All,
}

/// A function of the application by its name and number of arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredFunction {
    pub(crate) name: String,
    /// -1 for any number.
    pub(crate) argument_count: i32,
}

impl Extensions {
    /// No additions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a function of the application. `argument_count` is -1 for a function that takes any
    /// number of arguments. The function counts as deterministic and innocuous, as one in an index
    /// or a generated column has to be.
    ///
    /// A name that SQLite has itself, or one that it does not accept, is an error of every
    /// connection, and so of the first use of the changelog.
    #[must_use]
    pub fn with_function(mut self, name: &str, argument_count: i32) -> Self {
        let function = DeclaredFunction { name: name.to_owned(), argument_count };
        Arc::make_mut(&mut self.0).functions.push(function);
        self
    }

    /// Declares a collation of the application. A statement that has to compare two different texts
    /// with it fails, so that no index is ever written in a wrong order.
    #[must_use]
    pub fn with_collation(mut self, name: &str) -> Self {
        Arc::make_mut(&mut self.0).collations.push(name.to_owned());
        self
    }

    /// Calls `hook` with every connection that tatmig opens, before tatmig's security settings are
    /// applied and before any statement runs: it may load an extension or register functions,
    /// collations and virtual tables, which replace declared ones. If the hook fails, the connection
    /// is not used.
    ///
    /// ````
    /// use tatmig::rusqlite::{Connection, functions::FunctionFlags};
    /// use tatmig::{Changelog, Extensions, Scope};
    ///
    /// // The application calls this for its own connections too.
    /// fn prepare(connection: &Connection) -> tatmig::rusqlite::Result<()> {
    ///     let flags = FunctionFlags::SQLITE_UTF8
    ///         | FunctionFlags::SQLITE_DETERMINISTIC
    ///         | FunctionFlags::SQLITE_INNOCUOUS;
    ///     connection.create_scalar_function("shout", 1, flags, |arguments| {
    ///         arguments.get::<String>(0).map(|text| text.to_uppercase())
    ///     })
    /// }
    ///
    /// let document = "
    /// ```sql
    /// -- [user:baseline→1.0.0:start]
    /// CREATE TABLE notes (title TEXT, loud TEXT AS (shout(title)));
    /// -- [user:baseline→1.0.0:end]
    /// ```
    /// ";
    /// let extensions = Extensions::new().with_connection_hook(prepare);
    /// let changelog = Changelog::parse(document)?.with_extensions(extensions);
    /// let mut connection = Connection::open_in_memory()?;
    /// prepare(&connection)?;
    /// changelog.upgrade(&mut connection, Scope::User)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ````
    #[must_use]
    pub fn with_connection_hook(
        mut self,
        hook: impl Fn(&Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).hooks.push(Arc::new(hook));
        self
    }

    /// Lets the triggers, views, CHECKs, defaults and indexes of databases use functions and virtual
    /// tables that are not marked as innocuous (`PRAGMA trusted_schema`), which is SQLite's default
    /// and not that of tatmig. A trigger that writes to a virtual table of an extension needs this,
    /// unless the extension marks its tables.
    #[must_use]
    pub fn with_trusted_schema(mut self) -> Self {
        Arc::make_mut(&mut self.0).schema_trust = SchemaTrust::All;
        self
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Additions { functions, collations, hooks, schema_trust: _ } = &*self.0;
        functions.is_empty() && collations.is_empty() && hooks.is_empty()
    }

    /// The declared functions.
    pub(crate) fn functions(&self) -> &[DeclaredFunction] {
        &self.0.functions
    }

    /// The declared collations.
    pub(crate) fn collations(&self) -> &[String] {
        &self.0.collations
    }

    /// What the schema of a database may use.
    pub(crate) fn schema_trust(&self) -> SchemaTrust {
        self.0.schema_trust
    }

    /// Calls every hook with a connection.
    pub(crate) fn call_hooks(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.0.hooks.iter().try_for_each(|hook| hook(connection))
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Extensions")
            .field("functions", &self.0.functions)
            .field("collations", &self.0.collations)
            .field("hooks", &self.0.hooks.len())
            .field("schema_trust", &self.0.schema_trust)
            .finish()
    }
}
