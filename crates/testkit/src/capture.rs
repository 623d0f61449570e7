//! Captures in the format of pcap, for dissectors that others have written.

use std::net::SocketAddr;
use std::process::Command;

use proto::Instant;

/// A file that tshark and its kin read: packets of one kind, each with its time.
#[derive(Debug)]
pub struct Capture {
    bytes: Vec<u8>,
}

impl Capture {
    /// An empty capture of IP packets.
    pub fn of_ip() -> Self {
        Self::of(101)
    }

    /// An empty capture of SCTP packets, without anything below them.
    pub fn of_sctp() -> Self {
        Self::of(248)
    }

    fn of(link_type: u32) -> Self {
        let mut bytes = Vec::new();
        // Nanoseconds; version 2.4; no zone, no accuracy; the longest packet.
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, link_type] {
            bytes.extend(u32::to_le_bytes(word));
        }
        Self { bytes }
    }

    /// Adds a packet as it is.
    pub fn packet(&mut self, at: Instant, packet: &[u8]) {
        let nanos = at.as_nanos();
        let len = u64::try_from(packet.len()).unwrap_or(u64::MAX);
        for word in [nanos / 1_000_000_000, nanos % 1_000_000_000, len, len] {
            self.bytes.extend(u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.bytes.extend_from_slice(packet);
    }

    /// Adds a UDP datagram between two IPv4 addresses.
    ///
    /// # Panics
    ///
    /// If one of them is none, or the datagram too long.
    #[expect(clippy::panic, clippy::expect_used, reason = "a panic is how a test fails")]
    pub fn datagram(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let (SocketAddr::V4(source), SocketAddr::V4(target)) = (from, to) else { panic!("IPv4 alone") };
        let udp = u16::try_from(payload.len() + 8).expect("a datagram");
        let total = u16::try_from(payload.len() + 28).expect("a datagram");
        let mut packet = vec![0x45, 0];
        packet.extend(total.to_be_bytes());
        // No identification, no fragments, 64 hops, UDP, no checksum.
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        packet.extend(source.ip().octets());
        packet.extend(target.ip().octets());
        packet.extend(source.port().to_be_bytes());
        packet.extend(target.port().to_be_bytes());
        packet.extend(udp.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend_from_slice(payload);
        self.packet(at, &packet);
    }

    /// What tshark sees, one line a packet: its protocols, and what it finds malformed. `None` where there is no tshark.
    ///
    /// # Panics
    ///
    /// If tshark cannot read the file.
    pub fn dissect(&self, name: &str) -> Option<Vec<(String, String)>> {
        self.dissect_with(name, &[])
    }

    /// The same with more arguments of tshark's. Fields that they name (`-e`) follow what is malformed, behind bars.
    ///
    /// # Panics
    ///
    /// If tshark cannot read the file.
    #[expect(clippy::panic, clippy::expect_used, reason = "a panic is how a test fails")]
    pub fn dissect_with(&self, name: &str, arguments: &[&str]) -> Option<Vec<(String, String)>> {
        let path = std::env::temp_dir().join(format!("peerline-{name}-{}.pcap", std::process::id()));
        std::fs::write(&path, &self.bytes).expect("a file");
        let output = Command::new("tshark")
            .args(["-n", "-T", "fields", "-E", "separator=|", "-e", "frame.protocols", "-e", "_ws.malformed"])
            .args(["--enable-heuristic", "dtls_udp", "--enable-heuristic", "stun_udp"])
            .args(arguments)
            .arg("-r")
            .arg(&path)
            .output();
        let _ = std::fs::remove_file(&path);
        let output = output.ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            panic!("tshark: {}", String::from_utf8_lossy(&output.stderr));
        }
        let line = |line: &str| line.split_once('|').map(|(a, b)| (a.to_owned(), b.to_owned()));
        Some(text.lines().filter_map(line).collect())
    }
}
