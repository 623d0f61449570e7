use proto::{NoSpace, Writer};
use rtp::payload::{Broken, Discard, Frame, Payload, Reason, Written};

/// A payload and its packet's marker.
pub(crate) type Sent = (Vec<u8>, bool);

/// The payloads of a frame, none longer than `max`. Each is also tried where there is no room for it.
pub(crate) fn send(
    max: usize,
    mut write: impl FnMut(&mut Writer<'_>) -> Result<Option<Written>, NoSpace>,
) -> Vec<Sent> {
    let mut memory = vec![0; max + 8];
    let mut all = Vec::new();
    loop {
        let mut out = Writer::new(&mut memory[..1]);
        out.put_u8(9).unwrap();
        if let Ok(written) = write(&mut out) {
            assert_eq!(written, None);
            return all;
        }
        assert_eq!(out.written(), [9]);
        let mut out = Writer::new(&mut memory);
        out.put(&[1, 2]).unwrap();
        let written = write(&mut out).unwrap().expect("there was one a moment ago");
        let payload = &out.written()[2..];
        assert_eq!(written.len, payload.len());
        assert!(!payload.is_empty() && payload.len() <= max, "{} of {max}", payload.len());
        all.push((payload.to_vec(), written.marker));
    }
}

/// A frame that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub bytes: Vec<u8>,
    pub timestamp: u32,
    pub packets: usize,
    pub key: bool,
}

pub(crate) fn keep(frame: Result<Frame<'_>, Broken>) -> Result<Kept, Broken> {
    frame.map(|Frame { bytes, timestamp, packets, outline, .. }| Kept {
        bytes: bytes.to_vec(),
        timestamp,
        packets,
        key: outline.key_frame,
    })
}

/// What becomes of payloads: why they were discarded, and frames.
pub(crate) type Outcome = (Vec<Result<(), Discard>>, Vec<Result<Kept, Broken>>);

/// Hands payloads over, each with its timestamp, marker, and whether something is missing before it.
macro_rules! receive {
    ($depacketizer:expr, $payloads:expr) => {{
        let depacketizer = &mut $depacketizer;
        let mut outcome: crate::support::Outcome = Default::default();
        for (bytes, timestamp, marker, after_loss) in $payloads {
            let payload = rtp::payload::Payload { bytes: &bytes[..], timestamp, marker, after_loss };
            outcome.0.push(depacketizer.handle_payload(payload));
            while let Some(frame) = depacketizer.poll_frame() {
                outcome.1.push(crate::support::keep(frame));
            }
        }
        outcome
    }};
}
pub(crate) use receive;

pub(crate) fn broken(timestamp: u32, reason: Reason) -> Result<Kept, Broken> {
    Err(Broken { timestamp, reason })
}

/// The payloads of one frame, nothing missing.
pub(crate) fn intact(sent: &[Sent], timestamp: u32) -> Vec<(&[u8], u32, bool, bool)> {
    sent.iter().map(|(bytes, marker)| (&bytes[..], timestamp, *marker, false)).collect()
}

/// A payload in full.
pub(crate) fn payload(bytes: &[u8], timestamp: u32, marker: bool, after_loss: bool) -> Payload<'_> {
    Payload { bytes, timestamp, marker, after_loss }
}

/// Bytes that repeat late, so that a shifted copy is seen.
pub(crate) fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        })
        .collect()
}
