//! Keys that are pressed one after another (W3C WebRTC 1.0 §7), as telephone events of the audio stream (RFC 4733).

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use proto::{Instant, Writer};
use rtp::PayloadType;
use rtp::payload::telephone_event::{Event, Packetizer};

use super::encoding::Encoding;
use super::{OutgoingFrame, Sender, SenderConfig, SenderEvent};
use crate::clock;

/// Telephone events that a peer takes, whose clock is that of the audio (RFC 4733 §2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToneFormat {
    /// Their payload type.
    pub payload_type: PayloadType,
    /// Which keys: the bit of 1 is event 0, and so on up to event 15 (RFC 4733 §2.5.1.1). Others are not sent.
    pub events: u16,
}

/// Why tones were not taken. Those before are played on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ToneError {
    /// Nothing is sent, or the peer takes no telephone events with the clock of the audio.
    NotAllowed,
    /// It is no key, and no comma.
    Unknown(char),
    /// The peer does not take the event of this key (RFC 4733 §2.5.1.1).
    NotTaken(char),
    /// More wait than may.
    TooMany,
}

impl fmt::Display for ToneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("no telephone events can be sent"),
            Self::Unknown(tone) => write!(f, "{tone:?} is no key"),
            Self::NotTaken(tone) => write!(f, "the peer does not take the event of key {tone}"),
            Self::TooMany => f.write_str("too many tones wait"),
        }
    }
}

impl std::error::Error for ToneError {}

/// What a sender has of tones, once it has played any.
#[derive(Debug, Default)]
pub(crate) struct Tones {
    waiting: VecDeque<char>,
    duration: Duration,
    gap: Duration,
    /// When the next one's turn is: W3C's task for playing.
    turn: Option<Instant>,
    playing: Option<Playing>,
    /// What began last, if the program does not know it yet; `None` in it: all were played.
    began: Option<Option<char>>,
}

/// A tone that is in the air, or whose end is being told.
#[derive(Debug)]
struct Playing {
    packetizer: Packetizer,
    /// When it began, by the stream's clock without its offset, and when by ours.
    begin: u32,
    began: Instant,
    ends: Instant,
    /// Its next packet.
    next: Instant,
    /// Time between packets that tell the end.
    ending: Duration,
}

impl Sender {
    /// Whether tones can be played: the stream is active, and the peer takes telephone events.
    pub fn can_insert_tones(&self) -> bool {
        self.config.tones.is_some() && self.is_active(0)
    }

    /// Plays tones one after another, in place of those that wait; one that is being played is played to its end. Keys are `0` to `9`,
    /// `A` to `D` (also small), `*` and `#`; a comma is a pause of two seconds. No tones at all: none is played after this one.
    ///
    /// A `duration` is 40 ms to 6 s, and a `gap` between two tones 30 ms to 6 s; one outside of this is taken for the nearest. While a tone
    /// is played frames of audio are left out, and counted ([`EncodingStats::muted`](super::EncodingStats::muted)). Each that begins is
    /// told by [`SenderEvent::Tone`].
    ///
    /// # Errors
    ///
    /// Why they are not played; nothing is changed then.
    pub fn insert_tones(
        &mut self,
        now: Instant,
        tones: &str,
        duration: Duration,
        gap: Duration,
    ) -> Result<(), ToneError> {
        let now = self.advance(now);
        let format = self.config.tones.filter(|_| self.is_active(0)).ok_or(ToneError::NotAllowed)?;
        let mut wanted = VecDeque::new();
        for tone in tones.chars() {
            if tone != PAUSE {
                let event = Event::from_key(tone).ok_or(ToneError::Unknown(tone))?;
                if format.events & 1_u16.unbounded_shl(event.0.into()) == 0 {
                    return Err(ToneError::NotTaken(tone));
                }
            }
            if wanted.len() >= self.config.max_tones {
                return Err(ToneError::TooMany);
            }
            wanted.push_back(tone.to_ascii_uppercase());
        }
        let is_nothing = wanted.is_empty();
        let tones = self.tones.get_or_insert_default();
        tones.waiting = wanted;
        tones.duration = duration.clamp(MIN_DURATION, MAX_DURATION);
        tones.gap = gap.clamp(MIN_GAP, MAX_DURATION);
        if !is_nothing {
            // A turn that is to come takes the new ones.
            tones.turn.get_or_insert(now);
        }
        Ok(())
    }

