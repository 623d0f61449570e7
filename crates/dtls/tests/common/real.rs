//! Other people's programs as peers on 127.0.0.1, in real time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path as File, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use crypto::Rng;
use dtls::{
    CipherSuite, Config, Connection, ConnectionId, Delivery, Endpoint, Event, Identity, NamedGroup,
    SrtpProfile,
};
use proto::{Arrival, Batch, Carrier, Instant, Path, Writer};

/// One conversation: what both sides are told to use, and the path between them.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub suite: CipherSuite,
    pub group: NamedGroup,
    /// Bytes of the largest datagram of either side.
    pub mtu: usize,
    /// Datagrams lost of a hundred, in each direction.
    pub loss: u32,
    /// Whether the server, whoever it is, asks for a cookie.
    pub cookies: bool,
}

/// Every size with every suite, with and without loss; in CI a few, which have each of them once.
pub fn cases() -> Vec<Case> {
    let suites = [
        (CipherSuite::EcdheEcdsaAes128GcmSha256, NamedGroup::X25519),
        (CipherSuite::EcdheEcdsaAes256GcmSha384, NamedGroup::Secp256r1),
        (CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256, NamedGroup::X25519),
    ];
    let case = |at: usize, mtu, loss| {
        let (suite, group) = suites[at % 3];
        Case { suite, group, mtu, loss, cookies: at.is_multiple_of(2) || loss > 0 }
    };
    if testkit::scaled(100) < 100 {
        return vec![case(0, 1400, 0), case(1, 600, 0), case(2, 300, 20)];
    }
    let mut all = Vec::new();
    for mtu in [1400, 1200, 600, 300] {
        for at in 0..6 {
            all.extend([case(at, mtu, 0), case(at, mtu, 20)]);
        }
    }
    all
}

/// Our configuration for a case, with a fresh certificate.
pub fn config(case: &Case, profile: SrtpProfile) -> Arc<Config> {
    let provider = crypto::default_provider();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let identity = Identity::generate(provider, now, [9; 32]).unwrap();
    let mut config = Config::new(provider, Arc::new(identity));
    config.cipher_suites = vec![case.suite];
    // RFC 8422 §5.1: the groups also say which curves of certificates we take; OpenSSL holds us to it.
    config.groups = vec![case.group, NamedGroup::Secp256r1];
    config.srtp_profiles = vec![profile];
    config.srtp_required = true;
    config.max_datagram = case.mtu;
    Arc::new(config)
}

/// Our side.
pub enum Ours {
    /// And what the peer must send behind its certificate.
    Connection(Box<Connection>, Vec<Vec<u8>>),
    /// A server that asks strangers for a cookie.
    Endpoint(Box<Endpoint>, Option<ConnectionId>),
}

impl Ours {
    pub fn client(config: Arc<Config>) -> Self {
        let mut connection = Connection::client(Instant::default(), config, [3; 32]);
        connection.set_round_trip(Duration::from_millis(100));
        Self::Connection(Box::new(connection), Vec::new())
    }

    pub fn server(config: Arc<Config>, cookies: bool) -> Self {
        if cookies {
            return Self::Endpoint(Box::new(Endpoint::new(config, [4; 32])), None);
        }
        let mut connection = Connection::server(Instant::default(), config, [4; 32]);
        connection.set_round_trip(Duration::from_millis(100));
        Self::Connection(Box::new(connection), Vec::new())
    }

    /// Has a client see to it that the peer sends these behind its certificate.
    pub fn expect_issuers(&mut self, expected: Vec<Vec<u8>>) {
        if let Self::Connection(_, issuers) = self {
            *issuers = expected;
        }
    }

