//! Decides which requests may open a connection: by Origin and by rate per address. Upgrades and
//! long-polling ask it, and (for Origin and addresses) the program's REST routes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{self, HeaderMap, HeaderValue};
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hubcast_realtime::throttled;

use super::forwarded::ClientSide;
pub use super::hosts::Hosts;
pub use super::origins::Origins;
use super::origins::{Fit, Origin, find};
use super::refusal::Comparison;
use crate::core::address::rate_key;

/// The rights of an Origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// Whether the request's cookies count.
    pub cookies: bool,
}

impl Verdict {
    const REFUSED: Self = Self { allowed: false, cookies: false };
}

/// Returns true for the addresses of trusted proxies.
pub type Trusts = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The rules for addresses and Origins.
#[derive(Clone)]
pub struct Policy {
    pub origins: Origins,
    /// The hosts by which clients may call this server. Not checked behind a trusted proxy.
    pub hosts: Hosts,
    /// Proxies whose `Forwarded`, `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusts: Trusts,
    /// The scheme by which clients reach this server, unless a trusted proxy names another.
    pub scheme: &'static str,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            origins: Origins::Same,
            hosts: Hosts::Any,
            trusts: Arc::new(|_| false),
            scheme: "http",
        }
    }
}

impl Policy {
    /// Returns the client's address: the peer's or, behind trusted proxies, the one that the
    /// outermost of them reports. An address that the client forged is never reached.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        ClientSide::read(&*self.trusts, peer, headers).address
    }

    /// Returns the rights of a request's Origin. A request without an Origin counts as the server's
    /// own, unless `Sec-Fetch-Site` contradicts.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Verdict {
        let Some(origin) = headers.get(header::ORIGIN) else {
            let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
            return Verdict {
                allowed: true,
                cookies: !matches!(site, Some("cross-site" | "same-site")),
            };
        };
        let Ok(origin) = origin.to_str() else { return Verdict::REFUSED };
        let own = self.is_own(origin, peer, headers);
        match &self.origins {
            Origins::Same => Verdict { allowed: own, cookies: own },
            Origins::Any => Verdict { allowed: true, cookies: own },
            Origins::List(_) if own => Verdict { allowed: true, cookies: true },
            Origins::List(list) => find(list, origin).map_or(Verdict::REFUSED, |fit| Verdict {
                allowed: true,
                cookies: fit == Fit::Exact,
            }),
        }
    }

    /// Returns the server's scheme and host, perhaps with a port, as the client called it. The host
    /// is what the client says, so it is for answers to that client only.
    #[must_use]
    pub fn own_address<'a>(
        &self,
        peer: IpAddr,
        headers: &'a HeaderMap,
    ) -> (&'static str, Option<Cow<'a, str>>) {
        let side = ClientSide::read(&*self.trusts, peer, headers);
        let called = || headers.get(header::HOST)?.to_str().ok().map(Cow::Borrowed);
        (side.scheme.unwrap_or(self.scheme), side.host.or_else(called))
    }

    /// Returns true if the request names a host of this server, or none, as no browser does. A
    /// host that is not known is logged, with the peer.
    #[must_use]
    pub fn is_called_by_a_known_host(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let is_known = host.to_str().is_ok_and(|host| self.hosts.has(host))
            || self.hosts == Hosts::Any
            || (self.trusts)(peer.to_canonical());
        if !is_known {
            throttled!(
                warn,
                by = (),
                %peer, ?host,
                "Host refused: a page can lead a name of its own to this machine; if the name is \
                 this server's, name its Origin in CORS_ORIGINS"
            );
        }
        is_known
    }

    /// Logs why an Origin was refused: what was compared, and which setting would mend it. At most
    /// a few lines a minute for each reason.
    pub fn warn_refused(&self, peer: IpAddr, headers: &HeaderMap) {
        let (scheme, host) = self.own_address(peer, headers);
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        Comparison {
            origin: text(header::ORIGIN),
            scheme,
            host: host.as_deref(),
            // What the peer says of its client, believed or not.
            says_scheme: headers.contains_key("x-forwarded-proto")
                || headers.contains_key(header::FORWARDED),
            says_host: text(header::HeaderName::from_static("x-forwarded-host")),
            is_trusted: (self.trusts)(peer.to_canonical()),
        }
        .warn(peer, &self.origins);
    }

    /// Returns true if the Origin is that of the server, as the client called it.
    fn is_own(&self, origin: &str, peer: IpAddr, headers: &HeaderMap) -> bool {
        let (scheme, host) = self.own_address(peer, headers);
        let origin = Origin::read(origin);
        origin.zip(host).is_some_and(|(origin, host)| origin.is(&Origin::new(scheme, &host)))
    }
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
        self.0.check_key(&rate_key(address)).map_err(|not_until| {
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
        let list = |entry: &str| Origins::List(vec![entry.to_owned()]);
        assert_eq!(verdict(list("https://b.test"), &foreign), (true, true));
        assert_eq!(verdict(list("https://c.test"), &foreign), (false, false));
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
    fn a_cookie_never_counts_from_an_origin_that_many_pages_share() {
        for (entry, origin) in [
            ("null", "null"),
            ("file://", "file://"),
            ("https://*.a.test", "https://b.a.test"),
            ("http://localhost:*", "http://localhost:5173"),
        ] {
            let list = Origins::List(vec![entry.to_owned()]);
            let headers = [("host", "hub.test"), ("origin", origin)];
            assert_eq!(verdict(list.clone(), &headers), (true, false), "{entry}");
            assert_eq!(verdict(Origins::Same, &headers), (false, false), "{entry}");
        }
        // The server's own Origin stays its own, also if a pattern fits it.
        let own = [("host", "a.test"), ("origin", "http://a.test")];
        assert_eq!(verdict(Origins::List(vec!["http://a.test:*".into()]), &own), (true, true));
    }

    #[test]
    fn the_own_origin_is_the_one_that_the_client_called() {
        let trusting = Policy { trusts: Arc::new(|peer| peer == PEER), ..Policy::default() };
        for (origin, list, is_own) in [
            // `wss` and `ws` are what Traefik and http-proxy send on upgrades.
            ("https://a.test", vec![("host", "a.test"), ("x-forwarded-proto", "https")], true),
            ("https://a.test", vec![("host", "a.test"), ("x-forwarded-proto", "wss")], true),
            ("http://a.test", vec![("host", "a.test"), ("x-forwarded-proto", "ws")], true),
            ("https://a.test", vec![("host", "a.test"), ("x-forwarded-proto", "ws")], false),
            // The default port may be written down or not.
            ("https://a.test", vec![("host", "a.test:443"), ("x-forwarded-proto", "https")], true),
            ("http://a.test:80", vec![("host", "a.test")], true),
            ("https://a.test:8443", vec![("host", "a.test"), ("x-forwarded-proto", "wss")], false),
            // The host in `Forwarded` replaces Host; X-Forwarded-Host does not.
            (
                "https://a.test",
                vec![("host", "inner:3000"), ("forwarded", "host=a.test;proto=https")],
                true,
            ),
            (
                "https://inner:3000",
                vec![("host", "inner:3000"), ("forwarded", "host=a.test;proto=https")],
                false,
            ),
            ("http://a.test", vec![("host", "inner"), ("x-forwarded-host", "a.test")], false),
        ] {
            let headers = headers(&[vec![("origin", origin)], list.clone()].concat());
            assert_eq!(trusting.origin(PEER, &headers).cookies, is_own, "{origin} {list:?}");
        }
        let forwarded = headers(&[
            ("origin", "https://a.test"),
            ("host", "a.test"),
            ("x-forwarded-proto", "https"),
        ]);
        assert!(!Policy::default().origin(PEER, &forwarded).allowed, "the peer is not trusted");
    }
}
