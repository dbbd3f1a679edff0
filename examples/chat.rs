//! The smallest server on `hubcast::realtime`: rooms, and what is said in them. `PORT=3000 cargo run --example chat`
//!
//! A client emits `join` "room", then `say` ["room", anything]; everyone in the room gets `said` anything.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::App;
use hubcast::error::Error;
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{Client, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings, Welcome};

struct Chat(HubHandle);

impl Gateway for Chat {
    fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        Box::pin(async { Ok(Welcome::anonymous()) })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.0.clone();
        Box::pin(async move {
            let first = event.args.first().map_or("null", |arg| arg.get());
            match event.name.as_str() {
                "join" => client.join(serde_json::from_str::<String>(first).map_err(|_| bad("a room"))?).await,
                "say" => {
                    let (room, said): (String, Json) = serde_json::from_str(first).map_err(|_| bad("[room, anything]"))?;
                    let share = hub.admit(said.get().len()).await;
                    hub.emit(Event::new("/", "said", said, [room]), Some(share)).await;
                }
                _ => return Err(bad("join or say")),
            }
            Ok(Payload::none())
        })
    }
}

fn bad(wanted: &str) -> Error {
    Error::BadRequest(format!("wanted {wanted}"))
}

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on http://{}", listener.local_addr()?);
    actix_rt::System::new().block_on(async move {
        let settings = Settings { event_rate: None, ..Settings::default() };
        let hub = HubHandle::start(&settings);
        let server = Server::builder(settings, hub.clone()).namespace("/", Arc::new(Chat(hub))).build();
        server.listen(listener, 2, |sockets| App::new().configure(sockets))?.await
    })
}
