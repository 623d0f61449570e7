#![deny(clippy::arithmetic_side_effects)]

use crate::extension::{Form, Span};
use crate::packet::{EXTENSION, EXTENSION_HEADER, Layout, MARKER, PADDING};
use crate::{DecodeError, EditError, Packet, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

/// A packet that is changed where it stands, as forwarders do. It may grow into the memory behind it, and
/// no further; a change that fails leaves it as it was.
///
/// ```
/// # use rtp::{PacketMut, Ssrc, SequenceNumber};
/// let mut memory = [0; 64];
/// memory[..16].copy_from_slice(b"\x80\x6f\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44opus");
/// let mut packet = PacketMut::decode(&mut memory, 16)?;
/// packet.set_ssrc(Ssrc(1));
/// packet.set_sequence_number(SequenceNumber(8));
/// packet.set_element(5, b"0")?;
/// assert_eq!(packet.as_packet().payload(), b"opus");
/// assert_eq!(packet.bytes().len(), 24);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PacketMut<'a> {
    buf: &'a mut [u8],
    layout: Layout,
}

impl<'a> PacketMut<'a> {
    /// Takes the packet in the first `len` bytes of `buf`; what follows is room to grow.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet, or that `buf` is shorter than it.
    pub fn decode(buf: &'a mut [u8], len: usize) -> Result<Self, DecodeError> {
        let layout = Layout::of(buf.get(..len).ok_or(DecodeError::Truncated)?)?;
        Ok(Self { buf, layout })
    }

