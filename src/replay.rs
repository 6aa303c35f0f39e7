//! The document run in memory, before any database is opened for writing: every statement is
//! tried on what the document itself makes, split by SQLite, watched by the guard, and its
//! effects on the schema are kept. Verdicts, expectations and statements of the real runs all
//! come from here.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, ErrorCode};

use crate::database::apply::{error_span, put_back, whole_span};
use crate::database::effects::{self, Deeds, Effects};
use crate::database::file::{STOP_CHECK_INTERVAL, harden};
use crate::database::guard::{Guard, Seen};
use crate::database::history;
use crate::database::message;
use crate::database::order::{ColumnChange, Script, Statement};
use crate::database::schema::{self, Churn, Schema, Table, Tracked};
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::Migration;
use crate::document::problem::{Problem, Rule, Severity};
use crate::document::source::Piece;
use crate::document::sql;
use crate::document::tag::Scope;
use crate::plan::Standing;

/// What the replay found out.
#[derive(Debug)]
pub struct Replay<'a> {
    scripts: [BTreeMap<StepId, Script<'a>>; 2],
    /// Problems, with the position of the version that they stand in the way of.
    problems: Vec<(usize, Problem)>,
}

/// No target is so far that a reverse block or a seed stands in its way.
const NEVER: usize = usize::MAX;

impl<'a> Replay<'a> {
    /// Runs the whole document.
    ///
    /// # Errors
    ///
    /// SQLite's, if not even an empty database in memory can be made, or if `stop` was set.
    pub fn run(changelog: &Changelog<'a>, stop: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut replay = Self { scripts: Default::default(), problems: Vec::new() };
        for scope in Scope::BOTH {
            if changelog.has(scope) || changelog.seeds().iter().any(|seed| seed.scope == scope) {
                replay.track(changelog, scope, stop)?;
            }
        }
        replay.problems.sort_by_key(|(_, problem)| problem.span.start);
        Ok(replay)
    }

    fn track(
        &mut self,
        changelog: &Changelog<'a>,
        scope: Scope,
        stop: &Arc<AtomicBool>,
    ) -> rusqlite::Result<()> {
        let mut scratch = Scratch::new(stop)?;
        let lowest = &changelog.baselines()[0];
        self.step(&mut scratch, scope, (StepId::Baseline(0), lowest, 0))?;
        for (at, migration) in changelog.chain().iter().enumerate() {
            self.step(&mut scratch, scope, (StepId::Forward(at), migration, at + 1))?;
            if let Some(reverse) = changelog.step(StepId::Reverse(at)) {
                self.aside(&mut scratch, scope, (StepId::Reverse(at), reverse))?;
            }
        }
        for (at, baseline) in changelog.baselines().iter().enumerate() {
            let mut scratch = Scratch::new(stop)?;
            let position = baseline.to.version().and_then(|to| changelog.position(to)).unwrap_or(0);
            if at > 0 {
                self.step(&mut scratch, scope, (StepId::Baseline(at), baseline, position))?;
                let chain = self.schema_at(scope, position);
                let broken = self.problems.iter().any(|(_, p)| p.severity == Severity::Error);
                if baseline.part(scope).is_some() && !broken {
                    let differences = effects::differences(&chain, scratch.tracked.schema());
                    if !differences.is_empty() {
                        let problem = baselines_differ(baseline, scope, &differences);
                        self.problems.push((position, problem));
                    }
                }
            }
            if let Some(reverse) = changelog.step(StepId::Unbaseline(at)) {
                if at == 0 {
                    let mut ignored = Self { scripts: Default::default(), problems: Vec::new() };
                    ignored.step(&mut scratch, scope, (StepId::Baseline(0), baseline, 0))?;
                }
                self.aside(&mut scratch, scope, (StepId::Unbaseline(at), reverse))?;
            }
        }
        let seeds = changelog.seeds().iter().enumerate();
        for (at, seed) in seeds.filter(|(_, seed)| seed.scope == scope) {
            scratch.connection.execute_batch("SAVEPOINT aside")?;
            let run = scratch.run(&seed.part.sql)?;
            self.problems.extend(run.problems.into_iter().map(|problem| (NEVER, problem)));
            self.scripts[scope as usize].insert(StepId::Seed(at), run.script);
            scratch.take_back()?;
        }
        Ok(())
    }

