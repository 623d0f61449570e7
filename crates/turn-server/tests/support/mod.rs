//! Certificates by OpenSSL.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use turn_server::TlsServer;

/// One that signed itself, for `localhost`, in a folder that goes with it.
pub(crate) struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// None, with the reason printed, where there is no `openssl`.
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
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

    /// The certificate with its key.
    pub(crate) fn server(&self) -> TlsServer {
        TlsServer::from_files(&self.file(), &self.folder.path().join("key.pem")).unwrap()
    }
}
