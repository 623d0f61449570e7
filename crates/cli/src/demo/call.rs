//! A call with the process: what the browser sends comes back as packets, and is recorded if that is wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use peerline::{ConnectionState, MediaKind, Output, PeerConnection, SenderRequest, StreamId, Transceiver};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::recording::{Problem, Recorder, Summary};
use super::server::Demo;
use super::sessions::Signal;

/// The call of one browser.
#[derive(Debug)]
pub(crate) struct Call {
    lines: Vec<Line>,
    recorder: Arc<Recorder>,
}

/// A microphone or a camera.
#[derive(Clone, Debug)]
struct Line {
    transceiver: Transceiver,
    /// Which stream came last: a browser that begins anew has another.
    stream: Arc<AtomicU32>,
}

impl Call {
    /// Takes what an offer has that was set: one microphone and one camera, both ways.
    pub(crate) fn accept(connection: &PeerConnection) -> Result<Self, peerline::Error> {
        let mut lines = Vec::new();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            if connection.transceivers().iter().any(|offered| offered.kind() == kind) {
                lines.push(Line {
                    transceiver: connection.add_track(kind, &["echo"])?,
                    stream: Arc::default(),
                });
            }
        }
        Ok(Self { lines, recorder: Arc::default() })
    }

    /// Sends everything back until the tasks are ended.
    pub(crate) fn run(&self, tasks: &mut JoinSet<()>) {
        for line in &self.lines {
            line.transceiver.set_output(Output::Both);
            tasks.spawn(echo(line.clone()));
            tasks.spawn(heed(line.clone()));
            tasks.spawn(listen(line.transceiver.clone(), self.recorder.clone()));
        }
        if let [one, other] = self.lines.as_slice() {
            tasks.spawn(synchronize(one.transceiver.clone(), other.transceiver.clone()));
        }
    }

    /// Begins or ends a recording, of which the page is told.
    pub(crate) fn record(
        &self,
        demo: &Arc<Demo>,
        name: &str,
        connection: &PeerConnection,
        signals: &mpsc::Sender<Signal>,
        wanted: bool,
    ) {
        if !wanted {
            return self.recorder.stop();
        }
        if connection.connection_state() != ConnectionState::Connected {
            return tell(signals, &refused(&Problem::NotConnected));
        }
        let has_video = self.video().is_some_and(|video| !video.transceiver.stream_stats().is_empty());
        let (demo, name, signals) = (demo.clone(), name.to_owned(), signals.clone());
        let recording = match self.recorder.start(&demo.destination, &format!("call-{name}"), has_video) {
            Ok(recording) => recording,
            Err(problem) => return tell(&signals, &refused(&problem)),
        };
        self.video().into_iter().for_each(Line::refresh);
        tell(&signals, &json!({ "recording": { "state": "running" } }));
        // It goes on after the call until the file is whole.
        tokio::spawn(async move {
            match recording.await {
                Ok(summary) => {
                    demo.terminal.say(&format!("{name}: {}", line_of(&summary)));
                    tell(&signals, &ended(&summary));
                }
                Err(problem) => {
                    demo.terminal.say(&format!("{name}: not recorded: {problem}"));
                    tell(&signals, &refused(&problem));
                }
            }
        });
    }

    fn video(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.transceiver.kind() == MediaKind::Video)
    }
}

impl Line {
    /// Has it go on with a key frame.
    fn refresh(&self) {
        self.transceiver.request_key_frame(StreamId(self.stream.load(Ordering::Relaxed)));
    }
}

/// Each packet goes back to where it came from.
async fn echo(line: Line) {
    while let Some(packet) = line.transceiver.recv_rtp().await {
        line.stream.store(packet.stream.0, Ordering::Relaxed);
        // What the path does not take is asked for again, as what it loses.
        let _ = line.transceiver.write_rtp(0, &packet);
    }
}

/// Does what the browser wants of what comes back.
async fn heed(line: Line) {
    while let Some(request) = line.transceiver.next_request().await {
        match request {
            SenderRequest::KeyFrame { .. } => line.refresh(),
            // RFC 8083 §4.5: the path may be another one by then.
            SenderRequest::Stopped { encoding, .. } => {
                tokio::time::sleep(BREAK).await;
                line.transceiver.resume(encoding);
            }
            SenderRequest::TargetRate { .. } | _ => {}
        }
    }
}

/// Frames go to whoever records.
async fn listen(line: Transceiver, recorder: Arc<Recorder>) {
    while let Some(frame) = line.recv().await {
        recorder.take(line.kind(), &frame);
    }
}

async fn synchronize(one: Transceiver, other: Transceiver) {
    let mut ticks = tokio::time::interval(SYNCHRONIZE_EVERY);
    loop {
        ticks.tick().await;
        one.synchronize(&other);
    }
}

fn tell(signals: &mpsc::Sender<Signal>, news: &Value) {
    // Who does not read is not told.
    let _ = signals.try_send(Signal::News(news.clone()));
}

fn refused(problem: &Problem) -> Value {
    json!({ "recording": { "state": "refused", "reason": problem.to_string() } })
}

fn ended(summary: &Summary) -> Value {
    let [audio, video] = summary.counts;
    let file = summary.path.file_name().map(|name| name.to_string_lossy().into_owned());
    json!({ "recording": {
        "state": "ended", "reason": summary.end.to_string(), "file": file, "bytes": summary.bytes,
        "seconds": summary.length.as_secs_f64(), "audioPackets": audio, "videoFrames": video,
    } })
}

fn line_of(summary: &Summary) -> String {
    let Summary { path, bytes, length, counts: [audio, video], end } = summary;
    let (path, seconds) = (path.display(), length.as_secs_f64());
    format!(
        "recorded as {path}: {seconds:.1} s, {video} pictures, {audio} packets of sound, {bytes} bytes; {end}"
    )
}

/// How long a stream rests that did harm.
const BREAK: Duration = Duration::from_secs(5);
/// As [`Transceiver::synchronize`] has it.
const SYNCHRONIZE_EVERY: Duration = Duration::from_secs(1);
