//! The gateway's certificate: made on first start, or files that are read again when they change.
//!
//! Invariant: a certificate that cannot be used never replaces one that can; the key file is the owner's alone.
//!
//! TLS 1.2 and 1.3 (RFC 8446, RFC 5246) with ALPN (RFC 7301); early data is off (RFC 8470).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::validity::not_after;
use crate::base::{file, time::Timestamp};

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM: PKCS #8, PKCS #1 or SEC 1.
    pub private_key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds nothing usable.
    #[error("{path}: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The cryptography that all TLS here uses.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Reads a certificate and its key, and checks that they belong together.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn load(files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
    let read =
        |path: &Path| fs::read(path).map_err(|error| CertificateError::Read { path: path.to_owned(), error });
    let content = |path: &Path, why: String| CertificateError::Content { path: path.to_owned(), why };
    let pem = read(&files.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| content(&files.certificate, format!("not a PEM certificate: {error}")))?;
    if chain.is_empty() {
        return Err(content(&files.certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(&files.private_key)?))
        .map_err(|error| content(&files.private_key, format!("not a PEM private key: {error}")))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        content(&files.private_key, format!("the key does not fit the certificate: {error}"))
    })
}

/// Reads a certificate and its key like [`load`], and refuses one that no client would take any more.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn load_valid(files: &CertificateFiles, now: Timestamp) -> Result<CertifiedKey, CertificateError> {
    let key = load(files)?;
    match key.cert.first().and_then(|certificate| not_after(certificate)) {
        Some(ends) if ends < now => {
            let why = format!("the certificate was valid until {}", ends.rfc3339());
            Err(CertificateError::Content { path: files.certificate.clone(), why })
        }
        _ => Ok(key),
    }
}

/// The subject of the certificates that we make, by which they are known again.
const OURS: &str = "hubgate development certificate";

/// Makes a self-signed certificate for development, unless there is one: another one than ours, or ours for this host.
/// Valid for `host`, `localhost` and the loopback addresses. Of several who start at once one makes it.
///
/// # Errors
/// [`CertificateError::Write`] when the folder cannot be written.
pub fn self_signed(files: &CertificateFiles, host: &str) -> Result<(), CertificateError> {
    let folder = files.private_key.parent().unwrap_or(Path::new("."));
    let _held = file::hold_folder(folder)
        .map_err(|error| CertificateError::Write { path: folder.to_owned(), error })?;
    if files.certificate.exists() && files.private_key.exists() {
        if !is_ours_for_another(&files.certificate, host) {
            return Ok(());
        }
        tracing::warn!(%host, "the development certificate is for another host and is made anew: clients have to trust the new one");
        // First, so that a certificate never stands beside a key that is not its own.
        fs::remove_file(&files.certificate)
            .map_err(|error| CertificateError::Write { path: files.certificate.clone(), error })?;
    }
    let names: Vec<String> = [host, "localhost", "127.0.0.1", "::1"]
        .into_iter()
        .map(|name| name.trim_matches(['[', ']']).to_owned())
        .collect();
    let content = |error: rcgen::Error| CertificateError::Content {
        path: files.certificate.clone(),
        why: format!("a certificate cannot be made: {error}"),
    };
    let key = rcgen::KeyPair::generate().map_err(content)?;
    let mut parameters = rcgen::CertificateParams::new(dedup(names)).map_err(content)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, OURS);
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key).map_err(content)?;
    file::write_private(&files.private_key, key.serialize_pem().as_bytes())
        .map_err(|error| CertificateError::Write { path: files.private_key.clone(), error })?;
    file::write_private(&files.certificate, certificate.pem().as_bytes())
        .map_err(|error| CertificateError::Write { path: files.certificate.clone(), error })
}

/// Whether a file holds a certificate that we made, and not for this host. What cannot be read is not ours to replace.
fn is_ours_for_another(certificate: &Path, host: &str) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(certificate) else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(&der) else { return false };
    let Ok(name) = ServerName::try_from(host.trim_matches(['[', ']'])) else { return false };
    memchr::memmem::find(&der, OURS.as_bytes()).is_some() && verify_server_name(&parsed, &name).is_err()
}

