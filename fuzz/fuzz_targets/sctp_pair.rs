//! Any order of inputs, packets mutated, lost and doubled, leaves both ends consistent: no panic, no timer
//! in the past after draining.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use proto::{Instant, Writer};
use sctp::wire::finish_packet;
use sctp::{Association, Config, Ppid, Priority, Reliability, StreamId, StreamOptions};

#[derive(Arbitrary, Debug)]
enum Step {
    Open { end: bool, stream: u8, unordered: bool, retransmits: Option<u8> },
    Send { end: bool, stream: u8, len: u16, finish: bool },
    Recv { end: bool, stream: u8 },
    Reset { end: bool, stream: u8 },
    Exchange { end: bool, lose: u8, double: bool },
    Mutate { end: bool, at: u16, to: u8, seal: bool },
    Wait { millis: u16 },
    Resize { end: bool, bytes: u16 },
    Shutdown { end: bool },
    Abort { end: bool },
}

fuzz_target!(|steps: Vec<Step>| {
    let config = Arc::new(Config::default());
    let mut now = Instant::from_nanos(1);
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    for _ in 0..4 {
        deliver(&mut ends, 0, now, 0, false, None);
        deliver(&mut ends, 1, now, 0, false, None);
    }
    for step in steps.into_iter().take(200) {
        match step {
            Step::Open { end, stream, unordered, retransmits } => {
                let reliability =
                    retransmits.map_or(Reliability::Reliable, |n| Reliability::MaxRetransmits(n.into()));
                let options = StreamOptions::new(unordered, reliability, Priority::NORMAL);
                let _ = ends[usize::from(end)].open(StreamId((stream % 4).into()), options);
            }
            Step::Send { end, stream, len, finish } => {
                let mut payload = Bytes::from(vec![stream; len.into()]);
                let _ = ends[usize::from(end)].send(
                    now,
                    StreamId((stream % 4).into()),
                    Ppid(53),
                    &mut payload,
                    finish,
                );
            }
            Step::Recv { end, stream } => {
                drop(ends[usize::from(end)].recv(now, StreamId((stream % 4).into())))
            }
            Step::Reset { end, stream } => ends[usize::from(end)].reset(now, StreamId((stream % 4).into())),
            Step::Exchange { end, lose, double } => deliver(&mut ends, end.into(), now, lose, double, None),
            Step::Mutate { end, at, to, seal } => {
                deliver(&mut ends, end.into(), now, 0, false, Some((at, to, seal)))
            }
            Step::Wait { millis } => now += Duration::from_millis(millis.into()),
            Step::Resize { end, bytes } => ends[usize::from(end)].set_max_packet(bytes.into()),
            Step::Shutdown { end } => ends[usize::from(end)].shutdown(now),
            Step::Abort { end } => ends[usize::from(end)].abort(now),
        }
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
    }
    let mut memory = vec![0; 70_000];
    for end in &mut ends {
        let mut out = Writer::new(&mut memory);
        while end.poll_packet(now, &mut out) {
            out.truncate(0);
        }
        while end.poll_event().is_some() {}
        assert!(end.poll_timeout().is_none_or(|due| due > now));
    }
});

fn deliver(
    ends: &mut [Association; 2],
    from: usize,
    now: Instant,
    lose: u8,
    double: bool,
    mutation: Option<(u16, u8, bool)>,
) {
    let mut memory = vec![0; 70_000];
    for nth in 0..8 {
        let mut out = Writer::new(&mut memory);
        if !ends[from].poll_packet(now, &mut out) {
            break;
        }
        if let Some((at, to, seal)) = mutation {
            let at = usize::from(at) % out.len();
            if let Some(byte) = out.written_mut(0).get_mut(at) {
                *byte = to;
            }
            if seal {
                finish_packet(&mut out, 0).expect("a whole packet");
            }
        }
        if lose >> nth & 1 == 0 {
            let _ = ends[1 - from].handle_packet(now, out.written());
        }
        if double {
            let _ = ends[1 - from].handle_packet(now, out.written());
        }
    }
}
