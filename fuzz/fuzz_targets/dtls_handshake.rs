//! Each handshake message and extension: what decodes re-encodes, and that decodes alike.
#![no_main]

use dtls::wire::{
    Certificate, CertificateRequest, CertificateVerify, ClientHello, ClientKeyExchange, Extension,
    Extensions, Fragment, HelloVerifyRequest, ServerHello, ServerKeyExchange,
};
use libfuzzer_sys::fuzz_target;
use proto::{NoSpace, Reader, Writer};

fn encode(len: usize, write: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>) -> Vec<u8> {
    let mut memory = vec![0; len + 8];
    let mut out = Writer::new(&mut memory);
    write(&mut out).expect("no longer than it was");
    let len = out.len();
    memory.truncate(len);
    memory
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, body)) = input.split_first() else { return };
    let len = body.len();
    let bytes = match kind % 10 {
        0 => {
            let Ok(hello) = ClientHello::decode(body) else { return };
            let extensions: Vec<_> = hello.extensions.iter().collect();
            let bytes = encode(len, |out| hello.encode(&extensions, out));
            let again = ClientHello::decode(&bytes).expect("own output decodes");
            assert!(again.extensions.iter().eq(extensions));
            // A hello may end before its extensions; ours never does.
            if hello.extensions == Extensions::default() {
                return;
            }
            bytes
        }
        1 => {
            let Ok(hello) = ServerHello::decode(body) else { return };
            let extensions: Vec<_> = hello.extensions.iter().collect();
            let bytes = encode(len, |out| hello.encode(&extensions, out));
            if hello.extensions == Extensions::default() {
                return;
            }
            bytes
        }
        2 => HelloVerifyRequest::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| it.encode(out))),
        3 => Certificate::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| Certificate::encode(it.chain(), out))),
        4 => ServerKeyExchange::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| it.encode(out))),
        5 => CertificateRequest::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| it.encode(out))),
        6 => ClientKeyExchange::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| it.encode(out))),
        7 => CertificateVerify::decode(body)
            .map_or_else(|_| body.to_vec(), |it| encode(len, |out| it.encode(out))),
        8 => {
            let mut reader = Reader::new(body);
            let Ok(fragment) = Fragment::decode(&mut reader) else { return };
            let mut bytes = encode(len, |out| fragment.encode(out));
            bytes.extend_from_slice(reader.rest());
            bytes
        }
        _ => {
            let mut reader = Reader::new(body);
            let (Ok(kind), value) = (reader.u16(), reader.rest()) else { return };
            let Ok(extension) = Extension::decode(kind, value) else { return };
            let bytes = encode(len, |out| extension.encode(out));
            [&bytes[..2], &bytes[4..]].concat()
        }
    };
    assert_eq!(bytes, body);
});
