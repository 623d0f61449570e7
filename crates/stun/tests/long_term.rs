//! The long-term credential mechanism: RFC 8489's own vector, our client with our server, and what an attacker on
//! the path may try.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

use std::net::SocketAddr;
use std::time::Duration;

use stun::wire::{
    Attribute, Class, Encoder, ErrorCode, Message, Method, PasswordAlgorithm, PasswordAlgorithms,
    TransactionId,
};
use stun::{Authenticator, ChallengeError, Credentials, Instant, LongTerm, Name, Refusal, Writer, userhash};
use testkit::epoch;

/// RFC 8489 appendix B.1. Of its example the hash alone can be compared: its header claims 20 bytes more than there
/// are, and its integrity code was made with that length.
#[test]
fn the_hash_of_a_name_is_that_of_the_rfc() {
    let hash = [
        0x4a, 0x3c, 0xf3, 0x8f, 0xef, 0x69, 0x92, 0xbd, 0xa9, 0x52, 0xc6, 0x78, 0x04, 0x17, 0xda, 0x0f, 0x24,
        0x81, 0x94, 0x15, 0x56, 0x9e, 0x60, 0xb2, 0x05, 0xc4, 0x6e, 0x41, 0x40, 0x7f, 0x17, 0x04,
    ];
    let name = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
    assert_eq!(userhash(crypto::default_provider(), name, "example.org"), hash);
}

/// RFC 8489 §9.2.2 names this key.
#[test]
fn the_key_of_the_example_is_its_hash() {
    let hash = crypto::default_provider().hash(crypto::HashAlgorithm::Md5);
    let mut hash = hash;
    hash.update(b"user:realm:pass");
    let key = stun::IntegrityKey::from_bytes(crypto::default_provider(), hash.digest().as_bytes());
    let provider = crypto::default_provider();
    let ours =
        Credentials::new("user", "pass").unwrap().key(provider, "realm", PasswordAlgorithm::Md5).unwrap();
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    let request = Encoder::new(&mut out, Class::Request, Method::ALLOCATE, TransactionId([1; 12])).unwrap();
    request.finish(Some(&key)).unwrap();
    assert_eq!(Message::decode(out.written()).unwrap().verify(&ours), Ok(()));
}

const REALM: &str = "example.org";

fn server(anonymity: bool) -> Authenticator {
    Authenticator::new(crypto::default_provider(), REALM, Duration::from_secs(600), anonymity, [1; 32])
}

fn client(password: &str) -> LongTerm {
    LongTerm::new(crypto::default_provider(), Credentials::new("alice", password).unwrap())
}

fn address() -> SocketAddr {
    "192.0.2.1:4000".parse().unwrap()
}

fn find(name: Name<'_>) -> [Option<Credentials>; 2] {
    let is_alice = match name {
        Name::Username(name) => name == "alice",
        Name::Userhash(hash) => *hash == userhash(crypto::default_provider(), "alice", REALM),
    };
    // The old password is still taken.
    ["new", "right"].map(|password| is_alice.then(|| Credentials::new("alice", password).unwrap()))
}

fn request(client: &LongTerm) -> Vec<u8> {
    let mut memory = [0; 700];
    let mut out = Writer::new(&mut memory);
    let mut request =
        Encoder::new(&mut out, Class::Request, Method::ALLOCATE, TransactionId([1; 12])).unwrap();
    client.write(&mut request).unwrap();
    request.finish(client.key()).unwrap();
    out.written().to_vec()
}

fn response(code: u16, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut memory = [0; 4000];
    let mut out = Writer::new(&mut memory);
    let mut response =
        Encoder::new(&mut out, Class::Error, Method::ALLOCATE, TransactionId([1; 12])).unwrap();
    response.attribute(Attribute::ErrorCode(ErrorCode { code, reason: "" })).unwrap();
    for attribute in attributes {
        response.attribute(*attribute).unwrap();
    }
    response.finish(None).unwrap();
    out.written().to_vec()
}

