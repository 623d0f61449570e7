//! Who was heard and seen lately (W3C WebRTC 1.0 §5.3).

use std::time::Duration;

use proto::Instant;
use rtp::extension::{AudioLevel, ExtensionMap, MixerLevels};
use rtp::{Packet, RtpTimestamp, Ssrc};

/// A source of what was received in the last ten seconds (W3C WebRTC 1.0 §5.3, `RTCRtpContributingSource`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Contribution {
    /// Which.
    pub source: Ssrc,
    /// When its last packet came.
    pub at: Instant,
    /// The timestamp of that.
    pub timestamp: RtpTimestamp,
    /// How loud it was then, in dB below the loudest: 0 to 127, which is silence. By RFC 6464 of who sends, by RFC 6465 of whom a mixer
    /// names; `None` where that was not agreed upon or is not told.
    pub level: Option<u8>,
    /// Whether the sender takes it for a voice (RFC 6464).
    pub is_voice: Option<bool>,
}

impl Contribution {
    /// How loud it was, from 0, silence, to 1 (W3C's `audioLevel`): 10 to the power of a twentieth of the level.
    pub fn audio_level(&self) -> Option<f64> {
        let level = self.level?;
        Some(if level >= SILENCE { 0.0 } else { 10_f64.powf(-f64::from(level) / 20.0) })
    }
}

/// Synchronization sources and contributing sources of a section.
#[derive(Debug)]
pub(crate) struct Contributors {
    senders: Table,
    mixed: Table,
}

impl Contributors {
    pub(crate) const fn new(max_senders: usize, max_mixed: usize) -> Self {
        Self { senders: Table::new(max_senders), mixed: Table::new(max_mixed) }
    }

    /// A packet of media came.
    pub(crate) fn note(&mut self, now: Instant, packet: &Packet<'_>, extensions: &ExtensionMap, audio: bool) {
        let header = packet.header();
        let level = if audio { extensions.read::<AudioLevel>(packet) } else { None };
        let contribution = Contribution {
            source: header.ssrc,
            at: now,
            timestamp: header.timestamp,
            level: level.map(|level| level.level),
            is_voice: level.map(|level| level.voice),
        };
        self.senders.note(contribution);
        let mut sources = packet.csrcs();
        if sources.len() == 0 {
            return;
        }
        let levels = if audio { extensions.read::<MixerLevels<'_>>(packet) } else { None };
        let mut levels = levels.iter().flat_map(MixerLevels::levels);
        // RFC 6465 §3: as many levels as sources, in the same order.
        sources.by_ref().for_each(|source| {
            self.mixed.note(Contribution { source, level: levels.next(), is_voice: None, ..contribution });
        });
    }

    pub(crate) fn senders(&self, now: Instant) -> Vec<Contribution> {
        self.senders.lately(now)
    }

    pub(crate) fn mixed(&self, now: Instant) -> Vec<Contribution> {
        self.mixed.lately(now)
    }
}

/// The last of each source, of so many sources.
#[derive(Debug)]
struct Table {
    entries: Vec<Contribution>,
    max: usize,
}

impl Table {
    const fn new(max: usize) -> Self {
        Self { entries: Vec::new(), max }
    }

    /// Takes the place of what was known of the source, or of whoever was silent for longest if there are as many as may be.
    fn note(&mut self, contribution: Contribution) {
        if let Some(known) = self.entries.iter_mut().find(|known| known.source == contribution.source) {
            *known = contribution;
        } else if self.entries.len() < self.max {
            self.entries.push(contribution);
        } else if let Some(oldest) = self.entries.iter_mut().min_by_key(|known| known.at) {
            *oldest = contribution;
        }
    }

    /// Those of the last ten seconds, the latest first.
    fn lately(&self, now: Instant) -> Vec<Contribution> {
        let mut found: Vec<_> = self.entries.iter().filter(|it| now - it.at <= HORIZON).copied().collect();
        found.sort_by_key(|contribution| std::cmp::Reverse(contribution.at));
        found
    }
}

/// W3C WebRTC 1.0 §5.3.
const HORIZON: Duration = Duration::from_secs(10);
/// RFC 6464 §3.
const SILENCE: u8 = 127;
