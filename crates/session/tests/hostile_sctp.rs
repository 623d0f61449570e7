//! A peer whose ICE and DTLS are in order, and whose SCTP inside of them is not: the session stays up or ends with a
//! typed failure, and its memory stays bounded. The null provider lets the test write the peer's records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use crypto::Rng;
use harness::{Two, config, near};
use proto::{Arrival, Batch, Writer};
use sctp::wire::{
    Causes, Chunk, Data, ForwardTsn, Init, Packet, Parameter, Parameters, begin_packet, finish_packet,
    put_sack,
};
use sctp::{CloseReason, Ppid, Ssn, StreamId, Tsn, Violation};
use session::{ChannelId, ConnectionState, Event, Failure};

/// A connected session, side 0, and what is needed to write records to it as its peer.
struct Attack {
    two: Two,
    ours: ChannelId,
    header: [u8; 13],
    sequence: u64,
    tag: u32,
    /// The next TSN of the peer.
    next: Tsn,
    /// The last TSN that the session has sent.
    sent: Tsn,
}

impl Attack {
    fn new() -> Self {
        let configs = [0, 1].map(|side| {
            let mut config = config(side);
            config.provider = testkit::null_provider();
            config
        });
        let mut two = Two::with(configs, near());
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.echo(ours, theirs);
        two.run(Duration::from_secs(1), |_| false);
        // Last words of each: they tell the numbers.
        let [ours_said, theirs_said] = [(0, ours), (1, theirs)].map(|(side, channel)| {
            let now = two.now();
            two.session(side).send(now, channel, &mut session::Outgoing::text("mine")).unwrap();
            let mut memory = [0; 2000];
            loop {
                let mut batch = Batch::new(&mut memory, 1, 1500);
                two.session(side).poll_transmit(now, &mut batch).expect("a record");
                if batch.bytes()[0] == 23 {
                    return batch.bytes().to_vec();
                }
            }
        });
        let (_, sent) = numbers(&ours_said);
        let (tag, next) = numbers(&theirs_said);
        let header: [u8; 13] = theirs_said[..13].try_into().unwrap();
        // So far ahead that nothing of the honest peer counts any more.
        let sequence = u64::from(u32::from_be_bytes(header[7..11].try_into().unwrap())) + 100_000;
        Self { two, ours, header, sequence, tag, next, sent }
    }

    /// Gives the session a record with this packet.
    fn give_packet(&mut self, packet: &[u8]) {
        self.sequence += 1;
        let mut record = self.header.to_vec();
        record[5..11].copy_from_slice(&self.sequence.to_be_bytes()[2..]);
        let len = u16::try_from(8 + packet.len() + TAG_LEN).unwrap();
        record[11..13].copy_from_slice(&len.to_be_bytes());
        record.extend([0; 8]);
        record.extend(packet);
        record.extend([0; TAG_LEN]);
        let path = testkit::path("192.0.2.1:4000", "192.0.2.2:4000");
        let arrival = Arrival { path, ecn: None, at: self.two.now() };
        let _ = self.two.session(0).handle_datagram(arrival, &mut record);
    }

    fn give(&mut self, chunks: &[Chunk<'_>]) {
        let tag = self.tag;
        self.give_under(tag, chunks);
    }

    fn give_under(&mut self, tag: u32, chunks: &[Chunk<'_>]) {
        let packet = write(tag, |out| chunks.iter().for_each(|chunk| chunk.encode(out).unwrap()));
        self.give_packet(&packet);
    }

    fn data<'a>(&self, ahead: u32, begin: bool, end: bool, ppid: u32, payload: &'a [u8]) -> Data<'a> {
        Data {
            immediate: false,
            unordered: true,
            begin,
            end,
            tsn: self.next.plus(ahead),
            stream: StreamId(1),
            ssn: Ssn(0),
            ppid: Ppid(ppid),
            payload,
        }
    }

    /// Time for answers, which go to a peer that is not in control any more.
    fn settle(&mut self) {
        self.two.run(Duration::from_millis(100), |_| false);
    }

    fn state(&mut self) -> ConnectionState {
        self.two.session(0).connection_state()
    }

    fn closed_channels(&self) -> usize {
        self.two.seen[0].iter().filter(|event| matches!(event, Event::ChannelClosed { .. })).count()
    }
}

/// The tag of the packet in a record, and the TSN of its DATA.
fn numbers(record: &[u8]) -> (u32, Tsn) {
    let packet = Packet::decode(&record[HEAD..record.len() - TAG_LEN]).unwrap();
    let tsn = packet.chunks().find_map(|it| if let Chunk::Data(data) = it { Some(data.tsn) } else { None });
    (packet.tag, tsn.unwrap())
}

