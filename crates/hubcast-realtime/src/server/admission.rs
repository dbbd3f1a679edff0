//! Decides which requests may open a connection: by Origin and by rate per address. Upgrades and
//! long-polling ask it, and (for Origin and addresses) the program's REST routes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{self, HeaderMap};
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// The foreign Origins that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Only the server's own Origin may connect.
    Same,
    /// Any Origin may connect, but cookies count only from the server's own.
    Any,
    /// The server's own Origin and these may connect, each as `scheme://host[:port]`.
    List(Vec<String>),
}

/// The rights of an Origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// Whether the request's cookies count.
    pub cookies: bool,
}

/// Returns true for the addresses of trusted proxies.
pub type Trusts = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The rules for addresses and Origins.
#[derive(Clone)]
pub struct Policy {
    pub origins: Origins,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusts: Trusts,
    /// The scheme by which clients reach this server, unless a trusted proxy names another.
    pub scheme: &'static str,
}

impl Default for Policy {
    fn default() -> Self {
        Self { origins: Origins::Same, trusts: Arc::new(|_| false), scheme: "http" }
    }
}

impl Policy {
    /// Returns the client's address: the peer's or, behind trusted proxies, the last entry of
    /// `X-Forwarded-For` that is not a trusted proxy. Proxies append on the right, so an entry
    /// forged by the client is never reached; an entry that is no address ends the search.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let values: Vec<&str> =
            headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
        let mut client = peer.to_canonical();
        for entry in values.into_iter().rev().flat_map(|value| value.rsplit(',')) {
            match address(entry.trim()).filter(|_| (self.trusts)(client)) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }

    /// Returns the rights of a request's Origin. A request without an Origin counts as the server's
    /// own, unless `Sec-Fetch-Site` contradicts.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Verdict {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = headers.get(header::ORIGIN) else {
            let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
            return Verdict {
                allowed: true,
                cookies: !matches!(site, Some("cross-site" | "same-site")),
            };
        };
        let Ok(origin) = origin.to_str() else { return Verdict { allowed: false, cookies: false } };
        let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let scheme =
            forwarded.filter(|_| (self.trusts)(peer.to_canonical())).unwrap_or(self.scheme);
        let own = text(header::HOST)
            .is_some_and(|host| origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")));
        match &self.origins {
            Origins::Same => Verdict { allowed: own, cookies: own },
            Origins::Any => Verdict { allowed: true, cookies: own },
            Origins::List(list) => {
                let listed = own || list.iter().any(|entry| entry.eq_ignore_ascii_case(origin));
                Verdict { allowed: listed, cookies: listed }
            }
        }
    }
}

/// Reads an entry of `X-Forwarded-For`, to which some proxies add a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or(entry, |(address, _)| address);
    let address =
        bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Limits the new sessions per address.
pub(crate) struct Connects(DefaultKeyedRateLimiter<IpAddr>);

/// The most addresses that are kept before idle ones are dropped.
const REMEMBERED: usize = 10_000;

impl Connects {
    pub(crate) fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    /// Counts a new session. Fails with the time to wait if the address opens too many.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&address).map_err(|not_until| {
            not_until.wait_time_from(governor::clock::DefaultClock::default().now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(
                header::HeaderName::from_static(name),
                header::HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn verdict(origins: Origins, list: &[(&'static str, &str)]) -> (bool, bool) {
        let Verdict { allowed, cookies } =
            Policy { origins, ..Policy::default() }.origin(PEER, &headers(list));
        (allowed, cookies)
    }

    #[test]
    fn the_servers_own_origin_has_all_rights() {
        let own = [("host", "a.test:3000"), ("origin", "http://a.test:3000")];
        assert_eq!(verdict(Origins::Same, &own), (true, true));
        assert_eq!(verdict(Origins::Any, &own), (true, true));
        assert_eq!(verdict(Origins::Same, &[("host", "a.test")]), (true, true));
        assert_eq!(
            verdict(Origins::Same, &[("host", "a.test"), ("sec-fetch-site", "cross-site")]),
            (true, false)
        );
        assert_eq!(
            verdict(Origins::Same, &[("host", "a.test"), ("sec-fetch-site", "same-origin")]),
            (true, true)
        );
    }

    #[test]
    fn the_setting_decides_about_foreign_origins() {
        let foreign = [("host", "a.test"), ("origin", "https://b.test")];
        assert_eq!(verdict(Origins::Same, &foreign), (false, false));
        assert_eq!(verdict(Origins::Any, &foreign), (true, false));
        assert_eq!(verdict(Origins::List(vec!["https://b.test".into()]), &foreign), (true, true));
        assert_eq!(verdict(Origins::List(vec!["https://c.test".into()]), &foreign), (false, false));
        assert_eq!(
            verdict(Origins::Same, &[("host", "a.test"), ("origin", "https://a.test")]),
            (false, false),
            "another scheme is another origin"
        );
        assert_eq!(
            verdict(Origins::Same, &[("host", "a.test"), ("origin", "null")]),
            (false, false)
        );
    }

    #[test]
    fn forwarded_addresses_count_from_trusted_proxies_only() {
        let policy = Policy { trusts: Arc::new(|address| address == PEER), ..Policy::default() };
        let forwarded =
            headers(&[("x-forwarded-for", "6.6.6.6, 9.9.9.9"), ("x-forwarded-for", "127.0.0.1")]);
        assert_eq!(policy.client_address(PEER, &forwarded), "9.9.9.9".parse::<IpAddr>().unwrap());
        assert_eq!(Policy::default().client_address(PEER, &forwarded), PEER);
        for (entries, client) in [
            ("6.6.6.6, [2001:db8::1]:443", "2001:db8::1"),
            ("9.9.9.9:80", "9.9.9.9"),
            ("6.6.6.6, unknown", "127.0.0.1"),
        ] {
            let forwarded = headers(&[("x-forwarded-for", entries)]);
            assert_eq!(
                policy.client_address(PEER, &forwarded),
                client.parse::<IpAddr>().unwrap(),
                "{entries}"
            );
        }
        let proto = headers(&[
            ("host", "a.test"),
            ("origin", "https://a.test"),
            ("x-forwarded-proto", "https"),
        ]);
        assert!(policy.origin(PEER, &proto).allowed);
        assert!(!Policy::default().origin(PEER, &proto).allowed);
    }
}
