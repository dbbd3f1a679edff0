//! The server for the test suites of the protocol documents. `PORT=3000 cargo run -p
//! hubcast-realtime --example conformance`
//!
//! At `/socket.io/`: on connect to `/` or `/custom` it emits `auth` with the auth payload of the
//! handshake; it answers `message` by `message-back` with the same arguments, and acks
//! `message-with-ack` with its own arguments. At `/engine.io/`: bare Engine.IO, which echoes every
//! message.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use hubcast_realtime::Error;
use hubcast_realtime::admission::{Origins, Policy};
use hubcast_realtime::gateway::LocalBoxFuture;
use hubcast_realtime::{
    Client, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings,
    Welcome, gateway,
};

struct Namespace;

impl Gateway for Namespace {
    fn connect(
        &self,
        _: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let auth = auth.map_or_else(|| "{}".to_owned(), |auth| auth.get().to_owned());
        Box::pin(async move { Ok(Welcome { data: Rc::new(auth), ..Welcome::anonymous() }) })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        Box::pin(async move {
            // The suites wait for one message at a time, and miss a second that arrives in the same
            // piece.
            actix_rt::time::sleep(Duration::from_millis(5)).await;
            client
                .emit("auth", Payload::json(client.data::<String>().map_or("{}", String::as_str)));
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move {
            match event.name.as_str() {
                "message" => client.emit("message-back", event.into_payload()),
                "message-with-ack" => return Ok(event.into_payload()),
                _ => {}
            }
            Ok(Payload::none())
        })
    }
}

async fn echo(client: Client, event: Incoming) -> Reply {
    client.emit("message", event.into_payload());
    Ok(Payload::none())
}

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener)
}

pub(crate) fn serve(listener: TcpListener) -> std::io::Result<()> {
    actix_rt::System::new().block_on(async move {
        let settings = Settings {
            ping_interval: Duration::from_millis(300),
            ping_timeout: Duration::from_millis(200),
            max_payload: 1_000_000,
            connect_timeout: Duration::from_secs(1),
            event_rate: None,
            frame_rate: None,
            byte_rate: None,
            connect_rate: None,
            session_event: false,
            ..Settings::default()
        };
        let hub = HubHandle::start(&settings);
        let server = Server::builder(settings, hub)
            .namespace("/", Arc::new(Namespace))
            .namespace("/custom", Arc::new(Namespace))
            .engine(gateway::open(echo))
            .policy(Policy { origins: Origins::Any, ..Policy::default() })
            .build();
        server.listen(listener, 2, |sockets| App::new().configure(sockets))?.await
    })
}
