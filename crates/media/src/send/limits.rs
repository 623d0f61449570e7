//! Bitrates that peers want the streams of a sender to stay below.

use std::time::Duration;

use proto::Instant;
use rtp::Ssrc;
use rtp::rtcp::{Encoder, MaxBitrate};

use crate::later::Blank;

/// What peers want, as long as they are there.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// By REMB, with who wants it.
    remb: Option<(Ssrc, u64)>,
    /// By TMMBR, with who wants it, and when that peer was heard last.
    wanted: Vec<(MaxBitrate, Instant)>,
    /// Whether somebody is to be told of the limits.
    notify: bool,
    told: Option<u64>,
}

impl Blank for Limits {
    fn blank() -> &'static Self {
        static NONE: Limits = Limits { remb: None, wanted: Vec::new(), notify: false, told: None };
        &NONE
    }
}

impl Limits {
    /// A peer says what the path carries.
    pub(super) const fn set_remb(&mut self, sender: Ssrc, bitrate: u64) {
        self.remb = Some((sender, bitrate));
    }

    /// RFC 5104 §4.2.1.2: the last request of a peer is the one that counts. At most `max` peers are heard.
    pub(super) fn want(&mut self, now: Instant, limit: MaxBitrate, max: usize) {
        if let Some(other) = self.wanted.iter_mut().find(|(other, _)| other.ssrc == limit.ssrc) {
            *other = (limit, now);
        } else if self.wanted.len() < max {
            self.wanted.push((limit, now));
        } else {
            return;
        }
        self.notify = true;
    }

    /// A peer reports: it is there.
    pub(super) fn heard(&mut self, now: Instant, peer: Ssrc) {
        let own = self.wanted.iter_mut().filter(|(limit, _)| limit.ssrc == peer);
        own.for_each(|(_, heard)| *heard = now);
    }

    /// A peer has left.
    pub(super) fn forget(&mut self, peer: Ssrc) {
        self.remb = self.remb.filter(|(sender, _)| *sender != peer);
        self.wanted.retain(|(limit, _)| limit.ssrc != peer);
    }

    /// Whoever is silent for so long has left.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        self.wanted.retain(|(_, heard)| now - *heard < SILENCE);
    }

    /// The lowest of all.
    pub(super) fn lowest(&self) -> Option<u64> {
        let wanted = self.wanted.iter().map(|(limit, _)| limit.bitrate);
        wanted.chain(self.remb.map(|(_, bitrate)| bitrate)).min()
    }

    /// What the program was told.
    pub(super) const fn told(&self) -> Option<u64> {
        self.told
    }

    /// The program is told.
    pub(super) const fn tell(&mut self, limit: Option<u64>) {
        self.told = limit;
    }

    pub(super) const fn has_notification(&self) -> bool {
        self.notify
    }

    /// Tells who asked for limits which one holds (RFC 5104 §4.2.2). Gives whether there was room.
    pub(super) fn write_notification(&mut self, sender: Ssrc, out: &mut Encoder<'_, '_>) -> bool {
        let lowest = self.wanted.iter().map(|(limit, _)| *limit).min_by_key(|limit| limit.bitrate);
        self.notify = out.tmmbn(sender, lowest).is_err();
        !self.notify
    }
}

/// RFC 3550 §6.3.5: five intervals of reports, of 5 s as peers have them that know nothing of RFC 4585.
const SILENCE: Duration = Duration::from_secs(25);
