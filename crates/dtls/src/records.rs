use std::ops::Range;

use proto::{Instant, Writer};

use crate::v12::{Started, abandon};
use crate::wire::{RECORD_HEADER_LEN, RecordHeader};
use crate::{Connection, Discard};

/// The records of one datagram, decrypted where they stand and lent one by one. What was not asked for
/// is processed when this is dropped, and its application data lost.
#[derive(Debug)]
pub struct Records<'c, 'b> {
    connection: &'c mut Connection,
    now: Instant,
    rest: &'b mut [u8],
}

impl<'c, 'b> Records<'c, 'b> {
    pub(crate) const fn new(connection: &'c mut Connection, now: Instant, datagram: &'b mut [u8]) -> Self {
        Self { connection, now, rest: datagram }
    }

    /// The next application data, or why a record was ignored, which ends nothing: ask until `None`.
    pub fn next_record(&mut self) -> Option<Result<&mut [u8], Discard>> {
        let (record, range) = loop {
            match self.step()? {
                (record, Ok(Some(range))) => break (record, range),
                (_, Ok(None)) => {}
                (_, Err(discard)) => return Some(Err(discard)),
            }
        };
        Some(Ok(record.get_mut(range).unwrap_or_default()))
    }

    /// Takes one record off the datagram and hands it to the connection.
    #[expect(clippy::type_complexity, reason = "the record, and what came of it")]
    fn step(&mut self) -> Option<(&'b mut [u8], Result<Option<Range<usize>>, Discard>)> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let header = match RecordHeader::decode(rest) {
            Ok(header) => header,
            // Where the next record begins is not known either.
            Err(error) => return Some((rest, Err(self.connection.ignore(error.into())))),
        };
        let Some((record, rest)) = rest.split_at_mut_checked(RECORD_HEADER_LEN.saturating_add(header.len))
        else {
            let truncated = crate::wire::DecodeError::Truncated.into();
            return Some((&mut [], Err(self.connection.ignore(truncated))));
        };
        self.rest = rest;
        let taken = self.connection.handle_record(self.now, &header, record);
        Some((record, taken.map_err(|discard| self.connection.ignore(discard))))
    }
}

impl Drop for Records<'_, '_> {
    fn drop(&mut self) {
        while self.step().is_some() {}
    }
}

/// An application data record in the making. Dropped without [`seal`](Self::seal), it was never there.
#[derive(Debug)]
pub struct Record<'c, 'w, 'a> {
    connection: &'c mut Connection,
    out: &'w mut Writer<'a>,
    started: Option<Started>,
}

impl<'c, 'w, 'a> Record<'c, 'w, 'a> {
    pub(crate) const fn new(
        connection: &'c mut Connection,
        out: &'w mut Writer<'a>,
        started: Started,
    ) -> Self {
        Self { connection, out, started: Some(started) }
    }

    /// Where the plaintext goes. Room for the tag is set aside, and there is no more room than a record
    /// may hold.
    pub const fn plaintext(&mut self) -> &mut Writer<'a> {
        self.out
    }

    /// Encrypts the plaintext in place and appends the tag.
    pub fn seal(mut self) {
        if let Some(started) = self.started.take() {
            self.connection.seal(started, self.out);
        }
    }
}

impl Drop for Record<'_, '_, '_> {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            abandon(&started, self.out);
        }
    }
}
