//! Who is behind a connection that came from the redirected cgroup.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use trackway_abi::{End, Origin};
use trackway_proxy::{Client, Resolve};

use super::Table;
use super::programs::Plain;
use super::records::Clock;

/// Looks clients up in the kernel's tables. Never blocks: two look-ups and a `readlink`.
#[derive(Debug)]
pub struct Clients {
    origins: Table<u64, Origin>,
    ends: Table<End, u64>,
    clock: Clock,
}

impl Clients {
    pub(super) fn new(origins: Table<u64, Origin>, ends: Table<End, u64>, clock: Clock) -> Self {
        Self { origins, ends, clock }
    }

    /// Who opened the connection whose client end is `peer`, and where it meant to go.
    pub fn client(&self, peer: SocketAddr) -> Option<Client> {
        let cookie = self.ends.get(&Plain(end(peer)), 0).ok()?;
        let origin = self.origins.get(&cookie, 0).ok()?.0;
        let known = origin.pid != 0 && origin.started_ns != 0;
        let process = known.then(|| self.clock.process(origin.pid, origin.started_ns));
        let executable = known.then(|| fs::read_link(format!("/proc/{}/exe", origin.pid)).ok()).flatten();
        Some(Client {
            process,
            destination: destination(&origin),
            executable: executable.map(|path| path.to_string_lossy().into_owned()),
        })
    }
}

impl Resolve for Clients {
    fn resolve(&self, peer: SocketAddr, _local: SocketAddr) -> Client {
        self.client(peer).unwrap_or_default()
    }
}

/// The key under which the kernel keeps this end.
fn end(peer: SocketAddr) -> End {
    let ip = match peer.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut address = [0; 4];
    for (word, bytes) in address.iter_mut().zip(ip.octets().as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    End { address, port: peer.port().into() }
}

/// Where the client meant to go; a v4-mapped destination is the IPv4 one that the kernel would have used.
fn destination(origin: &Origin) -> Option<SocketAddr> {
    address(origin.address, origin.port)
}

/// An address as the kernel's records hold it.
pub(super) fn address(words: [u32; 4], port: u32) -> Option<SocketAddr> {
    let mut octets = [0; 16];
    for (bytes, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_ne_bytes();
    }
    let port = u16::try_from(port).ok()?;
    Some(SocketAddr::new(Ipv6Addr::from(octets).to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_destinations_mirror_each_other() {
        for text in ["127.0.0.1:8080", "[2001:db8::1]:443", "[::1]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let End { address: words, port } = end(address);
            let origin = Origin { address: words, port, ..Origin::default() };
            assert_eq!(destination(&origin), Some(address), "{text}");
        }
        let (mapped, plain) = ("[::ffff:192.0.2.1]:80".parse().unwrap(), "192.0.2.1:80".parse().unwrap());
        assert_eq!(end(mapped), end(plain));
    }
}
