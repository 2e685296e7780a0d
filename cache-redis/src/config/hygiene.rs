//! What people paste into a URL that is not one. Each mistake is told by what to write instead, and
//! nothing of the text is shown: part of it may be the password.

use cache_core::{Error, ErrorKind, Result};

/// The schemes that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Plain,
    Tls,
    Socket,
}

impl Scheme {
    pub(super) fn is_tls(self) -> bool {
        self == Self::Tls
    }

    pub(super) fn is_socket(self) -> bool {
        self == Self::Socket
    }
}

/// An error about the URL: `what` continues "the Redis URL".
pub(super) fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the Redis URL {what}"))
}

/// Checks the text before it is taken apart.
pub(super) fn check(text: &str) -> Result<Scheme> {
    const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];
    if text.trim().is_empty() {
        return Err(wrong("is empty: write redis://host:6379"));
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Err(wrong("is in quotes: write it without them"));
    }
    if let Some(what) = pasted_command(text.trim_start()) {
        return Err(wrong(what));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong(
            "contains a space or a line break: write it without; in the password, a space is \
             written %20",
        ));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(wrong(
            "has no scheme: write redis://host:6379, or rediss://host:6379 for TLS",
        ));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => Scheme::Plain,
        "rediss" | "valkeys" => Scheme::Tls,
        "unix" | "redis+unix" | "valkey+unix" => Scheme::Socket,
        "http" | "https" => {
            return Err(wrong(
                "begins with http: that is a REST or a web address; write the one that begins with \
                 redis:// or rediss://",
            ));
        }
        "redis+tls" | "redis+ssl" | "tls" | "ssl" => {
            return Err(wrong(
                "has an unknown scheme: for TLS write rediss:// (with two s)",
            ));
        }
        _ => {
            return Err(wrong(
                "has an unknown scheme: write redis://, rediss:// for TLS, or unix:// for a socket",
            ));
        }
    };
    if scheme != Scheme::Socket {
        check_credentials(rest)?;
    }
    Ok(scheme)
}

fn pasted_command(text: &str) -> Option<&'static str> {
    if text.starts_with("redis-cli") {
        return Some("begins with redis-cli: write only what follows -u");
    }
    let assigned = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let (name, _) = assigned.split_once('=')?;
    let is_name = !name.is_empty()
        && name
            .trim_end()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | ':'))
        && !name.contains("//");
    is_name.then_some("begins with a variable's name: write only what follows the =")
}

/// A special character in a password ends the password early, so that the rest of it becomes the
/// host, or is even sent to a name server: refuse it before the text is taken apart.
fn check_credentials(rest: &str) -> Result<()> {
    let Some((credentials, _)) = rest.rsplit_once('@') else {
        return Ok(());
    };
    let is_bad_escape = |(at, _): (usize, &str)| {
        let mut digits = credentials[at + 1..].chars();
        !(0..2).all(|_| digits.next().is_some_and(|c| c.is_ascii_hexdigit()))
    };
    if credentials.contains([
        '/', '?', '#', '@', '[', ']', '\\', '<', '>', '^', '|', '{', '}',
    ]) || credentials.match_indices('%').any(is_bad_escape)
    {
        return Err(wrong(
            "has a special character in its user name or password: percent-encode it (/ is %2F, \
             ? is %3F, # is %23, @ is %40, % is %25), or give it with REDIS_PASSWORD or \
             RedisConfig::password",
        ));
    }
    Ok(())
}

/// Refuses to talk in the clear to hosts that only speak TLS, which would end in a puzzling error.
/// Listed are services where TLS can't be switched off; where it can, the failed connection's
/// error says what to try.
pub(super) fn demand_tls(host: &str, port: u16) -> Result<()> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let demands = host.ends_with(".upstash.io")
        || host.ends_with(".db.ondigitalocean.com")
        || host.contains(".serverless.") && host.ends_with(".cache.amazonaws.com")
        || host.ends_with(".redis.cache.windows.net") && port == 6380;
    if demands {
        return Err(wrong(&format!(
            "is not encrypted, and {host} demands TLS: write rediss:// (with two s)"
        )));
    }
    Ok(())
}
