//! Sockets that answer pings and count events.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use actix_codec::Framed;
use actix_http::ws::{Codec, Frame, Message};
use clap::ValueEnum;
use futures_core::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The most connections from one loopback address, which has about 28,000 ports. Further ones use
/// the next address.
const PER_ADDRESS: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    Plain,
    Socketio,
}

/// A socket that has received its `session` event.
pub(super) struct Socket {
    frames: Framed<TcpStream, Codec>,
    protocol: Protocol,
}

impl Socket {
    /// Opens a socket; `engine` is the path and query of a Socket.IO one. `number` chooses the
    /// source address if the server is on loopback.
    pub(super) async fn open(
        address: SocketAddr,
        protocol: Protocol,
        engine: &str,
        namespace: &str,
        token: &str,
        number: usize,
    ) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("socket {number}: {error}");
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
            .map_err(text)?;
        // The first ones are not bound: the kernel then finds a port faster.
        if number >= PER_ADDRESS && address.is_ipv4() && address.ip().is_loopback() {
            let last = u8::try_from(1 + number / PER_ADDRESS).map_err(|_| "too many sockets")?;
            socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).map_err(text)?;
        }
        let mut stream = socket.connect(address).await.map_err(text)?;
        let path = match protocol {
            Protocol::Plain => format!("/ws?namespace={namespace}"),
            Protocol::Socketio => engine.to_owned(),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // Byte by byte, so that the first frame stays in the stream.
            head.push(stream.read_u8().await.map_err(text)?);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!(
                "socket {number}: {}",
                String::from_utf8_lossy(&head).lines().next().unwrap_or_default()
            ));
        }
        let frames = Framed::new(stream, Codec::new().client_mode().max_size(1 << 20));
        let mut socket = Self { frames, protocol };
        if protocol == Protocol::Socketio {
            let connect =
                if namespace == "/" { "40".to_owned() } else { format!("40{namespace},") };
            socket.next().await?;
            socket.send(Message::Text(connect.into())).await?;
        }
        while !socket.next().await?.contains("\"session\"") {}
        Ok(socket)
    }

    /// Waits for the next text and answers pings meanwhile.
    async fn next(&mut self) -> Result<String, String> {
        loop {
            let frame =
                std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.frames).poll_next(cx)).await;
            match frame.ok_or("closed")?.map_err(|error| error.to_string())? {
                Frame::Ping(payload) => self.send(Message::Pong(payload)).await?,
                Frame::Text(text) if self.protocol == Protocol::Socketio && &text[..] == b"2" => {
                    self.send(Message::Text("3".into())).await?;
                }
                Frame::Text(text) => {
                    return String::from_utf8(text.to_vec()).map_err(|error| error.to_string());
                }
                Frame::Close(reason) => return Err(format!("closed: {reason:?}")),
                Frame::Binary(_) | Frame::Continuation(_) | Frame::Pong(_) => {}
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        std::pin::Pin::new(&mut self.frames).write(message).map_err(|error| error.to_string())?;
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.frames).flush::<Message>(cx))
            .await
            .map_err(|error| error.to_string())
    }

    /// Counts texts that contain `needle`, until the socket ends.
    pub(super) async fn count(mut self, needle: &'static str, received: Rc<Cell<u64>>) {
        while let Ok(text) = self.next().await {
            if text.contains(needle) {
                received.set(received.get() + 1);
            }
        }
    }
}
