//! A call on disk: WebM with its video, Ogg where there is only sound.

mod container;
mod writer;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use peerline::{MediaKind, ReceivedFrame};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::destination::Destination;
pub(crate) use writer::Summary;
use writer::Writer;

/// Takes the frames of one connection while they are recorded, and drops them otherwise.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    intake: Mutex<Option<Intake>>,
}

/// What a recording is fed by.
#[derive(Debug)]
struct Intake {
    pieces: mpsc::Sender<Piece>,
    start: Instant,
    /// Of audio and of video, from the first frame on.
    clocks: [Option<Clock>; 2],
    has_video: bool,
    is_slow: Arc<AtomicUsize>,
}

/// A frame and where it stands.
#[derive(Debug)]
struct Piece {
    kind: MediaKind,
    is_key: bool,
    at: Duration,
    bytes: Bytes,
}

/// Joins the timestamps of a stream with the time since the recording began.
#[derive(Clone, Copy, Debug)]
struct Clock {
    rate: u32,
    last: u32,
    /// Ticks since the recording began.
    ticks: u64,
}

impl Clock {
    fn advance(&mut self, timestamp: u32) -> Duration {
        // Frames come in their order: what is higher by more than half of all is lower.
        let step = timestamp.wrapping_sub(self.last);
        if step < 1 << 31 {
            (self.last, self.ticks) = (timestamp, self.ticks.saturating_add(step.into()));
        }
        let nanos = u128::from(self.ticks) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
    }
}

