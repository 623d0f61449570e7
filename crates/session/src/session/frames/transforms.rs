//! Encoded transforms: frames seen and altered whole.

use ::media::EncodedTransform;

use crate::media::TransceiverId;
use crate::media::transforms::Shared;
use crate::{Session, TransceiverError};

impl Session {
    /// Lets a transform see and alter each frame that a transceiver sends, before it is divided into packets, in place of the one
    /// before; `None`: none any more. It stays through all exchanges of descriptions.
    /// [`FrameEncryptor`](crate::FrameEncryptor) encrypts from end to end. Telephone events, packets that are forwarded and
    /// those of [`write_payload`](Self::write_payload) are no frames. Where no frames are sent by this session
    /// ([`Config::frames`](crate::Config::frames)) it sees nothing.
    ///
    /// # Errors
    ///
    /// The transceiver is stopped.
    pub fn set_send_transform(
        &mut self,
        id: TransceiverId,
        transform: Option<Box<dyn EncodedTransform>>,
    ) -> Result<(), TransceiverError> {
        let transform = transform.map(Shared::new);
        let transceiver = self.negotiation.transceiver_mut(id).ok_or(TransceiverError::Stopped)?;
        transceiver.extras_mut().send.clone_from(&transform);
        if let Some(sender) = self.sender_mut(id) {
            sender.set_transform(transform.map(|it| it.boxed()));
        }
        Ok(())
    }

    /// The same of each frame that comes, once it is whole. One that the transform leaves out is not delivered, counts in
    /// [`TrackStats::refused`](::media::TrackStats::refused), and is treated as lost: audio is concealed, and of video a key
    /// frame is asked for. Packets that are forwarded ([`set_output`](Self::set_output)) are no frames.
    /// [`FrameDecryptor`](crate::FrameDecryptor) decrypts.
    ///
    /// # Errors
    ///
    /// The transceiver is stopped.
    pub fn set_receive_transform(
        &mut self,
        id: TransceiverId,
        transform: Option<Box<dyn EncodedTransform>>,
    ) -> Result<(), TransceiverError> {
        let transform = transform.map(Shared::new);
        let transceiver = self.negotiation.transceiver_mut(id).ok_or(TransceiverError::Stopped)?;
        transceiver.extras_mut().receive.clone_from(&transform);
        if let Some(engine) = self.engine_of(id) {
            engine.set_receive_transform(id, transform);
        }
        Ok(())
    }
}
