//! What one connection has to do at another.

use std::sync::Weak;

use session::{StreamId, TransceiverId};

use super::Viewer;
use crate::connection::Handle;

/// Something to be done at another connection, while no connection is locked.
#[derive(Debug)]
pub(crate) enum Errand {
    /// A stream goes on with a key frame.
    KeyFrame {
        /// Where it comes.
        from: Weak<Handle>,
        /// By this transceiver.
        id: TransceiverId,
        /// Which.
        stream: StreamId,
    },
    /// A transceiver's packets are not forwarded by one any more.
    Leave {
        /// Where they come.
        from: Weak<Handle>,
        /// By this transceiver.
        id: TransceiverId,
        /// What the two had in common.
        feed: u64,
    },
    /// Nothing more comes for one that forwards.
    EndFeed(Viewer),
}

impl Errand {
    /// To be called while no connection is locked. A connection that is gone needs nothing.
    pub(crate) fn run(self) {
        let (Self::KeyFrame { from: at, .. }
        | Self::Leave { from: at, .. }
        | Self::EndFeed(Viewer { handle: at, .. })) = &self;
        let Some(handle) = at.upgrade() else { return };
        handle.with(|core| match &self {
            Self::KeyFrame { id, stream, .. } => core.session.request_key_frame(*id, *stream),
            Self::Leave { id, feed, .. } => core.remove_viewer(*id, *feed),
            Self::EndFeed(viewer) => _ = core.end_feed(viewer.id, |feed| feed.number == viewer.feed),
        });
        handle.notify();
    }
}
