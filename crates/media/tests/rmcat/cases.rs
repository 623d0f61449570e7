//! The cases of RFC 8867, and two more.

use media::{Marking, TransportFeedback};

use crate::world::{MAX_RATE, Plan, World};

/// A case, how it is run, and what it must reach.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub seconds: u64,
    pub run: fn(&'static Self, u8) -> Outcome,
    pub floors: Floors,
}

/// Shares in hundredths, milliseconds; Jain's index; seconds.
#[derive(Clone, Copy)]
pub struct Floors {
    pub utilisation: f64,
    pub p95: u64,
    pub loss: f64,
    pub fairness: f64,
    /// `None` where TCP competes.
    pub convergence: Option<u64>,
    /// Media's part beside TCP.
    pub share: f64,
}

pub struct Outcome {
    pub case: &'static Case,
    /// What the bottleneck carried of what it could have and was wanted, from the tenth second on.
    pub utilisation: f64,
    pub p50: u64,
    pub p95: u64,
    pub loss: f64,
    /// The longest time from a change until four fifths of what is achievable are carried.
    pub convergence: Option<u64>,
    /// Jain's index over the last 30 s, long TCP flows among the flows.
    pub fairness: f64,
    /// Media's part of what was carried.
    pub share: f64,
    pub capacities: Vec<u64>,
    pub series: Vec<(String, Vec<u64>)>,
}

const fn floors(utilisation: f64, p95: u64, loss: f64, fairness: f64, convergence: Option<u64>) -> Floors {
    Floors { utilisation, p95, loss, fairness, convergence, share: 0.0 }
}

impl Floors {
    const fn beside_tcp(self, share: f64) -> Self {
        Self { share, ..self }
    }
}

pub static CASES: &[Case] = &[
    Case {
        name: "5.1 variable capacity",
        what: "one flow; 1, 2.5, 0.6, 1 Mbit/s",
        seconds: 100,
        run: variable_one,
        floors: floors(84.0, 80, 2.0, 0.95, Some(7)),
    },
    Case {
        name: "5.1 over RFC 8888",
        what: "the same, feedback by stream",
        seconds: 100,
        run: variable_streams,
        floors: floors(84.0, 80, 2.0, 0.95, Some(7)),
    },
    Case {
        name: "5.2 variable capacity, two flows",
        what: "4, 2, 3.5, 1, 2 Mbit/s",
        seconds: 125,
        run: variable_two,
        floors: floors(87.0, 65, 2.0, 0.90, Some(9)),
    },
    Case {
        name: "5.3 congested feedback",
        what: "a flow each way; forward 2, 1, 0.5, 2, backward 2, 0.8, 2 Mbit/s",
        seconds: 100,
        run: feedback,
        floors: floors(84.0, 65, 1.0, 0.95, Some(10)),
    },
    Case {
        name: "5.4 competing flows",
        what: "three flows from 0, 20, 40 s; 3.5 Mbit/s",
        seconds: 120,
        run: competing,
        floors: floors(86.0, 55, 0.5, 0.95, Some(9)),
    },
    Case {
        name: "5.5 round trips",
        what: "five flows of 10 to 150 ms one way; 4 Mbit/s",
        seconds: 300,
        run: round_trips,
        floors: floors(86.0, 60, 0.5, 0.93, Some(10)),
    },
    Case {
        name: "5.6 a long TCP flow",
        what: "2 Mbit/s, queue of 300 ms",
        seconds: 120,
        run: long_tcp,
        floors: floors(95.0, 320, 1.0, 0.88, None).beside_tcp(26.0),
    },
    Case {
        name: "5.6 with a queue of 1 s",
        what: "the same",
        seconds: 120,
        run: long_tcp_deep,
        floors: floors(95.0, 1020, 1.0, 0.85, None).beside_tcp(25.0),
    },
    Case {
        name: "5.6, TCP comes and goes",
        what: "1.5 Mbit/s; TCP from 20 to 60 s, the queue is counted from 65 s on",
        seconds: 120,
        run: passing_tcp_one,
        floors: floors(86.0, 55, 1.0, 0.95, None).beside_tcp(26.0),
    },
    Case {
        name: "5.6, the same with two flows",
        what: "of media",
        seconds: 120,
        run: passing_tcp_two,
        floors: floors(86.0, 70, 1.0, 0.90, None).beside_tcp(32.0),
    },
    Case {
        name: "5.6, the same with three",
        what: "and a queue of 1 s",
        seconds: 120,
        run: passing_tcp_three,
        floors: floors(88.0, 700, 1.5, 0.80, None).beside_tcp(45.0),
    },
    Case {
        name: "5.7 short TCP flows",
        what: "two flows, ten short ones; 2 Mbit/s",
        seconds: 300,
        run: short_tcp,
        floors: floors(52.0, 85, 0.5, 0.90, None).beside_tcp(68.0),
    },
    Case {
        name: "5.8 pause and resume",
        what: "three flows, the second silent from 40 to 60 s; 3.5 Mbit/s",
        seconds: 120,
        run: pause,
        floors: floors(87.0, 60, 0.5, 0.92, Some(7)),
    },
    Case {
        name: "6.2 marks",
        what: "one flow; 1 Mbit/s, marked above 20 ms of queue, answered as losses",
        seconds: 60,
        run: marks,
        floors: floors(80.0, 38, 0.1, 0.95, Some(8)),
    },
    Case {
        name: "6.2 marks, scalable",
        what: "the same above 5 ms, answered in proportion",
        seconds: 60,
        run: marks_scalable,
        floors: floors(90.0, 15, 0.1, 0.95, Some(6)),
    },
    Case {
        name: "path change",
        what: "from 20 ms and 2 Mbit/s to 120 ms and 1 Mbit/s at 30 s",
        seconds: 90,
        run: path_change,
        floors: floors(86.0, 80, 1.0, 0.95, Some(10)),
    },
    Case {
        name: "random loss",
        what: "one flow; 1 Mbit/s, 5 % lost at random",
        seconds: 60,
        run: random_loss,
        floors: floors(83.0, 65, 0.1, 0.95, Some(10)),
    },
];

