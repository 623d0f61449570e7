//! Writes the first inputs of the targets that take bytes to `corpus/`: vectors of the RFCs, recorded
//! descriptions, and packets as our own machines send them. Run in `fuzz/`: `cargo run --example seeds`.
//! Those of the targets that take steps were picked from what longer runs had found.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datachannel::wire::{Message, Open};
use proto::{Instant, Reader, Writer};
use sctp::{Association, Ppid, Priority, Reliability, StreamId, StreamOptions};

fn main() {
    stun();
    sctp();
    dcep();
    dtls();
    candidates();
    mdns();
    rtp();
    descriptions();
}

fn save(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

/// RFC 5769 §2.
fn stun() {
    for (name, hex) in [
        (
            "request",
            "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
             80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249\
             c1b571a280280004e57a3bcf",
        ),
        (
            "response-ipv4",
            "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
             000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
        ),
        (
            "response-ipv6",
            "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
             a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
        ),
        (
            "request-long-term",
            "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c\
             662f2f3439396b39353464364f4c33346f4c39465354767936347341 0014000b6578616d706c652e6f726700000800\
             14f67024656dd64a3e02b8e0712e85c9a28ca89666",
        ),
    ] {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).expect("a digit")).expect("4 bits");
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        save("stun_message", name, &bytes);
    }
}

/// A life of an association with a loss in it, one packet a file.
fn sctp() {
    let mut now = Instant::from_nanos(1);
    let config = Arc::new(sctp::Config::default());
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    let mut count = 0;
    let mut exchange = |ends: &mut [Association; 2], now: Instant, lose: Option<u32>| {
        for from in [0, 1, 0, 1, 0, 1] {
            let mut memory = [0; 1500];
            let mut out = Writer::new(&mut memory);
            while ends[from].poll_packet(now, &mut out) {
                save("sctp_packet", &format!("{count:02}"), out.written());
                if lose != Some(count) {
                    let _ = ends[1 - from].handle_packet(now, out.written());
                }
                out.truncate(0);
                count += 1;
            }
            while ends[1].recv(now, StreamId(1)).is_some() {}
        }
        count
    };
    let sent = exchange(&mut ends, now, None);
    let options = StreamOptions::new(true, Reliability::MaxRetransmits(0), Priority::NORMAL);
    ends[0].open(StreamId(1), options).expect("open");
    for _ in 0..3 {
        let mut payload = Bytes::from_static(&[7; 700]);
        ends[0].send(now, StreamId(1), Ppid(53), &mut payload, true).expect("sent");
    }
    exchange(&mut ends, now, Some(sent + 1));
    for _ in 0..20 {
        now += Duration::from_millis(100);
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
        exchange(&mut ends, now, None);
    }
    ends[0].reset(now, StreamId(1));
    exchange(&mut ends, now, None);
    now += Duration::from_secs(31);
    ends.iter_mut().for_each(|end| end.handle_timeout(now));
    exchange(&mut ends, now, None);
    ends[0].shutdown(now);
    exchange(&mut ends, now, None);
    let mut lost = Association::client(now, config, [3; 32]);
    lost.abort(now);
    ends[0] = lost;
    exchange(&mut ends, now, None);
}

fn dcep() {
    save("datachannel_dcep", "ack", &[2]);
    for (name, unordered, reliability, label, protocol) in [
        ("reliable", false, Reliability::Reliable, "chat", ""),
        ("counted", true, Reliability::MaxRetransmits(3), "é", "proto"),
        ("timed", true, Reliability::MaxLifetime(Duration::from_millis(500)), "", "p"),
    ] {
        let open = Open { unordered, reliability, priority: Priority::NORMAL, label, protocol };
        let mut memory = vec![0; open.encoded_len()];
        let mut out = Writer::new(&mut memory);
        Message::Open(open).encode(&mut out).expect("room");
        save("datachannel_dcep", name, out.written());
    }
}