fn write(tag: u32, chunks: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut memory = [0; 4000];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, tag).unwrap();
    chunks(&mut out);
    finish_packet(&mut out, 0).unwrap();
    out.written().to_vec()
}

fn parameter(parameter: &Parameter<'_>) -> Vec<u8> {
    let mut memory = [0; 2000];
    let mut out = Writer::new(&mut memory);
    parameter.encode(&mut out).unwrap();
    out.written().to_vec()
}

/// A name, what the session is at in the end, and what is done to it.
type Play = (&'static str, ConnectionState, fn(&mut Attack));

#[test]
fn each_way_to_break_sctp_ends_the_session_by_its_type() {
    let violation = |violation| ConnectionState::Failed(Failure::Sctp(CloseReason::Violation(violation)));
    let plays: [Play; 4] = [
        ("DATA without data", violation(Violation::EmptyData), |it| {
            it.give(&[Chunk::Data(it.data(0, true, true, 53, b""))]);
        }),
        ("fragments that do not follow each other", violation(Violation::Fragments), |it| {
            it.give(&[
                Chunk::Data(it.data(0, true, false, 53, b"a")),
                Chunk::Data(it.data(1, true, true, 53, b"b")),
            ]);
        }),
        ("an acknowledgement of what was not sent", violation(Violation::UnsentAcknowledged), |it| {
            let packet =
                write(it.tag, |out| put_sack(out, it.sent.plus(1), 1000, std::iter::empty(), &[]).unwrap());
            it.give_packet(&packet);
        }),
        ("an ABORT", ConnectionState::Closed, |it| {
            it.give(&[Chunk::Abort { reflected: false, causes: Causes::default() }]);
        }),
    ];
    plays.into_iter().for_each(run);
}

#[test]
fn each_abuse_of_sctp_that_breaks_no_rule_leaves_the_session_up() {
    let up = ConnectionState::Connected;
    let plays: [Play; 8] = [
        ("chunks that lie about their length", up, |it| {
            for kind in 0..=255 {
                for len in [0, 3, 5, 255, 65_535] {
                    let [a, b] = u16::to_be_bytes(len);
                    let packet = write(it.tag, |out| out.put(&[kind, 0, a, b, 1, 2, 3, 4]).unwrap());
                    it.give_packet(&packet);
                }
            }
        }),
        ("INITs by the thousand", up, |it| {
            for tag in 1..5000 {
                let init = Init {
                    tag,
                    window: 1 << 20,
                    outbound: 65_535,
                    inbound: 65_535,
                    tsn: Tsn(tag),
                    parameters: Parameters::default(),
                };
                it.give_under(0, &[Chunk::Init(init)]);
            }
        }),
        ("a FORWARD TSN as far as there is", up, |it| {
            let cumulative = it.next.plus((1 << 31) - 2);
            it.give(&[Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &[0, 1, 255, 255, 0, 3, 0, 0] })]);
        }),
        ("a reset of all streams", up, |it| {
            let request = it.next.0;
            for number in [request, request.wrapping_add(1), request.wrapping_sub(1)] {
                let last = it.next.plus(u32::MAX);
                let bytes =
                    parameter(&Parameter::OutgoingReset { request: number, response: 0, last, streams: &[] });
                it.give(&[Chunk::Reconfig(Parameters::decode(&bytes).unwrap())]);
            }
        }),
        ("nonsense of the establishment protocol", up, |it| {
            for ahead in 0..500 {
                let payload: Vec<u8> = (0..ahead % 40).map(|at| (at * 7 + ahead) as u8).collect();
                let payload = if payload.is_empty() { vec![3] } else { payload };
                let data = it.data(ahead, true, true, 50, &payload);
                it.give(&[Chunk::Data(Data { stream: StreamId((ahead % 100) as u16), ..data })]);
            }
        }),
        ("channels by the thousand", up, |it| {
            let open = [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            for ahead in 0..5000 {
                let data = it.data(ahead, true, true, 50, &open);
                it.give(&[Chunk::Data(Data { stream: StreamId((ahead * 2) as u16), ..data })]);
            }
        }),
        ("a window that stays closed", up, |it| {
            for _ in 0..100 {
                let packet = write(it.tag, |out| put_sack(out, it.sent, 0, std::iter::empty(), &[]).unwrap());
                it.give_packet(&packet);
            }
        }),
        ("fragments without an end, and nobody reads", up, |it| {
            for ahead in 0..20_000 {
                it.give(&[Chunk::Data(it.data(ahead * 2 + 1, ahead % 3 == 0, false, 53, &[1; 40]))]);
            }
        }),
    ];
    plays.into_iter().for_each(run);
}

