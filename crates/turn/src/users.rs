use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{HashAlgorithm, Hmac, Provider, Secret};
use stun::{Credentials, CredentialsError, Name};

/// Who may use a server: names with passwords, and names that carry the time at which they end, whose
/// passwords follow from a secret that the server shares with whoever gives them out.
///
/// The latter are what web servers hand to browsers: the name is `1790000000:anything`, in seconds since
/// 1970, and the password the base64 of HMAC-SHA1 of the name (draft-uberti-behave-turn-rest-00).
///
/// ```
/// let provider = crypto::default_provider();
/// let mut users = turn::Users::default();
/// users.add(provider, "example.org", "alice", "a password")?;
/// users.add_secret(provider, b"shared with the web server");
/// assert_eq!(users.len(), 1);
/// # Ok::<_, stun::CredentialsError>(())
/// ```
#[derive(Default)]
pub struct Users {
    named: BTreeMap<Box<str>, Credentials>,
    by_hash: BTreeMap<[u8; 32], Box<str>>,
    /// The new one and the old one, while one replaces the other.
    secrets: [Option<Box<dyn Hmac>>; 2],
}

impl Users {
    /// Adds a name, or gives it another password. The realm is the server's.
    ///
    /// # Errors
    ///
    /// The name or the password cannot be one.
    pub fn add(
        &mut self,
        provider: &dyn Provider,
        realm: &str,
        username: &str,
        password: &str,
    ) -> Result<(), CredentialsError> {
        let credentials = Credentials::new(username, password)?;
        let username: Box<str> = credentials.username().into();
        self.by_hash.insert(stun::userhash(provider, &username, realm), username.clone());
        self.named.insert(username, credentials);
        Ok(())
    }

    /// Adds a secret for names that end. Of the ones before it only the last is still taken.
    pub fn add_secret(&mut self, provider: &dyn Provider, secret: &[u8]) {
        let [newest, older] = &mut self.secrets;
        *older = newest.take();
        *newest = Some(provider.hmac(HashAlgorithm::Sha1, secret));
    }

    /// How many names have a password of their own.
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// Whether nobody may use the server.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.secrets.iter().all(Option::is_none)
    }

    /// The credentials of a name at `unix` seconds since 1970: two where a secret is being replaced.
    pub(crate) fn find(&self, unix: u64, name: Name<'_>) -> [Option<Credentials>; 2] {
        let name = match name {
            Name::Username(name) => name,
            // Of a name that ends nobody has the hash before it is used.
            Name::Userhash(hash) => match self.by_hash.get(hash) {
                Some(name) => name,
                None => return [None, None],
            },
        };
        if let Some(credentials) = self.named.get(name) {
            return [Some(credentials.clone()), None];
        }
        if Self::end_of(name).is_none_or(|end| end <= unix) {
            return [None, None];
        }
        let password = |secret: &Option<Box<dyn Hmac>>| {
            let code = secret.as_ref()?.sign(&[name.as_bytes()]);
            let mut password = Secret::new([0; REST_PASSWORD_LEN]);
            let len = STANDARD.encode_slice(code.as_bytes(), password.expose_mut()).ok()?;
            let text = std::str::from_utf8(password.expose().get(..len)?).ok()?;
            Credentials::new(name, text).ok()
        };
        let [new, old] = &self.secrets;
        [password(new), password(old)]
    }

    /// When a name ends that has no password of its own.
    pub(crate) fn ends(&self, name: &str) -> Option<u64> {
        if self.named.contains_key(name) { None } else { Self::end_of(name) }
    }

    /// Whether two names are one user's: the same, or such as end at different times and are of the same user behind the
    /// colon. Without one nothing tells whose they are.
    pub(crate) fn is_same(&self, one: &str, other: &str) -> bool {
        let both_end = self.ends(one).is_some() && self.ends(other).is_some();
        let users = one.split_once(':').zip(other.split_once(':'));
        one == other
            || both_end && users.is_some_and(|((_, one), (_, other))| one == other && !one.is_empty())
    }

    /// The seconds since 1970 in front of the colon. A sign, a blank or no digit at all is no time.
    fn end_of(name: &str) -> Option<u64> {
        let digits = name.split_once(':').map_or(name, |(time, _)| time);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            None
        } else {
            digits.parse().ok()
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.secrets.iter().flatten().count();
        f.debug_struct("Users")
            .field("named", &self.named.len())
            .field("secrets", &secrets)
            .finish_non_exhaustive()
    }
}

