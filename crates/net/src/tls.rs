use std::fmt;
use std::path::Path;
use std::sync::Arc;

use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What a server shows of itself over TLS 1.2 and 1.3: a certificate with its chain, and its key.
#[derive(Clone, Debug)]
pub struct TlsServer(pub(crate) Arc<ServerConfig>);

impl TlsServer {
    /// By two files in PEM: the server's certificate with those that lead to the authority's, and the private key.
    ///
    /// # Errors
    ///
    /// Which of them cannot be read or used.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let KeyAndChain { chain, key: secret } = KeyAndChain::from_files(certificates, key)?;
        let unreadable = |reason: String| TlsError { file: key.display().to_string(), reason };
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
        let mut config = config.map_err(|error| unreadable(error.to_string()))?;
        // Those who open thousands of connections leave nothing behind.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }
}

/// What two files in PEM hold: certificates, of which each is signed by the next, and the private key of the first.
pub struct KeyAndChain {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl KeyAndChain {
    /// Reads the files; whether they belong together is not looked at.
    ///
    /// # Errors
    ///
    /// Which of them cannot be read.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read_certificates(certificates)?;
        let unreadable = |reason: String| TlsError { file: key.display().to_string(), reason };
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { chain, key })
    }

    /// The certificates, DER, in the file's order; there is one at least.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }

    /// The private key as it stands in its file, DER: PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) or SEC 1 (RFC 5915).
    pub fn secret_key(&self) -> &[u8] {
        self.key.secret_der()
    }
}

impl fmt::Debug for KeyAndChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAndChain").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Whom a client believes over TLS and DTLS.
#[derive(Clone, Debug)]
pub struct TlsClient {
    pub(crate) config: Arc<ClientConfig>,
    /// The same judgement where the handshake is somebody else's.
    verifier: Arc<WebPkiServerVerifier>,
}

impl TlsClient {
    /// The authorities that this machine believes.
    ///
    /// # Errors
    ///
    /// It has none, or they cannot be read.
    pub fn new() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let reason = found.errors.first().map_or_else(
                || "this machine believes no authority; ca-certificates is not installed".to_owned(),
                ToString::to_string,
            );
            return Err(TlsError { file: String::new(), reason });
        }
        Self::with(roots)
    }

    /// Only the authorities of a file in PEM.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has none.
    pub fn from_file(authorities: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(read_certificates(authorities)?);
        if added == 0 {
            let file = authorities.display().to_string();
            return Err(TlsError { file, reason: "no certificate of an authority".into() });
        }
        Self::with(roots)
    }

    fn with(roots: RootCertStore) -> Result<Self, TlsError> {
        let fail = |reason: String| TlsError { file: String::new(), reason };
        let provider = Arc::new(rustls_graviola::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = verifier.build().map_err(|error| fail(error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| fail(error.to_string()))?;
        let config = builder.with_webpki_verifier(verifier.clone()).with_no_client_auth();
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// Whether `certificate`, DER, is one of the server called `name`, a DNS name or an IP address, at the time
    /// `now`, in seconds since 1970, and `issuers` lead from it to an authority that is believed (RFC 9525, RFC 5280):
    /// what a client of TLS finds out for itself, for one of DTLS.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn judge<'a>(
        &self,
        name: &str,
        certificate: &[u8],
        issuers: impl IntoIterator<Item = &'a [u8]>,
        now: u64,
    ) -> Result<(), TlsError> {
        let fail = |reason: String| TlsError { file: String::new(), reason };
        let name = ServerName::try_from(name).map_err(|error| fail(error.to_string()))?;
        let issuers: Vec<_> = issuers.into_iter().map(CertificateDer::from).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let certificate = CertificateDer::from(certificate);
        let judged = self.verifier.verify_server_cert(&certificate, &issuers, &name, &[], now);
        judged.map(|_| ()).map_err(|error| fail(error.to_string()))
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |reason: String| TlsError { file: file.display().to_string(), reason };
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| fail(error.to_string()))?;
    if all.is_empty() { Err(fail("no certificate".into())) } else { Ok(all) }
}

/// Why TLS cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsError {
    file: String,
    reason: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file.as_str() {
            "" => f.write_str(&self.reason),
            file => write!(f, "{file}: {}", self.reason),
        }
    }
}

impl std::error::Error for TlsError {}
