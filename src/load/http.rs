//! A minimal HTTP/1.1 client: keep-alive, Content-Length, one request at a time.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The most bytes in a response.
const MAX_RESPONSE: usize = 1 << 20;

pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Formats a POST request.
pub(super) fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{token}\r\n{body}"
    )
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream =
            TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(2048) })
    }

    /// Sends a request and waits for the whole response.
    pub(super) async fn call(&mut self, request: &str) -> Result<Response, String> {
        self.stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        loop {
            if let Some((status, head, length)) = head(&self.buffer)?
                && self.buffer.len() >= head + length
            {
                let rest = self.buffer.split_off(head + length);
                let body = self.buffer.split_off(head);
                self.buffer = rest;
                return Ok(Response { status, body });
            }
            if self.buffer.len() > MAX_RESPONSE {
                return Err("the answer is too long".into());
            }
            if self.stream.read_buf(&mut self.buffer).await.map_err(|error| error.to_string())? == 0
            {
                return Err("the server closed the connection".into());
            }
        }
    }
}

/// Parses the status, the length of the head and that of the body; `None` for a partial head.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let body = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let body = body
                .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
                .unwrap_or(0);
            Ok(Some((response.code.unwrap_or(0), length, body)))
        }
    }
}
