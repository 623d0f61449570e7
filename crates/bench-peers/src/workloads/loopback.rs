//! Over UDP on loopback: both ends in one process, on a runtime of one thread, kernel included.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerline::{Configuration, DataChannel, DataChannelInit, Endpoint, Event, Message, PeerConnection};
use tokio::runtime::{Builder, Runtime as Tokio};
use webrtc::data_channel::{DataChannel as WebrtcChannel, DataChannelEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection as WebrtcConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCConfigurationBuilder, RTCIceGatheringState, Registry, register_default_interceptors,
};
use webrtc::runtime::{Runtime, Sender, channel, default_runtime};

use crate::measure::{Digest, Effort, Figure, OURS, Side, in_turn, messages, process_cpu};

pub(super) fn cpu_per_gigabyte(effort: Effort) -> Vec<Figure> {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A transfer as long as it takes webrtc to leave its slow start behind.
    let mib = if effort.sample_ms < 50 { 8 } else { 48 };
    let count = (mib << 20) / SIZE;
    in_turn(
        effort,
        vec![
            Side::new("Peerline", OURS, |_| per_gigabyte(count, ours(&runtime, count))),
            Side::new("webrtc", "webrtc", |_| per_gigabyte(count, theirs(&runtime, count))),
        ],
    )
}

fn per_gigabyte(count: usize, nanoseconds: u64) -> f64 {
    nanoseconds as f64 / (count * SIZE) as f64
}

/// CPU time of the process for `count` messages.
fn ours(runtime: &Tokio, count: usize) -> u64 {
    runtime.block_on(async {
        // The connections live until everything has arrived.
        let (a, b, ours, theirs) = connect().await;
        let start = process_cpu();
        let sender = tokio::spawn(async move {
            let messages = messages(SIZE);
            let mut sent = Digest::default();
            for message in messages.iter().cycle().take(count) {
                ours.send(Message::Binary(message.clone())).await.expect("it is open");
                sent.add(message);
            }
            sent
        });
        let mut received = Digest::default();
        for _ in 0..count {
            let message = theirs.recv().await.expect("it is open");
            received.add(message.as_bytes());
        }
        let spent = process_cpu() - start;
        assert_eq!(sender.await.expect("it does not panic"), received);
        a.close();
        b.close();
        spent
    })
}

async fn connect() -> (PeerConnection, PeerConnection, DataChannel, DataChannel) {
    let bind = || Endpoint::builder().address([127, 0, 0, 1].into()).bind();
    let (here, there) = (bind().await.expect("a socket"), bind().await.expect("a socket"));
    let (a, mut from_a) = here.connect(Configuration::default()).expect("a connection");
    let (b, mut from_b) = there.connect(Configuration::default()).expect("a connection");
    let ours = a.create_data_channel("bench", DataChannelInit::default()).expect("a channel");
    let offer = a.create_offer().expect("an offer");
    a.set_local_description(offer.clone()).expect("as created");
    b.set_remote_description(offer).expect("an offer of ours");
    let answer = b.create_answer().expect("an answer");
    b.set_local_description(answer.clone()).expect("as created");
    a.set_remote_description(answer).expect("an answer of ours");
    loop {
        tokio::select! {
            Some(event) = from_a.next() => if let Event::IceCandidate(Some(found)) = event {
                b.add_ice_candidate(&found).expect("a candidate");
            },
            Some(event) = from_b.next() => if let Event::IceCandidate(Some(found)) = event {
                a.add_ice_candidate(&found).expect("a candidate");
            } else if let Event::DataChannel(theirs) = event {
                return (a, b, ours, theirs);
            },
        }
    }
}

struct Handler {
    runtime: Arc<dyn Runtime>,
    gathered: Sender<()>,
    count: u64,
    received: Arc<Mutex<Digest>>,
    done: Sender<()>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn WebrtcChannel>) {
        let (count, received, done) = (self.count, self.received.clone(), self.done.clone());
        self.runtime.spawn(Box::pin(async move {
            while let Some(event) = channel.poll().await {
                if let DataChannelEvent::OnMessage(message) = event {
                    let mut received = received.lock().expect("no panic");
                    received.add(&message.data);
                    if received.messages == count {
                        let _ = done.try_send(());
                    }
                }
            }
        }));
    }
}

async fn webrtc(runtime: &Arc<dyn Runtime>, handler: Handler) -> Arc<dyn WebrtcConnection> {
    let mut media = MediaEngine::default();
    media.register_default_codecs().expect("codecs");
    let registry = register_default_interceptors(Registry::new(), &mut media).expect("interceptors");
    let connection = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(handler) as Arc<dyn PeerConnectionEventHandler>)
        .with_runtime(runtime.clone())
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
        .with_data_channel_send_buffer_limit(1 << 20)
        .build()
        .await;
    Arc::new(connection.expect("a connection"))
}

fn theirs(runtime: &Tokio, count: usize) -> u64 {
    runtime.block_on(async {
        let runtime = default_runtime().expect("a runtime");
        let received = Arc::new(Mutex::new(Digest::default()));
        let (done_in, mut done) = channel::<()>(1);
        let (a_in, mut a_gathered) = channel::<()>(1);
        let (b_in, mut b_gathered) = channel::<()>(1);
        let handler = |gathered| Handler {
            runtime: runtime.clone(),
            gathered,
            count: count as u64,
            received: received.clone(),
            done: done_in.clone(),
        };
        let a = webrtc(&runtime, handler(a_in)).await;
        let b = webrtc(&runtime, handler(b_in)).await;
        let outgoing = a.create_data_channel("bench", None).await.expect("a channel");
        let offer = a.create_offer(None).await.expect("an offer");
        a.set_local_description(offer).await.expect("as created");
        a_gathered.recv().await;
        let offer = a.local_description().await.expect("an offer");
        b.set_remote_description(offer).await.expect("it fits");
        let answer = b.create_answer(None).await.expect("an answer");
        b.set_local_description(answer).await.expect("as created");
        b_gathered.recv().await;
        let answer = b.local_description().await.expect("an answer");
        a.set_remote_description(answer).await.expect("it fits");
        while !matches!(outgoing.poll().await.expect("not closed"), DataChannelEvent::OnOpen) {}
        let messages: Vec<Bytes> = messages(SIZE);
        let mut sent = Digest::default();
        let start = process_cpu();
        for message in messages.iter().cycle().take(count) {
            outgoing.send(BytesMut::from(&message[..])).await.expect("it is open");
            sent.add(message);
        }
        tokio::time::timeout(Duration::from_secs(60), done.recv()).await.expect("in time");
        let spent = process_cpu() - start;
        assert_eq!(*received.lock().expect("no panic"), sent);
        let _ = (a.close().await, b.close().await);
        spent
    })
}

const SIZE: usize = 16 << 10;
