//! The demo over real sockets of the loopback: its HTTP side by itself, and a peer of ours in a browser's place.

mod guests;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerline::{
    Configuration, ConnectionState, DataChannel, DataChannelInit, Description, Endpoint, Event, Events,
    IceCandidate, Message, PeerConnection,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::destination::Destination;
use super::relay::Relay;
use super::server::{Demo, router};
use super::sessions::{MAX_SESSIONS, Sessions};
use super::terminal::Terminal;
use super::upload::hex;

/// A demo that serves on a port of the loopback.
async fn demo(destination: Destination) -> (Arc<Demo>, SocketAddr) {
    demo_with(destination, None).await
}

async fn demo_with(destination: Destination, relay: Option<Relay>) -> (Arc<Demo>, SocketAddr) {
    let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
    let demo = Arc::new(Demo::new(endpoint, Sessions::default(), Terminal::default(), destination, relay));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router(demo.clone())).into_future());
    (demo, address)
}

/// Status and body of a request: a POST of `body` if there is one.
async fn request(address: SocketAddr, path: &str, body: Option<String>) -> (u16, String) {
    let url = format!("http://{address}{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut answer = match body {
            Some(body) => agent.post(url).header("content-type", "application/json").send(body).unwrap(),
            None => agent.get(url).call().unwrap(),
        };
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    });
    asked.await.unwrap()
}

async fn refusal(address: SocketAddr, path: &str, body: Option<String>) -> (u16, String) {
    let (status, body) = request(address, path, body).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (status, body["error"].as_str().unwrap().to_owned())
}

/// A peer in a browser's place, with its offer.
async fn browser() -> (PeerConnection, Events, Description) {
    browser_with(Configuration::default()).await
}

async fn browser_with(configuration: Configuration) -> (PeerConnection, Events, Description) {
    let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
    let (peer, events) = endpoint.connect(configuration).unwrap();
    peer.create_data_channel("chat", DataChannelInit::default()).unwrap();
    let offer = peer.create_offer().unwrap();
    peer.set_local_description(offer.clone()).unwrap();
    (peer, events, offer)
}

fn offer_text(offer: &Description) -> String {
    json!({ "type": "offer", "page": "data", "sdp": offer.sdp.to_string() }).to_string()
}

#[tokio::test]
async fn real_the_page_is_served() {
    let (_demo, address) = demo(Destination::Nowhere).await;
    for (path, within) in [
        ("/", "Peerline demo</title>"),
        ("/call", "What comes back"),
        ("/room", "Come in"),
        ("/style.css", "--accent"),
        ("/demo.js", "RTCPeerConnection"),
        ("/call.js", "ofBrowser"),
        ("/room.js", "sendEncodings"),
        ("/meeting.js", "/api/offer"),
        ("/figures.js", "inbound-rtp"),
        ("/plot.js", "class Plot"),
    ] {
        let (status, body) = request(address, path, None).await;
        assert!(status == 200 && body.contains(within), "{path}: {status}");
    }
    assert_eq!(request(address, "/nothing", None).await.0, 404);
}

#[tokio::test]
async fn real_what_is_no_offer_is_refused_with_its_line() {
    let (demo, address) = demo(Destination::Nowhere).await;
    let (_peer, _events, offer) = browser().await;
    let text = offer.sdp.to_string();
    // The line of the media section is given a port that is none.
    let broken: Vec<String> =
        text.lines().map(|line| line.replace("m=application 9 ", "m=application x ")).collect();
    let number = broken.iter().position(|line| line.starts_with("m=")).unwrap() + 1;
    let broken = broken.join("\r\n") + "\r\n";
    let without_print: String = text
        .lines()
        .filter(|line| !line.starts_with("a=fingerprint"))
        .flat_map(|line| [line, "\r\n"])
        .collect();
    for (body, status, needle) in [
        ("{".to_owned(), 400, "application/json"),
        ("{}".to_owned(), 422, "type"),
        (json!({ "type": "answer", "page": "data", "sdp": text }).to_string(), 400, "an offer is needed"),
        (json!({ "type": "offer", "page": "data", "sdp": "nonsense" }).to_string(), 400, "line 1:"),
        (
            json!({ "type": "offer", "page": "data", "sdp": broken }).to_string(),
            400,
            &format!("line {number}:"),
        ),
        (json!({ "type": "offer", "page": "data", "sdp": without_print }).to_string(), 400, "fingerprint"),
    ] {
        let (found, error) = refusal(address, "/api/offer", Some(body)).await;
        assert!(found == status && error.contains(needle), "{found} {error}, not {status} {needle}");
    }
    // 256 KiB, and one byte more.
    for (bytes, status) in [(262_144, 400), (262_145, 413)] {
        assert_eq!(request(address, "/api/offer", Some(" ".repeat(bytes))).await.0, status);
    }
    assert_eq!(demo.sessions.len(), 0, "a refused offer takes no place");
}

