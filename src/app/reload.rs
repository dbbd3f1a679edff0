//! What is read again while the server runs, when it changes and on SIGHUP: the keys of tokens that
//! others sign, and the server's certificate.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::config::TlsFiles;
use crate::service::Services;

/// How often the files of TLS are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Starts to watch, until the task is aborted. The first keys of another issuer are waited for, but
/// the server also starts without them: no token is good then, and `/readyz` says so.
pub(super) async fn start(
    services: &Services,
    tls: Option<Arc<TlsFiles>>,
    mut hangup: Signal,
) -> JoinHandle<()> {
    let updates = services.tokens.key_updates().cloned();
    let renewed = updates.clone();
    let watching = actix_rt::spawn(async move {
        let wanted = Notify::new();
        let keys = async {
            if let Some(updates) = &renewed {
                updates.run().await;
            }
        };
        let certificate = async {
            if let Some(files) = tls {
                watch(files, &wanted).await;
            }
        };
        let hanging_up = async {
            while hangup.recv().await.is_some() {
                tracing::info!("SIGHUP: reading keys and certificates again");
                wanted.notify_one();
                if let Some(updates) = &renewed {
                    updates.renew();
                }
            }
        };
        tokio::join!(keys, certificate, hanging_up);
    });
    if let Some(updates) = &updates {
        updates.first().await;
    }
    watching
}

async fn watch(files: Arc<TlsFiles>, wanted: &Notify) {
    let (mut fault, mut is_logged) = (None, false);
    loop {
        let _ = timeout(LOOK_EVERY, wanted.notified()).await;
        let reading = Arc::clone(&files);
        let Ok(outcome) = spawn_blocking(move || reading.read_again()).await else { continue };
        match outcome {
            Ok(has_changed) => {
                if has_changed {
                    tracing::info!("the certificate in TLS_CERT_FILE was read again");
                }
                (fault, is_logged) = (None, false);
            }
            Err(why) => {
                // The two files are replaced one after the other, so a first fault may be none.
                let lasts = fault.as_ref() == Some(&why);
                if lasts && !is_logged {
                    tracing::warn!("{why}; the certificate from before is kept");
                }
                is_logged = lasts;
                fault = Some(why);
            }
        }
    }
}
