//! Represents schemas as values that can be compared: tables with their columns and foreign keys,
//! indexes, triggers and views. Everything is read from the SQL that `sqlite_schema` stores, so an
//! object whose module or collation is missing is known as well as any other.

pub(crate) mod changes;
pub(crate) mod compare;
pub(crate) mod difference;
pub(crate) mod effects;
pub(crate) mod ignored;
pub(crate) mod losses;
pub(crate) mod lost_objects;
pub(crate) mod overwrites;
pub(crate) mod renames;
pub(crate) mod statement_effects;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::sql::create_statement::{
    ColumnCollations, IndexDefinition, ModuleDefinition, creates_virtual_table, normalized_body,
};
use crate::sql::key_term::plain_columns;
use crate::sql::lexer;
pub(crate) use crate::sql::table_definition::ForeignKey;
use crate::sql::table_definition::{GeneratedStorage, TableDefinition};

/// A column with what `PRAGMA table_xinfo` reports of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    /// The position in the primary key, from 1; 0 if the column is not part of it.
    pub(crate) primary_key_position: i64,
    /// 0 for an ordinary column, 1 for a hidden one, 2 for a virtual generated one and 3 for a
    /// stored generated one.
    pub(crate) hidden: i64,
}

impl Column {
    /// Whether two columns have the same definition. The case of names and keywords is ignored.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && normalize_type(&self.declared_type) == normalize_type(&other.declared_type)
            && self.not_null == other.not_null
            && self.default.as_deref().map(lexer::normalize_case)
                == other.default.as_deref().map(lexer::normalize_case)
            && self.primary_key_position == other.primary_key_position
            && self.hidden == other.hidden
    }
}

/// A declared type in lower case and without white space.
fn normalize_type(declared_type: &str) -> String {
    declared_type.split_whitespace().collect::<String>().to_ascii_lowercase()
}

/// The columns and foreign keys of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

impl Table {
    /// The names of the primary key's columns, in the key's order.
    pub(crate) fn primary_key(&self) -> Vec<String> {
        let mut columns: Vec<&Column> =
            self.columns.iter().filter(|column| column.primary_key_position > 0).collect();
        columns.sort_by_key(|column| column.primary_key_position);
        columns.into_iter().map(|column| column.name.clone()).collect()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn from_definition(definition: &TableDefinition) -> Self {
        let columns = definition.columns.iter().map(|column| {
            let position = definition.primary_key_position(&column.name);
            let hidden = match &column.spec.generated {
                None => 0,
                Some((_, GeneratedStorage::Virtual)) => 2,
                Some((_, GeneratedStorage::Stored)) => 3,
            };
            Column {
                name: column.name.clone(),
                declared_type: column.declared_type.clone(),
                not_null: definition.rejects_null(&column.spec),
                default: column.default.clone(),
                primary_key_position: i64::try_from(position).unwrap_or(i64::MAX),
                hidden,
            }
        });
        Self { columns: columns.collect(), foreign_keys: definition.foreign_keys.clone() }
    }
}

/// The kinds of objects in a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectKind {
    Table,
    Index,
    View,
    Trigger,
}

impl ObjectKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "table" => Some(Self::Table),
            "index" => Some(Self::Index),
            "view" => Some(Self::View),
            "trigger" => Some(Self::Trigger),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::Trigger => "trigger",
        })
    }
}

/// The name of an object as SQLite compares it. Tables, indexes and views share one namespace;
/// triggers have another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) is_trigger: bool,
    /// In lower case.
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn new(kind: ObjectKind, name: &str) -> Self {
        Self { is_trigger: kind == ObjectKind::Trigger, name: name.to_ascii_lowercase() }
    }
}

/// The definition of an object, without its name and independent of its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Table(TableDefinition),
    VirtualTable(ModuleDefinition),
    Index(IndexDefinition),
    /// A view or a trigger.
    Body(String),
}

/// One row of `sqlite_schema`. The definition is read from the SQL when it is first needed.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) sql: String,
    /// The columns of a virtual table, as far as SQLite could report them.
    pub(crate) virtual_columns: Vec<Column>,
    /// The collations of the columns of the table of an index that names a collation.
    pub(crate) table_collations: ColumnCollations,
    names_collation: OnceLock<bool>,
    definition: OnceLock<Definition>,
    structure: OnceLock<Table>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && self.table == other.table
            && self.sql == other.sql
            && self.table_collations == other.table_collations
    }
}

impl Eq for Object {}

