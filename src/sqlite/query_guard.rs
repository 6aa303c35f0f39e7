//! Decides which actions of SQLite's authorizer a statement of `tatmig query` may use: those that only
//! read.

use rusqlite::hooks::{AuthAction, AuthContext};

use crate::sql::pragmas::is_reading_pragma;

/// Why an action is denied in a query; `None` if it only reads.
pub(crate) fn query_denial(context: &AuthContext<'_>) -> Option<String> {
    use AuthAction as A;
    match context.action {
        A::Select | A::Recursive | A::Read { .. } => None,
        A::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
            None
        }
        A::Function { function_name } => {
            Some(format!("`{function_name}` is not allowed in a query"))
        }
        A::Pragma { pragma_name, pragma_value } => (!is_reading_pragma(pragma_name, pragma_value))
            .then(|| {
                format!("`PRAGMA {pragma_name}` is not allowed in a query: it may change something")
            }),
        _ => Some("`query` only reads databases, and this statement writes".to_owned()),
    }
}
