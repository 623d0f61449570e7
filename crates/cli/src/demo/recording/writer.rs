use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use peerline::MediaKind;

use super::container::Container;
use super::{MAX_BYTES, MAX_TIME, Piece, Problem};

/// Writes one recording; a file without a frame is deleted.
#[derive(Debug)]
pub(super) struct Writer {
    file: Option<File>,
    path: PathBuf,
    has_video: bool,
    counts: [u64; 2],
    length: Duration,
    limits: (u64, Duration),
    is_whole: bool,
}

/// What was recorded.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// From the first frame to the last.
    pub length: Duration,
    /// Packets of audio, and frames of video.
    pub counts: [u64; 2],
    /// Why it is not longer.
    pub end: End,
}

/// Why a recording has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// It was ended, or the call was.
    Stopped,
    /// The file is as large as it may become.
    Large,
    /// It is as long as it may become.
    Long,
    /// The disk is slower than the call.
    Slow,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("ended"),
            Self::Large => write!(f, "ended by its size: {} MiB is the limit", MAX_BYTES >> 20),
            Self::Long => write!(f, "ended by its length: {} minutes is the limit", MAX_TIME.as_secs() / 60),
            Self::Slow => f.write_str("ended, as the disk is slower than the call"),
        }
    }
}

impl Writer {
    pub(super) const fn new(file: File, path: PathBuf, has_video: bool) -> Self {
        let limits = (MAX_BYTES, MAX_TIME);
        let (counts, length, is_whole) = ([0; 2], Duration::ZERO, false);
        Self { file: Some(file), path, has_video, counts, length, limits, is_whole }
    }

    /// Writes what `next` gives until that says why there is nothing more. It blocks.
    pub(super) fn run(mut self, next: impl FnMut() -> Result<Piece, End>) -> Result<Summary, Problem> {
        let written = self.write(next);
        self.is_whole = written.is_ok();
        written
    }

