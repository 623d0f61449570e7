//! Encoded transforms: what each frame says of itself, and transforms that come, change and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session::{
    EncodedFrame, EncodedTransform, Event, MediaKind, OutgoingFrame, SendEncoding, TransceiverId,
    TransceiverInit,
};

use crate::harness::{self, Two};
use crate::{call, wait};

/// Notes what it sees, and changes nothing.
#[derive(Clone, Debug, Default)]
struct Noting(Arc<Mutex<Vec<(EncodedFrame, usize)>>>);

impl EncodedTransform for Noting {
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool {
        self.0.lock().unwrap().push((*frame, bytes.len()));
        true
    }
}

impl Noting {
    fn take(&self) -> Vec<(EncodedFrame, usize)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn boxed(&self) -> Option<Box<dyn EncodedTransform>> {
        Some(Box::new(self.clone()))
    }
}

/// Writes a frame by each stream, and reads what comes.
fn pictures(two: &mut Two, [ours, theirs]: [TransceiverId; 2], numbers: std::ops::Range<u32>) {
    for number in numbers {
        let now = two.now();
        for stream in [0, 1] {
            let bytes = harness::vp8(number, 300 + 100 * stream, 1);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            two.session(0).write_frame(now, ours, stream, &frame).unwrap();
        }
        wait(two, 40);
        let now = two.now();
        while two.session(1).poll_frame(now, theirs).is_some() {}
    }
    wait(two, 200);
    let now = two.now();
    while two.session(1).poll_frame(now, theirs).is_some() {}
}

#[test]
fn each_frame_of_simulcast_is_seen_once_and_says_which_it_is() {
    let (mut two, _) = call(&[MediaKind::Audio]);
    let mut init = TransceiverInit::default();
    init.send_encodings = ["h", "l"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    let now = two.now();
    let ours = two.session(0).add_transceiver(now, MediaKind::Video, init).unwrap();
    // It counts from before anything was agreed upon.
    let [sent, came, later] = [(); 3].map(|()| Noting::default());
    two.session(0).set_send_transform(ours, sent.boxed()).unwrap();
    two.negotiate(0);
    let theirs = two.session(1).transceivers().last().unwrap().0;
    two.session(1).set_receive_transform(theirs, came.boxed()).unwrap();
    assert!(two.run(Duration::from_secs(1), |two| two.seen[1].contains(&Event::Track(theirs))));
    pictures(&mut two, [ours, theirs], 0..10);
    let seen = sent.take();
    let said: Vec<_> = seen.iter().map(|(frame, len)| (frame.stream, frame.timestamp.0, *len)).collect();
    let expected = (0..10).flat_map(|at| [(0, at * 3000, 300), (1, at * 3000, 400)]);
    assert_eq!(said, expected.collect::<Vec<_>>());
    let vp8 = two.session(0).transceiver(ours).unwrap().negotiated.unwrap().send[0].payload_type;
    assert!(seen.iter().all(|(frame, _)| frame.payload_type == vp8));
    let arrived = came.take();
    let streams: BTreeSet<u32> = arrived.iter().map(|(frame, _)| frame.stream).collect();
    assert_eq!((arrived.len(), streams.len()), (20, 2));
    for stream in streams {
        let times = arrived.iter().filter(|(frame, _)| frame.stream == stream).map(|it| it.0.timestamp.0);
        let times: Vec<u32> = times.collect();
        assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 3000), "{times:?}");
    }
    // Another takes its place, also over an exchange of descriptions, and then none does.
    two.session(0).set_send_transform(ours, later.boxed()).unwrap();
    two.negotiate(0);
    pictures(&mut two, [ours, theirs], 10..15);
    assert_eq!((sent.take().len(), later.take().len(), came.take().len()), (0, 10, 10));
    two.session(0).set_send_transform(ours, None).unwrap();
    two.session(1).set_receive_transform(theirs, None).unwrap();
    pictures(&mut two, [ours, theirs], 15..20);
    assert!(later.take().is_empty() && came.take().is_empty());
}
