//! Reading the values of header extensions never panics, and what reads is written as something that reads alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, ColorSpace, DependencyDescriptor, LayersAllocation, MixerLevels,
    PlayoutDelay, RepairedRid, Structure, TransportSequence, TransportSequence2, Value, VideoContentType,
    VideoOrientation, VideoTiming,
};
use rtp::{Mid, Rid, Writer};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    check::<Mid>(rest);
    check::<Rid>(rest);
    check::<RepairedRid>(rest);
    check::<AudioLevel>(rest);
    check::<AbsSendTime>(rest);
    check::<AbsCaptureTime>(rest);
    check::<PlayoutDelay>(rest);
    check::<TransportSequence>(rest);
    check::<TransportSequence2>(rest);
    check::<VideoOrientation>(rest);
    check::<VideoContentType>(rest);
    check::<VideoTiming>(rest);
    check::<ColorSpace>(rest);
    check::<LayersAllocation>(rest);
    if let Some(levels) = MixerLevels::read(rest) {
        assert!(levels.levels().all(|level| level < 128));
    }
    // Two descriptors, the second by what the first has said.
    let (first, second) = rest.split_at(usize::from(*first).min(rest.len()));
    let mut structure = Structure::default();
    for bytes in [first, second] {
        let known = structure;
        match DependencyDescriptor::read(bytes, &mut structure) {
            Ok(descriptor) => {
                let mut memory = [0; 2000];
                let mut out = Writer::new(&mut memory);
                descriptor.write(&structure, &mut out).expect("room");
                let mut again = structure;
                assert_eq!(DependencyDescriptor::read(out.written(), &mut again), Ok(descriptor));
                assert!(again == structure);
            }
            Err(_) => assert!(structure == known),
        }
    }
});

fn check<T: for<'a> Value<'a> + PartialEq>(bytes: &[u8]) {
    let Some(value) = T::read(bytes) else { return };
    let mut memory = [0; 600];
    let mut out = Writer::new(&mut memory);
    value.write(&mut out).expect("room");
    assert!(T::read(out.written()) == Some(value));
}
