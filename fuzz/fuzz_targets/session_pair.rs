//! Two whole sessions with an attacker between them: any order of descriptions, calls, time and datagrams,
//! whole, changed, lost, doubled and late, leaves both in a defined state.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Carrier, Instant, Path};
use session::{
    ChannelId, ChannelInit, Config, DtlsRole, Event, Outgoing, Reliability, SdpType, Session,
    SessionDescription, WallClock,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Whether the two have met before the steps begin, so that these reach further.
    met: bool,
    /// Whether the answerer is the DTLS server.
    server_answers: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Offer {
        end: bool,
    },
    Answer {
        end: bool,
    },
    /// Gives an end what the other made last, or something like it.
    Remote {
        end: bool,
        offer: bool,
        at: u16,
        with: Option<u8>,
    },
    Rollback {
        end: bool,
    },
    RestartIce {
        end: bool,
    },
    Candidate {
        end: bool,
        text: Option<&'a str>,
    },
    Open {
        end: bool,
        ordered: bool,
        retransmits: Option<u8>,
        negotiated: Option<u8>,
        label: u16,
    },
    Send {
        end: bool,
        channel: u8,
        len: u32,
        text: bool,
    },
    Recv {
        end: bool,
        channel: u8,
    },
    CloseChannel {
        end: bool,
        channel: u8,
    },
    /// Puts what an end has to send into the network.
    Transmit {
        end: bool,
        room: u16,
        segments: u8,
    },
    /// Hands a datagram over; `fate` has a bit for "keep it" and one for "change it".
    Deliver {
        which: u8,
        fate: u8,
        at: u16,
        with: u8,
    },
    /// Delivers all, both ways, but for the datagrams whose bit is set.
    Exchange {
        lose: u16,
    },
    Inject {
        end: bool,
        known_path: bool,
        bytes: &'a [u8],
    },
    Wait {
        millis: u16,
    },
    Timeout {
        end: bool,
    },
    Close {
        end: bool,
    },
}

/// A session and what is known of it outside.
struct End {
    session: Session,
    channels: Vec<ChannelId>,
    candidates: Vec<String>,
    description: Option<(SdpType, SessionDescription)>,
}

struct World {
    now: Instant,
    ends: [End; 2],
    /// Datagrams under way: to whom, as the receiver sees the path.
    network: Vec<(usize, Path, Vec<u8>)>,
}

fuzz_target!(|input: Input<'_>| {
    let mut world = World::new(input.server_answers);
    if input.met {
        world.meet();
    }
    for step in input.steps.into_iter().take(300) {
        world.take(step);
        world.events();
    }
    world.drain();
});