    /// Runs one migration's part and keeps its script.
    fn step(
        &mut self,
        scratch: &mut Scratch,
        scope: Scope,
        (id, migration, position): (StepId, &Migration<'a>, usize),
    ) -> rusqlite::Result<()> {
        let Some(part) = migration.part(scope) else {
            self.scripts[scope as usize].insert(id, Script::default());
            return Ok(());
        };
        let mut run = scratch.run(&part.sql)?;
        run.script.allowed = part.allows.iter().map(|allowance| allowance.rule).collect();
        run.problems.retain(|problem| {
            problem.severity == Severity::Error || !run.script.allows(problem.rule)
        });
        self.problems.extend(run.problems.into_iter().map(|problem| (position, problem)));
        self.scripts[scope as usize].insert(id, run.script);
        Ok(())
    }

    /// Runs a reverse block and takes back what it did.
    fn aside(
        &mut self,
        scratch: &mut Scratch,
        scope: Scope,
        (id, migration): (StepId, &Migration<'a>),
    ) -> rusqlite::Result<()> {
        scratch.connection.execute_batch("SAVEPOINT aside")?;
        self.step(scratch, scope, (id, migration, NEVER))?;
        scratch.take_back()
    }

    /// The problems for a run up to a position: what fails beyond it is a warning.
    pub fn problems(&self, target: usize) -> impl Iterator<Item = Problem> + '_ {
        self.problems.iter().map(move |(position, problem)| {
            let severity = problem.severity;
            let beyond = *position > target && severity == Severity::Error;
            problem.clone().severity(if beyond { Severity::Warning } else { severity })
        })
    }

    /// The problems for a run of some steps down from head: what fails in another reverse block or
    /// in a seed is a warning.
    pub fn problems_down<'r>(
        &'r self,
        changelog: &'r Changelog<'_>,
        ids: &'r BTreeSet<StepId>,
    ) -> impl Iterator<Item = Problem> + 'r {
        let concerned = move |problem: &Problem| {
            let mut steps = ids.iter().filter_map(|id| changelog.step(*id));
            steps.any(|step| {
                let parts = Scope::BOTH.into_iter().filter_map(|scope| step.part(scope));
                parts
                    .map(|part| part.sql.span(0..part.sql.text().len()))
                    .any(|span| span.start <= problem.span.start && problem.span.start <= span.end)
            })
        };
        let head = changelog.head_position();
        self.problems
            .iter()
            .zip(self.problems(head))
            .map(move |((_, full), problem)| if concerned(full) { full.clone() } else { problem })
    }

    /// Every problem with its full weight.
    pub fn all_problems(&self) -> impl Iterator<Item = Problem> + '_ {
        self.problems.iter().map(|(_, problem)| problem.clone())
    }

    /// The script of a step; each step of the changelog has one.
    pub(crate) fn script(&self, scope: Scope, id: StepId) -> Option<&Script<'a>> {
        self.scripts[scope as usize].get(&id)
    }

    /// The schema that the document describes at a position.
    pub(crate) fn schema_at(&self, scope: Scope, position: usize) -> Schema {
        let mut schema = Schema::new();
        let ids = std::iter::once(StepId::Baseline(0)).chain((0..position).map(StepId::Forward));
        self.follow(&mut schema, scope, ids);
        schema
    }

    /// What a schema lacks of what the document makes up to a position, each in words.
    pub(crate) fn missing(&self, scope: Scope, (position, is): (usize, &Schema)) -> Vec<String> {
        let effects = Effects::between(&Schema::new(), &self.schema_at(scope, position));
        effects.missing_in(|key| is.get(key).map(AsRef::as_ref))
    }

    fn follow(&self, schema: &mut Schema, scope: Scope, ids: impl Iterator<Item = StepId>) {
        for script in ids.filter_map(|id| self.script(scope, id)) {
            schema::apply(schema, &script.changes);
        }
    }

    /// What steps must have done to a database that stood somewhere.
    pub(crate) fn effects(&self, scope: Scope, standing: Standing, steps: &[StepId]) -> Effects {
        let before = match standing {
            Standing::At(position) => self.schema_at(scope, position),
            Standing::New | Standing::BelowBaseline | Standing::Matched(_) => Schema::new(),
        };
        let mut after = match standing {
            Standing::Matched(position) => self.schema_at(scope, position),
            _ => before.clone(),
        };
        self.follow(&mut after, scope, steps.iter().copied());
        let scripts = steps.iter().filter_map(|id| self.script(scope, *id));
        let mut deeds = Deeds::default();
        for script in scripts.clone() {
            deeds.renames.extend(script.deeds.renames.iter().cloned());
            deeds.renamed_columns.extend(script.deeds.renamed_columns.iter().cloned());
            deeds.made.extend(script.deeds.made.iter().cloned());
        }
        let rebuilt = scripts.flat_map(|script| &script.rebuilt);
        Effects::of(&deeds, &before, &after).with_rebuilt(rebuilt, &after)
    }
}

