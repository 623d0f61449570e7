//! Bulk over one reliable, ordered channel: back to back, and over a simulated link.

use std::time::Duration;

use crate::link::{Link, goodput};
use crate::measure::{Effort, Figure, OURS, Side, in_turn};
use crate::nodes::ours::Ours;
use crate::nodes::ours_sctp::OursSctp;
use crate::nodes::rtc::Rtc;
use crate::nodes::rtc_sctp::RtcSctp;
use crate::nodes::sctp_proto::SctpProto;
use crate::nodes::str0m::Str0m;
use crate::pair::{Node, Pair};

pub(super) fn sctp_16k(effort: Effort) -> Vec<Figure> {
    in_turn(
        effort,
        vec![
            bytes("Peerline", OURS, QUEUE, OursSctp::pair),
            bytes("rtc-sctp", "rtc-sctp", QUEUE, RtcSctp::pair),
            bytes("sctp-proto", "sctp-proto", QUEUE, SctpProto::pair),
        ],
    )
}

pub(super) fn sctp_64(effort: Effort) -> Vec<Figure> {
    in_turn(
        effort,
        vec![
            small("Peerline", OURS, OursSctp::pair),
            small("rtc-sctp", "rtc-sctp", RtcSctp::pair),
            small("sctp-proto", "sctp-proto", SctpProto::pair),
        ],
    )
}

pub(super) fn stack_16k(effort: Effort) -> Vec<Figure> {
    in_turn(
        effort,
        vec![
            bytes("Peerline", OURS, QUEUE, Ours::pair),
            bytes("rtc", "rtc", QUEUE, Rtc::pair),
            bytes("str0m", "str0m", QUEUE, Str0m::pair),
        ],
    )
}

/// The rate with much queued, as a part of that with little.
pub(super) fn deep_queue(effort: Effort) -> Vec<Figure> {
    in_turn(
        effort,
        vec![
            deep("Peerline", OURS, Ours::pair),
            deep("rtc", "rtc", Rtc::pair),
            deep("str0m", "str0m", Str0m::pair),
        ],
    )
}

/// Virtual time: it does not depend on the machine.
pub(super) fn link(effort: Effort) -> Vec<Figure> {
    let effort = Effort { rounds: effort.rounds.min(2), ..effort };
    in_turn(
        effort,
        vec![
            over_link("Peerline", OURS, Ours::pair),
            over_link("Peerline, SCTP alone", OURS, OursSctp::pair),
            over_link("rtc-sctp", "rtc-sctp", RtcSctp::pair),
            over_link("rtc", "rtc", Rtc::pair),
        ],
    )
}

fn bytes<N: Node + 'static>(
    name: &'static str,
    package: &'static str,
    queue: usize,
    pair: fn(usize) -> Pair<N>,
) -> Side<'static> {
    Side::new(name, package, move |effort| megabytes_per_second(effort, pair(queue)))
}

fn megabytes_per_second<N: Node>(effort: Effort, pair: Pair<N>) -> f64 {
    let mut pair = pair.connect();
    pair.bulk(16 << 10, effort.sample_ms / 4);
    let (received, seconds) = pair.bulk(16 << 10, effort.sample_ms);
    received.bytes as f64 / seconds / 1e6
}

fn small<N: Node + 'static>(
    name: &'static str,
    package: &'static str,
    pair: fn(usize) -> Pair<N>,
) -> Side<'static> {
    Side::new(name, package, move |effort| {
        let mut pair = pair(QUEUE).connect();
        pair.bulk(64, effort.sample_ms / 4);
        let (received, seconds) = pair.bulk(64, effort.sample_ms);
        received.messages as f64 / seconds / 1e3
    })
}

fn deep<N: Node + 'static>(
    name: &'static str,
    package: &'static str,
    pair: fn(usize) -> Pair<N>,
) -> Side<'static> {
    Side::new(name, package, move |effort| {
        let [little, much] = [QUEUE, 4 << 20].map(|queue| megabytes_per_second(effort, pair(queue)));
        much / little
    })
}

fn over_link<N: Node + 'static>(
    name: &'static str,
    package: &'static str,
    pair: fn(usize) -> Pair<N>,
) -> Side<'static> {
    let link = Link { mbit: 100.0, round_trip: Duration::from_millis(20), loss: 0.0 };
    let mut seed = 0;
    Side::new(name, package, move |_| {
        seed += 1;
        goodput(&mut pair(1 << 20).connect(), link, seed)
    })
}

/// Bytes that wait at the sender.
const QUEUE: usize = 128 << 10;
