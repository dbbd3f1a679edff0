//! A server of `realtime` alone, with settings and a policy of the test.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use hubcast::realtime::admission::Policy;
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{AuthFailure, Error};
use hubcast::realtime::{
    Client, Gateway, Handshake, HubHandle, Incoming, Json, Reply, Server, Settings, Welcome,
};

/// Answers `echo` with its argument, `slow` after a while, and refuses other events. `/closed`
/// requires `{"token":"good"}`.
struct Probe {
    closed: bool,
}

impl Gateway for Probe {
    fn connect(
        &self,
        _: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let answer = match (self.closed, auth) {
            (false, _) => Ok(Welcome::anonymous()),
            (true, None) => Err(Error::Unauthorized(AuthFailure::Missing)),
            (true, Some(auth)) if auth.get() == r#"{"token":"good"}"# => Ok(Welcome::anonymous()),
            (true, Some(auth)) if auth.get() == r#"{"token":"other"}"# => Err(Error::Forbidden),
            (true, Some(_)) => Err(Error::Unauthorized(AuthFailure::Invalid)),
        };
        Box::pin(async { answer })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move {
            match event.name.as_str() {
                "echo" => Ok(event.into_payload()),
                "slow" => {
                    actix_rt::time::sleep(Duration::from_millis(5)).await;
                    Ok(event.into_payload())
                }
                name => Err(Error::BadRequest(format!("unknown event {name}"))),
            }
        })
    }
}

pub fn serve(settings: Settings, policy: Policy) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let hub = HubHandle::start(&settings);
            Server::builder(settings, hub)
                .namespace("/", Arc::new(Probe { closed: false }))
                .namespace("/closed", Arc::new(Probe { closed: true }))
                .policy(policy)
                .build()
                .listen(listener, 1, |sockets| App::new().configure(sockets))
                .unwrap()
                .await
                .unwrap();
        });
    });
    address
}

pub fn server() -> SocketAddr {
    serve(Settings { max_payload: 1000, ..Settings::default() }, Policy::default())
}
