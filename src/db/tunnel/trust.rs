//! Whom a TLS connection to PostgreSQL trusts: libpq's `require`, `verify-ca`
//! and `verify-full`.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls;

/// Who the server may be.
#[derive(Debug)]
pub(super) enum Trust {
    /// Whoever answers: what is sent cannot be overheard, that is all.
    Anybody,
    /// Whoever has a certificate of one of these.
    Issuer(Roots),
    /// The same, and the certificate is for the host of the URL.
    IssuerAndName(Roots),
}

/// Who issues certificates that are trusted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those whom this system trusts.
    System,
    /// Those whose certificates are in a file.
    File(PathBuf),
}

/// How TLS connections are made.
///
/// # Errors
/// A sentence for the operator when a file is no good.
pub(super) fn config(trust: &Trust, client: Option<&(PathBuf, PathBuf)>) -> Result<Arc<ClientConfig>, String> {
    let provider = tls::provider();
    let (roots, with_name) = match trust {
        Trust::Anybody => (None, false),
        Trust::Issuer(roots) => (Some(store(roots)?), false),
        Trust::IssuerAndName(roots) => (Some(store(roots)?), true),
    };
    let verifier = Arc::new(Verifier { provider: provider.clone(), roots, with_name });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match client {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(tls::identity(chain, key)?)))
        }
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Arc::new(config))
}

fn store(roots: &Roots) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::File(file) => {
            for certificate in tls::certificates(file)? {
                let unusable = |error| format!("{} holds a certificate that cannot be used: {error}", file.display());
                store.add(certificate).map_err(unusable)?;
            }
        }
        // Systems keep old certificates, and not all of them can be read.
        Roots::System => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if store.is_empty() {
        return Err(
            "this system has no certificates of those whom it trusts; install ca-certificates, or name a file by \
                    sslrootcert"
                .into(),
        );
    }
    Ok(store)
}

/// Checks a server's certificate as far as the URL asks for it.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` trusts anybody.
    roots: Option<RootCertStore>,
    with_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, issuers, now, algorithms)?;
            if self.with_name {
                verify_server_name(&certificate, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // It proves that the server has the key of a certificate that proves nothing.
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is wrong with a server, in words for the operator.
pub(super) fn explain(error: &Error) -> String {
    let fault = match error {
        Error::InvalidCertificate(fault) => fault,
        Error::AlertReceived(alert) => return format!("the server broke TLS off: {alert:?}"),
        error => return format!("TLS failed: {error}"),
    };
    match fault {
        CertificateError::UnknownIssuer => {
            "its certificate is of an issuer whom sslrootcert does not name, so it is not trusted".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this machine's clock right?".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{fault}; the name has to be among its subjectAltName, a common name does not count")
        }
        CertificateError::Other(cause) => match format!("{cause:?}") {
            cause if cause.contains("CaUsedAsEndEntity") => "its certificate is one that issues certificates \
                 (CA:TRUE); the server needs one of its own that is issued by that"
                .into(),
            cause if cause.contains("UnsupportedCertVersion") => {
                "its certificate is not of X.509 version 3, as those with a subjectAltName are".into()
            }
            _ => format!("its certificate is not accepted: {cause}"),
        },
        _ => format!("its certificate is not accepted: {fault}"),
    }
}