/// Capacities from seconds on.
fn follow(world: &mut World, direction: usize, pattern: &[(u64, u64)]) {
    let second = world.millis / 1000;
    if let Some((_, kilobits)) = pattern.iter().rev().find(|(from, _)| *from <= second) {
        world.paths[direction].capacity = kilobits * 1000;
    }
}

const ONE: &[(u64, u64)] = &[(0, 1000), (40, 2500), (60, 600), (80, 1000)];
const TWO: &[(u64, u64)] = &[(0, 4000), (25, 2000), (50, 3500), (75, 1000), (100, 2000)];

fn variable_one(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 1_000_000, &[Plan::new(0)]);
    world.run(case.seconds, |world| follow(world, 0, ONE));
    judge(case, world)
}

fn variable_streams(case: &'static Case, run: u8) -> Outcome {
    let plan = Plan { feedback: TransportFeedback::Streams, ..Plan::new(0) };
    let mut world = World::new(run, 1_000_000, &[plan]);
    world.run(case.seconds, |world| follow(world, 0, ONE));
    judge(case, world)
}

fn variable_two(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 4_000_000, &[Plan::new(0); 2]);
    world.run(case.seconds, |world| follow(world, 0, TWO));
    judge(case, world)
}

fn feedback(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 2_000_000, &[Plan::new(0), Plan { direction: 1, ..Plan::new(0) }]);
    world.run(case.seconds, |world| {
        follow(world, 0, &[(0, 2000), (20, 1000), (40, 500), (60, 2000)]);
        follow(world, 1, &[(0, 2000), (35, 800), (70, 2000)]);
    });
    // What is judged is the forward path.
    world.flows.truncate(1);
    judge(case, world)
}

