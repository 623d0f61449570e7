//! A call on disk: WebM with its video, Ogg where there is only sound.

mod container;
mod writer;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use peerline::{MediaKind, ReceivedFrame, StreamId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::destination::Destination;
pub(crate) use writer::Summary;
use writer::{End, Writer};

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
    queue: Arc<Queue>,
}

/// What waits for the disk.
#[derive(Debug, Default)]
struct Queue {
    bytes: AtomicUsize,
    /// More came than may wait.
    is_slow: AtomicBool,
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
    stream: StreamId,
    rate: u32,
    last: u32,
    /// Ticks since the recording began.
    ticks: u64,
}

impl Clock {
    /// One that begins with a frame which is played at `since`.
    fn at(since: Duration, stream: StreamId, rate: u32, timestamp: u32) -> Self {
        let ticks = since.as_nanos() * u128::from(rate) / 1_000_000_000;
        Self { stream, rate, last: timestamp, ticks: ticks.try_into().unwrap_or(u64::MAX) }
    }

    /// Where the next frame stands, which is played at `since`. Another stream, or timestamps that have leapt, begin anew
    /// there, behind what came before.
    fn follow(&mut self, since: Duration, stream: StreamId, timestamp: u32) -> Duration {
        let before = *self;
        let at = self.advance(timestamp);
        if stream == before.stream && at.abs_diff(since) <= MAX_DRIFT {
            return at;
        }
        *self = Self::at(since, stream, self.rate, timestamp);
        self.ticks = self.ticks.max(before.ticks.saturating_add(1));
        self.position()
    }

    fn advance(&mut self, timestamp: u32) -> Duration {
        // Frames come in their order: what is higher by more than half of all is lower.
        let step = timestamp.wrapping_sub(self.last);
        if step < 1 << 31 {
            (self.last, self.ticks) = (timestamp, self.ticks.saturating_add(step.into()));
        }
        self.position()
    }

    fn position(&self) -> Duration {
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
        self.start_for(MAX_TIME, destination, name, has_video)
    }

