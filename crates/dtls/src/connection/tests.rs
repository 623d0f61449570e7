use super::*;
use crate::Identity;

fn config() -> Arc<Config> {
    let null = testkit::null_provider();
    let identity = Identity::generate(null, 1_790_000_000, [1; 32]).unwrap();
    Arc::new(Config::new(null, Arc::new(identity)))
}

fn client(config: &Arc<Config>) -> Connection {
    Connection::client(testkit::epoch(), Arc::clone(config), [1; 32])
}

fn server(config: &Arc<Config>) -> Connection {
    Connection::server(testkit::epoch(), Arc::clone(config), [2; 32])
}

fn packets(connection: &mut Connection) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut memory = vec![0; 1200];
        let mut out = Writer::new(&mut memory);
        if !connection.poll_packet(testkit::epoch(), &mut out) {
            return all;
        }
        let len = out.len();
        memory.truncate(len);
        all.push(memory);
    }
}

fn deliver(connection: &mut Connection, datagram: &mut [u8]) -> Vec<Discard> {
    let mut discards = Vec::new();
    let mut records = connection.handle_datagram(testkit::epoch(), datagram);
    while let Some(record) = records.next_record() {
        discards.extend(record.err());
    }
    drop(records);
    if connection.poll_event() == Some(Event::PeerCertificate) {
        connection.accept_peer(testkit::epoch());
    }
    discards
}

/// What a peer sends in one flight: handshake messages by type and body; `None` is ChangeCipherSpec.
fn messages(datagrams: &[Vec<u8>]) -> Vec<Option<(HandshakeType, Vec<u8>)>> {
    let mut all = Vec::new();
    for datagram in datagrams {
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let header = RecordHeader::decode(rest).unwrap();
            let (record, behind) = rest.split_at(RECORD_HEADER_LEN + header.len);
            rest = behind;
            let skip = RECORD_HEADER_LEN + if header.epoch > 0 { 8 } else { 0 };
            all.push((header.content == ContentType::Handshake).then(|| {
                let fragment = Fragment::decode(&mut Reader::new(&record[skip..])).unwrap();
                assert!(fragment.is_whole());
                (fragment.kind, fragment.data.to_vec())
            }));
        }
    }
    all
}

/// Sends a message as a peer would that knows the keys, numbers it as expected, and finishes every
/// handshake rightly.
fn forge(to: &mut Connection, message: Option<&(HandshakeType, Vec<u8>)>, record: u64) -> Vec<Discard> {
    let mut memory = [0; 1200];
    let mut out = Writer::new(&mut memory);
    let (content, epoch, body) = match message {
        None => (ContentType::ChangeCipherSpec, 0, vec![1]),
        Some((kind, body)) => {
            let (mut epoch, mut body) = (0, body.clone());
            if *kind == HandshakeType::FINISHED {
                epoch = 1;
                if let Some(data) = to.handshake.as_ref().and_then(|it| it.expected_finished()) {
                    body = data.to_vec();
                }
            }
            let total = u32::try_from(body.len()).unwrap();
            let mut fragment = vec![0; 12 + body.len()];
            Fragment { kind: *kind, total, sequence: to.reassembly.next(), offset: 0, data: &body }
                .encode(&mut Writer::new(&mut fragment))
                .unwrap();
            if epoch == 1 {
                fragment = [&[0; 8][..], &fragment, &[0; 16]].concat();
            }
            (ContentType::Handshake, epoch, fragment)
        }
    };
    let header =
        RecordHeader { content, version: version::DTLS_1_2, epoch, sequence: record, len: body.len() };
    header.encode(&mut out).unwrap();
    out.put(&body).unwrap();
    deliver(to, out.written_mut(0))
}

