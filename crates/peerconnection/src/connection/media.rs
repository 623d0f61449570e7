//! Transceivers of a connection.

use std::task::{Context, Poll};

use session::{MediaKind, RtpStats, SectionParameters, TransceiverId, TransceiverInit};

use super::{Core, PeerConnection};
use crate::transceiver::MediaSlot;
use crate::waiting::Waiting;
use crate::{Error, Transceiver};

impl PeerConnection {
    /// Figures of all media, and what the path is thought to carry, in bit/s; `None` before media are agreed upon.
    pub fn rtp_stats(&self) -> Option<(RtpStats, Option<u64>)> {
        self.handle.with(|core| core.session.rtp_stats())
    }

    /// Has something to send (`addTrack`), which belongs to these streams: by a transceiver that has nothing to send and never
    /// had, or by a new one, which the next exchange of descriptions agrees upon.
    ///
    /// # Errors
    ///
    /// The connection is closed or has no descriptions, there are too many, or the names are none.
    pub fn add_track(&self, kind: MediaKind, streams: &[&str]) -> Result<Transceiver, Error> {
        let streams = streams.iter().map(|&name| name.to_owned()).collect();
        let id = self.command(|session, now| session.add_track(now, kind, streams))?;
        Transceiver::new(self.handle.clone(), id).ok_or(Error::ConnectionClosed)
    }

    /// Makes a transceiver (`addTransceiver`), which the next offer has a section for. Unlike one of
    /// [`add_track`](Self::add_track) it is never taken for a section of the peer's.
    ///
    /// # Errors
    ///
    /// What of `init` does not go together; and as of `add_track`.
    pub fn add_transceiver(&self, kind: MediaKind, init: TransceiverInit) -> Result<Transceiver, Error> {
        let id = self.command(|session, now| session.add_transceiver(now, kind, init))?;
        Transceiver::new(self.handle.clone(), id).ok_or(Error::ConnectionClosed)
    }

    /// The transceivers, in the order in which they were made (`getTransceivers`).
    pub fn transceivers(&self) -> Vec<Transceiver> {
        let ids: Vec<_> = self.handle.with(|core| core.session.transceivers().map(|(id, _)| id).collect());
        ids.into_iter().filter_map(|id| Transceiver::new(self.handle.clone(), id)).collect()
    }

    /// Changes the sections of audio and video of a connection without descriptions, of which both ends know: those of a name that is
    /// known go on with what was changed, others begin, and those that are not named end. The peer has to do the same.
    ///
    /// # Errors
    ///
    /// The connection has descriptions, it is closed, or the sections do not go together; nothing is changed then.
    pub fn set_sections(&self, sections: &[SectionParameters]) -> Result<(), Error> {
        self.command(|session, now| session.set_sections(now, sections))?;
        self.handle.with(Core::forget_stopped);
        self.handle.run_errands();
        Ok(())
    }
}

impl Core {
    pub(crate) fn media_slot(&mut self, id: TransceiverId) -> &mut MediaSlot {
        self.media.entry(id).or_default()
    }

    /// Has the task wake when there is something of a transceiver's; it ends with that.
    pub(crate) fn wait_for_media<T>(
        &mut self,
        id: TransceiverId,
        cx: &Context<'_>,
        which: impl FnOnce(&mut MediaSlot) -> &mut Waiting,
    ) -> Poll<Option<T>> {
        if self.over || self.session.transceiver(id).is_none() {
            self.end_forwarding(id);
            self.media.remove(&id);
            return Poll::Ready(None);
        }
        which(self.media_slot(id)).wait(cx)
    }

    /// Ends what waits for transceivers that are stopped: an exchange of descriptions has completed that.
    pub(crate) fn forget_stopped(&mut self) {
        let is_stopped = |id: &&TransceiverId| self.session.transceiver(**id).is_none();
        let stopped: Vec<TransceiverId> = self.media.keys().filter(is_stopped).copied().collect();
        for id in stopped {
            self.end_forwarding(id);
            self.media.remove(&id).into_iter().for_each(|mut slot| slot.wake_all());
        }
    }
}
