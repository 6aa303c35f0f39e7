//! What a `CREATE TABLE` says, whatever its spelling: two tables are the same if and only if their
//! definitions are equal. Each column remembers the text that declares it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::sql::tokens::Words;

/// A column, names and keywords in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) name: String,
    pub(crate) declared_type: String,
    /// With its `ON CONFLICT`, if it has one.
    pub(crate) not_null: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) collation: Option<String>,
    /// The expression of a generated column, and whether it is stored.
    pub(crate) generated: Option<(String, Storage)>,
}

/// Where the value of a generated column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Virtual,
    Stored,
}

/// A column and the text that declares it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) rules: Rules,
    pub(crate) text: String,
}

/// A table's definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definition {
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Constraints,
}

/// What holds for a table beyond its columns one by one; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    /// The columns of the primary key, each with its collation and its order if they are given.
    pub(crate) primary_key: Vec<String>,
    /// `AUTOINCREMENT` and `ON CONFLICT` of the primary key.
    pub(crate) primary_key_words: Vec<String>,
    /// The columns of each unique key, then its `ON CONFLICT`.
    pub(crate) unique: Vec<(Vec<String>, String)>,
    pub(crate) checks: Vec<String>,
    pub(crate) foreign_keys: Vec<String>,
    /// `strict` and `without rowid`.
    pub(crate) options: Vec<String>,
    /// Words that are none of all this.
    other: Vec<String>,
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.constraints == other.constraints
            && self
                .columns
                .iter()
                .map(|column| &column.rules)
                .eq(other.columns.iter().map(|column| &column.rules))
    }
}

impl Definition {
    /// Reads the SQL of an ordinary table as SQLite keeps it.
    pub(crate) fn read(sql: &str) -> Self {
        let words = Words::of(sql);
        let mut found = Self::default();
        let Some(open) = (0..words.len()).find(|at| words.is(*at, "(")) else { return found };
        let end = words.behind(open);
        for item in items(&words, open + 1..end.saturating_sub(1)) {
            if !item.is_empty() {
                Item { words: &words, at: item.start, end: item.end }.read(&mut found, sql);
            }
        }
        for option in items(&words, end..words.len()) {
            let folded = words.folded(option).trim_end_matches([' ', ';']).to_owned();
            if !folded.is_empty() {
                found.constraints.options.push(folded);
            }
        }
        let lists = &mut found.constraints;
        lists.unique.sort();
        lists.unique.dedup();
        lists.checks.sort();
        lists.foreign_keys.sort();
        lists.options.sort();
        found
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.rules.name.eq_ignore_ascii_case(name))
    }

    /// The column that is another name of the row id, in lower case.
    pub(crate) fn row_id(&self) -> Option<&str> {
        let [only] = self.constraints.primary_key.as_slice() else { return None };
        let column = self.column(only)?;
        (column.rules.declared_type == "integer" && !self.is("without rowid"))
            .then_some(column.rules.name.as_str())
    }

    pub(crate) fn is(&self, option: &str) -> bool {
        self.constraints.options.iter().any(|known| known == option)
    }

    pub(crate) fn is_autoincrement(&self) -> bool {
        self.constraints.primary_key_words.iter().any(|word| word == "autoincrement")
    }

    /// Whether SQLite refuses NULL in a column.
    pub(crate) fn refuses_null(&self, column: &Rules) -> bool {
        let in_key = self.constraints.primary_key.contains(&column.name);
        column.not_null.is_some() || in_key && self.is("without rowid")
    }

    /// Whether no two rows may have the same value in a column.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        let alone = |key: &[String]| key == [column];
        alone(&self.constraints.primary_key)
            || self.constraints.unique.iter().any(|(key, _)| alone(key))
    }
}

/// The parts of a bracket's content between the commas that belong to it.
pub(crate) fn items(words: &Words<'_>, inside: Range<usize>) -> Vec<Range<usize>> {
    if inside.is_empty() {
        return Vec::new();
    }
    let depth = words.depth(inside.start);
    let mut found = Vec::new();
    let mut start = inside.start;
    for at in inside.clone() {
        if words.is(at, ",") && words.depth(at) == depth {
            found.push(start..at);
            start = at + 1;
        }
    }
    found.push(start..inside.end);
    found
}

