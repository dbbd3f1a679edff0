//! What the product's own rules allow its customers. The defaults that differ in production are
//! found by `production.rs`.

use std::str::FromStr;
use std::time::Duration;

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
    /// The users that can add products. The owner of a product, and the admins, can change and
    /// remove it in both cases [default: anyone signed in; admin in production]
    #[arg(long, env = "CATALOG", value_enum)]
    pub catalog: Option<Catalog>,
    /// Whether a customer may record the payment of an own order, as if it were paid. If off, only
    /// admins may, such as the program that hears from the payment provider [default: on; off in
    /// production]
    #[arg(long, env = "CUSTOMER_PAYMENTS", value_enum)]
    pub customer_payments: Option<CustomerPayments>,
    /// Time after which a pending order, of which nothing was paid, is cancelled, and its items
    /// return to the stock: ms, s, m or h, or `none` [default: none; 24h in production]
    #[arg(long, env = "ORDER_HOLD")]
    pub order_hold: Option<OrderHold>,
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

/// The users that can add products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Catalog {
    Anyone,
    Admin,
}

/// Whether customers' own payments count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CustomerPayments {
    On,
    Off,
}

/// How long an unpaid order holds its items; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderHold(pub Option<Duration>);

impl FromStr for OrderHold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => parse::duration(text)
                .map(|hold| Self(Some(hold)))
                .map_err(|fault| format!("{fault}, or none")),
        }
    }
}