    fn write(&mut self, mut next: impl FnMut() -> Result<Piece, End>) -> Result<Summary, Problem> {
        let mut container: Option<Container> = None;
        let mut first = Duration::ZERO;
        let end = loop {
            let piece = match next() {
                Ok(piece) => piece,
                Err(end) => break end,
            };
            let open = match &mut container {
                Some(open) => open,
                // A decoder begins with a key frame, and so does the file.
                None if piece.is_key && (piece.kind == MediaKind::Video) == self.has_video => {
                    let file = self.file.take().ok_or(Problem::Nothing)?;
                    first = piece.at;
                    container.insert(Container::open(file, self.has_video, &piece.bytes)?)
                }
                None => continue,
            };
            // What is to be played before the first picture.
            let Some(at) = piece.at.checked_sub(first) else { continue };
            if open.len() >= self.limits.0 {
                break End::Large;
            }
            self.length = self.length.max(at);
            if at >= self.limits.1 {
                break End::Long;
            }
            if open.write(piece.kind, at, piece.is_key, &piece.bytes)? {
                let [audio, video] = &mut self.counts;
                *(if piece.kind == MediaKind::Video { video } else { audio }) += 1;
            }
        };
        let bytes = container.ok_or(Problem::Nothing)?.finish()?;
        let (length, counts) = (self.length, self.counts);
        Ok(Summary { path: self.path.clone(), bytes, length, counts, end })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_whole {
            // What is left of it nobody can play; if it cannot be deleted it stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn piece(kind: MediaKind, millis: u64, is_key: bool, len: usize) -> Piece {
        let mut bytes = vec![0; len];
        match kind {
            MediaKind::Video => bytes[..10].copy_from_slice(&[0, 0, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0]),
            MediaKind::Audio => bytes[0] = 0xf8,
        }
        Piece { kind, is_key, at: Duration::from_millis(millis), bytes: Bytes::from(bytes) }
    }

    fn record(
        has_video: bool,
        limits: (u64, Duration),
        pieces: Vec<Piece>,
    ) -> (tempfile::TempDir, Result<Summary, Problem>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call");
        let mut writer = Writer::new(File::create_new(&path).unwrap(), path, has_video);
        writer.limits = limits;
        let written = writer.run({
            let mut pieces = pieces.into_iter();
            move || pieces.next().ok_or(End::Stopped)
        });
        (folder, written)
    }

    const FAR: (u64, Duration) = (1 << 20, Duration::from_secs(60));

    #[test]
    fn a_file_begins_with_a_key_frame_and_sound_before_it_is_left_out() {
        let (audio, video) = (MediaKind::Audio, MediaKind::Video);
        let pieces = vec![
            piece(audio, 0, true, 40),
            piece(video, 10, false, 500),
            piece(video, 40, true, 5000),
            piece(audio, 20, true, 40),
            piece(audio, 60, true, 40),
            piece(video, 80, false, 500),
        ];
        let (_folder, written) = record(true, FAR, pieces);
        let summary = written.unwrap();
        assert_eq!((summary.counts, summary.end), ([1, 2], End::Stopped));
        assert_eq!(summary.length, Duration::from_millis(40));
        let file = std::fs::read(&summary.path).unwrap();
        assert_eq!(file.len() as u64, summary.bytes);
        assert!(file.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]), "EBML");
        assert!(file.windows(4).any(|it| it == b"webm") && file.windows(8).any(|it| it == b"OpusHead"));
    }

    #[test]
    fn sound_alone_is_an_ogg_file() {
        let pieces = (0..100).map(|number| piece(MediaKind::Audio, number * 20, true, 40)).collect();
        let (_folder, written) = record(false, FAR, pieces);
        let summary = written.unwrap();
        assert_eq!((summary.counts, summary.length), ([100, 0], Duration::from_millis(1980)));
        let file = File::open(&summary.path).unwrap();
        let mut reader = ogg::PacketReader::new(file);
        let packets: Vec<_> = std::iter::from_fn(|| reader.read_packet().unwrap()).collect();
        assert_eq!(packets.len(), 102);
        assert!(packets[0].data.starts_with(b"OpusHead") && packets[1].data.starts_with(b"OpusTags"));
        let last = packets.last().unwrap();
        assert!(last.last_in_stream());
        assert_eq!(last.absgp_page(), 100 * 960);
    }

    #[test]
    fn a_recording_ends_at_its_limits_and_not_before() {
        let pieces = || (0..=10).map(|number| piece(MediaKind::Audio, number * 20, true, 40)).collect();
        let (_folder, written) = record(false, (1 << 20, Duration::from_millis(201)), pieces());
        let whole = written.unwrap();
        assert_eq!((whole.counts, whole.end), ([11, 0], End::Stopped));
        let (_folder, written) = record(false, (1 << 20, Duration::from_millis(200)), pieces());
        let summary = written.unwrap();
        assert_eq!((summary.counts, summary.end), ([10, 0], End::Long));
        let pieces = || (0..=10).map(|number| piece(MediaKind::Video, number * 20, true, 1000)).collect();
        let (_folder, written) = record(true, (4000, FAR.1), pieces());
        let summary = written.unwrap();
        assert_eq!(summary.end, End::Large);
        assert!((3..=4).contains(&summary.counts[1]), "{summary:?}");
    }

    #[test]
    fn of_what_cannot_be_played_no_file_is_left() {
        let (folder, written) = record(true, FAR, vec![piece(MediaKind::Video, 0, false, 500)]);
        assert!(matches!(written, Err(Problem::Nothing)), "{written:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut broken = piece(MediaKind::Video, 0, true, 500);
        broken.bytes = Bytes::from_static(&[0; 500]);
        let (folder, written) = record(true, FAR, vec![broken]);
        assert!(matches!(written, Err(Problem::Container(_))), "{written:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn of_a_writer_that_panics_no_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call");
        let writer = Writer::new(File::create_new(&path).unwrap(), path, false);
        let written =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run(|| panic!("muxer"))));
        assert!(written.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_has_no_length_is_neither_written_nor_counted() {
        let mut broken = piece(MediaKind::Audio, 20, true, 1);
        broken.bytes = Bytes::from_static(&[0xfb]);
        let pieces = vec![piece(MediaKind::Audio, 0, true, 40), broken];
        let (_folder, written) = record(false, FAR, pieces);
        assert_eq!(written.unwrap().counts, [1, 0]);
    }
}