/// A handshake: its datagrams, and the body of each of its messages behind the number of its decoder.
fn dtls() {
    use dtls::wire::{Fragment, RecordHeader};

    let mut now = Instant::from_nanos(1);
    let identity = |seed| {
        let made = dtls::Identity::generate(crypto::rust_crypto(), 1_790_000_000, [seed; 32]);
        Arc::new(dtls::Config::new(crypto::rust_crypto(), Arc::new(made.expect("a certificate"))))
    };
    let mut ends = [
        dtls::Connection::client(now, identity(1), [1; 32]),
        dtls::Connection::server(now, identity(2), [2; 32]),
    ];
    let (mut datagrams, mut messages) = (0, 0);
    for round in 0..20 {
        let from = round % 2;
        let mut memory = [0; 1200];
        loop {
            let mut out = Writer::new(&mut memory);
            if !ends[from].poll_packet(now, &mut out) {
                break;
            }
            let mut datagram = out.written().to_vec();
            save("dtls_record", &format!("{datagrams:02}"), &datagram);
            datagrams += 1;
            let mut rest = datagram.as_slice();
            while let Ok(header) = RecordHeader::decode(rest) {
                let (record, next) = rest[13..].split_at(header.len);
                rest = next;
                if header.epoch > 0 || record[0] > 20 {
                    continue;
                }
                let Ok(fragment) = Fragment::decode(&mut Reader::new(record)) else { continue };
                let decoder = match fragment.kind.0 {
                    1 => 0,
                    2 => 1,
                    3 => 2,
                    11 => 3,
                    12 => 4,
                    13 => 5,
                    16 => 6,
                    15 => 7,
                    _ => 8,
                };
                let whole = [&[decoder], fragment.data].concat();
                save("dtls_handshake", &format!("{messages:02}"), &whole);
                messages += 1;
            }
            let mut records = ends[1 - from].handle_datagram(now, &mut datagram);
            while records.next_record().is_some() {}
        }
        for end in &mut ends {
            while let Some(event) = end.poll_event() {
                if event == dtls::Event::PeerCertificate {
                    end.accept_peer(now);
                }
            }
        }
        now += Duration::from_millis(1);
        if round == 15 {
            ends[0].close(now);
        }
    }
    save("dtls_record", "alert", &[2, 40]);
}

fn candidates() {
    for (name, line) in [
        ("host", "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host"),
        (
            "srflx",
            "candidate:2 1 udp 1694498815 203.0.113.1 4001 typ srflx raddr 192.0.2.1 rport 4000 generation 0 ufrag abcd",
        ),
        ("relay-ipv6", "candidate:3 1 UDP 41885439 2001:db8::1 50000 typ relay raddr :: rport 0"),
        ("tcp", "candidate:4 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"),
        (
            "mdns",
            "candidate:5 1 udp 2113937151 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 53000 typ host network-cost 999",
        ),
    ] {
        save("ice_candidate", name, line.as_bytes());
    }
}

/// A query, its answer in both families, and names with pointers (RFC 1035 §4.1.4).
fn mdns() {
    for (name, bytes) in [
        ("query", &b"\0\0\0\0\0\x02\0\0\0\0\0\0\x01a\x05local\0\0\x01\0\x01\xc0\x0c\0\x1c\x80\x01"[..]),
        (
            "answer",
            b"\0\0\x84\0\0\0\0\x01\0\0\0\x01\x01a\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x01\
              \xc0\x0c\0\x2f\x80\x01\0\0\0\x78\0\x05\xc0\x0c\0\x01\x40",
        ),
        (
            "answer-ipv6",
            b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x01A\x05LOCAL\0\0\x1c\x80\x01\0\0\0\x78\0\x10\
              \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07",
        ),
        (
            "known",
            b"\0\0\0\0\0\x01\0\x01\0\0\0\0\x01a\x05local\0\0\xff\0\xff\
              \xc0\x0c\0\x01\0\x01\0\0\0\x78\0\x04\xc0\0\x02\x01",
        ),
        (
            "pointers",
            b"\0\0\x84\0\0\x04\0\0\0\0\0\0\x01F\x03ISI\x04ARPA\0\0\x01\0\x01\x03FOO\xc0\x0c\0\x01\0\x01\
              \xc0\x12\0\x01\0\x01\0\0\x01\0\x01",
        ),
    ] {
        save("mdns", name, bytes);
    }
}

