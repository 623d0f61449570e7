//! Figure 13: addresses that change, by a switch of networks or by a NAT.

use std::time::Duration;

use testkit::{Dependence, Nat};

use crate::scene::{PORT, Place, Scene, address, asks_for_an_offer};
use crate::table::{Figure, Outcome, measure};

/// The old address is dead and the new one known; ICE is restarted, as the session asks for.
#[test]
fn address_change_with_notice() {
    let figure = Figure {
        median: Some(Duration::from_secs(1)),
        p99: Some(Duration::from_secs(3)),
        ..Figure::new(13, "median 1 s, p99 3 s after the new address is signalled")
    };
    measure("address_change_with_notice", &figure, |seed| {
        let mut scene = Scene::new(seed, "notice", |draw| [0, 1].map(|_| Place::public(draw)));
        scene.settle(8000);
        let mover = scene.draw.side();
        let (now, host) = (scene.two.now(), scene.two.hosts[mover]);
        let [old, new] = [0, 1].map(|number| (address(scene.lans[mover], mover, number), PORT).into());
        scene.two.world.network.set_addresses(host, &[address(scene.lans[mover], mover, 1)]);
        scene.two.session(mover).remove_local_address(now, old);
        scene.two.session(mover).add_local_address(now, new);
        let signalled = scene.renegotiate(Duration::from_millis(100)).expect("asks for an offer");
        let took = scene.passes_again(signalled, Duration::from_secs(20));
        let now = scene.two.now();
        assert_eq!(scene.two.session(mover).stats(now).selected_path.unwrap().local, new);
        Outcome { took, lost: scene.lost() }
    });
}

/// The old address dies in silence: nobody says so, and the new one is told some time later. No restart.
#[test]
fn address_change_without_notice() {
    let figure = Figure {
        median: Some(Duration::from_secs(1)),
        p99: Some(Duration::from_secs(3)),
        ..Figure::new(13, "median 1 s, p99 3 s after the new address is there, without a restart")
    };
    measure("address_change_without_notice", &figure, |seed| {
        let mut scene = Scene::new(seed, "no notice", |draw| [0, 1].map(|_| Place::public(draw)));
        scene.settle(8000);
        let mover = scene.draw.side();
        let host = scene.two.hosts[mover];
        let new = address(scene.lans[mover], mover, 1);
        scene.two.world.network.set_addresses(host, &[new]);
        // Interfaces are looked at every five seconds where the system does not tell.
        let wait = scene.draw.millis(0, 5000);
        scene.wait(wait);
        let now = scene.two.now();
        scene.two.session(mover).add_local_address(now, (new, PORT).into());
        let took = scene.passes_again(now, Duration::from_secs(30));
        Outcome { took, lost: scene.lost() }
    });
}

/// The address in use goes, and another is there.
#[test]
fn interface_switch() {
    let figure = Figure {
        median: Some(Duration::from_secs(1)),
        p99: Some(Duration::from_secs(3)),
        ..Figure::new(13, "median 1 s, p99 3 s after the address has gone, without a restart")
    };
    measure("interface_switch", &figure, |seed| {
        let mut mover = 0;
        let mut scene = Scene::new(seed, "switch", |draw| {
            mover = draw.side();
            let mut places = [0, 1].map(|_| Place::public(draw));
            places[mover].addresses = 2;
            places
        });
        scene.settle(8000);
        let (now, host) = (scene.two.now(), scene.two.hosts[mover]);
        let old = scene.two.session(mover).stats(now).selected_path.unwrap().local;
        let both = [0, 1].map(|number| address(scene.lans[mover], mover, number));
        let left = both.into_iter().find(|address| *address != old.ip()).unwrap();
        scene.two.world.network.set_addresses(host, &[left]);
        scene.two.session(mover).remove_local_address(now, old);
        let took = scene.passes_again(now, Duration::from_secs(40));
        assert!((0..2).all(|side| !asks_for_an_offer(&scene.two, side)), "no restart");
        Outcome { took, lost: scene.lost() }
    });
}

/// A NAT forgets what it knew, and maps to other ports. The other side can be reached from anywhere: where it cannot, no
/// datagram from the new port comes in, and signalling has to tell.
#[test]
fn nat_rebinding() {
    let figure = Figure::new(13, "a round trip and 5 s, without signalling");
    measure("nat_rebinding", &figure, rebind);
}

/// What was broken once: the NAT forgets in the middle of a nomination.
#[test]
fn nat_rebinding_of_seeds_that_were_broken_before() {
    for seed in [223, 888] {
        assert_eq!(rebind(seed).lost, 0, "seed {seed}");
    }
}

fn rebind(seed: u64) -> Outcome {
    let mut inside = 0;
    let mut scene = Scene::new(seed, "rebinding", |draw| {
        inside = draw.side();
        let outside = if draw.chance(50) {
            Place::public(draw)
        } else {
            let open = Dependence::EndpointIndependent;
            Place::behind(Nat { mapping: open, filtering: open, ..Nat::cone() }, draw)
        };
        let nat = draw.nat();
        let mut places = [outside, Place::behind(nat, draw)];
        if inside == 0 {
            places.swap(0, 1);
        }
        places
    });
    scene.settle(20_000);
    scene.two.world.network.rebind(scene.lans[inside]);
    let then = scene.two.now();
    let took = scene.passes_again(then, Duration::from_secs(40));
    assert!((0..2).all(|side| !asks_for_an_offer(&scene.two, side)), "no restart");
    let limit = Duration::from_secs(5) + scene.round_trip();
    assert!(took <= limit, "{took:?} of {limit:?}\n{}", scene.two.reports());
    Outcome { took, lost: scene.lost() }
}
