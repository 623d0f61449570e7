use proto::Instant;
use rtp::Ssrc;
use rtp::rtcp::ReportBlock;

use super::StreamId;
use super::stream::Stream;
use super::tracker::Tracker;

/// Which source belongs to which stream, and what it carries.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    entries: Vec<Source>,
    /// Where the last one was found: packets come in runs.
    cached: usize,
}

/// A source of a media section.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: Ssrc,
    pub(crate) stream: StreamId,
    pub(crate) role: Role,
    /// Of a source of repair, once it was heard: what came of it. Those of media have theirs in the stream.
    tracker: Option<Box<Tracker>>,
    heard: bool,
}

/// What a source carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Media,
    Rtx,
    Fec,
}

/// What a report is about: a stream, or a source of repair.
#[derive(Debug)]
pub(crate) enum Reported<'a> {
    Stream(&'a mut Stream),
    Source(&'a mut Source),
}

impl Reported<'_> {
    /// What was received of it since the last report.
    pub(crate) fn report(self, now: Instant) -> Option<ReportBlock> {
        match self {
            Self::Stream(stream) => stream.report(now),
            Self::Source(source) => source.report(),
        }
    }
}

impl Sources {
    pub(crate) fn find(&mut self, ssrc: Ssrc) -> Option<&mut Source> {
        if self.entries.get(self.cached).is_none_or(|source| source.ssrc != ssrc) {
            self.cached = self.entries.iter().position(|source| source.ssrc == ssrc)?;
        }
        self.entries.get_mut(self.cached)
    }

    pub(crate) fn contains(&self, ssrc: Ssrc) -> bool {
        self.entries.iter().any(|source| source.ssrc == ssrc)
    }

    /// Binds a source. The one that had its place has it no longer.
    pub(crate) fn bind(&mut self, ssrc: Ssrc, stream: StreamId, role: Role) {
        self.entries.retain(|source| source.ssrc != ssrc && (source.stream != stream || source.role != role));
        self.entries.reserve_exact(1);
        self.entries.push(Source { ssrc, stream, role, tracker: None, heard: false });
    }

    /// The source with this role in a stream.
    pub(crate) fn of(&self, stream: StreamId, role: Role) -> Option<Ssrc> {
        let found = self.entries.iter().find(|source| source.stream == stream && source.role == role);
        found.map(|source| source.ssrc)
    }

    pub(crate) fn unbind_stream(&mut self, stream: StreamId) {
        self.entries.retain(|source| source.stream != stream);
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.entries.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Ssrc> + '_ {
        self.entries.iter().map(|source| source.ssrc)
    }
}

impl Source {
    /// How a source of repair was received since the last report.
    pub(crate) fn report(&mut self) -> Option<ReportBlock> {
        let heard = std::mem::replace(&mut self.heard, false);
        Some(self.tracker.as_mut().filter(|_| heard)?.report(self.ssrc))
    }

    /// Counts a packet of a source of repair.
    pub(crate) fn count(&mut self, now: Instant, packet: &rtp::Packet<'_>, clock_rate: u32) {
        self.heard = true;
        if self.role != Role::Media {
            let tracker = self.tracker.get_or_insert_with(|| Box::new(Tracker::new(0)));
            tracker.arrive(packet.header().sequence_number);
            tracker.time(now, packet.header().timestamp, clock_rate);
        }
    }
}
