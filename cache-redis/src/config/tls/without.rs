//! Without the feature `tls`: whoever asks for TLS is told what to turn on, and is never connected in
//! the clear.

use cache_core::{Error, ErrorKind, Result};

use super::{Authority, Identity, Roots};

/// There is none.
#[derive(Debug)]
pub(crate) enum Connector {}

/// Says what is missing.
pub(crate) fn client(_: Roots, _: Option<Authority>, _: Option<Identity>) -> Result<Connector> {
    Err(Error::new(
        ErrorKind::Config,
        "rediss:// asks for TLS, which this program was built without: write cache-redis = { .., \
         features = [\"tls\"] } in its Cargo.toml",
    ))
}

#[cfg(test)]
mod tests {
    use crate::RedisConfig;

    #[test]
    fn whoever_asks_for_tls_is_told_what_to_turn_on() {
        let config = RedisConfig::new("rediss://:hunter2@cache.internal").unwrap();
        let error = config.build().unwrap_err().to_string();
        assert!(error.contains("features = [\"tls\"]"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
