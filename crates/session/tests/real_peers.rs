//! Offers and answers with audio, video and data, judged by other implementations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use harness::{CLOCK, config};
use session::{
    ChannelInit, Direction, MediaKind, SdpType, SendEncoding, Session, SessionDescription, TransceiverInit,
};
use testkit::epoch;

/// With a channel, and audio and video both ways.
fn session() -> Session {
    let mut session = Session::new(epoch(), CLOCK, config(0), [1; 32]).unwrap();
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        session.add_track(epoch(), kind, vec!["stream".into()]).unwrap();
    }
    session
}

fn offer(session: &mut Session) -> SessionDescription {
    let offer = session.create_offer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
    offer
}

fn directions(session: &Session) -> Vec<Direction> {
    session.transceivers().map(|(_, info)| info.current_direction.unwrap()).collect()
}

/// aiortc in a process of its own.
struct Aiortc {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Aiortc {
    fn spawn(python: &Path, role: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aiortc_peer.py");
        let mut command = Command::new(python);
        command.arg(script).arg(role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        write!(input, "{}\n{text}", text.len()).unwrap();
        input.flush().unwrap();
    }

    fn read(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let len = line.trim().parse().expect("aiortc answers: is its error above?");
        let mut text = vec![0; len];
        self.output.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Aiortc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn real_aiortc_answers_our_offer_and_takes_our_answer() {
    let Some(python) = testkit::python("import aiortc") else { return };
    let mut ours = session();
    let offered = offer(&mut ours);
    let mut peer = Aiortc::spawn(&python, "answer");
    peer.write(&offered.to_string());
    let answer: SessionDescription = peer.read().parse().unwrap();
    ours.set_remote(epoch(), SdpType::Answer, answer.clone()).unwrap();
    assert!(answer.media().all(|media| !media.is_rejected()));
    assert_eq!(directions(&ours), [Direction::SendRecv, Direction::SendRecv]);
    assert_eq!(peer.read(), "sendrecv sendrecv");
    for (_, info) in ours.transceivers() {
        let negotiated = info.negotiated.unwrap();
        assert!(!negotiated.send.is_empty() && negotiated.extensions.id(rtp::extension::Kind::Mid).is_some());
    }

    let mut peer = Aiortc::spawn(&python, "offer");
    let offered: SessionDescription = peer.read().parse().unwrap();
    let mut ours = session();
    ours.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let answer = ours.create_answer(epoch()).unwrap();
    ours.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    peer.write(&answer.to_string());
    assert_eq!(peer.read(), "sendrecv sendrecv");
    assert_eq!(directions(&ours), [Direction::SendRecv, Direction::SendRecv]);
}

/// What Chromium's page says that answers this offer; `None` without Chromium.
fn chromium_answers(name: &str, offer: &str) -> Option<String> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    Command::new("chromium").arg("--version").output().ok().filter(|output| output.status.success())?;
    let folder = std::env::temp_dir().join(format!("peerline-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join("page.html");
    let script = format!(
        "(async () => {{
            const connection = new RTCPeerConnection();
            let said;
            try {{
                await connection.setRemoteDescription({{ type: 'offer', sdp: {offer:?} }});
                for (const transceiver of connection.getTransceivers())
                    if (transceiver.direction === 'recvonly' && {both}) transceiver.direction = 'sendrecv';
                await connection.setLocalDescription();
                said = connection.localDescription.sdp;
            }} catch (error) {{ said = 'error: ' + error; }}
            document.body.textContent = '[' + '[' + btoa(said) + ']]';
        }})();",
        both = name == "both",
    );
    std::fs::write(&page, format!("<body></body><script>{script}</script>")).unwrap();
    // Its own clock may run out before its other processes are done: then it is asked again.
    let answer = (0..20).find_map(|attempt| {
        std::thread::sleep(std::time::Duration::from_millis(200 * attempt));
        let output = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000"])
            .arg("--dump-dom")
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split("[[").nth(1).and_then(|rest| rest.split("]]").next()).map(str::to_owned)
    });
    let _ = std::fs::remove_dir_all(&folder);
    let coded = answer.expect("chromium answers within twenty attempts");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, coded).unwrap();
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn real_chromium_answers_our_offer() {
    let mut ours = session();
    let offered = offer(&mut ours);
    let Some(answer) = chromium_answers("both", &offered.to_string()) else {
        println!("skipped: there is no chromium");
        return;
    };
    assert!(!answer.starts_with("error"), "{answer}");
    let answer: SessionDescription = answer.parse().unwrap();
    assert!(answer.media().all(|media| !media.is_rejected()), "{answer}");
    ours.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(directions(&ours), [Direction::SendRecv, Direction::SendRecv]);
    let video = ours.transceivers().nth(1).unwrap().1.negotiated.unwrap().clone();
    let names: Vec<&str> = video.send.iter().map(|codec| codec.name.as_ref()).collect();
    assert!(names.contains(&"VP8") && names.contains(&"VP9"), "{names:?}");
    assert!(video.send[0].rtx.is_some() && video.send[0].feedback.contains(session::Feedback::TRANSPORT_CC));
    assert!(video.mixed_extensions && video.reduced_size);
    assert!(video.extensions.iter().len() >= 4, "{:?}", video.extensions);
}

/// Chromium receives one stream of a simulcast: it says so by leaving `a=simulcast` out.
#[test]
fn real_chromium_answers_an_offer_of_simulcast() {
    let mut ours = Session::new(epoch(), CLOCK, config(0), [1; 32]).unwrap();
    let mut init = TransceiverInit::default();
    init.direction = Direction::SendOnly;
    init.send_encodings = ["q", "h", "f"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    let id = ours.add_transceiver(epoch(), MediaKind::Video, init).unwrap();
    let offered = offer(&mut ours);
    let Some(answer) = chromium_answers("simulcast", &offered.to_string()) else {
        println!("skipped: there is no chromium");
        return;
    };
    assert!(!answer.starts_with("error"), "{answer}");
    let answer: SessionDescription = answer.parse().unwrap();
    let takes = answer.media().next().unwrap().simulcast().is_some();
    ours.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(ours.transceiver(id).unwrap().encodings.len(), if takes { 3 } else { 1 });
    assert_eq!(directions(&ours), [Direction::SendOnly]);
}
