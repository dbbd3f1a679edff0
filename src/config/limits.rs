//! How much one client may ask of the server: rates, quotas and caps.

use clap::Args;

use super::parse::{self, Rate};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Most events that one socket may send: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_EVENTS", default_value = "100/s,200")]
    pub rate_events: Rate,
    /// Most sign-ins and registrations per account and address: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_LOGIN", default_value = "30/m")]
    pub rate_login: Rate,
    /// Most new connections per address: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_CONNECT", default_value = "200/s,20000")]
    pub rate_connect: Rate,
    /// Most invitations that one user may have sent within 30 days without an answer of yes, and
    /// most open ones that one user may have received
    #[arg(long, env = "INVITATION_LIMIT", default_value = "100", value_parser = parse::count)]
    pub invitation_limit: usize,
}