fn challenge(server: &Authenticator, now: Instant, code: u16) -> Vec<u8> {
    let mut memory = [0; 300];
    let mut out = Writer::new(&mut memory);
    let mut response =
        Encoder::new(&mut out, Class::Error, Method::ALLOCATE, TransactionId([1; 12])).unwrap();
    response.attribute(Attribute::ErrorCode(ErrorCode { code, reason: "" })).unwrap();
    server.challenge(now, address(), &mut response).unwrap();
    response.finish(None).unwrap();
    out.written().to_vec()
}

fn take(client: &mut LongTerm, response: &[u8]) -> Result<(), ChallengeError> {
    client.handle_challenge(&Message::decode(response).unwrap())
}

fn ask(server: &Authenticator, now: Instant, client: &LongTerm) -> Result<stun::Authenticated, Refusal> {
    server.authenticate(now, address(), &Message::decode(&request(client)).unwrap(), find)
}

#[test]
fn a_challenge_is_answered_with_name_or_hash_and_sha256() {
    for anonymity in [false, true] {
        let (server, mut client) = (server(anonymity), client("right"));
        let first = request(&client);
        assert_eq!(first.len(), 28, "RFC 8489 §9.2.3.1: nothing of a credential, only the fingerprint");
        assert_eq!(ask(&server, epoch(), &client).err(), Some(Refusal::Unauthenticated));
        take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
        let second = request(&client);
        let message = Message::decode(&second).unwrap();
        assert!(message.is_signed_with_sha256());
        assert_eq!(message.username().is_none(), anonymity);
        let user = ask(&server, epoch(), &client).unwrap();
        assert_eq!(user.username(), "alice");
        assert_eq!(server.authenticate_again(epoch(), address(), &message, &user), Ok(()));
        // The answer is signed as the request was, and nothing less is taken.
        for (key, verified) in [(Some(user.key()), true), (None, false)] {
            let mut memory = [0; 100];
            let mut out = Writer::new(&mut memory);
            let id = TransactionId([1; 12]);
            let answer = Encoder::new(&mut out, Class::Success, Method::ALLOCATE, id).unwrap();
            answer.finish(key).unwrap();
            assert_eq!(client.verify(&Message::decode(out.written()).unwrap()).is_ok(), verified);
        }
    }
}

#[test]
fn a_client_that_knows_no_algorithms_is_taken_with_md5() {
    let server = server(false);
    let request = signed_by_alice(&server, None, []);
    let message = Message::decode(&request).unwrap();
    assert!(server.authenticate(epoch(), address(), &message, find).is_ok());
}

#[test]
fn a_wrong_password_is_refused_and_not_tried_again() {
    let (server, mut client) = (server(false), client("wrong"));
    take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
    assert_eq!(ask(&server, epoch(), &client).err(), Some(Refusal::Unauthenticated));
    let again = challenge(&server, epoch() + Duration::from_secs(1), 401);
    assert_eq!(take(&mut client, &again), Err(ChallengeError::Refused));
}

#[test]
fn a_stale_nonce_is_replaced() {
    let (server, mut client) = (server(false), client("right"));
    take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
    let later = epoch() + Duration::from_secs(601);
    assert_eq!(ask(&server, later, &client).err(), Some(Refusal::StaleNonce));
    take(&mut client, &challenge(&server, later, 438)).unwrap();
    assert!(ask(&server, later, &client).is_ok());
    assert_eq!(take(&mut client, &challenge(&server, later, 438)), Err(ChallengeError::SameNonce));
}

/// THREATS T5; RFC 8489 §9.2.4 and §9.2.5.
#[test]
fn nobody_takes_the_algorithms_away_unseen() {
    let (server, mut client) = (server(false), client("right"));
    let honest = challenge(&server, epoch(), 401);
    let nonce = Message::decode(&honest).unwrap().nonce().unwrap().to_owned();
    let (realm, nonce_attribute) = (Attribute::Realm(REALM), Attribute::Nonce(&nonce));
    // All of them: the nonce tells.
    assert_eq!(take(&mut client, &response(401, &[realm, nonce_attribute])), Err(ChallengeError::BidDown));
    // Replaced by the weaker one: the client believes it, and the server sees its own list changed.
    let weaker = [PasswordAlgorithm::Md5];
    let list = Attribute::PasswordAlgorithms(PasswordAlgorithms::new(&weaker));
    take(&mut client, &response(401, &[realm, nonce_attribute, list])).unwrap();
    assert_eq!(ask(&server, epoch(), &client).err(), Some(Refusal::BadRequest));
    // None that is known.
    let unknown = [PasswordAlgorithm::Other(7)];
    let list = Attribute::PasswordAlgorithms(PasswordAlgorithms::new(&unknown));
    assert_eq!(
        take(&mut client, &response(401, &[realm, nonce_attribute, list])),
        Err(ChallengeError::NoCommonAlgorithm)
    );
}

