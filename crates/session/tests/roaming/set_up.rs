//! Figure 11: connecting where much is lost.

use std::time::Duration;

use crate::scene::{Place, Scene};
use crate::table::{Figure, Outcome, measure};

fn connects(name: &str, figure: &Figure, loss: f64, limit: Duration) {
    measure(name, figure, |seed| {
        let mut scene = Scene::new(seed, name, |draw| {
            [0, 1].map(|_| {
                let mut place = Place::public(draw);
                place.link.loss = loss;
                place
            })
        });
        let took = scene.connect(limit);
        assert!(took.is_some(), "does not connect in time\n{}", scene.two.reports());
        Outcome { took: took.unwrap_or_default(), lost: 0 }
    });
}

#[test]
fn set_up_with_a_fifth_lost() {
    let limit = Duration::from_secs(10);
    let text = "99.9 % within 10 s, a fifth of all lost each way";
    let figure = Figure { share: Some((999, limit)), ..Figure::new(11, text) };
    connects("set_up_with_a_fifth_lost", &figure, 0.2, limit);
}

#[test]
fn set_up_with_half_lost() {
    let limit = Duration::from_secs(30);
    let text = "95 % within 30 s, half of all lost each way";
    let figure = Figure { share: Some((950, limit)), ..Figure::new(11, text) };
    connects("set_up_with_half_lost", &figure, 0.5, limit);
}
