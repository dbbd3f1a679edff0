//! Polling sessions between two polls: in their namespace, with no event left and no request open.

use std::net::SocketAddr;

use super::http::Connection;

/// Opens a session in `/` and closes its HTTP connection; `engine` is the path and query of a
/// request that begins one. The session lives until the pong to its
/// next ping is overdue.
pub(super) async fn open(address: SocketAddr, engine: &str, token: &str) -> Result<(), String> {
    let mut connection = Connection::open(address).await?;
    let opened = poll(&mut connection, address, engine, token).await?;
    let open: serde_json::Value = opened
        .strip_prefix('0')
        .and_then(|open| serde_json::from_str(open).ok())
        .ok_or("no open packet")?;
    let path = format!(
        "{engine}&sid={}",
        open.get("sid").and_then(serde_json::Value::as_str).ok_or("no sid")?
    );
    let connect = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 2\r\n\r\n40");
    let answer = connection.call(&connect).await?;
    if answer.status != 200 {
        return Err(format!("CONNECT was answered {}", answer.status));
    }
    while !poll(&mut connection, address, &path, token).await?.contains("notifications:unread") {}
    Ok(())
}

async fn poll(
    connection: &mut Connection,
    address: SocketAddr,
    path: &str,
    token: &str,
) -> Result<String, String> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let answer = connection.call(&request).await?;
    if answer.status != 200 {
        return Err(format!("a poll was answered {}", answer.status));
    }
    String::from_utf8(answer.body).map_err(|error| error.to_string())
}
