//! Behaviour discovery over real sockets: coturn's tool at our server, and our client at coturn.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use net::Clock;
use stun::discovery::{Config, Dependence, Discovery, Event, Findings};
use stun::{Arrival, Batch, Carrier, Path};
use turn_server::{Alternate, Error, Server};

/// Two addresses that nobody else listens at.
const ADDRESSES: [[u8; 4]; 2] = [[127, 0, 78, 1], [127, 0, 78, 2]];

async fn server() -> Server {
    let [first, second] = ADDRESSES.map(IpAddr::from);
    let mut config = turn_server::Config::at(SocketAddr::new(first, 0));
    config.alternates.push(Alternate::at(SocketAddr::new(second, 0)));
    Server::bind(config).await.unwrap()
}

fn is_there(tool: &str) -> bool {
    let found = Command::new(tool).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {tool} is not installed (Debian: coturn)");
    }
    found
}

/// What coturn's tool says of the NAT between it and us, which is not there.
#[tokio::test]
async fn real_natdiscovery_finds_no_nat_through_our_server() {
    if !is_there("turnutils_natdiscovery") {
        return;
    }
    let server = server().await;
    assert_eq!(server.udp_addresses().len(), 4);
    for extra in [&[][..], &["-P"], &["-H"]] {
        let at = server.local_addr();
        let mut tool = Command::new("timeout");
        tool.args(["30", "turnutils_natdiscovery", "-m", "-f", "-p", &at.port().to_string()]);
        // With an address of its own it says whether there is a NAT at all.
        tool.args(extra).arg(at.ip().to_string());
        let output = tokio::task::spawn_blocking(move || tool.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Endpoint Independent Mapping!"), "{extra:?}: {said}");
        assert!(said.contains("Endpoint Independent Filtering!"), "{extra:?}: {said}");
        assert!(said.contains("No ALG: Mapped == XOR-Mapped"), "{extra:?}: {said}");
        let other = format!("Other addr: : {}", server.udp_addresses().last().unwrap());
        assert!(said.contains(&other), "{extra:?}: {other} {said}");
    }
}

/// Runs our client against whoever is at `server`.
fn find(server: SocketAddr) -> (Event, Findings) {
    let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let sockets = [bind(), bind()];
    let [local, second] = [0, 1].map(|place: usize| sockets[place].local_addr().unwrap());
    let path = Path { carrier: Carrier::Udp, local, remote: server };
    let clock = Clock::start();
    let mut config = Config::default();
    // At once alone: whether it can be asked.
    config.max_lifetime = Some(Duration::ZERO);
    let mut discovery = Discovery::new(config, path, second, [1; 32]);
    discovery.start(clock.now());
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    }
    let mut memory = [0; 2000];
    loop {
        loop {
            let mut batch = Batch::new(&mut memory, 1, 2000);
            let Some(transmit) = discovery.poll_transmit(clock.now(), &mut batch) else { break };
            let place = usize::from(transmit.path.local == second);
            sockets[place].send_to(batch.bytes(), transmit.path.remote).unwrap();
        }
        if let Some(event) = discovery.poll_event() {
            return (event, *discovery.findings());
        }
        for (socket, local) in sockets.iter().zip([local, second]) {
            let Ok((len, remote)) = socket.recv_from(&mut memory) else { continue };
            let path = Path { carrier: Carrier::Udp, local, remote };
            // One that comes when it is decided already is refused.
            let _ = discovery.handle_datagram(Arrival { path, ecn: None, at: clock.now() }, &memory[..len]);
        }
        discovery.handle_timeout(clock.now());
    }
}

fn is_no_nat(server: SocketAddr) -> Findings {
    let (event, found) = find(server);
    assert_eq!(event, Event::Finished);
    let independent = Some(Dependence::EndpointIndependent);
    assert_eq!((found.mapping, found.filtering, found.is_rewritten), (independent, independent, false));
    assert!(!found.is_translated() && found.hairpin.is_none());
    assert!(found.lifetime.is_some(), "an answer to another port");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn real_our_client_and_our_server_agree() {
    let server = server().await;
    let at = server.local_addr();
    let found = tokio::task::spawn_blocking(move || is_no_nat(at)).await.unwrap();
    assert_eq!(found.other_address, server.udp_addresses().last().copied());
}

/// It ends with the test.
struct Coturn {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn real_our_client_understands_coturn() {
    if !is_there("turnserver") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [[127, 0, 79, 1], [127, 0, 79, 2]].map(IpAddr::from);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!(
        "listening-ip={first}\nlistening-ip={second}\nrelay-ip={first}\nlistening-port=3478\n\
         alt-listening-port=3479\nrfc5780\nlt-cred-mech\nuser=u:p\nrealm=r\nno-tls\nno-dtls\nno-tcp\nno-cli\n\
         no-stdout-log\nlog-file={}\npidfile={}\nuserdb={}\n",
        path("log"),
        path("pid"),
        path("db"),
    );
    std::fs::write(folder.path().join("conf"), settings).unwrap();
    let mut command = Command::new("turnserver");
    command.args(["-c", &path("conf")]).stdout(Stdio::null()).stderr(Stdio::null());
    let coturn = Coturn { process: command.spawn().unwrap(), _folder: folder };
    let at = SocketAddr::new(first, 3478);
    let found = is_no_nat(at);
    assert_eq!(found.other_address, Some(SocketAddr::new(second, 3479)));
    drop(coturn);
}

#[tokio::test]
async fn real_a_second_address_has_to_be_another_one() {
    // Each at an address of its own: a process that another test starts holds our sockets for a moment.
    for (at, alternate) in [
        ("127.0.81.1:3478", "127.0.81.1:0"),
        ("127.0.81.3:3478", "127.0.81.2:3478"),
        ("127.0.81.4:3478", "[::1]:0"),
        ("127.0.81.5:3478", "0.0.0.0:0"),
    ] {
        let mut config = turn_server::Config::at(at.parse().unwrap());
        config.alternates.push(Alternate::at(alternate.parse().unwrap()));
        let error = Server::bind(config).await.expect_err("no server");
        assert!(matches!(error, Error::Alternate(_)), "{alternate}: {error}");
        assert!(error.to_string().contains("no second address"), "{error}");
    }
}
