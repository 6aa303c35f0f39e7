//! Follows the tables of a block from statement to statement: which ones the block created, and in
//! which ones no row can exist.

use std::collections::BTreeSet;

use crate::lint::context::{BlockRun, StatementRun};
use crate::schema::{ObjectKey, ObjectKind};
use crate::sql::tokens::Tokens;

/// The state of the tables after the statements of a block so far.
#[derive(Default)]
pub(crate) struct CreatedTables {
    created: BTreeSet<ObjectKey>,
    /// The new names of tables that existed before the block.
    renamed: BTreeSet<ObjectKey>,
    empty: BTreeSet<ObjectKey>,
}

impl CreatedTables {
    pub(crate) fn add(&mut self, statement_run: &StatementRun<'_, '_>) {
        let tokens = Tokens::new(statement_run.statement.sql.text());
        let keyword = tokens.main_keyword();
        let mut removed = Vec::new();
        let mut added = Vec::new();
        for (key, object) in &statement_run.object_changes {
            match object {
                None => removed.push(key),
                Some(object) if object.kind == ObjectKind::Table => added.push(key),
                Some(_) => {}
            }
        }
        let is_renamed = !removed.is_empty();
        let (mut is_created, mut is_empty) = (false, false);
        for key in removed {
            self.renamed.remove(key);
            is_created |= self.created.remove(key);
            is_empty |= self.empty.remove(key);
        }
        if tokens.is(0, "CREATE") {
            is_created = true;
            is_empty = tokens.find_top_level(0, "AS").is_none();
        } else if !tokens.is(0, "ALTER") {
            self.set_written(statement_run, &tokens, keyword);
            return;
        }
        for key in added {
            // An ALTER TABLE that keeps the name of a table changes the same table.
            if is_renamed && !is_created {
                self.renamed.insert(key.clone());
            }
            if is_created {
                self.created.insert(key.clone());
            }
            if is_empty {
                self.empty.insert(key.clone());
            }
        }
    }

    fn set_written(
        &mut self,
        statement_run: &StatementRun<'_, '_>,
        tokens: &Tokens<'_>,
        keyword: usize,
    ) {
        for table in &statement_run.written_tables {
            self.empty.remove(&ObjectKey::new(ObjectKind::Table, table));
        }
        if tokens.is(keyword, "DELETE") && tokens.find_top_level(keyword, "WHERE").is_none() {
            let name = tokens.name(tokens.skip_schema_qualifier(keyword + 2));
            self.empty.insert(ObjectKey::new(ObjectKind::Table, &name));
        }
    }

    /// Whether the table or view that has this name now existed before the block, under this name or
    /// another.
    pub(crate) fn existed_before(&self, block_run: &BlockRun<'_, '_>, name: &str) -> bool {
        let key = ObjectKey::new(ObjectKind::Table, name);
        let is_known = block_run.schema_before.contains_key(&key) || self.renamed.contains(&key);
        is_known && !self.created.contains(&key)
    }

    /// Whether the table that has this name now holds no row in any database.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        self.empty.contains(&ObjectKey::new(ObjectKind::Table, name))
    }
}
