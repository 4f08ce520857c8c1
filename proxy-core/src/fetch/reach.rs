//! Which addresses of the network may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far fetching reaches. What names a machine's own services to itself (link-local, where
/// clouds keep their metadata with credentials, multicast, unspecified) is never fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public addresses only.
    Public,
    /// This machine and private networks, too.
    Private,
}

/// Networks of IPv4 that are not the public internet: the IANA special-purpose registry
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>), with multicast and the
/// reserved rest. Address, length of the prefix, whether it is private in the sense of
/// [`Reach::Private`].
const V4: [(Ipv4Addr, u32, bool); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, false),
    (Ipv4Addr::new(10, 0, 0, 0), 8, true),
    (Ipv4Addr::new(100, 64, 0, 0), 10, false),
    (Ipv4Addr::new(127, 0, 0, 0), 8, true),
    (Ipv4Addr::new(169, 254, 0, 0), 16, false),
    (Ipv4Addr::new(172, 16, 0, 0), 12, true),
    (Ipv4Addr::new(192, 0, 0, 0), 24, false),
    (Ipv4Addr::new(192, 0, 2, 0), 24, false),
    (Ipv4Addr::new(192, 88, 99, 0), 24, false),
    (Ipv4Addr::new(192, 168, 0, 0), 16, true),
    // For measurements; Clash and its like answer every name with such an address ("fake-ip"), and
    // what is sent there goes where the name says.
    (Ipv4Addr::new(198, 18, 0, 0), 15, true),
    (Ipv4Addr::new(198, 51, 100, 0), 24, false),
    (Ipv4Addr::new(203, 0, 113, 0), 24, false),
    (Ipv4Addr::new(224, 0, 0, 0), 4, false),
    (Ipv4Addr::new(240, 0, 0, 0), 4, false),
];

/// Networks inside `2000::/3`, which is all that is public in IPv6, that are not
/// (<https://www.iana.org/assignments/iana-ipv6-special-registry>).
const V6: [(Ipv6Addr, u32); 4] = [
    // Teredo and its neighbours.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4, which holds an address of IPv4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

impl Reach {
    /// Whether `address` may be fetched from.
    pub fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => self.allows_v6(v6),
        }
    }

    fn allows_v4(self, address: Ipv4Addr) -> bool {
        let within = |network: Ipv4Addr, length: u32| {
            (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0
        };
        let special = V4
            .iter()
            .find(|(network, length, _)| within(*network, *length));
        special.is_none_or(|(_, _, private)| *private && self == Self::Private)
    }

    fn allows_v6(self, address: Ipv6Addr) -> bool {
        let within = |network: Ipv6Addr, length: u32| {
            (address.to_bits() ^ network.to_bits()) >> (128 - length) == 0
        };
        // An address of IPv4 in another form, as a network that translates gives it.
        const TRANSLATED: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
        if let Some(v4) = address.to_ipv4_mapped() {
            return self.allows_v4(v4);
        }
        if within(TRANSLATED, 96) {
            let [.., a, b, c, d] = address.octets();
            return self.allows_v4(Ipv4Addr::new(a, b, c, d));
        }
        if address.is_loopback() || address.is_unique_local() {
            // Amazon's metadata are also at a private address.
            const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            return self == Self::Private && address != METADATA;
        }
        within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
            && !V6.iter().any(|(network, length)| within(*network, *length))
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    #[test]
    fn only_public_addresses_are_public() {
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            let address = public.parse().unwrap();
            assert!(Reach::Public.allows(address), "{public}");
            assert!(Reach::Private.allows(address), "{public}");
        }
    }

    #[test]
    fn private_addresses_are_fetched_from_only_when_the_settings_say_so() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.5",
            "::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            let address = private.parse().unwrap();
            assert!(!Reach::Public.allows(address), "{private}");
            assert!(Reach::Private.allows(address), "{private}");
        }
    }

    #[test]
    fn what_is_never_meant_is_never_fetched_from() {
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ] {
            let address = never.parse().unwrap();
            assert!(!Reach::Public.allows(address), "{never}");
            assert!(!Reach::Private.allows(address), "{never}");
        }
    }
}
