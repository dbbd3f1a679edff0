//! TRUSTED_PROXIES: whose word on a client's address and scheme counts. Both doors ask it, so that a limit per address means the same on each.

use std::net::IpAddr;
use std::str::FromStr;

use super::parse::list;

/// Addresses and networks of reverse proxies. Empty: every peer speaks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl TrustedProxies {
    /// Whether what this peer says of its client counts.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(peer))
    }

    /// The client's address: the peer's, or, behind trusted proxies, the last entry of X-Forwarded-For that is none of theirs.
    ///
    /// `forwarded_for` gives the values of that header in the order received. What a client wrote there itself stands to the left of
    /// what the proxies appended, and is never reached; an entry that is no address ends the search.
    #[must_use]
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for entry in forwarded_for.rev().flat_map(|value| value.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            match address(entry.trim()) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }
}

/// An entry of X-Forwarded-For: an address, which some proxies write with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(entry, |(address, _)| address);
    let address = bare.parse().ok().or_else(|| entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not an address or network; write 10.0.0.5 or 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| bad())?;
        if prefix > longest { Err(bad()) } else { Ok(Self { address, prefix }) }
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        list(text).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded_for: &[&str]) -> String {
        let proxies: TrustedProxies = proxies.parse().expect("a list");
        proxies.client(peer.parse().expect("an address"), forwarded_for.iter().copied()).to_string()
    }

    #[test]
    fn the_header_of_a_stranger_does_not_count() {
        assert_eq!(client("", "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(client("10.0.0.2", "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_client() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("::1, 127.0.0.1", "::ffff:127.0.0.1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(client("127.0.0.1", "127.0.0.1", &["1.2.3.4:5678"]), "1.2.3.4");
    }

    #[test]
    fn nonsense_ends_the_search() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["1.2.3.4, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn networks() {
        let trusts =
            |proxies: &str, peer: &str| proxies.parse::<TrustedProxies>().expect("a list").trusts(peer.parse().expect("an address"));
        assert!(trusts("0.0.0.0/0", "9.9.9.9") && trusts("fd00::/8", "fd12::1") && trusts("1.2.3.4", "1.2.3.4"));
        assert!(!trusts("10.0.0.0/9", "10.128.0.1") && !trusts("::/0", "9.9.9.9"));
        for text in ["10.0.0.0/33", "10.0.0/8", "proxy.local", "10.0.0.1/"] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text}");
        }
    }
}
