//! Keeps what replays of an edited document have in common.

use std::sync::Arc;

use crate::database::job::CompiledScript;
use crate::document::changelog::StepId;
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::Scope;
use crate::migrate::chain_cache::{CacheUse, ChainCache};
use crate::migrate::compile::CompilerCopy;

/// What runs of an edited document have in common, by scope.
pub(crate) struct ReplayCache(pub(crate) [ScopeCache; 2]);

pub(crate) type ScopeCache = ChainCache<CompilerCopy, StepResult>;

impl ReplayCache {
    pub(crate) fn new(cache_use: CacheUse) -> Self {
        Self(Scope::BOTH.map(|_| ChainCache::new(cache_use)))
    }
}

/// What a step along the chain adds to a replay.
pub(crate) struct StepResult {
    pub(crate) scripts: Vec<(StepId, Arc<CompiledScript<'static>>)>,
    pub(crate) diagnostics: Vec<(usize, Diagnostic)>,
}
