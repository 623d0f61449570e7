//! Certificates by OpenSSL, and clients over DTLS.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, reason = "each test uses a part of this")]

pub(crate) mod dtls;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use turn_server::{DtlsServer, TlsServer};

/// One that signed itself, for `localhost`, in a folder that goes with it.
pub(crate) struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// None, with the reason printed, where there is no `openssl`.
    pub(crate) fn new() -> Option<Self> {
        Self::with_key(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    /// The same with a key of this kind.
    pub(crate) fn with_key(kind: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey"])
            .args(kind)
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.2"])
            .args(["-addext", "basicConstraints=CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if made.is_ok_and(|status| status.success()) {
            Some(Self { folder })
        } else {
            println!("skipped: openssl is not installed (Debian: openssl)");
            None
        }
    }

    /// The certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The certificate with its key, for DTLS.
    pub(crate) fn dtls(&self) -> DtlsServer {
        DtlsServer::from_files(&self.file(), &self.key()).unwrap()
    }

    /// The certificate with its key.
    pub(crate) fn server(&self) -> TlsServer {
        TlsServer::from_files(&self.file(), &self.key()).unwrap()
    }
}