fn competing(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 3_500_000, &[0, 20, 40].map(Plan::new));
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn round_trips(case: &'static Case, run: u8) -> Outcome {
    let plans = [(0, 10), (10, 25), (20, 50), (30, 100), (40, 150)];
    let mut world =
        World::new(run, 4_000_000, &plans.map(|(start, delay)| Plan { delay, ..Plan::new(start) }));
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn long_tcp(case: &'static Case, run: u8) -> Outcome {
    tcp(case, run, 300)
}

fn long_tcp_deep(case: &'static Case, run: u8) -> Outcome {
    tcp(case, run, 1000)
}

fn tcp(case: &'static Case, run: u8, limit: u64) -> Outcome {
    let mut world = World::new(run, 2_000_000, &[Plan::new(5)]);
    world.paths[0].limit = limit;
    world.add_tcp(false, true);
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn passing_tcp_one(case: &'static Case, run: u8) -> Outcome {
    passing_tcp(case, run, 1, 300)
}

fn passing_tcp_two(case: &'static Case, run: u8) -> Outcome {
    passing_tcp(case, run, 2, 300)
}

fn passing_tcp_three(case: &'static Case, run: u8) -> Outcome {
    passing_tcp(case, run, 3, 1000)
}

fn passing_tcp(case: &'static Case, run: u8, flows: usize, limit: u64) -> Outcome {
    let mut world = World::new(run, 1_500_000, &vec![Plan::new(0); flows]);
    world.paths[0].limit = limit;
    world.run(case.seconds, |world| match world.millis {
        20_000 => world.add_tcp(false, true),
        60_000 => world.files[0].stop(),
        65_000 => world.flows.iter_mut().for_each(|flow| flow.delays.clear()),
        _ => {}
    });
    judge(case, world)
}

fn short_tcp(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 2_000_000, &[Plan::new(5); 2]);
    (0..10).for_each(|number| world.add_tcp(true, number < 2));
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn pause(case: &'static Case, run: u8) -> Outcome {
    let silent = Plan { pause: Some((40, 60)), ..Plan::new(0) };
    let mut world = World::new(run, 3_500_000, &[Plan::new(0), silent, Plan::new(0)]);
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn marks(case: &'static Case, run: u8) -> Outcome {
    marked(case, run, 20, Marking::Classic)
}

fn marks_scalable(case: &'static Case, run: u8) -> Outcome {
    marked(case, run, 5, Marking::Scalable)
}

fn marked(case: &'static Case, run: u8, above: u64, marking: Marking) -> Outcome {
    let plan = Plan { feedback: TransportFeedback::Streams, marking: Some(marking), ..Plan::new(0) };
    let mut world = World::new(run, 1_000_000, &[plan]);
    world.paths[0].mark = Some(above);
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn path_change(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 2_000_000, &[Plan { delay: 20, ..Plan::new(0) }]);
    world.run(case.seconds, |world| {
        if world.millis == 30_000 {
            world.paths[0].capacity = 1_000_000;
            world.flows[0].plan.delay = 120;
        }
    });
    judge(case, world)
}

fn random_loss(case: &'static Case, run: u8) -> Outcome {
    let mut world = World::new(run, 1_000_000, &[Plan::new(0)]);
    world.paths[0].loss = 50;
    world.run(case.seconds, |_| {});
    judge(case, world)
}

fn judge(case: &'static Case, world: World) -> Outcome {
    for flow in &world.flows {
        assert_eq!(flow.stopped, None, "{}: the circuit breaker opened", case.name);
    }
    let count = world.capacities.len();
    let media = |second: usize| world.flows.iter().map(|flow| flow.rates[second]).sum::<u64>();
    let others = |second: usize| world.files.iter().map(|files| files.rates[second]).sum::<u64>();
    let wanting = |second: usize| {
        let at = second as u64;
        world
            .flows
            .iter()
            .filter(|flow| {
                flow.plan.start <= at && flow.plan.pause.is_none_or(|(from, to)| !(from..to).contains(&at))
            })
            .count() as u64
    };
    let has_tcp = !world.files.is_empty();
    let achievable = |second: usize| {
        let capacity = world.capacities[second];
        if has_tcp { capacity } else { capacity.min(wanting(second) * (MAX_RATE + WIRE)) }
    };
    let (carried, possible) = (10..count).fold((0.0, 0.0), |(carried, possible), second| {
        let possible_now = achievable(second) as f64;
        (carried + ((media(second) + others(second)) as f64).min(possible_now), possible + possible_now)
    });
    let mut delays: Vec<u64> = world.flows.iter().flat_map(|flow| flow.delays.iter().copied()).collect();
    delays.sort_unstable();
    let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or(0);
    let (sent, lost) = world.flows.iter().fold((0, 0), |sum, flow| (sum.0 + flow.sent, sum.1 + flow.lost));
    let mut convergence = Some(0);
    let changes =
        (0..count).filter(|second| *second == 0 || achievable(*second) > achievable(second - 1) * 21 / 20);
    for change in changes.filter(|_| !has_tcp) {
        let end =
            (change + 1..count).find(|second| achievable(*second) != achievable(change)).unwrap_or(count);
        let reached = (change..end).find(|second| media(*second) * 5 >= achievable(*second) * 4);
        convergence = convergence.zip(reached).map(|(most, reached)| most.max(reached - change + 1));
    }
    let mean = |rates: &[u64]| rates.iter().rev().take(30).sum::<u64>() as f64 / 30.0;
    let long = world.files.iter().filter(|_| world.files.len() == 1).map(|it| mean(&it.rates));
    let means: Vec<f64> =
        world.flows.iter().map(|flow| mean(&flow.rates)).chain(long.filter(|mean| *mean > 0.0)).collect();
    let (sum, squares) = means.iter().fold((0.0, 0.0), |acc, mean| (acc.0 + mean, acc.1 + mean * mean));
    // Beside a long flow: while there is one.
    let shared = || (10..count).filter(|second| world.files.len() != 1 || others(*second) > 0);
    let all: u64 = shared().map(|second| media(second) + others(second)).sum();
    let of_media: u64 = shared().map(media).sum();
    let mut series: Vec<(String, Vec<u64>)> = Vec::new();
    for (number, flow) in (1..).zip(&world.flows) {
        series.push((format!("flow {number}"), flow.rates.clone()));
    }
    if has_tcp {
        series.push(("TCP".to_owned(), (0..count).map(others).collect()));
    }
    Outcome {
        case,
        utilisation: 100.0 * carried / possible,
        p50: at(50),
        p95: at(95),
        loss: 100.0 * lost as f64 / sent as f64,
        convergence: convergence.filter(|_| !has_tcp).map(|seconds| seconds as u64),
        fairness: sum * sum / (means.len() as f64 * squares),
        share: 100.0 * of_media as f64 / all as f64,
        capacities: world.capacities,
        series,
    }
}

/// Audio, and the headers of a flow at its most.
const WIRE: u64 = 100_000;
