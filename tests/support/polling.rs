//! Raw long-polling: each request is written by hand, on its own connection.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The answer to a request for an unknown session.
pub const UNKNOWN: (u16, &str) = (400, r#"{"code":1,"message":"Session ID unknown"}"#);
/// The answer to a request that ends its session.
pub const REFUSED: (u16, &str) = (400, r#"{"code":3,"message":"Bad request"}"#);
/// The answer to an accepted POST.
pub const TAKEN: (u16, &str) = (200, "ok");

/// Sends a request whose answer is read later.
pub fn begin(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = if body.is_empty() && line.starts_with("GET") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head =
        format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

/// Reads the answer: status and body.
pub fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A polling session.
pub struct Polling {
    address: SocketAddr,
    pub sid: String,
}

impl Polling {
    pub fn open(address: SocketAddr) -> Self {
        Self::open_as(address, "")
    }

    /// With `?user=`, for servers that require it.
    pub fn open_as(address: SocketAddr, user: &str) -> Self {
        let (status, body) = answer(begin(
            address,
            &format!("GET /socket.io/?EIO=4&transport=polling&user={user}"),
            "",
            b"",
        ));
        assert_eq!(status, 200, "{body}");
        let sid = body.split('"').nth(3).unwrap().to_owned();
        Self { address, sid }
    }

    /// The path and query of the session's requests.
    pub fn path(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub fn begin_poll(&self) -> TcpStream {
        begin(self.address, &format!("GET {}", self.path()), "", b"")
    }

    pub fn poll(&self) -> (u16, String) {
        answer(self.begin_poll())
    }

    pub fn post(&self, body: &[u8]) -> (u16, String) {
        answer(begin(
            self.address,
            &format!("POST {}", self.path()),
            "Content-Type: text/plain;charset=UTF-8\r\n",
            body,
        ))
    }

    /// Polls until a packet begins with this text, and returns it.
    pub fn hears(&self, begins: &str) -> String {
        loop {
            let (status, body) = self.poll();
            assert_eq!(status, 200, "{body}, and no {begins}");
            if let Some(packet) = body.split('\x1e').find(|packet| packet.starts_with(begins)) {
                return packet.to_owned();
            }
        }
    }

    pub fn is_unknown(&self) {
        let (status, body) = self.poll();
        assert_eq!((status, body.as_str()), UNKNOWN);
    }
}
