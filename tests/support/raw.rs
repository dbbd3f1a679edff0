//! A WebSocket client for single bytes and frames.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection on which the test chooses every byte.
pub struct Raw(pub TcpStream);

/// The headers of a valid handshake.
pub const UPGRADE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Raw {
    pub fn request(address: SocketAddr, line: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // In one piece: an early answer would be lost when the connection is reset by the rest.
        stream
            .write_all(format!("{line} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes())
            .unwrap();
        Self(stream)
    }

    /// A plain socket, after its `session` event.
    pub fn plain(address: SocketAddr) -> Self {
        let mut raw = Self::request(address, "GET /ws", UPGRADE);
        raw.head();
        assert!(raw.text().starts_with(r#"{"event":"session""#));
        raw
    }

    /// A Socket.IO connection, after its open packet.
    pub fn socketio(address: SocketAddr) -> Self {
        let mut raw = Self::request(address, "GET /socket.io/?EIO=4&transport=websocket", UPGRADE);
        raw.head();
        assert!(raw.text().starts_with(r#"0{"sid":""#));
        raw
    }

    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1]);
        if length == 126 {
            let mut long = [0; 2];
            self.0.read_exact(&mut long).unwrap();
            length = usize::from(u16::from_be_bytes(long));
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    pub fn text(&mut self) -> String {
        let (head, payload) = self.frame();
        assert_eq!(head, 0x81, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Reads texts until one begins with this.
    pub fn hears(&mut self, begins: &str) {
        while !self.text().starts_with(begins) {}
    }

    /// Skips texts, then expects a close frame with this code and the end of the stream.
    pub fn ends(&mut self, code: u16) {
        let (head, payload) = loop {
            match self.frame() {
                (0x81, _) => {}
                frame => break frame,
            }
        };
        assert_eq!(
            (head, payload.get(..2)),
            (0x88, Some(&code.to_be_bytes()[..])),
            "{:?}",
            String::from_utf8_lossy(&payload)
        );
        assert_eq!(
            self.0.read(&mut [0; 16]).unwrap_or(0),
            0,
            "the stream ends after the close frame"
        );
    }

    /// Skips texts and pongs, and returns the code of the close frame after them. A reset may
    /// follow, because the server has not read everything.
    pub fn next_close(&mut self) -> u16 {
        loop {
            match self.frame() {
                (0x81 | 0x8a, _) => {}
                (0x88, close) => return u16::from_be_bytes([close[0], close[1]]),
                frame => panic!("{frame:?}"),
            }
        }
    }

    pub fn close_code(&mut self) -> u16 {
        let (head, payload) = self.frame();
        assert_eq!(head, 0x88, "{payload:?}");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Sends a masked frame with this first byte.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        self.0.write_all(&masked(first, payload)).unwrap();
    }

    pub fn say(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }
}

/// A masked frame with this first byte.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0xfe);
            frame.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
