//! Checks which views, triggers and foreign keys of a database can be used. A view or trigger can be
//! used if it compiles, a foreign key if it resolves to a unique key of its parent table. After a
//! change of the schema, only what mentions a changed object is checked again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use crate::database::column_order::read_column_order;
use crate::database::error::sqlite_message;
use crate::database::foreign_keys::ParentKey;
use crate::database::full_text::ExternalContent;
pub(crate) use crate::database::usability::Usability;
use crate::database::usability::prepare;
use crate::schema::changes::ObjectChange;
use crate::schema::{ForeignKey, Object, ObjectKey, ObjectKind, Schema};
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// A view, a trigger or a foreign key. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reference {
    View {
        name: String,
    },
    Trigger {
        name: String,
    },
    /// A full-text table that reads its text from another table or a view.
    FullText {
        name: String,
    },
    /// A foreign key by its table and its columns there.
    ForeignKey {
        child: String,
        columns: Vec<String>,
    },
}

/// The references that cannot be used in any SQLite, and how not.
pub(crate) type DanglingReferences = BTreeMap<Reference, Usability>;

/// How a change of the schema changed one reference; none if the reference does not exist.
#[derive(Clone, Debug)]
pub(crate) struct UsabilityChange {
    pub(crate) reference: Reference,
    pub(crate) before: Option<Usability>,
    pub(crate) after: Option<Usability>,
}

/// The references of a database, each with its usability.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsableReferences {
    schema: Schema,
    usability: BTreeMap<Reference, Usability>,
    /// The references that mention a name, in lower case.
    mentions: HashMap<String, BTreeSet<Reference>>,
}

impl UsableReferences {
    /// Checks every reference of a schema. Foreign keys must be off on the connection.
    pub(crate) fn read(connection: &Connection, schema: &Schema) -> rusqlite::Result<Self> {
        let mut references = Self::default();
        let changes: Vec<ObjectChange> =
            schema.iter().map(|(key, object)| (key.clone(), Some(object.clone()))).collect();
        references.update(connection, &changes)?;
        Ok(references)
    }

    /// Checks what mentions a changed object, directly or through views. Returns the references
    /// whose usability changed.
    pub(crate) fn update(
        &mut self,
        connection: &Connection,
        changes: &[ObjectChange],
    ) -> rusqlite::Result<Vec<UsabilityChange>> {
        let mut changed_names = BTreeSet::new();
        let mut to_check = BTreeSet::new();
        for (key, object) in changes {
            let old = match object {
                Some(object) => self.schema.insert(key.clone(), object.clone()),
                None => self.schema.remove(key),
            };
            for object in old.iter().chain(object) {
                changed_names.insert(object.name.to_lowercase());
                changed_names.insert(object.table.to_lowercase());
                to_check.extend(references_of(object));
            }
            if let Some(old) = &old {
                self.remove_mentions(old);
            }
            if let Some(object) = object {
                self.add_mentions(object);
            }
        }
        let mut queue: Vec<String> = changed_names.into_iter().collect();
        while let Some(name) = queue.pop() {
            for reference in self.mentions.get(&name).into_iter().flatten() {
                if to_check.insert(reference.clone())
                    && let Reference::View { name } = reference
                {
                    queue.push(name.clone());
                }
            }
        }
        let mut usability_changes = Vec::new();
        for reference in to_check {
            let after = self.check(connection, &reference)?;
            let before = match &after {
                Some(after) => self.usability.insert(reference.clone(), after.clone()),
                None => self.usability.remove(&reference),
            };
            if before != after {
                usability_changes.push(UsabilityChange { reference, before, after });
            }
        }
        Ok(usability_changes)
    }

    /// The schema after the last change.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether a reference can be used; none if it does not exist.
    pub(crate) fn get(&self, reference: &Reference) -> Option<&Usability> {
        self.usability.get(reference)
    }

    /// The object that a reference is, or that declares it.
    pub(crate) fn object(&self, reference: &Reference) -> Option<&Object> {
        self.schema.get(&reference.object_key()).map(AsRef::as_ref)
    }

    /// The foreign key that a reference is.
    pub(crate) fn foreign_key(&self, reference: &Reference) -> Option<&ForeignKey> {
        let Reference::ForeignKey { columns, .. } = reference else { return None };
        let mut keys = self.object(reference)?.structure().foreign_keys.iter();
        keys.find(|key| lowercase(&key.columns) == *columns)
    }

    /// Every reference that cannot be used in any SQLite.
    pub(crate) fn dangling(&self) -> DanglingReferences {
        let references = self.usability.iter().filter(|(_, usability)| usability.is_dangling());
        references.map(|(reference, usability)| (reference.clone(), usability.clone())).collect()
    }