#[tokio::test]
async fn real_candidates_need_a_session_and_one_websocket() {
    let (_demo, address) = demo(Destination::Nowhere).await;
    let (status, error) = refusal(address, "/api/candidates/unknown", None).await;
    assert!(status == 400 && error.contains("WebSocket"), "{status} {error}");
    assert_eq!(websocket(address, "unknown").await.unwrap_err(), 404);

    let (_peer, _events, offer) = browser().await;
    let (status, answer) = request(address, "/api/offer", Some(offer_text(&offer))).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let id = answer["id"].as_str().unwrap();
    let _first = websocket(address, id).await.unwrap();
    assert_eq!(websocket(address, id).await.unwrap_err(), 409);
}

#[tokio::test]
async fn real_places_are_limited_and_freed() {
    let (demo, address) = demo(Destination::Nowhere).await;
    let places: Vec<_> = (0..MAX_SESSIONS).map(|n| demo.sessions.reserve(n.to_string()).unwrap()).collect();
    let (_peer, _events, offer) = browser().await;
    let (status, error) = refusal(address, "/api/offer", Some(offer_text(&offer))).await;
    assert!(status == 503 && error.contains("try again"), "{status} {error}");
    drop(places);
    assert_eq!(request(address, "/api/offer", Some(offer_text(&offer))).await.0, 200);
    assert_eq!(demo.sessions.len(), 1);
    demo.sessions.close_all().await;
    let freed = async {
        while demo.sessions.len() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, freed).await.unwrap();
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The WebSocket of a session, or the status of the refusal.
async fn websocket(address: SocketAddr, id: &str) -> Result<Socket, u16> {
    match tokio_tungstenite::connect_async(format!("ws://{address}/api/candidates/{id}")).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(refused)) => Err(refused.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next_text(socket: &mut Socket) -> Option<Value> {
    use futures_core::Stream;
    loop {
        let message =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut *socket).poll_next(cx)).await?.ok()?;
        if let tungstenite::Message::Text(text) = message {
            return Some(serde_json::from_str(&text).unwrap());
        }
    }
}

async fn send_text(socket: &mut Socket, text: String) {
    use futures_sink::Sink;
    let message = tungstenite::Message::text(text);
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *socket).poll_ready(cx)).await.unwrap();
    std::pin::Pin::new(&mut *socket).start_send(message).unwrap();
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *socket).poll_flush(cx)).await.unwrap();
}

