use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerline::{MediaKind, RtpPacket, SendEncoding, SenderRequest, StreamId, Transceiver};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::lock;
use crate::demo::layers::{Layer, Layers};

/// What somebody sends: a microphone or a camera.
#[derive(Debug)]
pub(super) struct Source {
    transceiver: Transceiver,
    sinks: Mutex<Vec<Arc<Sink>>>,
    layers: Mutex<Layers>,
}

/// One to whom it goes.
#[derive(Debug)]
pub(super) struct Sink {
    viewer: String,
    screen: Transceiver,
    choice: Mutex<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    /// The stream that it gets, and the one that it shall get from its next key frame on.
    current: Option<StreamId>,
    wanted: Option<StreamId>,
    /// What there is room for, and what is wanted at most.
    target: u64,
    limit: Option<u64>,
    /// What the estimate was last told that it can use.
    claimed: u64,
}

impl Source {
    pub(super) fn new(transceiver: Transceiver) -> Self {
        let layers = Mutex::new(Layers::new(Instant::now()));
        Self { transceiver, sinks: Mutex::default(), layers }
    }

    pub(super) const fn kind(&self) -> MediaKind {
        self.transceiver.kind()
    }

    /// Goes to somebody else, too.
    pub(super) fn add(self: &Arc<Self>, sink: Sink) {
        let sink = Arc::new(sink);
        lock(&self.sinks).push(sink.clone());
        // It ends with the transceiver, or its connection.
        tokio::spawn(heed(self.clone(), sink));
    }

    /// Does not go to somebody any more, who has gone.
    pub(super) fn remove(&self, viewer: &str) {
        lock(&self.sinks).retain(|sink| sink.viewer != viewer);
    }

    /// Goes to nobody any more.
    pub(super) fn close(&self) {
        for sink in lock(&self.sinks).drain(..) {
            // Its connection may be closed as well.
            let _ = sink.screen.stop();
        }
    }

    /// Somebody wants no more than this of it, in bit/s.
    pub(super) fn limit(&self, viewer: &str, bitrate: Option<u64>) {
        let sink = lock(&self.sinks).iter().find(|sink| sink.viewer == viewer).cloned();
        if let Some(sink) = sink {
            lock(&sink.choice).limit = bitrate;
        }
    }

    /// What somebody gets of it.
    pub(super) fn news(&self, viewer: &str) -> Option<Value> {
        let sink = lock(&self.sinks).iter().find(|sink| sink.viewer == viewer).cloned()?;
        let layers = lock(&self.layers);
        let (current, target) = {
            let choice = lock(&sink.choice);
            (choice.current, choice.target)
        };
        let name = |layer: &Layer| layer.rid.map(|rid| String::from_utf8_lossy(rid.as_bytes()).into_owned());
        let all = layers.all().iter();
        let all: Vec<Value> = all
            .map(|layer| json!({ "rid": name(layer), "rate": layer.rate, "shown": Some(layer.stream) == current }))
            .collect();
        Some(json!({ "layers": all, "target": target }))
    }

    /// Forwards until the transceiver ends.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = interval(CHOOSE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                packet = self.transceiver.recv_rtp() => {
                    let Some(packet) = packet else { break };
                    self.forward(&packet);
                }
                _ = ticks.tick() => self.choose(),
            }
        }
    }

    fn forward(&self, packet: &RtpPacket) {
        lock(&self.layers).count(Instant::now(), packet.stream, packet.rid, packet.bytes().len());
        // Whether it begins a key frame is looked up once, if at all.
        let mut begins = None;
        for sink in &*lock(&self.sinks) {
            let mut choice = lock(&sink.choice);
            if choice.current != Some(packet.stream) {
                let is_wanted = choice.wanted == Some(packet.stream);
                if !is_wanted || !*begins.get_or_insert_with(|| packet.begins_key_frame()) {
                    continue;
                }
            }
            // A change counts once its first packet is on its way; what does not fit the path is asked for again.
            if sink.screen.write_rtp(0, packet).is_ok() {
                choice.current = Some(packet.stream);
            }
        }
    }

    /// Chooses for everybody what fits, and has a change begin with a key frame.
    fn choose(&self) {
        let mut layers = lock(&self.layers);
        layers.measure(Instant::now());
        let mut asked = Vec::new();
        for sink in &*lock(&self.sinks) {
            let mut choice = lock(&sink.choice);
            let is_there = choice.current.filter(|stream| layers.all().iter().any(|it| it.stream == *stream));
            // Nothing is claimed of audio, of which there is but one stream.
            let target = if self.kind() == MediaKind::Audio { u64::MAX } else { choice.target };
            choice.wanted = layers.choose(target, is_there).map(|layer| layer.stream);
            if choice.wanted != choice.current && self.kind() == MediaKind::Video {
                asked.extend(choice.wanted.filter(|_| sink.screen.current_direction().is_some()));
            }
            if self.kind() == MediaKind::Video {
                sink.claim(&mut choice, layers.largest());
            }
        }
        drop(layers);
        asked.sort_unstable();
        asked.dedup();
        asked.into_iter().for_each(|stream| self.transceiver.request_key_frame(stream));
    }
}

impl Sink {
    pub(super) fn new(viewer: String, screen: Transceiver) -> Self {
        Self { viewer, screen, choice: Mutex::default() }
    }

    /// Tells what the largest stream takes, and what is wanted at most: the estimate does not look for more than that.
    fn claim(&self, choice: &mut Choice, largest: u64) {
        let most = largest.saturating_add(largest / 4).max(MIN_CLAIM);
        let most = choice.limit.map_or(most, |limit| most.min(limit));
        if most.abs_diff(choice.claimed) <= choice.claimed / 8 {
            return;
        }
        let mut wanted: Vec<SendEncoding> = self.screen.encodings().into_iter().map(|it| it.wanted).collect();
        if let [only] = wanted.as_mut_slice() {
            only.max_bitrate = Some(most);
            // One that is stopped needs nothing.
            if self.screen.set_encodings(wanted).is_ok() {
                choice.claimed = most;
            }
        }
    }
}

/// Does what the peer and the path want of what goes to somebody.
async fn heed(source: Arc<Source>, sink: Arc<Sink>) {
    while let Some(request) = sink.screen.next_request().await {
        match request {
            SenderRequest::KeyFrame { .. } => {
                let current = lock(&sink.choice).current;
                current.into_iter().for_each(|stream| source.transceiver.request_key_frame(stream));
            }
            SenderRequest::TargetRate { bitrate, .. } => lock(&sink.choice).target = bitrate,
            // RFC 8083 §4.5: the path may be another one by then.
            SenderRequest::Stopped { encoding, .. } => {
                tokio::time::sleep(BREAK).await;
                sink.screen.resume(encoding);
            }
            _ => {}
        }
    }
}

/// How often it is looked at who gets what.
const CHOOSE_EVERY: Duration = Duration::from_millis(250);
/// What a video may claim at least, in bit/s: it comes to nothing before it has begun.
const MIN_CLAIM: u64 = 300_000;
/// How long a stream rests that did harm.
const BREAK: Duration = Duration::from_secs(5);
