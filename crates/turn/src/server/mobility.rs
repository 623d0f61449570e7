//! An allocation goes along with its client to another address (RFC 8016).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{Rng, constant_time_eq};
use proto::{Instant, Path};
use stun::Authenticated;

use super::Server;
use super::request::ends;
use super::table::Table;

/// Where an allocation is in the table, and what nobody can guess: the latest is the only one that counts. In text, since
/// there are clients that end it at a byte that is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket([u8; TICKET_LEN]);

impl Ticket {
    pub(super) fn new(key: usize, rng: &mut Rng) -> Self {
        let mut bytes = rng.array::<RAW_LEN>();
        // Keys are fewer than allocations.
        let place = u32::try_from(key).unwrap_or(u32::MAX).to_be_bytes();
        bytes.iter_mut().zip(place).for_each(|(to, from)| *to = from);
        let mut text = [0; TICKET_LEN];
        // The lengths are constants that fit.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        Self(text)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// In constant time.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        constant_time_eq(&self.0, shown)
    }

    /// Which allocation a ticket is said to be of.
    pub(super) fn key_of(shown: &[u8]) -> Option<usize> {
        let mut bytes = [0; RAW_LEN];
        let len = URL_SAFE_NO_PAD.decode_slice(shown, &mut bytes).ok()?;
        let (place, _) = bytes.split_first_chunk::<4>().filter(|_| len == RAW_LEN)?;
        usize::try_from(u32::from_be_bytes(*place)).ok()
    }
}

impl Server {
    /// Gives the allocation of a ticket, which has to be the user's, a new path and a new ticket (RFC 8016 §3.2).
    pub(super) fn take_along(
        &mut self,
        now: Instant,
        path: Path,
        ticket: &[u8],
        user: &Arc<Authenticated>,
    ) -> Result<(), u16> {
        if !self.config.mobility {
            return Err(405);
        }
        let key = Ticket::key_of(ticket).ok_or(400_u16)?;
        let credentials_end = ends(&self.users, &self.config, user);
        let allocation = self.table.of_ticket(key, ticket).ok_or(400_u16)?;
        if allocation.user.username() != user.username() {
            return Err(441);
        }
        allocation.user = Arc::clone(user);
        allocation.credentials_end = credentials_end;
        allocation.is_stale = false;
        self.table.relocate(now, &mut self.rng, key, path)?;
        self.stats.moved = self.stats.moved.wrapping_add(1);
        Ok(())
    }
}

impl Table {
    /// Gives a live allocation another path and another ticket.
    pub(super) fn relocate(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        key: usize,
        path: Path,
    ) -> Result<(), u16> {
        // Whose connection broke may come back from where it was.
        self.replace_client(now, key, path)?;
        let Some(allocation) = self.of_client(path) else { return Err(437) };
        allocation.ticket = Some(Ticket::new(key, rng));
        Ok(())
    }
}

/// Four bytes of the place, and seventeen of a secret.
const RAW_LEN: usize = 21;
const TICKET_LEN: usize = RAW_LEN / 3 * 4;