fn baselines_differ(baseline: &Migration<'_>, scope: Scope, differences: &[String]) -> Problem {
    let span = baseline.part(scope).map_or(baseline.span.clone(), |part| part.span.clone());
    Problem::new(
        Rule::BaselinesDiffer,
        span,
        format!(
            "this baseline does not end in the schema that the {scope} migrations up to `{}` end in: {}",
            baseline.to,
            differences.join("; ")
        ),
    )
    .help("databases made from it would differ from migrated ones; make the two agree")
}

/// A database in memory that blocks are tried on.
struct Scratch {
    connection: Connection,
    guard: Guard,
    tracked: Tracked,
    /// After a first failure, what is missing may only be missing because of it.
    failed: Cell<bool>,
}

struct Run<'a> {
    script: Script<'a>,
    problems: Vec<Problem>,
}

/// What an ALTER TABLE found.
struct Before {
    table: String,
    structure: Table,
    names: BTreeSet<String>,
}

/// How one statement ended.
enum Verdict {
    Ran,
    /// It did not, and the next one may be tried.
    Refused(Problem),
    /// It did not, and where the next one begins is not known.
    Lost(Problem),
}

impl Scratch {
    fn new(stop: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        harden(&connection)?;
        let stop = stop.clone();
        connection
            .progress_handler(STOP_CHECK_INTERVAL, Some(move || stop.load(Ordering::Relaxed)))?;
        let guard = Guard::install(&mut connection)?;
        // The record is there as it is in every real run, for blocks to keep their hands off.
        history::create(&connection)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self { connection, guard, tracked: Tracked::default(), failed: Cell::new(false) })
    }

    /// Ends what began with `SAVEPOINT aside` as if it had not been.
    fn take_back(&mut self) -> rusqlite::Result<()> {
        // A block that ended the transaction took the savepoint with it.
        if self.connection.execute_batch("ROLLBACK TO aside; RELEASE aside").is_ok() {
            self.tracked.refresh(&self.connection, Churn::Changed)?;
        }
        Ok(())
    }

    fn run<'a>(&mut self, block: &Piece<'a>) -> rusqlite::Result<Run<'a>> {
        let mut run = Run { script: Script::default(), problems: Vec::new() };
        let mut churn = Churn::None;
        let mut dropped = Vec::new();
        let text = block.text();
        let mut at = sql::skip_empty(text, 0);
        while at < text.len() {
            let (end, verdict) =
                self.statement(block, at, (&mut run.script, &mut churn, &mut dropped))?;
            match verdict {
                Verdict::Ran => {}
                Verdict::Refused(problem) => run.problems.push(problem),
                Verdict::Lost(problem) => {
                    run.problems.push(problem);
                    break;
                }
            }
            at = sql::skip_empty(text, end);
        }
        if run.script.leaves_state {
            put_back(&self.connection)?;
        }
        // Known by its name before the block, a table that it dropped may stand again after it.
        dropped.retain(|name| self.tracked.has_table(name));
        run.script.changes = self.tracked.refresh(&self.connection, churn)?;
        dropped.retain(|name| self.tracked.has_table(name));
        run.script.rebuilt = dropped;
        Ok(run)
    }

    /// Prepares, runs and notes the statement at `at`; returns where it ends.
    fn statement<'a>(
        &self,
        block: &Piece<'a>,
        at: usize,
        (script, churn, dropped): (&mut Script<'a>, &mut Churn, &mut Vec<String>),
    ) -> rusqlite::Result<(usize, Verdict)> {
        let text = block.text();
        let (end, prepared) = split(&self.connection, &self.guard, (text, at));
        let piece = block.slice(at..end);
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.guard.lower();
                return Ok((end, self.failure(&piece, &error)));
            }
        };
        if prepared.parameter_count() > 0 {
            self.guard.lower();
            return Ok((end, Verdict::Refused(parameter(&piece))));
        }
        let seen = self.guard.seen();
        if (seen.churn != Churn::None || seen.temporary)
            && let Some(problem) = own_name(&piece)
        {
            self.guard.lower();
            return Ok((end, Verdict::Refused(problem)));
        }
        let altered = match &seen.altered {
            Some(table) => {
                self.guard.lower();
                let before = Before {
                    table: table.clone(),
                    structure: Table::read(&self.connection, table)?,
                    names: self.table_names()?,
                };
                self.guard.raise();
                Some(before)
            }
            None => None,
        };
        let changes_rows = seen.churn == Churn::None && !prepared.readonly();
        let result = {
            let mut rows = prepared.raw_query();
            loop {
                match rows.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        };
        self.guard.lower();
        drop(prepared);
        let result = match result {
            // SQLite rolls an interrupted write's transaction back; no block is to blame.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Err(error);
            }
            result => result,
        };
        if self.connection.is_autocommit() {
            let problem = ended(&piece, result.err().as_ref());
            self.connection.execute_batch("BEGIN")?;
            self.failed.set(true);
            return Ok((end, Verdict::Lost(problem)));
        }
        let verdict = match result {
            Ok(()) => Verdict::Ran,
            Err(error)
                if changes_rows
                    && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                Verdict::Refused(constraint(&piece, &error))
            }
            Err(error) => return Ok((end, self.failure(&piece, &error))),
        };
        *churn = (*churn).max(seen.churn);
        let column = match altered {
            Some(before) => self.alteration(script, &seen, before)?,
            None => None,
        };
        if seen.dropped.is_none() {
            script.removed.extend(seen.removed);
        }
        if let Some(table) = seen.dropped {
            // A table renamed out of the way is known by its first name.
            let back = script.deeds.renames.iter().rev();
            dropped.push(
                back.fold(table, |name, (from, to)| if *to == name { from.clone() } else { name }),
            );
        }
        script.touched.extend(seen.written);
        script.updated.extend(seen.updated);
        script.deeds.made.extend(seen.made);
        script.leaves_state |= seen.temporary || seen.pragma;
        script.statements.push(Statement { sql: piece, column });
        Ok((end, verdict))
    }

    fn table_names(&self) -> rusqlite::Result<BTreeSet<String>> {
        let mut names = self
            .connection
            .prepare("SELECT lower(name) FROM sqlite_schema WHERE type = 'table'")?;
        names.query_map([], |row| row.get(0))?.collect()
    }

    /// What an ALTER TABLE did: a column that may be there already elsewhere, or a table whose
    /// keys need another look.
    fn alteration(
        &self,
        script: &mut Script<'_>,
        seen: &Seen,
        before: Before,
    ) -> rusqlite::Result<Option<ColumnChange>> {
        let Before { table, structure: before, names } = before;
        let lower = table.to_ascii_lowercase();
        if seen.renames_table {
            let new = self.table_names()?.into_iter().find(|name| !names.contains(name));
            script.deeds.renames.extend(new.map(|new| (lower.clone(), new)));
            script.touched.insert(lower);
            return Ok(None);
        }
        let after = Table::read(&self.connection, &table)?;
        let added = after.columns.iter().find(|column| before.column(&column.name).is_none());
        let dropped = before.columns.iter().find(|column| after.column(&column.name).is_none());
        match (added, dropped) {
            (Some(column), None) => {
                let Some(definition) = after.definition(&column.name) else { return Ok(None) };
                if !definition.foreign_keys.is_empty() {
                    script.touched.insert(lower);
                }
                Ok(Some(ColumnChange::Added { table, definition }))
            }
            (None, Some(column)) => {
                Ok(Some(ColumnChange::Dropped { table, column: column.name.clone() }))
            }
            (added, _) => {
                if let Some(column) = added {
                    let column = column.name.to_ascii_lowercase();
                    script.deeds.renamed_columns.push((lower.clone(), column));
                }
                script.touched.insert(lower);
                Ok(None)
            }
        }
    }

    /// A statement that SQLite or the guard refused.
    fn failure(&self, piece: &Piece<'_>, error: &rusqlite::Error) -> Verdict {
        let words = message(error);
        if let Some(reason) = self.guard.refused() {
            let verdict =
                if sql::is_trigger(piece.text()) { Verdict::Lost } else { Verdict::Refused };
            return verdict(
                Problem::new(Rule::RefusedStatement, whole_span(piece), reason)
                    .help("remove the statement"),
            );
        }
        // The parser gave up, so that the next semicolon may stand inside the body of a trigger.
        let lost = words == "incomplete input"
            || sql::is_trigger(piece.text())
            || ["syntax error", "unrecognized token"].iter().any(|kind| words.contains(kind))
                && sql::tokens(piece.text(), 0).any(|token| {
                    let word = &piece.text()[token.range];
                    word.eq_ignore_ascii_case("TRIGGER") || word.eq_ignore_ascii_case("BEGIN")
                });
        let shown = words.replace("no such table: main.", "no such table: ");
        let mut problem = Problem::new(Rule::Sql, error_span(piece, error), shown);
        if words.starts_with("no such")
            || words.starts_with("table ") && words.contains("has no column")
        {
            problem = problem.help(if self.failed.get() {
                "an earlier statement failed; this may only follow from it"
            } else {
                "a block may use only what the document has made up to there"
            });
        } else if words.starts_with("duplicate column name") {
            let creates = piece.text().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("create"));
            problem = problem.help(if creates {
                "a table has each column once"
            } else {
                "the document itself has made this column before"
            });
        } else if words.contains("already exists") {
            problem = problem.help("the document itself has made it before; for databases that may hold it already, write `IF NOT EXISTS`");
        } else if words == "incomplete input" {
            problem = problem.help(
                "the block ends before this statement does; the body of a trigger ends with `END;`",
            );
        } else if lost {
            problem = problem.help("what follows in this block is looked at once this is mended");
        } else if words.starts_with("cannot VACUUM") {
            problem = problem.help("remove the statement: a block runs inside a transaction");
        } else if words.ends_with("may not be modified") {
            problem = problem.help("change the schema with `CREATE`, `ALTER` and `DROP`");
        }
        self.failed.set(true);
        if lost { Verdict::Lost(problem) } else { Verdict::Refused(problem) }
    }
}

