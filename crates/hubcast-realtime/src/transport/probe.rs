//! The move from polling to a WebSocket (engine.io-protocol 4, "Upgrading"): the client tries the
//! WebSocket with `2probe`, stops polling when that is answered, and says `5` there. Until then
//! everything goes over polling, and from then on over the WebSocket; what waits in between goes
//! there.

use std::rc::Rc;
use std::time::Duration;

use actix_http::ws::Codec;
use actix_web_actors::ws::Frame;
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::link::{Io, Link};
use crate::wire::websocket;

/// How long a move may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a poll that waits is sent home meanwhile, so that the client can stop polling.
const SEND_HOME_EVERY: Duration = Duration::from_millis(100);
/// No packet of a move is longer.
const LONGEST: usize = 64;

/// Tries the WebSocket; true when the client has moved there. One on which something else comes, or
/// nothing, is closed, and the client polls on.
pub(crate) async fn run(link: Rc<Link>, io: Io, mut rest: BytesMut) -> bool {
    let Some(polls) = link.polls() else { return false };
    if link.io().is_some() || polls.probing.replace(true) {
        return false;
    }
    let moved = tokio::time::timeout(TIMEOUT, shake(&link, &io, &mut rest)).await;
    polls.probing.set(false);
    moved == Ok(Some(())) && link.move_to(io, rest)
}

async fn shake(link: &Link, io: &Io, rest: &mut BytesMut) -> Option<()> {
    let mut codec = Codec::new().max_size(LONGEST);
    read(&mut codec, io, rest, b"2probe").await?;
    io.write_all(&websocket::text("3probe")).await.ok()?;
    let mut said = std::pin::pin!(read(&mut codec, io, rest, b"5"));
    // A client that has said `5` already does not poll any more.
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            said = &mut said => return said,
            () = tokio::time::sleep(pause) => {}
        }
        // A session that has ended meanwhile is not waited for; one that has its goodbye to say can
        // say it here.
        link.polls().filter(|_| !link.is_cut())?.send_home();
        pause = SEND_HOME_EVERY;
    }
}

/// Reads one text frame, which has to be this.
async fn read(codec: &mut Codec, io: &Io, rest: &mut BytesMut, wanted: &[u8]) -> Option<()> {
    loop {
        if websocket::check(rest).is_err()
            || websocket::declared_length(rest).is_some_and(|length| length > LONGEST as u64)
        {
            return None;
        }
        match codec.decode(rest).ok()? {
            Some(Frame::Text(text)) => return (text[..] == *wanted).then_some(()),
            Some(Frame::Ping(_) | Frame::Pong(_)) => {}
            Some(_) => return None,
            None if io.read_buf(rest).await.ok()? == 0 => return None,
            None => {}
        }
    }
}
