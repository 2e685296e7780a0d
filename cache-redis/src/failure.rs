//! What went wrong with Redis, in words that say what to do; cloneable, because one failed attempt
//! to connect is the answer to everybody who waits for it.

use std::fmt;
use std::sync::Arc;

use cache_core::{Error, ErrorKind};
use redis::{RedisError, ServerError, Value};

/// A failure, with no secret in it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    text: Arc<str>,
    /// Whether the server said something that Redis never says: its connection can't be relied on.
    strange: bool,
}

/// Server texts are quoted up to this many characters.
const QUOTED: usize = 200;

impl Failure {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into().into(),
            strange: false,
        }
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, text)
    }

    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, text)
    }

    /// What Redis never says: not an error it answers with, but an answer that can't be one to what
    /// was asked. Whatever else the connection says may belong to another question.
    pub(crate) fn strange(text: impl Into<String>) -> Self {
        Self {
            strange: true,
            ..Self::protocol(text)
        }
    }

    pub(crate) fn garbage() -> Self {
        Self::strange(
            "the server answered with something that is not Redis's protocol: is another service \
             listening there?",
        )
    }

    pub(crate) fn is_strange(&self) -> bool {
        self.strange
    }

    /// The same, told to belong to a place: `redis://cache:6379/0: no answer`.
    #[must_use]
    pub(crate) fn at(&self, place: &str) -> Self {
        Self {
            text: format!("{place}: {}", self.text).into(),
            ..self.clone()
        }
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether nobody has answered.
    #[cfg(feature = "cli")]
    pub(crate) fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// Whether the server has understood, and won't.
    #[cfg(feature = "cli")]
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == ErrorKind::Rejected
    }

    /// What redis-rs reports of a connection or of its handshake.
    pub(crate) fn of_client(error: &RedisError, secrets: &Secrets) -> Self {
        match error.kind() {
            redis::ErrorKind::Io => Self::unavailable(format!("the connection was lost ({error})")),
            redis::ErrorKind::AuthenticationFailed => of_code("WRONGPASS", "", secrets),
            redis::ErrorKind::Parse => Self::garbage(),
            _ => match error.code() {
                Some(code) => of_code(code, error.detail().unwrap_or_default(), secrets),
                None if error.kind() == redis::ErrorKind::UnexpectedReturnType => {
                    Self::strange(secrets.hide(&error.to_string()))
                }
                None => Self::protocol(secrets.hide(&error.to_string())),
            },
        }
    }

    /// An error the server answered with.
    pub(crate) fn of_server(error: &ServerError, secrets: &Secrets) -> Self {
        of_code(error.code(), error.details().unwrap_or_default(), secrets)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind, &*failure.text)
    }
}

/// What must never be shown, though a server may quote it: some answer an unknown `HELLO` or `AUTH`
/// with its arguments.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(password: Option<&str>) -> Self {
        Self(
            password
                .filter(|password| !password.is_empty())
                .map(str::to_owned)
                .into_iter()
                .collect(),
        )
    }

    /// A server's text without arguments that it quotes, and without secrets, shortened.
    pub(crate) fn hide(&self, text: &str) -> String {
        let text = text
            .split_once(", with args beginning with")
            .map_or(text, |(before, _)| before);
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        match text.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

/// The code an error is about. Before 7.0 what a script runs into is wrapped in an `ERR`.
fn code_of<'a>(code: &'a str, detail: &str) -> &'a str {
    const WRAPPED: [&str; 6] = [
        "OOM",
        "READONLY",
        "MISCONF",
        "NOREPLICAS",
        "MASTERDOWN",
        "NOPERM",
    ];
    // 6.2 begins what a script has caught, and hands back, with the script's place.
    if code != "ERR" && !code.starts_with('@') {
        return code;
    }
    if detail.contains("The user executing the script can't") {
        return "NOPERM";
    }
    WRAPPED
        .into_iter()
        .find(|inner| {
            detail
                .split(|c: char| !c.is_ascii_uppercase())
                .any(|word| word == *inner)
        })
        .unwrap_or(code)
}

/// Whether this says that the server takes no writes: it was demoted, or is a replica.
pub(crate) fn is_read_only(value: &Value) -> bool {
    matches!(value, Value::ServerError(error)
        if code_of(error.code(), error.details().unwrap_or_default()) == "READONLY")
}

