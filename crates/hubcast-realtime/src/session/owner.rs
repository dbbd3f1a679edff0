//! To whom a polling session belongs: its requests have to come from the address that began it, or
//! with the token. An Engine.IO id that somebody else has seen is of no use to them.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::gateway::query_value;
use crate::core::address::rate_key;

/// Who sends a request of a polling session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    address: IpAddr,
    /// A digest of the token that the request shows, in a header, a cookie or the query.
    token: Option<[u8; 32]>,
}

impl Owner {
    pub(crate) fn new(
        client: IpAddr,
        authorization: Option<&[u8]>,
        cookie: Option<&[u8]>,
        query: &str,
    ) -> Self {
        let query = || query_value(query, "token").map(String::into_bytes);
        let token = authorization.map(<[u8]>::to_vec).or_else(query);
        let token = token.or_else(|| cookie.map(<[u8]>::to_vec));
        let token = token.map(|token| Sha256::digest(token).into());
        Self { address: rate_key(client), token }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns true if both have one address, or both show one token.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.address == other.address || (self.token.is_some() && self.token == other.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_or_the_token_is_enough() {
        let at = |address: &str, authorization: Option<&str>, query: &str| {
            let address = address.parse().expect("an address");
            Owner::new(address, authorization.map(str::as_bytes), None, query)
        };
        let home = at("192.0.2.1", Some("Bearer a"), "");
        assert!(home.is(&at("192.0.2.1", None, "")));
        assert!(home.is(&at("198.51.100.9", Some("Bearer a"), "")));
        assert!(!home.is(&at("198.51.100.9", Some("Bearer b"), "")));
        assert!(!home.is(&at("198.51.100.9", None, "")));
        assert!(!at("192.0.2.1", None, "").is(&at("198.51.100.9", None, "")));
        assert!(at("2001:db8::1", None, "").is(&at("2001:db8::ffff:1", None, "")));
        assert!(at("192.0.2.1", None, "token=a").is(&at("198.51.100.9", None, "token=a")));
    }
}
