//! What the tests of the facade share: two endpoints on 127.0.0.1 that meet.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::future::Future;
use std::time::{Duration, Instant};

use peerline::{
    Configuration, ConnectionState, DataChannel, DataChannelInit, Endpoint, Event, Events, PeerConnection,
};

/// Two connections that have met, and a channel that the first opened.
pub struct Pair {
    pub alice: PeerConnection,
    pub bob: PeerConnection,
    pub from_alice: Events,
    pub from_bob: Events,
    pub ours: DataChannel,
    pub theirs: DataChannel,
}

/// An endpoint on loopback, on a port that the system chooses.
pub async fn endpoint() -> Endpoint {
    Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap()
}

/// Has `b` answer an offer of `a`'s.
pub fn negotiate(a: &PeerConnection, b: &PeerConnection) {
    let offer = a.create_offer().unwrap();
    a.set_local_description(offer.clone()).unwrap();
    b.set_remote_description(offer).unwrap();
    let answer = b.create_answer().unwrap();
    b.set_local_description(answer.clone()).unwrap();
    a.set_remote_description(answer).unwrap();
}

/// Two connections over these endpoints, met within ten seconds.
pub async fn connect_over(here: &Endpoint, there: &Endpoint, configurations: [Configuration; 2]) -> Pair {
    let [mine, other] = configurations;
    let (alice, mut from_alice) = here.connect(mine).unwrap();
    let (bob, mut from_bob) = there.connect(other).unwrap();
    let ours = alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let met = async {
        loop {
            tokio::select! {
                Some(event) = from_alice.next() => if let Event::IceCandidate(Some(found)) = event {
                    bob.add_ice_candidate(&found).unwrap();
                },
                Some(event) = from_bob.next() => if let Event::IceCandidate(Some(found)) = event {
                    alice.add_ice_candidate(&found).unwrap();
                } else if let Event::DataChannel(theirs) = event {
                    break theirs;
                },
            }
        }
    };
    let theirs = within(10, "to meet", met).await;
    within(10, "to open", ours.opened()).await.unwrap();
    Pair { alice, bob, from_alice, from_bob, ours, theirs }
}

/// Two connections over endpoints of their own.
pub async fn connect_with(configuration: Configuration) -> Pair {
    let (here, there) = (endpoint().await, endpoint().await);
    connect_over(&here, &there, [configuration.clone(), configuration]).await
}

/// Two connections as they are by default.
pub async fn connect() -> Pair {
    connect_with(Configuration::default()).await
}

impl Pair {
    /// A megabyte each way, at a time.
    pub async fn exchange_a_megabyte(&self) {
        let megabyte = pattern(1 << 20);
        let one_way = async |from: &DataChannel, to: &DataChannel| {
            let send = async {
                for piece in megabyte.chunks(1 << 16) {
                    from.send(piece.to_vec()).await.unwrap();
                }
            };
            let receive = async {
                let mut came = Vec::new();
                while came.len() < megabyte.len() {
                    came.extend_from_slice(to.recv().await.expect("a message").as_bytes());
                }
                assert!(came == megabyte);
            };
            tokio::join!(send, receive);
        };
        within(30, "a megabyte each way", async {
            tokio::join!(one_way(&self.ours, &self.theirs), one_way(&self.theirs, &self.ours));
        })
        .await;
    }

    /// One side closes, and both have heard it.
    pub async fn close(&self) {
        self.alice.close();
        within(5, "to close", async { tokio::join!(self.alice.closed(), self.bob.closed()) }).await;
    }
}

/// What must be done within so many seconds.
pub async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(seconds), future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {seconds} s"))
}

/// Reads events until the connection is closed; says whether that was told.
pub async fn told_closed(events: &mut Events) -> bool {
    let mut told = false;
    while let Some(event) = events.next().await {
        told |= matches!(event, Event::ConnectionState(ConnectionState::Closed));
    }
    told
}

/// Waits until `holds`, for five seconds at the most; says whether it did.
pub async fn comes_true(holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}
