//! Translates the settings for `realtime`, which knows no other module.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

use super::descriptors;
use crate::config::{self, Rate, Settings};
use crate::event;
use crate::realtime;
use crate::realtime::admission::{Hosts, Origins, Policy};
use crate::realtime::presence::PresenceSettings;

/// The least budget, in bytes, of events between their writes and the sockets. A small OUTBOX_LIMIT
/// alone would serialize the writes.
const MIN_BUDGET: usize = 64 << 10;

/// How long a client may send more than RATE_FRAMES or RATE_BYTES.
const INTAKE_PATIENCE: Duration = Duration::from_secs(30);

/// The limits and timeouts of its connections. Raises the limit of open files.
pub(super) fn limits(settings: &Settings) -> realtime::Settings {
    let connections = descriptors::connections(settings);
    let sockets = &settings.realtime;
    realtime::Settings {
        socketio_path: sockets.socketio_path.clone().into(),
        ping_interval: sockets.ping_interval,
        ping_timeout: sockets.ping_timeout,
        max_payload: sockets.max_payload,
        connect_timeout: sockets.connect_timeout,
        outbox_limit: sockets.outbox_limit,
        // Half of the limit, so that a burst of events does not disconnect a socket that reads.
        publish_budget: (sockets.outbox_limit / 2).max(MIN_BUDGET),
        stall_timeout: sockets.stall_timeout,
        event_rate: quota(&settings.limits.rate_events),
        frame_rate: quota(&settings.limits.rate_frames()),
        byte_rate: quota(&settings.limits.rate_bytes.0),
        intake_patience: INTAKE_PATIENCE,
        connect_rate: quota(&settings.limits.rate_connect),
        presence: PresenceSettings { limit: sockets.presence_limit, ..PresenceSettings::default() },
        session_event: true,
        aliases: if sockets.event_aliases { event::ALIASES } else { &[] },
        greeting: Some(event::UNREAD_COUNT),
        connections,
        // One user cannot fill a server.
        sockets_per_user: Some(
            settings.limits.sockets_per_user.min((connections.total / 4).max(1)),
        ),
        keep_alive: settings.server.keep_alive,
        body_timeout: settings.limits.body_timeout,
        tls: None,
    }
}

fn quota(rate: &Rate) -> Option<Quota> {
    Quota::with_period(rate.period()).map(|quota| quota.allow_burst(rate.burst))
}

/// The names of this server. A page of any Origin may call a server with `CORS_ORIGINS=*` anyway.
fn hosts(settings: &Settings) -> Hosts {
    match &settings.access.cors_origins {
        _ if !settings.checks_host() => Hosts::Any,
        config::Origins::Any => Hosts::Any,
        config::Origins::Same => Hosts::Known(vec![settings.server.host.clone()]),
        config::Origins::List(origins) => {
            let hosts = origins.iter().filter_map(|origin| {
                let (_, authority) = origin.split_once("://")?;
                let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
                Some(host.to_owned()).filter(|host| !host.is_empty())
            });
            Hosts::Known(hosts.chain([settings.server.host.clone()]).collect())
        }
    }
}

pub(super) fn policy(settings: &Settings, scheme: &'static str) -> Policy {
    let proxies = settings.access.trusted_proxies.clone();
    Policy {
        origins: match &settings.access.cors_origins {
            config::Origins::Same => Origins::Same,
            config::Origins::Any => Origins::Any,
            config::Origins::List(list) => Origins::List(list.clone()),
        },
        hosts: hosts(settings),
        trusts: Arc::new(move |peer: IpAddr| proxies.trusts(peer)),
        scheme,
    }
}
