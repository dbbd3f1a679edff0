//! Why an Origin was refused, for the log: what was compared, and what would mend it.

use std::net::IpAddr;

use hubcast_realtime::throttled;

use super::origins::{Origin, Origins};

/// How many characters of a header the log repeats.
const SHOWN: usize = 200;

/// What an Origin was compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison<'a> {
    /// `None` if the header is no text.
    pub(super) origin: Option<&'a str>,
    /// The scheme and the host by which the client called this server, as far as is known.
    pub(super) scheme: &'a str,
    pub(super) host: Option<&'a str>,
    /// Whether the request names the client's scheme, which counts from a trusted peer only.
    pub(super) says_scheme: bool,
    /// X-Forwarded-Host, which never counts.
    pub(super) says_host: Option<&'a str>,
    pub(super) is_trusted: bool,
}

/// The likely reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cause {
    Unreadable,
    Opaque,
    ProxyNotTrusted,
    SchemeNotSaid,
    SchemeDiffers,
    PortDiffers,
    HostReplaced,
    Foreign,
}

impl Cause {
    /// What the operator can do.
    fn mend(self) -> &'static str {
        match self {
            Self::Unreadable => "the Origin is no text; the client has to send another",
            Self::Opaque => {
                "a page of a file, of an app or in a sandbox; name its Origin in CORS_ORIGINS to \
                 let in all such pages, without cookies"
            }
            Self::ProxyNotTrusted => {
                "the peer names another scheme, and is not believed; if it is your proxy, name its \
                 address in TRUSTED_PROXIES"
            }
            Self::SchemeNotSaid => {
                "if a proxy in front ends TLS, let it send X-Forwarded-Proto, and name its address \
                 in TRUSTED_PROXIES"
            }
            Self::SchemeDiffers => {
                "the trusted proxy has to send the client's scheme in X-Forwarded-Proto or in \
                 Forwarded; if it sends both, they have to agree"
            }
            Self::PortDiffers => {
                "a proxy that changes the port in Host has to pass Host on as the client sent it \
                 (nginx: $http_host); for a page of another port, name its Origin in CORS_ORIGINS"
            }
            Self::HostReplaced => {
                "a proxy in front replaces Host; let it pass Host on as the client sent it, or \
                 name the Origin in CORS_ORIGINS"
            }
            Self::Foreign => {
                "if the page may call this server, name its Origin in CORS_ORIGINS; if it is this \
                 server's own page, let the proxy in front pass Host on"
            }
        }
    }
}

impl Comparison<'_> {
    pub(super) fn warn(&self, peer: IpAddr, origins: &Origins) {
        let cause = self.cause();
        let (origin, host) = (shown(self.origin), shown(self.host));
        throttled!(
            warn,
            by = cause,
            %peer, origin, own = format!("{}://{host}", self.scheme), listed = ?origins,
            "Origin refused: {}", cause.mend()
        );
    }

    fn cause(&self) -> Cause {
        let Some(text) = self.origin else { return Cause::Unreadable };
        if ["null", "file://"].contains(&text) {
            return Cause::Opaque;
        }
        let Some(origin) = Origin::read(text) else { return Cause::Foreign };
        // The same host by the page's own scheme, so that default ports agree.
        let is = |host: Option<&str>| {
            host.is_some_and(|host| origin.is(&Origin::new(origin.scheme, host)))
        };
        let name = |host: &str| {
            let own = Origin::new(self.scheme, host);
            own.host.eq_ignore_ascii_case(origin.host)
        };
        if is(self.host) {
            return match (self.is_trusted, self.says_scheme) {
                (false, true) => Cause::ProxyNotTrusted,
                (false, false) => Cause::SchemeNotSaid,
                (true, _) => Cause::SchemeDiffers,
            };
        }
        if is(self.says_host) {
            Cause::HostReplaced
        } else if self.host.is_some_and(name) {
            Cause::PortDiffers
        } else {
            Cause::Foreign
        }
    }
}

/// The beginning of a header's value.
fn shown(value: Option<&str>) -> &str {
    let value = value.unwrap_or_default();
    let end = value.char_indices().nth(SHOWN).map_or(value.len(), |(at, _)| at);
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_likely_cause() {
        let compared = Comparison {
            origin: Some("https://a.test"),
            scheme: "http",
            host: Some("a.test"),
            says_scheme: false,
            says_host: None,
            is_trusted: false,
        };
        let origin = |origin| Comparison { origin: Some(origin), ..compared };
        for (comparison, expected) in [
            (Comparison { origin: None, ..compared }, Cause::Unreadable),
            (origin("null"), Cause::Opaque),
            (origin("file://"), Cause::Opaque),
            (origin("nonsense"), Cause::Foreign),
            (compared, Cause::SchemeNotSaid),
            (Comparison { says_scheme: true, ..compared }, Cause::ProxyNotTrusted),
            (Comparison { is_trusted: true, ..compared }, Cause::SchemeDiffers),
            (Comparison { is_trusted: true, says_scheme: true, ..compared }, Cause::SchemeDiffers),
            (origin("https://a.test:8443"), Cause::PortDiffers),
            (origin("http://a.test:5173"), Cause::PortDiffers),
            (
                Comparison { host: Some("inner"), says_host: Some("a.test"), ..compared },
                Cause::HostReplaced,
            ),
            (Comparison { host: Some("inner"), ..compared }, Cause::Foreign),
            (Comparison { host: None, ..compared }, Cause::Foreign),
        ] {
            assert_eq!(comparison.cause(), expected, "{comparison:?}");
        }
    }

    #[test]
    fn a_long_header_is_shown_in_part() {
        assert_eq!(shown(Some(&"x".repeat(300))).len(), SHOWN);
        assert_eq!((shown(Some("a.test")), shown(None)), ("a.test", ""));
    }
}
