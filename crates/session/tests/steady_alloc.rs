//! What a connected session allocates for a packet (nothing), and what it keeps when it is idle.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::{Arrival, Batch, Carrier, Instant, Path};
use session::{
    ChannelId, ChannelInit, Config, Event, FrameConfig, MediaKind, MessageKind, Outgoing, SdpType, SendError,
    Session, WallClock,
};

/// Two sessions that are connected, and a channel of theirs if they have one.
struct Ends {
    sessions: [Session; 2],
    channels: Option<[ChannelId; 2]>,
    now: Instant,
    memory: Vec<u8>,
}

impl Ends {
    fn connected() -> Self {
        Self::connected_with(None, |_| {})
    }

    /// With what `prepare` adds to either side.
    fn connected_with(frames: Option<Arc<FrameConfig>>, prepare: impl Fn(&mut Session)) -> Self {
        Self::connected_by(crypto::rust_crypto(), frames, true, prepare)
    }

    fn connected_by(
        provider: &'static dyn crypto::Provider,
        frames: Option<Arc<FrameConfig>>,
        has_channel: bool,
        prepare: impl Fn(&mut Session),
    ) -> Self {
        let now = testkit::epoch();
        let mut sessions = [1, 2].map(|number| {
            let mut config = Config::new(provider);
            config.local_addresses = vec![address(number)];
            config.frames.clone_from(&frames);
            Session::new(now, WallClock { unix_seconds: 1_800_000_000 }, config, [number; 32]).unwrap()
        });
        let [a, b] = &mut sessions;
        prepare(a);
        prepare(b);
        let ours = has_channel.then(|| a.open_channel(now, ChannelInit::labelled("chat")).unwrap());
        let offer = a.create_offer(now).unwrap();
        a.set_local(now, SdpType::Offer, offer.clone()).unwrap();
        b.set_remote(now, SdpType::Offer, offer).unwrap();
        let answer = b.create_answer(now).unwrap();
        b.set_local(now, SdpType::Answer, answer.clone()).unwrap();
        a.set_remote(now, SdpType::Answer, answer).unwrap();
        let mut ends = Self { sessions, channels: None, now, memory: vec![0; 65_000] };
        for _ in 0..1000 {
            for from in [0, 1] {
                while ends.sessions[from].poll_route().is_some() {}
                while let Some(event) = ends.sessions[from].poll_event() {
                    if let Event::Candidate(found) = event {
                        let to = &mut ends.sessions[1 - from];
                        to.add_remote_candidate(ends.now, &found.candidate, None, None, None).unwrap();
                    } else if let Event::ChannelOpened(theirs) = event {
                        ends.channels = ours.map(|ours| [ours, theirs]);
                        ends.pass(Duration::from_secs(1));
                        return ends;
                    }
                }
            }
            ends.pass(Duration::from_millis(1));
            if !has_channel && ends.sessions.iter().all(|session| session.max_media_packet().is_some()) {
                return ends;
            }
        }
        panic!("no connection");
    }

    /// Exchanges what is due until `time` has passed.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while self.exchange() > 0 {}
            let next = self.sessions.iter().filter_map(Session::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.sessions.iter_mut().for_each(|session| session.handle_timeout(self.now));
        }
        self.now = end;
    }
}

impl Ends {
    /// Carries what either has to send; how many datagrams that was.
    fn exchange(&mut self) -> usize {
        let mut carried = 0;
        for from in [0, 1] {
            let mut batch = Batch::new(&mut self.memory, 40, 1500);
            let Some(transmit) = self.sessions[from].poll_transmit(self.now, &mut batch) else { continue };
            let Path { local, remote, .. } = transmit.path;
            let path = Path { carrier: Carrier::Udp, local: remote, remote: local };
            let arrival = Arrival { path, ecn: None, at: self.now };
            let size = transmit.segment_size.unwrap_or(transmit.len);
            for datagram in self.memory[..transmit.len].chunks_mut(size) {
                carried += 1;
                // A check that comes before its credentials is refused, and comes again.
                let _ = self.sessions[1 - from].handle_datagram(arrival, datagram);
            }
        }
        carried
    }

