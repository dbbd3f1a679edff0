//! What the product's own rules allow its customers. The defaults that differ in production are
//! found by `production.rs`.

use clap::{ArgAction, Args, ValueEnum};

use super::parse;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleSettings {
    /// Whether `POST /auth/register` makes accounts [default: open; closed in production and with
    /// JWT_SUBJECT=outside]
    #[arg(long, env = "REGISTRATION", value_enum)]
    pub registration: Option<Registration>,
    /// Whether a customer who adds somebody to a conversation or a project makes a member, or an
    /// invitation that the person accepts or refuses [default: open; invite in production]
    #[arg(long, env = "MEMBERSHIP", value_enum)]
    pub membership: Option<Membership>,
    /// For development only: accept a socket without a token as the customer in `?userId=`, the id
    /// of any existing user. Refused in production
    #[arg(long, env = "ALLOW_QUERY_USER", action = ArgAction::SetTrue, value_parser = parse::flag)]
    pub allow_query_user: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    Open,
    Closed,
}

/// How customers add members to conversations and projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Membership {
    /// Whoever is added is a member.
    Open,
    /// Whoever is added is asked first.
    Invite,
}
