//! Handshakes of strangers, thrown at both sides while they connect.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{connect_over, endpoint, within};
use peerline::Configuration;

/// A ClientHello that offers this suite.
fn hello(suite: [u8; 2], number: u8) -> Vec<u8> {
    let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, number, 0, 54];
    datagram.extend([1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253]);
    datagram.extend([number; 32]);
    datagram.extend([0, 0, 0, 2, suite[0], suite[1], 1, 0]);
    datagram
}

/// One of everything that a stranger may send (THREATS D16).
fn thrown() -> Vec<Vec<u8>> {
    let mut all = vec![hello([0, 0], 1), hello([0xc0, 0x2b], 2), vec![22; 60]];
    let alerts = (0..=120_u8).flat_map(|alert| [1, 2].map(|level| (level, alert)));
    all.extend(
        alerts.map(|(level, alert)| vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, alert, 0, 2, level, alert]),
    );
    all
}

#[tokio::test]
async fn real_handshakes_of_strangers_do_not_hold_up_a_connection() {
    let runs = testkit::scaled_at_least(1000, 100);
    let targets: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let thrower = std::thread::spawn({
        let (targets, stop, count) = (targets.clone(), stop.clone(), count.clone());
        move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for datagram in thrown().iter().cycle() {
                for target in targets.lock().unwrap().iter() {
                    let _ = socket.send_to(datagram, target);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A thousand a second, at each.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs {
        // In turn, so that both kinds meet the same machine.
        for disturbed in [false, true] {
            let (here, there) = (endpoint().await, endpoint().await);
            let addresses = [here.local_addresses()[0], there.local_addresses()[0]];
            *targets.lock().unwrap() = if disturbed { addresses.to_vec() } else { Vec::new() };
            if disturbed {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            let start = Instant::now();
            let both = [Configuration::default(), Configuration::default()];
            let pair = connect_over(&here, &there, both).await;
            times[usize::from(disturbed)].push(start.elapsed());
            pair.ours.send("hello").await.unwrap();
            assert!(within(5, "hello", pair.theirs.recv()).await.is_some(), "{run}");
            if disturbed {
                tokio::time::sleep(Duration::from_millis(3)).await;
                pair.theirs.send("and again").await.unwrap();
                assert!(within(5, "and again", pair.ours.recv()).await.is_some(), "{run}");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    thrower.join().unwrap();
    let [calm, disturbed] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("{runs} of {runs} connected: {calm:?} undisturbed, {disturbed:?} otherwise, medians");
    assert!(count.load(Ordering::Relaxed) as u64 > runs * 10);
    assert!(disturbed <= calm.mul_f64(1.2) + Duration::from_millis(1), "{disturbed:?} instead of {calm:?}");
}
