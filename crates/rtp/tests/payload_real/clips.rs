//! Bitstreams, and the frames in them.

use std::process::Command;

/// What is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Codec {
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
    Opus,
    G722,
    Pcmu,
}

impl Codec {
    /// What ffmpeg is told, and how it writes the bitstream.
    fn arguments(self) -> (&'static str, &'static str) {
        match self {
            Self::Vp8 => ("-c:v libvpx -deadline realtime -cpu-used 8 -g 10 -b:v 1M", "ivf"),
            Self::Vp9 => ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 10 -b:v 1M", "ivf"),
            Self::H264 => (
                "-c:v libx264 -preset ultrafast -tune zerolatency -g 10 -b:v 1M -x264-params aud=1:slices=3",
                "h264",
            ),
            Self::H265 => (
                "-c:v libx265 -preset ultrafast -b:v 300k -x265-params aud=1:keyint=10:bframes=2:log-level=none",
                "hevc",
            ),
            Self::Av1 => ("-c:v libaom-av1 -usage realtime -cpu-used 8 -g 10 -b:v 1M -tiles 2x2", "ivf"),
            Self::Opus => ("-c:a libopus -b:a 64k -vbr on -application voip", "ogg"),
            Self::G722 => ("-c:a g722 -ar 16000 -ac 1", "g722"),
            Self::Pcmu => ("-c:a pcm_mulaw -ar 8000 -ac 1", "mulaw"),
        }
    }

    fn is_video(self) -> bool {
        !matches!(self, Self::Opus | Self::G722 | Self::Pcmu)
    }

    /// The bitstream as a file, of a second and a half; `None`, with the reason printed, where it cannot be made.
    pub(crate) fn file(self) -> Option<Vec<u8>> {
        let source = if self.is_video() {
            "testsrc2=duration=1.5:size=480x270:rate=12,noise=alls=12:allf=t"
        } else {
            "sine=frequency=440:duration=1.5:sample_rate=48000"
        };
        let (codec, container) = self.arguments();
        let format = if self.is_video() { "-pix_fmt yuv420p" } else { "" };
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", source])
            .args(format.split_whitespace())
            .args(codec.split_whitespace())
            .args(["-threads", "1", "-f", container, "pipe:1"])
            .output();
        match output {
            Ok(output) if output.status.success() && !output.stdout.is_empty() => Some(output.stdout),
            Ok(output) => {
                println!("skipped: ffmpeg cannot make {self:?}: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("skipped: ffmpeg does not run (Debian: ffmpeg): {error}");
                None
            }
        }
    }

    /// The frames of such a file.
    pub(crate) fn frames(self, file: &[u8]) -> Vec<Vec<u8>> {
        let frames = match self {
            Self::Vp8 | Self::Vp9 => ivf(file),
            // Without the temporal delimiter, which is not sent.
            Self::Av1 => ivf(file).into_iter().map(|unit| without(&[0x12, 0], unit)).collect(),
            Self::H264 => access_units(file, |header| header & 0x1f == 9),
            Self::H265 => access_units(file, |header| header >> 1 & 0x3f == 35),
            Self::Opus => ogg(file).split_off(2),
            Self::G722 | Self::Pcmu => file.chunks(160).map(<[u8]>::to_vec).collect(),
        };
        assert!(frames.len() > 10, "{} frames", frames.len());
        frames
    }
}

/// What is made, in frames. `None` where it cannot be made.
pub(crate) fn clip(codec: Codec) -> Option<Vec<Vec<u8>>> {
    codec.file().map(|file| codec.frames(&file))
}

fn without(head: &[u8], frame: Vec<u8>) -> Vec<u8> {
    frame.strip_prefix(head).map(<[u8]>::to_vec).unwrap_or(frame)
}

fn ivf(file: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(&file[..4], b"DKIF");
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        frames.push(rest[12..12 + len].to_vec());
        rest = &rest[12 + len..];
    }
    frames
}

/// The units of an annex B bitstream, by a search that is as plain as can be.
pub(crate) fn units(file: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..file.len().saturating_sub(2)).filter(|at| file[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().copied().skip(1).chain([file.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let unit = &file[start + 3..end];
            let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
            &unit[..unit.len() - zeros]
        })
        .collect()
}

/// Access units, each of which begins with a delimiter, with start codes of four bytes.
fn access_units(file: &[u8], is_delimiter: impl Fn(u8) -> bool) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for unit in units(file) {
        if is_delimiter(unit[0]) || all.is_empty() {
            all.push(Vec::new());
        }
        let last = all.last_mut().unwrap();
        last.extend([0, 0, 0, 1]);
        last.extend(unit);
    }
    all
}

/// The packets of the only stream of an Ogg file (RFC 3533 §6).
fn ogg(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = file;
    let mut packets = vec![Vec::new()];
    while !rest.is_empty() {
        assert_eq!(&rest[..4], b"OggS");
        let segments = usize::from(rest[26]);
        let lacing = &rest[27..27 + segments];
        rest = &rest[27 + segments..];
        for len in lacing {
            let (piece, behind) = rest.split_at(usize::from(*len));
            packets.last_mut().unwrap().extend(piece);
            rest = behind;
            if *len < 255 {
                packets.push(Vec::new());
            }
        }
    }
    packets.retain(|packet| !packet.is_empty());
    packets
}
