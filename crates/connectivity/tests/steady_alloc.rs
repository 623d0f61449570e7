//! A connected side allocates nothing: neither for data, nor for consent, nor for what is forged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use connectivity::{Config, Connectivity, Discard, Received, Role, SendError, State};
use proto::{Arrival, Batch, Instant, Path, Writer};
use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};
use testkit::{epoch, path};

fn end(last: u8, role: Role) -> Connectivity {
    let mut config = Config::default();
    config.ice.role = role;
    let mut end = Connectivity::new(epoch(), config, [last; 32]);
    end.add_host(epoch(), ([192, 0, 2, last], 4000).into()).unwrap();
    end.gather(epoch());
    end
}

/// Carries what either has to send, and news, until there is no more.
fn exchange(now: Instant, ends: &mut [Connectivity; 2], memory: &mut [u8]) {
    let mut quiet = 0;
    for turn in 0.. {
        let [a, b] = &mut *ends;
        let (from, to) = if turn % 2 == 0 { (a, b) } else { (b, a) };
        from.handle_timeout(now);
        while from.poll_event().is_some() || from.poll_route().is_some() {}
        let Some(transmit) = from.poll_transmit(now, &mut Batch::new(memory, 1, 1200)) else {
            quiet += 1;
            if quiet == 2 {
                return;
            }
            continue;
        };
        quiet = 0;
        let Path { carrier, local, remote } = transmit.path;
        let path = Path { carrier, local: remote, remote: local };
        // A check that comes before its credentials is refused, and comes again.
        let _ = to.handle_datagram(Arrival { path, ecn: None, at: now }, &mut memory[..transmit.len]);
    }
}

#[test]
fn data_consent_and_forgeries_allocate_nothing() {
    let mut ends = [end(1, Role::Controlling), end(2, Role::Controlled)];
    let credentials = [0, 1].map(|end: usize| ends[end].local_credentials().clone());
    let [of_a, of_b] = credentials;
    ends[0].set_remote_credentials(epoch(), of_b);
    ends[1].set_remote_credentials(epoch(), of_a);
    for candidate in ends[1].local_candidates().collect::<Vec<_>>() {
        ends[0].add_remote_candidate(epoch(), candidate).unwrap();
    }
    let (mut now, mut memory) = (epoch(), [0; 1500]);
    for _ in 0..1000 {
        now += Duration::from_millis(20);
        exchange(now, &mut ends, &mut memory);
    }
    assert!(ends.iter().all(|end| matches!(end.state(), State::Connected | State::Completed)));

    let to_a = path("192.0.2.1:4000", "192.0.2.2:4000");
    let to_b = path("192.0.2.2:4000", "192.0.2.1:4000");
    let forged = {
        let mut out = Writer::new(&mut memory);
        let mut check =
            Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([9; 12])).unwrap();
        check.attribute(Attribute::Username("some:body")).unwrap();
        check.finish(None).unwrap();
        out.written().to_vec()
    };
    let mut delivered = 0;
    let info = allocation_counter::measure(|| {
        for _ in 0..1000 {
            // Twenty seconds, so that consent is asked for several times.
            now += Duration::from_millis(20);
            exchange(now, &mut ends, &mut memory);
            let mut batch = Batch::new(&mut memory, 1, 1200);
            let sent = ends[0].send_with(now, &mut batch, |out| Ok::<_, SendError>(out.put(&[23; 1000])?));
            sent.unwrap();
            let arrival = |path| Arrival { path, ecn: None, at: now };
            match ends[1].handle_datagram(arrival(to_b), &mut memory[..1000]) {
                Ok(Received::Data { payload, .. }) => delivered += payload.len(),
                other => panic!("{other:?}"),
            }
            let stranger = Path { remote: ([203, 0, 113, 9], 9).into(), ..to_a };
            let refused = ends[0].handle_datagram(arrival(stranger), &mut memory[..1000]).unwrap_err();
            assert_eq!(refused, Discard::NotAuthenticated);
            let len = forged.len();
            memory[..len].copy_from_slice(&forged);
            assert!(ends[0].handle_datagram(arrival(to_a), &mut memory[..len]).is_err());
        }
    });
    assert_eq!((info.count_total, delivered), (0, 1_000_000));
}
