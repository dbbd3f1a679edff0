//! The rates of REST: how many requests, and how many bytes in bodies, a caller may send.
//! [`Request::receive`](super::extract::Request::receive) counts every request of an endpoint that
//! needs a token, so no handler can forget it.
//!
//! Customers are counted by user. Admins are trusted, and not counted. Requests without a good
//! token are counted by address, and only they: those who share the address and have a good token
//! are not refused for them.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use hubcast_realtime::throttled;

use crate::auth::Identity;
use crate::config::LimitSettings;
use crate::error::Error;
use crate::model::UserId;
use crate::realtime::rate_key;
use crate::service::limiter::Limiter;
use crate::service::quotas::Quotas;

/// The most users, and the most addresses, that are counted at once.
const MOST: usize = 100_000;
/// An address has the rate of so many users: all in an office may come with a token that has ended.
const USERS_OF_AN_ADDRESS: u32 = 10;

/// The counted requests of this process.
pub struct RestLimits {
    requests: Limiter<UserId>,
    bytes: Limiter<UserId>,
    strangers: Limiter<IpAddr>,
    quotas: Quotas,
}

impl RestLimits {
    #[must_use]
    pub fn new(settings: &LimitSettings) -> Self {
        Self {
            requests: Limiter::new(settings.rate_rest, MOST),
            bytes: Limiter::new(settings.rate_rest_bytes.0, MOST),
            strangers: Limiter::new(settings.rate_rest.times(USERS_OF_AN_ADDRESS), MOST),
            quotas: Quotas::new(settings),
        }
    }

    pub(super) fn of(request: &HttpRequest) -> Result<&Self, Error> {
        request.app_data::<web::Data<Self>>().map(web::Data::get_ref).ok_or(Error::Internal)
    }

    /// The most answers that are kept for the caller's Idempotency-Keys.
    pub(super) fn kept_answers(&self, caller: &Identity) -> Option<i64> {
        self.quotas.kept_answers(caller)
    }

    /// Counts a request of a caller with a good token.
    pub(super) fn count(&self, caller: &Identity) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let user = caller.user;
        self.requests.check(&user).map_err(|wait| {
            throttled!(
                info,
                by = user,
                user = user.0,
                "a customer sends requests faster than RATE_REST allows"
            );
            Error::RateLimited(wait)
        })
    }

    /// Counts the body of a caller with a good token.
    pub(super) fn count_body(&self, caller: &Identity, length: usize) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let user = caller.user;
        self.bytes.check_n(&user, u32::try_from(length).unwrap_or(u32::MAX)).map_err(|wait| {
            throttled!(
                info,
                by = user,
                user = user.0,
                length,
                "a customer sends more bytes in bodies than RATE_REST_BYTES allows"
            );
            Error::RateLimited(wait)
        })
    }

    /// Counts a request without a good token.
    pub(super) fn count_stranger(&self, address: IpAddr) -> Result<(), Error> {
        let address = rate_key(address);
        self.strangers.check(&address).map_err(|wait: Duration| {
            throttled!(
                info,
                by = address,
                %address,
                "an address sends requests without a good token faster than ten times RATE_REST"
            );
            Error::RateLimited(wait)
        })
    }
}
