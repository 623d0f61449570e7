//! Calls and rooms, with peers of ours in the browsers' place.

use peerline::{Direction, MediaKind, OutgoingFrame, SendMediaError, Transceiver, TransceiverInit};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::room::{MAX_MEMBERS, MAX_ROOMS, MAX_SECTIONS, Refused, Rooms};
use super::*;

/// A browser on the page of a call or of a room.
struct Guest {
    peer: PeerConnection,
    tracks: UnboundedReceiver<Transceiver>,
    news: UnboundedReceiver<Value>,
    wishes: UnboundedSender<Value>,
}

/// Sends an offer, or gives what the refusal of it says.
async fn guest(address: SocketAddr, page: Value, media: &[MediaKind]) -> Result<Guest, (u16, String)> {
    let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
    let (peer, events) = endpoint.connect(Configuration::default()).unwrap();
    for kind in media {
        let mut init = TransceiverInit::default();
        init.direction = if page["page"] == "call" { Direction::SendRecv } else { Direction::SendOnly };
        init.streams = vec!["own".to_owned()];
        tokio::spawn(play(peer.add_transceiver(*kind, init).unwrap()));
    }
    peer.create_data_channel("watch", DataChannelInit::default()).unwrap();
    let offer = peer.create_offer().unwrap();
    peer.set_local_description(offer.clone()).unwrap();
    let mut body = page;
    (body["type"], body["sdp"]) = ("offer".into(), offer.sdp.to_string().into());
    let (status, answer) = request(address, "/api/offer", Some(body.to_string())).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    if status != 200 {
        return Err((status, answer["error"].as_str().unwrap().to_owned()));
    }
    peer.set_remote_description(Description::answer(answer["sdp"].as_str().unwrap()).unwrap()).unwrap();
    let socket = websocket(address, answer["id"].as_str().unwrap()).await.unwrap();
    let ((told, tracks), (heard, news), (wishes, wanted)) =
        (unbounded_channel(), unbounded_channel(), unbounded_channel());
    tokio::spawn(signal(peer.clone(), events, socket, told, heard, wanted));
    Ok(Guest { peer, tracks, news, wishes })
}

/// Plays the page's part of the signalling.
async fn signal(
    peer: PeerConnection,
    mut events: Events,
    mut socket: Socket,
    tracks: UnboundedSender<Transceiver>,
    news: UnboundedSender<Value>,
    mut wanted: UnboundedReceiver<Value>,
) {
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::IceCandidate(found)) => {
                    let found = found.unwrap_or_default();
                    let text = json!({ "candidate": found.candidate, "sdpMid": found.sdp_mid });
                    send_text(&mut socket, text.to_string()).await;
                }
                // Who does not look is not told.
                Some(Event::Track(track)) => _ = tracks.send(track),
                Some(_) => {}
                None => break,
            },
            said = next_text(&mut socket) => {
                let Some(said) = said else { break };
                if said["type"] == "offer" {
                    let offer = Description::offer(said["sdp"].as_str().unwrap()).unwrap();
                    peer.set_remote_description(offer).unwrap();
                    let answer = peer.create_answer().unwrap();
                    peer.set_local_description(answer.clone()).unwrap();
                    let text = json!({ "type": "answer", "sdp": answer.sdp.to_string() });
                    send_text(&mut socket, text.to_string()).await;
                } else if let Some(candidate) = said["candidate"].as_str() {
                    let mut found = IceCandidate::default();
                    (found.candidate, found.sdp_mid) = (candidate.to_owned(), said["sdpMid"].as_str().map(str::to_owned));
                    peer.add_ice_candidate(&found).unwrap();
                } else {
                    let _ = news.send(said);
                }
            }
            Some(wish) = wanted.recv() => send_text(&mut socket, wish.to_string()).await,
        }
    }
}

/// 20 pictures of VP8 and 50 packets of Opus a second, made up; every tenth picture is a key frame.
async fn play(track: Transceiver) {
    let is_video = track.kind() == MediaKind::Video;
    let (step, ticks) = if is_video { (50, 4500) } else { (20, 960) };
    let mut clock = tokio::time::interval(Duration::from_millis(step));
    for number in 0_u32.. {
        clock.tick().await;
        let mut bytes = vec![0xf8, 0xff, 0xfe];
        if is_video {
            bytes = vec![u8::from(!number.is_multiple_of(10)), 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0];
            bytes.resize(3000, 7);
        }
        let frame = OutgoingFrame {
            bytes: &bytes,
            timestamp: number.wrapping_mul(ticks),
            ..OutgoingFrame::default()
        };
        if track.write_frame(0, &frame) == Err(SendMediaError::Stopped) {
            return;
        }
    }
}

