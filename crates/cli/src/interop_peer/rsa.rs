//! A certificate of an RSA key, by the command `openssl`: Peerline itself makes none.

use std::io::Write as _;
use std::process::{Command, Stdio};

use peerline::Certificate;

/// `None` where there is no such command, or RSA is not spoken on this machine.
pub(crate) fn certificate() -> Option<Certificate> {
    let key = openssl(
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"],
        &[],
    )?;
    let request = ["req", "-x509", "-new", "-key", "/dev/stdin", "-keyform", "DER", "-outform", "DER"];
    let subject = ["-subj", "/CN=WebRTC", "-days", "30"];
    let certificate = openssl(&[&request[..], &subject[..]].concat(), &key)?;
    Certificate::from_der(certificate, &key).ok()
}

/// What the command writes, given `input`.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It is read before anything is written, and shorter than a pipe holds.
    child.stdin.take()?.write_all(input).ok()?;
    let output = child.wait_with_output().ok()?;
    output.status.success().then_some(output.stdout)
}