    /// The packet as it is now.
    pub fn as_packet(&self) -> Packet<'_> {
        // It decoded, and every change keeps it so; the shortest packet there is stands for what cannot be.
        Packet::with_layout(self.bytes(), &self.layout).unwrap_or(Packet::empty())
    }

    /// The bytes of the packet as it is now.
    pub fn bytes(&self) -> &[u8] {
        self.buf.get(..self.layout.end).unwrap_or_default()
    }

    /// The bytes of the packet, for as long as the memory was lent.
    pub fn into_bytes(self) -> &'a mut [u8] {
        self.buf.get_mut(..self.layout.end).unwrap_or_default()
    }

    /// How many bytes the packet has now.
    pub const fn len(&self) -> usize {
        self.layout.end
    }

    /// Never: a packet has a header.
    pub const fn is_empty(&self) -> bool {
        self.layout.end == 0
    }

    /// How many bytes the payload has, without padding.
    pub const fn payload_len(&self) -> usize {
        self.layout.payload_end.saturating_sub(self.layout.payload_at)
    }

    /// Whether the marker is set.
    pub fn marker(&self) -> bool {
        self.buf.get(1).is_some_and(|byte| byte & MARKER != 0)
    }

    /// How many bytes it may grow by.
    pub const fn room(&self) -> usize {
        self.buf.len().saturating_sub(self.layout.end)
    }

    /// Sets the marker.
    pub fn set_marker(&mut self, marker: bool) {
        self.set_bits(1, MARKER, marker);
    }

    /// Sets what the payload is.
    pub fn set_payload_type(&mut self, payload_type: PayloadType) {
        let marker = self.buf.get(1).map_or(0, |byte| byte & MARKER);
        self.patch(1, [marker | payload_type.get()]);
    }

    /// Sets the place in the stream.
    pub fn set_sequence_number(&mut self, number: SequenceNumber) {
        self.patch(2, number.0.to_be_bytes());
    }

    /// Sets the time.
    pub fn set_timestamp(&mut self, timestamp: RtpTimestamp) {
        self.patch(4, timestamp.0.to_be_bytes());
    }

    /// Sets whose stream it is.
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.patch(8, ssrc.0.to_be_bytes());
    }

    /// The payload, to be changed where it stands.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.layout.payload_at..self.layout.payload_end).unwrap_or_default()
    }

    /// The value of the first element of this identifier, to be changed where it stands.
    pub fn element_mut(&mut self, id: u8) -> Option<&mut [u8]> {
        let form = self.form().ok()??;
        let span = self.spans(form).find(|span| span.id == id)?;
        self.elements_mut().get_mut(span.value_at..span.end)
    }

    /// Shows `change` every element, with its identifier, to be changed where it stands.
    pub fn change_elements(&mut self, mut change: impl FnMut(u8, &mut [u8])) {
        let Ok(Some(form)) = self.form() else { return };
        let elements = self.elements_mut();
        let mut at = 0;
        while let Some(span) = Span::next(form, elements, at) {
            at = span.end;
            change(span.id, elements.get_mut(span.value_at..span.end).unwrap_or_default());
        }
    }

    /// By how many bytes the packet grows when the element of this identifier is set to a value of `len`
    /// bytes.
    ///
    /// # Errors
    ///
    /// As with [`set_element`](Self::set_element), but for the room.
    pub fn growth(&self, id: u8, len: usize) -> Result<usize, EditError> {
        let Some(form) = self.form()? else {
            let form = smallest_form(id, len)?;
            let len = form.element_len(id, len).ok_or(EditError::Form)?;
            return Ok(EXTENSION_HEADER.saturating_add(whole_words(len)));
        };
        let len = form.element_len(id, len).ok_or(EditError::Form)?;
        let others = self.spans(form).filter(|span| span.id != id);
        let needed = others.fold(len, |sum, span| sum.saturating_add(span.len()));
        Ok(whole_words(needed).saturating_sub(self.elements().len()))
    }

    /// Sets the value of an element. If there is one of this size it is overwritten; otherwise it is put
    /// behind the others, and the packet grows if it must. A packet without an extension gets one, of one-byte
    /// form if the element goes into that.
    ///
    /// # Errors
    ///
    /// There is no room, the element does not go into the form that the packet has, or the packet's
    /// extension has no elements.
    pub fn set_element(&mut self, id: u8, value: &[u8]) -> Result<(), EditError> {
        if let Some(place) = self.element_mut(id)
            && place.len() == value.len()
        {
            place.copy_from_slice(value);
            return Ok(());
        }
        let growth = self.growth(id, value.len())?;
        let form = match self.form()? {
            Some(form) => form,
            None => smallest_form(id, value.len())?,
        };
        // Elements are moved before there is more room, where one that ran past the end would not do so any more.
        self.check_growth(growth)?;
        let at = self.compact(form, Some(id));
        self.grow_extension(form, growth)?;
        let header = form.element_header(id, value.len());
        let value_at = at.saturating_add(form.header_len());
        let end = value_at.saturating_add(value.len());
        let elements = self.elements_mut();
        copy(elements, at, header.get(..form.header_len()).unwrap_or_default());
        copy(elements, value_at, value);
        elements.get_mut(end..).unwrap_or_default().fill(0);
        Ok(())
    }

    /// Removes every element of this identifier, and gives whether there was one. The packet keeps its
    /// length: padding takes the place, which elements that are set later use.
    pub fn remove_element(&mut self, id: u8) -> bool {
        let Ok(Some(form)) = self.form() else { return false };
        let (mut at, mut found) = (0, false);
        while let Some(span) = Span::next(form, self.elements(), at) {
            at = span.end;
            if span.id == id {
                self.elements_mut().get_mut(span.at..span.end).unwrap_or_default().fill(0);
                found = true;
            }
        }
        found
    }

    /// Gives every element the identifier that `map` has for its own, as for somebody who knows extensions
    /// by other numbers; elements without one are removed, and padding takes their place.
    ///
    /// # Errors
    ///
    /// A new identifier does not go into the packet's form, or the packet's extension has no elements.
    pub fn map_elements(&mut self, map: impl Fn(u8) -> Option<u8>) -> Result<(), EditError> {
        let Some(form) = self.form()? else { return Ok(()) };
        let fits = |span: Span| {
            let len = span.end.saturating_sub(span.value_at);
            map(span.id).is_none_or(|id| form.element_len(id, len).is_some())
        };
        if !self.spans(form).all(fits) {
            return Err(EditError::Form);
        }
        let mut at = 0;
        while let Some(span) = Span::next(form, self.elements(), at) {
            at = span.end;
            let elements = self.elements_mut();
            match map(span.id) {
                Some(id) => {
                    let header = form.element_header(id, span.end.saturating_sub(span.value_at));
                    copy(elements, span.at, header.get(..form.header_len()).unwrap_or_default());
                }
                None => elements.get_mut(span.at..span.end).unwrap_or_default().fill(0),
            }
        }
        // What stands behind a malformed element is read by nobody, and not what it was before.
        elements_end(self.elements_mut(), at).fill(0);
        Ok(())
    }

    /// Writes the elements in two-byte form, which grows the packet by a byte each, for those that do not go
    /// into the other.
    ///
    /// # Errors
    ///
    /// There is no room, or the packet's extension has no elements.
    pub fn widen_elements(&mut self) -> Result<(), EditError> {
        let Some(Form::OneByte) = self.form()? else { return Ok(()) };
        let count = self.spans(Form::OneByte).count();
        let used = self.spans(Form::OneByte).fold(0, |sum: usize, span| sum.saturating_add(span.len()));
        let needed = used.saturating_add(count);
        let growth = whole_words(needed).saturating_sub(self.elements().len());
        self.check_growth(growth)?;
        self.compact(Form::OneByte, None);
        self.grow_extension(Form::TwoByte, growth)?;
        // Moved to the end of what they will take, they can be written from the front: what is written
        // never reaches what is still to be read.
        let elements = self.elements_mut();
        elements.copy_within(..used, count);
        let (mut from, mut to) = (count, 0_usize);
        for _ in 0..count {
            let Some(first) = elements.get(from).copied() else { break };
            let len = usize::from(first & 0x0f).saturating_add(1);
            let value_at = from.saturating_add(1);
            copy(elements, to, &Form::TwoByte.element_header(first >> 4, len));
            let value_to = to.saturating_add(2);
            from = value_at.saturating_add(len);
            to = value_to.saturating_add(len);
            if from <= elements.len() && to <= from {
                elements.copy_within(value_at..from, value_to);
            }
        }
        elements_end(elements, to).fill(0);
        Ok(())
    }

    /// Makes the header extension as short as its elements allow, and removes it if there are none.
    pub fn trim_elements(&mut self) {
        let Ok(Some(form)) = self.form() else { return };
        let used = self.compact(form, None);
        if used == 0 {
            return self.remove_extension();
        }
        elements_end(self.elements_mut(), used).fill(0);
        let spare = self.elements().len().saturating_sub(whole_words(used));
        self.move_payload_back(spare);
        self.patch_extension_len();
    }

    /// Removes the header extension, whatever it is.
    pub fn remove_extension(&mut self) {
        if self.layout.has_extension() {
            self.move_payload_back(self.layout.payload_at.saturating_sub(self.layout.csrcs_end));
            self.set_bits(0, EXTENSION, false);
        }
    }

    /// Puts `count` bytes of padding behind the payload, the last of which counts them, in place of what
    /// padding there was; zero for none.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn set_padding(&mut self, count: u8) -> Result<(), EditError> {
        let end = self.layout.payload_end.saturating_add(count.into());
        let padding = self.buf.get_mut(self.layout.payload_end..end).ok_or(EditError::NoRoom)?;
        padding.fill(0);
        if let Some(last) = padding.last_mut() {
            *last = count;
        }
        self.layout.end = end;
        self.set_bits(0, PADDING, count > 0);
        Ok(())
    }

    /// Puts `bytes` in front of the payload.
    pub(crate) fn prepend(&mut self, bytes: &[u8]) -> Result<(), EditError> {
        let at = self.layout.payload_at;
        self.move_payload_on(bytes.len())?;
        self.layout.payload_at = at;
        copy(self.buf, at, bytes);
        Ok(())
    }

    /// Takes the first two bytes away from the payload.
    pub(crate) fn take_u16(&mut self) -> Option<u16> {
        let number = *self.payload_mut().first_chunk()?;
        let at = self.layout.payload_at;
        self.layout.payload_at = at.saturating_add(2);
        self.move_payload_back(2);
        Some(u16::from_be_bytes(number))
    }

    /// The form of the elements, if there are any; an error if the extension is of another kind.
    fn form(&self) -> Result<Option<Form>, EditError> {
        if !self.layout.has_extension() {
            return Ok(None);
        }
        let profile = self.buf.get(self.layout.csrcs_end..).and_then(|bytes| bytes.first_chunk());
        let form = profile.and_then(|profile| Form::of_profile(u16::from_be_bytes(*profile)));
        form.map(Some).ok_or(EditError::NotElements)
    }

    fn elements(&self) -> &[u8] {
        self.buf.get(self.layout.elements_at()..self.layout.payload_at).unwrap_or_default()
    }

    fn elements_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.layout.elements_at()..self.layout.payload_at).unwrap_or_default()
    }

    fn spans(&self, form: Form) -> impl Iterator<Item = Span> + '_ {
        let elements = self.elements();
        let mut at = 0;
        std::iter::from_fn(move || {
            let span = Span::next(form, elements, at)?;
            at = span.end;
            Some(span)
        })
    }

    /// Moves the elements together at the front, without those of one identifier. Gives where they end;
    /// what is behind is undefined.
    fn compact(&mut self, form: Form, without: Option<u8>) -> usize {
        let (mut at, mut end) = (0, 0);
        while let Some(span) = Span::next(form, self.elements(), at) {
            at = span.end;
            if Some(span.id) != without {
                self.elements_mut().copy_within(span.at..span.end, end);
                end = end.saturating_add(span.len());
            }
        }
        end
    }

    /// Whether the header extension can grow by so much.
    fn check_growth(&self, growth: usize) -> Result<(), EditError> {
        let len = self.layout.payload_at.saturating_sub(self.layout.csrcs_end).saturating_add(growth);
        if growth > self.room() || u16::try_from(len / 4).is_err() {
            return Err(EditError::NoRoom);
        }
        Ok(())
    }

    /// Makes the header extension longer, with zeros, or makes one.
    fn grow_extension(&mut self, form: Form, growth: usize) -> Result<(), EditError> {
        self.check_growth(growth)?;
        let had = self.layout.has_extension();
        let old_end = self.layout.payload_at;
        self.move_payload_on(growth)?;
        self.buf.get_mut(old_end..self.layout.payload_at).unwrap_or_default().fill(0);
        if !had || self.form() != Ok(Some(form)) {
            self.patch(self.layout.csrcs_end, form.profile().to_be_bytes());
        }
        self.set_bits(0, EXTENSION, true);
        self.patch_extension_len();
        Ok(())
    }

    fn patch_extension_len(&mut self) {
        let words = u16::try_from(self.elements().len() / 4).unwrap_or(u16::MAX);
        self.patch(self.layout.csrcs_end.saturating_add(2), words.to_be_bytes());
    }

    fn move_payload_on(&mut self, by: usize) -> Result<(), EditError> {
        if by > self.room() {
            return Err(EditError::NoRoom);
        }
        let Layout { payload_at, payload_end, end, .. } = self.layout;
        let to = payload_at.saturating_add(by);
        self.buf.copy_within(payload_at..end, to);
        self.layout.payload_at = to;
        self.layout.payload_end = payload_end.saturating_add(by);
        self.layout.end = end.saturating_add(by);
        Ok(())
    }

    fn move_payload_back(&mut self, by: usize) {
        let Layout { payload_at, payload_end, end, .. } = self.layout;
        let to = payload_at.saturating_sub(by);
        self.buf.copy_within(payload_at..end, to);
        self.layout.payload_at = to;
        self.layout.payload_end = payload_end.saturating_sub(by);
        self.layout.end = end.saturating_sub(by);
    }

    fn set_bits(&mut self, at: usize, mask: u8, on: bool) {
        if let Some(byte) = self.buf.get_mut(at) {
            *byte = if on { *byte | mask } else { *byte & !mask };
        }
    }

    fn patch<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        copy(self.buf, at, &bytes);
    }
}

/// Overwrites what stands at `at`; nothing if it would leave the memory.
fn copy(memory: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = memory.get_mut(at..at.saturating_add(bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

fn elements_end(elements: &mut [u8], at: usize) -> &mut [u8] {
    elements.get_mut(at..).unwrap_or_default()
}

fn smallest_form(id: u8, len: usize) -> Result<Form, EditError> {
    let forms = [Form::OneByte, Form::TwoByte];
    forms.into_iter().find(|form| form.element_len(id, len).is_some()).ok_or(EditError::Form)
}

const fn whole_words(len: usize) -> usize {
    len.div_ceil(4).saturating_mul(4)
}
