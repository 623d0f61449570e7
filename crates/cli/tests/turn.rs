//! `peerline turn` as a process: settings, users read anew, metrics, logs, and how it ends.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use turn_server::turn::client::{Config, Event, Failure};
use turn_server::turn::{self, Arrival, Batch, Carrier, Client, Credentials};

/// The process, and what it writes. It ends with the test.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerline"));
        let mut child =
            command.arg("turn").args(arguments).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let written = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            written.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The next line of the log with this message.
    fn line(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no line `{message}`"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.lines.try_iter().collect::<Vec<_>>().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for an allocation; what became of it.
fn allocate(server: SocketAddr, name: &str) -> Result<SocketAddr, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let path = turn::Path { carrier: Carrier::Udp, local: socket.local_addr().unwrap(), remote: server };
    let credentials = Credentials::new(name, "wonderland").unwrap();
    let mut client = Client::new(Config::new(crypto::default_provider()), credentials, path, [1; 32]);
    let start = Instant::now();
    let now = || turn::Instant::from_nanos(1) + start.elapsed();
    client.allocate(now());
    while start.elapsed() < PATIENCE {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        if client.poll_transmit(now(), &mut batch).is_some() {
            socket.send_to(batch.bytes(), server).unwrap();
        }
        let mut memory = [0; 1500];
        if let Ok(len) = socket.recv(&mut memory) {
            let _ = client.handle_datagram(Arrival { path, ecn: None, at: now() }, &mut memory[..len]);
        }
        match client.poll_event() {
            Some(Event::Allocated { relayed, .. }) => return Ok(relayed),
            Some(Event::Failed(failure)) => return Err(failure),
            _ => {}
        }
    }
    panic!("no answer")
}

fn address(line: &Value) -> SocketAddr {
    line["at"].as_str().unwrap().parse().unwrap()
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn real_servers_follow_their_files_and_end_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let file = folder.path().join("turn.toml");
    let named = write(&users, "alice:wonderland\n");
    let settings = format!(
        "listen = ['127.0.0.1:0']\nusers = '{named}'\nmetrics = '127.0.0.1:0'\nlog-format = 'json'\ndrain = 600\n"
    );
    let process = Process::start(&["--config", &write(&file, &settings), "--realm", "here"]);
    let page = process.line("metrics")["at"].as_str().unwrap().to_owned();
    let server = address(&process.line("listening"));
    let metric = |name: &str| {
        let text = ureq::get(&page).call().unwrap().into_body().read_to_string().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a metric").to_owned();
        line.trim().parse::<u64>().unwrap()
    };

    let relayed = allocate(server, "alice").unwrap();
    let began = process.line("allocation began");
    assert_eq!((&began["user"], &began["relayed"]), (&"alice".into(), &relayed.to_string().into()));
    assert_eq!(
        (metric("peerline_turn_allocations "), metric("peerline_turn_allocations_made_total ")),
        (1, 1)
    );
    assert!(matches!(allocate(server, "bob"), Err(Failure::Challenge(_))));

    write(&users, "bob:wonderland\n");
    process.signal("-HUP");
    process.line("users and certificate are read anew; other settings are those of the start");
    assert!(allocate(server, "bob").is_ok());
    assert!(matches!(allocate(server, "alice"), Err(Failure::Challenge(_))));
    write(&users, "no line of users\n");
    process.signal("-HUP");
    assert!(
        process.line("users and certificate stay as they were")["problem"]
            .as_str()
            .unwrap()
            .contains("line 1")
    );
    assert!(allocate(server, "bob").is_ok());

    process.signal("-TERM");
    assert_eq!(process.line("ending")["allocations"], 3);
    assert!(allocate(server, "bob").is_err(), "no more of them");
    process.signal("-TERM");
    process.line("ended at once");
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn real_servers_end_at_once_when_nobody_uses_them() {
    let process =
        Process::start(&["--listen", "127.0.0.1:0", "--user", "alice:wonderland", "--log-format", "json"]);
    process.line("listening");
    process.signal("-INT");
    process.line("ended");
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn real_what_is_wrong_is_said_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = UdpSocket::bind(taken).unwrap();
    let at = taken.to_string();
    for (arguments, part) in [
        (vec!["--listen", "127.0.0.1:0"], "Try `--user NAME:PASSWORD`"),
        (vec!["--listen", &at, "--user", "a:b"], "Choose another port"),
        (vec!["--config", "/nowhere/turn.toml"], "/nowhere/turn.toml"),
        (vec!["--ports", "x"], "`peerline turn --help` says what can"),
    ] {
        let (code, said) = Process::start(&arguments).end();
        assert!(code == Some(1) && said.contains(part), "{arguments:?}: {code:?} {said}");
    }
    drop(holder);
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A new key and certificate for `localhost` in `folder`; `None`, with the reason printed, where there is no `openssl`.
fn certify(folder: &Path, key: &[&str]) -> Option<()> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args([
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        "key.pem",
        "-out",
        "certificate.pem",
    ]);
    let made = command.arg("-newkey").args(key).stderr(Stdio::null()).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: openssl is not installed (Debian: openssl)");
        return None;
    }
    Some(())
}

/// Whether OpenSSL connects over DTLS to the server whose certificate is in the file `believed`.
fn openssl_connects(folder: &Path, server: SocketAddr, believed: &str) -> bool {
    let mut client = Command::new("timeout");
    client.args(["10", "openssl", "s_client", "-dtls1_2", "-connect", &server.to_string()]);
    client.args(["-verify_return_error", "-CAfile", believed, "-verify_hostname", "localhost"]);
    let said = client.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    said.status.success() && String::from_utf8_lossy(&said.stdout).contains("Cipher is ECDHE-ECDSA")
}

const P_256: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn real_servers_show_openssl_their_certificate_over_dtls_and_a_new_one_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let Some(()) = certify(folder.path(), &P_256) else { return };
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let (old, metrics) = (file("old.pem"), ["--metrics", "127.0.0.1:0"]);
    let listen = ["--listen-dtls", "127.0.0.1:0", "--user", "alice:wonderland", "--log-format", "json"];
    let files = ["--certificate", &certificate, "--key", &key];
    let process = Process::start(&[&listen[..], &files, &metrics].concat());
    let page = process.line("metrics")["at"].as_str().unwrap().to_owned();
    let line = process.line("listening");
    assert_eq!(line["carrier"], "dtls");
    let server = address(&line);
    assert!(openssl_connects(folder.path(), server, &certificate));
    std::fs::copy(&certificate, &old).unwrap();
    certify(folder.path(), &P_256).unwrap();
    process.signal("-HUP");
    process.line("users and certificate are read anew; other settings are those of the start");
    assert!(openssl_connects(folder.path(), server, &certificate));
    assert!(!openssl_connects(folder.path(), server, &old));
    let text = ureq::get(&page).call().unwrap().into_body().read_to_string().unwrap();
    assert!(text.contains("peerline_turn_dtls_handshakes_total 2"), "{text}");
    // A key that does over TLS only: it goes on with what it has.
    certify(folder.path(), &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]).unwrap();
    process.signal("-HUP");
    let problem = process.line("users and certificate stay as they were");
    assert!(problem["problem"].as_str().unwrap().contains("a key of ECDSA on P-256"), "{problem}");
    process.signal("-TERM");
    assert_eq!(process.end().0, Some(0));
}
