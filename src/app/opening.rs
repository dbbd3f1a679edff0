//! Opens the database of a server. While it takes no writes, as a standby does until it is
//! promoted, the server waits: it answers the probes of an orchestrator, and 503 to all else.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::DatabaseSettings;
use crate::http;
use crate::realtime::{self, HubHandle, Server};
use crate::store::{Db, OpenError, Publisher};

/// How often a database that takes no writes is tried again.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Opens the database, or waits on this listener until it takes writes. Returns `None` if a signal
/// ends the wait.
pub(super) async fn open(
    database: &DatabaseSettings,
    publisher: Arc<dyn Publisher>,
    listener: &TcpListener,
    limits: &realtime::Settings,
) -> Result<Option<Db>, Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut waiting = None;
    let opened = loop {
        let (settings, publisher) = (database.clone(), Arc::clone(&publisher));
        // Blocks, and starts a runtime for migrations.
        match actix_rt::task::spawn_blocking(move || Db::open(&settings, publisher)).await? {
            Ok(db) => break Some(db),
            Err(OpenError::ReadOnly) if waiting.is_none() => {
                let scheme = if limits.tls.is_some() { "https" } else { "http" };
                let address = listener.local_addr()?;
                let server = Server::builder(limits.clone(), HubHandle::start(limits)).build();
                let server = server.listen(listener.try_clone()?, 1, |_sockets| {
                    App::new().configure(http::waiting_routes)
                })?;
                waiting = Some((server.handle(), actix_rt::spawn(server)));
                tracing::warn!(
                    "the database is read-only; {scheme}://{address} answers 503 until it takes \
                     writes"
                );
            }
            Err(OpenError::ReadOnly) => {}
            Err(other) => return Err(other.into()),
        }
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            () = tokio::time::sleep(TRY_EVERY) => {}
        }
    };
    if let Some((handle, running)) = waiting {
        handle.stop(true).await;
        running.await??;
    }
    Ok(opened)
}
