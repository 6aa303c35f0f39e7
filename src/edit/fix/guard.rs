//! Adds `IF NOT EXISTS`, `IF EXISTS` or `OR IGNORE` to a statement that fails when it runs again.

use crate::document::diagnostic::Diagnostic;
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::sql::object_statement::{ObjectStatement, ObjectVerb};
use crate::sql::tokens::Tokens;

pub(crate) fn add_guard(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let found = context.statement_at(finding.span.start)?;
    let safety = context.sql_safety(found.step)?;
    let sql = &found.statement.sql;
    let tokens = Tokens::new(sql.text());
    let insert_behind = |index: usize, text: &str| {
        let offset = sql.document_span(tokens.byte_range(index)).end;
        vec![TextEdit::new(offset..offset, text)]
    };
    if let Some(object) = ObjectStatement::parse(&tokens) {
        let guard = match object.verb {
            ObjectVerb::Create => "IF NOT EXISTS",
            ObjectVerb::Drop => "IF EXISTS",
        };
        let edits = insert_behind(object.kind, &format!(" {guard}"));
        return (!object.has_guard)
            .then(|| Fix::new(finding, safety, format!("add `{guard}`"), edits));
    }
    let keyword = tokens.main_keyword();
    let violates_constraint = finding.message.contains("constraint failed");
    if violates_constraint && tokens.is(keyword, "INSERT") && tokens.is(keyword + 1, "INTO") {
        // Rows that are refused for another reason would be passed over as well.
        let title = "write `INSERT OR IGNORE`";
        let edits = insert_behind(keyword, " OR IGNORE");
        return Some(Fix::new(finding, FixSafety::NeedsPerson, title, edits));
    }
    None
}
