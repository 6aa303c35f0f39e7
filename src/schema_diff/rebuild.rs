//! A table made anew, SQLite's own procedure for what `ALTER TABLE` cannot do: a table of the new
//! shape, every row copied, the old one dropped, the new one given its name.

use rusqlite::Connection;

use crate::schema::Object;
use crate::schema_diff::compare::one_line;
use crate::schema_diff::statement;
use crate::sql::create_table::{Definition, Rules, Storage};
use crate::sql::lexer;
use crate::sql::lexer::quote;

/// A table before and after.
pub(crate) struct Rebuild<'o> {
    pub(crate) old: &'o Object,
    pub(crate) new: &'o Object,
    /// The name that the new one has until it has the old one's.
    pub(crate) working_name: String,
}

/// Statements, and what a human has to look at.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) statements: Vec<String>,
    pub(crate) remarks: Vec<String>,
}

/// A value for a column that rows have none for.
struct Filler {
    expression: String,
    /// Whether the schema says so itself.
    is_default: bool,
}

impl Rebuild<'_> {
    /// The statements, up to and without indexes and triggers. `scratch` answers questions about
    /// expressions.
    pub(crate) fn text(&self, scratch: &Connection) -> Text {
        let (before, after) = (Definition::read(&self.old.sql), Definition::read(&self.new.sql));
        let name = statement::written_name(self.old);
        let new = &self.working_name;
        let mut text = Text::default();
        let (mut into, mut from) = (Vec::new(), Vec::new());
        for column in &after.columns {
            if column.rules.generated.is_some() {
                continue;
            }
            let written = statement::first_word(&column.text).to_owned();
            let shown = one_line(&format!("{}.{}", self.new.name, column.rules.name));
            let source = before.column(&column.rules.name);
            let is_row_id = after.row_id() == Some(column.rules.name.as_str());
            let must_have = after.refuses_null(&column.rules) && !is_row_id;
            match source {
                Some(source) => {
                    let value = statement::first_word(&source.text).to_owned();
                    let had = before.refuses_null(&source.rules)
                        || before.row_id() == Some(source.rules.name.as_str());
                    if must_have && !had {
                        let filler = self.filler(&after, &column.rules, scratch);
                        text.remarks.push(format!(
                            "rows that have no `{shown}` get {}",
                            one_line(&filler.expression)
                        ));
                        from.push(format!("coalesce({value}, {})", filler.expression));
                    } else {
                        from.push(value);
                    }
                    into.push(written);
                }
                None if must_have => {
                    let filler = self.filler(&after, &column.rules, scratch);
                    if !filler.is_default {
                        text.remarks.push(format!(
                            "`{shown}` is new and NOT NULL: the rows that are there get {}",
                            one_line(&filler.expression)
                        ));
                        into.push(written);
                        from.push(filler.expression);
                    }
                }
                None if !takes_default(&after, &column.rules) => {
                    into.push(written);
                    from.push("NULL".to_owned());
                }
                None => {}
            }
        }
        let gone = before.columns.iter().filter(|column| {
            after.column(&column.rules.name).is_none() && column.rules.generated.is_none()
        });
        for column in gone {
            let shown = one_line(&format!("{}.{}", self.old.name, column.rules.name));
            text.remarks.push(format!("the values of `{shown}` are not kept"));
        }
        if into.is_empty() {
            // No column is left of the old ones; as many rows are.
            let column = after.columns.iter().find(|column| column.rules.generated.is_none());
            if let Some(column) = column {
                into.push(statement::first_word(&column.text).to_owned());
                let default = self.default(&column.rules).unwrap_or_else(|| "NULL".to_owned());
                from.push(default);
            }
        }
        text.statements.push(statement::renamed(self.new, new));
        text.statements.push(format!(
            "INSERT INTO {new} ({})\nSELECT {}\nFROM {name};",
            into.join(", "),
            from.join(", ")
        ));
        if before.is_autoincrement() && after.is_autoincrement() {
            // The numbers of rows that were deleted are never given out again.
            let literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
            let (old, working) = (literal(&self.old.name), literal(&unquoted(new)));
            text.statements.push(format!("DELETE FROM sqlite_sequence WHERE name = {working};"));
            text.statements.push(format!(
                "INSERT INTO sqlite_sequence (name, seq)\nSELECT {working}, seq FROM sqlite_sequence WHERE name = {old};"
            ));
        }
        text.statements.push(format!("DROP TABLE {name};"));
        text.statements
            .push(format!("ALTER TABLE {new} RENAME TO {};", statement::written_name(self.new)));
        text
    }

    /// The default that the schema declares, as an expression; none for NULL.
    fn default(&self, column: &Rules) -> Option<String> {
        let text = self.new.structure.column(&column.name)?.default.clone()?;
        (!text.trim().eq_ignore_ascii_case("null")).then_some(text)
    }

    /// What stands in for a value that must be there.
    fn filler(&self, after: &Definition, column: &Rules, scratch: &Connection) -> Filler {
        if let Some(expression) = self.default(column)
            && takes_default(after, column)
        {
            return Filler { expression, is_default: true };
        }
        let of_text = is_text(&column.declared_type);
        let numbered = has_row_ids(self.old) && has_row_ids(self.new);
        let expression = if after.is_unique(&column.name) && numbered {
            if of_text { "CAST(rowid AS TEXT)" } else { "rowid" }.to_owned()
        } else {
            let neutral = neutral(&column.declared_type);
            let mut candidates = vec![neutral.to_owned()];
            candidates.extend(after.constraints.checks.iter().flat_map(|check| literals(check)));
            let passes = |value: &&String| {
                after
                    .constraints
                    .checks
                    .iter()
                    .all(|check| permits(scratch, (column, check), value))
            };
            candidates.iter().find(passes).cloned().unwrap_or_else(|| neutral.to_owned())
        };
        Filler { expression, is_default: false }
    }
}

