//! A connection's TLS; and what went wrong with it in words that say what to do: rustls has some for
//! itself, and else names of Rust.

use std::fmt::Debug;
use std::io;

use rustls::CertificateError as Certificate;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Facts;
use crate::failure::Failure;
use crate::traffic::Watched;

/// Makes TLS of a connection to a host.
pub(super) async fn encrypt(
    tls: &TlsConnector,
    host: &str,
    stream: Watched<TcpStream>,
) -> Result<TlsStream<Watched<TcpStream>>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Failure::unavailable("no certificate can be issued to this host's name: write another one")
    })?;
    tls.connect(name, stream)
        .await
        .map_err(|error| failure(&error))
}

impl Facts {
    pub(super) fn encrypted(&mut self, connection: &rustls::ClientConnection) {
        let version = connection.protocol_version();
        self.tls = version.and_then(|version| version.as_str().map(str::to_owned));
        let chain = connection.peer_certificates().unwrap_or_default();
        self.certificate = chain.first().map(|certificate| certificate.to_vec());
    }
}

/// What the handshake ended with.
fn failure(error: &io::Error) -> Failure {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    Failure::unavailable(match inner {
        // An authority of the same name but with another key is as unknown.
        Some(rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature,
        )) => "the server's certificate is from an unknown authority: give the authority to \
             ca_certificate, or install it on this system"
            .to_owned(),
        Some(rustls::Error::InvalidCertificate(Certificate::NotValidForName)) => {
            "the server's certificate is for another host: write the host it is for".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(
            reason @ Certificate::NotValidForNameContext { .. },
        )) => format!(
            "the server's certificate is for another host ({reason}): write the host it is for"
        ),
        Some(rustls::Error::InvalidCertificate(reason)) => {
            format!("the server's certificate is not valid: {}", fault(reason))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the server does not speak TLS on this port: write redis:// (with one s)".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => format!(
            "the server broke TLS off ({}): if it wants to know who calls, give client_certificate",
            words(alert)
        ),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server hung up during the TLS handshake: if it does not speak TLS, write redis:// \
             (with one s)"
                .to_owned()
        }
        _ => format!("TLS failed ({error})"),
    })
}

/// What is wrong with a certificate, and what to do about it.
fn fault(reason: &Certificate) -> String {
    match reason {
        Certificate::Expired | Certificate::ExpiredContext { .. } => {
            "it has expired: renew it, or set this machine's clock right".to_owned()
        }
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "it is not valid yet: is this machine's clock right?".to_owned()
        }
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "it is not for servers: make one with extendedKeyUsage=serverAuth".to_owned()
        }
        // Webpki's own errors can't be named without another dependency; their text is their name.
        Certificate::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "it is an authority's (CA:TRUE), as `openssl req -x509` makes them, and a server must not \
             show that: make one with -addext basicConstraints=CA:FALSE -addext \
             subjectAltName=DNS:<host>, and give that to ca_certificate, or have the authority sign one"
                .to_owned()
        }
        Certificate::Other(other) => words(other.0.as_ref()),
        reason => words(reason),
    }
}

/// A variant's name in words, without what it holds: `BadEncoding` is `bad encoding`.
fn words(variant: &(impl Debug + ?Sized)) -> String {
    let mut words = String::new();
    let variant = format!("{variant:?}");
    for c in variant.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_rust_gets_through() {
        let of = |reason: Certificate| {
            let error = rustls::Error::InvalidCertificate(reason);
            failure(&io::Error::other(error)).to_string()
        };
        let other = rustls::OtherError(std::sync::Arc::new(io::Error::other("x")));
        for (reason, text) in [
            (Certificate::BadEncoding, "is not valid: bad encoding"),
            (Certificate::Expired, "is not valid: it has expired: renew"),
            (Certificate::NotValidForName, "is for another host: write"),
            (Certificate::Other(other), "is not valid: custom"),
        ] {
            let told = of(reason);
            assert!(told.contains(text), "{told}");
        }
        let alert = rustls::AlertDescription::HandshakeFailure;
        let alert = io::Error::other(rustls::Error::AlertReceived(alert));
        let told = failure(&alert).to_string();
        assert!(told.contains("broke TLS off (handshake failure)"), "{told}");
    }
}
