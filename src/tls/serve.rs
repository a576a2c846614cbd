//! Serving with TLS. The certificate is followed: when its files change, new
//! connections get the new one, and those that are open stay as they are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::rt::time::sleep;
use futures_util::future::{Either, select};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{identity, provider};
use crate::config::Config;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Who the gateway is: a certificate and its key, as they now stand in their
/// files.
#[derive(Debug)]
pub struct Identity {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    loaded: Stamp,
}

/// What changes when one of the files does: what is there, when it was written,
/// how long it is. Of the file that a link leads to.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

impl Identity {
    /// The one that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// A sentence for the operator when it cannot be used.
    pub fn of(config: &Config) -> Result<Option<Arc<Self>>, String> {
        let Some((chain, key)) = config.tls_cert.clone().zip(config.tls_key.clone()) else { return Ok(None) };
        let loaded = [&chain, &key].map(stamp);
        let current = RwLock::new(Arc::new(identity(&chain, &key)?));
        Ok(Some(Arc::new(Self { chain, key, current, loaded })))
    }

    /// How connections are accepted.
    ///
    /// # Errors
    /// Never, with the versions of TLS that this program is built with.
    pub fn acceptance(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        Ok(config.with_no_client_auth().with_cert_resolver(self.clone()))
    }

    /// Reads the files again whenever they have changed, or on SIGHUP.
    ///
    /// The chain and the key are replaced one after the other, so a change is
    /// acted upon when nothing has happened since the last look.
    pub async fn follow(self: Arc<Self>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        let (mut known, mut last) = (self.loaded, self.loaded);
        loop {
            let asked = matches!(select(pin!(hangup.recv()), pin!(sleep(INTERVAL))).await, Either::Left(_));
            let now = [&self.chain, &self.key].map(stamp);
            if asked || (now != known && now == last) {
                self.reload();
                known = now;
            }
            last = now;
        }
    }

    fn reload(&self) {
        match identity(&self.chain, &self.key) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                log::info!("new connections get the certificate that {} now holds", self.chain.display());
            }
            Err(cause) => log::error!("the certificate in use is kept, because {cause}"),
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn stamp(file: &PathBuf) -> Option<(u64, i64, i64, u64)> {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}
