//! Which requests come in although the server is full: the probes of an orchestrator, and those of
//! admins.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::http::header::{self, HeaderValue};

use crate::auth::credentials::TokenSources;
use crate::realtime::Urgent;
use crate::realtime::admission::Policy;
use crate::service::{Services, tokens};

const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The check of a request's path, and else of its token.
#[must_use]
pub fn urgent(services: &Arc<Services>, policy: &Policy) -> Urgent {
    let (services, policy) = (Arc::clone(services), policy.clone());
    Arc::new(move |head: &RequestHead| {
        if PROBES.contains(&head.uri.path()) {
            return Box::pin(ready(true));
        }
        let peer = head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let bytes = |name| head.headers.get(name).map(HeaderValue::as_bytes);
        let places = TokenSources {
            authorization: bytes(header::AUTHORIZATION),
            cookie: bytes(header::COOKIE),
            cookie_allowed: policy.origin(peer, &head.headers).cookies,
            query: head.uri.query(),
            ..TokenSources::default()
        };
        let token = places.token().map(str::to_owned);
        let services = Arc::clone(&services);
        Box::pin(async move {
            let token = tokens::check(&services, token.as_deref()).await;
            token.is_ok_and(|token| token.identity.is_admin())
        })
    })
}