fn dedup(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    current: ArcSwap<CertifiedKey>,
    /// Of the files at the last look: a broken file is reported once, not at every look.
    seen: Mutex<Option<[SystemTime; 2]>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`]
    pub fn open(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let seen = modified(&files);
        let current = ArcSwap::from_pointee(load(&files)?);
        Ok(Arc::new(Self { files, current, seen: Mutex::new(seen) }))
    }

    /// Reads the files again when they have changed. Returns whether a new certificate is in use.
    ///
    /// # Errors
    /// [`CertificateError`] when the changed files cannot be used, or hold what is not valid any more at `at`; the certificate before
    /// stays in use.
    pub fn refresh(&self, at: Timestamp) -> Result<bool, CertificateError> {
        let now = modified(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.current.store(Arc::new(load_valid(&self.files, at)?));
        Ok(true)
    }

    /// Until when the one in use is valid; `None`: not understood.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.current.load().cert.first().and_then(|certificate| not_after(certificate))
    }

    /// The files.
    #[must_use]
    pub const fn files(&self) -> &CertificateFiles {
        &self.files
    }
}

fn modified(files: &CertificateFiles) -> Option<[SystemTime; 2]> {
    let of = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    Some([of(&files.certificate)?, of(&files.private_key)?])
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// The TLS settings of the listeners.
///
/// # Errors
/// When rustls refuses the protocol versions or the ticket key cannot be made.
pub fn server_config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The certificate authorities of the system, as far as they can be read, in any order.
#[must_use]
pub fn system_authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// How upstreams' certificates are checked: by this CA file, or by the system's authorities. `client`: what the gateway shows of
/// itself. `protocols`: what is offered by ALPN, the best first.
///
/// # Errors
/// [`CertificateError`] when a file does not hold what it should.
pub fn client_config(
    ca: Option<&Path>,
    client: Option<&CertificateFiles>,
    protocols: &[&[u8]],
) -> Result<Arc<rustls::ClientConfig>, CertificateError> {
    let path = ca.unwrap_or(Path::new("the system's certificates")).to_owned();
    let content = |why: String| CertificateError::Content { path: path.clone(), why };
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(file) => {
            let pem =
                fs::read(file).map_err(|error| CertificateError::Read { path: file.to_owned(), error })?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| content(error.to_string()))?;
                roots.add(certificate).map_err(|error| content(error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(system_authorities());
        }
    }
    if roots.is_empty() {
        return Err(content("there is no certificate authority in it".to_owned()));
    }
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| content(error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match client {
        None => config.with_no_client_auth(),
        Some(files) => {
            // Together they are a certificate that can be used; rustls takes them apart.
            load(files)?;
            let read = |path: &Path| {
                fs::read(path).map_err(|error| CertificateError::Read { path: path.to_owned(), error })
            };
            let why =
                |error: String| CertificateError::Content { path: files.certificate.clone(), why: error };
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(&files.certificate)?)
                .map(|one| one.map(CertificateDer::into_owned))
                .collect();
            let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(&files.private_key)?));
            let chain = chain.map_err(|error| why(error.to_string()))?;
            let key = key.map_err(|error| why(error.to_string()))?;
            config.with_client_auth_cert(chain, key).map_err(|error| why(error.to_string()))?
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> CertificateFiles {
        CertificateFiles { certificate: folder.join("c.pem"), private_key: folder.join("k.pem") }
    }

    #[test]
    fn a_development_certificate_is_made_once_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        self_signed(&files, "gate.example").unwrap();
        let first = fs::read(&files.certificate).unwrap();
        self_signed(&files, "gate.example").unwrap();
        assert_eq!(fs::read(&files.certificate).unwrap(), first);
        assert_eq!(fs::metadata(&files.private_key).unwrap().permissions().mode() & 0o777, 0o600);
        load(&files).unwrap();
    }

    #[test]
    fn starts_at_once_make_one_development_certificate() {
        for _ in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let files = files(&folder.path().join("tls"));
            let made: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let start = || {
                    self_signed(&files, "gate.example").unwrap();
                    load(&files).unwrap();
                    fs::read(&files.certificate).unwrap()
                };
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn a_development_certificate_follows_the_host_and_anothers_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let made = |host: &str| {
            self_signed(&files, host).unwrap();
            load(&files).unwrap();
            fs::read(&files.certificate).unwrap()
        };
        let mut before = made("gate.example");
        // It is for these too.
        for host in ["localhost", "127.0.0.1", "[::1]", "gate.example"] {
            assert_eq!(made(host), before, "{host}");
        }
        for host in ["other.example", "192.0.2.1", "[2001:db8::1]", "gate.example"] {
            let anew = made(host);
            assert_ne!(anew, before, "{host}");
            assert_eq!(made(host), anew, "{host}");
            before = anew;
        }
        // One that its owner has put there.
        let own = rcgen::generate_simple_self_signed(vec!["gate.example".into()]).unwrap();
        fs::write(&files.certificate, own.cert.pem()).unwrap();
        fs::write(&files.private_key, own.signing_key.serialize_pem()).unwrap();
        assert_eq!(made("other.example"), own.cert.pem().into_bytes());
    }

    #[test]
    fn a_broken_certificate_does_not_replace_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        self_signed(&files, "a").unwrap();
        let certificate = Certificate::open(files.clone()).unwrap();
        let before = certificate.current.load_full();
        assert!(!certificate.refresh(Timestamp::from_seconds(0)).unwrap());
        let touch = |seconds| {
            let file = fs::File::options().append(true).open(&files.certificate).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        fs::write(&files.certificate, "garbage").unwrap();
        touch(1);
        assert!(certificate.refresh(Timestamp::from_seconds(0)).is_err());
        assert!(Arc::ptr_eq(&before, &certificate.current.load_full()));
        assert!(
            !certificate.refresh(Timestamp::from_seconds(0)).unwrap(),
            "the same broken file was reported twice"
        );
        fs::remove_file(&files.certificate).unwrap();
        fs::remove_file(&files.private_key).unwrap();
        self_signed(&files, "b").unwrap();
        touch(2);
        assert!(certificate.refresh(Timestamp::from_seconds(0)).unwrap());
        assert!(!Arc::ptr_eq(&before, &certificate.current.load_full()));
    }

    #[test]
    fn one_that_is_not_valid_any_more_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        self_signed(&files, "a").unwrap();
        let ends = Certificate::open(files.clone()).unwrap().ends().unwrap();
        assert!(load_valid(&files, ends).is_ok());
        let error = load_valid(&files, ends.plus(std::time::Duration::from_secs(1))).unwrap_err();
        assert!(error.to_string().ends_with(&format!("was valid until {}", ends.rfc3339())), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let one = files(folder.path());
        let other =
            CertificateFiles { certificate: folder.path().join("c2"), private_key: folder.path().join("k2") };
        self_signed(&one, "a").unwrap();
        self_signed(&other, "a").unwrap();
        let mixed = CertificateFiles { certificate: one.certificate, private_key: other.private_key };
        assert!(matches!(load(&mixed), Err(CertificateError::Content { .. })));
    }
}
