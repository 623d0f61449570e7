//! Figure 15: paths that swallow large datagrams.

use std::time::Duration;

use crate::scene::{Place, Scene};
use crate::table::{Figure, Outcome, measure};

#[test]
fn set_up_with_small_datagrams_alone() {
    let limit = Duration::from_secs(15);
    let figure =
        Figure { worst: Some(limit), ..Figure::new(15, "all connect, where nothing above 600 bytes passes") };
    measure("set_up_with_small_datagrams_alone", &figure, |seed| {
        let mut scene = Scene::new(seed, "small from the start", |draw| {
            let hole = draw.between(1, 4);
            let mut places = [0, 1].map(|_| Place::public(draw));
            for (_, place) in places.iter_mut().enumerate().filter(|(side, _)| hole & (1 << side) != 0) {
                place.link.mtu = 600;
            }
            places
        });
        let took = scene.connect(limit).expect("connects");
        // Messages of one packet, of the size that has come through.
        scene.traffic.as_mut().unwrap().most = 300;
        scene.wait(Duration::from_secs(2));
        Outcome { took, lost: scene.lost() }
    });
}