/// Words at which a column's type ends.
const BEHIND_TYPE: &[&str] = &[
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
];

/// One column or table constraint that is being read.
struct Item<'w, 't> {
    words: &'w Words<'t>,
    at: usize,
    end: usize,
}

impl Item<'_, '_> {
    fn is(&self, word: &str) -> bool {
        self.at < self.end && self.words.is(self.at, word)
    }

    fn is_keyword(&self, list: &[&str]) -> bool {
        list.iter().any(|word| self.is(word))
    }

    /// Takes words if they stand next.
    fn take(&mut self, words: &[&str]) -> bool {
        let found = self.at + words.len() <= self.end && self.words.are(self.at, words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// Takes so many words, folded.
    fn next(&mut self, count: usize) -> String {
        let from = self.at;
        self.at = (self.at + count).min(self.end);
        self.words.folded(from..self.at)
    }

    /// Takes a bracket, folded; nothing if none stands here.
    fn bracket(&mut self) -> String {
        if self.is("(") { self.next(self.words.behind(self.at) - self.at) } else { String::new() }
    }

    /// Takes a bracket of names, each with what is said of it.
    fn names(&mut self) -> Vec<String> {
        if !self.is("(") {
            return Vec::new();
        }
        let end = self.words.behind(self.at);
        let inside = self.at + 1..end.saturating_sub(1);
        self.at = end;
        items(self.words, inside)
            .into_iter()
            .map(|item| {
                let mut text = self.words.folded(item);
                for noise in [" autoincrement", " asc", " collate binary"] {
                    text = text.strip_suffix(noise).map(str::to_owned).unwrap_or(text);
                }
                text
            })
            .collect()
    }

    fn conflict(&mut self) -> String {
        if self.take(&["ON", "CONFLICT"]) { self.next(1) } else { String::new() }
    }

    fn read(mut self, found: &mut Definition, sql: &str) {
        const OF_A_TABLE: &[&str] = &["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if self.is_keyword(OF_A_TABLE) {
            self.constraints(None, found);
            return;
        }
        let first = self.words.range(self.at).start;
        let text = sql[first..self.words.range(self.end - 1).end].to_owned();
        let mut rules = Rules { name: self.next(1), ..Rules::default() };
        let from = self.at;
        while self.at < self.end && !self.is_keyword(BEHIND_TYPE) {
            self.at = if self.is("(") { self.words.behind(self.at) } else { self.at + 1 };
        }
        rules.declared_type = self.words.folded(from..self.at);
        self.constraints(Some(&mut rules), found);
        found.columns.push(Column { rules, text });
    }

    /// Reads constraints to the end, those of a column or of the table.
    fn constraints(&mut self, mut column: Option<&mut Rules>, found: &mut Definition) {
        let table = &mut found.constraints;
        while self.at < self.end {
            if self.take(&["CONSTRAINT"]) {
                self.at += 1;
            } else if self.take(&["PRIMARY", "KEY"]) {
                table.primary_key = match &column {
                    Some(column) => {
                        let descending = self.take(&["DESC"]);
                        self.take(&["ASC"]);
                        vec![format!("{}{}", column.name, if descending { " desc" } else { "" })]
                    }
                    None => {
                        let end = self.words.behind(self.at);
                        if (self.at..end).any(|at| self.words.is(at, "AUTOINCREMENT")) {
                            table.primary_key_words.push("autoincrement".to_owned());
                        }
                        self.names()
                    }
                };
                let conflict = self.conflict();
                if !conflict.is_empty() {
                    table.primary_key_words.push(conflict);
                }
                if self.take(&["AUTOINCREMENT"]) {
                    table.primary_key_words.push("autoincrement".to_owned());
                }
            } else if self.take(&["NOT", "NULL"]) {
                let conflict = self.conflict();
                if let Some(column) = &mut column {
                    column.not_null = Some(conflict);
                }
            } else if self.take(&["NULL"]) {
                self.conflict();
            } else if self.take(&["UNIQUE"]) {
                let names = match &column {
                    Some(column) => vec![column.name.clone()],
                    None => self.names(),
                };
                let conflict = self.conflict();
                table.unique.push((names, conflict));
            } else if self.take(&["CHECK"]) {
                let check = self.bracket();
                self.conflict();
                table.checks.push(check);
            } else if self.take(&["DEFAULT"]) {
                let signed = self.is("+") || self.is("-");
                let default = if self.is("(") { self.bracket() } else { self.literal(signed) };
                if let Some(column) = &mut column {
                    column.default = Some(default);
                }
            } else if self.take(&["COLLATE"]) {
                let collation = self.next(1);
                if let Some(column) = &mut column
                    && collation != "binary"
                {
                    column.collation = Some(collation);
                }
            } else if self.is("REFERENCES") {
                let names = column.as_ref().map(|column| vec![column.name.clone()]);
                let key = self.foreign_key(&names.unwrap_or_default());
                table.foreign_keys.push(key);
            } else if self.take(&["FOREIGN", "KEY"]) {
                let names = self.names();
                let key = self.foreign_key(&names);
                table.foreign_keys.push(key);
            } else if self.take(&["GENERATED", "ALWAYS"]) {
            } else if self.take(&["AS"]) {
                let expression = self.bracket();
                let stored = self.take(&["STORED"]);
                self.take(&["VIRTUAL"]);
                if let Some(column) = &mut column {
                    let storage = if stored { Storage::Stored } else { Storage::Virtual };
                    column.generated = Some((expression, storage));
                }
            } else {
                let word = self.next(1);
                table.other.push(word);
            }
        }
    }

    /// A default without brackets: a number with its sign and its fraction, a string, a word.
    fn literal(&mut self, signed: bool) -> String {
        let from = self.at;
        self.at += usize::from(signed) + 1;
        // `1.5` is three words, `x'00'` two that touch.
        while self.at < self.end
            && self.words.range(self.at - 1).end == self.words.range(self.at).start
            && !self.is("(")
        {
            self.at += 1;
        }
        self.words.folded(from..self.at)
    }

    fn foreign_key(&mut self, columns: &[String]) -> String {
        let mut key = format!("( {} ) ", columns.join(" , "));
        self.take(&["REFERENCES"]);
        key.push_str(&self.next(1));
        key.push(' ');
        key.push_str(&self.bracket());
        let mut actions = Vec::new();
        loop {
            if self.is("ON") && self.at + 2 < self.end {
                let two = self.words.is(self.at + 2, "SET") || self.words.is(self.at + 2, "NO");
                let action = self.next(if two { 4 } else { 3 });
                if !action.ends_with("no action") {
                    actions.push(action);
                }
            } else if self.is("MATCH") {
                // SQLite reads it and does nothing about it.
                self.next(2);
            } else if self.is("DEFERRABLE")
                || self.is("NOT") && self.words.is(self.at + 1, "DEFERRABLE")
            {
                let never = self.take(&["NOT"]);
                self.take(&["DEFERRABLE"]);
                let mut deferred = false;
                if self.take(&["INITIALLY"]) {
                    deferred = self.next(1) == "deferred";
                }
                if deferred && !never {
                    actions.push("initially deferred".to_owned());
                }
            } else {
                break;
            }
        }
        actions.sort();
        key.push_str(&actions.join(" "));
        key.trim_end().to_owned()
    }
}

pub(crate) fn clauses(sql: &str) -> BTreeMap<String, usize> {
    let words = Words::of(sql);
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |clause: String| *found.entry(clause).or_default() += 1;
    let Some(open) = (0..words.len()).find(|at| words.is(*at, "(")) else { return found };
    let end = words.behind(open);
    for item in items(&words, open + 1..end.saturating_sub(1)) {
        for at in item.clone().filter(|at| words.depth(*at) == 1 && !words.is_quoted(*at)) {
            let bracket = words.is(at + 1, "(").then(|| at + 1..words.behind(at + 1));
            if words.is(at, "CHECK") || words.is(at, "AS") || words.is(at, "UNIQUE") {
                let keyword = words.text(at).to_uppercase();
                match bracket {
                    Some(bracket) => note(format!("{keyword} {}", words.folded(bracket))),
                    None if keyword == "UNIQUE" => {
                        note(format!("UNIQUE ( {} )", words.folded(item.start..item.start + 1)));
                    }
                    None => {}
                }
            } else if words.is(at, "COLLATE") && !words.is(at + 1, "BINARY") {
                note(format!("COLLATE {}", words.folded(at + 1..at + 2)));
            } else if words.is(at, "AUTOINCREMENT") {
                note("AUTOINCREMENT".to_owned());
            }
        }
    }
    for at in end..words.len() {
        if words.is(at, "STRICT") {
            note("STRICT".to_owned());
        } else if words.are(at, &["WITHOUT", "ROWID"]) {
            note("WITHOUT ROWID".to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(left: &str, right: &str) {
        assert_eq!(Definition::read(left), Definition::read(right));
    }

    #[track_caller]
    fn different(left: &str, right: &str) {
        assert_ne!(Definition::read(left), Definition::read(right));
    }

    #[test]
    fn spelling_makes_no_difference() {
        same(
            "CREATE TABLE t (a TEXT PRIMARY KEY)",
            "create table \"t\" ( A text, primary key(a asc) )",
        );
        same(
            "CREATE TABLE t (a INT REFERENCES p ON DELETE CASCADE ON UPDATE NO ACTION, b UNIQUE)",
            "CREATE TABLE t (a INT, b, UNIQUE (b), CONSTRAINT k FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE)",
        );
        same("CREATE TABLE t (a INT NULL CHECK (a>1))", "CREATE TABLE t (a INT, CHECK(a > 1))");
        same(
            "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TABLE t (a INTEGER, PRIMARY KEY (a AUTOINCREMENT))",
        );
    }

    #[test]
    fn meaning_does() {
        for (left, right) in [
            ("a INT", "a TEXT"),
            ("a, b", "b, a"),
            ("a NOT NULL", "a"),
            ("a DEFAULT 1", "a DEFAULT 1.5"),
            ("a DEFAULT 'x'", "a DEFAULT 'X'"),
            ("a DEFAULT -1", "a DEFAULT 1"),
            ("a, b, UNIQUE (a, b)", "a, b, UNIQUE (b, a)"),
            ("a COLLATE NOCASE, b", "a, b COLLATE NOCASE"),
            ("a UNIQUE ON CONFLICT IGNORE", "a UNIQUE"),
            ("a REFERENCES p (x)", "a REFERENCES p (y)"),
            ("a REFERENCES p DEFERRABLE INITIALLY DEFERRED", "a REFERENCES p"),
            ("a, b AS (a) STORED", "a, b AS (a)"),
            ("a TEXT PRIMARY KEY DESC", "a TEXT PRIMARY KEY"),
        ] {
            different(&format!("CREATE TABLE t ({left})"), &format!("CREATE TABLE t ({right})"));
        }
        different("CREATE TABLE t (a INT) STRICT", "CREATE TABLE t (a INT)");
        same(
            "CREATE TABLE t (a INT) STRICT, WITHOUT ROWID",
            "CREATE TABLE t(a INT) without rowid,strict",
        );
    }

    #[test]
    fn a_column_keeps_its_text() {
        let found = Definition::read(
            "CREATE TABLE t (\n  a INT, -- one\n  \"b c\" DECIMAL(10, 2) DEFAULT (1 + 2) -- two\n)",
        );
        assert_eq!(found.columns[1].text, "\"b c\" DECIMAL(10, 2) DEFAULT (1 + 2)");
        assert_eq!(found.columns[1].rules.name, "b c");
        assert_eq!(found.columns[1].rules.default.as_deref(), Some("( 1 + 2 )"));
    }
}
