use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server does not run, and what to do about it.
#[derive(Debug)]
pub(crate) enum Problem {
    /// A file cannot be read, or says what cannot be.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A setting's value is none.
    Value {
        /// Which setting.
        option: &'static str,
        /// What was given.
        value: String,
    },
    /// A line of a file of users is none.
    User {
        /// The file, or the flag.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What clients would be shown over TLS cannot be used.
    Certificate(turn_server::TlsError),
    /// What clients would be shown over DTLS cannot be used.
    DtlsCertificate(turn_server::DtlsError),
    /// TLS and DTLS want all three.
    HalfCertificate,
    /// Nobody could use it.
    Nobody,
    /// The server's sockets.
    Server(turn_server::Error),
    /// The metrics' socket.
    Metrics {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not tell of signals.
    Signals(io::Error),
    /// The runtime has ended it.
    Stopped,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "{}: {}", path.display(), reason.trim_end()),
            Self::Value { option, value } => {
                write!(f, "`{value}` cannot be {option}: `peerline turn --help` says what can.")
            }
            Self::User { place, reason } => write!(f, "{place}: {reason}"),
            Self::Certificate(error) => write!(f, "{error}"),
            Self::DtlsCertificate(error) => write!(f, "{error}"),
            Self::HalfCertificate => f.write_str(
                "TLS and DTLS need all of `--listen-tls ADDRESS:PORT` or `--listen-dtls ADDRESS:PORT`, \
                 `--certificate FILE` and `--key FILE`.",
            ),
            Self::Nobody => f.write_str(
                "nobody may use this server yet.\n\
                 Try `--user NAME:PASSWORD`; for good, `--users FILE` or `--secrets FILE`.",
            ),
            Self::Server(error @ turn_server::Error::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                write!(f, "{error}.\nChoose another port: `--listen ADDRESS:PORT`.")
            }
            Self::Server(error) => write!(f, "{error}"),
            Self::Metrics { address, source } => write!(f, "no metrics at {address}: {source}"),
            Self::Signals(source) => write!(f, "the system tells of no signals: {source}"),
            Self::Stopped => f.write_str("the server has stopped"),
        }
    }
}
