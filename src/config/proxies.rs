//! TRUSTED_PROXIES: the peers whose Forwarded and X-Forwarded headers are believed.

use std::net::IpAddr;
use std::str::FromStr;

use super::parse::list;

/// Addresses and networks of reverse proxies. If empty, no peer's headers are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl TrustedProxies {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if this peer's headers about its client are believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(peer))
    }
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
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
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

    #[test]
    fn networks() {
        let trusts = |proxies: &str, peer: &str| {
            proxies
                .parse::<TrustedProxies>()
                .expect("a list")
                .trusts(peer.parse().expect("an address"))
        };
        assert!(
            trusts("0.0.0.0/0", "9.9.9.9")
                && trusts("fd00::/8", "fd12::1")
                && trusts("::1, 1.2.3.4", "::ffff:1.2.3.4")
        );
        assert!(!trusts("10.0.0.0/9", "10.128.0.1") && !trusts("::/0", "9.9.9.9"));
        for text in ["10.0.0.0/33", "10.0.0/8", "proxy.local", "10.0.0.1/"] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text}");
        }
    }
}
