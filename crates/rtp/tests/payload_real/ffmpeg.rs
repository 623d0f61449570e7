//! What ffmpeg's RTP muxer sends.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use rtp::payload::{Framing, Limits, Payload, g711, h264, h265, opus, vp8, vp9};

use crate::clips::Codec;

struct Packet {
    timestamp: u32,
    marker: bool,
    sequence: u16,
    payload: Vec<u8>,
}

/// The RTP packets in which ffmpeg sends `file`, over a socket that loses none; `None`, with the reason printed, if it cannot.
fn packets(codec: Codec, container: &str, file: &[u8]) -> Option<Vec<Packet>> {
    let path = std::env::temp_dir().join(format!("peerline-{codec:?}-{}.socket", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let kind = if matches!(codec, Codec::Opus) { "-c:a" } else { "-c:v" };
    let mut child = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-f", container, "-i", "pipe:0", kind, "copy"])
        .args(["-strict", "experimental", "-packetsize", "900", "-type", "datagram", "-f", "rtp"])
        .arg(format!("unix:{}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let mut packets = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(file);
        });
        let mut memory = [0; 2000];
        let mut over = false;
        loop {
            match socket.recv(&mut memory) {
                // RTCP comes on the same way.
                Ok(_) if (192..224).contains(&memory[1]) => {}
                Ok(len) => packets.push(parse(&memory[..len])),
                Err(_) if over => break,
                Err(_) => over = child.try_wait().unwrap().is_some(),
            }
        }
    });
    let _ = std::fs::remove_file(&path);
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        println!("skipped: ffmpeg does not send {codec:?}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "a packet was lost on the way");
    }
    Some(packets)
}

fn parse(packet: &[u8]) -> Packet {
    assert_eq!(packet[0], 0x80);
    Packet {
        marker: packet[1] & 0x80 != 0,
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
        payload: packet[12..].to_vec(),
    }
}

/// Hands over what ffmpeg sends, and compares what comes out.
macro_rules! compare {
    ($codec:expr, $container:expr, $depacketizer:expr) => {{
        let Some(file) = $codec.file() else { return };
        let frames = $codec.frames(&file);
        let Some(packets) = packets($codec, $container, &file) else { return };
        assert!(packets.len() >= frames.len());
        let mut depacketizer = $depacketizer;
        let mut out = Vec::new();
        for Packet { timestamp, marker, payload, .. } in &packets {
            let (timestamp, marker) = (*timestamp, *marker);
            depacketizer
                .handle_payload(Payload { bytes: payload, timestamp, marker, after_loss: false })
                .unwrap();
            while let Some(frame) = depacketizer.poll_frame() {
                out.push(frame.unwrap().bytes.to_vec());
            }
        }
        assert_eq!(out.len(), frames.len());
        for (at, (ours, theirs)) in out.iter().zip(&frames).enumerate() {
            // ffmpeg leaves a zero of the next start code at the end of H.265 access units, where zeros mean nothing.
            let zeros = ours.iter().rev().take_while(|byte| **byte == 0).count();
            let zeros = if $codec == Codec::H265 { zeros } else { 0 };
            assert!(ours[..ours.len() - zeros] == *theirs, "frame {at}");
        }
    }};
}

#[test]
fn real_ffmpeg_sends_vp8_that_we_understand() {
    compare!(Codec::Vp8, "ivf", vp8::Depacketizer::new(Limits::default()));
}

#[test]
fn real_ffmpeg_sends_vp9_that_we_understand() {
    compare!(Codec::Vp9, "ivf", vp9::Depacketizer::new(Limits::default()));
}

#[test]
fn real_ffmpeg_sends_h264_that_we_understand() {
    compare!(Codec::H264, "h264", h264::Depacketizer::new(Framing::AnnexB, Limits::default()));
}

#[test]
fn real_ffmpeg_sends_h265_that_we_understand() {
    compare!(Codec::H265, "hevc", h265::Depacketizer::new(Framing::AnnexB, Limits::default()));
}

#[test]
fn real_ffmpeg_sends_opus_that_we_understand() {
    compare!(Codec::Opus, "ogg", opus::Depacketizer::new(Limits::default()));
}

#[test]
fn real_ffmpeg_hears_the_samples_that_we_do() {
    // Its decoder of µ-law, on all bytes.
    let Some(bytes) = Codec::Pcmu.file() else { return };
    let mut child = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-f", "mulaw", "-ar", "8000", "-i", "pipe:0"])
        .args(["-f", "s16le", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let theirs = output.chunks(2).map(|sample| i16::from_le_bytes(sample.try_into().unwrap()));
    assert!(theirs.eq(bytes.iter().map(|byte| g711::Law::Mu.expand(*byte))));
}
