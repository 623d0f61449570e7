//! The example that forwards a browser's video: what one browser sends the other one shows.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::browser::Browser;
use crate::command::{cargo, root};

pub(super) fn run(address: &str) -> Result {
    cargo("build --locked -p peerline --example forward_video")?;
    let mut example = Example::start()?;
    // Pages of this machine may use the camera; which one it is does not matter.
    let page = format!("http://{address}/call");
    let [camera, screen] = [Browser::start(640, 480)?, Browser::start(640, 480)?];
    for (browser, begin) in [(&camera, SEND), (&screen, SHOW)] {
        browser.open(&page)?;
        let offer = browser.script(&format!("{begin} {OFFER}"))?;
        let answer = example.exchange(&offer)?;
        browser.script(&format!("return peer.setRemoteDescription({{ type: 'answer', sdp: {answer} }})"))?;
        let connected = "return peer.connectionState === 'connected'";
        browser.wait_for("the connection", connected, Duration::from_secs(20))?;
    }
    let decoded = "return peer.getStats().then((all) => [...all.values()].some((it) => \
                   it.type === 'inbound-rtp' && it.framesDecoded > 30) && shown.currentTime > 1)";
    screen.wait_for("that the other browser's video plays", decoded, Duration::from_secs(30))?;
    println!("what one browser sends the other one shows");
    Ok(())
}

/// The example's process; it ends when this is dropped.
struct Example {
    process: Child,
    asked: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Example {
    fn start() -> Result<Self> {
        let mut process = Command::new(root().join("target/debug/examples/forward_video"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run the example: {error}"))?;
        let asked = process.stdin.take().ok_or("the example has no input")?;
        let said = BufReader::new(process.stdout.take().ok_or("the example has no output")?);
        Ok(Self { process, asked, said })
    }

    /// Gives it an offer, as a person would paste it, and waits for the answer.
    fn exchange(&mut self, offer: &Value) -> Result<Value> {
        writeln!(self.asked, "{offer}").map_err(|error| format!("the example has ended: {error}"))?;
        let mut line = String::new();
        self.said.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("the example says `{line}`: {error}"))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const SEND: &str = "window.peer = new RTCPeerConnection(); \
    const media = navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } }) \
        .then((stream) => peer.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly' }));";
const SHOW: &str = "window.peer = new RTCPeerConnection(); \
    window.shown = document.body.appendChild(Object.assign(document.createElement('video'), { autoplay: true, muted: true })); \
    peer.ontrack = ({ track }) => { shown.srcObject = new MediaStream([track]); }; \
    const media = Promise.resolve(peer.addTransceiver('video', { direction: 'recvonly' }));";
/// What is to be pasted: the offer, when all candidates are in it.
const OFFER: &str = "return media.then(() => peer.setLocalDescription()).then(() => new Promise((done) => { \
    const look = () => peer.iceGatheringState === 'complete' && done(peer.localDescription.sdp); \
    peer.onicegatheringstatechange = look; look(); }));";
