//! Where a request comes from, when it comes through proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header::X_FORWARDED_FOR;

/// The proxies whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    /// IPv4 as it is mapped into IPv6.
    address: u128,
    bits: u32,
}

impl Proxies {
    /// The address of the client: that of the peer, unless it is a proxy; then
    /// what the last proxy says of its own peer, and so on. What stands before
    /// the first address that is no proxy's may have been made up by it.
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let mut address = request.peer_addr()?.ip().to_canonical();
        if self.is_none() || !self.trust(address) {
            return Some(address);
        }
        let lists: Vec<_> = request.headers().get_all(X_FORWARDED_FOR).collect();
        let hops = lists.iter().rev().flat_map(|list| list.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            let Some(before) = parse(hop.trim()) else { break };
            address = before;
            if !self.trust(address) {
                break;
            }
        }
        Some(address)
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }
}

/// An address as proxies write it, some of them with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse().ok().map(|place: SocketAddr| place.ip()));
    address.map(|address| address.to_canonical())
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        let other = 128 - self.bits;
        // A shift by all bits would be none.
        (self.address ^ mapped(address)).checked_shr(other).unwrap_or_default() == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither an address nor a network, such as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse::<u32>).ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Self { address: mapped(address), bits: bits + 128 - most })
    }
}

impl FromStr for Proxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        text.split(',').map(|network| network.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn client(proxies: &str, peer: &str, headers: &[&str]) -> String {
        let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 49152));
        for header in headers {
            request = request.append_header((X_FORWARDED_FOR, *header));
        }
        let proxies: Proxies = proxies.parse().unwrap();
        proxies.client(&request.to_http_request()).unwrap().to_string()
    }

    #[test]
    fn only_proxies_are_believed() {
        assert_eq!(client("none", "10.0.0.1", &["192.0.2.1"]), "10.0.0.1");
        assert_eq!(client("10.0.0.2", "10.0.0.1", &["192.0.2.1"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn the_last_that_is_no_proxy_is_the_client() {
        let proxies = "10.0.0.0/8, fd00::/8";
        for (headers, expected) in [
            (&["192.0.2.9, 192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1, 10.1.1.1,fd00::7"], "192.0.2.1"),
            (&["192.0.2.9", "192.0.2.1", "10.1.1.1"], "192.0.2.1"),
            (&["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            (&["192.0.2.1, unknown, 10.1.1.1"], "10.1.1.1"),
            (&["192.0.2.1, \u{e9}"], "10.0.0.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(client(proxies, "10.0.0.1", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn networks_are_of_either_family() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "192.0.2.7", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.has(inside.parse().unwrap()), "{network:?}");
            assert!(!network.has(outside.parse().unwrap()), "{network:?}");
        }
        let all: Network = "::/0".parse().unwrap();
        assert!(all.has("192.0.2.7".parse().unwrap()) && all.has("2001:db8::1".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.1/", "proxy.example.com", "10.0.0.1,,10.0.0.2"] {
            assert!(wrong.parse::<Proxies>().is_err(), "{wrong}");
        }
    }
}
