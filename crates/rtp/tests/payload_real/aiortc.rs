//! aiortc's packetizers and depacketizers of VP8 and H.264, and Python's conversion of G.711.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rtp::payload::g711::Law;
use rtp::payload::{Framing, Limits, Payload, PictureId, h264, vp8};

use crate::clips::{Codec, clip};
use crate::identity::payloads;

/// Reads lists of byte strings, and writes what becomes of each: frames of payloads, or payloads of a frame. A list is a count and
/// its strings, each with its length.
const PROGRAM: &str = r#"
import struct, sys
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
make = {
    "vp8-depayload": lambda all: [b"".join(vp8_depayload(one) for one in all)],
    "h264-depayload": lambda all: [b"".join(h264_depayload(one) for one in all)],
    "vp8-payload": lambda all: Vp8Encoder._packetize(all[0], 77),
    "h264-payload": lambda all: H264Encoder._packetize(H264Encoder._split_bitstream(all[0])),
}[sys.argv[1]]
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
while head := read(4):
    result = make([read(struct.unpack("!I", read(4))[0]) for _ in range(struct.unpack("!I", head)[0])])
    write(struct.pack("!I", len(result)))
    for one in result:
        write(struct.pack("!I", len(one)) + one)
"#;

/// What `program` writes; `None` if no interpreter can import what it `needs`.
fn python(needs: &str, program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(testkit::python(needs)?)
        .args(["-W", "ignore", "-c", program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut output = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        stdout.read_to_end(&mut output).unwrap();
    });
    assert!(child.wait().unwrap().success());
    Some(output)
}

fn aiortc(what: &str, lists: &[Vec<Vec<u8>>]) -> Option<Vec<Vec<Vec<u8>>>> {
    let mut input = Vec::new();
    for list in lists {
        input.extend((list.len() as u32).to_be_bytes());
        for one in list {
            input.extend((one.len() as u32).to_be_bytes());
            input.extend(one);
        }
    }
    let output = python("import aiortc", PROGRAM, &[what], &input)?;
    let mut rest = &output[..];
    let number = |rest: &mut &[u8]| {
        let (head, behind) = rest.split_first_chunk().unwrap();
        *rest = behind;
        u32::from_be_bytes(*head) as usize
    };
    let mut all = Vec::new();
    while !rest.is_empty() {
        let count = number(&mut rest);
        let one = |_| {
            let len = number(&mut rest);
            let (bytes, behind) = rest.split_at(len);
            rest = behind;
            bytes.to_vec()
        };
        all.push((0..count).map(one).collect());
    }
    assert_eq!(all.len(), lists.len());
    Some(all)
}

const LENGTHS: [usize; 4] = [200, 777, 1200, 1500];

#[test]
fn real_aiortc_understands_our_vp8_and_we_understand_its() {
    let Some(frames) = clip(Codec::Vp8) else { return };
    let mut packetizer = vp8::Packetizer::new(PictureId::Long(0x7ff0));
    let mut sent = Vec::new();
    for max in LENGTHS {
        for frame in &frames {
            let mut all = packetizer.frame(frame, vp8::Layer::default(), max).unwrap();
            let all = payloads(max, |out| all.write(out));
            sent.push(all.into_iter().map(|(bytes, _)| bytes).collect());
        }
    }
    let Some(seen) = aiortc("vp8-depayload", &sent) else { return };
    assert!(seen.iter().map(|list| &list[0]).eq(frames.iter().cycle().take(sent.len())));

    let lists: Vec<Vec<Vec<u8>>> = frames.iter().map(|frame| vec![frame.clone()]).collect();
    let theirs = aiortc("vp8-payload", &lists).unwrap();
    let mut depacketizer = vp8::Depacketizer::new(Limits::default());
    for (at, (list, frame)) in theirs.iter().zip(&frames).enumerate() {
        for (index, bytes) in list.iter().enumerate() {
            let (descriptor, _) = vp8::Descriptor::decode(bytes).unwrap();
            assert_eq!(descriptor.picture_id, Some(PictureId::Long(77)));
            let marker = index + 1 == list.len();
            depacketizer
                .handle_payload(Payload { bytes, timestamp: at as u32, marker, after_loss: false })
                .unwrap();
        }
        assert_eq!(depacketizer.poll_frame().unwrap().unwrap().bytes, frame);
    }
}

#[test]
fn real_aiortc_understands_our_h264_and_we_understand_its() {
    let Some(frames) = clip(Codec::H264) else { return };
    let mut packetizer = h264::Packetizer::new(h264::Mode::NonInterleaved, Framing::AnnexB);
    let mut sent = Vec::new();
    for max in LENGTHS {
        for frame in &frames {
            let mut all = packetizer.frame(frame, max).unwrap();
            let all = payloads(max, |out| all.write(out));
            sent.push(all.into_iter().map(|(bytes, _)| bytes).collect());
        }
    }
    let Some(seen) = aiortc("h264-depayload", &sent) else { return };
    assert!(seen.iter().map(|list| &list[0]).eq(frames.iter().cycle().take(sent.len())));

    let lists: Vec<Vec<Vec<u8>>> = frames.iter().map(|frame| vec![frame.clone()]).collect();
    let theirs = aiortc("h264-payload", &lists).unwrap();
    let mut depacketizer = h264::Depacketizer::new(Framing::AnnexB, Limits::default());
    for (at, (list, frame)) in theirs.iter().zip(&frames).enumerate() {
        for (index, bytes) in list.iter().enumerate() {
            let marker = index + 1 == list.len();
            depacketizer
                .handle_payload(Payload { bytes, timestamp: at as u32, marker, after_loss: false })
                .unwrap();
        }
        assert_eq!(depacketizer.poll_frame().unwrap().unwrap().bytes, frame);
    }
}

#[test]
fn real_python_compresses_every_sample_as_we_do() {
    let program = "
import audioop, struct, sys
samples = struct.pack('<65536h', *range(-32768, 32768))
everything = bytes(range(256))
for compress, expand in (audioop.lin2ulaw, audioop.ulaw2lin), (audioop.lin2alaw, audioop.alaw2lin):
    sys.stdout.buffer.write(compress(samples, 2) + expand(everything, 2))
";
    let Some(output) = python("import audioop", program, &[], &[]) else { return };
    let (mu, a) = output.split_at(65_536 + 512);
    for (law, theirs) in [(Law::Mu, mu), (Law::A, a)] {
        let (bytes, samples) = theirs.split_at(65_536);
        for (byte, sample) in (0..=255).zip(samples.chunks(2)) {
            assert_eq!(
                law.expand(byte),
                i16::from_le_bytes(sample.try_into().unwrap()),
                "{law:?} {byte:02x}"
            );
        }
        let mut other = 0;
        for (sample, byte) in (i16::MIN..=i16::MAX).zip(bytes) {
            let ours = law.compress(sample);
            if ours != *byte {
                // Python leaves out the lowest bits before it looks at the sign, so that a few negative samples that stand
                // at the edge of an interval get into the next one.
                assert!(
                    sample < 0 && ours.abs_diff(*byte) == 1,
                    "{law:?} {sample}: {ours:02x}, not {byte:02x}"
                );
                other += 1;
            }
        }
        println!("{law:?}: {other} of 65,536 samples differ, by one interval");
        assert!(other < 400, "{law:?}: {other}");
    }
}
