//! What `HUBCAST_ENV=production` changes: stricter defaults, and what it refuses. [`PROFILE`] lists
//! all of it, for `hubcast check-config` and `docs/settings.md`; [`open`] finds what it leaves to
//! the operator.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::config::Host;

use super::{
    BadSetting, Catalog, CustomerPayments, DatabaseUrl, Environment, MIN_SECRET, Membership,
    OrderHold, Origins, PostgresUrl, Registration, Settings, SubjectMeaning, Tls,
};

/// ORDER_HOLD in production.
const ORDER_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// A setting that production changes.
pub struct ProfileRow {
    pub setting: &'static str,
    /// What holds outside of production, if the setting is left out.
    pub outside: &'static str,
    /// What holds in production.
    pub production: &'static str,
    pub why: &'static str,
    /// The value in force, in the words of the two columns above.
    pub in_force: fn(&Settings) -> &'static str,
    /// Whether these settings leave open what production closes.
    is_open: fn(&Settings) -> bool,
}

/// What production changes: one entry for each setting.
pub const PROFILE: &[ProfileRow] = &[
    ProfileRow {
        setting: "HUBCAST_DEMO",
        outside: "allowed",
        production: "refused",
        why: "the passwords of the demo accounts are public; a database that has these accounts \
              with these passwords is refused too",
        in_force: |settings| refused_in_production(settings.server.demo, settings),
        is_open: |settings| settings.server.demo,
    },
    ProfileRow {
        setting: "ALLOW_QUERY_USER",
        outside: "allowed",
        production: "refused",
        why: "anyone could be any customer",
        in_force: |settings| refused_in_production(settings.rules.allow_query_user, settings),
        is_open: |settings| settings.rules.allow_query_user,
    },
    ProfileRow {
        setting: "JWT_SECRET",
        outside: "any, or made once",
        production: "32 bytes or more",
        why: "who guesses the secret signs tokens of any user",
        in_force: |settings| {
            if settings.is_production() { "32 bytes or more" } else { "any, or made once" }
        },
        is_open: Settings::has_short_secret,
    },
    ProfileRow {
        setting: "REGISTRATION",
        outside: "open",
        production: "closed",
        why: "anyone could make accounts",
        in_force: |settings| match settings.registration() {
            Registration::Open => "open",
            Registration::Closed => "closed",
        },
        is_open: |settings| settings.registration() == Registration::Open,
    },
    ProfileRow {
        setting: "TEST_CLIENT",
        outside: "on",
        production: "off",
        why: "the page is for trying things out",
        in_force: |settings| {
            if settings.page.is_on(settings.server.environment.environment) { "on" } else { "off" }
        },
        is_open: |settings| settings.page.is_on(settings.server.environment.environment),
    },
    ProfileRow {
        setting: "MEMBERSHIP",
        outside: "open",
        production: "invite",
        why: "a customer could make anybody a member",
        in_force: |settings| match settings.membership() {
            Membership::Open => "open",
            Membership::Invite => "invite",
        },
        is_open: |settings| settings.membership() == Membership::Open,
    },
    ProfileRow {
        setting: "CATALOG",
        outside: "anyone",
        production: "admin",
        why: "everybody is told of each product",
        in_force: |settings| match settings.catalog() {
            Catalog::Anyone => "anyone",
            Catalog::Admin => "admin",
        },
        is_open: |settings| settings.catalog() == Catalog::Anyone,
    },
    ProfileRow {
        setting: "CUSTOMER_PAYMENTS",
        outside: "on",
        production: "off",
        why: "a customer could say that an order is paid",
        in_force: |settings| match settings.customer_payments() {
            CustomerPayments::On => "on",
            CustomerPayments::Off => "off",
        },
        is_open: |settings| settings.customer_payments() == CustomerPayments::On,
    },
    ProfileRow {
        setting: "ORDER_HOLD",
        outside: "none",
        production: "24h",
        why: "an unpaid order would hold its items for ever",
        in_force: |settings| match settings.order_hold() {
            None => "none",
            Some(ORDER_HOLD) => "24h",
            Some(_) => "another time",
        },
        is_open: |settings| settings.order_hold().is_none(),
    },
    ProfileRow {
        setting: "CORS_ORIGINS",
        outside: "Host checked on loopback",
        production: "Host not checked",
        why: "on a developer's machine a page could reach the server by a name that leads there \
              (DNS rebinding); in public it has whatever names lead to it",
        in_force: |settings| {
            if settings.checks_host() { "Host checked on loopback" } else { "Host not checked" }
        },
        is_open: |_| false,
    },
];

fn refused_in_production(is_set: bool, settings: &Settings) -> &'static str {
    match (is_set, settings.is_production()) {
        (true, _) => "on",
        (false, true) => "refused",
        (false, false) => "allowed",
    }
}

/// Something that is for the operator to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub setting: &'static str,
    pub what: &'static str,
    /// What HUBCAST_ENV=production would make of it, if it is not on and changes that.
    pub in_production: Option<&'static str>,
}

/// What is open with these settings.
#[must_use]
pub fn open(settings: &Settings) -> Vec<Open> {
    let by_profile = PROFILE.iter().filter(|row| (row.is_open)(settings));
    let by_profile = by_profile.map(|row| Open {
        setting: row.setting,
        what: row.why,
        in_production: (!settings.is_production()).then_some(row.production),
    });
    let found = OPEN.iter().filter(|(_, is_open)| is_open(settings)).map(|(open, _)| *open);
    by_profile.chain(found).collect()
}

