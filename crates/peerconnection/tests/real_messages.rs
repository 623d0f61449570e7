//! Messages over real sockets: sizes, backpressure, streams, cancellation, strangers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::future::poll_fn;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;
use harness::{Pair, connect, connect_over, connect_with, endpoint, pattern, within};
use peerline::{Configuration, DataChannel, DataChannelInit, Event, Message, SendError};
use tokio::io::AsyncWriteExt;

/// Sends back what arrives until the channel closes.
async fn echo(channel: DataChannel) {
    while let Some(message) = channel.recv().await {
        channel.send(message).await.unwrap();
    }
}

#[tokio::test]
async fn real_messages_of_all_sizes_come_back_as_they_were() {
    let Pair { ours, theirs, alice, bob, .. } = &connect().await;
    let echoing = tokio::spawn(echo(theirs.clone()));
    for len in [0, 1, 1024, 65_536, 262_144] {
        let text: String = pattern(len).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        for message in [Message::from(pattern(len)), Message::from(text)] {
            within(10, "to send", ours.send(message.clone())).await.unwrap();
            assert_eq!(within(10, "to come back", ours.recv()).await, Some(message), "{len} bytes");
        }
    }
    let bytes = 2 * (1 + 1024 + 65_536 + 262_144);
    for channel in [ours, theirs] {
        let stats = channel.get_stats();
        let (id, counts) = stats.data_channels().next().unwrap();
        let both = (counts.messages_sent, counts.messages_received, counts.bytes_sent, counts.bytes_received);
        assert_eq!((stats.len(), both), (1, (10, 10, bytes, bytes)), "{id}");
    }
    let (here, there) = (alice.get_stats(), bob.get_stats());
    let ((_, here), (_, there)) = (here.transports().next().unwrap(), there.transports().next().unwrap());
    assert_eq!((here.dtls_cipher, here.srtp_cipher), (there.dtls_cipher, there.srtp_cipher));
    assert!(
        here.bytes_sent > bytes && there.bytes_received > bytes && here.selected_candidate_pair_id.is_some()
    );
    ours.close();
    assert_eq!(within(2, "to close", ours.recv()).await, None);
    within(2, "to see it closed", echoing).await.unwrap();
    assert!(ours.get_stats().is_empty());
}

#[tokio::test]
async fn real_send_waits_while_nobody_reads() {
    const LEN: usize = 16 * 1024;
    let mut configuration = Configuration::default();
    configuration.send_buffer = 128 * 1024;
    let limit = configuration.send_buffer + LEN;
    let Pair { ours, theirs, .. } = &connect_with(configuration).await;
    let mut sent = 0_u32;
    // The peer's receive window fills first, then the buffer.
    while tokio::time::timeout(Duration::from_millis(500), ours.send(numbered(sent, LEN))).await.is_ok() {
        sent += 1;
        assert!(ours.buffered_amount() <= limit, "{}", ours.buffered_amount());
        assert!(sent < 10_000, "nothing ever waits");
    }
    assert_eq!(ours.try_send(numbered(sent, LEN)), Err(SendError::WouldBlock));
    assert!(ours.buffered_amount() + LEN > limit - LEN, "it waited with {}", ours.buffered_amount());
    // It goes on when the other side reads, and what was not ready was not sent.
    let going_on = async {
        for number in sent..sent + 50 {
            ours.send(numbered(number, LEN)).await.unwrap();
        }
    };
    let reading = async {
        for number in 0..sent + 50 {
            assert_eq!(theirs.recv().await, Some(numbered(number, LEN)), "{number}");
        }
    };
    within(20, "to go on", async { tokio::join!(going_on, reading) }).await;
}

fn numbered(number: u32, len: usize) -> Message {
    let mut bytes = pattern(len);
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Message::from(bytes)
}

#[tokio::test]
async fn real_a_channel_is_a_sink_and_a_stream() {
    let Pair { mut ours, mut theirs, alice: _alice, bob: _bob, .. } = connect().await;
    let sending = async {
        for number in 0..200 {
            poll_fn(|cx| Pin::new(&mut ours).poll_ready(cx)).await.unwrap();
            Pin::new(&mut ours).start_send(numbered(number, 8192)).unwrap();
        }
        poll_fn(|cx| Pin::new(&mut ours).poll_flush(cx)).await.unwrap();
        assert_eq!(ours.buffered_amount(), 0, "everything was delivered");
        poll_fn(|cx| Pin::new(&mut ours).poll_close(cx)).await.unwrap();
    };
    let reading = async {
        let mut number = 0;
        while let Some(message) = poll_fn(|cx| Pin::new(&mut theirs).poll_next(cx)).await {
            assert_eq!(message, numbered(number, 8192));
            number += 1;
        }
        assert_eq!(number, 200);
    };
    within(10, "all of it", async { tokio::join!(sending, reading) }).await;
}

#[tokio::test]
async fn real_a_channel_carries_bytes_both_ways() {
    let Pair { ours, theirs, alice: _alice, bob: _bob, .. } = connect().await;
    let data = pattern(1024 * 1024);
    let mut near = tokio::io::split(ours.into_io());
    let mut far = tokio::io::split(theirs.into_io());
    let mut received = Vec::new();
    let there = async {
        tokio::io::copy(&mut &data[..], &mut near.1).await.unwrap();
        near.1.flush().await.unwrap();
    };
    let back = async {
        let mut limited = tokio::io::AsyncReadExt::take(&mut far.0, data.len() as u64);
        tokio::io::copy(&mut limited, &mut far.1).await.unwrap();
        far.1.shutdown().await.unwrap();
    };
    let read = tokio::io::copy(&mut near.0, &mut received);
    let (.., read) = within(20, "a mebibyte", async { tokio::join!(there, back, read) }).await;
    assert_eq!(read.unwrap(), data.len() as u64);
    assert!(received == data, "the same bytes");
}

