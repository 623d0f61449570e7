use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crypto::{Provider, SignatureAlgorithm};
use dtls::{ClientCertificate, Identity, IdentityError};
use net::{KeyAndChain, TlsError};

use crate::Config;

/// What a server shows of itself over DTLS 1.2: a certificate of a key of ECDSA P-256 or RSA with its chain, and that key.
#[derive(Clone, Debug)]
pub struct DtlsServer(Arc<Identity>);

impl DtlsServer {
    /// By two files in PEM: the server's certificate with those that lead to the authority's, and the private key.
    ///
    /// # Errors
    ///
    /// Which of them cannot be read or used. RSA keys can where [`crypto::accelerated`] is to be had.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, DtlsError> {
        let files = KeyAndChain::from_files(certificates, key).map_err(DtlsError::File)?;
        let provider = crypto::default_provider();
        let key = match crypto::p256_secret(files.secret_key()) {
            Ok(secret) => provider.signing_key(SignatureAlgorithm::EcdsaP256Sha256, secret.expose()),
            Err(_) => provider.rsa_signing_key(files.secret_key()),
        };
        let key = key.map_err(|_| DtlsError::Key)?;
        let mut chain = files.chain().map(<[u8]>::to_vec);
        // A file without any was refused.
        let leaf = chain.next().unwrap_or_default();
        let identity = Identity::new(leaf, key).and_then(|identity| identity.with_issuers(chain.collect()));
        Ok(Self(Arc::new(identity.map_err(DtlsError::Certificate)?)))
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.0.clone()
    }

    /// What the associations of a listener are made with.
    pub(crate) fn config(&self, provider: &'static dyn Provider, config: &Config) -> Arc<dtls::Config> {
        let mut made = dtls::Config::new(provider, self.0.clone());
        // Who it is says the name and password of each request.
        made.client_certificate = ClientCertificate::NotRequested;
        made.give_up = config.first_message_timeout;
        made.max_connections = config.max_connections;
        made.max_message = MAX_MESSAGE;
        made.max_reassembly = MAX_REASSEMBLY;
        Arc::new(made)
    }
}

/// Why DTLS cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DtlsError {
    /// A file cannot be read.
    File(TlsError),
    /// The private key is neither one of ECDSA on P-256 nor one of RSA, or this processor has no RSA.
    Key,
    /// The certificate or its chain cannot be used.
    Certificate(IdentityError),
}

impl fmt::Display for DtlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Key => f.write_str(
                "DTLS needs a key of ECDSA on P-256 (prime256v1) or of RSA, and this is none that can be used; over TLS \
                 it may be",
            ),
            Self::Certificate(error) => write!(f, "DTLS: {error}"),
        }
    }
}

impl std::error::Error for DtlsError {}

/// Bytes of a client's longest handshake message: a ClientHello, with room for extensions nobody knows yet.
const MAX_MESSAGE: usize = 8 << 10;
/// Bytes that are kept of those in pieces.
const MAX_REASSEMBLY: usize = 16 << 10;
