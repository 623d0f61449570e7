//! Records and handshake messages, taken apart and put together by hand.

use dtls::wire::{ContentType, Fragment, HandshakeType, RECORD_HEADER_LEN, RecordHeader};
use proto::{Reader, Writer};

/// A record that says of itself what it is told to.
pub fn record(content: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content, 0xfe, 0xfd];
    record.extend(epoch.to_be_bytes());
    record.extend(&sequence.to_be_bytes()[2..]);
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

/// A fragment's bytes, which need not make sense.
pub fn fragment(kind: u8, total: u32, sequence: u16, offset: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap();
    let kind = HandshakeType(kind);
    let header = dtls::wire::encode_fragment_header(kind, total, sequence, offset, len);
    [&header[..], data].concat()
}

/// A plaintext record with one fragment.
pub fn handshake(kind: u8, total: u32, sequence: u16, offset: u32, data: &[u8]) -> Vec<u8> {
    record(22, 0, 7, &fragment(kind, total, sequence, offset, data))
}

/// The records of a datagram: header and body.
pub fn records(datagram: &[u8]) -> Vec<(RecordHeader, &[u8])> {
    let (mut all, mut rest) = (Vec::new(), datagram);
    while !rest.is_empty() {
        let header = RecordHeader::decode(rest).unwrap();
        let (record, behind) = rest.split_at(RECORD_HEADER_LEN + header.len);
        all.push((header, &record[RECORD_HEADER_LEN..]));
        rest = behind;
    }
    all
}

/// A handshake message, whole.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Message {
    pub sequence: u16,
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Message {
    /// One record for each `size` bytes of the message, none of which carries anything else.
    pub fn pieces(&self, size: usize) -> Vec<Vec<u8>> {
        let total = u32::try_from(self.body.len()).unwrap();
        let pieces = self.body.chunks(size).enumerate().map(|(n, piece)| {
            let body = fragment(self.kind, total, self.sequence, u32::try_from(n * size).unwrap(), piece);
            record(22, 0, n as u64, &body)
        });
        pieces.collect()
    }

    /// One record with the whole message.
    pub fn whole(&self) -> Vec<u8> {
        handshake(self.kind, u32::try_from(self.body.len()).unwrap(), self.sequence, 0, &self.body)
    }
}

/// The handshake messages in these datagrams, put together from all of their pieces. Those of epoch 1 are
/// read as the null provider writes them.
pub fn messages(datagrams: &[Vec<u8>]) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    for (header, body) in datagrams.iter().flat_map(|datagram| records(datagram)) {
        if header.content != ContentType::Handshake {
            continue;
        }
        let body = if header.epoch > 0 { &body[8..body.len() - 16] } else { body };
        let mut reader = Reader::new(body);
        while !reader.is_empty() {
            let Fragment { kind, total, sequence, offset, data } = Fragment::decode(&mut reader).unwrap();
            let at = all.iter().position(|message| message.sequence == sequence).unwrap_or_else(|| {
                all.push(Message { sequence, kind: kind.0, body: vec![0; total as usize] });
                all.len() - 1
            });
            assert_eq!((all[at].kind, all[at].body.len()), (kind.0, total as usize));
            all[at].body[offset as usize..][..data.len()].copy_from_slice(data);
        }
    }
    all.sort();
    all
}

/// What `write` writes.
pub fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Writer<'_>) -> Result<(), E>) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    write(&mut out).unwrap();
    out.written().to_vec()
}

/// The first flight of another stack's client, captured: its datagrams.
pub fn captured_hello(stack: &str) -> Vec<Vec<u8>> {
    let unhex = |text: &str| {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let lines = include_str!("../vectors/client_hellos.txt").lines();
    lines.filter_map(|line| line.strip_prefix(stack)?.strip_prefix(' ')).map(unhex).collect()
}
