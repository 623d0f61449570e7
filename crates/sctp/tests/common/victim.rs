//! An association whose peer is played by hand: packets of any content, under right sums and tags.

use std::sync::Arc;
use std::time::Duration;

use crypto::HashAlgorithm;
use proto::{Instant, Writer};
use sctp::wire::{Causes, Chunk, Data, Init, Packet, Parameter, Parameters, begin_packet, finish_packet};
use sctp::{Association, Config, Discard, Event, Ppid, Ssn, StreamId, Tsn};

/// The association under attack, and the numbers that its peer needs.
pub(crate) struct Victim {
    pub(crate) end: Association,
    pub(crate) now: Instant,
    /// Its tag, and its first TSN.
    pub(crate) tag: u32,
    pub(crate) theirs: Tsn,
    /// Our first TSN.
    pub(crate) next: Tsn,
    pub(crate) events: Vec<Event>,
}

/// What we are called by the victim.
pub(crate) const PEER_TAG: u32 = 7;
/// The seed of every victim.
pub(crate) const SEED: [u8; 32] = [1; 32];

impl Victim {
    /// Connected, as the side that was asked.
    pub(crate) fn new(config: Config) -> Self {
        Self::with_init(config, |_| {})
    }

    /// The same, after an INIT that was changed.
    pub(crate) fn with_init(config: Config, change: impl FnOnce(&mut Init<'_>)) -> Self {
        let mut victim = Self::listening(config);
        let abilities = abilities();
        let mut init = init(&abilities);
        change(&mut init);
        victim.next = init.tsn;
        victim.give_under(0, &[Chunk::Init(init)]).unwrap();
        let sent = victim.sent();
        let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!("no INIT ACK") };
        (victim.tag, victim.theirs) = (ack.tag, ack.tsn);
        victim.give(&Chunk::CookieEcho(cookie(&ack))).unwrap();
        assert!(victim.end.is_connected());
        victim.sent();
        victim.events.clear();
        victim
    }

    /// Waiting to be asked.
    pub(crate) fn listening(config: Config) -> Self {
        let now = testkit::epoch();
        Self::of(Association::server(now, Arc::new(config), SEED))
    }

    /// It has sent its INIT.
    pub(crate) fn asking(config: Config) -> Self {
        let now = testkit::epoch();
        let mut victim = Self::of(Association::client(now, Arc::new(config), SEED));
        let sent = victim.sent();
        let Some(Chunk::Init(init)) = find(&sent, INIT) else { panic!("no INIT") };
        (victim.tag, victim.theirs) = (init.tag, init.tsn);
        victim
    }

    /// It has answered our INIT ACK, which had the cookie "cookie".
    pub(crate) fn echoing(config: Config) -> Self {
        let mut victim = Self::asking(config);
        victim.answer(|_| {}).unwrap();
        assert_eq!(kinds(&victim.sent()), [COOKIE_ECHO]);
        victim
    }

    /// It has had our INIT ACK and COOKIE ACK.
    pub(crate) fn answered(config: Config) -> Self {
        let mut victim = Self::echoing(config);
        victim.give(&Chunk::CookieAck).unwrap();
        victim.sent();
        victim.events.clear();
        victim
    }

    fn of(end: Association) -> Self {
        let (now, next) = (testkit::epoch(), init(&[]).tsn);
        Self { end, now, tag: 0, theirs: Tsn(0), next, events: Vec::new() }
    }

