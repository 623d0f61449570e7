use std::time::Duration;

use crypto::Provider;
use proto::{Arrival, Batch, Carrier, Instant, Path};
use session::{ChannelId, ChannelInit, Config, Event, SdpType, Session, WallClock};

/// Two sessions that are connected, with a channel of theirs.
pub(crate) struct Ends {
    pub(crate) sessions: [Session; 2],
    pub(crate) channels: Option<[ChannelId; 2]>,
    pub(crate) now: Instant,
    memory: Vec<u8>,
}

impl Ends {
    pub(crate) fn connected(provider: &'static dyn Provider) -> Self {
        let sessions = [1, 2].map(|number| {
            let mut config = Config::new(provider);
            config.local_addresses = vec![([192, 0, 2, number], 4000).into()];
            Session::new(testkit::epoch(), WALL_CLOCK, config, [number; 32]).expect("a certificate")
        });
        let mut channel = None;
        let mut ends = Self::negotiated(sessions, |now, a| {
            channel = Some(a.open_channel(now, ChannelInit::labelled("chat")).expect("a channel"));
        });
        ends.channels = channel.map(|ours| [ours; 2]);
        for _ in 0..1000 {
            if let Some(theirs) = ends.introduce() {
                ends.channels.as_mut().expect("it was opened")[1] = theirs;
                // Later than all that a beginning has to do.
                (0..3000).for_each(|_| ends.turn(Duration::from_millis(1)));
                return ends;
            }
            ends.turn(Duration::from_millis(1));
        }
        panic!("no connection");
    }

    /// Two that know what the other wants. `prepare` says what the first offers.
    pub(crate) fn negotiated(
        mut sessions: [Session; 2],
        prepare: impl FnOnce(Instant, &mut Session),
    ) -> Self {
        let now = testkit::epoch();
        let [a, b] = &mut sessions;
        prepare(now, a);
        let offer = a.create_offer(now).expect("an offer");
        a.set_local(now, SdpType::Offer, offer.clone()).expect("as created");
        b.set_remote(now, SdpType::Offer, offer).expect("an offer of ours");
        let answer = b.create_answer(now).expect("an answer");
        b.set_local(now, SdpType::Answer, answer.clone()).expect("as created");
        a.set_remote(now, SdpType::Answer, answer).expect("an answer of ours");
        Self { sessions, channels: None, now, memory: vec![0; 65_000] }
    }

    /// Tells each of the other's candidates. Gives the channel that the second has got, once it has.
    pub(crate) fn introduce(&mut self) -> Option<ChannelId> {
        let mut opened = None;
        for from in [0, 1] {
            while let Some(event) = self.sessions[from].poll_event() {
                if let Event::Candidate(found) = event {
                    let to = &mut self.sessions[1 - from];
                    to.add_remote_candidate(self.now, &found.candidate, None, None, None)
                        .expect("a candidate");
                } else if let Event::ChannelOpened(theirs) = event {
                    opened = Some(theirs).filter(|_| from == 1).or(opened);
                }
            }
        }
        opened
    }

    /// Where the datagrams of the other come from, as `end` sees it.
    pub(crate) fn path(end: usize) -> Path {
        let address = |number: u8| ([192, 0, 2, number], 4000).into();
        let [local, remote] = if end == 0 { [1, 2] } else { [2, 1] }.map(address);
        Path { carrier: Carrier::Udp, local, remote }
    }

    /// Lets `time` pass and carries a train each way.
    pub(crate) fn turn(&mut self, time: Duration) {
        self.now += time;
        for from in [0, 1] {
            self.sessions[from].handle_timeout(self.now);
            let mut batch = Batch::new(&mut self.memory, 40, 1500);
            let Some(transmit) = self.sessions[from].poll_transmit(self.now, &mut batch) else { continue };
            let arrival = Arrival { path: Self::path(1 - from), ecn: None, at: self.now };
            let size = transmit.segment_size.unwrap_or(transmit.len);
            for datagram in self.memory[..transmit.len].chunks_mut(size) {
                // A check that comes before its credentials is refused, and comes again.
                let _ = self.sessions[1 - from].handle_datagram(arrival, datagram);
            }
        }
    }
}

/// Whatever day it is.
pub(crate) const WALL_CLOCK: WallClock = WallClock { unix_seconds: 1_800_000_000 };