fn run((name, expected, play): Play) {
    let mut attack = Attack::new();
    let info = allocation_counter::measure(|| {
        play(&mut attack);
        attack.settle();
    });
    assert_eq!(attack.state(), expected, "{name}");
    // The window, a quarter and 64 KiB; a KiB for each of 1,024 channels; what a simulated network needs.
    let bound = (1 << 20) + (256 << 10) + (64 << 10) + (1 << 20) + (512 << 10);
    assert!(info.bytes_max < bound, "{name}: {} bytes", info.bytes_max);
    if expected != ConnectionState::Connected {
        assert_eq!(attack.closed_channels(), 1, "{name}: the channel has ended, too");
        let now = attack.two.now();
        let ours = attack.ours;
        let sent = attack.two.session(0).send(now, ours, &mut session::Outgoing::text("late"));
        assert!(sent.is_err(), "{name}");
    }
}

/// Chunks of all kinds with contents by chance, under the right tag and sum: nothing but a typed end.
#[test]
fn sctp_by_chance_inside_dtls_leaves_a_session_up_or_failed_by_type() {
    let (mut up, mut failed) = (0, 0);
    for seed in 0..testkit::scaled_at_least(10_000, 60) {
        let mut rng = Rng::new(crypto::derive_seed(&[seed as u8; 32], &seed.to_string()));
        let mut attack = Attack::new();
        let info = allocation_counter::measure(|| {
            for step in 0..300 {
                let packet = chance(&mut attack, &mut rng);
                attack.give_packet(&packet);
                if step % 30 == 0 {
                    attack.settle();
                }
            }
            attack.settle();
        });
        match attack.state() {
            ConnectionState::Connected => up += 1,
            ConnectionState::Failed(Failure::Sctp(_)) | ConnectionState::Closed => failed += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
        assert!(info.bytes_max < 3 << 20, "seed {seed}: {}", info.bytes_max);
        // Whatever it is at, it closes.
        let now = attack.two.now();
        attack.two.session(0).close(now);
        attack.settle();
        assert_eq!(attack.state(), ConnectionState::Closed, "seed {seed}");
    }
    assert!(up > 0 && failed > 0, "{up} {failed}");
}

/// A packet of one to three chunks.
fn chance(attack: &mut Attack, rng: &mut Rng) -> Vec<u8> {
    let near = |rng: &mut Rng| attack.next.plus(rng.below(40)).plus(u32::MAX - 10);
    let tag = attack.tag;
    write(tag, |out| {
        for _ in 0..=rng.below(3) {
            let mut bytes = vec![0; rng.below(200) as usize];
            rng.fill(&mut bytes);
            let stream = StreamId(rng.below(5) as u16);
            let written = match rng.below(12) {
                0..=4 => {
                    let flags = rng.below(16);
                    let ppid = [50, 51, 53, 56, 57, 60][rng.below(6) as usize];
                    if bytes.is_empty() && rng.below(20) > 0 {
                        bytes.push(1);
                    }
                    Chunk::Data(Data {
                        immediate: flags & 8 != 0,
                        unordered: flags & 4 != 0,
                        begin: flags & 3 != 0,
                        end: flags & 3 != 1,
                        tsn: near(rng),
                        stream,
                        ssn: Ssn(rng.below(4) as u16),
                        ppid: Ppid(ppid),
                        payload: &bytes,
                    })
                    .encode(out)
                }
                5 => {
                    bytes.truncate(bytes.len() & !3);
                    Chunk::ForwardTsn(ForwardTsn { cumulative: near(rng), skipped: &bytes }).encode(out)
                }
                6 => {
                    let request = attack.next.0.wrapping_add(rng.below(4)).wrapping_sub(1);
                    let (response, last) = (rng.u32(), near(rng));
                    bytes.truncate(bytes.len() & !1);
                    let parameters =
                        parameter(&Parameter::OutgoingReset { request, response, last, streams: &bytes });
                    Chunk::Reconfig(Parameters::decode(&parameters).unwrap()).encode(out)
                }
                7 => Chunk::Heartbeat(&bytes).encode(out),
                8 => Chunk::Error { causes: Causes::default() }.encode(out),
                9 => Chunk::CookieEcho(&bytes).encode(out),
                10 => Chunk::Unknown { kind: rng.u32() as u8 | 0x10, flags: 1, value: &bytes }.encode(out),
                _ => match rng.below(40) {
                    0 => Chunk::ShutdownAck.encode(out),
                    1 => Chunk::Shutdown { cumulative: near(rng) }.encode(out),
                    2 => put_sack(out, Tsn(rng.u32()), rng.below(5000), std::iter::empty(), &[]),
                    _ => Chunk::CookieAck.encode(out),
                },
            };
            written.unwrap();
        }
    })
}

/// Bytes of a record before its plaintext: header and explicit nonce (RFC 6347 §4.1, RFC 5288 §3).
const HEAD: usize = 13 + 8;
const TAG_LEN: usize = 16;