/// Feedback and reports as we write them, and descriptors as Chromium does.
fn rtp() {
    use rtp::rtcp::{
        Arrived, Encoder, PacketStatus, ReportBlock, SdesItem, SdesKind, SenderInfo, TransportFeedback,
    };
    use rtp::{NoSpace, NtpTime, SequenceNumber, Ssrc};

    let save_rtcp = |name: &str, write: fn(&mut Encoder<'_, '_>) -> Result<(), NoSpace>| {
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        write(&mut Encoder::new(&mut out)).expect("room");
        save("rtp_rtcp", name, out.written());
    };
    save_rtcp("report", |out| {
        out.sender_report(Ssrc(1), SenderInfo::default(), [ReportBlock::default(); 2], &[])?;
        out.source_description([(Ssrc(1), [SdesItem { kind: SdesKind::CNAME, text: b"someone" }])])?;
        out.extended_report(Ssrc(1), |xr| xr.reference_time(NtpTime(1)))
    });
    save_rtcp("missing", |out| out.nack(Ssrc(1), Ssrc(2), [1, 2, 18, 40].map(SequenceNumber)).map(drop));
    save_rtcp("remb", |out| out.remb(Ssrc(1), 1_000_000, [Ssrc(2)]));
    save_rtcp("transport", |out| {
        let it = TransportFeedback { sender: Ssrc(1), media: Ssrc(2), feedback_count: 1, base: None };
        let arrived =
            (0..40_u16).map(|at| Arrived { sequence: SequenceNumber(at * at), ticks: u64::from(at) * 70 });
        out.transport_cc(it, arrived).map(drop)
    });
    save_rtcp("congestion", |out| {
        let status = PacketStatus::Received { ecn: None, offset: Some(1) };
        out.congestion_control(
            Ssrc(1),
            5,
            [(Ssrc(2), SequenceNumber(7), [status, PacketStatus::Lost, status])],
        )
    });
    let structure = b"\xc1\x01\x72\x80\x08\x14\x85\x21\x4e\xaf\xff\xaa\xaa\x86\x3c\xf0\x43\x0c\x10\xc3\x02\xaf\xc0\xaa\xa0\x06\x3c\x00\
        \x43\x00\x10\xc0\x02\xa0\x00\xa8\x00\x06\x00\x00\x40\x00\x1d\x95\x49\x26\xe0\x82\xb0\x4a\x09\x41\xb8\x20\xac\x12\x82\x50\x31\x57\
        \xf9\x74\x00\x0c\xa8\x64\x33\x0e\x22\x22\x22\xec\xa8\x65\x53\x04\x22\x42\x30\xec\xa8\x77\x53\x00\x77\x00\x42\x00\xef\x00\x86\
        \x01\xdf\x01\x0d";
    let first = u8::try_from(structure.len()).expect("one byte");
    save("rtp_extension", "dependency", &[&[first], &structure[..], &[0x86, 1, 0x73, 0x40, 0xfc]].concat());
    save("rtp_extension", "layers", b"\x00\x51\x40\x64\xc8\x01\xd8\x04");
    save("rtp_extension", "mid", b"\x00audio");
}

/// What browsers and others wrote, without the largest.
fn descriptions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sdp/tests/vectors");
    for entry in fs::read_dir(folder).expect("the vectors") {
        let path = entry.expect("an entry").path();
        let text = fs::read(&path).expect("a description");
        if text.len() <= 4096 {
            save("sdp_parse", &path.file_name().expect("a name").to_string_lossy(), &text);
        }
    }
}
