//! What a database holds before a leg, held against what it holds after: the rows of the tables
//! that are still there, in the columns that no migration on the way touched, and the indexes and
//! triggers that nothing dropped by name.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::database::job::Script;
use crate::document::diagnostic::Rule;
use crate::schema;
use crate::schema::{Kind, Object, Schema, Table, is_internal, is_own};
use crate::selftest::insert_select;
use crate::sql::lexer;
use crate::sql::lexer::quote;

/// A row: each value as SQLite writes it as a literal.
type Values = Vec<String>;

/// What a database holds.
pub(crate) struct Snapshot {
    schema: Schema,
    /// The rows of each ordinary table, by its name in lower case; the values are in the order of
    /// the columns that hold any.
    rows: BTreeMap<String, (Table, Vec<Values>)>,
}

impl Snapshot {
    pub(crate) fn take(connection: &Connection) -> rusqlite::Result<Self> {
        let mut list = connection.prepare(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
        )?;
        let names =
            list.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let mut rows = BTreeMap::new();
        for name in names.into_iter().filter(|name| !is_internal(name) && !is_own(name)) {
            let mut table = Table::read(connection, &name)?;
            table.columns.retain(|column| column.hidden == 0);
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("quote({})", quote(&column.name)))
                .collect();
            let sql = format!("SELECT {} FROM {}", columns.join(", "), quote(&name));
            let mut all = connection.prepare(&sql)?;
            let found = all
                .query_map([], |row| (0..columns.len()).map(|at| row.get(at)).collect())?
                .collect::<rusqlite::Result<Vec<Values>>>()?;
            rows.insert(name.to_ascii_lowercase(), (table, found));
        }
        Ok(Self { schema: schema::read(connection)?, rows })
    }
}

/// What the migrations of a leg mean to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// Tables renamed, old and new name in lower case, in order.
    renames: Vec<(String, String)>,
    /// Columns whose values they write, each with its table as it was called then, in lower case.
    written: BTreeSet<(String, String)>,
    /// The same by position, where a statement names none.
    positions: BTreeSet<(String, usize)>,
    /// Indexes and triggers that they drop by name, in lower case.
    removed: BTreeSet<String>,
    allowed: Vec<Rule>,
}

impl Intent {
    pub(crate) fn add(&mut self, script: &Script<'_>) {
        self.renames.extend(script.deeds.renames.iter().cloned());
        self.written.extend(script.updated.iter().cloned());
        self.removed.extend(script.removed.iter().cloned());
        self.allowed.extend(&script.allowed);
        for statement in &script.statements {
            for (table, column) in insert_select::computed(statement.sql.text()) {
                match column {
                    insert_select::Column::Name(name) => {
                        self.written.insert((table, name));
                    }
                    insert_select::Column::Position(at) => {
                        self.positions.insert((table, at));
                    }
                }
            }
        }
    }

    fn allows(&self, rule: Rule) -> bool {
        self.allowed.contains(&rule)
    }

    /// The name that a table has after the renames.
    fn renamed(&self, name: &str) -> String {
        let forth = self.renames.iter();
        forth
            .fold(name.to_owned(), |name, (from, to)| if *from == name { to.clone() } else { name })
    }

    /// Every name that a table or its stand-in had on the way.
    pub(crate) fn names(&self, name: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([name.to_owned()]);
        loop {
            let more: Vec<String> = self
                .renames
                .iter()
                .flat_map(|(from, to)| [(from, to), (to, from)])
                .filter(|(known, other)| names.contains(*known) && !names.contains(*other))
                .map(|(_, other)| other.clone())
                .collect();
            if more.is_empty() {
                return names;
            }
            names.extend(more);
        }
    }

    fn writes(&self, names: &BTreeSet<String>, (column, at): (&str, usize)) -> bool {
        let column = column.to_ascii_lowercase();
        names.iter().any(|name| {
            self.written.contains(&(name.clone(), column.clone()))
                || self.positions.contains(&(name.clone(), at))
        })
    }
}

/// Something that a leg lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) rule: Rule,
    /// The table, in lower case.
    pub(crate) table: String,
    /// What it is about, in words that tell it from others.
    pub(crate) subject: String,
    pub(crate) message: String,
}

/// What is lost from one snapshot to the next.
pub(crate) fn differences(before: &Snapshot, after: &Snapshot, intent: &Intent) -> Vec<Difference> {
    let mut found = Vec::new();
    for (name, old) in &before.rows {
        let renamed = intent.renamed(name);
        let moved = renamed != *name
            && after.rows.contains_key(&renamed)
            && !before.rows.contains_key(&renamed);
        let name_after = if moved { &renamed } else { name };
        if let Some(new) = after.rows.get(name_after) {
            rows((name, old), new, intent, &mut found);
        }
    }
    objects(before, after, intent, &mut found);
    found.retain(|difference| !intent.allows(difference.rule));
    found
}

