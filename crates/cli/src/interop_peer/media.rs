//! Audio and video of the connection: what is wished for, sent and received.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerline::{
    Direction, MediaKind, OutgoingFrame, PayloadType, PeerConnection, SendEncoding, SendMediaError,
    SenderRequest, Transceiver, TransceiverId, TransceiverInit,
};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use crate::Refusal;
use crate::clips::Clip;

/// All transceivers that there have been, and what is still to become one.
#[derive(Clone, Default)]
pub(crate) struct Media {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    wishes: Vec<Wish>,
    lines: BTreeMap<TransceiverId, Line>,
}

struct Wish {
    kind: MediaKind,
    codec: Option<String>,
    direction: Direction,
    rids: Vec<String>,
}

struct Line {
    transceiver: Transceiver,
    sends: bool,
    /// What came last, by which the codec is known.
    came: Arc<Mutex<Option<PayloadType>>>,
}

impl Media {
    /// Takes a wish, which the next description carries out.
    pub(crate) fn add(&self, command: &Value) -> Result<(), Refusal> {
        let kind = kind_of(command)?;
        let codec = command["codec"].as_str().map(str::to_owned);
        if let Some(codec) = codec.as_deref().filter(|codec| Clip::of(codec).is_none()) {
            return Err(Refusal::Unsupported(format!("codec {codec}")));
        }
        let direction = match command["direction"].as_str() {
            Some("sendonly") => Direction::SendOnly,
            Some("recvonly") => Direction::RecvOnly,
            _ => Direction::SendRecv,
        };
        let rids = command["simulcast"].as_array().into_iter().flatten();
        let rids = rids.filter_map(|rid| rid.as_str().map(str::to_owned)).collect();
        self.lock().wishes.push(Wish { kind, codec, direction, rids });
        Ok(())
    }

    /// Makes a transceiver of each wish, before an offer.
    pub(crate) fn offer(&self, connection: &PeerConnection) -> Result<(), Refusal> {
        let wishes = std::mem::take(&mut self.lock().wishes);
        for wish in wishes {
            let mut init = TransceiverInit::default();
            init.direction = wish.direction;
            init.send_encodings = wish.rids.iter().filter_map(|rid| SendEncoding::named(rid)).collect();
            init.streams = vec!["interop".to_owned()];
            let transceiver = connection.add_transceiver(wish.kind, init)?;
            self.begin(transceiver, &wish)?;
        }
        Ok(())
    }

    /// Attaches wishes to sections of an offer that was set, before the answer.
    pub(crate) fn answer(&self, connection: &PeerConnection) -> Result<(), Refusal> {
        for transceiver in connection.transceivers() {
            let is_taken = self.lock().lines.get(&transceiver.id()).is_some_and(|line| line.sends);
            if transceiver.mid().is_none() || is_taken {
                continue;
            }
            let wish = {
                let wishes = &mut self.lock().wishes;
                let found = wishes.iter().position(|wish| wish.kind == transceiver.kind());
                found.map(|at| wishes.remove(at))
            };
            if let Some(wish) = wish {
                transceiver.set_direction(wish.direction)?;
                self.begin(transceiver, &wish)?;
            }
        }
        Ok(())
    }

    /// The peer sends on this transceiver: it is received, if that was not begun yet.
    pub(crate) fn receive(&self, transceiver: &Transceiver) {
        let mut state = self.lock();
        if state.lines.contains_key(&transceiver.id()) {
            return;
        }
        let line = Line { transceiver: transceiver.clone(), sends: false, came: Arc::default() };
        tokio::spawn(receive(transceiver.clone(), line.came.clone()));
        state.lines.insert(transceiver.id(), line);
    }

    /// Stops the last transceiver of a kind.
    pub(crate) fn stop(&self, command: &Value) -> Result<(), Refusal> {
        let kind = kind_of(command)?;
        let state = self.lock();
        let last = state.lines.values().rev().find(|line| {
            line.transceiver.kind() == kind && line.transceiver.direction() != Direction::Inactive
        });
        Ok(last.ok_or_else(|| Refusal::Error("there is none".to_owned()))?.transceiver.stop()?)
    }

