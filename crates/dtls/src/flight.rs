use proto::{NoSpace, Writer};

use crate::Role;
use crate::v12::Sealer;
use crate::wire::{
    Alert, ContentType, HANDSHAKE_HEADER_LEN, HandshakeType, MAX_SEQUENCE, RECORD_HEADER_LEN, RecordHeader,
    encode_fragment_header, version,
};

/// The messages of ours that the peer may not have: sent as a whole, again as a whole, each time cut to
/// the datagrams of the day, with the same content and new record numbers (RFC 6347 §4.2.4).
#[derive(Debug, Default)]
pub(crate) struct Flight {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// The item to be sent next.
    next: usize,
    /// Bytes of its body that were sent.
    offset: usize,
}

impl Flight {
    /// Forgets the messages, for those of the next flight.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.rewind();
    }

    /// Forgets the messages and gives their memory back.
    pub(crate) fn free(&mut self) {
        *self = Self::default();
    }

    /// Gives back the memory that the messages do not need.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.items.shrink_to_fit();
    }

    /// Adds a message of at most `body_limit` bytes and returns it with its header.
    pub(crate) fn push(
        &mut self,
        epoch: u16,
        kind: HandshakeType,
        sequence: u16,
        body_limit: usize,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
    ) -> Result<&[u8], NoSpace> {
        let start = self.bytes.len();
        self.bytes.resize(start.saturating_add(HANDSHAKE_HEADER_LEN).saturating_add(body_limit), 0);
        let mut out = Writer::new(self.bytes.get_mut(start..).unwrap_or_default());
        out.put_zeros(HANDSHAKE_HEADER_LEN)?;
        body(&mut out)?;
        let len = out.len().saturating_sub(HANDSHAKE_HEADER_LEN);
        let total = u32::try_from(len).map_err(|_| NoSpace)?;
        out.patch(0, &encode_fragment_header(kind, total, sequence, 0, total))?;
        self.bytes.truncate(start.saturating_add(HANDSHAKE_HEADER_LEN).saturating_add(len));
        self.items.push(Item::Message { epoch, kind, sequence, start, len });
        Ok(self.bytes.get(start..).unwrap_or_default())
    }

    /// Adds the change to epoch 1.
    pub(crate) fn push_change_cipher_spec(&mut self) {
        self.items.push(Item::ChangeCipherSpec);
    }

    /// Sends everything again.
    pub(crate) const fn rewind(&mut self) {
        self.next = 0;
        self.offset = 0;
    }

    /// Whether there is something to be sent.
    pub(crate) const fn is_due(&self) -> bool {
        self.next < self.items.len()
    }

    /// Whether there is nothing to be sent again either.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes as many records as fit; says whether there was one.
    pub(crate) fn write(&mut self, outbound: &mut Outbound, out: &mut Writer<'_>) -> bool {
        let before = out.len();
        while let Some(item) = self.items.get(self.next) {
            let done = match item {
                Item::ChangeCipherSpec => outbound.change_cipher_spec(out).map(|()| true),
                Item::Message { epoch, kind, sequence, start, len } => {
                    let from = start.saturating_add(HANDSHAKE_HEADER_LEN);
                    let body = self.bytes.get(from..from.saturating_add(*len)).unwrap_or_default();
                    let rest = body.get(self.offset..).unwrap_or_default();
                    let overhead = outbound.overhead(*epoch).saturating_add(HANDSHAKE_HEADER_LEN);
                    let room = out.room().saturating_sub(overhead);
                    let piece = rest.get(..room).unwrap_or(rest);
                    // A few bytes of a message at the end of a datagram are not worth their headers.
                    let too_small = piece.len() < rest.len() && piece.len() < MIN_PIECE;
                    if out.room() < overhead || too_small {
                        break;
                    }
                    let (total, offset, size) = (to_u32(*len), to_u32(self.offset), to_u32(piece.len()));
                    // RFC 6347 §4.1: nobody knows the version before the server chose it.
                    let record_version = if *kind == HandshakeType::CLIENT_HELLO {
                        version::DTLS_1_0
                    } else {
                        version::DTLS_1_2
                    };
                    let header = encode_fragment_header(*kind, total, *sequence, offset, size);
                    let written =
                        outbound.record(*epoch, ContentType::Handshake, record_version, out, |out| {
                            out.put(&header)?;
                            out.put(piece)
                        });
                    self.offset =
                        if written.is_ok() { self.offset.saturating_add(piece.len()) } else { self.offset };
                    written.map(|()| self.offset >= *len)
                }
            };
            match done {
                Ok(true) => {
                    self.next = self.next.saturating_add(1);
                    self.offset = 0;
                }
                Ok(false) => {}
                Err(NoSpace) => break,
            }
        }
        out.len() > before
    }
}