/// Plays the page: offer, candidates both ways, until connected; or what the demo says of the failure.
async fn meet(
    address: SocketAddr,
    peer: &PeerConnection,
    events: &mut Events,
    offer: String,
) -> Result<Socket, Value> {
    let (status, answer) = request(address, "/api/offer", Some(offer)).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut socket = websocket(address, answer["id"].as_str().unwrap()).await.unwrap();
    peer.set_remote_description(Description::answer(answer["sdp"].as_str().unwrap()).unwrap()).unwrap();
    let mut theirs = 0;
    let mut gone = false;
    loop {
        tokio::select! {
            event = events.next(), if !gone => {
                if let Some(Event::ConnectionState(ConnectionState::Connected)) = event {
                    assert!(theirs > 0, "the demo trickled nothing");
                    return Ok(socket);
                }
                gone = event.is_none();
                if let Some(Event::IceCandidate(candidate)) = event {
                    let found = candidate.unwrap_or_default();
                    let text = json!({
                        "candidate": found.candidate,
                        "sdpMid": found.sdp_mid,
                        "sdpMLineIndex": found.sdp_m_line_index,
                        "usernameFragment": found.username_fragment,
                    });
                    send_text(&mut socket, text.to_string()).await;
                }
            }
            found = next_text(&mut socket) => {
                let found = found.expect("neither connected nor failed");
                if found["failed"].is_string() {
                    return Err(found);
                }
                let text = |name: &str| found[name].as_str().map(str::to_owned);
                let candidate = IceCandidate {
                    candidate: text("candidate").unwrap_or_else(|| panic!("no candidate: {found}")),
                    sdp_mid: text("sdpMid"),
                    sdp_m_line_index: found["sdpMLineIndex"].as_u64().and_then(|n| n.try_into().ok()),
                    username_fragment: text("usernameFragment"),
                };
                theirs += usize::from(!candidate.candidate.is_empty());
                peer.add_ice_candidate(&candidate).unwrap();
            }
        }
    }
}

async fn connect(address: SocketAddr) -> (PeerConnection, DataChannel) {
    let (peer, mut events, offer) = browser().await;
    let chat = peer.create_data_channel("chat", DataChannelInit::default()).unwrap();
    let mut socket = meet(address, &peer, &mut events, offer_text(&offer)).await.unwrap();
    // A candidate that is none is answered, and does no harm.
    send_text(&mut socket, "nonsense".to_owned()).await;
    while next_text(&mut socket).await.expect("an answer")["error"].is_null() {}
    (peer, chat)
}

/// With a TURN server the page may use nothing else, and chats all the same; what it had is given back.
#[tokio::test]
async fn real_a_page_that_may_only_use_the_relay_talks_through_it() {
    let relay = Relay::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (demo, address) = demo_with(Destination::Nowhere, Some(relay)).await;
    let (status, said) = request(address, "/api/servers", None).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    let text = |name: &str| said["turn"][name].as_str().unwrap().to_owned();
    assert_eq!((status, text("credential").len()), (200, 32));
    let mut configuration = Configuration::default();
    configuration.ice_transport_policy = peerline::IceTransportPolicy::Relay;
    let url = format!("turn:127.0.0.1:{}?transport=udp", said["turn"]["port"]);
    configuration
        .ice_servers
        .push(peerline::IceServer::new(url).credentials(&text("username"), &text("credential")));
    let (peer, mut events, offer) = browser_with(configuration).await;
    let chat = peer.create_data_channel("chat", DataChannelInit::default()).unwrap();
    let meeting = timeout(LIMIT, meet(address, &peer, &mut events, offer_text(&offer))).await.unwrap();
    assert!(meeting.is_ok(), "{meeting:?}");
    chat.send("through the relay").await.unwrap();
    let echo = timeout(LIMIT, chat.recv()).await.unwrap();
    assert!(matches!(&echo, Some(Message::Text(text)) if text.contains("through the relay")), "{echo:?}");
    let relay = demo.relay.as_ref().unwrap();
    let stats = relay.stats().await;
    assert!(stats.turn.to_peers > 0 && stats.turn.allocations > 0, "{stats:?}");
    peer.close();
    let given_back = async {
        while relay.stats().await.turn.allocations > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, given_back).await.unwrap();
}

