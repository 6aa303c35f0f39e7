//! Looks up what a finding points at: the block, its place in the chain, the statement.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use crate::database::connection::ConnectionSetup;
use crate::database::job::Statement;
use crate::document::blocks::Block;
use crate::document::changelog::{Changelog, StepId};
use crate::document::lines::line_end;
use crate::document::tag::Scope;
use crate::edit::fix::proposal::FixSafety;
use crate::edit::page::DocumentView;
use crate::migrate::replay::Replay;

/// A document, read in every way that changes need.
pub(crate) struct FixContext<'t> {
    pub(crate) view: DocumentView<'t>,
    /// With the SQL of planned migrations uncommented.
    pub(crate) live_view: DocumentView<'t>,
    /// `None` for a document with errors.
    pub(crate) changelog: Option<Changelog<'t>>,
    /// With the SQL of planned migrations uncommented, as lint runs it.
    pub(crate) live_changelog: Option<Changelog<'t>>,
    /// The run of that changelog; only some changes need it.
    pub(crate) replay: OnceCell<Option<Arc<Replay<'static>>>>,
    /// The date for migrations that lack one, such as `2026-01-31`.
    pub(crate) today: &'t str,
    pub(crate) setup: &'t ConnectionSetup,
}

/// A statement of the document.
pub(crate) struct FoundStatement<'r> {
    pub(crate) step: StepId,
    pub(crate) statement: &'r Statement<'static>,
}

impl FixContext<'_> {
    /// The statement that contains a byte of the document, if the document can be run.
    pub(crate) fn statement_at(&self, offset: usize) -> Option<FoundStatement<'_>> {
        let changelog = self.live_changelog.as_ref()?;
        let replay = self.replay()?;
        let steps = changelog.step_ids();
        steps.flat_map(|step| Scope::BOTH.map(|scope| (step, scope))).find_map(|(step, scope)| {
            let script = replay.script(scope, step)?;
            let mut statements = script.statements.iter();
            let statement =
                statements.find(|statement| statement.sql.full_span().contains(&offset))?;
            Some(FoundStatement { step, statement })
        })
    }

    /// The run of the document with its planned migrations uncommented.
    pub(crate) fn replay(&self) -> Option<&Replay<'static>> {
        let changelog = self.live_changelog.as_ref()?;
        let run = || Replay::run_owned(changelog, self.setup).ok().map(Arc::new);
        self.replay.get_or_init(run).as_deref()
    }

    /// The same block as [`block_at`](Self::block_at), with the SQL of planned migrations
    /// uncommented.
    pub(crate) fn live_block_at(&self, offset: usize) -> Option<&Block<'_>> {
        block_in(&self.live_view, offset)
    }

    /// How the SQL of a step may be changed; `None` if databases have applied it.
    pub(crate) fn sql_safety(&self, step: StepId) -> Option<FixSafety> {
        let changelog = self.live_changelog.as_ref()?;
        if changelog.is_unapplied(step) {
            return Some(FixSafety::Safe);
        }
        changelog.leads_to_head(step).then_some(FixSafety::NeedsPerson)
    }

    /// The block that contains a byte of the document, its start tag included.
    pub(crate) fn block_at(&self, offset: usize) -> Option<&Block<'_>> {
        block_in(&self.view, offset)
    }

    /// The line that contains a byte, with its line end.
    pub(crate) fn line_at(&self, offset: usize) -> Range<usize> {
        self.view.line_start(offset)..line_end(self.view.text, offset)
    }

    /// The line that contains a byte, without the indentation and quote marks before its content
    /// and without its line end.
    pub(crate) fn line_content(&self, offset: usize) -> Range<usize> {
        let line = self.line_at(offset);
        let text = &self.view.text[line.clone()];
        let content = text.trim_start_matches([' ', '\t', '>']);
        line.end - content.len()..line.end - content.len() + content.trim_end().len()
    }

    /// The indentation and quote marks before the content of the line that contains a byte.
    pub(crate) fn line_prefix(&self, offset: usize) -> &str {
        &self.view.text[self.line_at(offset).start..self.line_content(offset).start]
    }
}

fn block_in<'v, 't>(view: &'v DocumentView<'t>, offset: usize) -> Option<&'v Block<'t>> {
    view.blocks.list.iter().find(|block| block.range().contains(&offset))
}