    /// Gives it an INIT ACK.
    pub(crate) fn answer(&mut self, change: impl FnOnce(&mut Init<'_>)) -> Result<(), Discard> {
        let mut parameters = abilities();
        parameters.extend(parameter(&Parameter::StateCookie(b"cookie")));
        let mut ack = init(&parameters);
        change(&mut ack);
        self.give(&Chunk::InitAck(ack))
    }

    /// Gives it a packet with one chunk.
    pub(crate) fn give(&mut self, chunk: &Chunk<'_>) -> Result<(), Discard> {
        self.give_under(self.tag, &[*chunk])
    }

    /// Gives it a packet under any tag.
    pub(crate) fn give_under(&mut self, tag: u32, chunks: &[Chunk<'_>]) -> Result<(), Discard> {
        self.give_bytes(&packet(tag, chunks))
    }

    pub(crate) fn give_bytes(&mut self, bytes: &[u8]) -> Result<(), Discard> {
        let result = self.end.handle_packet(self.now, bytes);
        while let Some(event) = self.end.poll_event() {
            self.events.push(event);
        }
        result
    }

    /// All that it sends now.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        let (mut packets, mut memory) = (Vec::new(), [0; 4000]);
        let mut out = Writer::new(&mut memory);
        while self.end.poll_packet(self.now, &mut out) {
            packets.push(out.written().to_vec());
            out.truncate(0);
        }
        while let Some(event) = self.end.poll_event() {
            self.events.push(event);
        }
        packets
    }

    /// Time passes at once.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.end.handle_timeout(self.now);
    }

    /// Runs from timer to timer for `time`, and says what it sends and when.
    pub(crate) fn run(&mut self, time: Duration) -> Vec<(Instant, Vec<u8>)> {
        let until = self.now + time;
        let mut sent = Vec::new();
        loop {
            let now = self.now;
            sent.extend(self.sent().into_iter().map(|packet| (now, packet)));
            let Some(next) = self.end.poll_timeout().filter(|next| *next <= until) else { break };
            self.now = next;
            self.end.handle_timeout(next);
        }
        self.now = until;
        sent
    }

    /// A fragment of ours, `ahead` of the first, unordered on stream 0.
    pub(crate) fn data<'a>(&self, ahead: u32, begin: bool, end: bool, payload: &'a [u8]) -> Data<'a> {
        Data {
            immediate: false,
            unordered: true,
            begin,
            end,
            tsn: self.next.plus(ahead),
            stream: StreamId(0),
            ssn: Ssn(0),
            ppid: Ppid(53),
            payload,
        }
    }

    /// A whole ordered message of ours.
    pub(crate) fn message<'a>(&self, ahead: u32, stream: u16, ssn: u16, payload: &'a [u8]) -> Chunk<'a> {
        let data = self.data(ahead, true, true, payload);
        Chunk::Data(Data { unordered: false, stream: StreamId(stream), ssn: Ssn(ssn), ..data })
    }

    /// Acknowledges cumulatively up to `ahead` of its first TSN, and says that it has these runs, too.
    pub(crate) fn acknowledge(
        &mut self,
        ahead: u32,
        window: u32,
        gaps: &[(u16, u16)],
    ) -> Result<(), Discard> {
        self.give_bytes(&sack(self.tag, self.theirs.plus(ahead), window, gaps))
    }

    /// The payloads that can be read of a stream.
    pub(crate) fn read(&mut self, stream: u16) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.end.recv(self.now, StreamId(stream))).map(|it| it.data.to_vec()).collect()
    }

    /// What it acknowledges now, if it does.
    pub(crate) fn acknowledged(&mut self) -> Option<Acknowledged> {
        let sent = self.sent();
        let Some(Chunk::Sack(sack)) = find(&sent, SACK) else { return None };
        let (cumulative, window) = (sack.cumulative, sack.window);
        Some(Acknowledged {
            cumulative,
            window,
            gaps: sack.gaps().collect(),
            duplicates: sack.duplicates().collect(),
        })
    }
}

/// A SACK, apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Acknowledged {
    pub(crate) cumulative: Tsn,
    pub(crate) window: u32,
    pub(crate) gaps: Vec<(u16, u16)>,
    pub(crate) duplicates: Vec<Tsn>,
}

/// An INIT or INIT ACK of ours.
pub(crate) fn init(parameters: &[u8]) -> Init<'_> {
    let parameters = Parameters::decode(parameters).unwrap();
    Init {
        tag: PEER_TAG,
        window: 1 << 20,
        outbound: 65_535,
        inbound: 65_535,
        tsn: Tsn(u32::MAX - 5),
        parameters,
    }
}

/// Forward-TSN-Supported, and Supported Extensions with RE-CONFIG.
pub(crate) fn abilities() -> Vec<u8> {
    let mut bytes = parameter(&Parameter::ForwardTsnSupported);
    bytes.extend(parameter(&Parameter::SupportedExtensions(&[130, 192])));
    bytes
}

