//! How many replicas are waited for, and for how long: what Redis's `WAIT` takes, checked.

use std::time::Duration;

use cache_core::{Error, ErrorKind, Result};

/// What must have an invalidation besides the primary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) timeout: Duration,
}

impl Replicas {
    pub(super) fn check(self, ping_timeout: Duration) -> Result<()> {
        let Self { count, timeout } = self;
        let what = if count == 0 {
            "asks for none: write at least 1, or leave it out".to_owned()
        } else if timeout < Duration::from_millis(1) {
            // Redis takes 0 for as long as it takes.
            "waits for nothing: write at least 1 ms".to_owned()
        } else if timeout >= ping_timeout {
            format!("waits longer than a sign of life may take: write less than {ping_timeout:?}")
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Config,
            format!("replicas({count}, {timeout:?}) {what}"),
        ))
    }
}
