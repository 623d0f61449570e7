use proto::{NoSpace, Writer};

use super::record::TOP_BIT;
use super::{Class, Data, Header, Name, Question, Record, Section};

/// Writes a message: the header, questions, and then the records of each section in their order.
///
/// ```
/// # use mdns::wire::{Class, Encoder, Header, Kind, Message, Question};
/// # use mdns::{LocalName, NoSpace, Writer};
/// let name: LocalName = "9b36eaac-bb2e-49bb-bb78-21c41c499900.local".parse()?;
/// let mut memory = [0; 100];
/// let mut out = Writer::new(&mut memory);
/// let mut query = Encoder::new(&mut out, Header::QUERY)?;
/// query.question(&Question { name: name.as_name(), kind: Kind::A, class: Class::IN, unicast: false })?;
/// query.finish()?;
/// let message = Message::decode(out.written())?;
/// assert_eq!(message.questions().next().map(|question| question.kind), Some(Kind::A));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encoder<'w, 'm> {
    out: &'w mut Writer<'m>,
    start: usize,
    counts: [u16; 4],
}

impl<'w, 'm> Encoder<'w, 'm> {
    /// Begins a message behind what `out` holds.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn new(out: &'w mut Writer<'m>, header: Header) -> Result<Self, NoSpace> {
        let start = out.len();
        out.put_u16(header.id)?;
        out.put_u16(header.flags)?;
        out.put_u64(0)?;
        Ok(Self { out, start, counts: [0; 4] })
    }

    /// Adds a question.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn question(&mut self, question: &Question<'_>) -> Result<(), NoSpace> {
        self.name(question.name)?;
        self.out.put_u16(question.kind.0)?;
        self.out.put_u16(class(question.class, question.unicast))?;
        self.count(0)
    }

    /// Adds a record. Records stand in the order of their sections.
    ///
    /// # Errors
    ///
    /// There is no room, or the data are longer than a record can be.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), NoSpace> {
        self.name(record.name)?;
        self.out.put_u16(record.kind.0)?;
        self.out.put_u16(class(record.class, record.flush))?;
        self.out.put_u32(record.ttl)?;
        let len_at = self.out.len();
        self.out.put_u16(0)?;
        match record.data {
            Data::A(address) => self.out.put(&address.octets())?,
            Data::Aaaa(address) => self.out.put(&address.octets())?,
            Data::Nsec(nsec) => {
                // RFC 6762 §18.14 would rather have it compressed, but dnspython, and with it aiortc, refuses
                // whole messages with such a pointer.
                self.whole_name(nsec.next)?;
                self.out.put(nsec.types)?;
            }
            Data::Other(bytes) => self.out.put(bytes)?,
        }
        let len = self.out.len().saturating_sub(len_at).saturating_sub(2);
        self.out.patch_u16(len_at, u16::try_from(len).map_err(|_| NoSpace)?)?;
        self.count(match record.section {
            Section::Answer => 1,
            Section::Authority => 2,
            Section::Additional => 3,
        })
    }

    /// Ends the message: writes the numbers of its parts.
    ///
    /// # Errors
    ///
    /// Never, as the header was written.
    pub fn finish(self) -> Result<(), NoSpace> {
        let mut at = self.start.saturating_add(4);
        for count in self.counts {
            self.out.patch_u16(at, count)?;
            at = at.saturating_add(2);
        }
        Ok(())
    }

    /// Writes a name, or a pointer if it is the first of the message: ours are all about one name.
    fn name(&mut self, name: Name<'_>) -> Result<(), NoSpace> {
        let message = self.out.written().get(self.start..).unwrap_or_default();
        if message.len() > super::name::HEADER && Name::trusted(message, super::name::HEADER) == name {
            return self.out.put_u16(POINTER_TO_FIRST);
        }
        self.whole_name(name)
    }

    fn whole_name(&mut self, name: Name<'_>) -> Result<(), NoSpace> {
        for label in name.labels() {
            self.out.put_u8(u8::try_from(label.len()).map_err(|_| NoSpace)?)?;
            self.out.put(label)?;
        }
        self.out.put_u8(0)
    }

    fn count(&mut self, part: usize) -> Result<(), NoSpace> {
        let count = self.counts.get_mut(part).ok_or(NoSpace)?;
        *count = count.checked_add(1).ok_or(NoSpace)?;
        Ok(())
    }
}

const fn class(class: Class, top_bit: bool) -> u16 {
    class.0 | if top_bit { TOP_BIT } else { 0 }
}

/// RFC 1035 §4.1.4: to what stands behind the header.
const POINTER_TO_FIRST: u16 = 0xc00c;
