use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use net::Resolver;

/// A server process; it ends with the test.
pub struct Dnsmasq {
    process: Child,
    pub address: SocketAddr,
}

impl Dnsmasq {
    /// Starts one that knows just what these options say; `None` if dnsmasq is not installed.
    pub fn start(ip: &str, options: &[&str]) -> Option<Self> {
        let found = Command::new("dnsmasq").arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            eprintln!("skipped: dnsmasq is not installed (Debian: dnsmasq-base)");
            return None;
        }
        let address = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let process = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--conf-file=/dev/null",
            ])
            .args(["--pid-file=", "--user=", "--except-interface=lo0", "--local=/peerline.test/"])
            .args([format!("--listen-address={ip}"), format!("--port={}", address.port())])
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, address })
    }

    /// A resolver that asks it, once it answers.
    pub async fn resolver(&self) -> Resolver {
        let resolver = Resolver::asking(&[self.address]);
        let end = Instant::now() + Duration::from_secs(10);
        while resolver.addresses("up.peerline.test", 1).await.is_err() {
            assert!(Instant::now() < end, "dnsmasq does not answer at {}", self.address);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        resolver
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
