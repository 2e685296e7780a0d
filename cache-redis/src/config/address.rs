//! A URL taken apart into what is dialled, and put together again without its secrets.

use std::fmt;
use std::path::PathBuf;

use cache_core::Result;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::hygiene::{self, wrong};

/// The port where none is written.
const PORT: u16 = 6379;

/// Where Redis is, and who calls. Its `Display` is the URL without the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) target: Target,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A host and a port.
    Tcp { host: String, port: u16, tls: bool },
    /// A socket of this machine.
    Unix(PathBuf),
}

impl Address {
    pub(super) fn tcp(host: &str, port: u16) -> Self {
        Self {
            target: Target::Tcp {
                host: host.to_owned(),
                port,
                tls: false,
            },
            username: None,
            password: None,
            database: 0,
        }
    }

    pub(super) fn local() -> Self {
        Self::tcp("127.0.0.1", PORT)
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.target, Target::Tcp { tls: true, .. })
    }
}

/// What a URL's parts can hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = utf8_percent_encode(self.username.as_deref().unwrap_or_default(), PLAIN);
        let has_user = self.username.is_some();
        let has_password = self.password.is_some();
        match &self.target {
            Target::Tcp { host, port, tls } => {
                write!(f, "{}://{user}", if *tls { "rediss" } else { "redis" })?;
                match (has_user, has_password) {
                    (false, false) => {}
                    (true, false) => f.write_str("@")?,
                    (_, true) => f.write_str(":***@")?,
                }
                let (open, close) = if host.contains(':') {
                    ("[", "]")
                } else {
                    ("", "")
                };
                write!(f, "{open}{host}{close}:{port}/{}", self.database)
            }
            Target::Unix(path) => {
                let path = path.to_string_lossy();
                let path = utf8_percent_encode(&path, PLAIN_PATH);
                write!(f, "unix://{path}?db={}", self.database)?;
                if has_user {
                    write!(f, "&user={user}")?;
                }
                if has_password {
                    f.write_str("&pass=***")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a URL.
pub(super) fn parse(text: &str) -> Result<Address> {
    let scheme = hygiene::check(text)?;
    let url = Url::parse(text).map_err(|error| wrong(unreadable(error)))?;
    if url.fragment().is_some() {
        return Err(wrong(
            "has a part after #: certificates are always verified, so #insecure does not exist \
             (give a private authority to ca_certificate); a # in the password is written %23",
        ));
    }
    if scheme.is_socket() {
        return socket(&url);
    }
    let host = match url.host() {
        Some(url::Host::Domain(host)) => host.to_owned(),
        Some(url::Host::Ipv4(host)) => host.to_string(),
        Some(url::Host::Ipv6(host)) => host.to_string(),
        None => String::new(),
    };
    if host.is_empty() {
        return Err(wrong("names no host: write redis://host:6379"));
    }
    let port = url.port().unwrap_or(PORT);
    if port == 0 {
        return Err(wrong("has port 0: Redis usually listens on 6379"));
    }
    for (name, value) in url.query_pairs() {
        match (&*name, &*value) {
            // The protocol is negotiated; other clients want it written.
            ("protocol", "2" | "3" | "resp2" | "resp3") => {}
            _ => {
                return Err(wrong(
                    "has options after ?: end it with the database (/0), and set options on \
                     RedisConfig",
                ));
            }
        }
    }
    if !scheme.is_tls() {
        hygiene::demand_tls(&host, port)?;
    }
    Ok(Address {
        target: Target::Tcp {
            host,
            port,
            tls: scheme.is_tls(),
        },
        username: decode(Some(url.username()).filter(|name| !name.is_empty()))?,
        password: decode(url.password().filter(|password| !password.is_empty()))?,
        database: database(url.path().trim_matches('/'))?,
    })
}

fn socket(url: &Url) -> Result<Address> {
    let path = url.path();
    if url.host_str().is_some_and(|host| !host.is_empty()) || path.len() < 2 {
        return Err(wrong(
            "names no socket: write unix:///path/to/redis.sock, with three slashes",
        ));
    }
    let mut address = Address::local();
    address.target = Target::Unix(decode(Some(path))?.map(PathBuf::from).unwrap_or_default());
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => address.database = database(&value)?,
            "user" => address.username = Some(value.into_owned()),
            "pass" => address.password = Some(value.into_owned()),
            "protocol" => {}
            _ => {
                return Err(wrong(
                    "has an unknown option after ?: a socket's URL takes db, user and pass",
                ));
            }
        }
    }
    Ok(address)
}

/// The database's number, as Redis has them.
pub(super) fn database(text: &str) -> Result<u32> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        wrong("has a database that is not a number: after host and port comes /0 to /15")
    })
}

fn decode(text: Option<&str>) -> Result<Option<String>> {
    text.map(|text| {
        percent_decode_str(text)
            .decode_utf8()
            .map(String::from)
            .map_err(|_| wrong("has percent-encoded bytes that are not UTF-8"))
    })
    .transpose()
}

fn unreadable(error: url::ParseError) -> &'static str {
    match error {
        url::ParseError::EmptyHost => "names no host: write redis://host:6379",
        url::ParseError::InvalidPort => {
            "has a bad port: it is a number up to 65535, as in redis://host:6379; a : or / in the \
             password is written %3A or %2F"
        }
        url::ParseError::InvalidIpv6Address => {
            "has a bad IPv6 address: write it in brackets, as in redis://[::1]:6379"
        }
        _ => {
            "has a host that can't be one: write redis://host:6379, with special characters of the \
             password percent-encoded"
        }
    }
}
