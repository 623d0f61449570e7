//! Certificates by OpenSSL.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use peerline::TlsClient;
use tempfile::TempDir;
use turn_server::{DtlsServer, TlsServer};

/// A certificate that signed itself, for a server's address; in a folder that goes with it.
pub struct Certificate(TempDir);

impl Certificate {
    /// For this address; `None`, with the reason printed, where there is no `openssl`.
    pub fn new(ip: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=relay", "-addext", &format!("subjectAltName=IP:{ip}"), "-days", "2"])
            .args(["-addext", "basicConstraints=CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if made.is_ok_and(|status| status.success()) {
            Some(Self(folder))
        } else {
            println!("skipped: openssl is not installed (Debian: openssl)");
            None
        }
    }

    /// `certificate.pem` or `key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// For TLS.
    pub fn server(&self) -> TlsServer {
        TlsServer::from_files(&self.file("certificate.pem"), &self.file("key.pem")).unwrap()
    }

    /// Who believes it.
    pub fn client(&self) -> TlsClient {
        TlsClient::from_file(&self.file("certificate.pem")).unwrap()
    }

    /// For DTLS.
    pub fn dtls(&self) -> DtlsServer {
        DtlsServer::from_files(&self.file("certificate.pem"), &self.file("key.pem")).unwrap()
    }
}