    /// What has flowed so far.
    pub(crate) fn report(&self, connection: &PeerConnection) -> Value {
        let state = self.lock();
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        for Line { transceiver, came, .. } in state.lines.values() {
            let (kind, mid) = (transceiver.kind().name(), transceiver.mid());
            let negotiated = transceiver.negotiated();
            let codecs = negotiated.as_ref().map(|it| (it.receive(), it.send.as_slice()));
            let (receive, send) = codecs.unwrap_or_default();
            let came = *lock(came);
            let codec = receive.iter().find(|codec| Some(codec.payload_type) == came);
            for (ssrc, rid, stats) in transceiver.stream_stats() {
                incoming.push(json!({
                    "kind": kind, "codec": codec.map(|codec| &codec.name), "mid": mid,
                    "rid": rid.map(|rid| String::from_utf8_lossy(rid.as_bytes()).into_owned()), "ssrc": ssrc.0,
                    "packets": stats.packets, "bytes": stats.bytes, "frames": null, "lost": stats.lost,
                    "assembled": stats.track.frames,
                }));
            }
            let codec = send.iter().find(|codec| Clip::of(&codec.name).is_some());
            for (encoding, (stats, _)) in transceiver.encodings().iter().zip(transceiver.encoding_stats()) {
                let rid = encoding.wanted.rid;
                outgoing.push(json!({
                    "kind": kind, "codec": codec.map(|codec| &codec.name), "mid": mid,
                    "rid": rid.map(|rid| String::from_utf8_lossy(rid.as_bytes()).into_owned()),
                    "packets": stats.packets, "bytes": stats.bytes, "frames": stats.frames,
                }));
            }
        }
        // For people who look into the logs.
        let about = format!("{:?} {:?}", connection.rtp_stats(), connection.stats().ignored);
        json!({ "ev": "media", "in": incoming, "out": outgoing, "about": about })
    }

    /// Lets go of all of them.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.lines.clear();
        state.wishes.clear();
    }

    fn begin(&self, transceiver: Transceiver, wish: &Wish) -> Result<(), Refusal> {
        if let Some(wanted) = &wish.codec {
            let is_it = |codec: &peerline::Codec| codec.name.eq_ignore_ascii_case(wanted);
            transceiver.set_codec_preferences(transceiver.codecs().into_iter().filter(is_it).collect())?;
        }
        let mut state = self.lock();
        let known = state.lines.remove(&transceiver.id());
        let came = known.as_ref().map(|line| line.came.clone()).unwrap_or_default();
        if known.is_none() {
            tokio::spawn(receive(transceiver.clone(), came.clone()));
        }
        let sends = wish.direction.sends();
        if sends {
            tokio::spawn(send(transceiver.clone()));
        }
        state.lines.insert(transceiver.id(), Line { transceiver, sends, came });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Sends a clip in a loop, from its begin whenever a key frame is wanted.
async fn send(transceiver: Transceiver) {
    let mut timestamp: u32 = 0;
    loop {
        // Nothing is agreed upon before the first exchange of descriptions, and another codec may be by the next.
        let Some((payload_type, clip)) = clip_of(&transceiver) else {
            tokio::time::sleep(IDLE).await;
            if transceiver.mid().is_none() && transceiver.direction() == Direction::Inactive {
                return;
            }
            continue;
        };
        transceiver.set_codec(payload_type);
        let mut ticks = tokio::time::interval_at(Instant::now() + clip.interval, clip.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut at = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                request = transceiver.next_request() => {
                    match request {
                        Some(SenderRequest::KeyFrame { .. }) => at = 0,
                        Some(SenderRequest::Stopped { encoding, .. }) => transceiver.resume(encoding),
                        Some(_) => {}
                        None => return,
                    }
                    continue;
                }
            }
            let Some(bytes) = clip.frames.get(at) else { return };
            let frame = OutgoingFrame { bytes, timestamp, ..OutgoingFrame::default() };
            timestamp = timestamp.wrapping_add(clip.ticks);
            let count = transceiver.encodings().len();
            let sent = (0..count).map(|encoding| transceiver.write_frame(encoding, &frame));
            let failure = sent.fold(None, |failure, sent| failure.or_else(|| sent.err()));
            at = match failure {
                None | Some(SendMediaError::Inactive) => (at + 1) % clip.frames.len(),
                // A decoder needs a key frame after what was left out.
                Some(SendMediaError::Blocked | SendMediaError::NotConnected) => 0,
                Some(SendMediaError::Stopped) => return,
                Some(_) => break,
            };
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// The first codec that was agreed upon, and of which there is a clip.
fn clip_of(transceiver: &Transceiver) -> Option<(PayloadType, Clip)> {
    let sends = transceiver.current_direction().is_some_and(Direction::sends);
    let negotiated = transceiver.negotiated().filter(|_| sends)?;
    negotiated.send.iter().find_map(|codec| Some((codec.payload_type, Clip::of(&codec.name)?)))
}

/// Fetches what comes.
async fn receive(transceiver: Transceiver, came: Arc<Mutex<Option<PayloadType>>>) {
    while let Some(frame) = transceiver.recv().await {
        *lock(&came) = Some(frame.payload_type);
    }
}

fn kind_of(command: &Value) -> Result<MediaKind, Refusal> {
    match command["kind"].as_str() {
        Some("audio") => Ok(MediaKind::Audio),
        Some("video") => Ok(MediaKind::Video),
        other => Err(Refusal::Error(format!("no kind of media: {other:?}"))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait for descriptions to agree on something.
const IDLE: Duration = Duration::from_millis(20);
