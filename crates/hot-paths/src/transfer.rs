//! Messages from end to end, acknowledgements included.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::Writer;
use sctp::{Association, Config, Ppid, StreamId, StreamOptions};
use session::{MessageKind, Outgoing};
use testkit::null_provider;

use crate::ends::Ends;

pub(crate) fn sctp_large() -> Box<dyn FnMut()> {
    sctp(16_384, 4)
}

pub(crate) fn sctp_small() -> Box<dyn FnMut()> {
    sctp(64, 100)
}

pub(crate) fn session_large() -> Box<dyn FnMut()> {
    session(16_384, 4)
}

pub(crate) fn session_small() -> Box<dyn FnMut()> {
    session(64, 100)
}

/// `count` messages of `size` bytes on an association alone.
fn sctp(size: usize, count: usize) -> Box<dyn FnMut()> {
    let config = Arc::new(Config::default());
    let mut now = testkit::epoch();
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    let stream = StreamId(0);
    let message = Bytes::from(vec![1; size]);
    let mut memory = [0; 2000];
    let mut is_open = false;
    Box::new(move || {
        now += Duration::from_millis(1);
        let mut left = 0;
        if is_open {
            left = size * count;
            for _ in 0..count {
                ends[0].send(now, stream, Ppid(53), &mut message.clone(), true).expect("room");
            }
        }
        let mut quiet = false;
        while left > 0 || !quiet {
            quiet = true;
            for from in [0, 1] {
                let mut out = Writer::new(&mut memory);
                ends[from].handle_timeout(now);
                while ends[from].poll_packet(now, &mut out) {
                    ends[1 - from].handle_packet(now, out.written()).expect("a packet of ours");
                    out.truncate(0);
                    quiet = false;
                }
                while ends[from].poll_event().is_some() {}
            }
            while let Some(chunk) = ends[1].recv(now, stream) {
                left -= chunk.data.len();
            }
            now += Duration::from_micros(100);
        }
        if !is_open && ends[0].is_connected() {
            is_open = ends[0].open(stream, StreamOptions::default()).is_ok();
        }
    })
}

/// `count` messages of `size` bytes through two whole sessions.
fn session(size: usize, count: usize) -> Box<dyn FnMut()> {
    let mut ends = Ends::connected(null_provider());
    let message = Bytes::from(vec![1; size]);
    Box::new(move || {
        let [ours, theirs] = ends.channels.expect("a channel");
        for _ in 0..count {
            let mut message = Outgoing::new(MessageKind::Binary, message.clone());
            ends.sessions[0].send(ends.now, ours, &mut message).expect("room");
        }
        let mut left = size * count;
        while left > 0 {
            ends.turn(Duration::from_micros(100));
            while let Some(piece) = ends.sessions[1].recv(ends.now, theirs) {
                left -= piece.data.len();
            }
            for session in &mut ends.sessions {
                while session.poll_event().is_some() {}
            }
        }
    })
}