/// A parameter as bytes, padded.
pub(crate) fn parameter(parameter: &Parameter<'_>) -> Vec<u8> {
    let mut memory = [0; 3000];
    let mut out = Writer::new(&mut memory);
    parameter.encode(&mut out).unwrap();
    out.written().to_vec()
}

/// The State Cookie of an INIT ACK.
pub(crate) fn cookie<'a>(ack: &Init<'a>) -> &'a [u8] {
    let mut parameters = ack.parameters.iter();
    parameters.find_map(|it| if let Parameter::StateCookie(it) = it { Some(it) } else { None }).unwrap()
}

/// Signs the body of a cookie as the victim would.
pub(crate) fn sign(body: &[u8]) -> Vec<u8> {
    let key = crypto::derive_seed(&SEED, "sctp cookie");
    let code = crypto::rust_crypto().hmac(HashAlgorithm::Sha256, &key).sign(&[body]);
    [body, code.as_bytes()].concat()
}

pub(crate) fn packet(tag: u32, chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut memory = [0; 8000];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, tag).unwrap();
    for chunk in chunks {
        chunk.encode(&mut out).unwrap();
    }
    finish_packet(&mut out, 0).unwrap();
    out.written().to_vec()
}

/// A packet of these very bytes behind its header, under a right sum.
pub(crate) fn raw(tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; 12 + chunks.len()];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, tag).unwrap();
    out.put(chunks).unwrap();
    finish_packet(&mut out, 0).unwrap();
    memory
}

/// A packet with a SACK.
pub(crate) fn sack(tag: u32, cumulative: Tsn, window: u32, gaps: &[(u16, u16)]) -> Vec<u8> {
    let mut memory = [0; 2000];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, tag).unwrap();
    sctp::wire::put_sack(&mut out, cumulative, window, gaps.iter().copied(), &[]).unwrap();
    finish_packet(&mut out, 0).unwrap();
    out.written().to_vec()
}

/// The types of all chunks, in order.
pub(crate) fn kinds(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().flat_map(|packet| Packet::decode(packet).unwrap().chunks().map(|it| it.kind())).collect()
}

/// The first chunk of a type.
pub(crate) fn find(packets: &[Vec<u8>], kind: u8) -> Option<Chunk<'_>> {
    packets.iter().find_map(|packet| Packet::decode(packet).unwrap().chunks().find(|it| it.kind() == kind))
}

/// All DATA chunks.
pub(crate) fn data(packets: &[Vec<u8>]) -> Vec<Data<'_>> {
    let chunks = packets.iter().flat_map(|packet| Packet::decode(packet).unwrap().chunks());
    chunks.filter_map(|chunk| if let Chunk::Data(data) = chunk { Some(data) } else { None }).collect()
}

/// Codes of error causes, and what is in them.
pub(crate) type Complaints = Vec<(u16, Vec<u8>)>;

/// The tag and the causes of the ABORT or ERROR among `packets`.
pub(crate) fn complaint(packets: &[Vec<u8>], kind: u8) -> Option<(u32, Complaints)> {
    let of = |causes: Causes<'_>| causes.iter().map(|(code, value)| (code, value.to_vec())).collect();
    packets.iter().find_map(|packet| {
        let packet = Packet::decode(packet).unwrap();
        let causes = packet.chunks().find_map(|chunk| match chunk {
            Chunk::Abort { causes, .. } | Chunk::Error { causes } if chunk.kind() == kind => Some(of(causes)),
            _ => None,
        });
        Some((packet.tag, causes?))
    })
}

pub(crate) const DATA: u8 = 0;
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const SACK: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 4;
pub(crate) const HEARTBEAT_ACK: u8 = 5;
pub(crate) const ABORT: u8 = 6;
pub(crate) const SHUTDOWN: u8 = 7;
pub(crate) const SHUTDOWN_ACK: u8 = 8;
pub(crate) const ERROR: u8 = 9;
pub(crate) const COOKIE_ECHO: u8 = 10;
pub(crate) const COOKIE_ACK: u8 = 11;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
pub(crate) const RECONFIG: u8 = 130;
pub(crate) const FORWARD_TSN: u8 = 192;