    fn issuers(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Connection(_, issuers) => issuers.clone(),
            Self::Endpoint(..) => Vec::new(),
        }
    }

    pub fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Connection(connection, _) => Some(connection),
            Self::Endpoint(endpoint, id) => endpoint.connection_mut((*id)?),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Connection(connection, _) => connection.handle_timeout(now),
            Self::Endpoint(endpoint, _) => endpoint.handle_timeout(now),
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        match self {
            Self::Connection(connection, _) => connection.poll_event(),
            Self::Endpoint(endpoint, _) => endpoint.poll_event().map(|(_, event)| event),
        }
    }

    fn packets(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut all, mut memory) = (Vec::new(), [0; 2000]);
        loop {
            let mut batch = Batch::new(&mut memory, 1, 2000);
            let written = match self {
                Self::Connection(connection, _) => {
                    batch.append(|out| connection.poll_packet(now, out).then_some(()).ok_or(())).is_ok()
                }
                Self::Endpoint(endpoint, _) => endpoint.poll_transmit(now, &mut batch).is_some(),
            };
            if !written {
                return all;
            }
            all.push(batch.bytes().to_vec());
        }
    }

    /// Takes a datagram; what it said goes to `received`.
    fn receive(&mut self, now: Instant, path: Path, datagram: &mut [u8], received: &mut String) {
        let mut records = match self {
            Self::Connection(connection, _) => connection.handle_datagram(now, datagram),
            Self::Endpoint(endpoint, known) => {
                let arrival = Arrival { path, ecn: None, at: now };
                let Ok(Delivery::Records(id, records)) = endpoint.handle_datagram(arrival, datagram) else {
                    return;
                };
                *known = Some(id);
                records
            }
        };
        while let Some(record) = records.next_record() {
            if let Ok(data) = record {
                received.push_str(std::str::from_utf8(data).unwrap());
            }
        }
    }
}

/// What a conversation needs beside our side.
pub struct Talk<'a> {
    pub socket: &'a UdpSocket,
    /// Where the peer is, or the relay before it; unknown to a server.
    pub remote: Option<SocketAddr>,
    pub peer: &'a mut Peer,
    pub profile: SrtpProfile,
}

/// Connects, compares the exporters if the peer prints its own, sends a line each way, closes. Lines are said
/// until they are heard, since datagrams may be lost.
pub fn converse(mut ours: Ours, mut talk: Talk<'_>, case: &Case) {
    talk.socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let (key, salt) = talk.profile.key_and_salt_len();
    let local = talk.socket.local_addr().unwrap();
    let (start, limit) = (Clock::now(), Duration::from_secs(if case.loss > 0 { 60 } else { 20 }));
    let (mut exported, mut received, mut closed) = (None, String::new(), false);
    let mut said = Duration::ZERO;
    while start.elapsed() < limit && !closed {
        let now = Instant::default() + start.elapsed();
        ours.handle_timeout(now);
        while let Some(event) = ours.poll_event() {
            let issuers = ours.issuers();
            let connection = match event {
                Event::Closed(_) => {
                    closed = true;
                    continue;
                }
                _ => ours.connection().unwrap(),
            };
            if event == Event::PeerCertificate {
                assert!(connection.peer_certificate().unwrap().len() > 100);
                assert!(connection.peer_issuers().eq(issuers.iter()));
                connection.accept_peer(now);
            } else {
                let mut keys = vec![0; 2 * (key + salt)];
                connection.export_keying_material(b"EXTRACTOR-dtls_srtp", None, &mut keys).unwrap();
                assert_eq!(connection.srtp_profile(), Some(talk.profile));
                assert_eq!(connection.cipher_suite(), Some(case.suite));
                exported = Some(keys.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            }
        }
        for packet in ours.packets(now) {
            assert!(packet.len() <= case.mtu, "{} of {}", packet.len(), case.mtu);
            talk.socket.send_to(&packet, talk.remote.unwrap()).unwrap();
        }
        let due = said.is_zero() || start.elapsed() >= said + Duration::from_millis(300);
        if let (Some(to), Some(_), true, false) = (talk.remote, &exported, due, closed) {
            said = start.elapsed();
            let record = super::bytes::written(|out: &mut Writer<'_>| {
                let mut record = ours.connection().unwrap().begin_record(out)?;
                record.plaintext().put(b"a line from us\n")?;
                record.seal();
                Ok::<_, dtls::SealError>(())
            });
            talk.socket.send_to(&record, to).unwrap();
            talk.peer.say("a line from the peer");
        }
        let mut memory = [0; 2000];
        if let Ok((len, from)) = talk.socket.recv_from(&mut memory) {
            talk.remote = Some(from);
            let path = Path { carrier: Carrier::Udp, local, remote: from };
            ours.receive(now, path, &mut memory[..len], &mut received);
        }
        talk.peer.listen();
        let heard = if talk.peer.echoes {
            received.contains("a line from us")
        } else {
            received.contains("a line from the peer") && talk.peer.text.contains("a line from us")
        };
        if heard && talk.peer.exported().is_some() == talk.peer.exports {
            ours.connection().unwrap().close(now);
            for packet in ours.packets(now) {
                talk.socket.send_to(&packet, talk.remote.unwrap()).unwrap();
            }
            closed = true;
        }
    }
    let text = &talk.peer.text;
    let exported = exported.unwrap_or_else(|| panic!("no connection, {case:?}: {text}"));
    assert!(closed, "{case:?}: {received:?} was received, the peer says\n{text}");
    if talk.peer.exports {
        assert_eq!(talk.peer.exported(), Some(exported), "{case:?}: {text}");
    }
    println!("{case:?}: {:?}", start.elapsed());
}

