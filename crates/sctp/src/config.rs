use std::time::Duration;

use crate::Tsn;

/// Limits and timers of an association. Every queue and table has its bound here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Our port. 5000 is what `a=sctp-port` says in practice (RFC 8841 §5); 5000.
    pub local_port: u16,
    /// The peer's port; 5000.
    pub remote_port: u16,
    /// Bytes of the largest packet until `set_max_packet` says otherwise: 1,280 bytes of IPv6 less IP, UDP
    /// and DTLS headers, and some; 1,188. It has the same limits as there.
    pub max_packet: usize,
    /// Bytes that are buffered for the reader, overhead included, and announced as a_rwnd, which INIT and INIT ACK never
    /// have below 1,500 (RFC 9260 §3.3.2); 1 MiB.
    /// Memory stays below this and a quarter more and 64 KiB.
    pub receive_window: usize,
    /// Bytes of a message that lie ready before its end has come, from which on it is handed out in parts
    /// (RFC 9260 §6.9); half of the receive window, 512 KiB.
    pub partial_delivery: usize,
    /// Separate runs of TSNs that are kept above a gap; what would begin one more is dropped; 1,024.
    pub max_gaps: usize,
    /// Bytes that wait to be sent or acknowledged, over all streams; 16 MiB. A message whose sending has begun holds up
    /// all others, so 64 KiB of it may wait even if others have filled the buffer.
    pub send_buffer: usize,
    /// The largest message that `send` takes; no limit.
    pub max_message: u64,
    /// Streams in use at a time, of the 65,535 that are announced (RFC 8831 §6.2); 1,024.
    pub max_streams: usize,
    /// RTO before a round trip was measured (RFC 9260 §16); 1 s.
    pub rto_initial: Duration,
    /// Smallest RTO, and the least by which it exceeds the smoothed round trip. RFC 9260 §16 says 1 s; WebRTC paths are kept alive and measured by ICE, and peers
    /// acknowledge within 200 ms, so less is usual there; 200 ms.
    pub rto_min: Duration,
    /// Largest RTO. RFC 9260 §16 says 60 s; an outage must not cost much more time than it lasts; 2 s.
    pub rto_max: Duration,
    /// Transmissions in vain, one behind the other, that end the association. RFC 9260 §16 says 10, which
    /// with `rto_max` is too little for the outages that ICE survives: 40 are more than a minute.
    pub max_retransmits: u32,
    /// INIT or COOKIE ECHO in vain. RFC 9260 §16 says 8; 40, as above.
    pub max_init_retransmits: u32,
    /// How long a State Cookie is good for (RFC 9260 §16); 60 s.
    pub cookie_life: Duration,
    /// How long an acknowledgement may wait for company: below 200 ms, and never more than 500 ms (RFC 9260 §6.2);
    /// 50 ms.
    pub ack_delay: Duration,
    /// Pause between HEARTBEATs on an idle association, or none at all (RFC 9260 §16); 30 s.
    pub heartbeat: Option<Duration>,
    /// Packets of the congestion window that loss leaves. RFC 9260 §7.2.3 says 4.
    pub min_window: usize,
    /// Packets of the congestion window in the beginning, or `None` for RFC 9260 §7.2.1:
    /// min(4 packets, max(2 packets, 4404 bytes)); 10, as RFC 6928 has it for TCP.
    pub initial_window: Option<usize>,
    /// Packets of new data sent at a time: for an incoming SACK, or for a share of the round trip. RFC 9260
    /// §6.1 suggests 4; a train of one segmented send and the acknowledgement of a train are larger; 64.
    pub max_burst: usize,
    /// How long the peer may keep its receive window closed while we have data, or `None` for ever
    /// (RFC 9260 §6.1 probes for ever); none.
    pub zero_window_timeout: Option<Duration>,
    /// How long a shutdown may take as a whole (T5 of RFC 9260 §9.2: five times RTO.Max); 30 s.
    pub shutdown_limit: Duration,
    /// Our first TSN, for tests of the wrap; `None` takes it from the seed, as it must be (RFC 9260 §3.3.2).
    pub initial_tsn: Option<Tsn>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local_port: 5000,
            remote_port: 5000,
            max_packet: 1188,
            receive_window: 1 << 20,
            partial_delivery: 512 << 10,
            max_gaps: 1024,
            send_buffer: 16 << 20,
            max_message: u64::MAX,
            max_streams: 1024,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(2),
            max_retransmits: 40,
            max_init_retransmits: 40,
            cookie_life: Duration::from_secs(60),
            ack_delay: Duration::from_millis(50),
            heartbeat: Some(Duration::from_secs(30)),
            min_window: 4,
            initial_window: Some(10),
            max_burst: 64,
            zero_window_timeout: None,
            shutdown_limit: Duration::from_secs(30),
            initial_tsn: None,
        }
    }
}
