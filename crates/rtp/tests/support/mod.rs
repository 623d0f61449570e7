//! What the tests share: packets as they are made, and strategies for all that packets can hold.
#![allow(dead_code, reason = "each test file uses some of it")]

use proptest::prelude::*;
use proto::Writer;
use rtp::extension::Form;
use rtp::{Encoder, Header, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

/// What `write` writes into plenty of room.
pub(crate) fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    write(&mut out);
    out.written().to_vec()
}

/// Bytes from digits; other characters are left out.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        digits.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A packet with everything that it can have.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) header: Header,
    pub(crate) csrcs: Vec<Ssrc>,
    pub(crate) form: Form,
    pub(crate) elements: Vec<(u8, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
    pub(crate) padding: u8,
}

impl Parts {
    pub(crate) fn encode(&self) -> Vec<u8> {
        written(|out| {
            let mut packet = Encoder::new(out, self.header, &self.csrcs).unwrap();
            for (id, value) in &self.elements {
                packet.element(self.form, *id, value).unwrap();
            }
            packet.finish(&self.payload, self.padding).unwrap();
        })
    }
}

/// A packet of `payload`, as plain as can be.
pub(crate) fn plain(payload: &[u8]) -> Parts {
    let header = Header {
        marker: false,
        payload_type: PayloadType::new(96).unwrap(),
        sequence_number: SequenceNumber(7),
        timestamp: RtpTimestamp(960),
        ssrc: Ssrc(0x1122_3344),
    };
    let (csrcs, elements) = (Vec::new(), Vec::new());
    Parts { header, csrcs, form: Form::OneByte, elements, payload: payload.to_vec(), padding: 0 }
}

pub(crate) fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

pub(crate) fn sequence() -> impl Strategy<Value = SequenceNumber> {
    any::<u16>().prop_map(SequenceNumber)
}

pub(crate) fn header() -> impl Strategy<Value = Header> {
    (any::<bool>(), 0..128_u8, sequence(), any::<u32>(), ssrc()).prop_map(
        |(marker, payload_type, sequence_number, timestamp, ssrc)| Header {
            marker,
            payload_type: PayloadType::new(payload_type).unwrap(),
            sequence_number,
            timestamp: RtpTimestamp(timestamp),
            ssrc,
        },
    )
}

/// Elements of one form, each identifier once.
pub(crate) fn elements() -> impl Strategy<Value = (Form, Vec<(u8, Vec<u8>)>)> {
    let one = prop::collection::btree_map(1..=14_u8, prop::collection::vec(any::<u8>(), 1..=16), 0..6);
    let two = prop::collection::btree_map(1..=255_u8, prop::collection::vec(any::<u8>(), 0..=40), 0..6);
    prop_oneof![
        one.prop_map(|map| (Form::OneByte, map.into_iter().collect())),
        two.prop_map(|map| (Form::TwoByte, map.into_iter().collect())),
    ]
}

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let csrcs = prop::collection::vec(ssrc(), 0..=15);
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    (header(), csrcs, elements(), payload, any::<u8>()).prop_map(
        |(header, csrcs, (form, elements), payload, padding)| Parts {
            header,
            csrcs,
            form,
            elements,
            payload,
            padding,
        },
    )
}
