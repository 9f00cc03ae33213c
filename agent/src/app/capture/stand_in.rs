//! Stands in for parts that are not there yet.
pub(super) struct Authority {
    pem: String,
    der: Vec<u8>,
}
impl Authority {
    pub(super) fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        Self { pem: cert.pem(), der: cert.der().to_vec() }
    }
    pub(super) fn ca_pem(&self) -> &str {
        &self.pem
    }
    pub(super) fn ca_der(&self) -> &[u8] {
        &self.der
    }
}