impl Guest {
    /// The next news that has this member.
    async fn news(&mut self, name: &str) -> Value {
        let found = async {
            loop {
                let news = self.news.recv().await.expect("the demo goes on");
                if !news[name].is_null() {
                    return news;
                }
            }
        };
        timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("nothing is told of `{name}`"))
    }

    async fn track(&mut self) -> Transceiver {
        timeout(LIMIT, self.tracks.recv()).await.expect("a track comes").unwrap()
    }
}

/// So many frames come.
async fn comes(track: &Transceiver, frames: usize) {
    for _ in 0..frames {
        let frame = timeout(LIMIT, track.recv()).await.expect("a frame comes").expect("the track goes on");
        assert!(
            frame
                .bytes()
                .is_none_or(|bytes| bytes.len() == if track.kind() == MediaKind::Video { 3000 } else { 3 })
        );
    }
}

const BOTH: [MediaKind; 2] = [MediaKind::Audio, MediaKind::Video];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_call_comes_back_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (_demo, address) = demo(Destination::folder(folder.path().to_owned()).unwrap()).await;
    let mut caller = guest(address, json!({ "page": "call" }), &BOTH).await.unwrap();
    for _ in 0..2 {
        comes(&caller.track().await, 20).await;
    }
    // The first news may be of before anything came.
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let news = caller.news("stats").await;
        let all = news["stats"].as_object().unwrap().values();
        kinds.extend(all.filter_map(|it| it["type"].as_str().map(str::to_owned)));
    }
    for kind in ["inbound-rtp", "outbound-rtp", "candidate-pair", "transport"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    caller.wishes.send(json!({ "record": true })).unwrap();
    assert_eq!(caller.news("recording").await["recording"]["state"], "running");
    caller.wishes.send(json!({ "record": true })).unwrap();
    let refused = caller.news("recording").await;
    assert!(refused["recording"]["reason"].as_str().unwrap().contains("already"), "{refused}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    caller.wishes.send(json!({ "record": false })).unwrap();
    let ended = caller.news("recording").await["recording"].clone();
    assert_eq!(ended["state"], "ended", "{ended}");
    let count = |name: &str| ended[name].as_u64().unwrap();
    assert!(count("videoFrames") >= 15 && count("audioPackets") >= 40, "{ended}");
    let file = folder.path().join(ended["file"].as_str().unwrap());
    assert_eq!(std::fs::metadata(file).unwrap().len(), count("bytes"));
    // What is of a room is not done here, and what is none does no harm.
    caller.wishes.send(json!({ "limit": 5 })).unwrap();
    assert!(caller.news("error").await["error"].as_str().unwrap().contains("another page"));
    caller.wishes.send(json!({ "type": "answer", "sdp": "nonsense" })).unwrap();
    assert!(caller.news("error").await["error"].as_str().unwrap().contains("broken"));
    caller.peer.close();
}

#[tokio::test]
async fn real_a_call_is_not_recorded_where_nothing_is_kept() {
    let (_demo, address) = demo(Destination::Nowhere).await;
    let mut caller = guest(address, json!({ "page": "call" }), &BOTH[..1]).await.unwrap();
    comes(&caller.track().await, 5).await;
    caller.wishes.send(json!({ "record": true })).unwrap();
    let refused = caller.news("recording").await;
    assert!(refused["recording"]["reason"].as_str().unwrap().contains("--save FOLDER"), "{refused}");
}

/// Before there is a connection nothing can come, and no file is made.
#[tokio::test]
async fn real_a_call_that_is_not_connected_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (_demo, address) = demo(Destination::folder(folder.path().to_owned()).unwrap()).await;
    let (_peer, mut socket) = silent(address, json!({ "page": "call" })).await;
    send_text(&mut socket, json!({ "record": true }).to_string()).await;
    let mut told = next_text(&mut socket).await.unwrap();
    while told["recording"].is_null() {
        told = next_text(&mut socket).await.unwrap();
    }
    assert!(told["recording"]["reason"].as_str().unwrap().contains("not connected"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A browser that sends an offer and takes no answer.
async fn silent(address: SocketAddr, page: Value) -> (PeerConnection, Socket) {
    let (peer, _events, offer) = browser().await;
    let mut body = page;
    (body["type"], body["sdp"]) = ("offer".into(), offer.sdp.to_string().into());
    let (status, answer) = request(address, "/api/offer", Some(body.to_string())).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    (peer, websocket(address, answer["id"].as_str().unwrap()).await.unwrap())
}

fn room(room: &str, name: &str) -> Value {
    json!({ "page": "room", "room": room, "name": name })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_everybody_in_a_room_gets_what_the_others_send_and_nothing_of_who_has_gone() {
    let (_demo, address) = demo(Destination::Nowhere).await;
    let mut ada = guest(address, room("one", "Ada"), &BOTH).await.unwrap();
    let mut ben = guest(address, room("one", "Ben"), &BOTH).await.unwrap();
    // Somebody of another room is not met.
    let mut cleo = guest(address, room("two", "Cleo"), &BOTH[..1]).await.unwrap();
    let mut seen = Vec::new();
    for guest in [&mut ada, &mut ben] {
        let (one, other) = (guest.track().await, guest.track().await);
        assert_eq!(one.remote_streams(), other.remote_streams());
        comes(&one, 10).await;
        comes(&other, 10).await;
        seen.push([one, other]);
    }
    // The first news may be of before somebody came.
    let mut told = ada.news("room").await;
    while told["room"]["members"] == json!([]) {
        told = ada.news("room").await;
    }
    let [other] = told["room"]["members"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&other["name"], &told["room"]["you"]), (&json!("Ben"), &json!("Ada")));
    assert_eq!(seen[0][0].remote_streams(), [other["id"].as_str().unwrap()]);
    let alone = cleo.news("room").await;
    assert_eq!(alone["room"]["members"], json!([]), "{alone}");
    assert!(cleo.tracks.try_recv().is_err());
    // One goes, and another comes: both are agreed upon with the one who stays.
    ben.peer.close();
    let ended = async { while seen[0][0].recv().await.is_some() || seen[0][1].recv().await.is_some() {} };
    timeout(LIMIT, ended).await.expect("what has gone ends");
    let sections =
        |guest: &Guest| guest.peer.remote_description().unwrap().sdp.to_string().matches("m=").count();
    let before = sections(&ada);
    let mut dora = guest(address, room("one", "Dora"), &BOTH).await.unwrap();
    for guest in [&mut ada, &mut dora] {
        let (one, other) = (guest.track().await, guest.track().await);
        comes(&one, 10).await;
        comes(&other, 10).await;
    }
    assert_eq!(sections(&ada), before, "sections are used again");
}

#[tokio::test]
async fn real_rooms_have_as_many_members_and_there_are_as_many_as_the_limits_and_not_one_more() {
    let (demo, address) = demo(Destination::Nowhere).await;
    let mut guests = Vec::new();
    for number in 0..MAX_MEMBERS {
        guests.push(guest(address, room("full", &number.to_string()), &[]).await.unwrap());
    }
    let refusal = |refused: Result<Guest, (u16, String)>| refused.map(drop).unwrap_err();
    let (status, error) = refusal(guest(address, room("full", "late"), &[]).await);
    assert!(status == 503 && error.contains("the room is full: 8"), "{status} {error}");
    for number in 1..MAX_ROOMS {
        guests.push(guest(address, room(&format!("room {number}"), "somebody"), &[]).await.unwrap());
    }
    let (status, error) = refusal(guest(address, room("one more", "late"), &[]).await);
    assert!(status == 503 && error.contains("16 rooms"), "{status} {error}");
    let longest = "ä".repeat(40);
    guests.push(guest(address, room("room 1", &longest), &[]).await.unwrap());
    for (room_name, name) in
        [("room 1", "  "), ("room 1", &*format!("{longest}x")), ("a\nb", "x"), ("room 1", "A\u{202e}da")]
    {
        let (status, error) = refusal(guest(address, room(room_name, name), &[]).await);
        assert!(status == 400 && error.contains("1 to 40 characters"), "{status} {error}");
    }
    assert_eq!(demo.sessions.len(), guests.len(), "who is refused takes no place");
    // A room ends with the last who is in it.
    guests.iter().for_each(|guest| guest.peer.close());
    let over = async {
        while demo.sessions.len() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // One that was not secured yet cannot say that it goes: consent for its path ends (RFC 7675 §5.1), and then patience.
    timeout(LIMIT * 5, over).await.unwrap();
    guest(address, room("one more", "late"), &[]).await.unwrap();
}

/// One whose offer was set, as the demo has it; it may have so many transceivers.
async fn offered(endpoint: &Endpoint, media: &[MediaKind], transceivers: usize) -> PeerConnection {
    let (browser, _events) = endpoint.connect(Configuration::default()).unwrap();
    for kind in media {
        browser.add_track(*kind, &["own"]).unwrap();
    }
    browser.create_data_channel("watch", DataChannelInit::default()).unwrap();
    let offer = browser.create_offer().unwrap();
    let mut configuration = Configuration::default();
    configuration.limits.max_transceivers = transceivers;
    let (connection, _events) = endpoint.connect(configuration).unwrap();
    connection.set_remote_description(offer).unwrap();
    connection
}

#[tokio::test]
async fn real_what_is_wrong_with_one_in_a_room_does_not_keep_another_out() {
    let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
    let (rooms, terminal) = (Rooms::default(), Terminal::default());
    let gone = offered(&endpoint, &BOTH, 256).await;
    // This one cannot be shown anybody.
    let full = offered(&endpoint, &BOTH, 2).await;
    let seats =
        [("gone", &gone), ("full", &full)].map(|(name, it)| rooms.join("one", name, name, it, &terminal));
    let [Ok(_gone), Err(Refused::Media(_))] = &seats else { panic!("{seats:?}") };
    gone.close();
    let full = offered(&endpoint, &BOTH, 4).await;
    let _full = rooms.join("one", "full", "full", &full, &terminal).unwrap();
    let late = offered(&endpoint, &BOTH, 256).await;
    let _late = rooms.join("one", "late", "late", &late, &terminal).unwrap();
    assert_eq!(full.connection_state(), ConnectionState::Closed, "who cannot be shown the others goes");
    assert_ne!(late.connection_state(), ConnectionState::Closed);
}

#[tokio::test]
async fn real_of_somebody_who_was_refused_nothing_is_left() {
    let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
    let (rooms, terminal) = (Rooms::default(), Terminal::default());
    let ada = offered(&endpoint, &BOTH, 256).await;
    let _ada = rooms.join("one", "Ada", "ada", &ada, &terminal).unwrap();
    let connections = || endpoint.worker_stats().iter().map(|stats| stats.connections).sum::<usize>();
    // The first that is shown has a place, and the second has none.
    let ben = offered(&endpoint, &BOTH, 3).await;
    let refused = rooms.join("one", "Ben", "ben", &ben, &terminal).unwrap_err();
    assert!(matches!(refused, Refused::Media(_)), "{refused}");
    drop(ben);
    let over = async {
        while connections() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, over).await.expect("its connection closes");
}

#[tokio::test]
async fn real_an_offer_has_as_many_sections_as_the_page_of_a_room_and_not_one_more() {
    let (demo, address) = demo(Destination::Nowhere).await;
    assert_eq!(BOTH.len() + 1, MAX_SECTIONS, "with the channel");
    guest(address, room("one", "Ada"), &BOTH).await.unwrap();
    for media in [&[MediaKind::Audio; 2][..], &[MediaKind::Video, MediaKind::Audio, MediaKind::Video]] {
        let refused = guest(address, room("one", "Ben"), media).await.map(drop).unwrap_err();
        assert!(refused.0 == 400 && refused.1.contains("one microphone"), "{refused:?}");
    }
    assert_eq!(demo.sessions.len(), 1);
}

/// Whoever does not answer would keep all that comes later from being shown.
#[tokio::test]
async fn real_an_offer_that_is_not_answered_is_the_end() {
    let (demo, address) = demo(Destination::Nowhere).await;
    let (_ada, mut socket) = silent(address, room("one", "Ada")).await;
    let _ben = guest(address, room("one", "Ben"), &BOTH).await.unwrap();
    let failed = async {
        let mut was_offered = false;
        loop {
            let said = next_text(&mut socket).await.expect("it is told");
            was_offered |= said["type"] == "offer";
            if let Some(failed) = said["failed"].as_str() {
                return (was_offered, failed.to_owned());
            }
        }
    };
    let (was_offered, failed) = timeout(LIMIT, failed).await.unwrap();
    assert!(was_offered && failed.contains("not answered within 20 seconds"), "{failed}");
    let freed = async {
        while demo.sessions.len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, freed).await.unwrap();
}
