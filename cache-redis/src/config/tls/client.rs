//! TLS by rustls with ring, verified always. redis-rs can do TLS too, but reads the system's
//! certificates anew for each connection, fails on a single odd one, and fixes the roots at build
//! time.

use std::sync::Arc;

use cache_core::{Error, ErrorKind, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
pub(crate) use tokio_rustls::TlsConnector as Connector;

use super::{Authority, Identity, Roots};

/// What makes TLS of a connection.
pub(crate) fn client(
    roots: Roots,
    authority: Option<Authority>,
    identity: Option<Identity>,
) -> Result<Connector> {
    let roots = match authority {
        Some(authority) => private_roots(authority)?,
        None => public_roots(roots)?,
    };
    // The provider is named here, so that none has to be installed for the whole process.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(format!("TLS can't be set up ({error})")))?
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read_identity(&identity)?;
            config.with_client_auth_cert(chain, key).map_err(|error| {
                wrong(format!(
                    "client_certificate's certificate and key don't belong together ({error})"
                ))
            })?
        }
    };
    Ok(Connector::from(Arc::new(config)))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what)
}

fn public_roots(roots: Roots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Webpki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::System => {
            // A certificate that can't be read is one authority less, not a reason to fail.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(wrong(
                    "this system has no certificate authorities: install ca-certificates, or use \
                     roots(Roots::Webpki)",
                ));
            }
        }
    }
    Ok(store)
}

fn private_roots(authority: Authority) -> Result<RootCertStore> {
    let pem = match authority {
        Authority::Pem(pem) => pem,
        Authority::File(path) => std::fs::read(&path).map_err(|error| {
            wrong(format!(
                "ca_certificate_file {} can't be read",
                path.display()
            ))
            .with_source(error)
        })?,
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| store.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| {
                wrong(format!(
                    "a certificate in ca_certificate can't be read ({error})"
                ))
            })?;
    }
    if store.is_empty() {
        return Err(wrong(
            "ca_certificate holds no certificate: it must be PEM text, which begins with \
             -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(store)
}

type Chain = Vec<CertificateDer<'static>>;

fn read_identity(identity: &Identity) -> Result<(Chain, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(&identity.certificate)
        .collect::<Result<Chain, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| {
            wrong(
                "client_certificate holds no certificate: it must be PEM text, which begins with \
                 -----BEGIN CERTIFICATE-----",
            )
        })?;
    // What the parser says might quote the key.
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| {
        wrong("client_certificate's key can't be read: it must be PEM text with a private key")
    })?;
    Ok((chain, key))
}
