//! A server for tests of the wire: gateways that echo, and the number of open connections.

#![allow(dead_code, reason = "each test program uses its part")]

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use actix_web::App;
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{AuthFailure, Error};
use hubcast::realtime::{
    Client, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings,
    Welcome,
};

/// Answers `echo` with its last argument and refuses other events. `/closed` requires
/// `{"token":"good"}`.
struct Echo {
    closed: bool,
}

impl Gateway for Echo {
    fn connect(
        &self,
        _: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let answer = match (self.closed, auth) {
            (false, _) => Ok(Welcome::anonymous()),
            (true, None) => Err(Error::Unauthorized(AuthFailure::Missing)),
            (true, Some(auth)) if auth.get() == r#"{"token":"good"}"# => Ok(Welcome::anonymous()),
            (true, Some(_)) => Err(Error::Unauthorized(AuthFailure::Invalid)),
        };
        Box::pin(async { answer })
    }

    fn event(&self, _: Client, mut event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move {
            match event.name.as_str() {
                "echo" => Ok(event.args.pop().map_or_else(Payload::none, Payload::from)),
                name => Err(Error::BadRequest(format!("unknown event {name}"))),
            }
        })
    }
}

/// A server that runs until the test program ends.
pub struct Running {
    pub address: SocketAddr,
    pub server: Server,
}

impl Running {
    /// Serves `/`, `/closed`, and `/0` to `/16`.
    pub fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let hub = HubHandle::start(&settings);
                let main =
                    Server::builder(settings, hub).namespace("/", Arc::new(Echo { closed: false }));
                let both = main.namespace("/closed", Arc::new(Echo { closed: true }));
                let all = (0..=16).fold(both, |all, n| {
                    all.namespace(&format!("/{n}"), Arc::new(Echo { closed: false }))
                });
                let server = all.build();
                sender.send(server.clone()).unwrap();
                server
                    .listen(listener, 1, |sockets| App::new().configure(sockets))
                    .unwrap()
                    .await
                    .unwrap();
            });
        });
        Self { address, server: receiver.recv().unwrap() }
    }

    /// Waits until no connection is open.
    pub fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.server.connections().total() > 0 {
            assert!(Instant::now() < end, "still open: {:?}", self.server.connections());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
