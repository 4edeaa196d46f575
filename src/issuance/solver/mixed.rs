//! The solver of a certificate whose names are proved in different ways: each authorization by its own, and all are visible before the CA
//! is asked.

use super::challenge::{ChallengeRequest, NotPresented, Solver};
use crate::acme::jws::AccountKey;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::Domain;
use crate::issuance::error::AttemptError;
use crate::record::Presented;
use crate::sources::CertificateSpec;

/// Two solvers and the choice between them.
pub(super) struct Mixed<'c> {
    pub(super) wanted: &'c CertificateSpec,
    pub(super) dns: Box<dyn Solver + 'c>,
    pub(super) http: Box<dyn Solver + 'c>,
}

impl Solver for Mixed<'_> {
    fn challenge_type(&self, name: &Domain) -> ChallengeType {
        self.wanted.challenge_of(name)
    }

    fn check(&self) -> Result<(), AttemptError> {
        self.dns.check()?;
        self.http.check()
    }

    fn prepare(
        &mut self,
        account: &AccountKey,
        challenges: &[ChallengeRequest],
    ) -> Result<Vec<Presented>, AttemptError> {
        let by = |way: ChallengeType| -> Vec<ChallengeRequest> {
            challenges.iter().filter(|c| self.wanted.challenge_of(&c.name) == way).cloned().collect()
        };
        let (by_dns, by_http) = (by(ChallengeType::Dns01), by(ChallengeType::Http01));
        // Without a slot at a DNS server nothing is presented at all.
        let mut all = self.dns.prepare(account, &by_dns)?;
        all.extend(self.http.prepare(account, &by_http)?);
        Ok(all)
    }

    fn present(&mut self) -> Result<Vec<Presented>, NotPresented> {
        let mut all = self.dns.present()?;
        match self.http.present() {
            Ok(more) => all.extend(more),
            Err(NotPresented { failed, left }) => {
                all.extend(left);
                return Err(NotPresented { failed, left: all });
            }
        }
        Ok(all)
    }

    fn wait_visible(&mut self) -> Result<(), AttemptError> {
        self.dns.wait_visible()?;
        self.http.wait_visible()
    }

    fn validated(&mut self) {
        self.dns.validated();
        self.http.validated();
    }

    fn clean_up(&mut self, presented: &Presented) -> Result<(), String> {
        match presented {
            Presented::Dns01(_) => self.dns.clean_up(presented),
            Presented::Http01(_) => self.http.clean_up(presented),
        }
    }
}