/// THREATS D4, the server's side: every sequence of up to five of the client's messages, an alien one
/// among them. The attacker knows the keys and finishes rightly whatever the server has seen.
#[test]
fn a_server_connects_after_the_one_legal_sequence_only() {
    let config = config();
    let hello = packets(&mut client(&config)).remove(0);
    let mut honest = (client(&config), server(&config));
    deliver(&mut honest.1, &mut hello.clone());
    for mut datagram in packets(&mut honest.1) {
        deliver(&mut honest.0, &mut datagram);
    }
    let mut alphabet = messages(&packets(&mut honest.0));
    alphabet.retain(|message| message.as_ref().is_none_or(|it| it.0 != HandshakeType::CLIENT_HELLO));
    assert_eq!(alphabet.len(), 5);
    alphabet.push(Some((HandshakeType::SERVER_HELLO_DONE, Vec::new())));
    let mut connected = 0;
    for len in 1..=5_u32 {
        for code in 0..6_usize.pow(len) {
            let mut victim = server(&config);
            deliver(&mut victim, &mut hello.clone());
            let picks: Vec<usize> = (0..len).map(|digit| code / 6_usize.pow(digit) % 6).collect();
            for (record, pick) in picks.iter().enumerate() {
                forge(&mut victim, alphabet[*pick].as_ref(), 10 + record as u64);
            }
            // A Finished that overtook its ChangeCipherSpec was kept: datagrams are reordered.
            let legal = picks == [0, 1, 2, 3, 4] || picks == [0, 1, 2, 4, 3];
            assert_eq!(victim.is_connected(), legal, "{picks:?}");
            connected += u32::from(victim.is_connected());
        }
    }
    assert_eq!(connected, 2);
}

/// THREATS D4, the client's side: all selections of the server's seven messages in all orders, and each twice.
#[test]
fn a_client_connects_after_the_legal_sequences_only() {
    let config = config();
    let mut server = server(&config);
    deliver(&mut server, &mut packets(&mut client(&config)).remove(0));
    let mut flight = messages(&packets(&mut server));
    flight.push(None);
    flight.push(Some((HandshakeType::FINISHED, vec![0; 12])));
    assert_eq!(flight.len(), 7);
    let attempt = |picks: &[usize]| {
        let mut victim = client(&config);
        packets(&mut victim);
        for (record, pick) in picks.iter().enumerate() {
            forge(&mut victim, flight[*pick].as_ref(), record as u64);
        }
        victim.is_connected()
    };
    let mut tried = 0;
    arrange(&mut Vec::new(), &mut |order| {
        tried += 1;
        // RFC 5246 §7.4.4: a server need not ask for a certificate; a request at another point is ignored.
        let without: Vec<usize> = order.iter().copied().filter(|pick| *pick != 3).collect();
        // A Finished that overtook its ChangeCipherSpec was kept.
        let legal = without == [0, 1, 2, 4, 5, 6] || without == [0, 1, 2, 4, 6, 5];
        assert_eq!(attempt(order), legal, "{order:?}");
    });
    assert_eq!(tried, 13_699);
    for n in 0..7 {
        let without: Vec<usize> = (0..7).filter(|pick| *pick != n).collect();
        assert_eq!(attempt(&without), n == 3, "without {n}");
        let twice: Vec<usize> = (0..7).flat_map(|pick| vec![pick; 1 + usize::from(pick == n)]).collect();
        assert!(attempt(&twice), "{n} twice: the second is ignored");
    }
}

/// Visits every selection of the seven in every order.
fn arrange(picked: &mut Vec<usize>, visit: &mut impl FnMut(&[usize])) {
    for next in (0..7).filter(|next| !picked.contains(next)).collect::<Vec<_>>() {
        picked.push(next);
        visit(picked);
        arrange(picked, visit);
        picked.pop();
    }
}

fn connected() -> (Connection, Connection) {
    let config = config();
    let (mut client, mut server) = (client(&config), server(&config));
    for _ in 0..4 {
        packets(&mut client).iter_mut().for_each(|datagram| drop(deliver(&mut server, datagram)));
        packets(&mut server).iter_mut().for_each(|datagram| drop(deliver(&mut client, datagram)));
    }
    assert!(client.is_connected() && server.is_connected());
    (client, server)
}

/// THREATS D7.
#[test]
fn the_last_sequence_number_is_never_used() {
    let (mut client, mut server) = connected();
    client.outbound.sealer().unwrap().skip_to((1 << 48) - 2);
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    client.begin_record(&mut out).unwrap().seal();
    let mut last = out.written().to_vec();
    assert_eq!(last[5..11], [255, 255, 255, 255, 255, 254]);
    assert_eq!(client.begin_record(&mut out).map(drop), Err(SealError::Exhausted));
    assert_eq!(client.closed(), Some(CloseReason::SequenceExhausted));
    deliver(&mut server, &mut last);
    assert_eq!(server.stats().discarded, 0);
}

/// THREATS D7: explicit nonces are epoch and sequence number.
#[test]
fn nonces_count_and_never_repeat() {
    let (mut client, _) = connected();
    let mut memory = [0; 100];
    for n in 1..10_000_u64 {
        let mut out = Writer::new(&mut memory);
        client.begin_record(&mut out).unwrap().seal();
        assert_eq!(out.written()[13..21], (1 << 48 | n).to_be_bytes());
        assert_eq!(out.written()[3..11], out.written()[13..21]);
    }
}

