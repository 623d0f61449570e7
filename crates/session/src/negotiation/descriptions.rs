//! The descriptions of one side.

use std::sync::OnceLock;

use sdp::{PackedDescription, SessionDescription};

use crate::SdpType;

/// What was set on one side.
#[derive(Debug)]
pub(super) struct Descriptions {
    current: Option<Box<Kept>>,
    pub(super) pending: Option<(SdpType, SessionDescription)>,
}

/// One that was agreed upon. It is read when something is negotiated, or when a program asks, which is seldom: between that it is
/// packed.
#[derive(Debug)]
struct Kept {
    kind: SdpType,
    packed: PackedDescription,
    unfolded: OnceLock<Box<(SdpType, SessionDescription)>>,
}

impl Descriptions {
    pub(super) const NONE: Self = Self { current: None, pending: None };

    /// What was agreed upon last.
    pub(super) fn current(&self) -> Option<&(SdpType, SessionDescription)> {
        let kept = self.current.as_deref()?;
        Some(kept.unfolded.get_or_init(|| Box::new((kept.kind, kept.packed.unpack()))))
    }

    pub(super) fn latest(&self) -> Option<&(SdpType, SessionDescription)> {
        self.pending.as_ref().or_else(|| self.current())
    }

    pub(super) const fn has_any(&self) -> bool {
        self.current.is_some() || self.pending.is_some()
    }

    /// What is pending is agreed upon.
    pub(super) fn settle(&mut self) {
        if let Some((kind, description)) = self.pending.take() {
            let packed = description.pack();
            let unfolded = Box::new((kind, description)).into();
            self.current = Some(Box::new(Kept { kind, packed, unfolded }));
        }
    }

    /// Gives back what reading has needed.
    pub(super) fn fold(&mut self) {
        // This is asked after every datagram.
        if let Some(kept) = self.current.as_mut().filter(|kept| kept.unfolded.get().is_some()) {
            kept.unfolded.take();
        }
    }
}
