//! Parameters of senders and receivers (W3C WebRTC 1.0 §5.2 and §5.3).

use proto::Instant;
use rtp::extension::Kind;

use crate::media::encoding::{check_encodings, check_scalability};
use crate::media::{CodecParameters, SendEncoding, TransceiverId};
use crate::negotiation::Negotiation;
use crate::{Session, TransceiverError};

/// What a transceiver sends, as it was read (W3C WebRTC 1.0 §5.2, `RTCRtpSendParameters`). Of its members
/// [`encodings`](Self::encodings) may be changed, but for their number, their order and their names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SendParameters {
    /// The streams.
    pub encodings: Vec<SendEncoding>,
    /// What may be sent, in the order of the peer's preference.
    pub codecs: Vec<CodecParameters>,
    /// Header extensions, by their identifiers.
    pub header_extensions: Vec<(u8, Kind)>,
    /// RTCP.
    pub rtcp: RtcpParameters,
    transaction: u64,
}

impl SendParameters {
    /// Which reading of parameters this was (`transactionId`).
    pub const fn transaction_id(&self) -> u64 {
        self.transaction
    }
}

/// What a transceiver receives (W3C WebRTC 1.0 §5.3, `RTCRtpReceiveParameters`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReceiveParameters {
    /// What may come.
    pub codecs: Vec<CodecParameters>,
    /// Header extensions, by their identifiers.
    pub header_extensions: Vec<(u8, Kind)>,
    /// RTCP.
    pub rtcp: RtcpParameters,
}

/// RTCP of a section (W3C WebRTC 1.0 §5.2, `RTCRtcpParameters`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RtcpParameters {
    /// Our name in it, which all sections share; of what is received there is none.
    pub cname: String,
    /// Whether it may be of reduced size (RFC 5506).
    pub reduced_size: bool,
}

impl Session {
    /// What a transceiver sends (W3C WebRTC 1.0 §5.2, `getParameters`), to be changed and given to
    /// [`set_sender_parameters`](Self::set_sender_parameters) before it is read again. Before anything was agreed upon there
    /// are no codecs.
    ///
    /// # Errors
    ///
    /// The transceiver is stopped.
    pub fn sender_parameters(&mut self, id: TransceiverId) -> Result<SendParameters, TransceiverError> {
        let transceiver = self.negotiation.transceiver_mut(id).ok_or(TransceiverError::Stopped)?;
        let transaction = &mut transceiver.transaction;
        transaction.count = transaction.count.saturating_add(1);
        transaction.is_open = true;
        self.describe_sender(id)
    }

    /// Changes what is wanted of what is sent (W3C WebRTC 1.0 §5.2, `setParameters`): bitrates, rates of frames, scales,
    /// priorities, and whether a stream is paused. It counts at once; encoders are told by
    /// [`Event::TargetRate`](crate::Event::TargetRate).
    ///
    /// # Errors
    ///
    /// Other parameters than those that were read last, what cannot be changed, or the session is closed; nothing is changed then.
    pub fn set_sender_parameters(
        &mut self,
        now: Instant,
        id: TransceiverId,
        parameters: SendParameters,
    ) -> Result<(), TransceiverError> {
        self.advance(now);
        self.may_change()?;
        let transceiver = self.negotiation.transceiver(id).filter(|transceiver| !transceiver.is_stopping);
        let transceiver = transceiver.ok_or(TransceiverError::Stopped)?;
        if !transceiver.transaction.is_open {
            return Err(TransceiverError::NotRead);
        }
        let known = self.describe_sender(id)?;
        let rids = |parameters: &SendParameters| -> Vec<_> {
            parameters.encodings.iter().map(|encoding| encoding.rid).collect()
        };
        let is_same = known.transaction == parameters.transaction
            && rids(&known) == rids(&parameters)
            && known.codecs == parameters.codecs
            && known.header_extensions == parameters.header_extensions
            && known.rtcp == parameters.rtcp;
        if !is_same {
            return Err(TransceiverError::Modified);
        }
        self.set_encodings(now, id, parameters.encodings)?;
        if let Some(transceiver) = self.negotiation.transceiver_mut(id) {
            transceiver.transaction.is_open = false;
        }
        Ok(())
    }

    /// What a transceiver receives (W3C WebRTC 1.0 §5.3, `getParameters`).
    ///
    /// # Errors
    ///
    /// The transceiver is stopped.
    pub fn receiver_parameters(&self, id: TransceiverId) -> Result<ReceiveParameters, TransceiverError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(TransceiverError::Stopped)?;
        let Some(negotiated) = &transceiver.association.negotiated else {
            return Ok(ReceiveParameters::default());
        };
        Ok(ReceiveParameters {
            codecs: negotiated.receive().to_vec(),
            header_extensions: negotiated.extensions.iter().collect(),
            rtcp: RtcpParameters { cname: String::new(), reduced_size: negotiated.reduced_size },
        })
    }

    fn describe_sender(&self, id: TransceiverId) -> Result<SendParameters, TransceiverError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(TransceiverError::Stopped)?;
        let association = &transceiver.association;
        let negotiated = association.negotiated.as_deref();
        let reduced_size = negotiated.is_some_and(|negotiated| negotiated.reduced_size);
        Ok(SendParameters {
            encodings: association.encodings.iter().map(|encoding| encoding.wanted.clone()).collect(),
            codecs: negotiated.map(|negotiated| negotiated.send.clone()).unwrap_or_default(),
            header_extensions: negotiated.map(|it| it.extensions.iter().collect()).unwrap_or_default(),
            rtcp: RtcpParameters { cname: Negotiation::cname(&self.seed), reduced_size },
            transaction: transceiver.transaction.count,
        })
    }

    /// Changes what is wanted of what is sent, as it is whatever was read before: names and number stay.
    ///
    /// # Errors
    ///
    /// It is stopped, the session is closed, other names or more or fewer encodings are given, or a number is none.
    pub fn set_encodings(
        &mut self,
        now: Instant,
        id: TransceiverId,
        mut wanted: Vec<SendEncoding>,
    ) -> Result<(), TransceiverError> {
        self.advance(now);
        self.may_change()?;
        let transceiver = self.negotiation.transceiver_mut(id).ok_or(TransceiverError::Stopped)?;
        check_encodings(transceiver.kind, &mut wanted)?;
        match &transceiver.association.negotiated {
            Some(negotiated) => {
                check_scalability(&wanted, negotiated.send.iter().map(|codec| codec.name.as_ref()))?
            }
            None => {
                let codecs = transceiver.codecs(super::media_config(&self.config));
                check_scalability(&wanted, codecs.map(|codec| codec.name.as_ref()))?;
            }
        }
        let known = &mut transceiver.association.encodings;
        if !known.iter().map(|encoding| encoding.wanted.rid).eq(wanted.iter().map(|wanted| wanted.rid)) {
            return Err(TransceiverError::Encodings);
        }
        let kind = transceiver.kind;
        for (encoding, mut wanted) in known.iter_mut().zip(wanted) {
            wanted.complete(kind);
            encoding.wanted = wanted;
        }
        self.follow_frames();
        Ok(())
    }
}
