use std::time::Duration;

use super::ControlConfig;
use crate::NtpClock;

/// How a transport's RTP and RTCP are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RtpConfig {
    /// The time of day.
    pub clock: NtpClock,
    /// The name that binds all sources of ours together (RFC 3550 §6.5.1, RFC 7022), at most 255 bytes.
    pub cname: String,
    /// Whether feedback may go without a report (RFC 5506, `rtcp-rsize`).
    pub reduced_size: bool,
    /// What peers are told of the arrival of packets.
    pub feedback: TransportFeedback,
    /// What the path is thought to carry, in bit/s: RTCP has 5 % of it. 1 Mbit/s by default.
    pub bandwidth: u64,
    /// The least interval of reports (`trr-int`): 1 s by default.
    pub report_interval: Duration,
    /// The longest datagram of RTCP, without what SRTP adds. 1,170 bytes by default.
    pub max_rtcp: usize,
    /// Whether round trips are measured also while nothing is sent (`rcvr-rtt`, RFC 3611 §4.4). `true` by default.
    pub receiver_reference_time: bool,
    /// Media sections in each direction: 256 by default, as many as a description has.
    pub max_sections: usize,
    /// Packets that wait for feedback on their arrival: 4,096 by default, a second at 40 Mbit/s.
    pub max_arrivals: usize,
    /// Streams that have feedback of their own (RFC 8888): 64 by default, and no more.
    pub max_feedback_streams: usize,
    /// How the rate is controlled: by an estimate of bandwidth, a pacer and an allocator. `None` by default: packets leave when they
    /// are polled, at whatever rate.
    pub control: Option<ControlConfig>,
    /// Packets that are remembered for the estimate of bandwidth: 8,192 by default, two seconds at 40 Mbit/s.
    pub max_sent: usize,
    /// Peers that are told their round trip (RFC 3611 §4.5): 16 by default.
    pub max_peers: usize,
}

impl RtpConfig {
    /// What is usual.
    pub fn new(clock: NtpClock, cname: &str) -> Self {
        Self {
            clock,
            cname: cname.to_owned(),
            reduced_size: false,
            feedback: TransportFeedback::None,
            bandwidth: 1_000_000,
            report_interval: Duration::from_secs(1),
            max_rtcp: 1170,
            receiver_reference_time: true,
            max_sections: 256,
            max_arrivals: 4096,
            max_feedback_streams: 64,
            control: None,
            max_sent: 8192,
            max_peers: 16,
        }
    }
}

/// What a peer is told of the arrival of packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TransportFeedback {
    /// Nothing.
    #[default]
    None,
    /// By transport-wide numbers (`transport-cc`).
    TransportWide,
    /// By stream, with marks of congestion (RFC 8888, `ack ccfb`).
    Streams,
    /// What the path is thought to carry (`goog-remb`): for peers that do not estimate it themselves. It takes `abs-send-time` in what
    /// comes; without that nothing is told.
    Remb,
}