/// Finds the statement that begins at `at`. SQLite decides where it ends: text is given to it up
/// to a semicolon, and up to later ones for as long as it calls the input incomplete, which it
/// does inside a trigger. The guard stays up.
fn split<'c>(
    connection: &'c Connection,
    guard: &Guard,
    (text, at): (&str, usize),
) -> (usize, rusqlite::Result<rusqlite::Statement<'c>>) {
    let mut ends = sql::tokens(text, at)
        .filter(|token| token.kind == sql::Kind::Semicolon)
        .map(|token| token.range.end);
    let first = ends.next().unwrap_or(text.len());
    let mut end = first;
    // Doubling keeps a trigger of many statements, or one that never ends, from costing a square.
    let mut stride = 1;
    loop {
        guard.raise_and_note();
        match Batch::new(connection, &text[at..end]).next().and_then(found) {
            Ok(prepared) => {
                // SQLite keeps the text of the statement alone, so its length tells the end.
                // With parameters it does not; such a statement is refused anyway.
                let length = prepared.expanded_sql().map_or(end - at, |sql| sql.len());
                let end = if prepared.parameter_count() == 0 { at + length } else { end };
                return (end, Ok(prepared));
            }
            Err(error) if message(&error) == "incomplete input" && end < text.len() => {
                end = (0..stride).fold(end, |_, _| ends.next().unwrap_or(text.len()));
                stride *= 2;
            }
            Err(error) => return (first.max(at + 1), Err(error)),
        }
    }
}

