use std::net::SocketAddr;

use proto::{NoSpace, Writer};

use super::value::{MAX_TEXT, put_text, text};
use super::{
    AddressError, AddressFamily, ErrorCode, Icmp, PasswordAlgorithm, PasswordAlgorithms, TransactionId,
    UnknownAttributes, address,
};
use crate::DecodeError;

/// One attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    MappedAddress(SocketAddr),
    /// XOR-MAPPED-ADDRESS, already un-XORed (RFC 8489 §14.2).
    XorMappedAddress(SocketAddr),
    /// USERNAME (RFC 8489 §14.3), at most 763 bytes; one that is written has at most 508.
    Username(&'a str),
    /// MESSAGE-INTEGRITY (RFC 8489 §14.5): the code, not yet verified. To write one, give
    /// [`Encoder::finish`](super::Encoder::finish) the key.
    MessageIntegrity(&'a [u8; 20]),
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6): 16 to 32 bytes of the code, not yet verified.
    MessageIntegritySha256(&'a [u8]),
    /// FINGERPRINT (RFC 8489 §14.7), which decoding has checked.
    Fingerprint(u32),
    /// ERROR-CODE (RFC 8489 §14.8).
    ErrorCode(ErrorCode<'a>),
    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    UnknownAttributes(UnknownAttributes<'a>),
    /// REALM (RFC 8489 §14.9), at most 763 bytes; one that is written has at most 127 characters.
    Realm(&'a str),
    /// NONCE (RFC 8489 §14.10), at most 763 bytes; one that is written has at most 127 characters.
    Nonce(&'a str),
    /// SOFTWARE (RFC 8489 §14.14), at most 763 bytes; one that is written has at most 127 characters.
    Software(&'a str),
    /// USERHASH (RFC 8489 §14.4): the hash of name and realm.
    Userhash(&'a [u8; 32]),
    /// PASSWORD-ALGORITHM (RFC 8489 §14.12).
    PasswordAlgorithm(PasswordAlgorithm),
    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11), the preferred one first.
    PasswordAlgorithms(PasswordAlgorithms<'a>),
    /// ALTERNATE-SERVER (RFC 8489 §14.15).
    AlternateServer(SocketAddr),
    /// ALTERNATE-DOMAIN (RFC 8489 §14.16): the name in the certificate of the other server.
    AlternateDomain(&'a str),
    /// PRIORITY (RFC 8445 §16.1).
    Priority(u32),
    /// USE-CANDIDATE (RFC 8445 §16.1).
    UseCandidate,
    /// ICE-CONTROLLED with its tie-breaker (RFC 8445 §16.1).
    IceControlled(u64),
    /// ICE-CONTROLLING with its tie-breaker (RFC 8445 §16.1).
    IceControlling(u64),
    /// NOMINATION (draft-thatcher-ice-renomination): of several nominations the one with the largest number counts.
    Nomination(u32),
    /// CHANGE-REQUEST (RFC 5780 §7.2): answer from the other address, the other port.
    ChangeRequest {
        /// From the other address.
        ip: bool,
        /// From the other port.
        port: bool,
    },
    /// RESPONSE-PORT (RFC 5780 §7.5): answer to this port.
    ResponsePort(u16),
    /// PADDING (RFC 5780 §7.6): bytes of no meaning.
    Padding(&'a [u8]),
    /// RESPONSE-ORIGIN (RFC 5780 §7.3): where the answer left.
    ResponseOrigin(SocketAddr),
    /// OTHER-ADDRESS (RFC 5780 §7.4): the server's other address and other port.
    OtherAddress(SocketAddr),
    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    ChannelNumber(u16),
    /// LIFETIME (RFC 8656 §18.2), in seconds.
    Lifetime(u32),
    /// XOR-PEER-ADDRESS, already un-XORed (RFC 8656 §18.3).
    XorPeerAddress(SocketAddr),
    /// DATA (RFC 8656 §18.4): what a datagram carries.
    Data(&'a [u8]),
    /// XOR-RELAYED-ADDRESS, already un-XORed (RFC 8656 §18.5).
    XorRelayedAddress(SocketAddr),
    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    RequestedAddressFamily(AddressFamily),
    /// EVEN-PORT (RFC 8656 §18.7), and whether the next port is to be kept too.
    EvenPort {
        /// The next higher port is to be reserved.
        reserve: bool,
    },
    /// REQUESTED-TRANSPORT (RFC 8656 §18.8): a protocol number, 17 for UDP and 6 for TCP (RFC 6062).
    RequestedTransport(u8),
    /// DONT-FRAGMENT (RFC 8656 §18.9).
    DontFragment,
    /// RESERVATION-TOKEN (RFC 8656 §18.10).
    ReservationToken([u8; 8]),
    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11).
    AdditionalAddressFamily(AddressFamily),
    /// ADDRESS-ERROR-CODE (RFC 8656 §18.12).
    AddressError(AddressError<'a>),
    /// ICMP (RFC 8656 §18.13).
    Icmp(Icmp),
    /// CONNECTION-ID (RFC 6062 §6.2.1).
    ConnectionId(u32),
    /// MOBILITY-TICKET (RFC 8016 §3.1), empty in the request for one.
    MobilityTicket(&'a [u8]),
    /// An attribute this crate does not interpret.
    Unknown {
        /// The attribute type. Below 0x8000 it must be understood (RFC 8489 §14).
        kind: u16,
        /// The value without padding.
        value: &'a [u8],
    },
}

impl<'a> Attribute<'a> {
    /// The attribute type.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::MappedAddress(_) => MAPPED_ADDRESS,
            Self::XorMappedAddress(_) => XOR_MAPPED_ADDRESS,
            Self::Username(_) => USERNAME,
            Self::MessageIntegrity(_) => MESSAGE_INTEGRITY,
            Self::MessageIntegritySha256(_) => MESSAGE_INTEGRITY_SHA256,
            Self::Fingerprint(_) => FINGERPRINT,
            Self::ErrorCode(_) => ERROR_CODE,
            Self::UnknownAttributes(_) => UNKNOWN_ATTRIBUTES,
            Self::Realm(_) => REALM,
            Self::Nonce(_) => NONCE,
            Self::Software(_) => SOFTWARE,
            Self::AlternateServer(_) => ALTERNATE_SERVER,
            Self::Priority(_) => PRIORITY,
            Self::UseCandidate => USE_CANDIDATE,
            Self::Nomination(_) => NOMINATION,
            Self::IceControlled(_) => ICE_CONTROLLED,
            Self::IceControlling(_) => ICE_CONTROLLING,
            Self::Userhash(_) => USERHASH,
            Self::PasswordAlgorithm(_) => PASSWORD_ALGORITHM,
            Self::PasswordAlgorithms(_) => PASSWORD_ALGORITHMS,
            Self::AlternateDomain(_) => ALTERNATE_DOMAIN,
            Self::ChangeRequest { .. } => CHANGE_REQUEST,
            Self::ResponsePort(_) => RESPONSE_PORT,
            Self::Padding(_) => PADDING,
            Self::ResponseOrigin(_) => RESPONSE_ORIGIN,
            Self::OtherAddress(_) => OTHER_ADDRESS,
            Self::ChannelNumber(_) => CHANNEL_NUMBER,
            Self::Lifetime(_) => LIFETIME,
            Self::XorPeerAddress(_) => XOR_PEER_ADDRESS,
            Self::Data(_) => DATA,
            Self::XorRelayedAddress(_) => XOR_RELAYED_ADDRESS,
            Self::RequestedAddressFamily(_) => REQUESTED_ADDRESS_FAMILY,
            Self::EvenPort { .. } => EVEN_PORT,
            Self::RequestedTransport(_) => REQUESTED_TRANSPORT,
            Self::DontFragment => DONT_FRAGMENT,
            Self::ReservationToken(_) => RESERVATION_TOKEN,
            Self::AdditionalAddressFamily(_) => ADDITIONAL_ADDRESS_FAMILY,
            Self::AddressError(_) => ADDRESS_ERROR_CODE,
            Self::Icmp(_) => ICMP,
            Self::ConnectionId(_) => CONNECTION_ID,
            Self::MobilityTicket(_) => MOBILITY_TICKET,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    pub(super) fn decode(kind: u16, value: &'a [u8], id: TransactionId) -> Result<Self, DecodeError> {
        Self::decode_value(kind, value, id).ok_or(DecodeError::Attribute(kind))
    }

    fn decode_value(kind: u16, value: &'a [u8], id: TransactionId) -> Option<Self> {
        Some(match kind {
            MAPPED_ADDRESS => Self::MappedAddress(address::decode(value)?),
            XOR_MAPPED_ADDRESS => Self::XorMappedAddress(address::xor(address::decode(value)?, id)),
            ALTERNATE_SERVER => Self::AlternateServer(address::decode(value)?),
            USERNAME => Self::Username(text(value, MAX_TEXT)?),
            REALM => Self::Realm(text(value, MAX_TEXT)?),
            NONCE => Self::Nonce(text(value, MAX_TEXT)?),
            // Optional, and of no consequence: one that is not text is carried along as it is.
            SOFTWARE => text(value, MAX_TEXT).map_or(Self::Unknown { kind, value }, Self::Software),
            MESSAGE_INTEGRITY => Self::MessageIntegrity(value.try_into().ok()?),
            MESSAGE_INTEGRITY_SHA256 => {
                let len = value.len();
                Self::MessageIntegritySha256(
                    ((16..=32).contains(&len) && len.is_multiple_of(4)).then_some(value)?,
                )
            }
            FINGERPRINT => Self::Fingerprint(u32::from_be_bytes(value.try_into().ok()?)),
            ERROR_CODE => Self::ErrorCode(ErrorCode::decode(value)?),
            UNKNOWN_ATTRIBUTES => Self::UnknownAttributes(UnknownAttributes::decode(value)?),
            PRIORITY => Self::Priority(u32::from_be_bytes(value.try_into().ok()?)),
            USE_CANDIDATE => value.is_empty().then_some(Self::UseCandidate)?,
            ICE_CONTROLLED => Self::IceControlled(u64::from_be_bytes(value.try_into().ok()?)),
            ICE_CONTROLLING => Self::IceControlling(u64::from_be_bytes(value.try_into().ok()?)),
            // No standard has it: one of another length is somebody else's.
            NOMINATION => value
                .try_into()
                .map_or(Self::Unknown { kind, value }, |number| Self::Nomination(u32::from_be_bytes(number))),
            USERHASH => Self::Userhash(value.try_into().ok()?),
            PASSWORD_ALGORITHM => Self::PasswordAlgorithm(PasswordAlgorithm::decode(value)?),
            PASSWORD_ALGORITHMS => Self::PasswordAlgorithms(PasswordAlgorithms::decode(value)?),
            // Optional, and a name in a certificate is ASCII.
            ALTERNATE_DOMAIN => text(value, 255).map_or(Self::Unknown { kind, value }, Self::AlternateDomain),
            CHANGE_REQUEST | PADDING | RESPONSE_PORT => Self::decode_discovery(kind, value)?,
            RESPONSE_ORIGIN => Self::ResponseOrigin(address::decode(value)?),
            OTHER_ADDRESS => Self::OtherAddress(address::decode(value)?),
            _ => Self::decode_relay(kind, value, id)?,
        })
    }

    /// Those of behaviour discovery that must be understood (RFC 5780).
    fn decode_discovery(kind: u16, value: &'a [u8]) -> Option<Self> {
        Some(match kind {
            CHANGE_REQUEST => {
                let flags = u32::from_be_bytes(value.try_into().ok()?);
                Self::ChangeRequest { ip: flags & CHANGE_IP != 0, port: flags & CHANGE_PORT != 0 }
            }
            RESPONSE_PORT => {
                let [high, low, ..] = <[u8; 4]>::try_from(value).ok()?;
                Self::ResponsePort(u16::from_be_bytes([high, low]))
            }
            PADDING => Self::Padding(value),
            _ => Self::Unknown { kind, value },
        })
    }

    /// Those of relaying (RFC 8656, RFC 6062, RFC 8016).
    fn decode_relay(kind: u16, value: &'a [u8], id: TransactionId) -> Option<Self> {
        let word = || <[u8; 4]>::try_from(value).ok();
        let family = || word().map(|[family, ..]| AddressFamily::from_number(family));
        Some(match kind {
            CHANNEL_NUMBER => {
                let [high, low, ..] = word()?;
                Self::ChannelNumber(u16::from_be_bytes([high, low]))
            }
            LIFETIME => Self::Lifetime(u32::from_be_bytes(word()?)),
            XOR_PEER_ADDRESS => Self::XorPeerAddress(address::xor(address::decode(value)?, id)),
            DATA => Self::Data(value),
            XOR_RELAYED_ADDRESS => Self::XorRelayedAddress(address::xor(address::decode(value)?, id)),
            REQUESTED_ADDRESS_FAMILY => Self::RequestedAddressFamily(family()?),
            EVEN_PORT => {
                let [flags] = <[u8; 1]>::try_from(value).ok()?;
                Self::EvenPort { reserve: flags & RESERVE_NEXT != 0 }
            }
            REQUESTED_TRANSPORT => {
                let [protocol, ..] = word()?;
                Self::RequestedTransport(protocol)
            }
            DONT_FRAGMENT => value.is_empty().then_some(Self::DontFragment)?,
            RESERVATION_TOKEN => Self::ReservationToken(value.try_into().ok()?),
            ADDITIONAL_ADDRESS_FAMILY => Self::AdditionalAddressFamily(family()?),
            ADDRESS_ERROR_CODE => Self::AddressError(AddressError::decode(value)?),
            ICMP => Self::Icmp(Icmp::decode(value)?),
            CONNECTION_ID => Self::ConnectionId(u32::from_be_bytes(word()?)),
            MOBILITY_TICKET => Self::MobilityTicket(value),
            _ => Self::Unknown { kind, value },
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>, id: TransactionId) -> Result<(), NoSpace> {
        let head = out.len();
        out.put_u32(u32::from(self.kind()) << 16)?;
        match self {
            Self::MappedAddress(address)
            | Self::AlternateServer(address)
            | Self::ResponseOrigin(address)
            | Self::OtherAddress(address) => address::encode(out, *address)?,
            Self::XorMappedAddress(address)
            | Self::XorPeerAddress(address)
            | Self::XorRelayedAddress(address) => address::encode(out, address::xor(*address, id))?,
            Self::Username(name) if name.len() > MAX_USERNAME => return Err(NoSpace),
            Self::Username(name) => out.put(name.as_bytes())?,
            Self::Realm(text) | Self::Nonce(text) | Self::Software(text) => put_text(out, text)?,
            Self::MessageIntegrity(code) => out.put(*code)?,
            Self::AlternateDomain(name) => out.put(name.as_bytes())?,
            Self::Userhash(hash) => out.put(*hash)?,
            Self::MessageIntegritySha256(value)
            | Self::Unknown { value, .. }
            | Self::Padding(value)
            | Self::Data(value)
            | Self::MobilityTicket(value) => out.put(value)?,
            Self::Fingerprint(value)
            | Self::Priority(value)
            | Self::Nomination(value)
            | Self::Lifetime(value)
            | Self::ConnectionId(value) => out.put_u32(*value)?,
            Self::ResponsePort(value) | Self::ChannelNumber(value) => out.put_u32(u32::from(*value) << 16)?,
            Self::RequestedAddressFamily(family) | Self::AdditionalAddressFamily(family) => {
                out.put(&[family.number(), 0, 0, 0])?;
            }
            Self::RequestedTransport(protocol) => out.put(&[*protocol, 0, 0, 0])?,
            Self::ReservationToken(token) => out.put(token)?,
            Self::EvenPort { reserve } => out.put_u8(if *reserve { RESERVE_NEXT } else { 0 })?,
            Self::ChangeRequest { ip, port } => {
                let bit = |set: bool, bit: u32| if set { bit } else { 0 };
                out.put_u32(bit(*ip, CHANGE_IP) | bit(*port, CHANGE_PORT))?;
            }
            Self::PasswordAlgorithm(algorithm) => algorithm.encode(out)?,
            Self::PasswordAlgorithms(list) => list.encode(out)?,
            Self::AddressError(error) => error.encode(out)?,
            Self::Icmp(icmp) => icmp.encode(out)?,
            Self::ErrorCode(error) => error.encode(out)?,
            Self::UnknownAttributes(list) => list.encode(out)?,
            Self::UseCandidate | Self::DontFragment => {}
            Self::IceControlled(tie_breaker) | Self::IceControlling(tie_breaker) => {
                out.put_u64(*tie_breaker)?;
            }
        }
        let len = out.len().saturating_sub(head).saturating_sub(4);
        let (Some(at), Ok(field)) = (head.checked_add(2), u16::try_from(len)) else { return Err(NoSpace) };
        out.patch_u16(at, field)?;
        out.put_zeros(padding(len))
    }
}

/// Bytes from a value of `len` bytes to the next multiple of four.
pub(super) const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const SOFTWARE: u16 = 0x8022;
const ALTERNATE_SERVER: u16 = 0x8023;
pub(super) const FINGERPRINT: u16 = 0x8028;
const NOMINATION: u16 = 0xc001;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;
const CHANGE_REQUEST: u16 = 0x0003;
const CHANNEL_NUMBER: u16 = 0x000c;
const LIFETIME: u16 = 0x000d;
const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(super) const DATA: u16 = 0x0013;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
const EVEN_PORT: u16 = 0x0018;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const DONT_FRAGMENT: u16 = 0x001a;
const PASSWORD_ALGORITHM: u16 = 0x001d;
const USERHASH: u16 = 0x001e;
const RESERVATION_TOKEN: u16 = 0x0022;
const PADDING: u16 = 0x0026;
const RESPONSE_PORT: u16 = 0x0027;
const CONNECTION_ID: u16 = 0x002a;
const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
const ADDRESS_ERROR_CODE: u16 = 0x8001;
const PASSWORD_ALGORITHMS: u16 = 0x8002;
const ALTERNATE_DOMAIN: u16 = 0x8003;
const ICMP: u16 = 0x8004;
const RESPONSE_ORIGIN: u16 = 0x802b;
const OTHER_ADDRESS: u16 = 0x802c;
const MOBILITY_TICKET: u16 = 0x8030;
/// RFC 5780 §7.2.
const CHANGE_IP: u32 = 4;
const CHANGE_PORT: u32 = 2;
/// RFC 8656 §18.7: the first bit.
const RESERVE_NEXT: u8 = 0x80;
/// RFC 8489 §14.3: fewer than 509 bytes are written; more are read, as older peers may write them.
const MAX_USERNAME: usize = 508;

#[cfg(test)]
mod tests;
