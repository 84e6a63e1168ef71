//! What one client has to itself of the address space.

use std::{fmt, net::IpAddr};

/// The part of an IPv6 address that one client has to itself: within it, it has as many addresses
/// as it likes (RFC 6177).
const IPV6_PREFIX_BITS: u32 = 64;

/// All of an IPv4 address, or the /64 of an IPv6 address: whatever comes from there is counted
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let mask = u128::MAX << (u128::BITS - IPV6_PREFIX_BITS);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        })
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/{IPV6_PREFIX_BITS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_an_ipv4_address_or_a_64() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
            ("2001:db8::1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
            ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(ClientNetwork::from(address).to_string(), expected);
        }
    }
}
