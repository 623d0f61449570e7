use crate::{Outbound, ProtectError};

/// Protects one RTP packet for many receivers: for each of them it is copied to the memory beside it, rewritten, and
/// protected there with that receiver's keys. Nothing is allocated, and the packet itself is read only.
///
/// `rewrite` is given the number of the receiver and its copy, in which it puts the receiver's SSRC, sequence number
/// and header extensions; it must not change where the header ends. `sent` is given what came of it: the protected
/// packet, or why there is none.
pub fn protect_for_each<'a>(
    packet: &[u8],
    receivers: impl IntoIterator<Item = (&'a mut Outbound, &'a mut [u8])>,
    mut rewrite: impl FnMut(usize, &mut [u8]),
    mut sent: impl FnMut(usize, Result<&mut [u8], ProtectError>),
) {
    for (number, (outbound, memory)) in receivers.into_iter().enumerate() {
        let needed = packet.len() + outbound.rtp_overhead();
        let Some(copy) = memory.get_mut(..packet.len()) else {
            sent(number, Err(ProtectError::NoRoom { needed }));
            continue;
        };
        copy.copy_from_slice(packet);
        rewrite(number, copy);
        match outbound.protect_rtp(memory, packet.len()) {
            Ok(len) => sent(number, memory.get_mut(..len).ok_or(ProtectError::NoRoom { needed })),
            Err(error) => sent(number, Err(error)),
        }
    }
}
