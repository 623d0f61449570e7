use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
        let chain = read_certificates(certificates)?;
        let unreadable = |reason: String| TlsError { file: key.display().to_string(), reason };
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| unreadable(error.to_string()))?;
        // Those who open thousands of connections leave nothing behind.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }
}

/// Whom a client believes over TLS.
#[derive(Clone, Debug)]
pub struct TlsClient(pub(crate) Arc<ClientConfig>);

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
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError { file: String::new(), reason: error.to_string() })?;
        Ok(Self(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
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
