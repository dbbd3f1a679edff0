//! The smallest server on `hubcast_realtime`: rooms, and messages to them. `PORT=3000 cargo run -p
//! hubcast-realtime --example chat`
//!
//! A client emits `join` "room", then `say` "room" anything. Everyone in the room receives `said`
//! anything.

use std::net::TcpListener;

use actix_web::App;
use hubcast_realtime::Error;
use hubcast_realtime::{
    Client, Event, HubHandle, Incoming, Json, Payload, Server, Settings, gateway,
};

#[actix::main]
async fn main() -> std::io::Result<()> {
    let chat = gateway::open(|client: Client, event: Incoming| async move {
        match event.name.as_str() {
            "join" => client.join(event.arg::<String>(0)?).await,
            "say" => {
                client
                    .hub()
                    .emit(
                        Event::new("/", "said", event.arg::<Json>(1)?, [event.arg::<String>(0)?]),
                        None,
                    )
                    .await;
            }
            _ => return Err(Error::BadRequest("join or say".into())),
        }
        Ok(Payload::none())
    });
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on http://{}", listener.local_addr()?);
    let settings = Settings::default();
    let hub = HubHandle::start(&settings);
    let server = Server::builder(settings, hub).namespace("/", chat).build();
    server.listen(listener, 2, |sockets| App::new().configure(sockets))?.await
}
