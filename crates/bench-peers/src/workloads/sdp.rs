//! A description of the size and the mix of lines of a desktop browser's offer.

use std::hint::black_box;
use std::io::Cursor;

use ::sdp::SessionDescription;
use rtc_sdp::SessionDescription as RtcDescription;

use crate::measure::{Effort, Figure, OURS, Side, in_turn};

pub(super) fn parse(effort: Effort) -> Vec<Figure> {
    let ours = || black_box(OFFER).parse::<SessionDescription>().expect("an offer");
    let types = || sdp_types::Session::parse(black_box(OFFER).as_bytes()).expect("an offer");
    let rtc = || RtcDescription::unmarshal(&mut Cursor::new(black_box(OFFER))).expect("an offer");
    in_microseconds(in_turn(
        effort,
        vec![
            Side::timed("Peerline", OURS, ours),
            Side::timed("sdp-types", "sdp-types", types),
            Side::timed("rtc-sdp", "rtc-sdp", rtc),
        ],
    ))
}

pub(super) fn write(effort: Effort) -> Vec<Figure> {
    let ours = OFFER.parse::<SessionDescription>().expect("an offer");
    let types = sdp_types::Session::parse(OFFER.as_bytes()).expect("an offer");
    let rtc = RtcDescription::unmarshal(&mut Cursor::new(OFFER)).expect("an offer");
    let with_types = move || {
        let mut out = Vec::with_capacity(16_384);
        black_box(&types).write(&mut out).expect("memory has room");
        String::from_utf8(out).expect("an offer")
    };
    for (name, written) in
        [("ours", ours.to_string()), ("sdp-types", with_types()), ("rtc-sdp", rtc.marshal())]
    {
        for line in OFFER.lines() {
            assert!(written.lines().any(|other| other == line), "{name} has lost {line}");
        }
    }
    in_microseconds(in_turn(
        effort,
        vec![
            Side::timed("Peerline", OURS, move || black_box(&ours).to_string()),
            Side::timed("rtc-sdp", "rtc-sdp", move || black_box(&rtc).marshal()),
            Side::timed("sdp-types", "sdp-types", with_types),
        ],
    ))
}

pub(super) fn in_microseconds(mut figures: Vec<Figure>) -> Vec<Figure> {
    for figure in &mut figures {
        for value in [&mut figure.median, &mut figure.low, &mut figure.high] {
            *value /= 1e3;
        }
    }
    figures
}

const OFFER: &str = include_str!("../../data/offer.sdp");
