//! Any order of inputs leaves the client consistent: no panic, no timer in the past after draining.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Carrier, Instant, Path, Writer};
use stun::wire::{Attribute, Class, Encoder, Message, Method};
use stun::{Client, Config};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Start,
    Stop,
    Wait(u16),
    Receive(&'a [u8]),
    /// Answers the last request, which random bytes would never match.
    Answer {
        success: bool,
        ip: [u8; 4],
    },
    Send {
        room: u8,
    },
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let address = ([192, 0, 2, 1], 3478).into();
    let path = Path { carrier: Carrier::Udp, local: address, remote: address };
    let mut client = Client::new(Config::default(), path, [0; 32]);
    let mut now = Instant::from_nanos(1);
    let mut asked = None;
    for step in steps {
        let mut memory = [0; 256];
        match step {
            Step::Start => client.start(now),
            Step::Stop => client.stop(),
            Step::Wait(millis) => now += Duration::from_millis(millis.into()),
            Step::Receive(bytes) => _ = client.handle_datagram(Arrival { path, ecn: None, at: now }, bytes),
            Step::Answer { success, ip } => {
                let Some(id) = asked else { continue };
                let class = if success { Class::Success } else { Class::Error };
                let mut out = Writer::new(&mut memory);
                let mut encoder = Encoder::new(&mut out, class, Method::BINDING, id).expect("room");
                encoder.attribute(Attribute::XorMappedAddress((ip, 9).into())).expect("room");
                encoder.finish(None).expect("room");
                let _ = client.handle_datagram(Arrival { path, ecn: None, at: now }, out.written());
            }
            Step::Send { room } => {
                let mut batch = Batch::new(&mut memory[..room.into()], 1, 1200);
                if client.poll_transmit(now, &mut batch).is_some() {
                    asked = Some(Message::decode(batch.bytes()).expect("own output").transaction());
                }
            }
        }
        client.handle_timeout(now);
    }
    let mut memory = [0; 64];
    while client.poll_transmit(now, &mut Batch::new(&mut memory, 1, 1200)).is_some() {}
    assert!(client.poll_timeout().is_none_or(|due| due > now));
});
