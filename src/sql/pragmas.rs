//! Lists the PRAGMAs that only read, for blocks and for queries.

/// PRAGMAs that only read, with or without a value.
const READ_ONLY_PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// PRAGMAs that read without a value and set something with one.
const READ_ONLY_WITHOUT_VALUE_PRAGMAS: &[&str] = &[
    "application_id",
    "auto_vacuum",
    "data_version",
    "encoding",
    "journal_mode",
    "page_size",
    "schema_version",
    "synchronous",
    "user_version",
];

/// Whether a PRAGMA only reads.
pub(crate) fn is_reading_pragma(name: &str, value: Option<&str>) -> bool {
    let is_in = |list: &[&str]| list.iter().any(|pragma| pragma.eq_ignore_ascii_case(name));
    is_in(READ_ONLY_PRAGMAS) || (value.is_none() && is_in(READ_ONLY_WITHOUT_VALUE_PRAGMAS))
}
