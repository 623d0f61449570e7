use rtp::Ssrc;

use super::{MAX_GOODBYES, Rtp};

impl Rtp {
    /// A peer uses a source of ours: goodbye to it, and on under another (RFC 3550 §8.2). One that was chosen so, at random, is
    /// used by nobody else: it comes back to us, and would do so under any other.
    pub(super) fn resolve_collision(&mut self, ssrc: Ssrc) {
        if self.asides.chosen.contains(&ssrc) {
            return;
        }
        let chosen = self.senders.iter_mut().find_map(|sender| sender.resolve_collision(ssrc));
        let Some(chosen) = chosen else { return };
        let asides = &mut *self.asides;
        if asides.chosen.len() >= MAX_GOODBYES {
            asides.chosen.remove(0);
        }
        asides.chosen.push(chosen);
        if asides.collisions.len() < MAX_GOODBYES && asides.goodbyes.len() < MAX_GOODBYES {
            asides.collisions.push(ssrc);
            asides.goodbyes.push(ssrc);
        }
    }
}
