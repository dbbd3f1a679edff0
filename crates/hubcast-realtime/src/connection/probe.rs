//! The move from polling to a WebSocket (engine.io-protocol 4, "Upgrading"). The client sends
//! `2probe` on the WebSocket, stops polling when that is answered, and sends `5` there. Everything
//! before that `5` is sent by polling, and everything still queued then goes to the WebSocket.

use std::rc::Rc;
use std::time::Duration;

use crate::core::ws::Frame;
use actix_http::ws::Codec;
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::connection::Connection;
use super::io::Io;
use crate::wire::websocket;

/// How long a move to a WebSocket may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a waiting poll is answered during the move, so that the client can stop polling.
const NOOP_EVERY: Duration = Duration::from_millis(100);
/// The most pings and pongs that a move skips.
const MAX_SKIPPED: usize = 16;
/// The longest frame that a move accepts.
const MAX_FRAME: usize = 64;

/// Tries the WebSocket. Returns true if the client has moved there. A WebSocket on which other
/// packets or no packets arrive is closed, and the client continues to poll.
pub(crate) async fn run(connection: Rc<Connection>, io: Io, mut rest: BytesMut) -> bool {
    let Some(polls) = connection.polls() else { return false };
    if connection.io().is_some() || polls.probing.replace(true) {
        return false;
    }
    let moved = tokio::time::timeout(TIMEOUT, shake(&connection, &io, &mut rest)).await;
    polls.probing.set(false);
    moved == Ok(Some(())) && connection.move_to(io, rest)
}

async fn shake(connection: &Connection, io: &Io, rest: &mut BytesMut) -> Option<()> {
    let mut codec = Codec::new().max_size(MAX_FRAME);
    read(&mut codec, io, rest, b"2probe").await?;
    io.write_all(&websocket::text("3probe")).await.ok()?;
    let mut sent = std::pin::pin!(read(&mut codec, io, rest, b"5"));
    // A client that has already sent `5` does not poll any more.
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            moved = &mut sent => return moved,
            () = tokio::time::sleep(pause) => {}
        }
        // The move fails if the session has ended meanwhile. A closing session may send its close
        // frame in this poll.
        connection.polls().filter(|_| !connection.is_aborted())?.answer_with_noop();
        pause = NOOP_EVERY;
    }
}

/// Reads one text frame, which has to be `wanted`.
async fn read(codec: &mut Codec, io: &Io, rest: &mut BytesMut, wanted: &[u8]) -> Option<()> {
    let mut skipped = 0;
    loop {
        if websocket::check(rest).is_err()
            || websocket::declared_length(rest).is_some_and(|length| length > MAX_FRAME as u64)
        {
            return None;
        }
        match codec.decode(rest).ok()? {
            Some(Frame::Text(text)) => return (text[..] == *wanted).then_some(()),
            Some(Frame::Ping(_) | Frame::Pong(_)) if skipped < MAX_SKIPPED => skipped += 1,
            Some(_) => return None,
            None if io.read_buf(rest).await.ok()? == 0 => return None,
            None => {}
        }
    }
}
