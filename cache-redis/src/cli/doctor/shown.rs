//! Which certificate a server shows to whoever asks: of one that was not accepted, or of a server that was
//! not thought to speak TLS. It is only looked at; nothing is ever sent over such a connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take to show one.
const PATIENCE: Duration = Duration::from_secs(1);

/// The certificate that is shown at this address to somebody who asks for this host, as DER.
pub(super) async fn certificate(peer: SocketAddr, host: &str) -> Option<Vec<u8>> {
    let provider = Arc::new(ring::default_provider());
    let onlooker = Arc::new(Onlooker {
        provider: provider.clone(),
        shown: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(onlooker.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap_or_else(|_| peer.ip().into());
    let shaken = async {
        let stream = TcpStream::connect(peer).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    // It always fails, and what counts is how far it came.
    let _ = tokio::time::timeout(PATIENCE, shaken).await;
    onlooker.shown().take()
}

/// Looks at a certificate, and accepts none.
#[derive(Debug)]
struct Onlooker {
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<Vec<u8>>>,
}

impl Onlooker {
    fn shown(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused<T>() -> Result<T, Error> {
    let reason = CertificateError::ApplicationVerificationFailure;
    Err(Error::InvalidCertificate(reason))
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.shown() = Some(certificate.to_vec());
        refused()
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refused()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refused()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}