fn rows(
    (name, (old, old_rows)): (&String, &(Table, Vec<Values>)),
    (new, new_rows): &(Table, Vec<Values>),
    intent: &Intent,
    found: &mut Vec<Difference>,
) {
    let names = intent.names(name);
    // Columns that are there before and after as they were, each with its place in both.
    let kept: Vec<(usize, usize)> = old
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| {
            let after = new.columns.iter().position(|after| after.matches(column))?;
            (!intent.writes(&names, (&column.name, after))).then_some((at, after))
        })
        .collect();
    let key: Option<Vec<(usize, usize)>> = old
        .primary_key()
        .iter()
        .map(|part| kept.iter().find(|(at, _)| old.columns[*at].name == *part).copied())
        .collect();
    let key = key.filter(|key| !key.is_empty() && key.len() == new.primary_key().len());
    let identity = key.as_ref().unwrap_or(&kept);
    let pick = |row: &Values, columns: &mut dyn Iterator<Item = usize>| -> Values {
        columns.map(|at| row[at].clone()).collect()
    };
    let mut there: BTreeMap<Values, Vec<&Values>> = BTreeMap::new();
    for row in new_rows {
        there.entry(pick(row, &mut identity.iter().map(|(_, at)| *at))).or_default().push(row);
    }
    let mut gone = Vec::new();
    let mut changed: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in old_rows {
        let this = pick(row, &mut identity.iter().map(|(at, _)| *at));
        let Some(now) = there.get_mut(&this).and_then(Vec::pop) else {
            gone.push(shown(old, row));
            continue;
        };
        for (at, after) in kept.iter().filter(|(at, after)| row[*at] != now[*after]) {
            let which = shown(old, row);
            let (was, is) = (&row[*at], &now[*after]);
            changed.entry(*at).or_default().push(format!("{was} became {is} where {which}"));
        }
    }
    if let [first, ..] = gone.as_slice() {
        let among = if gone.len() == 1 { ":" } else { ", among them" };
        let which =
            format!("{} of its {} rows{among} the one where {first}", gone.len(), old_rows.len());
        // Without a key a row that changed cannot be told from one that is gone.
        let (rule, message) = if key.is_none() && new_rows.len() >= old_rows.len() {
            (Rule::RowChange, format!("table `{name}` has other values in {which}"))
        } else {
            (Rule::RowLoss, format!("table `{name}` loses {which}"))
        };
        found.push(Difference { rule, table: name.clone(), subject: String::new(), message });
    }
    for (at, rows) in changed {
        let column = &old.columns[at].name;
        let (count, of, first) = (rows.len(), old_rows.len(), &rows[0]);
        let message = format!(
            "column `{name}.{column}` is not touched, and yet its value is another in {count} of {of} rows: {first}"
        );
        let (rule, subject) = (Rule::RowChange, column.to_lowercase());
        found.push(Difference { rule, table: name.clone(), subject, message });
    }
}

/// A row in words: by its key, else by all that it holds.
fn shown(table: &Table, row: &Values) -> String {
    const LONGEST: usize = 40;
    let named = table.columns.iter().zip(row);
    let is_keyed = table.columns.iter().any(|column| column.primary_key > 0);
    let parts: Vec<String> = named
        .filter(|(column, _)| !is_keyed || column.primary_key > 0)
        .map(|(column, value)| {
            let mut value =
                value.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
            if value.chars().count() > LONGEST {
                value = value.chars().take(LONGEST).chain(['…']).collect();
            }
            format!("`{}` is {value}", column.name)
        })
        .collect();
    parts.join(" and ")
}

/// Indexes and triggers that stood on something that still stands, and are gone without a word.
fn objects(before: &Snapshot, after: &Snapshot, intent: &Intent, found: &mut Vec<Difference>) {
    let stands = |name: &str| {
        let mut objects = after.schema.values();
        objects.any(|object| {
            matches!(object.kind, Kind::Table | Kind::View)
                && object.name.eq_ignore_ascii_case(name)
        })
    };
    for (key, object) in &before.schema {
        let hangs = matches!(object.kind, Kind::Index | Kind::Trigger);
        let name = object.name.to_ascii_lowercase();
        let table = object.table.to_ascii_lowercase();
        if !hangs
            || after.schema.contains_key(key)
            || intent.removed.contains(&name)
            || !(stands(&table) || stands(&intent.renamed(&table)))
            || names_a_lost_column(object, (before, after))
            || has_twin(object, after)
        {
            continue;
        }
        let (kind, shown) = (object.kind, &object.name);
        let message = format!(
            "{kind} `{shown}` is lost: it went with the old table `{}`, and nothing makes it again",
            object.table
        );
        let (rule, subject) = (Rule::ObjectLoss, name);
        found.push(Difference { rule, table, subject, message });
    }
}

/// Whether an index or a trigger names a column that its table has no more: then it went by intent.
fn names_a_lost_column(object: &Object, (before, after): (&Snapshot, &Snapshot)) -> bool {
    let table = object.table.to_ascii_lowercase();
    let (Some((old, _)), Some((new, _))) = (before.rows.get(&table), after.rows.get(&table)) else {
        return false;
    };
    let text = &object.sql;
    old.columns.iter().filter(|column| new.column(&column.name).is_none()).any(|column| {
        lexer::tokens(text, 0).any(|token| {
            let word = text[token.range].trim_matches(['"', '`', '[', ']']);
            word.eq_ignore_ascii_case(&column.name)
        })
    })
}

/// Whether the same stands there under another name.
fn has_twin(object: &Object, after: &Snapshot) -> bool {
    let canonical = |object: &Object| {
        let text = lexer::canonical(&object.sql);
        let name = lexer::canonical(&object.name);
        let name = if text.contains(&quote(&name)) { quote(&name) } else { name };
        text.replacen(&name, "", 1).replace("if not exists", "").replace("  ", " ")
    };
    let wanted = canonical(object);
    after.schema.values().any(|other| other.kind == object.kind && canonical(other) == wanted)
}
