//! What is asked of TLS: by whom the server may be vouched for, and who calls. What does it is `client`,
//! with the feature `tls` alone, since rustls and ring make a build a fifth longer.

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "tls")]
mod client;
#[cfg(not(feature = "tls"))]
mod without;

#[cfg(feature = "tls")]
pub(crate) use client::{Connector, client};
#[cfg(not(feature = "tls"))]
pub(crate) use without::{Connector, client};

/// Which certificate authorities are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those of the operating system (or of `SSL_CERT_FILE`).
    #[default]
    System,
    /// Mozilla's, compiled in: for images without a certificate store.
    Webpki,
}

/// A private certificate authority.
#[derive(Clone)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(super) enum Authority {
    Pem(Vec<u8>),
    File(PathBuf),
}

/// Who calls.
#[derive(Clone)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(super) struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    pub(super) fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        Self { certificate, key }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}