/// The base64 of a code by SHA-1.
const REST_PASSWORD_LEN: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn users(secrets: &[&[u8]]) -> Users {
        let mut users = Users::default();
        for secret in secrets {
            users.add_secret(crypto::default_provider(), secret);
        }
        users
    }

    fn is_known(users: &Users, name: &str) -> bool {
        users.find(NOW, Name::Username(name)).iter().any(Option::is_some)
    }

    /// THREATS T8.
    #[test]
    fn only_a_time_to_come_before_a_colon_is_a_name_that_ends() {
        let users = users(&[b"secret"]);
        for name in
            ["1790000001:a", "1790000001", "1790000001:", "9223372036854775808:a", "18446744073709551615:a"]
        {
            assert!(is_known(&users, name), "{name}");
        }
        for name in [
            "1790000000:a",
            "1:a",
            "0",
            "",
            ":a",
            "-1790000001:a",
            "+1790000001:a",
            " 1790000001:a",
            "1790000001/a",
            "1790000001-a",
            "alice",
            "0x6ab:a",
            "18446744073709551616:a",
            "1790000001 :a",
        ] {
            assert!(!is_known(&users, name), "{name}");
        }
        assert!(!is_known(&Users::default(), "1790000001:a"), "no secret, no such names");
    }

    /// What `turnutils_uclient -W` and the web servers of this world compute.
    #[test]
    fn a_password_is_the_code_of_its_name() {
        let provider = crypto::default_provider();
        let hmac = provider.hmac(HashAlgorithm::Sha1, b"north");
        let password = STANDARD.encode(hmac.sign(&[b"1790000001:a"]).as_bytes());
        let right = Credentials::new("1790000001:a", &password).unwrap();
        let key = |credentials: &Credentials| {
            let key = credentials.key(provider, "r", stun::wire::PasswordAlgorithm::Md5).unwrap();
            let mut memory = [0; 100];
            let mut out = proto::Writer::new(&mut memory);
            let (class, id) = (stun::wire::Class::Request, stun::wire::TransactionId([0; 12]));
            let message =
                stun::wire::Encoder::new(&mut out, class, stun::wire::Method::ALLOCATE, id).unwrap();
            message.finish(Some(&key)).unwrap();
            out.written().to_vec()
        };
        for (secrets, place) in [(&[&b"north"[..]][..], 0), (&[b"north", b"south"], 1)] {
            let found = users(secrets).find(NOW, Name::Username("1790000001:a"));
            assert_eq!(key(found[place].as_ref().unwrap()), key(&right));
            assert_eq!(found.iter().flatten().count(), secrets.len());
        }
        let found = users(&[b"north", b"south", b"east"]).find(NOW, Name::Username("1790000001:a"));
        assert!(found.iter().flatten().all(|found| key(found) != key(&right)), "two secrets are kept");
    }

    #[test]
    fn names_that_end_are_the_same_user_by_what_stands_behind_the_colon() {
        let (mut users, provider) = (users(&[b"north"]), crypto::default_provider());
        for name in ["alice", "1790000009:carol"] {
            users.add(provider, "r", name, "wonderland").unwrap();
        }
        for (one, other, is_same) in [
            ("alice", "alice", true),
            ("1790000001:alice", "1790003601:alice", true),
            ("1790000001:alice", "1790003601:bob", false),
            ("1790000001:alice", "alice", false),
            ("1790000001:", "1790003601:", false),
            ("1790000001", "1790003601", false),
            ("1790000001:carol", "1790000009:carol", false),
        ] {
            assert_eq!(users.is_same(one, other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn names_are_found_by_themselves_and_by_their_hash_and_secrets_do_not_show() {
        let (mut users, provider) = (users(&[b"north"]), crypto::default_provider());
        users.add(provider, "r", "alice", "wonderland").unwrap();
        let hash = stun::userhash(provider, "alice", "r");
        for name in [Name::Username("alice"), Name::Userhash(&hash)] {
            assert_eq!(users.find(NOW, name)[0].as_ref().map(Credentials::username), Some("alice"));
        }
        assert!(users.find(NOW, Name::Userhash(&[0; 32])).iter().all(Option::is_none));
        assert_eq!((users.ends("alice"), users.ends("1790000001:a")), (None, Some(NOW + 1)));
        let shown = format!("{users:?}");
        assert!(!shown.contains("wonderland") && !shown.contains("north"), "{shown}");
    }
}