    fn start_for(
        &self,
        time: Duration,
        destination: &Destination,
        name: &str,
        has_video: bool,
    ) -> Result<impl Future<Output = Result<Summary, Problem>> + Send + use<>, Problem> {
        if !destination.keeps() {
            return Err(Problem::NotKept);
        }
        let mut intake = self.lock();
        if intake.as_ref().is_some_and(|intake| !intake.pieces.is_closed()) {
            return Err(Problem::Already);
        }
        let slot = Slot::take(&RUNNING).ok_or(Problem::TooMany)?;
        let share = Share::take(&KEPT).ok_or(Problem::NoRoom)?;
        let (pieces, mut coming) = mpsc::channel(MAX_WAITING);
        let queue = Arc::new(Queue::default());
        let start = Instant::now();
        *intake = Some(Intake { pieces, start, clocks: [None; 2], has_video, queue: queue.clone() });
        drop(intake);
        let destination = destination.clone();
        let name = format!("{name}.{}", if has_video { "webm" } else { "ogg" });
        let runtime = Handle::current();
        Ok(async move {
            let written = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                let opened = destination.open(&name).map_err(Problem::File)?;
                let (file, path) = opened.ok_or(Problem::NotKept)?;
                // It ends in time also where nothing comes.
                let deadline = start + time;
                let written = Writer::new(file, path, has_video).run(|| {
                    let piece = runtime.block_on(timeout_at(deadline, coming.recv()));
                    let piece = piece.map_err(|_| End::Long)?;
                    let piece = piece.ok_or_else(|| queue.end())?;
                    queue.bytes.fetch_sub(piece.bytes.len(), Ordering::AcqRel);
                    Ok(piece)
                });
                share.keep(written.as_ref().map_or(0, |summary| summary.bytes));
                written
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
            self.add(kind, frame.is_key(), (frame.stream, frame.timestamp), frame.playout, bytes.clone());
        }
    }

    fn add(
        &self,
        kind: MediaKind,
        is_key: bool,
        (stream, timestamp): (StreamId, u32),
        playout: Duration,
        bytes: Bytes,
    ) {
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
        let clock = clock.get_or_insert_with(|| Clock::at(since, stream, rate, timestamp));
        let at = clock.follow(since, stream, timestamp);
        let len = bytes.len();
        let piece = Piece { kind, is_key: !is_video || is_key, at, bytes };
        let waiting = intake.queue.bytes.fetch_add(len, Ordering::AcqRel);
        let sent = if waiting.saturating_add(len) > MAX_WAITING_BYTES {
            Err(mpsc::error::TrySendError::Full(piece))
        } else {
            intake.pieces.try_send(piece)
        };
        match sent {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                intake.queue.is_slow.store(true, Ordering::Release);
                *guard = None;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => *guard = None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Intake>> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Why nothing more comes.
    fn end(&self) -> End {
        if self.is_slow.load(Ordering::Acquire) { End::Slow } else { End::Stopped }
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

/// Of all bytes that may be kept those that one recording may come to.
#[derive(Debug)]
struct Share(&'static AtomicU64);

impl Share {
    fn take(kept: &'static AtomicU64) -> Option<Self> {
        let more = |kept: u64| kept.checked_add(MAX_BYTES).filter(|kept| *kept <= MAX_KEPT);
        kept.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self(kept))
    }

    /// It came to so many.
    fn keep(self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(MAX_BYTES, Ordering::AcqRel);
    }
}

static KEPT: AtomicU64 = AtomicU64::new(0);

/// Why there is no recording.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The demo keeps nothing.
    NotKept,
    /// One is running.
    Already,
    /// As many run as may.
    TooMany,
    /// As much is kept as may be.
    NoRoom,
    /// There is no connection yet.
    NotConnected,
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
            Self::NoRoom => write!(
                f,
                "recordings may have {} GiB in all, and there is no room for another one: move them, and start the demo anew",
                MAX_KEPT >> 30
            ),
            Self::NotConnected => f.write_str("the call is not connected yet"),
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
/// Their bytes.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// The bytes of all recordings of a demo, those that run with the most that they may come to.
const MAX_KEPT: u64 = 8 << 30;
/// How far timestamps may be from the time in which frames come.
const MAX_DRIFT: Duration = Duration::from_secs(2);
/// The largest file.
const MAX_BYTES: u64 = 512 << 20;
/// The longest recording.
const MAX_TIME: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_when_timestamps_wrap_and_not_back() {
        let stream = StreamId(0);
        let mut clock = Clock { stream, rate: 90_000, last: u32::MAX - 8999, ticks: 45_000 };
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
        let queue = Arc::new(Queue::default());
        let recorder = Recorder::default();
        let intake = |pieces| {
            let (start, queue) = (Instant::now(), queue.clone());
            Some(Intake { pieces, start, clocks: [None; 2], has_video: false, queue })
        };
        *recorder.lock() = intake(pieces);
        let add = |number: usize, bytes: Bytes| {
            let timestamp = u32::try_from(number).unwrap() * 960;
            recorder.add(MediaKind::Audio, true, (StreamId(0), timestamp), Duration::ZERO, bytes);
        };
        for number in 0..=MAX_WAITING {
            assert_eq!(queue.end(), End::Stopped, "{number}");
            add(number, Bytes::from_static(&[0xf8]));
        }
        assert_eq!(queue.end(), End::Slow);
        assert!(recorder.lock().is_none());
        assert_eq!(std::iter::from_fn(|| coming.try_recv().ok()).count(), MAX_WAITING);
        // Likewise of bytes.
        queue.is_slow.store(false, Ordering::Release);
        queue.bytes.store(0, Ordering::Release);
        let (pieces, _coming) = mpsc::channel(MAX_WAITING);
        *recorder.lock() = intake(pieces);
        for number in 0..16 {
            add(number, Bytes::from(vec![0xf8; 1 << 20]));
        }
        assert_eq!(queue.end(), End::Stopped);
        add(16, Bytes::from_static(&[0xf8]));
        assert_eq!(queue.end(), End::Slow);
    }

    #[test]
    fn all_recordings_together_are_as_large_as_the_limit_and_not_larger() {
        static KEPT: AtomicU64 = AtomicU64::new(0);
        let shares: Vec<_> = std::iter::from_fn(|| Share::take(&KEPT)).collect();
        assert_eq!(shares.len() as u64, MAX_KEPT / MAX_BYTES);
        // What was not written there is room for again.
        shares.into_iter().for_each(|share| share.keep(1));
        assert_eq!(KEPT.load(Ordering::Acquire), MAX_KEPT / MAX_BYTES);
        let shares: Vec<_> = std::iter::from_fn(|| Share::take(&KEPT)).collect();
        assert_eq!(shares.len() as u64, MAX_KEPT / MAX_BYTES - 1);
    }

    #[test]
    fn another_stream_and_timestamps_that_leap_begin_where_they_are_played() {
        let (millis, one, other) = (Duration::from_millis, StreamId(0), StreamId(1));
        let mut clock = Clock::at(millis(500), one, 90_000, 7000);
        assert_eq!(clock.follow(millis(500), one, 7000), millis(500));
        assert_eq!(clock.follow(millis(650), one, 16_000), millis(600), "time is the sender's");
        assert_eq!(clock.follow(millis(700), other, 9), millis(700), "another stream");
        assert_eq!(clock.follow(millis(800), other, 9009), millis(800));
        // Its source has changed, and with it the timestamps: forwards and back.
        assert_eq!(clock.follow(millis(900), other, 1 << 30), millis(900));
        assert!(clock.follow(millis(10), one, 3) > millis(900), "nothing goes back");
    }

    #[tokio::test]
    async fn a_recording_ends_in_time_also_where_nothing_comes() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::folder(folder.path().to_owned()).unwrap();
        let recorder = Recorder::default();
        let time = Duration::from_millis(300);
        let recording = recorder.start_for(time, &destination, "silent", false).unwrap();
        let recording = tokio::spawn(recording);
        recorder.add(MediaKind::Audio, true, (StreamId(0), 0), Duration::ZERO, Bytes::from_static(&[0xf8]));
        let ended = tokio::time::timeout(Duration::from_secs(20), recording).await.expect("it ends");
        let summary = ended.unwrap().unwrap();
        assert_eq!((summary.counts, summary.end), ([1, 0], End::Long));
    }
}