    /// Sends `total` bytes in messages of `payload`, at most `queued` waiting; the datagrams that took.
    fn transfer(&mut self, payload: &Bytes, total: usize) -> usize {
        let [ours, theirs] = self.channels.unwrap();
        let (mut sent, mut read, mut datagrams) = (0, 0, 0);
        while read < total {
            while sent < total && self.sessions[0].buffered(ours) < 128 << 10 {
                let mut message = Outgoing::new(MessageKind::Binary, payload.clone());
                match self.sessions[0].send(self.now, ours, &mut message) {
                    Ok(()) => sent += payload.len(),
                    Err(SendError::Blocked) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            datagrams += self.exchange();
            while let Some(piece) = self.sessions[1].recv(self.now, theirs) {
                read += piece.data.len();
            }
            for session in &mut self.sessions {
                while session.poll_event().is_some() {}
            }
            self.now += Duration::from_micros(100);
            self.sessions.iter_mut().for_each(|session| session.handle_timeout(self.now));
        }
        datagrams
    }
}

fn address(number: u8) -> std::net::SocketAddr {
    ([192, 0, 2, number], 4000).into()
}

#[test]
fn data_allocate_nothing_for_a_packet() {
    let mut ends = Ends::connected();
    for size in [64, 1000, 16_384, 65_536] {
        let payload = Bytes::from(vec![1; size]);
        ends.transfer(&payload, 8 << 20);
        let mut datagrams = 0;
        let info = allocation_counter::measure(|| datagrams = ends.transfer(&payload, 4 << 20));
        assert!(datagrams > 3000, "{datagrams}");
        assert_eq!(info.count_total, 0, "messages of {size} bytes, {datagrams} datagrams");
    }
}

/// Adds audio and video both ways.
fn with_media(session: &mut Session) {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        session.add_track(testkit::epoch(), kind, vec![]).unwrap();
    }
}

#[test]
fn media_allocate_nothing_for_a_packet() {
    let mut ends = Ends::connected_with(None, with_media);
    let ids: Vec<_> = ends.sessions[0].transceivers().map(|(id, _)| id).collect();
    let mut packets: Vec<_> = ids
        .iter()
        .map(|id| {
            let info = ends.sessions[0].transceiver(*id).unwrap();
            let number = info.negotiated.unwrap().send[0].payload_type.get();
            let mut packet = vec![0x80, number, 0, 0, 0, 0, 0, 0];
            packet.extend(info.encodings[0].ssrc.0.to_be_bytes());
            packet.resize(1100, 7);
            (*id, packet)
        })
        .collect();
    let mut send = |ends: &mut Ends, rounds: u16, from: u16| {
        let mut datagrams = 0;
        for number in from..from + rounds {
            for (id, packet) in &mut packets {
                packet[2..4].copy_from_slice(&number.to_be_bytes());
                ends.sessions[0].send_rtp(ends.now, *id, packet).unwrap();
            }
            ends.sessions[0].send_rtcp(ends.now, &[0x80, 201, 0, 1, 0, 0, 0, 7]).unwrap();
            while ends.sessions[0].poll_event().is_some() {}
            while ends.exchange() > 0 {
                datagrams += 1;
            }
            ends.now += Duration::from_millis(1);
        }
        datagrams
    };
    send(&mut ends, 300, 1);
    let mut turns = 0;
    let before = ends.sessions[1].stats(ends.now).srtp.unwrap().1;
    let info = allocation_counter::measure(|| turns = send(&mut ends, 1000, 301));
    let after = ends.sessions[1].stats(ends.now).srtp.unwrap().1;
    assert_eq!(after.rtp_packets - before.rtp_packets, 2000);
    assert_eq!(after.rtcp_packets - before.rtcp_packets, 1000);
    assert_eq!((info.count_total, turns >= 1000), (0, true), "{turns} turns");
}

/// What each of two sessions keeps when it has been idle for a minute, after it was asked for its descriptions.
fn idle_bytes(connected: impl Fn() -> Ends) -> i64 {
    // What there is once for all sessions does not count.
    drop(connected());
    let mut kept = None;
    let info = allocation_counter::measure(|| {
        let mut ends = connected();
        for session in &ends.sessions {
            assert!(session.remote_description().is_some() && session.local_description().is_some());
        }
        ends.pass(Duration::from_secs(60));
        for session in &mut ends.sessions {
            while session.poll_event().is_some() {}
        }
        kept = Some(ends);
    });
    (info.bytes_current - 65_000) / 2 + i64::try_from(size_of::<Session>()).unwrap()
}

#[test]
fn an_idle_peer_with_audio_and_video_keeps_little() {
    // The aim is 24 KB for one without data channels, by either provider: keys of the accelerated one take more.
    let frames = Some(Arc::new(FrameConfig::default()));
    let bounds = [
        (None, true, [18_000, 19_500]),
        (frames.clone(), true, [24_000, 25_600]),
        (frames, false, [23_000, 24_576]),
    ];
    for (frames, has_channel, limits) in bounds {
        let connected = |provider| {
            let frames = frames.clone();
            idle_bytes(|| Ends::connected_by(provider, frames.clone(), has_channel, with_media))
        };
        let each = connected(crypto::rust_crypto());
        let what =
            format!("with machines of frames: {}, with a data channel: {has_channel}", frames.is_some());
        println!("{each} bytes, {what}");
        assert!(each <= limits[0], "{each} bytes, {what}");
        if let Some(provider) = crypto::accelerated() {
            let each = connected(provider);
            println!("{each} bytes by the accelerated provider, {what}");
            assert!(each <= limits[1], "{each} bytes by the accelerated provider, {what}");
        }
    }
}

#[test]
fn an_idle_peer_keeps_little() {
    let each = idle_bytes(Ends::connected);
    assert!(each <= 11_500, "{each} bytes, {} of them the session itself", size_of::<Session>());
}