/// THREATS T12: what could not be sent back, or is not there.
#[test]
fn a_challenge_of_no_use_is_refused() {
    let mut client = client("right");
    let (long, short) = ("a".repeat(128), "a".repeat(127));
    for (realm, nonce, expected) in [
        (Some(&short), Some(&short), Ok(())),
        (None, Some(&short), Err(ChallengeError::Incomplete)),
        (Some(&short), None, Err(ChallengeError::Incomplete)),
    ] {
        let realm = realm.map(|text| Attribute::Realm(text));
        let nonce = nonce.map(|text| Attribute::Nonce(text));
        let attributes: Vec<_> = realm.into_iter().chain(nonce).collect();
        assert_eq!(take(&mut client, &response(401, &attributes)), expected);
    }
    // Our encoder does not write what is too long, others do.
    for kind in [0x14, 0x15] {
        let unknown = Attribute::Unknown { kind, value: long.as_bytes() };
        let other = if kind == 0x14 { Attribute::Nonce("n") } else { Attribute::Realm("r") };
        assert_eq!(take(&mut client, &response(401, &[unknown, other])), Err(ChallengeError::Incomplete));
    }
}

/// RFC 8489 §9.2.4: each attribute that is missing, another realm, another name, another one's request.
#[test]
fn an_incomplete_or_foreign_credential_is_refused() {
    let (server, mut client) = (server(false), client("right"));
    take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
    let user = ask(&server, epoch(), &client).unwrap();
    let complete = request(&client);
    let message = Message::decode(&complete).unwrap();
    let all: Vec<_> = message.attributes().collect();
    for left_out in 0..3 {
        let mut memory = [0; 700];
        let mut out = Writer::new(&mut memory);
        let id = TransactionId([1; 12]);
        let mut request = Encoder::new(&mut out, Class::Request, Method::ALLOCATE, id).unwrap();
        for (n, attribute) in all.iter().enumerate().filter(|(n, _)| *n != left_out && *n < 5) {
            request.attribute(*attribute).unwrap();
            assert!(n < 5);
        }
        request.finish(client.key()).unwrap();
        let message = Message::decode(out.written()).unwrap();
        let refused = server.authenticate(epoch(), address(), &message, find).err();
        assert_eq!(refused, Some(Refusal::BadRequest), "{left_out}");
    }
    let nobody = server.authenticate(epoch(), address(), &message, |_| [None, None]);
    assert_eq!(nobody.err(), Some(Refusal::Unauthenticated));
    let bob = LongTerm::new(crypto::default_provider(), Credentials::new("bob", "right").unwrap());
    let mut bob = bob;
    take(&mut bob, &challenge(&server, epoch(), 401)).unwrap();
    let foreign = request(&bob);
    let foreign = Message::decode(&foreign).unwrap();
    assert_eq!(server.authenticate_again(epoch(), address(), &foreign, &user), Err(Refusal::OtherUser));
    let elsewhere = "192.0.2.1:4001".parse().unwrap();
    assert_eq!(server.authenticate_again(epoch(), elsewhere, &message, &user), Err(Refusal::StaleNonce));
}