    fn add_mentions(&mut self, object: &Object) {
        for reference in references_of(object) {
            for name in mentioned_names(object, &reference) {
                self.mentions.entry(name).or_default().insert(reference.clone());
            }
        }
    }

    fn remove_mentions(&mut self, object: &Object) {
        for reference in references_of(object) {
            for name in mentioned_names(object, &reference) {
                if let Some(references) = self.mentions.get_mut(&name) {
                    references.remove(&reference);
                }
            }
        }
    }

    fn check(
        &self,
        connection: &Connection,
        reference: &Reference,
    ) -> rusqlite::Result<Option<Usability>> {
        let Some(object) = self.object(reference) else { return Ok(None) };
        match reference {
            Reference::View { .. } if object.kind == ObjectKind::View => {
                let probe = format!("SELECT * FROM {}", main_name(&object.name));
                prepare(connection, &probe).map(Some)
            }
            Reference::Trigger { .. } => self.check_trigger(connection, object).map(Some),
            Reference::View { .. } => Ok(None),
            Reference::FullText { .. } => match ExternalContent::from_table(object) {
                Some(content) => prepare(connection, &content.content_query()).map(Some),
                None => Ok(None),
            },
            Reference::ForeignKey { .. } => {
                let Some(key) = self.foreign_key(reference) else { return Ok(None) };
                Ok(Some(match ParentKey::read(connection, key)? {
                    ParentKey::Columns(_) => Usability::Usable,
                    ParentKey::NoTable => Usability::MissingParent,
                    ParentKey::Mismatch => Usability::ParentKeyMismatch,
                }))
            }
        }
    }

    /// Compiles a statement that fires the trigger. If that fails, another trigger of the table may be
    /// the cause, so a temporary copy of this one is then compiled while the others are disabled.
    fn check_trigger(
        &self,
        connection: &Connection,
        trigger: &Object,
    ) -> rusqlite::Result<Usability> {
        let firing_statement = match self.firing_statement(connection, trigger) {
            Ok(sql) => sql,
            // The columns of an INSTEAD OF trigger's view cannot be read.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                return Ok(Usability::NotCompiling(sqlite_message(&error)));
            }
            Err(error) => return Err(error),
        };
        let with_all_triggers = prepare(connection, &firing_statement)?;
        if with_all_triggers == Usability::Usable {
            return Ok(Usability::Usable);
        }
        let were_enabled = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let alone = check_alone(connection, trigger, &firing_statement);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, were_enabled)?;
        match alone? {
            // The body writes to a view, which works only with the INSTEAD OF triggers of that view.
            // Such a trigger is checked on its own.
            Usability::NotCompiling(message) if message.ends_with("because it is a view") => {
                Ok(match with_all_triggers {
                    Usability::NotCompiling(other) if other == message => {
                        Usability::NotCompiling(message)
                    }
                    _ => Usability::Usable,
                })
            }
            usability => Ok(usability),
        }
    }

    /// A statement that fires the trigger.
    fn firing_statement(
        &self,
        connection: &Connection,
        trigger: &Object,
    ) -> rusqlite::Result<String> {
        let tokens = Tokens::new(&trigger.sql);
        let table = main_name(&trigger.table);
        let event = (2..tokens.len()).find(|index| {
            !tokens.is_quoted(*index)
                && ["INSERT", "DELETE", "UPDATE"].iter().any(|event| tokens.is(*index, event))
        });
        let event = event.unwrap_or(tokens.len());
        if tokens.is(event, "INSERT") {
            return Ok(format!("INSERT INTO {table} DEFAULT VALUES"));
        }
        if tokens.is(event, "DELETE") {
            return Ok(format!("DELETE FROM {table}"));
        }
        let columns = if tokens.is(event + 1, "OF") {
            let end = tokens.find_top_level(event, "ON").unwrap_or(tokens.len());
            let columns = tokens.split_at_commas(event + 2..end);
            columns.into_iter().map(|column| tokens.name(column.start)).collect()
        } else {
            vec![self.first_written_column(connection, &trigger.table)?]
        };
        let assignments = columns.iter().map(|column| {
            let column = lexer::quote_identifier(column);
            format!("{column} = {column}")
        });
        Ok(format!("UPDATE {table} SET {}", assignments.collect::<Vec<_>>().join(", ")))
    }

    /// The first column of a table or view that an UPDATE can set.
    fn first_written_column(
        &self,
        connection: &Connection,
        table: &str,
    ) -> rusqlite::Result<String> {
        let object = self.schema.get(&ObjectKey::new(ObjectKind::Table, table));
        let columns = object.map_or(&[][..], |object| &object.structure().columns);
        match columns.iter().find(|column| column.hidden == 0) {
            Some(column) => Ok(column.name.clone()),
            None => {
                Ok(read_column_order(connection, table)?.into_iter().next().unwrap_or_default())
            }
        }
    }
}

