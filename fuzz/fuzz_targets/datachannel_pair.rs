//! Any order of calls on two ends, over a link that loses, leaves them consistent.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use datachannel::{ChannelId, Channels, Config, Event, Init, Outgoing, Reliability, Role, StreamId};
use libfuzzer_sys::fuzz_target;
use proto::{Instant, Writer};

#[derive(Arbitrary, Debug)]
enum Step {
    Open { end: bool, ordered: bool, negotiated: Option<u8>, retransmits: Option<u8> },
    Send { end: bool, channel: u8, len: u32, text: bool },
    Recv { end: bool, channel: u8 },
    Close { end: bool, channel: u8 },
    Exchange { end: bool, lose: u8 },
    Wait { millis: u16 },
    Shutdown { end: bool },
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Instant::from_nanos(1);
    let mut ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, Config::default(), seed));
    ends[0].set_role(now, Role::Client);
    ends[1].set_role(now, Role::Server);
    let mut known: [Vec<ChannelId>; 2] = [Vec::new(), Vec::new()];
    for step in steps.into_iter().take(200) {
        match step {
            Step::Open { end, ordered, negotiated, retransmits } => {
                let reliability =
                    retransmits.map_or(Reliability::Reliable, |n| Reliability::MaxRetransmits(n.into()));
                let negotiated = negotiated.map(|stream| StreamId((stream % 8).into()));
                let init = Init { ordered, reliability, negotiated, ..Init::default() };
                known[usize::from(end)].extend(ends[usize::from(end)].open(now, init));
            }
            Step::Send { end, channel, len, text } => {
                let Some(id) = pick(&known[usize::from(end)], channel) else { continue };
                let data = vec![65; (len % 300_000) as usize];
                let mut message = if text {
                    Outgoing::text(String::from_utf8(data).expect("ASCII"))
                } else {
                    Outgoing::binary(data)
                };
                let _ = ends[usize::from(end)].send(now, id, &mut message);
            }
            Step::Recv { end, channel } => {
                let Some(id) = pick(&known[usize::from(end)], channel) else { continue };
                drop(ends[usize::from(end)].recv(now, id));
            }
            Step::Close { end, channel } => {
                let Some(id) = pick(&known[usize::from(end)], channel) else { continue };
                ends[usize::from(end)].close(now, id);
            }
            Step::Exchange { end, lose } => {
                let from = usize::from(end);
                let mut memory = vec![0; 2000];
                for nth in 0..8 {
                    let mut out = Writer::new(&mut memory);
                    if ends[from].poll_packet(now, &mut out) && lose >> nth & 1 == 0 {
                        let _ = ends[1 - from].handle_packet(now, out.written());
                    }
                }
            }
            Step::Wait { millis } => now += Duration::from_millis(millis.into()),
            Step::Shutdown { end } => ends[usize::from(end)].shutdown(now),
        }
        for (end, known) in ends.iter_mut().zip(&mut known) {
            end.handle_timeout(now);
            while let Some(event) = end.poll_event() {
                match event {
                    Event::Incoming(id) => known.push(id),
                    Event::Closed { channel, .. } => known.retain(|id| *id != channel),
                    _ => {}
                }
            }
        }
    }
    let mut memory = vec![0; 2000];
    for end in &mut ends {
        let mut out = Writer::new(&mut memory);
        while end.poll_packet(now, &mut out) {
            out.truncate(0);
        }
        assert!(end.poll_timeout().is_none_or(|due| due > now));
    }
});

fn pick(known: &[ChannelId], which: u8) -> Option<ChannelId> {
    known.get(usize::from(which) % known.len().max(1)).copied()
}
