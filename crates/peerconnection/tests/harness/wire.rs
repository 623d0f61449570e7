//! A socket with somebody on the wire: who sends in the name of others, and who makes sends fail.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use net::{Train, Transport, UdpSocket};
use proto::Transmit;

/// A socket on loopback whose traffic is tampered with.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sends: u64,
    /// Which send fails, and how.
    fault: Option<(u64, io::ErrorKind)>,
    /// It has no room, and does not say when it has.
    stuck: bool,
    waiting: Option<Waker>,
    /// It has room for so many sends a millisecond.
    narrow: Option<u32>,
    room: u32,
    /// Nothing that comes is heard.
    deaf: bool,
    /// When something was sent meanwhile.
    sent: Vec<Instant>,
    /// One datagram to a send, as on systems without segmentation offload.
    single: bool,
    /// Each packet of RTP whose number can be divided by this is lost when it is sent, and how many were.
    loses: Option<u64>,
    media: u64,
    flood: Option<Flood>,
    /// Datagrams that came, and from whom, for those who imitate them.
    heard: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// Forged datagrams that come in between.
#[derive(Debug)]
struct Flood {
    rate: u64,
    start: Instant,
    forged: u64,
}

impl Wire {
    pub fn new() -> Self {
        let socket = UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { socket, state: Mutex::default() }
    }

    /// The send with this number, from 0, fails once.
    pub fn failing(at: u64, error: io::ErrorKind) -> Self {
        let wire = Self::new();
        wire.state.lock().unwrap().fault = Some((at, error));
        wire
    }

    /// Each send carries one datagram.
    pub fn single() -> Self {
        let wire = Self::new();
        wire.state.lock().unwrap().single = true;
        wire
    }

    /// Takes nothing, or takes what comes again.
    pub fn be_stuck(&self, stuck: bool) {
        let mut state = self.state.lock().unwrap();
        state.stuck = stuck;
        state.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Has room for so many sends a millisecond from now on.
    pub fn be_narrow(self: &Arc<Self>, sends: u32) {
        self.state.lock().unwrap().narrow = Some(sends);
        let wire = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(wire) = wire.upgrade() {
                {
                    let mut state = wire.state.lock().unwrap();
                    state.room = sends;
                    state.waiting.take().into_iter().for_each(Waker::wake);
                }
                drop(wire);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    /// One packet of RTP in so many is lost from now on, of those that are sent; `None`: none. For a wire that is [single](Self::single).
    pub fn lose(&self, one_in: Option<u64>) {
        self.state.lock().unwrap().loses = one_in;
    }

    /// From now on what comes is lost, or is not.
    pub fn be_deaf(&self, deaf: bool) {
        let mut state = self.state.lock().unwrap();
        (state.deaf, state.sent) = (deaf, Vec::new());
    }

    /// When something was sent since it is deaf.
    pub fn sent(&self) -> Vec<Instant> {
        self.state.lock().unwrap().sent.clone()
    }

    /// So many forged datagrams a second come from now on, in the name of whoever was heard; 0 ends it.
    pub fn flood(&self, rate: u64) {
        let mut state = self.state.lock().unwrap();
        state.flood = (rate > 0).then(|| Flood { rate, start: Instant::now(), forged: 0 });
    }

    /// Datagrams forged since [`flood`](Self::flood).
    pub fn forged(&self) -> u64 {
        self.state.lock().unwrap().flood.as_ref().map_or(0, |flood| flood.forged)
    }

    pub fn sends(&self) -> u64 {
        self.state.lock().unwrap().sends
    }
}

impl State {
    /// The next datagram that is not what it says, if its time has come.
    fn next_forged(&mut self, buffer: &mut [u8]) -> Option<Train> {
        let flood = self.flood.as_mut()?;
        let due = u64::try_from(flood.start.elapsed().as_micros()).unwrap() * flood.rate / 1_000_000;
        if flood.forged >= due {
            return None;
        }
        flood.forged += 1;
        let number = flood.forged;
        let kind = number % 5;
        let wanted = |first: u8| if kind == 0 { first < 4 } else { (20..64).contains(&first) };
        let heard = self.heard.iter().filter(|(_, datagram)| wanted(datagram[0]));
        let count = heard.clone().count().max(1);
        let (remote, model) = heard.clone().nth(usize::try_from(number).unwrap() % count)?;
        let mut datagram = model.clone();
        let (last, noise) = (datagram.len() - 1, number.to_be_bytes());
        match kind {
            // A check with a code that is not right, a record that is not what was sealed, one of another number.
            0 => datagram[last.min(40)] ^= 1 + noise[7] % 255,
            1 => datagram[last] ^= 1 + noise[7] % 255,
            2 => datagram[5..11].copy_from_slice(&noise[2..]),
            // A ClientHello, and an alert that nobody has sealed.
            3 => {
                datagram = vec![22, 254, 253, 0, 0, 0, 0];
                datagram.extend(&noise[4..]);
                datagram.extend([0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253]);
                datagram.extend([noise[7]; 32]);
                datagram.extend([0, 0, 0, 2, 192, 43, 1, 0]);
            }
            _ => datagram = vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 1, noise[7], 0, 2, 2, noise[7]],
        }
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some(Train { remote: *remote, len: datagram.len(), stride: datagram.len(), ecn: None })
    }
}

impl Transport for Wire {
    fn local_address(&self) -> SocketAddr {
        self.socket.local_address()
    }

    fn max_segments(&self) -> usize {
        if self.state.lock().unwrap().single { 1 } else { self.socket.max_segments() }
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        {
            let mut state = self.state.lock().unwrap();
            let number = state.sends;
            if state.stuck || (state.narrow.is_some() && state.room == 0) {
                state.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.room = state.room.saturating_sub(1);
            if let Some((_, error)) = state.fault.filter(|(at, _)| *at == number) {
                state.sends += 1;
                if error == io::ErrorKind::WouldBlock {
                    // The system has no room, and tells in a moment that it has again.
                    let waker = cx.waker().clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        waker.wake();
                    });
                    return Poll::Pending;
                }
                return Poll::Ready(Err(error.into()));
            }
            // RFC 7983 §7, RFC 5761 §4.
            if let [128..=191, second, ..] = bytes
                && !(192..=223).contains(second)
            {
                state.media += 1;
                if state.loses.is_some_and(|one_in| state.media.is_multiple_of(one_in)) {
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let sent = ready!(self.socket.poll_send(cx, transmit, bytes));
        let mut state = self.state.lock().unwrap();
        state.sends += 1;
        if state.deaf {
            state.sent.push(Instant::now());
        }
        Poll::Ready(sent)
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        if let Some(train) = self.state.lock().unwrap().next_forged(buffer) {
            return Poll::Ready(Ok(train));
        }
        let train = loop {
            let train = ready!(self.socket.poll_receive(cx, buffer))?;
            if !self.state.lock().unwrap().deaf {
                break train;
            }
        };
        let mut state = self.state.lock().unwrap();
        // Enough of each kind to imitate; remembered once, so that nothing grows.
        let first = buffer[..train.len].first().copied().unwrap_or(255);
        let same = state.heard.iter().filter(|(_, known)| (known[0] < 4) == (first < 4)).count();
        if (first < 64) && same < 16 {
            let datagram = buffer[..train.stride.min(train.len)].to_vec();
            state.heard.push_back((train.remote, datagram));
        }
        Poll::Ready(Ok(train))
    }
}