/// RFC 8489 §9.2.4: the list comes back as it was offered, and what is chosen stands in it; where either is not so,
/// the request is a bad one whoever signed it.
#[test]
fn a_list_that_was_changed_or_a_choice_outside_of_it_is_refused() {
    use PasswordAlgorithm::{Md5, Sha256};
    let server = server(false);
    for (list, chosen, expected) in [
        (&[Sha256][..], Some(Sha256), None),
        (&[Sha256], Some(Md5), Some(Refusal::BadRequest)),
        (&[Md5, Sha256], Some(Sha256), Some(Refusal::BadRequest)),
        (&[Sha256], None, Some(Refusal::BadRequest)),
    ] {
        let list = Attribute::PasswordAlgorithms(PasswordAlgorithms::new(list));
        let choice = chosen.map(Attribute::PasswordAlgorithm);
        let signed = signed_by_alice(&server, chosen, [Some(list), choice].into_iter().flatten());
        let message = Message::decode(&signed).unwrap();
        let refused = server.authenticate(epoch(), address(), &message, find).err();
        assert_eq!(refused, expected, "{list:?} {chosen:?}");
    }
}

/// RFC 8656 §5: a user goes on with the algorithm that he began with.
#[test]
fn a_user_who_changes_the_algorithm_is_another_user() {
    let (server, mut client) = (server(false), client("right"));
    take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
    let user = ask(&server, epoch(), &client).unwrap();
    let plain = signed_by_alice(&server, None, []);
    let plain = Message::decode(&plain).unwrap();
    assert_eq!(server.authenticate_again(epoch(), address(), &plain, &user), Err(Refusal::OtherUser));
    let began_plain = server.authenticate(epoch(), address(), &plain, find).unwrap();
    assert_eq!(server.authenticate_again(epoch(), address(), &plain, &began_plain), Ok(()));
    let again = request(&client);
    let again = Message::decode(&again).unwrap();
    assert_eq!(server.authenticate_again(epoch(), address(), &again, &began_plain), Err(Refusal::OtherUser));
}

/// RFC 8489 §9.2.5: where algorithms were offered an answer has the longer code; the shorter one may be what
/// somebody on the path has left.
#[test]
fn an_answer_with_the_shorter_code_is_refused_where_algorithms_were_offered() {
    let (server, mut client) = (server(false), client("right"));
    take(&mut client, &challenge(&server, epoch(), 401)).unwrap();
    let key = Credentials::new("alice", "right")
        .unwrap()
        .key(crypto::default_provider(), REALM, PasswordAlgorithm::Sha256)
        .unwrap();
    for (key, expected) in [(&key, Err(stun::IntegrityError::Missing)), (client.key().unwrap(), Ok(()))] {
        let mut memory = [0; 100];
        let mut out = Writer::new(&mut memory);
        let id = TransactionId([1; 12]);
        let answer = Encoder::new(&mut out, Class::Success, Method::ALLOCATE, id).unwrap();
        answer.finish(Some(key)).unwrap();
        let answer = Message::decode(out.written()).unwrap();
        assert_eq!(answer.verify(key), Ok(()), "the key is right in any case");
        assert_eq!(client.verify(&answer), expected);
    }
}

#[test]
fn a_server_says_its_realm_and_whether_it_asks_for_hashes() {
    for anonymity in [false, true] {
        assert_eq!((server(anonymity).is_anonymous(), server(anonymity).realm()), (anonymity, REALM));
    }
}

/// What alice sends with the right password: `more`, and the code of the key that `algorithm` makes.
fn signed_by_alice<'a>(
    server: &Authenticator,
    algorithm: Option<PasswordAlgorithm>,
    more: impl IntoIterator<Item = Attribute<'a>>,
) -> Vec<u8> {
    let offer = challenge(server, epoch(), 401);
    let nonce = Message::decode(&offer).unwrap().nonce().unwrap();
    let kind = algorithm.unwrap_or(PasswordAlgorithm::Md5);
    let key = Credentials::new("alice", "right").unwrap();
    let key = key.key(crypto::default_provider(), REALM, kind).unwrap();
    let key = if algorithm.is_some() { key.with_sha256() } else { key };
    let mut memory = [0; 400];
    let mut out = Writer::new(&mut memory);
    let mut request =
        Encoder::new(&mut out, Class::Request, Method::ALLOCATE, TransactionId([1; 12])).unwrap();
    let credential = [Attribute::Username("alice"), Attribute::Realm(REALM), Attribute::Nonce(nonce)];
    credential.iter().for_each(|attribute| request.attribute(*attribute).unwrap());
    more.into_iter().for_each(|attribute| request.attribute(attribute).unwrap());
    request.finish(Some(&key)).unwrap();
    out.written().to_vec()
}
