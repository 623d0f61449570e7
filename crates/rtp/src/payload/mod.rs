//! Payload formats: from a codec's frames to RTP payloads and back, one module a format.
