//! Keeps the state of a run at a few steps, with what the rules found until then, so that a run of an
//! edited document begins at the first step that changed.

use crate::database::connection::ConnectionSetup;
use crate::database::usable_references::UsableReferences;
use crate::document::tag::Scope;
use crate::lint::context::Origins;
use crate::lint::findings::Findings;
use crate::lint::probe::ProbeDatabase;
use crate::lint::rules::counter_reset::LostCounters;
use crate::migrate::chain_cache::{CacheUse, ChainCache};
use crate::migrate::sandbox::{Sandbox, SandboxCopy};

/// What runs over an edited document have in common, by scope.
pub(crate) struct WalkCache([ScopeCache; 2]);

pub(crate) type ScopeCache = ChainCache<StateCopy, Findings>;

impl WalkCache {
    pub(crate) fn new(cache_use: CacheUse) -> Self {
        Self(Scope::BOTH.map(|_| ChainCache::new(cache_use)))
    }

    pub(crate) fn scope(&mut self, scope: Scope) -> &mut ScopeCache {
        &mut self.0[scope as usize]
    }
}

/// The state after some steps.
pub(crate) struct StateCopy {
    sandbox: SandboxCopy,
    references: UsableReferences,
    origins: Origins,
    lost_counters: LostCounters,
}

/// A sandbox, and what the rules remember about the blocks that ran in it.
pub(crate) struct ScopeState {
    pub(crate) sandbox: Sandbox,
    pub(crate) memory: RuleMemory,
}

/// What the rules remember from block to block.
pub(crate) struct RuleMemory {
    pub(crate) references: UsableReferences,
    pub(crate) origins: Origins,
    pub(crate) probe: ProbeDatabase,
    pub(crate) lost_counters: LostCounters,
}

impl ScopeState {
    pub(crate) fn new(setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let sandbox = Sandbox::new(setup)?;
        let memory = RuleMemory {
            references: UsableReferences::read(sandbox.connection(), sandbox.schema())?,
            origins: Origins::default(),
            probe: ProbeDatabase::new(setup)?,
            lost_counters: LostCounters::default(),
        };
        Ok(Self { sandbox, memory })
    }

    pub(crate) fn from_copy(copy: &StateCopy, setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let memory = RuleMemory {
            references: copy.references.clone(),
            origins: copy.origins.clone(),
            lost_counters: copy.lost_counters.clone(),
            probe: ProbeDatabase::new(setup)?,
        };
        Ok(Self { sandbox: Sandbox::from_copy(&copy.sandbox, setup)?, memory })
    }

    pub(crate) fn copy(&mut self) -> rusqlite::Result<StateCopy> {
        let RuleMemory { references, origins, lost_counters, .. } = &self.memory;
        Ok(StateCopy {
            sandbox: self.sandbox.copy()?,
            references: references.clone(),
            origins: origins.clone(),
            lost_counters: lost_counters.clone(),
        })
    }
}
