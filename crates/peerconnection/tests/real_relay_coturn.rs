//! Connections through coturn, a TURN server of somebody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

#[path = "harness/certificate.rs"]
mod certificate;
mod harness;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use certificate::Certificate;
use crypto::HashAlgorithm;
use harness::{comes_true, connect_over, endpoint, negotiate, within};
use peerline::{
    CandidateKind, Configuration, DataChannelInit, GatheringState, IceServer, IceTransportPolicy,
};

/// A server process; it ends with the test.
struct Coturn {
    process: Child,
    address: SocketAddr,
    /// What it shows over DTLS, and where.
    dtls: Option<(Certificate, SocketAddr)>,
    folder: PathBuf,
}

impl Coturn {
    /// Starts one at an address of its own, with these options; `None` if coturn is not installed.
    fn start(last: u8, options: &[&str]) -> Option<Self> {
        Self::run(last, &[&["--no-dtls"], options].concat())
    }

    /// The same, heard over DTLS too.
    fn over_dtls(last: u8, options: &[&str]) -> Option<Self> {
        let ip = format!("127.0.1.{last}");
        let certificate = Certificate::new(&ip)?;
        let at = UdpSocket::bind((ip.as_str(), 0)).unwrap().local_addr().unwrap();
        let file = |name| certificate.file(name).display().to_string();
        let (shown, key) = (file("certificate.pem"), file("key.pem"));
        let more = ["--cert", &shown, "--pkey", &key, "--tls-listening-port", &at.port().to_string()];
        let mut coturn = Self::run(last, &[&more, options].concat())?;
        coturn.dtls = Some((certificate, at));
        Some(coturn)
    }

    fn run(last: u8, options: &[&str]) -> Option<Self> {
        let found = Command::new("turnserver").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            println!("skipped: turnserver is not installed (Debian: coturn)");
            return None;
        }
        let ip = format!("127.0.1.{last}");
        let port = UdpSocket::bind((ip.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("peerline-coturn-{}-{last}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let process = Command::new("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--allow-loopback-peers", "--no-multicast-peers"])
            .args(["-L", &ip, "-E", &ip, "-p", &port.to_string(), "-r", "peerline.test"])
            .args(["--pidfile", &file("pid"), "--log-file", &file("log"), "--simple-log"])
            .args(["-b", &file("db")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::new(ip.parse().unwrap(), port);
        let coturn = Self { process, address, dtls: None, folder };
        coturn.wait();
        Some(coturn)
    }

    /// Until it answers a Binding request.
    fn wait(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut request = [0; 20];
        request[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            // Refused as long as nobody is there.
            let _ = socket.send_to(&request, self.address);
            if socket.recv_from(&mut [0; 500]).is_ok() {
                return;
            }
            assert!(Instant::now() < end, "coturn does not answer at {}", self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let files = std::fs::read_dir(&self.folder).unwrap();
        let logs = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log")));
        logs.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn through(coturn: &Coturn, transport: &str, username: &str, password: &str) -> Configuration {
    let mut configuration = Configuration::default();
    let url = match &coturn.dtls {
        Some((certificate, at)) => {
            configuration.tls = Some(certificate.client());
            format!("turns:{at}?transport={transport}")
        }
        None => format!("turn:{}?transport={transport}", coturn.address),
    };
    configuration.ice_servers = vec![IceServer::new(url).credentials(username, password)];
    configuration.ice_transport_policy = IceTransportPolicy::Relay;
    configuration
}

/// Two connections meet there, and a megabyte goes each way.
async fn meet(coturn: &Coturn, transport: &str, username: &str, password: &str) {
    let (here, there) = (endpoint().await, endpoint().await);
    let both = [(); 2].map(|()| through(coturn, transport, username, password));
    let pair = connect_over(&here, &there, both).await;
    for side in [&pair.alice, &pair.bob] {
        let stats = side.stats();
        assert_eq!(stats.local_kind, Some(CandidateKind::Relayed));
        assert_eq!(stats.selected_path.unwrap().local.ip(), coturn.address.ip());
    }
    pair.exchange_a_megabyte().await;
    pair.close().await;
    // It says so when an allocation ends, for both, long before their lifetimes do.
    let given_back = || coturn.log().matches("refreshed, realm=<peerline.test>, username=<").count() >= 2;
    assert!(
        comes_true(|| given_back() && coturn.log().matches("lifetime=0").count() >= 2).await,
        "{}",
        coturn.log()
    );
}

#[tokio::test]
async fn real_coturn_relays_for_a_user_with_a_password() {
    let Some(coturn) = Coturn::start(1, &["-a", "-u", "alice:wonderland", "-v"]) else { return };
    meet(&coturn, "udp", "alice", "wonderland").await;
}

#[tokio::test]
async fn real_coturn_relays_for_clients_over_tcp() {
    let Some(coturn) = Coturn::start(4, &["-a", "-u", "alice:wonderland", "-v"]) else { return };
    meet(&coturn, "tcp", "alice", "wonderland").await;
}

/// Its DTLS is OpenSSL's.
#[tokio::test]
async fn real_coturn_relays_for_clients_over_dtls() {
    let Some(coturn) = Coturn::over_dtls(5, &["-a", "-u", "alice:wonderland", "-v"]) else { return };
    meet(&coturn, "udp", "alice", "wonderland").await;
    assert!(coturn.log().contains("DTLS"), "{}", coturn.log());
}

/// The REST API for access to TURN services: the name is the time until which it holds, the password its code.
#[tokio::test]
async fn real_coturn_relays_for_a_user_of_an_hour() {
    let options = ["--use-auth-secret", "--static-auth-secret", "north", "-v"];
    let Some(coturn) = Coturn::start(2, &options) else { return };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let username = format!("{}:alice", now + 3600);
    let code = crypto::default_provider().hmac(HashAlgorithm::Sha1, b"north").sign(&[username.as_bytes()]);
    let password = base64::engine::general_purpose::STANDARD.encode(code.as_bytes());
    meet(&coturn, "udp", &username, &password).await;
}

#[tokio::test]
async fn real_coturn_refuses_a_wrong_password_and_the_report_says_so() {
    let Some(coturn) = Coturn::start(3, &["-a", "-u", "alice:wonderland", "-v"]) else { return };
    let (here, there) = (endpoint().await, endpoint().await);
    let (alice, _from_alice) = here.connect(through(&coturn, "udp", "alice", "looking-glass")).unwrap();
    let (bob, _from_bob) = there.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let gathered = || alice.report().gathering == GatheringState::Complete;
    assert!(comes_true(gathered).await, "{}", alice.report());
    let report = alice.report().to_string();
    assert!(report.contains("the user name or the password is wrong"), "{report}");
    assert!(report.contains("local candidates: 0"), "{report}");
    alice.close();
    within(5, "to close", alice.closed()).await;
}
