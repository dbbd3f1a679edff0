//! The load generator, `hubcast load`: orders or messages by REST with sockets that listen, and
//! idle sockets. It shares a machine with the server it drives, so it spends little: one thread,
//! raw keep-alive HTTP, and no parsing beyond the head.
//!
//! Every count and time is bounded by a flag. It talks to servers, never to this crate's other
//! modules.

mod http;
mod idle;
mod polling;
mod sockets;
mod writes;

use std::net::SocketAddr;

use clap::Subcommand;

/// What to load a server with.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Places orders for a while, and counts what admin sockets hear of them
    Orders(writes::Writes),
    /// Sends messages for a while, and counts what their conversation's members hear of them
    Messages(writes::Writes),
    /// Opens signed-in sockets, holds them, and says what one costs the server
    Idle(idle::Idle),
}

/// Runs it and prints the figures.
///
/// # Errors
/// One line that says what went wrong.
pub fn run(command: Command) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        match command {
            Command::Orders(writes) => writes.run(writes::What::Orders).await,
            Command::Messages(writes) => writes.run(writes::What::Messages).await,
            Command::Idle(idle) => idle.run().await,
        }
    })
}

/// Where the server is, and who signs in.
#[derive(Debug, Clone, clap::Args)]
struct Target {
    /// Base address of the server, plain http
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// Who signs in
    #[arg(long, default_value = "admin@demo.test")]
    email: String,
    /// Their password
    #[arg(long, default_value = "demo-password")]
    password: String,
}

impl Target {
    /// Resolves the address and signs in: gives both, and the token.
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