    /// The tones that wait.
    pub fn tones(&self) -> impl Iterator<Item = char> + '_ {
        self.tones.iter().flat_map(|tones| tones.waiting.iter().copied())
    }

    /// What was agreed upon about telephone events has changed.
    pub fn set_tones(&mut self, format: Option<ToneFormat>) {
        if self.config.tones != format {
            self.config.tones = format;
            self.tones.iter_mut().for_each(|tones| tones.stop());
        }
    }

    /// Whether a tone takes the place of audio.
    pub(super) fn is_playing(&self) -> bool {
        self.tones.as_ref().is_some_and(|tones| tones.playing.is_some())
    }

    /// The tone that began last, if that was not told.
    pub(super) fn poll_tone(&mut self) -> Option<SenderEvent> {
        self.tones.as_mut()?.began.take().map(SenderEvent::Tone)
    }

    /// When the next packet or the next tone is due, or one is to be told.
    pub(super) fn tones_due(&self) -> Option<Instant> {
        let tones = self.tones.as_ref()?;
        if tones.began.is_some() {
            return Some(Instant::default());
        }
        [tones.turn, tones.playing.as_ref().map(|playing| playing.next)].into_iter().flatten().min()
    }

    /// Plays what is due.
    pub(super) fn play_tones(&mut self, now: Instant) {
        if self.tones.is_none() {
            return;
        }
        let can_play = self.can_insert_tones();
        let Self { config, encodings, tones, .. } = self;
        let (Some(tones), Some(encoding)) = (tones, encodings.first_mut()) else { return };
        match config.tones.filter(|_| can_play) {
            Some(format) => tones.play(now, config, format.payload_type, encoding),
            None => tones.stop(),
        }
    }
}

impl Tones {
    /// Nothing is played any more. What waits is kept, as in W3C WebRTC 1.0, until it is replaced.
    fn stop(&mut self) {
        (self.turn, self.playing) = (None, None);
    }

    fn play(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        payload_type: PayloadType,
        encoding: &mut Encoding,
    ) {
        let rate = config.codec.clock_rate();
        if let Some(playing) = self.playing.as_mut().filter(|playing| playing.next <= now)
            && playing.send(now, config, payload_type, encoding).is_none()
        {
            self.playing = None;
        }
        if self.turn.is_none_or(|turn| turn > now) {
            return;
        }
        // Whoever is so late that the next has its turn tells the end of the last at once.
        if let Some(mut last) = self.playing.take() {
            let mut packets = 0..MAX_LATE;
            while packets.next().is_some() && last.send(now, config, payload_type, encoding).is_some() {}
        }
        let Some(tone) = self.waiting.pop_front() else {
            (self.turn, self.began) = (None, Some(None));
            return;
        };
        self.began = Some(Some(tone));
        if tone == PAUSE {
            self.turn = Some(now + PAUSE_DURATION);
            return;
        }
        self.turn = Some(now + self.duration + self.gap);
        let begin = encoding.media_time(now, rate);
        let event = Event::from_key(tone);
        let Some(Ok(packetizer)) = event.map(|event| Packetizer::new(event, VOLUME, begin)) else { return };
        let mut playing = Playing {
            packetizer,
            begin,
            began: now,
            ends: now + self.duration,
            next: now,
            // RFC 4733 §2.5.1.4: the end is told three times, here within the gap however short.
            ending: (self.gap / 3).min(INTERVAL),
        };
        if playing.send(now, config, payload_type, encoding).is_some() {
            self.playing = Some(playing);
        }
    }
}

impl Playing {
    /// Sends the packet that is due; `None` if there is none any more.
    fn send(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        payload_type: PayloadType,
        encoding: &mut Encoding,
    ) -> Option<()> {
        let rate = config.codec.clock_rate();
        let ticks = |until: Instant| self.begin.wrapping_add(clock::ticks(until - self.began, rate));
        let is_over = self.ends <= now;
        if !encoding.history.has_room(1, MAX_REPORT) {
            self.next = now + INTERVAL;
            return Some(());
        }
        if is_over {
            self.packetizer.end(ticks(self.ends));
        }
        let mut memory = [0; MAX_REPORT];
        let mut out = Writer::new(&mut memory);
        let written = self.packetizer.write(ticks(now), &mut out).ok()??;
        let frame =
            OutgoingFrame { bytes: out.written(), timestamp: written.timestamp, ..OutgoingFrame::default() };
        encoding.send_payload(now, config, payload_type, written.marker, &frame).ok()?;
        self.next = if is_over { now + self.ending } else { self.ends.min(now + INTERVAL) };
        Some(())
    }
}

const PAUSE: char = ',';
/// W3C WebRTC 1.0 §7.2, as all durations of these tones.
const PAUSE_DURATION: Duration = Duration::from_secs(2);
const MIN_DURATION: Duration = Duration::from_millis(40);
const MAX_DURATION: Duration = Duration::from_secs(6);
const MIN_GAP: Duration = Duration::from_millis(30);
/// RFC 4733 §2.5.1.2: packets of audio are usually that far apart.
const INTERVAL: Duration = Duration::from_millis(20);
/// In dB below 0 dBm0: what telephones send (ITU-T Q.24 has −3 to −24 received).
const VOLUME: u8 = 10;
/// Three ends, and the segments of six seconds at 96 kHz.
const MAX_LATE: usize = 12;
/// RFC 4733 §2.3.
const MAX_REPORT: usize = 4;
