//! Figure 14: what becomes of relayed addresses.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::HashAlgorithm;
use session::Credentials;
use testkit::{HostId, Link, Nat};

use crate::harness::{self, CLOCK, Node};
use crate::scene::{Place, Scene, TURN};
use crate::table::{Figure, Outcome, measure};

/// Everything is lost on the way to a host, and from it.
fn unplug(scene: &mut Scene, host: HostId, is_off: bool) {
    let link = Link { loss: if is_off { 1.0 } else { 0.0 }, ..Link::default() };
    scene.two.world.network.set_links(host, link.clone(), link);
}

#[test]
fn turn_server_restart() {
    let figure = Figure {
        p99: Some(Duration::from_secs(10)),
        ..Figure::new(14, "p99 10 s after the server is back, knowing nothing")
    };
    measure("turn_server_restart", &figure, |seed| {
        let mut scene = Scene::new(seed, "restart", |draw| {
            let mut places = [0, 1].map(|_| Place::public(draw));
            // Both sides by relay, or one.
            let relays = draw.between(1, 4);
            places
                .iter_mut()
                .enumerate()
                .for_each(|(side, place)| place.is_relayed = relays & (1 << side) != 0);
            places
        });
        scene.settle(20_000);
        let host = scene.relay;
        unplug(&mut scene, host, true);
        let off = scene.draw.millis(100, 3000);
        scene.wait(off);
        scene.two.world.machines.insert(host, harness::relay(TURN, 10));
        unplug(&mut scene, host, false);
        let back = scene.two.now();
        let mut negotiated = scene.two.now();
        // The peer is told of the new address with an offer, if that is asked for, or by its candidate alone.
        while !scene.run(Duration::from_millis(20), |_, traffic| traffic.has_passed(back)) {
            if scene.two.now() > negotiated && scene.renegotiate(Duration::from_millis(1)).is_some() {
                negotiated = scene.two.now();
            }
            assert!(scene.two.now() - back < Duration::from_secs(60), "{}", scene.two.reports());
        }
        Outcome { took: scene.two.now() - back, lost: scene.lost() }
    });
}

/// Credentials such as web servers give out, which end so many seconds after the beginning.
fn ending_after(seconds: u64) -> Credentials {
    let name = format!("{}:alice", CLOCK.unix_seconds + seconds);
    let code = crypto::rust_crypto().hmac(HashAlgorithm::Sha1, SECRET).sign(&[name.as_bytes()]);
    Credentials::new(&name, &STANDARD.encode(code.as_bytes())).unwrap()
}

/// A TURN server that knows whoever has been given credentials.
fn rest_server() -> Node {
    let mut config = turn::server::Config::new(crypto::rust_crypto());
    config.unix_time = CLOCK.unix_seconds - testkit::epoch().since_epoch().as_secs();
    config.listeners.push(TURN);
    config.relays.push(turn::server::RelayAddress { local: TURN.ip(), external: TURN.ip() });
    config.peers.allow.push("0.0.0.0/0".parse().unwrap());
    let mut users = turn::Users::default();
    users.add_secret(config.provider, SECRET);
    let server = turn::Server::new(testkit::epoch(), config, users, [9; 32]);
    Node::Relay(Box::new(server), std::collections::VecDeque::new())
}

const SECRET: &[u8] = b"shared with the web server";

/// Packets that were sent and have not come, once nothing is under way.
fn in_vain(scene: &mut Scene) -> u64 {
    scene.traffic.as_mut().unwrap().is_on = false;
    scene.wait(Duration::from_secs(1));
    scene.traffic.as_mut().unwrap().is_on = true;
    let now = scene.two.now();
    let [first, second] = [0, 1].map(|side| scene.two.session(side).stats(now).sctp);
    (first.packets_sent - second.packets_received) + (second.packets_sent - first.packets_received)
}

/// Of both sides, the second of them behind a NAT. What is renewed too late for a request of the client's, which is then
/// refused, is renewed before what was granted lapses.
#[test]
fn credential_expiry() {
    let figure =
        Figure::new(14, "no datagram lost, credentials renewed before or up to 30 s after their end");
    measure("credential_expiry", &figure, |seed| {
        let mut scene = Scene::with_server(seed, "expiry", rest_server(), |draw| {
            let mut places = [Place::public(draw), Place::behind(Nat::symmetric(), draw)];
            places.iter_mut().for_each(|place| place.is_relayed = true);
            places
        });
        let ends = [0, 1].map(|_| scene.draw.between(60, 270));
        for (side, end) in ends.into_iter().enumerate() {
            let credentials = ending_after(end.into());
            let now = scene.two.now();
            scene.two.session(side).set_turn_credentials(now, TURN, &credentials);
        }
        scene.settle(2000);
        scene.slow_down(1000);
        scene.two.tick = Duration::from_millis(200);
        // What was sent before the path was open is not counted.
        let before = in_vain(&mut scene);
        let mut renewals = [0, 1]
            .map(|side| (scene.draw.millis(ends[side] * 1000 - 30_000, ends[side] * 1000 + 30_000), side));
        renewals.sort_unstable();
        for (at, side) in renewals {
            let wait = at.saturating_sub(scene.two.world.elapsed());
            scene.wait(wait);
            let now = scene.two.now();
            scene.two.session(side).set_turn_credentials(now, TURN, &ending_after(3600));
        }
        // Permissions are renewed after four minutes and lapse after five.
        let wait = Duration::from_secs(330).saturating_sub(scene.two.world.elapsed());
        scene.wait(wait);
        assert_eq!(scene.lost(), 0, "bytes");
        Outcome { took: Duration::ZERO, lost: in_vain(&mut scene) - before }
    });
}
