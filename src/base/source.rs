//! Who counts as one source of requests.

use std::net::{IpAddr, Ipv6Addr};

/// The address that stands for a source in counts: an IPv4 address for itself, an IPv6 address for its /64, because
/// that is what one subscriber gets at the least (RFC 6177).
#[must_use]
pub fn bucket(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        let of = |text: &str| bucket(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:3:3:4:5:6"), "2001:db8:1:3::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
