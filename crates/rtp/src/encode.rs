#![deny(clippy::arithmetic_side_effects)]

use proto::{NoSpace, Writer};

use crate::extension::{Form, Value};
use crate::packet::{EXTENSION, MARKER, PADDING, VERSION};
use crate::{EditError, Header, Ssrc};

/// Writes a packet: the header, elements of the header extension, and then the payload.
///
/// ```
/// # use rtp::extension::{AudioLevel, Form};
/// # use rtp::{Encoder, Header, Packet, SequenceNumber};
/// # use proto::Writer;
/// let mut memory = [0; 100];
/// let mut out = Writer::new(&mut memory);
/// let header = Header { sequence_number: SequenceNumber(1), ..Header::default() };
/// let mut packet = Encoder::new(&mut out, header, &[])?;
/// packet.value(Form::OneByte, 3, &AudioLevel { voice: true, level: 20 })?;
/// packet.finish(b"payload", 0)?;
/// let packet = Packet::decode(out.written())?;
/// assert_eq!((packet.payload(), packet.element(3)), (&b"payload"[..], Some(&[0x94][..])));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encoder<'w, 'm> {
    out: &'w mut Writer<'m>,
    start: usize,
    /// Where the header extension begins, and its form.
    extension: Option<(usize, Form)>,
}

impl<'w, 'm> Encoder<'w, 'm> {
    /// Begins a packet behind what `out` holds.
    ///
    /// # Errors
    ///
    /// There is no room, or there are more than 15 sources.
    pub fn new(out: &'w mut Writer<'m>, header: Header, csrcs: &[Ssrc]) -> Result<Self, EditError> {
        let start = out.len();
        let count = u8::try_from(csrcs.len()).ok().filter(|count| *count < 16);
        let count = count.ok_or(EditError::TooManySources)?;
        let len = crate::packet::FIXED.saturating_add(csrcs.len().saturating_mul(4));
        if out.room() < len {
            return Err(EditError::NoRoom);
        }
        out.put_u8(VERSION << 6 | count)?;
        out.put_u8(if header.marker { MARKER } else { 0 } | header.payload_type.get())?;
        out.put_u16(header.sequence_number.0)?;
        out.put_u32(header.timestamp.0)?;
        out.put_u32(header.ssrc.0)?;
        csrcs.iter().try_for_each(|source| out.put_u32(source.0))?;
        Ok(Self { out, start, extension: None })
    }

    /// Adds an element of the header extension. All elements of a packet have one form: that of the first.
    ///
    /// # Errors
    ///
    /// There is no room, or the element does not go into the form.
    pub fn element(&mut self, form: Form, id: u8, value: &[u8]) -> Result<(), EditError> {
        let form = self.extension.map_or(form, |(_, form)| form);
        let len = form.element_len(id, value.len()).ok_or(EditError::Form)?;
        let begin = if self.extension.is_some() { 0 } else { crate::packet::EXTENSION_HEADER };
        // With what fills the last word, so that `finish` cannot lack it.
        let room = begin.saturating_add(len).saturating_add(3);
        if self.out.room() < room {
            return Err(EditError::NoRoom);
        }
        if self.extension.is_none() {
            self.extension = Some((self.out.len(), form));
            self.out.put_u16(form.profile())?;
            self.out.put_u16(0)?;
        }
        self.out.put(form.element_header(id, value.len()).get(..form.header_len()).unwrap_or_default())?;
        self.out.put(value)?;
        Ok(())
    }

    /// Adds an element by its value: [`element`](Self::element), with what the value says of itself.
    ///
    /// # Errors
    ///
    /// As with [`element`](Self::element).
    pub fn value<'v>(&mut self, form: Form, id: u8, value: &impl Value<'v>) -> Result<(), EditError> {
        let mut memory = [0; 255];
        let mut scratch = Writer::new(&mut memory);
        value.write(&mut scratch)?;
        self.element(form, id, scratch.written())
    }

    /// Ends the packet with its payload and `padding` bytes behind it, the last of which counts them.
    /// Gives the length of the packet.
    ///
    /// # Errors
    ///
    /// There is no room: nothing of the packet stays written.
    pub fn finish(self, payload: &[u8], padding: u8) -> Result<usize, NoSpace> {
        self.finish_with(padding, |out| out.put(payload))
    }

    /// Like [`finish`](Self::finish), with a payload that is written in place.
    ///
    /// # Errors
    ///
    /// What `payload` says, or that there is no room: nothing of the packet stays written.
    pub fn finish_with<E: From<NoSpace>>(
        self,
        padding: u8,
        payload: impl FnOnce(&mut Writer<'m>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Self { out, start, extension } = self;
        let write = || {
            let mut first = out.written_mut(start).first().copied().unwrap_or_default();
            if let Some((at, _)) = extension {
                let len = out.len().saturating_sub(at).saturating_sub(crate::packet::EXTENSION_HEADER);
                let words = len.div_ceil(4);
                out.put_zeros(words.saturating_mul(4).saturating_sub(len))?;
                out.patch_u16(at.saturating_add(2), u16::try_from(words).map_err(|_| NoSpace)?)?;
                first |= EXTENSION;
            }
            payload(out)?;
            if let Some(zeros) = padding.checked_sub(1) {
                out.put_zeros(zeros.into())?;
                out.put_u8(padding)?;
                first |= PADDING;
            }
            out.patch(start, &[first])?;
            Ok(out.len().saturating_sub(start))
        };
        let written = write();
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}
