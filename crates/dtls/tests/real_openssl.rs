//! OpenSSL on 127.0.0.1, in both roles, in real time. Says why and returns where there is no `openssl`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; a real peer lives in real time"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use dtls::{CipherSuite, Config, Connection, Event, Identity, NamedGroup, SrtpProfile};
use proto::{Instant, Writer};

#[test]
fn real_openssl_server_with_cookies_gives_equal_exports() {
    let Some(openssl) = OpenSsl::new("server") else { return };
    for (suite, group, mtu) in cases() {
        let port = free_port();
        let mut child = openssl.server(port, suite, group, mtu);
        std::thread::sleep(Duration::from_millis(300));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let remote = SocketAddr::from(([127, 0, 0, 1], port));
        let mut connection = Connection::client(Instant::default(), config(suite, group), [3; 32]);
        connection.set_round_trip(Duration::from_millis(100));
        connection.set_max_datagram(mtu);
        let exported = converse(&mut connection, &socket, Some(remote), &mut child);
        println!("client, {}, {}, {mtu}: {}", suite.name(), group.name(), hex(&exported));
    }
}

#[test]
fn real_openssl_client_gives_equal_exports() {
    let Some(openssl) = OpenSsl::new("client") else { return };
    for (suite, group, mtu) in cases() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut connection = Connection::server(Instant::default(), config(suite, group), [4; 32]);
        connection.set_round_trip(Duration::from_millis(100));
        connection.set_max_datagram(mtu);
        let mut child = openssl.client(port, suite, group, mtu);
        let exported = converse(&mut connection, &socket, None, &mut child);
        println!("server, {}, {}, {mtu}: {}", suite.name(), group.name(), hex(&exported));
    }
}

fn cases() -> Vec<(CipherSuite, NamedGroup, usize)> {
    vec![
        (CipherSuite::EcdheEcdsaAes128GcmSha256, NamedGroup::X25519, 1400),
        (CipherSuite::EcdheEcdsaAes256GcmSha384, NamedGroup::Secp256r1, 600),
        (CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256, NamedGroup::X25519, 228),
    ]
}

fn config(suite: CipherSuite, group: NamedGroup) -> Arc<Config> {
    let provider = crypto::default_provider();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let identity = Identity::generate(provider, now, [9; 32]).unwrap();
    let mut config = Config::new(provider, Arc::new(identity));
    config.cipher_suites = vec![suite];
    // RFC 8422 §5.1: the groups also say which curves of certificates we take; OpenSSL holds us to it.
    config.groups = vec![group, NamedGroup::Secp256r1];
    config.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm];
    config.srtp_required = true;
    Arc::new(config)
}

/// Connects, compares the exporters, sends a line each way, closes. Returns what was exported.
fn converse(
    connection: &mut Connection,
    socket: &UdpSocket,
    mut remote: Option<SocketAddr>,
    peer: &mut Peer,
) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let start = Clock::now();
    let mut text = String::new();
    let (mut exported, mut received, mut theirs) = (None, Vec::new(), None);
    let (mut said, mut asked, mut closed) = (false, false, false);
    while start.elapsed() < Duration::from_secs(15) {
        let now = Instant::default() + start.elapsed();
        connection.handle_timeout(now);
        while let Some(event) = connection.poll_event() {
            match event {
                Event::PeerCertificate => {
                    assert!(connection.peer_certificate().unwrap().len() > 100);
                    connection.accept_peer(now);
                }
                Event::Connected => {
                    let mut keys = vec![0; 56];
                    connection.export_keying_material(b"EXTRACTOR-dtls_srtp", None, &mut keys).unwrap();
                    assert_eq!(connection.srtp_profile(), Some(SrtpProfile::AeadAes128Gcm));
                    exported = Some(keys);
                }
                Event::Closed(_) => closed = true,
                _ => {}
            }
        }
        let mut memory = [0; 2000];
        while let Some(to) = remote {
            let mut out = Writer::new(&mut memory);
            if !connection.poll_packet(now, &mut out) {
                break;
            }
            socket.send_to(out.written(), to).unwrap();
        }
        if let (Some(to), true, false) = (remote, exported.is_some(), said) {
            let mut out = Writer::new(&mut memory);
            let mut record = connection.begin_record(&mut out).unwrap();
            record.plaintext().put(b"a line from us\n").unwrap();
            record.seal();
            socket.send_to(out.written(), to).unwrap();
            said = true;
        }
        if said && !asked {
            asked = true;
            peer.stdin.write_all(b"a line from the peer\n").unwrap();
            peer.stdin.flush().unwrap();
        }
        if let Ok((len, from)) = socket.recv_from(&mut memory) {
            remote = Some(from);
            let mut records = connection.handle_datagram(now, &mut memory[..len]);
            while let Some(record) = records.next_record() {
                if let Ok(data) = record {
                    received.extend_from_slice(data);
                }
            }
        }
        while let Ok(line) = peer.lines.try_recv() {
            if let Some(value) = line.trim().strip_prefix("Keying material: ") {
                theirs = Some(value.to_lowercase());
            }
            text.push_str(&line);
            text.push('\n');
        }
        if closed {
            break;
        }
        if received == b"a line from the peer\n" && text.contains("a line from us") && theirs.is_some() {
            connection.close(now);
        }
    }
    let stats = connection.stats();
    let exported = exported.unwrap_or_else(|| panic!("no connection: {stats:?}\n{text}"));
    assert_eq!(received, b"a line from the peer\n", "{stats:?}\n{text}");
    assert!(text.contains("a line from us"), "{stats:?}\n{text}");
    assert_eq!(theirs.as_deref(), Some(hex(&exported).as_str()), "{text}");
    exported
}

struct OpenSsl {
    folder: PathBuf,
}

struct Peer {
    child: Child,
    stdin: std::process::ChildStdin,
    lines: Receiver<String>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OpenSsl {
    fn new(name: &str) -> Option<Self> {
        if let Err(error) = Command::new("openssl").arg("version").output() {
            println!("skipped: openssl does not run: {error}");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("peerline-dtls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("openssl")
            .current_dir(&folder)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=openssl"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(Self { folder })
    }

    fn server(&self, port: u16, suite: CipherSuite, group: NamedGroup, mtu: usize) -> Peer {
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-dtls1_2",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-Verify",
            "1",
            "-listen",
        ]);
        self.spawn(command, suite, group, mtu)
    }

    fn client(&self, port: u16, suite: CipherSuite, group: NamedGroup, mtu: usize) -> Peer {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}")]);
        self.spawn(command, suite, group, mtu)
    }

    fn spawn(&self, mut command: Command, suite: CipherSuite, group: NamedGroup, mtu: usize) -> Peer {
        let cipher = match suite {
            CipherSuite::EcdheEcdsaAes128GcmSha256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            CipherSuite::EcdheEcdsaAes256GcmSha384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            _ => panic!("no name for {}", suite.name()),
        };
        let curve = if group == NamedGroup::X25519 { "X25519" } else { "P-256" };
        // OpenSSL checks that a certificate's curve is among the groups.
        let groups = if curve == "P-256" { curve.to_string() } else { format!("{curve}:P-256") };
        command
            .current_dir(&self.folder)
            .args(["-cert", "cert.pem", "-key", "key.pem", "-cipher", cipher, "-groups", &groups])
            .args(["-use_srtp", "SRTP_AEAD_AES_128_GCM", "-mtu", &mtu.max(256).to_string()])
            .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Peer { child, stdin, lines }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
