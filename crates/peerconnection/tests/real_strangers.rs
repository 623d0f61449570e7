//! A server that knows its peers by nothing but what they ask for, as peers do that exchange no descriptions; and many
//! of them on one port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::{Duration, Instant};

use harness::{endpoint, within};
use peerline::{
    Certificate, Configuration, DataChannel, DataChannelInit, DtlsRole, Endpoint, Events, IceCredentials,
    IceRole, Message, PeerCertificate, PeerConnection, Stranger, TransportParameters,
};

/// The password is the ufrag, and both sides have the same, as peers of libp2p do it.
fn credentials(ufrag: &str) -> IceCredentials {
    IceCredentials::new(ufrag, ufrag).unwrap()
}

fn parameters(role: IceRole, ufrag: &str, certificate: PeerCertificate) -> TransportParameters {
    let dtls = if role == IceRole::Controlling { DtlsRole::Client } else { DtlsRole::Server };
    let mut parameters = TransportParameters::new(role, dtls, credentials(ufrag), certificate);
    parameters.local = Some(credentials(ufrag));
    parameters
}

/// A channel that both sides know without being told.
fn known() -> DataChannelInit {
    DataChannelInit { negotiated: Some(0), ..DataChannelInit::default() }
}

fn with(certificate: &Certificate) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.certificate = Some(certificate.clone());
    configuration
}

type Opened = (PeerConnection, Events, DataChannel);

fn dial(from: &Endpoint, to: &Endpoint, ufrag: &str, certificate: &Certificate, theirs: [u8; 32]) -> Opened {
    let mut parameters = parameters(IceRole::Controlling, ufrag, PeerCertificate::Sha256(theirs));
    parameters.candidates = to.local_addresses().to_vec();
    let (peer, events) = from.connect_without_sdp(with(certificate), parameters).unwrap();
    let channel = peer.create_data_channel("", known()).unwrap();
    (peer, events, channel)
}

fn answer(endpoint: &Endpoint, stranger: &Stranger, certificate: &Certificate) -> Opened {
    assert_eq!(stranger.ufrag(), stranger.remote_ufrag());
    let parameters = parameters(IceRole::Controlled, stranger.ufrag(), PeerCertificate::Any);
    let (peer, events) = endpoint.accept(stranger, with(certificate), parameters).unwrap();
    let channel = peer.create_data_channel("", known()).unwrap();
    (peer, events, channel)
}

#[tokio::test]
async fn real_a_stranger_is_told_of_and_accepted() {
    let (server, client) = (endpoint().await, endpoint().await);
    let mut strangers = server.strangers().unwrap();
    assert!(server.strangers().is_none(), "one listens");
    let [ours, theirs] = [(); 2].map(|()| Certificate::generate().unwrap());
    let ufrag = "peerline+test+v1/abcdefghijklmnop";
    let (dialler, _dialler_events, there) = dial(&client, &server, ufrag, &ours, theirs.sha256());
    let stranger = within(5, "a stranger", strangers.next()).await.unwrap();
    assert_eq!(stranger.ufrag(), ufrag);
    assert_eq!(stranger.path().local, server.local_addresses()[0]);
    let (waiter, _waiter_events, here) = answer(&server, &stranger, &theirs);
    within(5, "to open", here.opened()).await.unwrap();
    here.send("who are you?").await.unwrap();
    assert_eq!(within(5, "a message", there.recv()).await, Some(Message::Text("who are you?".to_owned())));
    assert_eq!(waiter.peer_certificate().as_deref(), Some(ours.der()));
    assert_eq!(dialler.peer_certificate().as_deref(), Some(theirs.der()));
    drop(stranger);
    let quiet = tokio::time::timeout(Duration::from_millis(200), strangers.next()).await;
    assert!(quiet.is_err(), "who was accepted is no stranger");
    // The strangers end with their endpoint.
    drop((dialler, waiter, here, there, server));
    assert!(within(5, "the end", strangers.next()).await.is_none());
}

#[tokio::test]
async fn real_another_certificate_than_the_known_one_is_refused() {
    let (server, client) = (endpoint().await, endpoint().await);
    let mut strangers = server.strangers().unwrap();
    let [ours, theirs] = [(); 2].map(|()| Certificate::generate().unwrap());
    let ufrag = "peerline+test+v1/abcdefghijklmnop";
    let (dialler, _dialler_events, there) = dial(&client, &server, ufrag, &ours, ours.sha256());
    let stranger = within(5, "a stranger", strangers.next()).await.unwrap();
    let (_waiter, _waiter_events, _here) = answer(&server, &stranger, &theirs);
    within(5, "to fail", there.opened()).await.unwrap_err();
    assert_eq!(dialler.peer_certificate(), None);
}

/// A thousand connections on one port, each from a socket of its own, all at the same time; every one carries a
/// message both ways. What that takes of time is printed.
#[tokio::test]
async fn real_a_thousand_share_one_port() {
    let server = Endpoint::builder().address([127, 0, 0, 1].into()).max_strangers(1000).bind().await.unwrap();
    let mut strangers = server.strangers().unwrap();
    let [ours, theirs] = [(); 2].map(|()| Certificate::generate().unwrap());
    let start = Instant::now();
    let accept = async {
        let mut all = Vec::new();
        for _ in 0..COUNT {
            let stranger = strangers.next().await.unwrap();
            let (peer, events, channel) = answer(&server, &stranger, &theirs);
            let echo = async move {
                channel.opened().await.unwrap();
                let message = channel.recv().await.unwrap();
                channel.send(message).await.unwrap();
                (peer, events, channel)
            };
            all.push(tokio::spawn(echo));
        }
        all
    };
    let dialled = async {
        let mut all = Vec::new();
        for number in 0..COUNT {
            let client = endpoint().await;
            let ufrag = format!("peerline+test+v1/stranger{number:08}");
            let (peer, events, channel) = dial(&client, &server, &ufrag, &ours, theirs.sha256());
            let talk = async move {
                channel.send(ufrag.as_str()).await.unwrap();
                let echo = channel.recv().await;
                assert_eq!(echo, Some(Message::Text(ufrag)));
                (client, peer, events, channel)
            };
            all.push(tokio::spawn(talk));
        }
        all
    };
    let both = async {
        let (accepted, dialled) = tokio::join!(accept, dialled);
        let mut open = Vec::new();
        for talk in dialled {
            open.push(talk.await.unwrap());
        }
        for echo in accepted {
            let (peer, events, channel) = echo.await.unwrap();
            drop(events);
            assert!(peer.peer_certificate().as_deref() == Some(ours.der()));
            drop((peer, channel));
        }
        open.len()
    };
    let open = within(120, "a thousand connections", both).await;
    assert_eq!((open, server.local_addresses().len(), strangers.turned_away()), (COUNT, 1, 0));
    println!("{COUNT} connections on one port, set up and used in {:.1} s", start.elapsed().as_secs_f64());
}

const COUNT: usize = 1000;
