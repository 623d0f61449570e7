//! What the peer sends: encoded media that it has with it.

use std::io::Cursor;
use std::time::Duration;

/// Frames that are sent again and again.
pub(crate) struct Clip {
    pub frames: Vec<Vec<u8>>,
    /// From one frame to the next.
    pub interval: Duration,
    /// The same, in ticks of the codec's clock.
    pub ticks: u32,
}

impl Clip {
    /// That of a codec, by its name; `None` if there is none.
    pub(crate) fn of(codec: &str) -> Option<Self> {
        let name = codec.to_ascii_uppercase();
        let frames = match name.as_str() {
            "VP8" => ivf(include_bytes!("../../clips/bars-vp8.ivf")),
            "VP9" => ivf(include_bytes!("../../clips/bars-vp9.ivf")),
            "AV1" => ivf(include_bytes!("../../clips/bars-av1.ivf")),
            "H264" => access_units(include_bytes!("../../clips/bars-h264.h264")),
            "OPUS" => ogg_packets(include_bytes!("../../clips/tone.ogg")),
            "G722" => blocks(include_bytes!("../../clips/tone.g722")),
            "PCMU" => blocks(include_bytes!("../../clips/tone.ulaw")),
            _ => return None,
        };
        let (interval, ticks) = match name.as_str() {
            "OPUS" => (AUDIO_INTERVAL, 960),
            "G722" | "PCMU" => (AUDIO_INTERVAL, 160),
            _ => (VIDEO_INTERVAL, 6000),
        };
        Some(Self { frames, interval, ticks })
    }
}

/// The frames of an IVF file.
fn ivf(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = file.get(32..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, body)) = rest.split_first_chunk::<12>() {
        let [a, b, c, d, ..] = *header;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let Some((frame, more)) = body.split_at_checked(len) else { break };
        frames.push(frame.to_vec());
        rest = more;
    }
    frames
}

/// The access units of H.264 with start codes: each ends with a picture of one slice.
fn access_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..stream.len()).filter(|&at| stream[at..].starts_with(&[0, 0, 1])).collect();
    let mut units = Vec::new();
    let mut unit = Vec::new();
    for (number, &start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(stream.len());
        // A start code of four bytes has its first zero before the next.
        let nal = stream[start..end].strip_suffix(&[0]).unwrap_or_else(|| &stream[start..end]);
        unit.push(0);
        unit.extend_from_slice(nal);
        if matches!(nal.get(3).map(|header| header & 0x1f), Some(1 | 5)) {
            units.push(std::mem::take(&mut unit));
        }
    }
    units
}

/// The packets of an Ogg file without its two headers (RFC 7845 §3).
fn ogg_packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = ogg::PacketReader::new(Cursor::new(file));
    let packets = std::iter::from_fn(|| reader.read_packet().ok().flatten());
    packets.skip(2).map(|packet| packet.data).collect()
}

/// 20 ms each of audio with 64 kbit/s.
fn blocks(samples: &[u8]) -> Vec<Vec<u8>> {
    samples.chunks_exact(160).map(<[u8]>::to_vec).collect()
}

const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const VIDEO_INTERVAL: Duration = Duration::from_nanos(66_666_667);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clip_is_read_whole() {
        for (codec, least) in
            [("VP8", 60), ("VP9", 60), ("AV1", 60), ("h264", 60), ("opus", 50), ("G722", 50), ("PCMU", 50)]
        {
            let clip = Clip::of(codec).unwrap();
            assert!(clip.frames.len() >= least, "{codec}: {}", clip.frames.len());
            assert!(clip.frames.iter().all(|frame| !frame.is_empty()), "{codec}");
        }
        assert!(Clip::of("H265").is_none());
    }
}
