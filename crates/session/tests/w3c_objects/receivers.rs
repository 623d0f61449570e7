//! `RTCRtpReceiver`: jitterBufferTarget, getParameters, getSynchronizationSources, getStats.

use std::time::Duration;

use session::{ExtensionKind, MediaKind, OutgoingFrame, Output, TransceiverError};
use testkit::epoch;

use crate::harness::{self, Two};
use crate::{both, call, prepared_call, speak, wait};

/// By how much what comes of two seconds of sound is held back, as a mean.
fn held(two: &mut Two, ids: &[Vec<session::TransceiverId>; 2]) -> Duration {
    let figures = |two: &mut Two| {
        let now = two.now();
        let report = two.session(1).transceiver_statistics(now, ids[1][0]);
        let (_, inbound) = report.inbound_rtp().next()?;
        Some((inbound.jitter_buffer_target_delay, inbound.jitter_buffer_emitted_count))
    };
    let before = figures(two).unwrap_or_default();
    for _ in 0..100 {
        let number = (two.now() - epoch()).as_millis() / 20;
        speak(two, 0, ids[0][0], u32::try_from(number).unwrap());
        let now = two.now();
        while two.session(1).poll_frame(now, ids[1][0]).is_some() {}
    }
    let after = figures(two).unwrap();
    let count = u32::try_from(after.1 - before.1).unwrap();
    (after.0 - before.0) / count
}

#[test]
fn what_comes_is_held_back_as_long_as_is_wanted_and_by_itself_without() {
    let [mut a, _] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, session::TransceiverInit::default()).unwrap();
    assert_eq!(a.jitter_buffer_target(id), Ok(None));
    for (wanted, result) in
        [(Some(4000), Ok(())), (Some(4001), Err(TransceiverError::Range)), (Some(0), Ok(())), (None, Ok(()))]
    {
        let before = a.jitter_buffer_target(id);
        let wanted = wanted.map(Duration::from_millis);
        assert_eq!(a.set_jitter_buffer_target(epoch(), id, wanted), result);
        assert_eq!(a.jitter_buffer_target(id), if result.is_ok() { Ok(wanted) } else { before });
    }
    assert_eq!(TransceiverError::Range.name(), "RangeError");
    let (mut two, ids) = call(&[MediaKind::Audio]);
    let own = held(&mut two, &ids);
    assert!(own < Duration::from_millis(60), "{own:?}");
    let set = |two: &mut Two, millis: Option<u64>| {
        let now = two.now();
        let wanted = millis.map(Duration::from_millis);
        two.session(1).set_jitter_buffer_target(now, ids[1][0], wanted).unwrap();
    };
    for millis in [300, 1500] {
        set(&mut two, Some(millis));
        // What is under way is played first.
        held(&mut two, &ids);
        let wanted = held(&mut two, &ids);
        assert_eq!(wanted.as_millis(), u128::from(millis));
        // It stays through an exchange of descriptions, and with machines that are made anew.
        two.negotiate(1);
        assert_eq!(held(&mut two, &ids).as_millis(), u128::from(millis));
        for output in [Output::Packets, Output::Frames] {
            assert!(two.session(1).set_output(ids[1][0], output));
        }
        held(&mut two, &ids);
        assert_eq!(held(&mut two, &ids).as_millis(), u128::from(millis));
        set(&mut two, None);
        held(&mut two, &ids);
        assert!(held(&mut two, &ids) < Duration::from_millis(60));
    }
}

#[test]
fn what_is_wanted_before_anything_is_agreed_upon_counts_from_the_begin() {
    let (mut two, ids) = prepared_call(&[MediaKind::Audio], |two, ids| {
        let now = two.now();
        two.session(1).set_jitter_buffer_target(now, ids[1][0], Some(Duration::from_millis(300))).unwrap();
    });
    held(&mut two, &ids);
    assert_eq!(held(&mut two, &ids).as_millis(), 300);
}

#[test]
fn parameters_of_a_receiver_have_what_may_come_and_no_name() {
    let (mut two, ids) = call(&[MediaKind::Audio]);
    let read = two.session(1).receiver_parameters(ids[1][0]).unwrap();
    assert!(!read.codecs.is_empty() && read.rtcp.cname.is_empty() && read.rtcp.reduced_size);
    assert!(read.header_extensions.iter().any(|(_, kind)| *kind == ExtensionKind::Mid));
}

#[test]
fn whoever_sends_sound_or_pictures_is_told_with_time_and_timestamp() {
    let (mut two, ids) = call(&[MediaKind::Audio, MediaKind::Video]);
    let begin = two.now();
    for number in 0..10 {
        speak(&mut two, 0, ids[0][0], number);
        let now = two.now();
        let bytes = harness::vp8(number, 500, 1);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 1800, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, ids[0][1], 0, &frame).unwrap();
    }
    wait(&mut two, 200);
    let now = two.now();
    for (at, id) in ids[1].iter().enumerate() {
        let sources = two.session(1).synchronization_sources(now, *id);
        let ssrc = two.session(0).transceiver(ids[0][at]).unwrap().encodings[0].ssrc;
        assert_eq!(sources.iter().map(|it| it.source).collect::<Vec<_>>(), [ssrc]);
        assert!(begin <= sources[0].at && sources[0].at <= now);
        assert!(
            sources[0].audio_level().is_none() && two.session(1).contributing_sources(now, *id).is_empty()
        );
    }
}
