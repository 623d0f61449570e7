use std::fmt;

use proto::{NoSpace, Reader, Writer};

use super::{DecodeError, finish};

/// An alert (RFC 5246 §7.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Whether the sender has closed the connection.
    pub fatal: bool,
    /// What it is about.
    pub description: AlertDescription,
}

impl Alert {
    /// Decodes the plaintext of an alert record, which holds exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let fatal = match reader.u8()? {
            1 => false,
            2 => true,
            _ => return Err(DecodeError::Illegal),
        };
        let description = AlertDescription(reader.u8()?);
        finish(&reader)?;
        Ok(Self { fatal, description })
    }

    /// Appends the alert to `out`.
    pub fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(&[if self.fatal { 2 } else { 1 }, self.description.0])
    }
}

/// What an alert is about (the IANA registry of TLS alerts); any number can be carried.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// The sender will send no more.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// A message was not acceptable at this point.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// No common parameters.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The certificate is corrupt, or its fingerprint is not the signalled one (RFC 8122 §6.2).
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// The certificate's kind is not supported.
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    /// A field was out of range or inconsistent.
    pub const ILLEGAL_PARAMETER: Self = Self(47);
    /// A message does not decode.
    pub const DECODE_ERROR: Self = Self(50);
    /// A signature or a Finished does not verify.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// The protocol version is not supported.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// Something failed that has nothing to do with the peer.
    pub const INTERNAL_ERROR: Self = Self(80);

    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

impl fmt::Debug for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_alerts_come_back_and_nothing_else_decodes() {
        for level in 0..=255 {
            for description in 0..=255 {
                let bytes = [level, description];
                let decoded = Alert::decode(&bytes);
                assert_eq!(decoded.is_ok(), level == 1 || level == 2);
                let Ok(alert) = decoded else { continue };
                let mut memory = [0; 2];
                alert.encode(&mut Writer::new(&mut memory)).unwrap();
                assert_eq!(memory, bytes);
            }
        }
        assert_eq!(Alert::decode(&[]), Err(DecodeError::Truncated));
        assert_eq!(Alert::decode(&[1]), Err(DecodeError::Truncated));
        assert_eq!(Alert::decode(&[1, 0, 0]), Err(DecodeError::Trailing));
    }
}
