//! What is left of channels, and what they still take.

use proto::Instant;
use session::{ChannelId, ChannelState};

use super::Core;
use crate::SendError;

impl Core {
    /// Nobody can read a channel any more: what comes for it is dropped, lest it hold up others. Says whether the peer has to
    /// be told of that.
    pub(crate) fn leave_channel(&mut self, now: Instant, id: ChannelId) -> bool {
        if self.session.channel(id).is_none() {
            self.forget(id);
            return false;
        }
        self.slot(id).is_left = true;
        self.drop_unread(now, id)
    }

    pub(super) fn drop_unread(&mut self, now: Instant, id: ChannelId) -> bool {
        let before = self.session.channel(id).is_some();
        let came = std::iter::from_fn(|| self.session.recv(now, id)).count();
        let is_gone = self.session.channel(id).is_none();
        if is_gone {
            self.forget(id);
        }
        came > 0 || (before && is_gone)
    }

    /// How far a channel is; closing also while the rest of a message is still to be given to the session.
    pub(crate) fn channel_state(&self, id: ChannelId) -> ChannelState {
        let closes = self.slots.get(&id).is_some_and(|slot| slot.close_when_sent);
        match self.session.channel(id).map(|info| info.state) {
            Some(ChannelState::Connecting | ChannelState::Open) if closes => ChannelState::Closing,
            Some(state) => state,
            None => ChannelState::Closed,
        }
    }

    /// Whether a message may be handed over now.
    pub(crate) fn has_room(&mut self, id: ChannelId) -> Result<bool, SendError> {
        let has_stream = self.session.channel(id).is_some_and(|info| info.stream.is_some());
        match self.channel_state(id) {
            ChannelState::Connecting if !self.over && !has_stream => return Err(SendError::NotOpen),
            ChannelState::Open | ChannelState::Connecting if !self.over => {}
            ChannelState::Connecting | ChannelState::Open | ChannelState::Closing | ChannelState::Closed => {
                return Err(SendError::Closed);
            }
        }
        let waiting = self.slots.get(&id).is_some_and(|slot| slot.unsent.is_some());
        Ok(!waiting && self.session.buffered(id) < self.send_buffer)
    }

    pub(crate) fn close_channel(&mut self, now: Instant, id: ChannelId) {
        // What was handed over comes first: the rest of a message is still to be given to the session.
        match self.slots.get_mut(&id).filter(|slot| slot.unsent.is_some()) {
            Some(slot) => slot.close_when_sent = true,
            None => self.session.close_channel(now, id),
        }
        self.wake(id, |slot| {
            slot.openers.wake();
            slot.writers.wake();
        });
    }

    /// Nobody takes news any more, nor the channels among them. Says whether the peer has to be told of that.
    pub(crate) fn abandon_news(&mut self, now: Instant) -> bool {
        let channels: Vec<ChannelId> = self.news.abandon().collect();
        channels.into_iter().filter(|id| self.leave_channel(now, *id)).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Configuration, DataChannelInit, Endpoint, Event};

    /// Also where there was something to read when the association ended, and nobody has.
    #[tokio::test]
    async fn nothing_is_kept_for_a_channel_that_has_ended_and_was_left() {
        let endpoint = || Endpoint::builder().address([127, 0, 0, 1].into()).bind();
        let (here, there) = (endpoint().await.unwrap(), endpoint().await.unwrap());
        let (alice, mut from_alice) = here.connect(Configuration::default()).unwrap();
        let (bob, mut from_bob) = there.connect(Configuration::default()).unwrap();
        let ours = alice.create_data_channel("left", DataChannelInit::default()).unwrap();
        let offer = alice.make_local_description().unwrap();
        bob.set_remote_description(offer).unwrap();
        alice.set_remote_description(bob.make_local_description().unwrap()).unwrap();
        let met = async {
            loop {
                tokio::select! {
                    Some(event) = from_alice.next() => if let Event::IceCandidate(Some(found)) = event {
                        bob.add_ice_candidate(&found).unwrap();
                    },
                    Some(event) = from_bob.next() => if let Event::IceCandidate(Some(found)) = event {
                        alice.add_ice_candidate(&found).unwrap();
                    } else if let Event::DataChannel(theirs) = event {
                        break theirs;
                    },
                }
            }
        };
        let theirs = tokio::time::timeout(Duration::from_secs(10), met).await.unwrap();
        ours.send("unread").await.unwrap();
        ours.delivered().await.unwrap();
        alice.close();
        tokio::time::timeout(Duration::from_secs(10), bob.closed()).await.unwrap();
        drop(theirs);
        assert_eq!(bob.handle.with(|core| core.slots.len()), 0);
    }
}
