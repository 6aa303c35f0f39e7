//! Lists frequent mistakes in SQL, most of them the spelling of another database, each with what
//! SQLite has instead. A mistake only adds help to an error that SQLite reported.

use crate::sql::mistake_pattern::{FailedStatement, Sign};

/// A mistake and what to write instead.
struct Mistake {
    sign: Sign,
    /// `{1}`, `{2}` … are the parts of the statement that the pattern leaves open, in order; `{at}`
    /// is the token at which SQLite stopped.
    help: &'static str,
}

const fn tokens(pattern: &'static str, help: &'static str) -> Mistake {
    Mistake { sign: Sign::Tokens(pattern), help }
}

const fn function(names: &'static str, help: &'static str) -> Mistake {
    Mistake { sign: Sign::Function(names), help }
}

const fn message(part: &'static str, help: &'static str) -> Mistake {
    Mistake { sign: Sign::Message(part), help }
}

const REBUILD: &str = "SQLite cannot change a column in place; create a new table with the definition that you want, copy the rows with `INSERT INTO … SELECT`, drop the old table and rename the new one (`tatmig new --from-db` writes these statements)";
const REBUILD_FOR_KEY: &str = "SQLite cannot add this to an existing table; create a new table that has it, copy the rows with `INSERT INTO … SELECT`, drop the old table and rename the new one (`tatmig new --from-db` writes these statements)";
const DATE_FUNCTION: &str = "SQLite has `CURRENT_TIMESTAMP`, the time in UTC, and functions such as `datetime('now')`, `date('now', '-1 day')` and `strftime('%Y', column)`";
const UUID_FUNCTION: &str = "SQLite has no UUID function; write `lower(hex(randomblob(16)))` for 32 random hexadecimal digits";
const ROWS_ONLY: &str = "a migration changes a database and shows nothing; remove the statement (`tatmig schema` prints tables, `tatmig query SQL` prints rows)";