/// An opening, and whether these settings have it.
type Check = (Open, fn(&Settings) -> bool);

/// What production leaves to the operator.
const OPEN: &[Check] = &[
    (
        Open {
            setting: "TLS_CERT_FILE",
            what: "without TLS, and with no proxy in TRUSTED_PROXIES that ends it, passwords and \
                   tokens can be read on the network",
            in_production: None,
        },
        |settings| {
            let has_tls = settings.tls.server().is_ok_and(|tls| tls.is_some());
            !has_tls && settings.access.trusted_proxies.is_empty() && !settings.is_on_loopback()
        },
    ),
    (
        Open {
            setting: "CORS_ORIGINS",
            what: "any page may call this server with a token that it has; name the Origins",
            in_production: None,
        },
        |settings| settings.access.cors_origins == Origins::Any,
    ),
    (
        Open {
            setting: "METRICS_ADDR",
            what: "the figures are on the main port, and anyone can read them",
            in_production: None,
        },
        |settings| settings.server.metrics_address.is_none() && !settings.is_on_loopback(),
    ),
    (
        Open {
            setting: "JWT_AUDIENCE",
            what: "a token that the issuer made for another program is good here too; name your \
                   audience",
            in_production: None,
        },
        Settings::takes_any_audience,
    ),
    (
        Open {
            setting: "DATABASE_URL",
            what: "a neighbour on the network can be the database; set sslmode=verify-full",
            in_production: None,
        },
        |settings| match &settings.database.url {
            DatabaseUrl::Postgres(url) => can_be_intercepted(url),
            DatabaseUrl::Sqlite(_) => false,
        },
    ),
];

/// Whether somebody on the network can be the database for this server.
fn can_be_intercepted(url: &PostgresUrl) -> bool {
    let is_elsewhere = |host: &Host| match host {
        Host::Tcp(name) => {
            let is_loopback = |address: IpAddr| address.is_loopback();
            name != "localhost" && !name.parse().is_ok_and(is_loopback)
        }
        Host::Unix(_) => false,
    };
    !matches!(url.tls, Tls::VerifyFull(_)) && url.config.get_hosts().iter().any(is_elsewhere)
}

impl Settings {
    /// Whether HUBCAST_ENV is `production`.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.server.environment.environment == Some(Environment::Production)
    }

    /// Whether anyone may make an account. In production, and where another program has users, only
    /// if REGISTRATION says so.
    #[must_use]
    pub fn registration(&self) -> Registration {
        let is_closed = self.is_production() || self.auth.jwt_subject == SubjectMeaning::Outside;
        let default = if is_closed { Registration::Closed } else { Registration::Open };
        self.rules.registration.unwrap_or(default)
    }

    /// Whether customers add members, or invite them. In production nobody becomes a member
    /// unasked, unless MEMBERSHIP says so.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let default = if self.is_production() { Membership::Invite } else { Membership::Open };
        self.rules.membership.unwrap_or(default)
    }

    /// Whether the secret is shorter than production takes.
    fn has_short_secret(&self) -> bool {
        let length = self.auth.jwt_secret.as_ref().map_or(0, |secret| secret.expose().len());
        // An empty one counts as left out: it is made then.
        (1..MIN_SECRET).contains(&length)
    }

    /// Whether a request has to name this server by an address, `localhost` or a name that the
    /// settings have: with demo accounts, and on loopback, outside of production.
    #[must_use]
    pub fn checks_host(&self) -> bool {
        !self.is_production() && (self.server.demo || self.is_on_loopback())
    }

    /// Whether only this machine reaches the server.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        let host = self.server.host.as_str();
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
    }

    /// Whether tokens of another program are taken whatever their audience is.
    #[must_use]
    pub fn takes_any_audience(&self) -> bool {
        let has_outside_keys = self.auth.jwt_public_key_file.is_some()
            || !self.auth.jwks_url.as_slice().is_empty()
            || (self.auth.jwt_issuer.is_some() && self.auth.jwt_secret.is_none());
        has_outside_keys && self.auth.jwt_audience.is_none()
    }

    /// The users that can add products. In production only admins, because a product is announced
    /// to everybody.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        let default = if self.is_production() { Catalog::Admin } else { Catalog::Anyone };
        self.rules.catalog.unwrap_or(default)
    }

    /// Whether a customer may record a payment. Not in production, where payments are money.
    #[must_use]
    pub fn customer_payments(&self) -> CustomerPayments {
        let default =
            if self.is_production() { CustomerPayments::Off } else { CustomerPayments::On };
        self.rules.customer_payments.unwrap_or(default)
    }

    /// How long an unpaid order holds its items, if not for ever. In production a day, because
    /// anyone could else empty the stock for ever.
    #[must_use]
    pub fn order_hold(&self) -> Option<Duration> {
        let default = OrderHold(self.is_production().then_some(ORDER_HOLD));
        self.rules.order_hold.unwrap_or(default).0
    }

    /// Returns the first setting that production refuses.
    pub(super) fn check_production(&self) -> Result<(), BadSetting> {
        if self.server.demo && self.is_production() {
            let mend = "is refused with HUBCAST_ENV=production, because its passwords are public; \
                        leave it out"
                .to_owned();
            return Err(BadSetting { setting: "HUBCAST_DEMO", mend });
        }
        if self.rules.allow_query_user && self.is_production() {
            let mend = "is refused with HUBCAST_ENV=production, because anyone could then be any \
                        user; leave it out"
                .to_owned();
            return Err(BadSetting { setting: "ALLOW_QUERY_USER", mend });
        }
        Ok(())
    }
}