#[tokio::test]
async fn real_without_a_relay_the_page_is_told_so() {
    let (_demo, address) = demo(Destination::Nowhere).await;
    let (status, said) = request(address, "/api/servers", None).await;
    assert_eq!((status, said.as_str()), (200, r#"{"keeps":false,"turn":null}"#));
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let problem = Relay::start(taken.local_addr().unwrap()).await.unwrap_err().to_string();
    assert!(problem.contains("in use") && problem.contains("`--turn`"), "{problem}");
}

#[tokio::test]
async fn real_a_failure_is_reported_and_frees_the_place() {
    let (demo, address) = demo(Destination::Nowhere).await;
    let (peer, mut events, offer) = browser().await;
    // The certificate that the peer shows is not the one that this names.
    let text = offer.sdp.to_string();
    let at = text.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let other = if text[at..].starts_with('0') { "1" } else { "0" };
    let forged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
    let forged = json!({ "type": "offer", "page": "data", "sdp": forged }).to_string();
    let failed = timeout(LIMIT, meet(address, &peer, &mut events, forged)).await.unwrap().unwrap_err();
    assert!(failed["failed"].as_str().unwrap().contains("certificate"), "{failed}");
    assert!(failed["report"].as_str().unwrap().contains("connection: failed"), "{failed}");
    let freed = async {
        while demo.sessions.len() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, freed).await.unwrap();
}

async fn next_json(channel: &DataChannel) -> Value {
    match channel.recv().await.expect("still open") {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        Message::Binary(_) => panic!("text was expected"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_chat_is_echoed_and_uploads_are_hashed_and_kept() {
    let folder = std::env::temp_dir().join(format!("peerline-uploads-{}", std::process::id()));
    let (demo, address) = demo(Destination::folder(folder.clone()).unwrap()).await;
    let talk = async {
        let (peer, chat) = connect(address).await;
        chat.send("hello").await.unwrap();
        assert_eq!(chat.recv().await, Some(Message::Text("hello".into())));

        let bytes: Vec<u8> = (0_u32..1_250_000).flat_map(u32::to_le_bytes).collect();
        let channel = peer.create_data_channel("upload-1", DataChannelInit::default()).unwrap();
        channel.send(json!({ "name": "../numbers.bin", "size": bytes.len() }).to_string()).await.unwrap();
        for chunk in bytes.chunks(64 * 1024) {
            channel.send(chunk.to_vec()).await.unwrap();
        }
        let mut reports = 0;
        let hash = loop {
            let answer = next_json(&channel).await;
            assert!(answer["received"].as_u64().unwrap() <= 5_000_000);
            reports += 1;
            if let Some(hash) = answer["sha256"].as_str() {
                break hash.to_owned();
            }
        };
        assert_eq!(hash, hex(&Sha256::digest(&bytes)));
        assert!(reports > 4, "{reports} reports for five MB");
        assert_eq!(timeout(PROMPT, channel.recv()).await, Ok(None), "the demo closes the channel");
        assert_eq!(std::fs::read(folder.join("numbers.bin")).unwrap(), bytes);

        let empty = peer.create_data_channel("upload-2", DataChannelInit::default()).unwrap();
        empty.send(json!({ "name": "empty", "size": 0 }).to_string()).await.unwrap();
        assert_eq!(next_json(&empty).await["sha256"], hex(&Sha256::digest([])));

        for (name, header, bytes, error) in [
            ("upload-3", json!({ "name": "a", "size": 5_u64 << 30 }).to_string(), 0, "are more than"),
            ("upload-4", "nonsense".to_owned(), 0, "first message"),
            ("upload-5", json!({ "name": "a", "size": 2 }).to_string(), 3, "announced"),
        ] {
            let channel = peer.create_data_channel(name, DataChannelInit::default()).unwrap();
            channel.send(header).await.unwrap();
            if bytes > 0 {
                channel.send(vec![0; bytes]).await.unwrap();
            }
            let answer = next_json(&channel).await;
            assert!(answer["error"].as_str().unwrap().contains(error), "{answer}");
            assert_eq!(timeout(PROMPT, channel.recv()).await, Ok(None), "the demo closes the channel");
        }
        let mut kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        kept.sort();
        assert_eq!(kept, ["empty", "numbers.bin"], "what broke is not kept");

        peer.close();
        while demo.sessions.len() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = timeout(LIMIT, talk).await;
    std::fs::remove_dir_all(&folder).unwrap();
    done.unwrap();
}

#[tokio::test]
async fn real_a_taken_port_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let options = super::Options { listen, stun: Vec::new(), turn: None, save: None };
    let problem = super::run(options).await.unwrap_err().to_string();
    assert!(problem.contains(&format!("port {}", listen.port())), "{problem}");
    assert!(problem.contains("--listen 127.0.0.1:0"), "{problem}");
}

/// Less than any timer of ICE: what waits for one was not told to go on.
const PROMPT: Duration = Duration::from_secs(2);
/// What takes longer has hung.
const LIMIT: Duration = Duration::from_secs(30);
