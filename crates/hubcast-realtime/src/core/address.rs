//! What counts as one address in limits and in log lines.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the address that a limit counts for a client: IPv4 as it is, also when it comes mapped
/// into IPv6, and of IPv6 the network of 64 bits, because one household or one rented machine has
/// at least so many addresses to itself (RFC 6177).
#[must_use]
pub fn rate_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> String {
        rate_key(address.parse().expect("an address")).to_string()
    }

    #[test]
    fn addresses_of_one_client_have_one_key() {
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
    }
}