/// THREATS D11, D12: what is kept for the next keys is bounded and freed, and no window moves unasked.
#[test]
fn future_records_are_bounded_and_freed_and_forgeries_move_no_window() {
    let config = config();
    let mut victim = server(&config);
    deliver(&mut victim, &mut packets(&mut client(&config)).remove(0));
    for n in 0..100_000_u64 {
        let mut memory = [0; 900];
        let header = RecordHeader {
            content: ContentType::Handshake,
            version: version::DTLS_1_2,
            epoch: 1,
            sequence: n,
            len: 887,
        };
        header.encode(&mut Writer::new(&mut memory)).unwrap();
        deliver(&mut victim, &mut memory);
        let kept: usize = victim.inbound.future.iter().map(Vec::len).sum();
        assert!(victim.inbound.future.len() <= 8 && kept <= 16 << 10);
    }
    let (_, mut server) = connected();
    assert_eq!(server.inbound.future.capacity(), 0);
    assert_eq!(server.reassembly.bytes(), 0);
    let window = server.inbound.opener.as_ref().unwrap().window();
    for epoch in [0, 2, 65_535] {
        for sequence in [0, 1, 1 << 40, (1 << 48) - 1] {
            let mut memory = [0; 50];
            let header = RecordHeader {
                content: ContentType::Handshake,
                version: version::DTLS_1_2,
                epoch,
                sequence,
                len: 37,
            };
            header.encode(&mut Writer::new(&mut memory)).unwrap();
            deliver(&mut server, &mut memory);
        }
    }
    assert_eq!(server.inbound.opener.as_ref().unwrap().window(), window);
}

/// THREATS D8 in small.
#[test]
fn too_many_forgeries_end_the_keys() {
    let provider = crypto::rust_crypto();
    let identity = Identity::generate(provider, 1_790_000_000, [1; 32]).unwrap();
    let mut config = Config::new(provider, Arc::new(identity));
    config.max_forged = 5;
    let config = Arc::new(config);
    let (mut client, mut server) = (client(&config), server(&config));
    for _ in 0..4 {
        packets(&mut client).iter_mut().for_each(|datagram| drop(deliver(&mut server, datagram)));
        packets(&mut server).iter_mut().for_each(|datagram| drop(deliver(&mut client, datagram)));
    }
    assert!(server.is_connected());
    for n in 0..5 {
        assert_eq!(server.closed(), None, "{n}");
        let mut memory = [0; 60];
        let header = RecordHeader {
            content: ContentType::ApplicationData,
            version: version::DTLS_1_2,
            epoch: 1,
            sequence: 500,
            len: 47,
        };
        header.encode(&mut Writer::new(&mut memory)).unwrap();
        assert_eq!(deliver(&mut server, &mut memory), [Discard::Forged]);
    }
    assert_eq!(server.closed(), Some(CloseReason::TooManyForgeries));
}

/// THREATS D23: every record type with every small body at every point of the handshake, both roles.
#[test]
fn any_record_at_any_point_leaves_a_defined_state() {
    let config = config();
    for steps in 0..5 {
        let (mut client, mut server) = (client(&config), server(&config));
        for _ in 0..steps {
            packets(&mut client).iter_mut().for_each(|datagram| drop(deliver(&mut server, datagram)));
            packets(&mut server).iter_mut().for_each(|datagram| drop(deliver(&mut client, datagram)));
        }
        for content in 20..24 {
            for epoch in 0..3_u16 {
                for kind in 0..=24_u8 {
                    for len in [0, 1, 12, 13, 40] {
                        let mut memory =
                            vec![content, 0xfe, 0xfd, 0, epoch.to_be_bytes()[1], 0, 0, 0, 0, 1, kind, 0, len];
                        memory.extend(std::iter::once(kind).chain([0; 39]).take(len.into()));
                        deliver(&mut client, &mut memory.clone());
                        deliver(&mut server, &mut memory);
                        client.poll_packet(testkit::epoch(), &mut Writer::new(&mut [0; 1200]));
                    }
                }
            }
        }
        // The null provider takes any tag: epoch 1 may have closed them; nothing else may.
        for connection in [&client, &server] {
            let fine = matches!(
                connection.closed(),
                None | Some(CloseReason::Remote | CloseReason::Alert(_) | CloseReason::BadFinished)
            );
            assert!(fine, "{:?}", connection.closed());
        }
    }
}
