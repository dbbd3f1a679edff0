//! What `HUBCAST_ENV=production` changes: stricter defaults, and what it refuses.

use super::{BadSetting, Environment, Membership, Registration, Settings, SubjectMeaning};

impl Settings {
    /// Whether HUBCAST_ENV is `production`.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.server.environment.environment == Some(Environment::Production)
    }

    /// Whether anyone may make an account. In production, and where another program has users, only
    /// if REGISTRATION says so.
    #[must_use]
    pub fn registration(&self) -> Registration {
        let is_closed = self.is_production() || self.auth.jwt_subject == SubjectMeaning::Outside;
        let default = if is_closed { Registration::Closed } else { Registration::Open };
        self.rules.registration.unwrap_or(default)
    }

    /// Whether customers add members, or invite them. In production nobody becomes a member
    /// unasked, unless MEMBERSHIP says so.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let default = if self.is_production() { Membership::Invite } else { Membership::Open };
        self.rules.membership.unwrap_or(default)
    }

    /// Returns the first setting that production refuses.
    pub(super) fn check_production(&self) -> Result<(), BadSetting> {
        if self.server.demo && self.is_production() {
            let mend = "is refused with HUBCAST_ENV=production, because its passwords are public; \
                        leave it out"
                .to_owned();
            return Err(BadSetting { setting: "HUBCAST_DEMO", mend });
        }
        if self.rules.allow_query_user && self.is_production() {
            let mend = "is refused with HUBCAST_ENV=production, because anyone could then be any \
                        user; leave it out"
                .to_owned();
            return Err(BadSetting { setting: "ALLOW_QUERY_USER", mend });
        }
        Ok(())
    }
}
