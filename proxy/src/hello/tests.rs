use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

fn client_hello(name: &str, alpn: &[&str], tls13: bool) -> Vec<u8> {
    let versions: &[&rustls::SupportedProtocolVersion] =
        if tls13 { rustls::ALL_VERSIONS } else { &[&rustls::version::TLS12] };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same message in records of at most `size` bytes.
fn split_records(hello: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in hello[5..].chunks(size) {
        bytes.extend([HANDSHAKE, 3, 1]);
        bytes.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

#[test]
fn reads_what_rustls_offers() {
    let hello = parse(&client_hello("API.example.com", &["h2", "http/1.1"], true)).unwrap().unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("api.example.com"));
    assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert!(hello.servable);
    let hello = parse(&client_hello("10.0.0.1", &[], false)).unwrap().unwrap();
    assert_eq!((hello.server_name, hello.alpn.len(), hello.servable), (None, 0, true));
}

#[test]
fn other_protocols_are_known_by_their_first_byte() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S"]
    {
        assert_eq!(parse(bytes), Ok(None));
    }
    assert_eq!(parse(&[22, 3, 1, 0, 5, 2, 0, 0, 1, 0]), Ok(None), "a ServerHello");
    assert_eq!(parse(&[22, 3, 1, 0, 0]), Ok(None), "an empty record");
    assert_eq!(parse(&[22, 3, 1, 0, 5, 1, 255, 255, 255]), Ok(None), "longer than any hello");
    assert_eq!(parse(b""), Err(Incomplete));
    assert_eq!(parse(&[22]), Err(Incomplete));
}

#[test]
fn old_clients_are_not_servable() {
    let mut bytes = client_hello("example.com", &[], false);
    bytes[9..11].copy_from_slice(&[3, 1]); // legacy_version: TLS 1.0
    let versions = bytes.windows(7).position(|window| window == [0, 43, 0, 3, 2, 3, 3]).unwrap();
    bytes[versions] = 0x0a; // and no extension that says otherwise
    assert!(!parse(&bytes).unwrap().unwrap().servable);
}

proptest! {
    #[test]
    fn every_prefix_is_incomplete_and_every_split_is_read(size in 1_usize..600, cut in 0_usize..4096, tls13: bool) {
        let bytes = split_records(&client_hello("example.com", &["h2"], tls13), size);
        let hello = parse(&bytes).unwrap().unwrap();
        prop_assert_eq!(hello.server_name.as_deref(), Some("example.com"));
        prop_assert_eq!(parse(&bytes[..cut % bytes.len()]), Err(Incomplete));
    }

    #[test]
    fn nothing_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), flips in proptest::collection::vec((0_usize..400, any::<u8>()), 0..8)) {
        parse(&bytes).ok();
        read(&bytes);
        bytes = client_hello("example.com", &["h2"], true);
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        parse(&bytes).ok();
    }
}
