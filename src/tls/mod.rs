//! TLS, by rustls: reading certificates and keys. Serving with them is
//! [`serve`]; connections to PostgreSQL are in [`crate::db`].

pub mod serve;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The cryptography of every TLS connection: it builds with a C compiler alone.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in a PEM file, of which there is at least one.
///
/// # Errors
/// A sentence for the operator.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| format!("{} is no good PEM file: {error}", file.display()))?;
    if found.is_empty() {
        let instead = if holds(&text, "PRIVATE KEY") { "a private key, but " } else { "" };
        return Err(format!(
            "{} holds {instead}no certificate; what is wanted is a PEM file with -----BEGIN CERTIFICATE-----",
            file.display()
        ));
    }
    Ok(found)
}

/// A certificate with its issuers, and the private key that belongs to it.
///
/// # Errors
/// A sentence for the operator.
pub fn identity(chain: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let certificates = certificates(chain)?;
    let loaded = provider().key_provider.load_private_key(private_key(key)?).map_err(|_| {
        format!(
            "the key in {} cannot be used; RSA from 2048 bits on, ECDSA by P-256 or P-384 and Ed25519 can",
            key.display()
        )
    })?;
    let identity = CertifiedKey::new(certificates, loaded);
    match identity.keys_match() {
        Ok(()) => Ok(identity),
        Err(rustls::Error::InconsistentKeys(_)) => Err(format!(
            "the key in {} does not belong to the first certificate in {}, where those of its issuers come after it",
            key.display(),
            chain.display()
        )),
        Err(error) => Err(format!("{} cannot be used: {error}", chain.display())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(file)?;
    if holds(&text, "ENCRYPTED") {
        return Err(format!(
            "the key in {} is encrypted, and nobody is there to say its password; decrypt it into a file that only its \
             owner reads: openssl pkey -in ENCRYPTED -out PLAIN",
            file.display()
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        format!(
            "{} holds no private key ({error}); what is wanted is a PEM file with -----BEGIN PRIVATE KEY-----",
            file.display()
        )
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

fn holds(text: &[u8], words: &str) -> bool {
    text.windows(words.len()).any(|window| window == words.as_bytes())
}
