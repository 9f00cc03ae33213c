//! Tests of the certificate side.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::bundle::Bundle;
use super::{java, subject, system, variables};

/// Made by `openssl req -utf8 -subj "/C=DE/O=  Acme   GmbH  &  Söhne/CN=Trackway TEST Root"`.
const ODD: &str = include_str!("tests/odd.pem");
/// Said by `openssl x509 -hash` of it.
const ODD_HASH: &str = "26a96e58";

fn odd() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(ODD.as_bytes()).unwrap()
}

#[test]
fn subject_hash_is_openssls() {
    assert_eq!(subject::hash(&odd()).as_deref(), Some(ODD_HASH));
}

#[test]
fn subject_hash_of_every_prefix_is_none_or_right() {
    let der = odd();
    for length in 0..der.len() {
        let hash = subject::hash(&der[..length]);
        assert!(hash.is_none() || hash.as_deref() == Some(ODD_HASH), "{length}: {hash:?}");
    }
}

#[test]
fn subject_hash_agrees_with_the_names_in_the_systems_directory() {
    let mut seen = 0;
    for directory in system::Store::find().hashed {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(hash) = name.strip_suffix(".0").filter(|hash| hash.len() == 8) else { continue };
            let bundle = Bundle::read(&entry.path()).unwrap();
            assert_eq!(subject::hash(&bundle.certificates[0]).as_deref(), Some(hash), "{name}");
            seen += 1;
        }
    }
    println!("{seen} names compared");
}

#[test]
fn java_store_reads_back() {
    let certificate = odd();
    let store = java::keystore([certificate.as_ref(), b"other", certificate.as_ref()].into_iter());
    assert_eq!(java::certificates(&store), Some(vec![certificate.to_vec(), b"other".to_vec()]));
    for length in 0..store.len() - 20 {
        assert_eq!(java::certificates(&store[..length]), None, "{length}");
    }
}

#[test]
fn java_options_are_appended_and_a_users_store_stays() {
    let check = |theirs: Option<&str>, expect: &str| {
        let (name, value) = java::variable(Path::new("/r/java.jks"), theirs.map(OsString::from));
        assert_eq!((name.to_str(), value.to_str()), (Some("JAVA_TOOL_OPTIONS"), Some(expect)));
    };
    let ours = "-Djavax.net.ssl.trustStore=/r/java.jks -Djavax.net.ssl.trustStorePassword=changeit";
    check(None, ours);
    check(Some("-Xmx1g"), &format!("-Xmx1g {ours}"));
    check(Some("-Djavax.net.ssl.trustStore=/mine"), "-Djavax.net.ssl.trustStore=/mine");
}

#[test]
fn bundles_keep_their_text_and_get_one_more() {
    let bundle = Bundle::parse(format!("# mine\n{}", ODD.trim_end()).into_bytes());
    assert_eq!(bundle.certificates, [odd()]);
    let more = bundle.with(ODD);
    assert!(more.starts_with("# mine\n"));
    assert_eq!(Bundle::parse(more.into_bytes()).certificates.len(), 2);
    assert_eq!(Bundle::parse(b"no certificate".to_vec()).certificates.len(), 0);
}

type Variables = Vec<(String, String)>;

struct Setting {
    folder: PathBuf,
    user: Vec<(&'static str, OsString)>,
    combined: bool,
}

impl Setting {
    fn choose(&self) -> (Variables, Vec<(String, usize)>) {
        let (combined, alone) = (PathBuf::from("/r/roots.pem"), PathBuf::from("/r/ca.pem"));
        let files = variables::Files {
            combined: self.combined.then_some(&combined),
            alone: &alone,
            hashed: Path::new("/r/hashed"),
            system: &[],
        };
        let current =
            |name: &str| self.user.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let mut merged = Vec::new();
        let chosen = variables::choose(&files, current, |name, bundle| {
            merged.push((name.to_owned(), bundle.certificates.len()));
            Ok(PathBuf::from(format!("/r/{name}")))
        });
        let text = |word: OsString| word.into_string().unwrap();
        (chosen.unwrap().into_iter().map(|(name, value)| (text(name), text(value))).collect(), merged)
    }

    fn get(&self, name: &str) -> Option<String> {
        self.choose().0.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

#[test]
fn variables_without_a_users_own() {
    let folder = std::env::temp_dir();
    let setting = Setting { folder, user: vec![], combined: true };
    assert_eq!(setting.get("NODE_EXTRA_CA_CERTS").as_deref(), Some("/r/ca.pem"));
    assert_eq!(setting.get("SSL_CERT_FILE").as_deref(), Some("/r/roots.pem"));
    assert_eq!(setting.get("REQUESTS_CA_BUNDLE").as_deref(), Some("/r/roots.pem"));
    assert_eq!(setting.get("SSL_CERT_DIR"), None);
    assert_eq!(setting.get("PIP_CERT"), None);
    assert_eq!(setting.choose().1, []);

    // A default is never replaced by our certificate alone.
    let bare = Setting { combined: false, ..setting };
    assert_eq!(bare.get("SSL_CERT_FILE"), None);
    assert_eq!(bare.get("NODE_EXTRA_CA_CERTS").as_deref(), Some("/r/ca.pem"));
}

#[test]
fn variables_of_the_user_are_merged() {
    let folder = tempfile("merged");
    let file = folder.join("mine.pem");
    std::fs::write(&file, ODD).unwrap();
    let user = vec![
        ("SSL_CERT_FILE", file.clone().into()),
        ("PIP_CERT", file.clone().into()),
        ("CURL_CA_BUNDLE", folder.join("missing.pem").into()),
        ("REQUESTS_CA_BUNDLE", folder.clone().into()),
    ];
    let setting = Setting { folder, user, combined: true };
    let (_, merged) = setting.choose();
    assert_eq!(setting.get("SSL_CERT_FILE").as_deref(), Some("/r/SSL_CERT_FILE"));
    assert_eq!(setting.get("PIP_CERT").as_deref(), Some("/r/PIP_CERT"));
    assert_eq!(setting.get("CURL_CA_BUNDLE"), None, "what fails without us fails with us");
    assert_eq!(setting.get("REQUESTS_CA_BUNDLE").as_deref(), Some("/r/REQUESTS_CA_BUNDLE"));
    assert_eq!(merged.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 1, 1]);
    std::fs::remove_dir_all(&setting.folder).unwrap();
}

#[test]
fn a_users_directory_gets_ours_beside_it_and_no_system_roots() {
    let user = vec![("SSL_CERT_DIR", OsString::from("/mine:/theirs"))];
    let setting = Setting { folder: PathBuf::new(), user, combined: true };
    assert_eq!(setting.get("SSL_CERT_DIR").as_deref(), Some("/mine:/theirs:/r/hashed"));
    assert_eq!(setting.get("SSL_CERT_FILE"), None);
}

fn tempfile(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("trackway-test-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}