/// Whether a CHECK lets a value of a column through; one that other columns decide too does.
fn permits(scratch: &Connection, (column, check): (&Rules, &str), value: &str) -> bool {
    let select = format!("SELECT {check} FROM (SELECT {value} AS {})", quote(&column.name));
    match scratch.query_row(&select, [], |row| row.get::<_, Option<bool>>(0)) {
        Ok(Some(verdict)) => verdict,
        Ok(None) | Err(_) => true,
    }
}

/// The literals of an expression.
fn literals(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    for token in lexer::tokens(expression, 0) {
        let word = &expression[token.range];
        if word.starts_with('\'') || word.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(word.to_owned());
        }
    }
    found
}

fn has_row_ids(table: &Object) -> bool {
    !Definition::read(&table.sql).is("without rowid") && table.structure.column("rowid").is_none()
}

/// SQLite's rule: a type with one of these in its name holds text.
fn is_text(declared_type: &str) -> bool {
    ["char", "clob", "text"].iter().any(|part| declared_type.contains(part))
        && !declared_type.contains("int")
}

/// The value of a type that says least.
fn neutral(declared_type: &str) -> &'static str {
    if declared_type.contains("int") {
        "0"
    } else if is_text(declared_type) {
        "''"
    } else if declared_type.is_empty() || declared_type.contains("blob") {
        "x''"
    } else if declared_type.contains("date") || declared_type.contains("time") {
        "'1970-01-01 00:00:00'"
    } else {
        "0"
    }
}

fn unquoted(name: &str) -> String {
    name.strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// Whether a column takes its own default. A STRICT table may declare one of another type, and
/// refuses it with the first row.
fn takes_default(after: &Definition, column: &Rules) -> bool {
    let Some(default) = column.default.as_deref().filter(|_| after.is("strict")) else {
        return true;
    };
    let declared = &column.declared_type;
    let probe = format!(
        "CREATE TABLE probe (c {declared} DEFAULT {default}) STRICT; INSERT INTO probe DEFAULT VALUES"
    );
    Connection::open_in_memory().and_then(|scratch| scratch.execute_batch(&probe)).is_ok()
}

/// Whether `ALTER TABLE … ADD COLUMN` takes a column where there are rows.
pub(crate) fn can_be_added(after: &Definition, column: &Rules) -> bool {
    let default = column.default.as_deref().filter(|default| *default != "null");
    // Brackets and CURRENT_TIMESTAMP are worked out row by row, which ADD COLUMN does not.
    let constant =
        default.is_none_or(|text| !text.starts_with('(') && !text.starts_with("current_"));
    let generated = column.generated.as_ref();
    let stored = generated.is_some_and(|(_, storage)| *storage == Storage::Stored);
    let has_value = default.is_some() || !after.refuses_null(column);
    constant && !stored && has_value && takes_default(after, column)
}