impl Recorder {
    /// Begins a recording. What is given back runs until [`stop`](Self::stop), a limit, or the end of this value: then the file
    /// is whole, or there is none.
    pub(crate) fn start(
        &self,
        destination: &Destination,
        name: &str,
        has_video: bool,
    ) -> Result<impl Future<Output = Result<Summary, Problem>> + Send + use<>, Problem> {
        let mut intake = self.lock();
        if intake.as_ref().is_some_and(|intake| !intake.pieces.is_closed()) {
            return Err(Problem::Already);
        }
        let slot = Slot::take(&RUNNING).ok_or(Problem::TooMany)?;
        let extension = if has_video { "webm" } else { "ogg" };
        let opened = destination.open(&format!("{name}.{extension}")).map_err(Problem::File)?;
        let (file, path) = opened.ok_or(Problem::NotKept)?;
        let (pieces, coming) = mpsc::channel(MAX_WAITING);
        let is_slow = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        *intake = Some(Intake { pieces, start, clocks: [None; 2], has_video, is_slow: is_slow.clone() });
        let writer = Writer::new(file, path, has_video);
        Ok(async move {
            let written = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                writer.run(coming, &is_slow)
            });
            written.await.unwrap_or_else(|error| Err(Problem::File(io::Error::other(error))))
        })
    }

    /// Ends the recording, if there is one.
    pub(crate) fn stop(&self) {
        *self.lock() = None;
    }

    /// Takes a frame that came. It does not wait: a recording that is too slow for its frames ends.
    pub(crate) fn take(&self, kind: MediaKind, frame: &ReceivedFrame) {
        if let Some(bytes) = frame.bytes() {
            self.add(kind, frame.is_key(), frame.timestamp, frame.playout, bytes.clone());
        }
    }

    fn add(&self, kind: MediaKind, is_key: bool, timestamp: u32, playout: Duration, bytes: Bytes) {
        let mut guard = self.lock();
        let Some(intake) = &mut *guard else { return };
        let is_video = kind == MediaKind::Video;
        if is_video && !intake.has_video {
            return;
        }
        let rate = if is_video { VIDEO_RATE } else { AUDIO_RATE };
        let since = intake.start.elapsed() + playout;
        let [audio, video] = &mut intake.clocks;
        let clock = if is_video { video } else { audio };
        // Both begin by when they are played, so that lips and words stay together.
        let clock = clock.get_or_insert_with(|| {
            let ticks = since.as_nanos() * u128::from(rate) / 1_000_000_000;
            Clock { rate, last: timestamp, ticks: ticks.try_into().unwrap_or(0) }
        });
        let at = clock.advance(timestamp);
        let piece = Piece { kind, is_key: !is_video || is_key, at, bytes };
        match intake.pieces.try_send(piece) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                intake.is_slow.store(1, Ordering::Release);
                *guard = None;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => *guard = None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Intake>> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the recordings that may run at a time.
#[derive(Debug)]
struct Slot(&'static AtomicUsize);

impl Slot {
    fn take(running: &'static AtomicUsize) -> Option<Self> {
        let more = |running: usize| (running < MAX_RECORDINGS).then_some(running + 1);
        running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self(running))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Why there is no recording.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The demo keeps nothing.
    NotKept,
    /// One is running.
    Already,
    /// As many run as may.
    TooMany,
    /// Nothing came that could be recorded.
    Nothing,
    /// It cannot be written.
    File(io::Error),
    /// The muxer refuses a frame.
    Container(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKept => f.write_str("the demo keeps no files: start it with `--save FOLDER`"),
            Self::Already => f.write_str("this call is being recorded already"),
            Self::TooMany => write!(f, "{MAX_RECORDINGS} calls are being recorded, and no more may be"),
            Self::Nothing => f.write_str("no frame came that could be recorded"),
            Self::File(error) => write!(f, "the file cannot be written: {error}"),
            Self::Container(error) => write!(f, "the file cannot be written: {error}"),
        }
    }
}

/// RFC 7587 §4.1.
const AUDIO_RATE: u32 = 48_000;
/// RFC 7741 §4.1.
const VIDEO_RATE: u32 = 90_000;
/// Recordings at a time.
const MAX_RECORDINGS: usize = 8;
/// Frames that wait for the disk: some seconds.
const MAX_WAITING: usize = 256;
/// The largest file.
const MAX_BYTES: u64 = 512 << 20;
/// The longest recording.
const MAX_TIME: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_when_timestamps_wrap_and_not_back() {
        let mut clock = Clock { rate: 90_000, last: u32::MAX - 8999, ticks: 45_000 };
        assert_eq!(clock.advance(u32::MAX - 8999), Duration::from_millis(500));
        assert_eq!(clock.advance(0), Duration::from_millis(600));
        assert_eq!(clock.advance(u32::MAX), Duration::from_millis(600));
        assert_eq!(clock.advance(90_000), Duration::from_millis(1600));
    }

    #[test]
    fn as_many_are_recorded_as_the_limit_and_not_one_more() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let slots: Vec<_> = std::iter::from_fn(|| Slot::take(&RUNNING)).collect();
        assert_eq!(slots.len(), MAX_RECORDINGS);
        drop(slots);
        assert!(Slot::take(&RUNNING).is_some());
    }

    #[test]
    fn a_disk_that_is_slower_than_the_call_ends_the_recording() {
        let (pieces, mut coming) = mpsc::channel(MAX_WAITING);
        let is_slow = Arc::new(AtomicUsize::new(0));
        let recorder = Recorder::default();
        let (start, slow) = (Instant::now(), is_slow.clone());
        *recorder.lock() = Some(Intake { pieces, start, clocks: [None; 2], has_video: false, is_slow: slow });
        for number in 0..=MAX_WAITING {
            assert_eq!(is_slow.load(Ordering::Acquire), 0, "{number}");
            let timestamp = u32::try_from(number).unwrap() * 960;
            recorder.add(MediaKind::Audio, true, timestamp, Duration::ZERO, Bytes::from_static(&[0xf8]));
        }
        assert_eq!(is_slow.load(Ordering::Acquire), 1);
        assert!(recorder.lock().is_none());
        assert_eq!(std::iter::from_fn(|| coming.try_recv().ok()).count(), MAX_WAITING);
    }
}
