//! The names by which clients may call this server. A page can lead a name of its own to this
//! machine (DNS rebinding), and is then of the server's own Origin; but its requests name that name
//! in Host. Pure functions.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The hosts by which clients may call this server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hosts {
    /// Whatever the client says.
    #[default]
    Any,
    /// Addresses, `localhost` and names below it, and these names; `*.example.com` is every name
    /// below that domain.
    Known(Vec<String>),
}

impl Hosts {
    /// Returns true if a client may call this server so: `host[:port]`.
    pub(super) fn has(&self, authority: &str) -> bool {
        let Self::Known(names) = self else { return true };
        let name = name(authority);
        let below = |domain: &str| {
            let at = name.len().checked_sub(domain.len() + 1);
            at.and_then(|at| name.split_at_checked(at)).is_some_and(|(labels, end)| {
                !labels.is_empty()
                    && end.strip_prefix('.').is_some_and(|end| end.eq_ignore_ascii_case(domain))
            })
        };
        is_address(name)
            || name.eq_ignore_ascii_case("localhost")
            || below("localhost")
            || names.iter().any(|known| match known.strip_prefix("*.") {
                Some(domain) => below(domain),
                None => known.eq_ignore_ascii_case(name),
            })
    }
}

/// The host without its port.
fn name(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) && !host.contains(':') => host,
        Some((host, port)) if is_port(port) && host.ends_with(']') => host,
        _ => authority,
    }
}

/// A page cannot lead an address elsewhere.
fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()) || host.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_known_names_are_the_servers() {
        let hosts = Hosts::Known(vec!["shop.test".into(), "*.app.test".into()]);
        for good in [
            "localhost",
            "LOCALHOST:3000",
            "a.localhost:3000",
            "127.0.0.1:3000",
            "192.0.2.7",
            "[::1]",
            "[::1]:3000",
            "shop.test",
            "Shop.Test:3000",
            "a.app.test",
        ] {
            assert!(hosts.has(good), "{good}");
        }
        for bad in [
            "",
            "evil.test",
            "evil.test:3000",
            "app.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "shop.test.evil.test",
            ".localhost",
            "evillocalhost",
            "shop.test:x",
            "[evil.test]",
        ] {
            assert!(!hosts.has(bad), "{bad}");
            assert!(Hosts::Any.has(bad), "{bad}");
        }
    }
}
