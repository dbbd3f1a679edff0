//! The load generator, `hubcast load`: orders or messages by REST with sockets that receive their
//! events, and idle sockets. It often shares a machine with the server, so it uses little CPU: one
//! thread, raw keep-alive HTTP, and no parsing beyond the head.
//!
//! A flag bounds each count and each time. The generator uses the server's ports only, and no other
//! module of this crate but the notation of durations and the default path of Socket.IO.

mod http;
mod idle;
mod polling;
mod process;
mod sockets;
mod writes;

use std::net::SocketAddr;

use clap::Subcommand;

/// The kinds of load.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Place orders, and count the events that admin sockets receive
    Orders(writes::Writes),
    /// Send messages, and count the events that members of the conversation receive
    Messages(writes::Writes),
    /// Open signed-in sockets, hold them, and measure the server's memory for each
    Idle(idle::Idle),
}

/// Runs the load and prints the figures. The error is one line.
pub fn run(command: Command) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        match command {
            Command::Orders(writes) => writes.run(writes::WriteKind::Orders).await,
            Command::Messages(writes) => writes.run(writes::WriteKind::Messages).await,
            Command::Idle(idle) => idle.run().await,
        }
    })
}

/// The server, and the account that signs in.
#[derive(Debug, Clone, clap::Args)]
struct Target {
    /// Base URL of the server, http only
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// The server's SOCKETIO_PATH
    #[arg(long, default_value = crate::config::SOCKETIO_PATH)]
    socketio_path: String,
    /// E-mail of the account that signs in
    #[arg(long, default_value = "admin@demo.test")]
    email: String,
    /// Password of the account
    #[arg(long, default_value = "demo-password")]
    password: String,
}

impl Target {
    /// The path of a Socket.IO connection by that transport.
    fn engine_path(&self, transport: &str) -> String {
        let path = self.socketio_path.trim_end_matches('/');
        format!("{path}/?EIO=4&transport={transport}")
    }

    /// Resolves the server's address and signs in. Returns the address and the token.
    async fn sign_in(&self) -> Result<(SocketAddr, String), String> {
        let host = self
            .url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'))
            .ok_or("--url has to begin with http://")?;
        let mut addresses =
            tokio::net::lookup_host(host).await.map_err(|error| format!("--url: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("--url: {host} has no address"))?;
        let body = serde_json::json!({"email": self.email, "password": self.password}).to_string();
        let mut connection = http::Connection::open(address).await?;
        let answer = connection.call(&http::post(address, "/auth/login", None, &body)).await?;
        if answer.status != 200 {
            return Err(format!("signing in was answered {}", answer.status));
        }
        let body: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let token = body
            .get("accessToken")
            .and_then(serde_json::Value::as_str)
            .ok_or("the sign-in gave no token")?;
        Ok((address, token.to_owned()))
    }
}