impl Object {
    pub(crate) fn new(kind: ObjectKind, name: String, table: String, sql: String) -> Self {
        let (definition, structure) = (OnceLock::new(), OnceLock::new());
        let (virtual_columns, table_collations) = (Vec::new(), ColumnCollations::new());
        Self {
            kind,
            name,
            table,
            sql,
            virtual_columns,
            table_collations,
            names_collation: OnceLock::new(),
            definition,
            structure,
        }
    }

    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.kind, &self.name)
    }

    pub(crate) fn is_virtual_table(&self) -> bool {
        self.kind == ObjectKind::Table && creates_virtual_table(&self.sql)
    }

    pub(crate) fn definition(&self) -> &Definition {
        self.definition.get_or_init(|| match self.kind {
            ObjectKind::Table if self.is_virtual_table() => {
                Definition::VirtualTable(ModuleDefinition::parse(&self.sql))
            }
            ObjectKind::Table => Definition::Table(TableDefinition::parse(&self.sql)),
            ObjectKind::Index => {
                Definition::Index(IndexDefinition::parse(&self.sql, &self.table_collations))
            }
            ObjectKind::View | ObjectKind::Trigger => Definition::Body(normalized_body(&self.sql)),
        })
    }

    /// Whether this is an index whose definition depends on the collations of its table's columns.
    pub(crate) fn names_collation(&self) -> bool {
        let names_collation =
            || lexer::words(&self.sql).any(|word| word.eq_ignore_ascii_case("collate"));
        self.kind == ObjectKind::Index && *self.names_collation.get_or_init(names_collation)
    }

    /// The collations of the columns of a table, apart from BINARY.
    pub(crate) fn column_collations(&self) -> ColumnCollations {
        let columns = self.table_definition().map_or(&[][..], |table| &table.columns);
        let collations = columns
            .iter()
            .filter_map(|column| Some((column.spec.name.clone(), column.spec.collation.clone()?)));
        collations.collect()
    }

    /// The definition of an ordinary table.
    pub(crate) fn table_definition(&self) -> Option<&TableDefinition> {
        match self.definition() {
            Definition::Table(definition) => Some(definition),
            _ => None,
        }
    }

    /// The definition of an index.
    pub(crate) fn index_definition(&self) -> Option<&IndexDefinition> {
        match self.definition() {
            Definition::Index(definition) => Some(definition),
            _ => None,
        }
    }

    /// The module and the arguments of a virtual table.
    pub(crate) fn module(&self) -> Option<&ModuleDefinition> {
        // Most tables are ordinary ones, whose definition need not be read for this.
        match self.is_virtual_table().then(|| self.definition()) {
            Some(Definition::VirtualTable(definition)) => Some(definition),
            _ => None,
        }
    }

    /// The columns and foreign keys of a table; empty for other objects.
    pub(crate) fn structure(&self) -> &Table {
        self.structure.get_or_init(|| match self.definition() {
            Definition::Table(definition) => Table::from_definition(definition),
            _ => Table { columns: self.virtual_columns.clone(), foreign_keys: Vec::new() },
        })
    }

    /// The names of the columns of a table; no names for other objects.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.structure().columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.structure().column(name).is_some()
    }

    /// Whether the object is a unique index, partial ones included.
    pub(crate) fn is_unique_index(&self) -> bool {
        self.index_definition().is_some_and(|index| index.is_unique)
    }

    /// The columns, in lower case, of a unique index over all rows; none if the object is
    /// something else or one of its terms is an expression.
    pub(crate) fn unique_columns(&self) -> Option<Vec<String>> {
        let index = self.index_definition()?;
        let columns = index.terms.iter().map(|term| term.column().map(str::to_owned));
        if index.is_unique && index.filter.is_none() { columns.collect() } else { None }
    }

    /// The columns, in lower case, that a unique index over all rows compares as its table does; none
    /// if the object is something else or compares a column or an expression in another way.
    pub(crate) fn unique_key(&self) -> Option<Vec<String>> {
        let index = self.index_definition()?;
        let is_key = index.is_unique && index.filter.is_none();
        plain_columns(&index.terms).filter(|_| is_key)
    }

    /// The column, in lower case, of a unique index over one column and all rows.
    pub(crate) fn unique_column(&self) -> Option<String> {
        self.unique_columns().filter(|columns| columns.len() == 1)?.pop()
    }
}

/// All objects of a database except those of SQLite and of tatmig.
pub(crate) type Schema = BTreeMap<ObjectKey, Arc<Object>>;

/// Gives each index that names a collation the collations of its table's columns.
pub(crate) fn add_table_collations(objects: &mut [Object]) {
    for index in 0..objects.len() {
        if !objects[index].names_collation() {
            continue;
        }
        let table = objects.iter().find(|object| {
            object.kind == ObjectKind::Table
                && object.name.eq_ignore_ascii_case(&objects[index].table)
        });
        objects[index].table_collations = table.map(Object::column_collations).unwrap_or_default();
    }
}

/// The names, in lower case, of the shadow tables in a schema: SQLite or a module creates and fills
/// them, and a statement can only name the virtual table that they belong to.
pub(crate) fn shadow_tables<'o>(objects: impl Iterator<Item = &'o Object>) -> BTreeSet<String> {
    let mut table_names = Vec::new();
    let mut modules = Vec::new();
    for object in objects.filter(|object| object.kind == ObjectKind::Table) {
        let name = object.name.to_ascii_lowercase();
        match object.module() {
            Some(module) => modules.push((format!("{name}_"), module.shadow_suffixes())),
            None => table_names.push(name),
        }
    }
    let is_shadow = |name: &String| {
        modules.iter().any(|(prefix, suffixes)| {
            name.strip_prefix(prefix)
                .is_some_and(|suffix| suffixes.is_none_or(|suffixes| suffixes.contains(&suffix)))
        })
    };
    table_names.into_iter().filter(is_shadow).collect()
}

/// Whether a name is reserved for tatmig; no block may use such a name.
pub(crate) fn is_tatmig_name(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("_tatmig_"))
}

/// Whether a name is reserved for SQLite.
pub(crate) fn is_sqlite_name(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}
