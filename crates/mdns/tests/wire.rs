//! Messages against bytes written by hand from RFC 1035 and RFC 6762, and against another codec.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the other codec knows many records, and we two")]

mod support;

use std::net::IpAddr;

use hickory_proto::op::{self, MessageType, OpCode};
use hickory_proto::rr::{self, RData, RecordType};
use mdns::DecodeError;
use mdns::wire::{Class, Data, Header, Kind, Message, Nsec, Question, Record, Section, is_response};
use proptest::prelude::*;
use support::{encode, ip, name, query, question, record, response};

/// What is asked for: `a.local`, A and AAAA, the second by unicast.
const QUERY: &[u8] = b"\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\
    \x01a\x05local\x00\x00\x01\x00\x01\
    \xc0\x0c\x00\x1c\x80\x01";
/// The answer: an address for 120 s, and that there is nothing else. The name inside the last record is
/// whole, as dnspython 2.9 refuses the message otherwise.
const ANSWER: &[u8] = b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x01\
    \x01a\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x01\
    \xc0\x0c\x00\x2f\x80\x01\x00\x00\x00\x78\x00\x0c\x01a\x05local\x00\x00\x01\x40";
/// The same with a pointer in its place.
const COMPRESSED_ANSWER: &[u8] = b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x01\
    \x01a\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x01\
    \xc0\x0c\x00\x2f\x80\x01\x00\x00\x00\x78\x00\x05\xc0\x0c\x00\x01\x40";

#[test]
fn a_query_is_the_bytes_of_the_rfc() {
    let name = "a.local".parse().unwrap();
    let (a, aaaa) = (question(&name, Kind::A), Question { unicast: true, ..question(&name, Kind::AAAA) });
    assert_eq!(encode(Header::QUERY, &[a, aaaa], &[]), QUERY);
    let message = Message::decode(QUERY).unwrap();
    assert_eq!(message.questions().collect::<Vec<_>>(), [a, aaaa]);
    assert_eq!(message.records().count(), 0);
    assert!(!is_response(QUERY) && !message.header().is_response() && message.header().is_plain());
}

#[test]
fn an_answer_is_the_bytes_of_the_rfc() {
    let name = "a.local".parse().unwrap();
    let address = record(&name, ip("192.0.2.1"));
    let data = Data::Nsec(Nsec::of_a(name.as_name()));
    let denial = Record { section: Section::Additional, kind: Kind::NSEC, data, ..address };
    assert_eq!(encode(Header::RESPONSE, &[], &[address, denial]), ANSWER);
    for answer in [ANSWER, COMPRESSED_ANSWER] {
        let message = Message::decode(answer).unwrap();
        assert_eq!(message.records().collect::<Vec<_>>(), [address, denial]);
    }
    let message = Message::decode(ANSWER).unwrap();
    assert!(is_response(ANSWER) && message.header().is_response());
}

#[test]
fn every_prefix_is_refused() {
    for bytes in [QUERY, ANSWER, COMPRESSED_ANSWER] {
        for len in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..len]).unwrap_err(), DecodeError::Truncated, "{len}");
        }
        let longer = [bytes, &[0; 7]].concat();
        assert!(Message::decode(&longer).is_ok(), "what stands behind the message is no part of it");
    }
}