/// The text begins with something that is neither blank nor comment, so there is a statement.
fn found(statement: Option<rusqlite::Statement<'_>>) -> rusqlite::Result<rusqlite::Statement<'_>> {
    statement.ok_or(rusqlite::Error::InvalidQuery)
}

/// A statement that names tatmig's record where the authorizer does not see it yet: in the body
/// of a trigger or a view, as the target of a foreign key or of a new name.
fn own_name(piece: &Piece<'_>) -> Option<Problem> {
    let text = piece.text();
    let name = |token: &sql::Token| {
        text[token.range.clone()].trim_matches(['"', '`', '\'', '[', ']']).to_owned()
    };
    let token = sql::tokens(text, 0)
        .filter(|token| matches!(token.kind, sql::Kind::Word | sql::Kind::Quoted))
        .find(|token| schema::is_own(&name(token)))?;
    Some(
        Problem::new(
            Rule::RefusedStatement,
            piece.span(token.range.clone()),
            format!("`{}` is tatmig's own record: no block may read or change it", name(&token)),
        )
        .help("names that begin with `_tatmig_` are tatmig's; use another one"),
    )
}

fn parameter(piece: &Piece<'_>) -> Problem {
    let text = piece.text();
    let at = sql::tokens(text, 0)
        .find(|token| {
            let token_text = &text[token.range.clone()];
            token_text.starts_with(['?', ':', '@', '$'])
        })
        .map_or(0..1, |token| {
            let name = sql::tokens(text, token.range.end).next();
            let end = name.filter(|name| name.kind == sql::Kind::Word).map(|name| name.range.end);
            token.range.start..end.unwrap_or(token.range.end)
        });
    Problem::new(
        Rule::Parameter,
        piece.span(at),
        "a parameter in a block: nobody gives it a value, and SQLite would take it for NULL",
    )
    .help("write the value itself")
}

fn ended(piece: &Piece<'_>, error: Option<&rusqlite::Error>) -> Problem {
    let words = error.map(message).unwrap_or_default();
    Problem::new(
        Rule::EndedTransaction,
        error.map_or_else(|| whole_span(piece), |error| error_span(piece, error)),
        format!("this statement ends the transaction of the whole run: {words}"),
    )
    .help("write `INSERT OR ABORT`, `OR IGNORE` or `RAISE(ABORT, …)`; `ROLLBACK` has no place in a block")
}

fn constraint(piece: &Piece<'_>, error: &rusqlite::Error) -> Problem {
    Problem::new(
        Rule::Constraint,
        error_span(piece, error),
        format!("in an otherwise empty database this statement fails: {}", message(error)),
    )
    .help("real rows may decide otherwise; `INSERT OR IGNORE` makes it safe to run again")
}
