//! A database made anew: built in memory by the document, and put in the place of the old one in
//! one transaction, so that no file is ever unlinked under a program that may have it open.

use crate::database::connection::Patience;
use crate::migrate::embedded::Lent;
use crate::migrate::migrator::Ready;
use crate::plan::outcome::{Failure, Verdict};
use crate::target::Member;

impl Ready<'_, '_> {
    /// Puts a new database at the target in the place of a member's; what was in it is gone.
    #[must_use]
    pub fn reset_member(&self, member: &Member, patience: &Patience) -> Verdict {
        let renewed = member.renew(patience, |connection| {
            let mut lent = Lent::new(connection)?;
            let verdict = self.upgrade(member.scope, &mut lent);
            lent.give_back()?;
            match verdict {
                Verdict::Failed { failure, .. } => Err(*failure),
                Verdict::Upgraded(passage) => Ok(Verdict::Renewed { at: passage.route.to.clone() }),
                verdict => Ok(verdict),
            }
        });
        match renewed {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::from_failure(None, failure),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        crate::database::error::DatabaseError::from(error).into()
    }
}
