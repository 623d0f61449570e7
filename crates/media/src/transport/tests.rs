//! Of a whole transport, what only its insides show.

use super::*;

/// Nobody waits for what was sent so long ago, and it is somebody's memory.
#[test]
fn what_was_sent_is_forgotten_also_by_senders_that_rest() {
    let clock = crate::NtpClock::new(Instant::default(), Duration::ZERO);
    let mut rtp = Rtp::new(RtpConfig::new(clock, "name"), [1; 32]);
    let id = rtp.add_sender(SenderConfig::default()).unwrap();
    let (mut now, mut memory) = (Instant::default() + Duration::from_secs(1), [0; 1500]);
    for timestamp in 0..3 {
        let frame = crate::OutgoingFrame { bytes: &[0; 500], timestamp, ..crate::OutgoingFrame::default() };
        rtp.sender(id).unwrap().send_frame(now, 0, &frame).unwrap();
        while rtp.poll_rtp(now, &mut Writer::new(&mut memory)) {}
    }
    let kept = |rtp: &Rtp| format!("{:?}", rtp.peek_sender(id)).matches("Stored {").count();
    assert_eq!(kept(&rtp), 3);
    for _ in 0..40 {
        now += Duration::from_millis(200);
        rtp.handle_timeout(now);
        rtp.poll_timeout();
    }
    assert_eq!(kept(&rtp), 0);
}

#[test]
fn a_receiver_that_is_added_later_knows_the_round_trip() {
    let clock = crate::NtpClock::new(Instant::default(), Duration::ZERO);
    let mut rtp = Rtp::new(RtpConfig::new(clock, "name"), [1; 32]);
    let trip = Duration::from_millis(321);
    let first = rtp.add_receiver(ReceiverConfig::default()).unwrap();
    rtp.set_round_trip(trip);
    let second = rtp.add_receiver(ReceiverConfig::default()).unwrap();
    for id in [first, second] {
        let receiver = format!("{:?}", rtp.peek_receiver(id).unwrap());
        assert!(receiver.contains("round_trip: 321ms"), "{receiver}");
    }
}