#[derive(Debug)]
enum Item {
    Message { epoch: u16, kind: HandshakeType, sequence: u16, start: usize, len: usize },
    ChangeCipherSpec,
}

/// The two epochs that we write records in.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    plain_sequence: u64,
    sealer: Option<Sealer>,
    /// Whether our ChangeCipherSpec was written, behind which all is protected.
    changed: bool,
}

impl Outbound {
    pub(crate) const fn starting_at(plain_sequence: u64) -> Self {
        Self { plain_sequence, sealer: None, changed: false }
    }

    pub(crate) fn set_sealer(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    pub(crate) const fn sealer(&mut self) -> Option<&mut Sealer> {
        self.sealer.as_mut()
    }

    /// Bytes that a record of `epoch` adds to its plaintext.
    pub(crate) fn overhead(&self, epoch: u16) -> usize {
        match (&self.sealer, epoch) {
            (Some(sealer), 1..) => sealer.overhead(),
            _ => RECORD_HEADER_LEN,
        }
    }

    /// Writes a ChangeCipherSpec; on failure nothing.
    fn change_cipher_spec(&mut self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let content = ContentType::ChangeCipherSpec;
        self.record(0, content, version::DTLS_1_2, out, |out| out.put_u8(1))?;
        self.changed = true;
        Ok(())
    }

    /// Writes an alert, under the keys if the peer knows that they are in use. A server that has keys changes
    /// to them for the alert's sake: a peer need not believe one that anyone could have sent.
    pub(crate) fn alert(&mut self, role: Role, alert: Alert, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let changes = role == Role::Server && self.sealer.is_some() && !self.changed;
        let epoch = u16::from(self.changed || changes);
        let room = self.overhead(epoch).saturating_add(ALERT_LEN);
        if changes {
            if out.room() < room.saturating_add(RECORD_HEADER_LEN).saturating_add(1) {
                return Err(NoSpace);
            }
            self.change_cipher_spec(out)?;
        }
        self.record(epoch, ContentType::Alert, version::DTLS_1_2, out, |out| alert.encode(out))
    }

    /// Writes a record; on failure nothing.
    pub(crate) fn record(
        &mut self,
        epoch: u16,
        content: ContentType,
        version: u16,
        out: &mut Writer<'_>,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
    ) -> Result<(), NoSpace> {
        if epoch > 0 {
            let sealer = self.sealer.as_mut().ok_or(NoSpace)?;
            let started = sealer.begin(content, out).map_err(|_| NoSpace)?;
            let written = body(out);
            match written {
                Ok(()) => sealer.seal(started, out),
                Err(NoSpace) => crate::v12::abandon(&started, out),
            }
            return written;
        }
        if self.plain_sequence >= MAX_SEQUENCE {
            return Err(NoSpace);
        }
        let start = out.len();
        let header = RecordHeader { content, version, epoch, sequence: self.plain_sequence, len: 0 };
        header.encode(out)?;
        let written = body(out).and_then(|()| {
            let len = out.len().saturating_sub(start).saturating_sub(RECORD_HEADER_LEN);
            out.patch_u16(start.saturating_add(11), u16::try_from(len).map_err(|_| NoSpace)?)
        });
        match written {
            Ok(()) => self.plain_sequence = self.plain_sequence.saturating_add(1),
            Err(NoSpace) => out.truncate(start),
        }
        written
    }
}

fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Bytes of the smallest piece of a message that is not its last.
const MIN_PIECE: usize = 16;
/// RFC 5246 §7.2: level and description.
const ALERT_LEN: usize = 2;
