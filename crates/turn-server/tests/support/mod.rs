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

    /// One of a P-256 key, by an intermediate authority with an RSA key, which the RSA one in `root.pem` signed.
    pub(crate) fn by_rsa_authorities() -> Option<Self> {
        let made = Self::with_key(&["rsa:2048"])?;
        let openssl = |arguments: &[&str]| {
            let done =
                Command::new("openssl").args(arguments).current_dir(made.folder.path()).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let write = |name: &str, text: &str| std::fs::write(made.folder.path().join(name), text).unwrap();
        write("middle.cnf", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
        write("leaf.cnf", "subjectAltName=DNS:localhost,IP:127.0.0.2\n");
        let root = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=root", "-days", "2"];
        openssl(&[&root[..], &["-keyout", "root.key", "-out", "root.pem"]].concat());
        let p_256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        for (name, kind, by, secret) in
            [("middle", &["rsa:2048"][..], "root", "middle.key"), ("leaf", &p_256, "middle", "key.pem")]
        {
            let subject = format!("/CN={name}");
            let request = ["req", "-nodes", "-subj", &subject, "-keyout", secret, "-out", "request.pem"];
            openssl(&[&request[..], &["-newkey"], kind].concat());
            let [signer, signer_key] = ["pem", "key"].map(|end| format!("{by}.{end}"));
            let [extensions, out] = ["cnf", "pem"].map(|end| format!("{name}.{end}"));
            openssl(
                &[
                    &["x509", "-req", "-in", "request.pem", "-days", "2", "-CAcreateserial", "-CA", &signer],
                    &["-CAkey", &signer_key, "-extfile", &extensions, "-out", &out][..],
                ]
                .concat(),
            );
        }
        let read = |name: &str| std::fs::read_to_string(made.folder.path().join(name)).unwrap();
        write("certificate.pem", &(read("leaf.pem") + &read("middle.pem")));
        Some(made)
    }

    /// Its authority's, where that is another.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
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