/// The views, triggers and full-text tables of a schema that cannot be used, each as text. One that
/// needs a function or collation which this SQLite does not have counts only if the document creates
/// it.
pub(crate) fn describe_unusable(
    connection: &Connection,
    schema: &Schema,
    is_documented: &dyn Fn(&ObjectKey) -> bool,
) -> rusqlite::Result<Vec<String>> {
    let references = UsableReferences::read(connection, schema)?;
    let described = references.usability.iter().filter_map(|(reference, usability)| {
        let object = references.object(reference)?;
        let message = match usability {
            Usability::NotCompiling(message) => message,
            usability if is_documented(&object.key()) => usability.fault_of_document()?,
            _ => return None,
        };
        Some(format!("{} `{}` cannot be used: {message}", reference.noun(), object.name))
    });
    Ok(described.collect())
}

impl Reference {
    /// What the reference is, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::View { .. } => "view",
            Self::Trigger { .. } => "trigger",
            Self::FullText { .. } => "full-text table",
            Self::ForeignKey { .. } => "foreign key",
        }
    }

    /// The key of the view or trigger, or of the table that declares the foreign key.
    pub(crate) fn object_key(&self) -> ObjectKey {
        match self {
            Self::View { name } => ObjectKey::new(ObjectKind::View, name),
            Self::Trigger { name } => ObjectKey::new(ObjectKind::Trigger, name),
            Self::FullText { name } => ObjectKey::new(ObjectKind::Table, name),
            Self::ForeignKey { child, .. } => ObjectKey::new(ObjectKind::Table, child),
        }
    }
}

/// The references that an object is or declares.
fn references_of(object: &Object) -> Vec<Reference> {
    let name = object.name.to_ascii_lowercase();
    match object.kind {
        ObjectKind::View => vec![Reference::View { name }],
        ObjectKind::Trigger => vec![Reference::Trigger { name }],
        ObjectKind::Index => Vec::new(),
        ObjectKind::Table if ExternalContent::from_table(object).is_some() => {
            vec![Reference::FullText { name }]
        }
        ObjectKind::Table => {
            let keys = object.structure().foreign_keys.iter();
            keys.map(|key| Reference::ForeignKey {
                child: name.clone(),
                columns: lowercase(&key.columns),
            })
            .collect()
        }
    }
}

fn lowercase(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}

/// The names, in lower case, whose objects decide whether a reference can be used: every word and
/// every quoted name of a view or a trigger, and the two tables of a foreign key.
fn mentioned_names(object: &Object, reference: &Reference) -> BTreeSet<String> {
    let mut names = BTreeSet::from([object.table.to_lowercase()]);
    match reference {
        Reference::ForeignKey { columns, .. } => {
            let keys = object.structure().foreign_keys.iter();
            let own_keys = keys.filter(|key| lowercase(&key.columns) == *columns);
            names.extend(own_keys.map(|key| key.parent.to_lowercase()));
        }
        Reference::FullText { .. } => {
            names.extend(ExternalContent::from_table(object).map(|content| content.content));
        }
        Reference::View { .. } | Reference::Trigger { .. } => {
            let tokens = lexer::tokens(&object.sql, 0)
                .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted));
            names.extend(
                tokens.map(|token| lexer::unquote(&object.sql[token.range]).to_lowercase()),
            );
        }
    }
    names
}

fn main_name(name: &str) -> String {
    format!("main.{}", lexer::quote_identifier(name))
}

/// Compiles the trigger without any other trigger. SQLite keeps temporary triggers enabled.
fn check_alone(
    connection: &Connection,
    trigger: &Object,
    firing_statement: &str,
) -> rusqlite::Result<Usability> {
    // SQLite stores the text with these two words and one space between them.
    let Some(definition) = trigger.sql.strip_prefix("CREATE TRIGGER ") else {
        return prepare(connection, firing_statement);
    };
    connection.execute_batch(&format!("CREATE TEMP TRIGGER {definition}"))?;
    let usability = prepare(connection, firing_statement);
    connection
        .execute_batch(&format!("DROP TRIGGER temp.{}", lexer::quote_identifier(&trigger.name)))?;
    usability
}
