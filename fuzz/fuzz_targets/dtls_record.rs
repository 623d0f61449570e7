//! A record header and an alert that decode re-encode to the same bytes, and a connection that is fed
//! the bytes stays in a defined state.
#![no_main]

use std::sync::{Arc, OnceLock};

use dtls::wire::{Alert, RecordHeader};
use dtls::{Config, Connection, Identity};
use libfuzzer_sys::fuzz_target;
use proto::{Instant, Writer};

fuzz_target!(|datagram: &[u8]| {
    if let Ok(header) = RecordHeader::decode(datagram) {
        let mut memory = [0; 13];
        header.encode(&mut Writer::new(&mut memory)).expect("same size");
        assert_eq!(memory, datagram[..13]);
    }
    if let Ok(alert) = Alert::decode(datagram) {
        let mut memory = [0; 2];
        alert.encode(&mut Writer::new(&mut memory)).expect("same size");
        assert_eq!(memory, datagram);
    }
    let config = Arc::clone(CONFIG.get_or_init(config));
    let now = Instant::default();
    for mut connection in
        [Connection::client(now, Arc::clone(&config), [1; 32]), Connection::server(now, config, [2; 32])]
    {
        let mut copy = datagram.to_vec();
        let mut records = connection.handle_datagram(now, &mut copy);
        while let Some(record) = records.next_record() {
            assert!(record.is_err(), "nothing is delivered before the handshake");
        }
        drop(records);
        assert!(!connection.is_connected());
    }
});

/// Made once: a key costs more than a run.
static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();

fn config() -> Arc<Config> {
    let null = testkit::null_provider();
    let identity = Identity::generate(null, 1_790_000_000, [1; 32]).expect("a certificate");
    Arc::new(Config::new(null, Arc::new(identity)))
}
