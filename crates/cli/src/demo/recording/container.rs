use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ogg::{PacketWriteEndInfo, PacketWriter};
use oxideav_core::{CodecId, CodecParameters, Muxer, Packet, StreamInfo, TimeBase};
use peerline::MediaKind;

use super::Problem;

/// A file that is being written.
pub(super) struct Container {
    format: Format,
    len: Arc<AtomicU64>,
}

enum Format {
    /// VP8 and Opus (<https://www.webmproject.org/docs/container/>).
    WebM(Box<dyn Muxer>),
    /// Opus alone (RFC 7845).
    Ogg(Ogg),
}

struct Ogg {
    writer: PacketWriter<'static, Counted>,
    /// The next packet to write, and the position behind it: the last one is marked.
    held: Option<(Vec<u8>, u64)>,
    page: u64,
}

impl Container {
    /// Begins a file, with what its first frame tells.
    pub(super) fn open(file: File, has_video: bool, first: &[u8]) -> Result<Self, Problem> {
        let len = Arc::new(AtomicU64::new(0));
        let file = Counted { file, at: 0, len: len.clone() };
        let format = if has_video {
            let (width, height) = dimensions(first)
                .ok_or_else(|| Problem::Container("the first picture is no key frame of VP8".to_owned()))?;
            let mut video = CodecParameters::video(CodecId::new("vp8"));
            (video.width, video.height) = (Some(width.into()), Some(height.into()));
            let mut audio = CodecParameters::audio(CodecId::new("opus"));
            (audio.sample_rate, audio.channels) = (Some(48_000), Some(2));
            // Where pictures and sound are together neither is shifted.
            audio.extradata = opus_head(0);
            let stream = |index, params| {
                let (time_base, start_time) = (NANOSECONDS, Some(0));
                StreamInfo { index, time_base, duration: None, start_time, params }
            };
            let streams = [stream(0, video), stream(1, audio)];
            let mut muxer = oxideav_mkv::mux::open_webm(Box::new(file), &streams).map_err(refused)?;
            muxer.write_header().map_err(refused)?;
            Format::WebM(muxer)
        } else {
            let mut writer = PacketWriter::new(file);
            for head in [opus_head(PRE_SKIP), opus_tags()] {
                writer.write_packet(head, SERIAL, PacketWriteEndInfo::EndPage, 0).map_err(Problem::File)?;
            }
            Format::Ogg(Ogg { writer, held: None, page: 0 })
        };
        Ok(Self { format, len })
    }

    /// How many bytes it has by now.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Adds a frame, which is played so long after the first. Gives whether it could be.
    pub(super) fn write(
        &mut self,
        kind: MediaKind,
        at: Duration,
        is_key: bool,
        bytes: &[u8],
    ) -> Result<bool, Problem> {
        match &mut self.format {
            Format::WebM(muxer) => {
                let stream = u32::from(kind == MediaKind::Audio);
                let at = i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
                let packet = Packet::new(stream, NANOSECONDS, bytes.to_vec());
                muxer
                    .write_packet(&packet.with_pts(at).with_dts(at).with_keyframe(is_key))
                    .map_err(refused)?;
                Ok(true)
            }
            Format::Ogg(ogg) => ogg.write(at, bytes).map_err(Problem::File),
        }
    }

    /// Completes the file. Gives its size.
    pub(super) fn finish(self) -> Result<u64, Problem> {
        match self.format {
            Format::WebM(mut muxer) => muxer.write_trailer().map_err(refused)?,
            Format::Ogg(mut ogg) => ogg.release(PacketWriteEndInfo::EndStream).map_err(Problem::File)?,
        }
        Ok(self.len.load(Ordering::Relaxed))
    }
}

impl Ogg {
    fn write(&mut self, at: Duration, bytes: &[u8]) -> io::Result<bool> {
        // Of a packet whose length cannot be told a decoder makes nothing either.
        let Some(ticks) = opus_ticks(bytes) else { return Ok(false) };
        let start = u64::try_from(at.as_nanos() * 48_000 / 1_000_000_000).unwrap_or(u64::MAX);
        // A page a second, so that little is lost with a process that is ended.
        let is_full = start >= self.page;
        if is_full {
            self.page = start.saturating_add(48_000);
        }
        self.release(if is_full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket })?;
        self.held = Some((bytes.to_vec(), start.saturating_add(ticks)));
        Ok(true)
    }

    fn release(&mut self, end: PacketWriteEndInfo) -> io::Result<()> {
        let Some((bytes, position)) = self.held.take() else { return Ok(()) };
        self.writer.write_packet(bytes, SERIAL, end, position)
    }
}

/// Width and height of a key frame (RFC 6386 §9.1).
fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = frame else { return None };
    let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    Some((side(*w0, *w1), side(*h0, *h1)))
}

/// Ticks of the clock of 48 kHz in a packet (RFC 6716 §3.1).
fn opus_ticks(packet: &[u8]) -> Option<u64> {
    let first = *packet.first()?;
    let config = first >> 3;
    let frame = match config {
        // SILK, the hybrid, CELT.
        0..12 => [480, 960, 1920, 2880].get(usize::from(config & 3)),
        12..16 => [480, 960].get(usize::from(config & 1)),
        _ => [120, 240, 480, 960].get(usize::from(config & 3)),
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(frame? * count)
}

/// RFC 7845 §5.1: two channels of 48 kHz.
fn opus_head(pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend_from_slice(&pre_skip.to_le_bytes());
    head.extend_from_slice(&48_000_u32.to_le_bytes());
    head.extend_from_slice(&[0; 3]);
    head
}

/// RFC 7845 §5.2.
fn opus_tags() -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    let vendor = b"peerline";
    tags.extend_from_slice(&[8, 0, 0, 0]);
    tags.extend_from_slice(vendor);
    tags.extend_from_slice(&[0; 4]);
    tags
}

fn refused(error: oxideav_core::Error) -> Problem {
    Problem::Container(error.to_string())
}

/// A file whose size is known without asking the system.
struct Counted {
    file: File,
    at: u64,
    len: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.at = self.at.saturating_add(written.try_into().unwrap_or(0));
        self.len.fetch_max(self.at, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

const NANOSECONDS: TimeBase = TimeBase::new(1, 1_000_000_000);
/// There is but one stream in the file.
const SERIAL: u32 = 1;
/// RFC 7845 §4.2: a decoder that begins in the middle needs 80 ms to be right.
const PRE_SKIP: u16 = 3840;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_opus_tell_how_long_they_are() {
        // RFC 6716 §3.1, table 2: SILK of 60 ms, hybrid of 10 ms, CELT of 2.5 ms and 20 ms.
        for (packet, ticks) in [
            (&[3 << 3][..], Some(2880)),
            (&[14 << 3, 9], Some(480)),
            (&[16 << 3 | 1, 9], Some(240)),
            (&[31 << 3], Some(960)),
            (&[31 << 3 | 3, 3], Some(2880)),
            (&[31 << 3 | 3], None),
            (&[], None),
        ] {
            assert_eq!(opus_ticks(packet), ticks, "{packet:?}");
        }
    }
}
