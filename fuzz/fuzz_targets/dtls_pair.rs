//! Two ends and an attacker between them: any order of inputs leaves both in a defined state.
#![no_main]

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use dtls::{Config, Connection, Event, Identity};
use libfuzzer_sys::fuzz_target;
use proto::{Instant, Writer};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Deliver { to_server: bool },
    Drop { to_server: bool },
    Duplicate { to_server: bool },
    Mutate { to_server: bool, at: u16, with: u8 },
    Inject { to_server: bool, bytes: &'a [u8] },
    Wait { millis: u16 },
    Resize { server: bool, bytes: u16 },
    RoundTrip { server: bool, millis: u16 },
    Accept { server: bool },
    Reject { server: bool },
    Send { server: bool, len: u8, room: u8, seal: bool },
    Close { server: bool },
}

struct End {
    connection: Connection,
    queue: VecDeque<Vec<u8>>,
    connected: bool,
    closed: bool,
}

impl End {
    fn drain(&mut self, now: Instant, to: &mut VecDeque<Vec<u8>>) {
        self.connection.handle_timeout(now);
        loop {
            let mut memory = vec![0; 1500];
            let mut out = Writer::new(&mut memory);
            if !self.connection.poll_packet(now, &mut out) {
                break;
            }
            let len = out.len();
            memory.truncate(len);
            if to.len() < 100 {
                to.push_back(memory);
            }
        }
        while let Some(event) = self.connection.poll_event() {
            assert!(!self.closed, "nothing happens after the end");
            match event {
                Event::Connected => {
                    assert!(!self.connected, "once");
                    self.connected = true;
                }
                Event::Closed(_) => self.closed = true,
                _ => assert!(self.connection.peer_certificate().is_some()),
            }
        }
        assert!(self.connection.poll_timeout().is_none_or(|due| due > now));
    }

    fn receive(&mut self, now: Instant, mut datagram: Vec<u8>) {
        let connected = self.connection.is_connected();
        let mut records = self.connection.handle_datagram(now, &mut datagram);
        while let Some(record) = records.next_record() {
            assert!(record.is_err() || connected, "data before the connection");
        }
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let config = Arc::clone(CONFIG.get_or_init(config));
    let mut now = Instant::default();
    let end = |connection| End { connection, queue: VecDeque::new(), connected: false, closed: false };
    let mut client = end(Connection::client(now, Arc::clone(&config), [1; 32]));
    let mut server = end(Connection::server(now, config, [2; 32]));
    for step in steps {
        client.drain(now, &mut server.queue);
        server.drain(now, &mut client.queue);
        let pick = |to_server| if to_server { 1 } else { 0 };
        let ends = [&mut client, &mut server];
        match step {
            Step::Deliver { to_server } => {
                let [a, b] = ends;
                let end = if to_server { b } else { a };
                if let Some(datagram) = end.queue.pop_front() {
                    end.receive(now, datagram);
                }
            }
            Step::Drop { to_server } => drop(ends[pick(to_server)].queue.pop_front()),
            Step::Duplicate { to_server } => {
                let queue = &mut ends[pick(to_server)].queue;
                if let Some(datagram) = queue.front().cloned() {
                    queue.push_back(datagram);
                }
            }
            Step::Mutate { to_server, at, with } => {
                if let Some(byte) =
                    ends[pick(to_server)].queue.front_mut().and_then(|it| it.get_mut(usize::from(at)))
                {
                    *byte ^= with;
                }
            }
            Step::Inject { to_server, bytes } => {
                let [a, b] = ends;
                (if to_server { b } else { a }).receive(now, bytes.to_vec());
            }
            Step::Wait { millis } => now += Duration::from_millis(millis.into()),
            Step::Resize { server, bytes } => ends[pick(server)].connection.set_max_datagram(bytes.into()),
            Step::RoundTrip { server, millis } => {
                ends[pick(server)].connection.set_round_trip(Duration::from_millis(millis.into()));
            }
            Step::Accept { server } => ends[pick(server)].connection.accept_peer(now),
            Step::Reject { server } => ends[pick(server)].connection.reject_peer(now),
            Step::Send { server, len, room, seal } => {
                let mut memory = [0; 255];
                let mut out = Writer::new(&mut memory[..room.into()]);
                let connection = &mut ends[pick(server)].connection;
                let Ok(mut record) = connection.begin_record(&mut out) else { continue };
                let _ = record.plaintext().put_zeros(len.into());
                if seal {
                    record.seal();
                } else {
                    drop(record);
                }
                assert_eq!(out.is_empty(), !seal);
                let datagram = out.written().to_vec();
                let queue = &mut ends[pick(!server)].queue;
                if seal && queue.len() < 100 {
                    queue.push_back(datagram);
                }
            }
            Step::Close { server } => ends[pick(server)].connection.close(now),
        }
    }
    client.drain(now, &mut server.queue);
    server.drain(now, &mut client.queue);
});

/// Made once: a key costs more than a run.
static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();

fn config() -> Arc<Config> {
    let null = testkit::null_provider();
    let identity = Identity::generate(null, 1_790_000_000, [1; 32]).expect("a certificate");
    Arc::new(Config::new(null, Arc::new(identity)))
}