/// A program that runs until this is dropped.
pub struct Peer {
    child: Child,
    stdin: std::process::ChildStdin,
    lines: Receiver<String>,
    pub text: String,
    /// It sends back what it gets, and nothing of its own.
    pub echoes: bool,
    /// It prints its keying material.
    pub exports: bool,
}

impl Peer {
    /// Starts `command` in `folder`.
    pub fn spawn(mut command: Command, folder: &File, echoes: bool, exports: bool) -> Self {
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
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
        Self { child, stdin, lines, text: String::new(), echoes, exports }
    }

    fn say(&mut self, line: &str) {
        if !self.echoes {
            let _ = writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush());
        }
    }

    fn listen(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// OpenSSL's and GnuTLS's way to print it.
    fn exported(&self) -> Option<String> {
        self.text.lines().find_map(|line| {
            let line = line.trim();
            let value =
                line.strip_prefix("Keying material: ").or_else(|| line.strip_prefix("- Key material: "))?;
            Some(value.to_lowercase())
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket that passes datagrams on in both directions and loses some, by its seed.
pub struct Relay {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Relay {
    /// Between whoever speaks to its address and `target`.
    pub fn new(target: SocketAddr, loss: u32, seed: u8) -> Self {
        let (front, back) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        }
        let (address, stop) = (front.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut rng = Rng::new([seed; 32]);
            let (mut memory, mut client) = ([0; 2000], None);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = front.recv_from(&mut memory) {
                    client = Some(from);
                    if rng.below(100) >= loss {
                        let _ = back.send_to(&memory[..len], target);
                    }
                }
                if let (Ok((len, _)), Some(client)) = (back.recv_from(&mut memory), client)
                    && rng.below(100) >= loss
                {
                    let _ = front.send_to(&memory[..len], client);
                }
            }
        });
        Self { address, stop }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A folder with a P-256 certificate in `cert.pem` and its key in `key.pem`, gone when this is dropped. `None`,
/// and the reason printed, if a program does not run.
pub struct Certificate {
    pub folder: PathBuf,
}

impl Certificate {
    /// The same for `turn.example`: signed by an authority whose own, in `middle.pem`, is signed by the root in
    /// `root.pem`. `chain.pem` has the first two, as a server sends them.
    pub fn with_chain(name: &str, programs: &[&str]) -> Option<Self> {
        let made = Self::new(name, programs)?;
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").current_dir(&made.folder).args(arguments).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        std::fs::write(made.folder.join("middle.cnf"), authority).unwrap();
        std::fs::write(made.folder.join("leaf.cnf"), "subjectAltName=DNS:turn.example\n").unwrap();
        let root = ["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-days", "2"];
        openssl(&[&["req", "-x509"], &ec[..], &root].concat());
        for (subject, issuer, key) in [("middle", "root", "middle.key"), ("leaf", "middle", "key.pem")] {
            let (subject_name, config) = (format!("/CN={subject}"), format!("{subject}.cnf"));
            let request = ["-keyout", key, "-out", "request.pem", "-subj", &subject_name];
            openssl(&[&["req"], &ec[..], &request].concat());
            let (signer, signer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
            let certificate = format!("{subject}.pem");
            openssl(
                &[
                    &["x509", "-req", "-in", "request.pem", "-days", "2", "-CAcreateserial"],
                    &["-CA", &signer, "-CAkey", &signer_key, "-extfile", &config, "-out", &certificate][..],
                ]
                .concat(),
            );
        }
        let text = |name: &str| std::fs::read_to_string(made.folder.join(name)).unwrap();
        std::fs::write(made.folder.join("chain.pem"), text("leaf.pem") + &text("middle.pem")).unwrap();
        Some(made)
    }

    /// What a file of PEM or a key is in DER, as OpenSSL says.
    pub fn der(&self, arguments: &[&str]) -> Vec<u8> {
        let made = Command::new("openssl").current_dir(&self.folder).args(arguments).output().unwrap();
        assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
        made.stdout
    }

    pub fn new(name: &str, programs: &[&str]) -> Option<Self> {
        Self::of_key(name, programs, &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
    }

    /// Of a key that OpenSSL makes by these arguments.
    pub fn of_key(name: &str, programs: &[&str], key: &[&str]) -> Option<Self> {
        for program in programs.iter().chain(&["openssl"]) {
            let argument = if *program == "openssl" { "version" } else { "--version" };
            if let Err(error) = Command::new(program).arg(argument).output() {
                println!("skipped: {program} does not run: {error}");
                return None;
            }
        }
        let folder = std::env::temp_dir().join(format!("peerline-dtls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("openssl")
            .current_dir(&folder)
            .args(["req", "-x509", "-nodes", "-newkey"])
            .args(key)
            .args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=peer"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(Self { folder })
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Our client's conversation with the server that `spawn` starts on a port.
pub fn with_server(case: &Case, profile: SrtpProfile, spawn: impl Fn(u16) -> Peer) {
    let port = free_port();
    let mut peer = spawn(port);
    std::thread::sleep(Duration::from_millis(300));
    let relay = Relay::new(([127, 0, 0, 1], port).into(), case.loss, 7);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let talk = Talk { socket: &socket, remote: Some(relay.address), peer: &mut peer, profile };
    converse(Ours::client(config(case, profile)), talk, case);
}

/// Our server's conversation with the client that `spawn` starts towards a port.
pub fn with_client(case: &Case, profile: SrtpProfile, spawn: impl Fn(u16) -> Peer) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = Relay::new(socket.local_addr().unwrap(), case.loss, 8);
    let mut peer = spawn(relay.address.port());
    let talk = Talk { socket: &socket, remote: None, peer: &mut peer, profile };
    converse(Ours::server(config(case, profile), case.cookies), talk, case);
}

/// Whether this process may go on. `gnutls-serv` listens on every address that it finds, so the test runs once
/// more where there is none but 127.0.0.1, and what came of it there is reported here.
pub fn in_a_network_of_its_own(test: &str) -> bool {
    const INSIDE: &str = "PEERLINE_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        command.arg(std::env::current_exe().unwrap()).arg(test).env(INSIDE, "1");
        command.output().unwrap()
    };
    if !unshare("ip link set lo up").status.success() {
        println!("skipped: no network namespace can be made");
        return false;
    }
    let outcome = unshare("ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{text}\n{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(text.contains("1 passed"), "{text}");
    println!("{text}");
    false
}