impl World {
    fn new(server_answers: bool) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let ends = [0_u8, 1].map(|which| {
            let mut config = Config::new(testkit::null_provider());
            config.local_addresses = vec![([10, 0, 0, which + 1], 4000).into()];
            if server_answers {
                config.answer_dtls_role = DtlsRole::Server;
            }
            let clock = WallClock { unix_seconds: 1_790_000_000 };
            let session = Session::new(now, clock, config, [which; 32]).expect("a certificate");
            End { session, channels: Vec::new(), candidates: Vec::new(), description: None }
        });
        Self { now, ends, network: Vec::new() }
    }

    /// An honest connection with a channel.
    fn meet(&mut self) {
        self.open(0, ChannelInit::labelled("chat"));
        self.describe(0, SdpType::Offer);
        self.remote(1, None);
        self.describe(1, SdpType::Answer);
        self.remote(0, None);
        for _ in 0..12 {
            self.events();
            for end in [0, 1] {
                for text in std::mem::take(&mut self.ends[1 - end].candidates) {
                    let _ = self.ends[end].session.add_remote_candidate(self.now, &text, None, None, None);
                }
            }
            self.exchange(0);
            self.wait(Duration::from_millis(50));
        }
    }

    fn take(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Offer { end } => self.describe(end.into(), SdpType::Offer),
            Step::Answer { end } => self.describe(end.into(), SdpType::Answer),
            Step::Remote { end, offer, at, with } => {
                let kind = if offer { SdpType::Offer } else { SdpType::Answer };
                self.remote(end.into(), with.map(|with| (kind, at, with)));
            }
            Step::Rollback { end } => _ = self.session(end).rollback(now),
            Step::RestartIce { end } => self.session(end).restart_ice(),
            Step::Candidate { end, text } => {
                let known = self.ends[usize::from(!end)].candidates.pop();
                if let Some(text) = text.map(str::to_owned).or(known) {
                    let _ = self.session(end).add_remote_candidate(now, &text, None, None, None);
                }
            }
            Step::Open { end, ordered, retransmits, negotiated, label } => {
                let mut init = ChannelInit::labelled(&"x".repeat(usize::from(label % 300)));
                init.ordered = ordered;
                init.reliability =
                    retransmits.map_or(Reliability::Reliable, |n| Reliability::MaxRetransmits(n.into()));
                init.negotiated = negotiated.map(|stream| (stream % 16).into());
                self.open(end.into(), init);
            }
            Step::Send { end, channel, len, text } => {
                let Some(id) = self.channel(end, channel) else { return };
                let data = vec![b'a'; (len % 300_000) as usize];
                let mut message = if text {
                    Outgoing::text(String::from_utf8(data).expect("ASCII"))
                } else {
                    Outgoing::binary(data)
                };
                let _ = self.session(end).send(now, id, &mut message);
            }
            Step::Recv { end, channel } => {
                let Some(id) = self.channel(end, channel) else { return };
                drop(self.session(end).recv(now, id));
                let _ = (self.session(end).buffered(id), self.session(end).channel(id).is_some());
            }
            Step::CloseChannel { end, channel } => {
                let Some(id) = self.channel(end, channel) else { return };
                self.session(end).close_channel(now, id);
            }
            Step::Transmit { end, room, segments } => {
                self.transmit(end.into(), room.into(), usize::from(segments % 16) + 1);
            }
            Step::Deliver { which, fate, at, with } => self.deliver(which, fate, at, with),
            Step::Exchange { lose } => self.exchange(lose),
            Step::Inject { end, known_path, bytes } => {
                let port = if known_path { 4000 } else { 6666 };
                let [local, remote] = if end { [2, 1] } else { [1, 2] };
                let path = Path {
                    carrier: Carrier::Udp,
                    local: ([10, 0, 0, local], 4000).into(),
                    remote: ([10, 0, 0, remote], port).into(),
                };
                let _ = self
                    .session(end)
                    .handle_datagram(Arrival { path, ecn: None, at: now }, &mut bytes.to_vec());
            }
            Step::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
            Step::Timeout { end } => self.session(end).handle_timeout(now),
            Step::Close { end } => self.session(end).close(now),
        }
    }

    fn session(&mut self, end: bool) -> &mut Session {
        &mut self.ends[usize::from(end)].session
    }

    fn channel(&self, end: bool, which: u8) -> Option<ChannelId> {
        let known = &self.ends[usize::from(end)].channels;
        known.get(usize::from(which) % known.len().max(1)).copied()
    }

    fn open(&mut self, end: usize, init: ChannelInit) {
        let end = &mut self.ends[end];
        if let Ok(id) = end.session.open_channel(self.now, init)
            && end.channels.len() < 64
        {
            end.channels.push(id);
        }
    }

    fn describe(&mut self, end: usize, kind: SdpType) {
        let end = &mut self.ends[end];
        let made = match kind {
            SdpType::Offer => end.session.create_offer(self.now),
            SdpType::Answer | SdpType::Pranswer => end.session.create_answer(self.now),
        };
        let Ok(made) = made else { return };
        let text = made.to_string();
        assert_eq!(SessionDescription::parse(&text).expect("own output is read").to_string(), text);
        if end.session.set_local(self.now, kind, made.clone()).is_ok() {
            end.description = Some((kind, made));
        }
    }

    fn remote(&mut self, end: usize, change: Option<(SdpType, u16, u8)>) {
        let Some((kind, description)) = self.ends[1 - end].description.clone() else { return };
        let session = &mut self.ends[end].session;
        let Some((claimed, at, with)) = change else {
            let _ = session.set_remote(self.now, kind, description);
            return;
        };
        let mut bytes = description.to_string().into_bytes();
        let at = usize::from(at) % bytes.len();
        bytes[at] = with;
        if let Some(changed) =
            String::from_utf8(bytes).ok().and_then(|text| SessionDescription::parse(&text).ok())
        {
            let before = session.signaling_state();
            if session.set_remote(self.now, claimed, changed).is_err() {
                assert_eq!(session.signaling_state(), before);
            }
        }
    }

    fn transmit(&mut self, from: usize, room: usize, segments: usize) -> bool {
        let mut memory = vec![0; 20_000];
        let mut batch = Batch::new(&mut memory, segments, room.min(1500));
        let Some(transmit) = self.ends[from].session.poll_transmit(self.now, &mut batch) else {
            return false;
        };
        let Path { carrier, local, remote } = transmit.path;
        let path = Path { carrier, local: remote, remote: local };
        for datagram in batch.bytes().chunks(transmit.segment_size.unwrap_or(transmit.len).max(1)) {
            assert!(datagram.len() <= room.min(1500));
            if self.network.len() < 256 {
                self.network.push((1 - from, path, datagram.to_vec()));
            }
        }
        true
    }

    fn deliver(&mut self, which: u8, fate: u8, at: u16, with: u8) {
        let Some(which) = usize::from(which).checked_rem(self.network.len()) else { return };
        let keep = fate & 1 != 0;
        let (to, path, mut bytes) =
            if keep { self.network[which].clone() } else { self.network.remove(which) };
        if fate & 2 != 0 {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= with;
        }
        let _ = self.ends[to].session.handle_datagram(Arrival { path, ecn: None, at: self.now }, &mut bytes);
    }

    fn exchange(&mut self, lose: u16) {
        for _ in 0..4 {
            for end in [0, 1] {
                for _ in 0..16 {
                    if !self.transmit(end, 1500, 8) {
                        break;
                    }
                }
            }
            for (nth, (to, path, mut bytes)) in std::mem::take(&mut self.network).into_iter().enumerate() {
                if lose >> (nth % 16) & 1 == 0 {
                    let arrival = Arrival { path, ecn: None, at: self.now };
                    let _ = self.ends[to].session.handle_datagram(arrival, &mut bytes);
                }
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.ends.iter_mut().for_each(|end| end.session.handle_timeout(self.now));
    }

    fn events(&mut self) {
        for end in &mut self.ends {
            while let Some(event) = end.session.poll_event() {
                match event {
                    Event::Candidate(found) if end.candidates.len() < 100 => {
                        end.candidates.push(found.candidate)
                    }
                    Event::ChannelOpened(id) if end.channels.len() < 64 => end.channels.push(id),
                    Event::ChannelClosed(id) => end.channels.retain(|known| *known != id),
                    _ => {}
                }
            }
            while end.session.poll_route().is_some() {}
        }
    }

    /// Nothing is left to do now once everything was taken.
    fn drain(&mut self) {
        for end in [0, 1] {
            self.ends[end].session.handle_timeout(self.now);
            for round in 0.. {
                assert!(round < 10_000, "sends without end");
                if !self.transmit(end, 1500, 8) {
                    break;
                }
            }
            self.events();
            let session = &self.ends[end].session;
            assert!(session.poll_timeout().is_none_or(|due| due > self.now), "a timer in the past");
            let _ = (session.report(self.now), session.stats(self.now));
        }
    }
}
