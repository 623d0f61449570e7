//! A tap sees packets on their way, and alters them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::{TAP_ROOM, Tap};
use proto::Instant;
use rtp::PacketMut;
use rtp::rtcp::{App, Compound, Encoder, Packet};
use support::{Call, video_receiver, video_sender};
use testkit::Link;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seen {
    rtp_out: u32,
    rtcp_out: u32,
    rtp_in: u32,
    apps_in: u32,
}

/// Puts a loud word into packets that leave, and drops every tenth that comes.
#[derive(Debug)]
struct Loud(Arc<Mutex<Seen>>);

impl Tap for Loud {
    fn rtp_in(&mut self, _now: Instant, packet: &mut PacketMut<'_>) -> bool {
        let mut seen = self.0.lock().unwrap();
        seen.rtp_in += 1;
        assert_eq!(packet.as_packet().element(14), Some(&b"loud"[..]));
        assert!(packet.remove_element(14));
        !seen.rtp_in.is_multiple_of(10)
    }

    fn rtcp_in(&mut self, _now: Instant, compound: &Compound<'_>) -> bool {
        let apps = compound.packets().filter(|packet| matches!(packet, Ok(Packet::App(_)))).count();
        self.0.lock().unwrap().apps_in += u32::try_from(apps).unwrap();
        true
    }

    fn rtp_out(&mut self, _now: Instant, packet: &mut PacketMut<'_>) {
        assert!(packet.room() >= TAP_ROOM);
        packet.set_element(14, b"loud").unwrap();
        self.0.lock().unwrap().rtp_out += 1;
    }

    fn rtcp_out(&mut self, _now: Instant, datagram: &mut Encoder<'_, '_>) {
        let app = App { subtype: 1, ssrc: rtp::Ssrc(1), name: *b"loud", data: b"" };
        datagram.app(&app).unwrap();
        self.0.lock().unwrap().rtcp_out += 1;
    }
}

#[test]
fn a_tap_sees_and_alters_what_passes_in_both_directions() {
    let mut call = Call::new(&Link { delay: Duration::from_millis(20), ..Link::default() }, 3);
    let video = call.alice.add_sender(video_sender()).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    let (leaves, comes) = (Arc::default(), Arc::default());
    call.alice.set_tap(Some(Box::new(Loud(Arc::clone(&leaves)))));
    call.bob.set_tap(Some(Box::new(Loud(Arc::clone(&comes)))));
    call.video(video, 0, 120, 3000);
    let (leaves, comes) = (*leaves.lock().unwrap(), *comes.lock().unwrap());
    assert!(leaves.rtp_out > 360 && comes.rtp_in > leaves.rtp_out - 10, "{leaves:?} {comes:?}");
    assert!(leaves.rtcp_out >= 3 && comes.apps_in >= leaves.rtcp_out - 1);
    assert!(comes.rtcp_out > 10 && leaves.apps_in > 10);
    // What was dropped was asked for again, and so all came out.
    let stats = call.bob.receiver(receiver).unwrap().stats(media::StreamId(0)).unwrap();
    assert!(stats.nack.repaired > 20 && call.out[0].len() >= 115, "{stats:?}");
    assert!(call.bob.stats().discarded > 20);
}