#[tokio::test]
async fn real_a_message_too_large_is_refused_and_the_channel_goes_on() {
    let mut small = Configuration::default();
    small.limits.max_message_size = 10_000;
    let (here, there) = (endpoint().await, endpoint().await);
    let Pair { ours, theirs, .. } = &connect_over(&here, &there, [Configuration::default(), small]).await;
    assert_eq!(ours.send(pattern(10_001)).await, Err(SendError::TooLarge { limit: 10_000 }));
    ours.send(pattern(10_000)).await.unwrap();
    assert_eq!(within(5, "the other", theirs.recv()).await, Some(pattern(10_000).into()));
}

#[tokio::test]
async fn real_many_channels_at_once() {
    let Pair { alice, from_bob, ours, .. } = &mut connect().await;
    let mut tasks = Vec::new();
    for number in 0..64_u32 {
        let channel = alice.create_data_channel(&number.to_string(), DataChannelInit::default()).unwrap();
        tasks.push(tokio::spawn(async move {
            for round in 0..20 {
                channel.send(numbered(number * 1000 + round, 2000)).await.unwrap();
                assert_eq!(channel.recv().await, Some(numbered(number * 1000 + round, 2000)));
            }
        }));
    }
    let mut opened = 0;
    while opened < 64 {
        if let Some(Event::DataChannel(channel)) = within(10, "a channel", from_bob.next()).await {
            opened += 1;
            tokio::spawn(echo(channel));
        }
    }
    for task in tasks {
        within(10, "an echo", task).await.unwrap();
    }
    assert_eq!(ours.buffered_amount(), 0);
}

#[tokio::test]
async fn real_futures_dropped_half_way_lose_nothing() {
    const COUNT: u32 = 2000;
    let mut configuration = Configuration::default();
    configuration.send_buffer = 32 * 1024;
    let Pair { ours, theirs, mut from_bob, alice, bob: _bob, .. } = connect_with(configuration).await;
    let mut dropped = 0;
    let sending = async {
        let (mut number, mut ticks) = (0, tokio::time::interval(Duration::from_micros(700)));
        while number < COUNT {
            tokio::select! {
                biased;
                sent = ours.send(numbered(number, 3000)) => {
                    sent.unwrap();
                    number += 1;
                }
                _ = ticks.tick() => dropped += 1,
            }
        }
    };
    let mut channels = 0;
    let reading = async {
        let (mut number, mut ticks) = (0, tokio::time::interval(Duration::from_micros(900)));
        while number < COUNT || channels < 5 {
            tokio::select! {
                Some(message) = theirs.recv() => {
                    assert_eq!(message, numbered(number, 3000), "in order, once");
                    if number % 400 == 0 {
                        alice.create_data_channel("later", DataChannelInit::default()).unwrap();
                    }
                    number += 1;
                }
                Some(event) = from_bob.next() => {
                    channels += u32::from(matches!(event, Event::DataChannel(_)));
                }
                () = alice.closed() => panic!("nobody closes"),
                _ = ticks.tick() => {}
            }
        }
    };
    within(30, "all", async { tokio::join!(sending, reading) }).await;
    assert!(dropped > 0, "some were dropped half-way");
}

#[tokio::test]
async fn real_garbage_of_strangers_disturbs_nothing() {
    let (here, there) = (endpoint().await, endpoint().await);
    let targets = [here.local_addresses()[0], there.local_addresses()[0]];
    let stop = Arc::new(AtomicBool::new(false));
    let thrown = Arc::new(AtomicUsize::new(0));
    let thrower = std::thread::spawn({
        let (stop, thrown) = (stop.clone(), thrown.clone());
        move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut state = 1_u32;
            while !stop.load(Ordering::Relaxed) {
                for target in targets {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let mut bytes = pattern((state >> 8) as usize % 1400);
                    bytes.iter_mut().for_each(|byte| *byte ^= state.to_be_bytes()[1]);
                    // Of every kind that is told apart: STUN, DTLS, and what is neither.
                    let first = [0, 1, 22, 23, 20, 21, 128, state.to_be_bytes()[0]]
                        [thrown.load(Ordering::Relaxed) % 8];
                    if let Some(start) = bytes.first_mut() {
                        *start = first;
                    }
                    let _ = socket.send_to(&bytes, target);
                    thrown.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        }
    });
    let both = [Configuration::default(), Configuration::default()];
    let Pair { ours, theirs, .. } = &connect_over(&here, &there, both).await;
    // As many rounds as it takes until enough was thrown, however fast this machine is.
    while thrown.load(Ordering::Relaxed) < 400 {
        let sending = async {
            for number in 0..200 {
                ours.send(numbered(number, 20_000)).await.unwrap();
            }
        };
        let reading = async {
            for number in 0..200 {
                assert_eq!(theirs.recv().await, Some(numbered(number, 20_000)));
            }
        };
        within(20, "all", async { tokio::join!(sending, reading) }).await;
    }
    stop.store(true, Ordering::Relaxed);
    thrower.join().unwrap();
}
