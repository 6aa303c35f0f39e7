//! Guards that hide something: `IF NOT EXISTS` over an object that the document has made before
//! with another definition. The statement then changes nothing, and says nothing.

use crate::document::diagnostic::{Problem, Rule};
use crate::lint::context::Made;
use crate::lint::sandbox::Stage;
use crate::schema::{Key, Kind, Schema, compare};
use crate::source::Piece;
use crate::sql::lexer;
use crate::sql::tokens::Words;

/// Looks at a statement before it runs.
pub(crate) fn judge(
    stage: &mut Stage,
    (statement, made): (&Piece<'_>, &Made),
    problems: &mut Vec<Problem>,
) -> rusqlite::Result<()> {
    let words = Words::of(statement.text());
    let Some((kind, at)) = guarded(&words) else { return Ok(()) };
    let key = Key::new(kind, &words.name(at));
    let Some(existing) = stage.schema().get(&key).cloned() else { return Ok(()) };
    let wanted = stage.aside(|stage| {
        // What the statement would have made, if nothing had been there.
        let drop = format!("DROP {} {}", existing.kind, lexer::quote(&existing.name));
        let gone = stage.run(&drop)?.result.is_ok();
        let made = gone && stage.run(statement.text())?.result.is_ok();
        Ok(made.then(|| stage.schema().get(&key).cloned()).flatten())
    })?;
    let Some(wanted) = wanted else { return Ok(()) };
    let one = |object| Schema::from([(key.clone(), object)]);
    let differences = compare::differences(&one(wanted), &one(existing.clone()));
    if differences.is_empty() {
        return Ok(());
    }
    let name = &existing.name;
    let mut problem = Problem::new(
        Rule::HidingGuard,
        words.span(statement, 0, at),
        format!(
            "the {} `{name}` is there already and not as this has it, so this does nothing: {}",
            existing.kind,
            differences.join("; ")
        ),
    )
    .help(match existing.kind {
        Kind::Table => format!("change it with `ALTER TABLE {name}`, or rebuild it"),
        kind => {
            format!("put `DROP {} IF EXISTS {name};` before it", kind.to_string().to_uppercase())
        }
    });
    if let Some(span) = made.get(&key) {
        problem = problem.related(span.clone(), "made or last changed here");
    }
    problems.push(problem);
    Ok(())
}

/// The kind and the name of what `CREATE … IF NOT EXISTS` would make, outside of `temp`.
fn guarded(words: &Words<'_>) -> Option<(Kind, usize)> {
    if !words.is(0, "CREATE") {
        return None;
    }
    let at = if words.is(1, "UNIQUE") || words.is(1, "VIRTUAL") { 2 } else { 1 };
    let kind = match words.text(at).to_ascii_uppercase().as_str() {
        "TABLE" => Kind::Table,
        "INDEX" => Kind::Index,
        "VIEW" => Kind::View,
        "TRIGGER" => Kind::Trigger,
        _ => return None,
    };
    let name = at + 4;
    let temporary = words.is(name + 1, ".") && words.is_name(name, "temp");
    (words.are(at + 1, &["IF", "NOT", "EXISTS"]) && !temporary)
        .then(|| (kind, words.qualified(name)))
}
