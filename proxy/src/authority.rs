//! The certificate authority of one run, and the certificates that it mints.
//!
//! Its key is made here and never leaves memory. One key serves every leaf: what tells hosts apart is the
//! name in the certificate, and minting a key for each would cost more and protect nothing.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
    SerialNumber,
};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::bounded::Bounded;
use crate::limits;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A clock that is behind ours must not find the certificates not yet valid.
const BACKDATE: Duration = DAY;

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key or certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Mint(#[from] rcgen::Error),
    /// The key does not suit TLS.
    #[error("cannot sign with the minted key: {0}")]
    Key(#[from] rustls::Error),
    /// A host is neither a DNS name nor an address.
    #[error("'{0}' is not a host name that a certificate can carry")]
    Name(String),
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// Mints a certificate for each host that is intercepted.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    leaf_key: KeyPair,
    signer: Arc<dyn SigningKey>,
    not_after: SystemTime,
    leaves: Mutex<Bounded<String, Arc<CertifiedKey>>>,
}

impl Authority {
    /// An authority that is valid for a day. `hosts` are the only names that it may speak for; an empty
    /// list sets no bounds.
    pub fn new(hosts: &[String]) -> Result<Authority, AuthorityError> {
        Authority::valid_for(DAY, hosts)
    }

    /// An authority that is valid for `lifetime`, at most a week.
    pub fn valid_for(lifetime: Duration, hosts: &[String]) -> Result<Authority, AuthorityError> {
        let now = SystemTime::now();
        let not_after = now + lifetime.min(7 * DAY);
        let tag = random::<8>()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Trackway {}", hex(&tag)));
        params.distinguished_name.push(DnType::OrganizationName, "Trackway");
        params.not_before = (now - BACKDATE).into();
        params.not_after = not_after.into();
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = constraints(hosts);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let signer = ring::sign::any_ecdsa_type(&der)?;
        let leaves = Mutex::new(Bounded::new(limits::LEAVES));
        Ok(Authority { issuer, leaf_key, signer, not_after, leaves })
    }

    /// The authority's own certificate, for a bundle.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's own certificate, for a binary store.
    pub fn ca_der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// The certificate of `host`, minted at its first use.
    pub(crate) fn leaf(&self, host: &str) -> Result<Arc<CertifiedKey>, AuthorityError> {
        if let Some(leaf) = self.leaves.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.mint(host)?);
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        leaves.insert(host.to_owned(), Arc::clone(&leaf));
        Ok(leaf)
    }

    fn mint(&self, host: &str) -> Result<CertifiedKey, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        // X.520 allows a common name of 64 characters; the name that counts is the alternative name.
        if host.len() <= 64 {
            params.distinguished_name.push(DnType::CommonName, host);
        }
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(
                host.to_owned().try_into().map_err(|_| AuthorityError::Name(host.to_owned()))?,
            ),
        };
        params.subject_alt_names = vec![name];
        params.not_before = (SystemTime::now() - BACKDATE).into();
        params.not_after = self.not_after.into();
        params.serial_number = Some(serial()?);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        Ok(CertifiedKey::new(vec![leaf.der().clone()], Arc::clone(&self.signer)))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn constraints(hosts: &[String]) -> Option<NameConstraints> {
    if hosts.is_empty() {
        return None;
    }
    let subtree = |host: &String| match host.parse::<IpAddr>() {
        Ok(address) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
            address,
            if address.is_ipv4() { 32 } else { 128 },
        )),
        Err(_) => GeneralSubtree::DnsName(host.clone()),
    };
    Some(NameConstraints {
        permitted_subtrees: hosts.iter().map(subtree).collect(),
        excluded_subtrees: Vec::new(),
    })
}

fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = random::<16>()?;
    // RFC 5280 section 4.1.2.2: positive, and not zero.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random<const N: usize>() -> Result<[u8; N], AuthorityError> {
    let mut bytes = [0; N];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| AuthorityError::Random)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::server::ParsedCertificate;

    use super::*;

    fn verify(authority: &Authority, minted: &str, asked: &str) -> Result<(), rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(authority.ca_der().to_vec())).unwrap();
        let leaf = authority.leaf(minted).unwrap();
        let end = ParsedCertificate::try_from(&leaf.cert[0]).unwrap();
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &end,
            &roots,
            &[],
            UnixTime::now(),
            algorithms,
        )?;
        rustls::client::verify_server_name(&end, &ServerName::try_from(asked).unwrap())
    }

    #[test]
    fn leaves_verify_for_their_host_alone() {
        let authority = Authority::new(&[]).unwrap();
        verify(&authority, "api.example.com", "api.example.com").unwrap();
        verify(&authority, "10.1.2.3", "10.1.2.3").unwrap();
        verify(&authority, "::1", "::1").unwrap();
        verify(&authority, "api.example.com", "www.example.com").unwrap_err();
        let again = authority.leaf("api.example.com").unwrap();
        assert!(Arc::ptr_eq(&again, &authority.leaf("api.example.com").unwrap()));
        assert!(authority.leaf("n\u{f6}").is_err());
        assert!(authority.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn constraints_bind_the_authority() {
        let authority = Authority::new(&["example.com".into(), "10.1.2.3".into()]).unwrap();
        verify(&authority, "api.example.com", "api.example.com").unwrap();
        verify(&authority, "10.1.2.3", "10.1.2.3").unwrap();
        verify(&authority, "example.org", "example.org").unwrap_err();
        verify(&authority, "10.1.2.4", "10.1.2.4").unwrap_err();
    }
}