#[test]
fn every_flipped_bit_is_refused_or_read() {
    for bytes in [QUERY, ANSWER, COMPRESSED_ANSWER] {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(message) = Message::decode(&flipped) {
                let _ = format!("{:?}", message.questions().collect::<Vec<_>>());
                let _ = format!("{:?}", message.records().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn addresses_have_the_size_of_their_family() {
    let name = name();
    for (kind, right) in [(Kind::A, 4), (Kind::AAAA, 16)] {
        for len in 0..40 {
            let bytes = vec![1; len];
            let data = Data::Other(&bytes);
            let message = encode(Header::RESPONSE, &[], &[Record { kind, data, ..record(&name, ip("::1")) }]);
            let decoded = Message::decode(&message).map(|_| ());
            let expected = if len == right { Ok(()) } else { Err(DecodeError::Record(kind.0)) };
            assert_eq!(decoded, expected, "type {} of {len} bytes", kind.0);
        }
    }
}

#[test]
fn the_types_of_a_name_are_read_as_rfc_4034_has_them() {
    // §4.3: A, MX, RRSIG, NSEC and TYPE1234 of a name, here with the root as the next.
    let mut bitmap = b"\x00\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b".to_vec();
    bitmap.extend([0; 26]);
    bitmap.push(0x20);
    let name = name();
    let read = |bytes: &[u8], check: &dyn Fn(&Nsec<'_>)| {
        let data = Data::Other(bytes);
        let bytes =
            encode(Header::RESPONSE, &[], &[Record { kind: Kind::NSEC, data, ..record(&name, ip("::1")) }]);
        let message = Message::decode(&bytes)?;
        let Some(Data::Nsec(nsec)) = message.records().next().map(|record| record.data) else {
            panic!("NSEC")
        };
        check(&nsec);
        Ok::<_, DecodeError>(())
    };
    let has = |nsec: &Nsec<'_>| {
        let present: Vec<u16> = (0..=u16::MAX).filter(|kind| nsec.has(Kind(*kind))).collect();
        assert_eq!(present, [1, 15, 46, 47, 1234]);
    };
    read(&bitmap, &has).unwrap();
    // A block without bytes, of 33, the same twice, falling, and one that is cut.
    let long = [&[0, 0, 33][..], &[0; 33]].concat();
    for bad in [
        &b"\0\0\0"[..],
        &long,
        b"\0\x00\x01\x40\x00\x01\x40",
        b"\0\x01\x01\x40\x00\x01\x40",
        b"\0\x00\x02\x40",
    ] {
        assert_eq!(read(bad, &|_| {}), Err(DecodeError::Record(47)), "{bad:02x?}");
    }
}

#[test]
fn the_types_that_we_write_are_of_one_family() {
    let name = name();
    let kinds = |nsec: Nsec<'_>| (0..=u16::MAX).filter(|kind| nsec.has(Kind(*kind))).collect::<Vec<_>>();
    assert_eq!(kinds(Nsec::of_a(name.as_name())), [1]);
    assert_eq!(kinds(Nsec::of_aaaa(name.as_name())), [28]);
}

#[test]
fn a_message_has_as_many_records_as_the_limit_and_not_one_more() {
    let name = name();
    let half = [question(&name, Kind::A); 128];
    let records = [record(&name, ip("192.0.2.1")); 129];
    assert!(Message::decode(&encode(Header::RESPONSE, &half, &records[..128])).is_ok());
    let over = encode(Header::RESPONSE, &half, &records);
    assert_eq!(Message::decode(&over).unwrap_err(), DecodeError::TooManyRecords);
    assert!(Message::decode_within(&over, 257).is_ok());
    // Four counts of 65,535 are refused before anything is read.
    let claimed = [&[0; 4][..], &[0xff; 8]].concat();
    assert_eq!(Message::decode(&claimed).unwrap_err(), DecodeError::TooManyRecords);
}

/// What both codecs can say of a message.
type Said = (Vec<(String, u16, bool)>, Vec<(String, u16, bool, u32, Option<IpAddr>)>);

fn ours(bytes: &[u8]) -> Option<Said> {
    let message = Message::decode(bytes).ok()?;
    let questions = message.questions().map(|q| (q.name.to_string().to_lowercase(), q.kind.0, q.unicast));
    let records = message.records().map(|r| {
        let address = match r.data {
            Data::A(v4) => Some(v4.into()),
            Data::Aaaa(v6) => Some(v6.into()),
            Data::Nsec(_) | Data::Other(_) => None,
        };
        (r.name.to_string().to_lowercase(), r.kind.0, r.flush, r.ttl, address)
    });
    Some((questions.collect(), records.collect()))
}

fn theirs(bytes: &[u8]) -> Option<Said> {
    let message = op::Message::from_vec(bytes).ok()?;
    let text = |name: &rr::Name| {
        let labels: Vec<String> = name.iter().map(|label| label.escape_ascii().to_string()).collect();
        labels.join(".").to_lowercase()
    };
    let questions =
        message.queries.iter().map(|q| (text(&q.name), q.query_type.into(), q.mdns_unicast_response));
    let records = message.all_sections().map(|r| {
        let address = match &r.data {
            RData::A(v4) => Some(v4.0.into()),
            RData::AAAA(v6) => Some(v6.0.into()),
            _ => None,
        };
        (text(&r.name), r.record_type().into(), r.mdns_cache_flush, r.ttl, address)
    });
    Some((questions.collect(), records.collect()))
}

fn their_name() -> impl Strategy<Value = rr::Name> {
    // Few labels, so that they repeat and are compressed.
    prop::collection::vec("[abAB]{1,2}|local|_tcp", 1..5).prop_map(|labels| {
        rr::Name::from_labels(labels.iter().map(|label| label.as_bytes().to_vec())).unwrap()
    })
}

prop_compose! {
    fn their_message()(
        response: bool,
        questions in prop::collection::vec((their_name(), prop::sample::select(vec![1_u16, 28, 255, 12, 33]), any::<bool>()), 0..4),
        records in prop::collection::vec((their_name(), any::<bool>(), any::<u32>(), any::<[u8; 16]>(), 0..3), 0..6),
    ) -> Vec<u8> {
        let kind = if response { MessageType::Response } else { MessageType::Query };
        let mut message = op::Message::new(0, kind, OpCode::Query);
        for (name, kind, unicast) in questions {
            let mut query = op::Query::query(name, RecordType::from(kind));
            query.set_mdns_unicast_response(unicast);
            message.add_query(query);
        }
        for (place, (name, flush, ttl, bytes, kind)) in records.into_iter().enumerate() {
            let [a, b, c, d, ..] = bytes;
            let data = match kind {
                0 => RData::A(rr::rdata::A::new(a, b, c, d)),
                1 => RData::AAAA(rr::rdata::AAAA(bytes.into())),
                _ => RData::PTR(rr::rdata::PTR(name.clone())),
            };
            let mut record = rr::Record::from_rdata(name, ttl >> 1, data);
            record.mdns_cache_flush = flush;
            if place % 2 == 0 { message.add_answer(record); } else { message.add_additional(record); }
        }
        message.to_vec().unwrap()
    }
}

proptest! {
    #[test]
    fn what_another_codec_writes_is_read_alike(bytes in their_message()) {
        prop_assert!(ours(&bytes).is_some(), "{bytes:02x?}");
        prop_assert_eq!(ours(&bytes), theirs(&bytes));
    }

    #[test]
    fn what_is_spoilt_is_read_alike_or_refused(mut bytes in their_message(), spoilt in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        for (at, value) in spoilt {
            // The counts are left alone: the other codec tolerates some wrong ones.
            let at = 12 + usize::from(at) % (bytes.len().max(13) - 12);
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
        }
        if let (Some(ours), Some(theirs)) = (ours(&bytes), theirs(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn what_we_write_is_read_alike(address: IpAddr, kind: u16, ttl in 0..i32::MAX as u32, unicast: bool) {
        let name = name();
        let question = Question { unicast, kind: Kind(kind), ..question(&name, Kind::A) };
        let record = Record { ttl, flush: unicast, ..record(&name, address) };
        let bytes = encode(Header::RESPONSE, &[question], &[record, record]);
        prop_assert_eq!(ours(&bytes).unwrap(), theirs(&bytes).unwrap());
    }
}

#[test]
fn queries_and_responses_of_the_helpers_are_what_they_say() {
    let name = name();
    assert_eq!(theirs(&query(&name, Kind::A)).unwrap().0, [(name.to_string(), 1, false)]);
    let said = theirs(&response(&name, "2001:db8::7")).unwrap().1;
    assert_eq!(said, [(name.to_string(), 28, true, 120, Some(ip("2001:db8::7")))]);
    assert_eq!(question(&name, Kind::A).class, Class::IN);
}