fn of_code(code: &str, detail: &str, secrets: &Secrets) -> Failure {
    let quoted = secrets.hide(detail);
    let code = code_of(code, detail);
    let (kind, advice) = match code {
        "NOAUTH" => (
            ErrorKind::Rejected,
            "Redis wants a password: put it into the URL (redis://:password@host:6379) or into \
             REDIS_PASSWORD",
        ),
        "WRONGPASS" => (
            ErrorKind::Rejected,
            "Redis refused the user name or the password: check them, and that special characters \
             in a URL are percent-encoded",
        ),
        "NOPERM" => (
            ErrorKind::Rejected,
            "the Redis user lacks a permission: grant it the namespace's keys (~<namespace>:*) and \
             +get +mget +getrange +strlen +set +del +unlink +pttl +pexpire +eval +evalsha +ping \
             +client|tracking (+client before Redis 7), for the figures of the fleet +hget +hset +hincrby \
             +hdel +hrandfield +pexpireat +time, and for the program `cache` +scan +type",
        ),
        "READONLY" => (
            ErrorKind::Rejected,
            "this Redis is a read-only replica: connect to the primary",
        ),
        "OOM" => (
            ErrorKind::Rejected,
            "Redis is full and its policy evicts nothing: set maxmemory-policy allkeys-lru, or \
             raise maxmemory",
        ),
        "MISCONF" => (
            ErrorKind::Rejected,
            "Redis takes no writes because it cannot save to its disk: free space there, or set \
             stop-writes-on-bgsave-error no",
        ),
        "NOREPLICAS" => (
            ErrorKind::Rejected,
            "Redis takes no writes because too few replicas are connected (min-replicas-to-write)",
        ),
        "DENIED" => (
            ErrorKind::Rejected,
            "Redis is in protected mode and refuses other hosts: set a password or bind it",
        ),
        "MOVED" | "ASK" | "CROSSSLOT" => (
            ErrorKind::Rejected,
            "this is a node of a Redis Cluster, which is not supported: connect to a Redis that is \
             not sharded",
        ),
        "LOADING" => (ErrorKind::Unavailable, "Redis is loading its data"),
        "MASTERDOWN" => (ErrorKind::Unavailable, "this replica has lost its primary"),
        "BUSY" => (
            ErrorKind::Unavailable,
            "Redis is busy with somebody's script",
        ),
        "CLUSTERDOWN" | "TRYAGAIN" => (ErrorKind::Unavailable, "the cluster is not ready"),
        "ERR" if detail.starts_with("max number of clients") => (
            ErrorKind::Unavailable,
            "Redis has no connection left: raise maxclients, or close some",
        ),
        "ERR" if detail.starts_with("unknown command") => (
            ErrorKind::Rejected,
            "this server lacks a command that the cache needs (it needs Redis 6.2 or later, and \
             scripts)",
        ),
        "ERR" if detail.contains("DB index") || detail.contains("SELECT") => (
            ErrorKind::Rejected,
            "Redis has no database of this number: write another one at the URL's end (/0)",
        ),
        _ => return Failure::protocol(format!("Redis answered {code} {quoted}")),
    };
    if quoted.is_empty() {
        Failure::new(kind, advice)
    } else {
        Failure::new(kind, format!("{advice} (it said: {code} {quoted})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> ServerError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => error,
            other => panic!("{other:?} is no error"),
        }
    }

    #[test]
    fn each_refusal_has_its_kind_and_its_advice() {
        let cases = [
            (
                "NOAUTH Authentication required.",
                ErrorKind::Rejected,
                "REDIS_PASSWORD",
            ),
            (
                "WRONGPASS invalid username-password pair",
                ErrorKind::Rejected,
                "percent-encoded",
            ),
            (
                "NOPERM this user has no permissions",
                ErrorKind::Rejected,
                "grant",
            ),
            ("READONLY You can't write", ErrorKind::Rejected, "primary"),
            (
                "OOM command not allowed",
                ErrorKind::Rejected,
                "allkeys-lru",
            ),
            ("MISCONF Redis is configured", ErrorKind::Rejected, "disk"),
            (
                "LOADING Redis is loading",
                ErrorKind::Unavailable,
                "loading",
            ),
            (
                "MASTERDOWN Link with MASTER is down",
                ErrorKind::Unavailable,
                "primary",
            ),
            (
                "BUSY Redis is busy running a script",
                ErrorKind::Unavailable,
                "script",
            ),
            (
                "ERR max number of clients reached",
                ErrorKind::Unavailable,
                "maxclients",
            ),
            (
                "ERR Error running script: @user_script: 3: -OOM command",
                ErrorKind::Rejected,
                "allkeys-lru",
            ),
            (
                "ERR The user executing the script can't run this command or subcommand script: 3e",
                ErrorKind::Rejected,
                "+hincrby",
            ),
            (
                "@user_script: 1: The user executing the script can't run this command or subcommand",
                ErrorKind::Rejected,
                "+hincrby",
            ),
            (
                "@user_script: 1: -OOM command not allowed",
                ErrorKind::Rejected,
                "allkeys-lru",
            ),
            (
                "ERR something nobody knows",
                ErrorKind::Protocol,
                "something nobody knows",
            ),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Rejected, "Cluster"),
        ];
        for (line, kind, word) in cases {
            let failure = Failure::of_server(&server(line), &Secrets::default());
            assert_eq!(failure.kind(), kind, "{line}");
            assert!(failure.to_string().contains(word), "{line}: {failure}");
        }
    }

    #[test]
    fn quoted_arguments_and_secrets_do_not_get_through() {
        let secrets = Secrets::new(Some("tr0ub4dor"));
        let lines = [
            "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'tr0ub4dor' ",
            "ERR invalid password tr0ub4dor",
            "NOAUTH tr0ub4dor is not it",
        ];
        for line in lines {
            let failure = Failure::of_server(&server(line), &secrets);
            assert!(!failure.to_string().contains("tr0ub4dor"), "{failure}");
        }
        assert!(!format!("{secrets:?}").contains("tr0ub4dor"));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = Secrets::default().hide(&"ü".repeat(500));
        assert_eq!(text.chars().count(), QUOTED + 3);
    }
}
