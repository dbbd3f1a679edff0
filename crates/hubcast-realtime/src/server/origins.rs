//! The Origins that may connect, and how an Origin is compared with them. Pure functions.

/// The foreign Origins that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Only the server's own Origin may connect.
    Same,
    /// Any Origin may connect, but cookies count only from the server's own.
    Any,
    /// The server's own Origin and these may connect. Each is
    /// - an Origin, `scheme://host[:port]`, the only form whose cookies count,
    /// - `https://*.example.com`: every name below that domain, at any depth, but not the domain
    ///   itself; the scheme and the port have to match,
    /// - `http://localhost:*`: every port of that host,
    /// - `null` or `file://`: pages without an Origin of their own.
    List(Vec<String>),
}

/// How an entry of a list fits an Origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The entry names this Origin.
    Exact,
    /// The Origin is one of many that the entry stands for.
    Loose,
}

/// Finds the Origin in a list.
pub(super) fn find(list: &[String], origin: &str) -> Option<Fit> {
    let fits = || list.iter().filter_map(|entry| fit(entry, origin));
    fits().find(|fit| *fit == Fit::Exact).or_else(|| fits().next())
}

fn fit(entry: &str, origin: &str) -> Option<Fit> {
    if ["null", "file://"].iter().any(|shared| origin.eq_ignore_ascii_case(shared)) {
        return entry.eq_ignore_ascii_case(origin).then_some(Fit::Loose);
    }
    let (entry, origin) = (Origin::read(entry)?, Origin::read(origin)?);
    if !entry.scheme.eq_ignore_ascii_case(origin.scheme) {
        return None;
    }
    let any_port = entry.port == Some("*");
    if !any_port && entry.port != origin.port {
        return None;
    }
    let below = entry.host.strip_prefix("*.");
    let is_host = match below {
        Some(domain) => is_below(domain, origin.host),
        None => entry.host.eq_ignore_ascii_case(origin.host),
    };
    let fit = if any_port || below.is_some() { Fit::Loose } else { Fit::Exact };
    is_host.then_some(fit)
}

/// Returns true if one or more labels precede the domain.
fn is_below(domain: &str, host: &str) -> bool {
    let at = host.len().checked_sub(domain.len());
    let Some((labels, end)) = at.and_then(|at| host.split_at_checked(at)) else { return false };
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !label.is_empty() && label.bytes().all(is_part)
    };
    end.eq_ignore_ascii_case(domain)
        && labels.strip_suffix('.').is_some_and(|labels| labels.split('.').all(is_label))
}

/// The parts of an Origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    /// `None` is the scheme's default port, also if it is written down.
    pub(super) port: Option<&'a str>,
}

impl<'a> Origin<'a> {
    pub(super) fn read(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        Some(Self::new(scheme, authority))
    }

    /// An Origin of a scheme and `host[:port]`.
    pub(super) fn new(scheme: &'a str, authority: &'a str) -> Self {
        let is_port = |port: &str| port == "*" || port.bytes().all(|byte| byte.is_ascii_digit());
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if is_port(port) => (host, Some(port)),
            _ => (authority, None),
        };
        let default = if scheme.eq_ignore_ascii_case("https") {
            "443"
        } else if scheme.eq_ignore_ascii_case("http") {
            "80"
        } else {
            ""
        };
        Self { scheme, host, port: port.filter(|port| *port != default) }
    }

    /// Compares as a browser does.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fit_the_origins_that_they_stand_for() {
        let (exact, loose, none) = (Some(Fit::Exact), Some(Fit::Loose), None);
        for (entry, origin, expected) in [
            ("https://a.test", "https://a.test", exact),
            ("https://a.test", "HTTPS://A.test:443", exact),
            ("https://a.test:443", "https://a.test", exact),
            ("https://a.test", "http://a.test", none),
            ("https://a.test", "https://a.test:8443", none),
            ("http://a.test:443", "http://a.test", none),
            ("http://[::1]:5173", "http://[::1]:5173", exact),
            ("http://[::1]", "http://[::1]", exact),
            ("capacitor://localhost", "capacitor://localhost", exact),
            ("capacitor://localhost", "ionic://localhost", none),
            ("null", "null", loose),
            ("file://", "file://", loose),
            ("null", "file://", none),
            ("https://*.a.test", "https://b.a.test", loose),
            ("https://*.a.test", "https://c.b.a.test:443", loose),
            ("https://*.a.test", "https://C.B.A.TEST", loose),
            ("https://*.a.test", "https://a.test", none),
            ("https://*.a.test", "https://.a.test", none),
            ("https://*.a.test", "https://..a.test", none),
            ("https://*.a.test", "https://ba.test", none),
            ("https://*.a.test", "https://b.a.test.evil.test", none),
            ("https://*.a.test", "https://evil.test/.a.test", none),
            ("https://*.a.test", "https://evil.test?.a.test", none),
            ("https://*.a.test", "https://b@b.a.test", none),
            ("https://*.a.test", "http://b.a.test", none),
            ("https://*.a.test", "https://b.a.test:8443", none),
            ("https://*.a.test:8443", "https://b.a.test:8443", loose),
            ("https://*.a.test:8443", "https://b.a.test", none),
            ("http://*.localhost:*", "http://a.localhost:5173", loose),
            ("http://localhost:*", "http://localhost:5173", loose),
            ("http://localhost:*", "http://localhost", loose),
            ("http://localhost:*", "https://localhost:5173", none),
            ("http://localhost:*", "http://localhost.evil.test:5173", none),
            ("http://localhost:*", "http://localhost:x", none),
            ("https://a.test", "null", none),
            ("https://a.test", "", none),
        ] {
            assert_eq!(fit(entry, origin), expected, "{entry} and {origin}");
        }
        let list = ["http://localhost:*", "http://localhost:5173"].map(String::from);
        assert_eq!(find(&list, "http://localhost:5173"), exact);
        assert_eq!(find(&list, "http://localhost:5174"), loose);
    }
}
