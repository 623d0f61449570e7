//! Figure 12: outages that the peer's consent survives, and longer ones.

use std::time::Duration;

use session::{ConnectionState, Failure, IceFailure};

use crate::scene::{Place, Scene, asks_for_an_offer};
use crate::table::{Figure, Outcome, measure};

const SECONDS_2: Duration = Duration::from_secs(2);

#[test]
fn outage_of_up_to_20_s() {
    let figure = Figure {
        worst: Some(SECONDS_2),
        ..Figure::new(12, "2 s after the path is back, all, without a restart")
    };
    measure("outage_of_up_to_20_s", &figure, |seed| {
        let mut scene = Scene::new(seed, "outage", |draw| [0, 1].map(|_| Place::public(draw)));
        scene.settle(8000);
        // What piles up meanwhile is not what is measured.
        scene.slow_down(250);
        scene.cut(&[0, 1]);
        let outage = scene.draw.millis(1000, 20_000);
        scene.wait(outage);
        scene.mend();
        let back = scene.two.now();
        let flows = scene.run(Duration::from_secs(10), |_, traffic| traffic.flows_since(back));
        assert!(flows, "{}", scene.two.reports());
        let took = scene.two.now() - back;
        assert!((0..2).all(|side| !asks_for_an_offer(&scene.two, side)), "no restart");
        Outcome { took, lost: scene.lost() }
    });
}

/// Whether consent is lost depends on when it was asked for last: where it is, the session itself asks for an offer.
#[test]
fn outage_of_30_to_60_s() {
    let figure = Figure {
        worst: Some(SECONDS_2),
        ..Figure::new(12, "2 s after the answer, which the session asks for")
    };
    measure("outage_of_30_to_60_s", &figure, |seed| {
        let mut scene = Scene::new(seed, "long outage", |draw| [0, 1].map(|_| Place::public(draw)));
        scene.settle(8000);
        // What piles up meanwhile is not what is measured.
        scene.slow_down(250);
        scene.cut(&[0, 1]);
        let outage = scene.draw.millis(30_000, 60_000);
        scene.wait(outage);
        let is_lost = |scene: &mut Scene, side| {
            let state = scene.two.session(side).connection_state();
            state == ConnectionState::Failed(Failure::Ice(IceFailure::ConsentExpired))
        };
        let lost = [0, 1].map(|side| is_lost(&mut scene, side));
        assert_eq!(lost, [0, 1].map(|side| asks_for_an_offer(&scene.two, side)));
        scene.mend();
        let mut back = scene.two.now();
        if lost != [false; 2] {
            back = scene.renegotiate(Duration::from_secs(1)).expect("asked for an offer");
        }
        let flows = scene.run(Duration::from_secs(10), |_, traffic| traffic.flows_since(back));
        assert!(flows, "{}", scene.two.reports());
        Outcome { took: scene.two.now() - back, lost: scene.lost() }
    });
}