/// The first entry that matches counts. See [`Sign::Tokens`] for the patterns.
#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    // What is not SQL at all.
    tokens("^. *", "`.{1}` is a command of the sqlite3 shell and not SQL; remove the line, or write the SQL statement for it"),
    tokens("TABLE # *", "write `CREATE TEMP TABLE {1}` for a temporary table; a name cannot contain `#` without double quotes"),
    tokens("#", "`#` begins no comment in SQL; write `-- comment` or `/* comment */`"),
    tokens("/ /", "`//` begins no comment in SQL; write `-- comment` or `/* comment */`"),
    tokens("^DELIMITER", "`DELIMITER` belongs to the MySQL client; remove it, and end the body of each trigger with `END;`"),
    tokens("^GO", "`GO` belongs to other SQL shells; end each statement with `;`"),
    tokens("^USE", "a migration runs in the one database that tatmig migrates; remove the statement"),
    tokens("^SHOW|DESCRIBE|DESC", ROWS_ONLY),
    // ALTER TABLE.
    tokens("^ALTER TABLE * ADD UNIQUE INDEX|KEY * ()", "write `CREATE UNIQUE INDEX {2} ON {1} {3};`"),
    tokens("^ALTER TABLE * ADD UNIQUE ()", "SQLite has no UNIQUE constraint to add; write `CREATE UNIQUE INDEX {1}_unique ON {1} {2};`"),
    tokens("^ALTER TABLE * ADD CONSTRAINT * UNIQUE ()", "SQLite has no UNIQUE constraint to add; write `CREATE UNIQUE INDEX {2} ON {1} {3};`"),
    tokens("^ALTER TABLE * ADD INDEX|KEY * ()", "write `CREATE INDEX {2} ON {1} {3};`"),
    tokens("^ALTER TABLE * ADD PRIMARY|FOREIGN", REBUILD_FOR_KEY),
    tokens("^ALTER TABLE * ADD CONSTRAINT * PRIMARY|FOREIGN", REBUILD_FOR_KEY),
    tokens("^ALTER TABLE * MODIFY|CHANGE", REBUILD),
    tokens("^ALTER TABLE * ALTER COLUMN * SET|DROP DEFAULT", REBUILD),
    tokens("^ALTER TABLE * ALTER * SET|DROP DEFAULT", REBUILD),
    tokens("^ALTER TABLE * ALTER COLUMN * *", REBUILD),
    tokens("^ALTER TABLE * ALTER * *", REBUILD),
    tokens("^ALTER TABLE * ADD COLUMN IF NOT EXISTS", "write the statement without `IF NOT EXISTS`; tatmig skips it in a database that has the same column already"),
    tokens("^ALTER TABLE * ADD IF NOT EXISTS", "write the statement without `IF NOT EXISTS`; tatmig skips it in a database that has the same column already"),
    tokens("^ALTER TABLE * DROP COLUMN IF EXISTS", "write the statement without `IF EXISTS`; tatmig skips it in a database that does not have the column"),
    tokens("^ALTER TABLE IF EXISTS", "write the statement without `IF EXISTS`; the table exists in every database at this version"),
    tokens("^ALTER TABLE * ADD (", "write one statement for each column: `ALTER TABLE {1} ADD COLUMN …;`"),
    tokens("^ALTER TABLE * RENAME INDEX|KEY", "SQLite cannot rename an index; drop it with `DROP INDEX` and create it with `CREATE INDEX`"),
    tokens("^RENAME TABLE * TO *", "write `ALTER TABLE {1} RENAME TO {2};`"),
    Mistake { sign: Sign::SecondAlteration, help: "one `ALTER TABLE` makes one change; write a statement for each: `ALTER TABLE {1} ADD COLUMN …;`" },
    message("cannot add a unique column", "add the column without UNIQUE, then write `CREATE UNIQUE INDEX … ON …;`"),
    message("cannot add a primary key column", REBUILD_FOR_KEY),
    message("cannot add a stored column", "write `VIRTUAL` in place of `STORED`, or rebuild the table with the column"),
    // CREATE TABLE.
    tokens("AUTO_INCREMENT", "write `INTEGER PRIMARY KEY`, which numbers rows by itself, or `INTEGER PRIMARY KEY AUTOINCREMENT` if an id must never be used twice"),
    tokens("AS IDENTITY", "write `INTEGER PRIMARY KEY`, which numbers rows by itself, or `INTEGER PRIMARY KEY AUTOINCREMENT` if an id must never be used twice"),
    tokens("BY DEFAULT AS IDENTITY", "write `INTEGER PRIMARY KEY`, which numbers rows by itself"),
    message("autoincrement is only allowed on an integer primary key", "write exactly `INTEGER PRIMARY KEY AUTOINCREMENT`; with another type, such as INT or BIGINT, the column is no row id"),
    tokens(") ENGINE =", "SQLite has no storage engines; end the statement after `)`, or write `STRICT` or `WITHOUT ROWID` there"),
    tokens(") DEFAULT|CHARSET|CHARACTER|COLLATE|COMMENT|ROW_FORMAT", "SQLite has no such option of a table; end the statement after `)` (text is always Unicode)"),
    tokens(") AUTO_INCREMENT =", "SQLite has no such option of a table; end the statement after `)`"),
    tokens(") WITH (", "SQLite has no such option of a table; end the statement after `)`"),
    tokens(") PARTITION BY", "SQLite has no partitions; end the statement after `)`"),
    Mistake { sign: Sign::EnumType, help: "SQLite has no ENUM; write `{1} TEXT CHECK ({1} IN {2})`" },
    tokens("DEFAULT now|getdate|sysdate|current_timestamp (", "write `DEFAULT CURRENT_TIMESTAMP`, the time in UTC"),
    tokens("DEFAULT * ()", "a default that calls a function is written in brackets: `DEFAULT ({1}{2})`"),
    tokens("DEFAULT * (", "a default that calls a function is written in brackets: `DEFAULT ({1}(…))`"),
    tokens("ON UPDATE CURRENT_TIMESTAMP", "SQLite sets no column by itself on UPDATE; write a trigger: `CREATE TRIGGER … AFTER UPDATE ON … BEGIN UPDATE …; END;`"),
    tokens("ON UPDATE", "`ON UPDATE` is part of a foreign key, behind `REFERENCES`; to set a column on UPDATE, write a trigger"),
    tokens(", UNIQUE KEY|INDEX * ()", "write `UNIQUE {2}`, or `CREATE UNIQUE INDEX {1} ON … {2};` after the table"),
    tokens(", INDEX|KEY * ()", "SQLite creates an index with a statement of its own, after the table: `CREATE INDEX {1} ON … {2};`"),
    tokens(", INDEX|KEY ()", "SQLite creates an index with a statement of its own, after the table: `CREATE INDEX … ON … {1};`"),
    // Other definitions.
    tokens("^CREATE OR REPLACE VIEW *", "SQLite has no `OR REPLACE` here; write `DROP VIEW IF EXISTS {1};` and then `CREATE VIEW {1} …`"),
    tokens("^CREATE OR REPLACE TRIGGER *", "SQLite has no `OR REPLACE` here; write `DROP TRIGGER IF EXISTS {1};` and then `CREATE TRIGGER {1} …`"),
    tokens("^CREATE OR REPLACE TABLE *", "SQLite has no `OR REPLACE` here; write `CREATE TABLE IF NOT EXISTS {1} …`, or rebuild the table to change it"),
    tokens("^CREATE OR REPLACE", "SQLite has no `OR REPLACE`; write a `DROP … IF EXISTS` before the `CREATE`"),
    tokens("^CREATE MATERIALIZED VIEW", "SQLite has no materialized views; write `CREATE VIEW`, or a table that triggers keep current"),
    tokens("^CREATE TYPE|DOMAIN", "SQLite has no types of its own; write `CHECK (column IN ('…', '…'))` for the column"),
    tokens("^CREATE SEQUENCE", "SQLite has no sequences; `INTEGER PRIMARY KEY` numbers rows by itself"),
    tokens("^CREATE|DROP DATABASE|SCHEMA", "a database of SQLite is a file, which `tatmig init` creates; remove the statement"),
    tokens("^CREATE FUNCTION|PROCEDURE|EVENT|RULE|POLICY", "SQLite stores no functions; write a trigger (`CREATE TRIGGER`), or do the work in the application"),
    tokens("^CREATE EXTENSION", "load an extension with `[[extension]]` in tatmig.toml; remove the statement"),
    tokens("^CREATE USER|ROLE", "SQLite has no users; remove the statement"),
    tokens("^CREATE INDEX CONCURRENTLY *", "write `CREATE INDEX` without `CONCURRENTLY`"),
    tokens("^CREATE UNIQUE INDEX CONCURRENTLY *", "write `CREATE UNIQUE INDEX` without `CONCURRENTLY`"),
    tokens("INDEX ON", "an index needs a name: `CREATE INDEX name ON …`"),
    tokens("^CREATE INDEX * ON * USING", "write `CREATE INDEX {1} ON {2} (…)`; SQLite has one kind of index"),
    tokens("^CREATE UNIQUE INDEX * ON * USING", "write `CREATE UNIQUE INDEX {1} ON {2} (…)`; SQLite has one kind of index"),
    tokens("^DROP INDEX * ON", "write `DROP INDEX {1};`: the name of an index is unique in the database"),
    tokens("CASCADE|RESTRICT", "SQLite has no `{at}` here; drop what depends on the object with statements of their own, first"),
    tokens("^COMMENT ON", "SQLite has no comments on objects; write `-- comment` inside the `CREATE` statement, which SQLite keeps"),
    tokens("^GRANT|REVOKE", "SQLite has no users and privileges; remove the statement"),
    tokens("^LOCK|UNLOCK", "tatmig locks each database while it migrates it; remove the statement"),
    tokens("^SET", "SQLite has no `SET` statement; a setting is a `PRAGMA`, and a row is changed with `UPDATE … SET`"),
    tokens("^START TRANSACTION", "tatmig runs all migrations of a database in one transaction; remove the statement"),
    tokens("EXECUTE FUNCTION|PROCEDURE", "write the statements of a trigger between `BEGIN` and `END;`"),
    tokens("^DO|CALL|EXEC|EXECUTE", "SQLite runs no procedures; write the statements themselves"),
    tokens("^TRUNCATE TABLE *", "write `DELETE FROM {1};`"),
    tokens("^TRUNCATE *", "write `DELETE FROM {1};`"),
    // Rows.
    tokens("ON DUPLICATE KEY UPDATE", "write `ON CONFLICT (…) DO UPDATE SET …`, with the columns of the unique key in the brackets"),
    tokens("^INSERT IGNORE", "write `INSERT OR IGNORE INTO …`"),
    tokens("^INSERT OVERWRITE", "write `INSERT OR REPLACE INTO …`"),
    tokens("^UPDATE * JOIN|INNER|LEFT", "write `UPDATE {1} SET … FROM … WHERE …`"),
    tokens("^UPDATE * AS|* JOIN|INNER|LEFT", "write `UPDATE {1} SET … FROM … WHERE …`"),
    tokens("^DELETE * FROM", "write `DELETE FROM … WHERE id IN (SELECT …)`"),
    tokens("^DELETE FROM * USING", "write `DELETE FROM {1} WHERE id IN (SELECT …)`"),
    Mistake { sign: Sign::LimitedChange, help: "write `WHERE rowid IN (SELECT rowid FROM … LIMIT …)`" },
    tokens("ILIKE", "write `LIKE`, which ignores the case of ASCII letters in SQLite"),
    tokens("RLIKE|SIMILAR|REGEXP", "write `LIKE` or `GLOB`; SQLite has no regular expressions of its own"),
    tokens(": :", "write `CAST(… AS …)` in place of `::`"),
    tokens("INTERVAL *", "write a modifier: `datetime('now', '-1 day')`"),
    tokens("SELECT TOP *", "write `LIMIT {1}` at the end of the SELECT"),
    tokens("FOR UPDATE|SHARE", "remove `FOR {at}`: a migration has the database to itself"),
    Mistake { sign: Sign::BackslashQuote, help: "a backslash escapes nothing in SQLite; write a quote inside a string twice: `'it''s'`" },
    message("should this be a string literal", "double quotes are for names; write a string in single quotes: '…'"),
    function("now getdate sysdate curdate curtime current_date current_time sysutcdatetime utc_timestamp localtimestamp", DATE_FUNCTION),
    function("date_format to_char date_add date_sub dateadd datediff date_trunc date_part year month day hour minute second str_to_date to_date to_timestamp from_unixtime", DATE_FUNCTION),
    function("unix_timestamp", "write `unixepoch()`, or `unixepoch(column)`"),
    function("uuid newid gen_random_uuid uuid_generate_v4 uuidv4 uuidv7", UUID_FUNCTION),
    function("left", "write `substr(text, 1, count)`"),
    function("right", "write `substr(text, -count)`"),
    function("mid substring_index split_part", "write `substr(text, start, count)` and `instr(text, part)`"),
    function("len char_length character_length", "write `length(text)`"),
    function("locate position charindex strpos", "write `instr(text, part)`"),
    function("isnull nvl", "write `ifnull(value, other)` or `coalesce(value, …)`"),
    function("rand", "write `random()`"),
    function("lcase", "write `lower(text)`"),
    function("ucase", "write `upper(text)`"),
    function("greatest", "write `max(first, second)`"),
    function("least", "write `min(first, second)`"),
    function("array_agg listagg", "write `group_concat(value, ',')`, or `json_group_array(value)`"),
    function("nextval currval setval", "SQLite has no sequences; `INTEGER PRIMARY KEY` numbers rows by itself"),
    function("regexp regexp_replace regexp_like regexp_matches", "SQLite has no regular expressions of its own; write `LIKE`, `GLOB` or `replace(text, old, new)`"),
    function("last_insert_id", "write `last_insert_rowid()`"),
    function("row_count", "write `changes()`"),
    // Punctuation.
    Mistake { sign: Sign::TriggerStatement, help: "the body of a trigger holds only `INSERT`, `UPDATE`, `DELETE` and `SELECT`" },
    Mistake { sign: Sign::MissingSemicolon, help: "end the statement above with `;`" },
    tokens(", )|;|FROM|WHERE|VALUES|GROUP|ORDER|SET", "remove the comma before `{at}`" ),
    Mistake { sign: Sign::OpenBracket, help: "a bracket `(` is not closed; write `)` before `{at}`" },
    Mistake { sign: Sign::ExtraBracket, help: "no bracket `(` is open here; remove `)`" },
    Mistake { sign: Sign::NameWithDigit, help: "a name that begins with a digit is written in double quotes: `\"{at}\"`" },
    Mistake { sign: Sign::ReservedWord, help: "`{at}` is a keyword of SQL; write a name like this in double quotes: `\"{at}\"`" },
    tokens("- *", "a name with `-` in it is written in double quotes: `\"…-{1}\"`"),
];

/// What to write instead of a frequent mistake, if the statement that SQLite rejected has one.
/// `offset` is SQLite's offset of the error in the statement.
pub(crate) fn help(statement: &str, message: &str, offset: Option<usize>) -> Option<String> {
    let failed = FailedStatement::new(statement, message, offset);
    MISTAKES.iter().find_map(|mistake| {
        let captured = failed.find(&mistake.sign)?;
        Some(captured.fill(mistake.help))
    })
}
