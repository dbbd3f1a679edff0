//! Fetches the documents of another issuer: its keys, and the configuration that names their
//! address.
//!
//! Only addresses of the settings and of the issuer's own configuration are asked, never one out of
//! a token. Time, size and redirects are bounded. The functions block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use serde::Deserialize;
use ureq::Agent;
use ureq::http::header::CACHE_CONTROL;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::{KeyUrl, MAX_KEYS_TEXT, PublicKeys};

/// The most time for a set of keys, together with the configuration before it.
const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: u32 = 3;
/// The time between two fetches, if the issuer does not say.
const USUAL_AGE: Duration = Duration::from_secs(5 * 60);
const MIN_AGE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Where a set of keys is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Keys(KeyUrl),
    /// The keys' address is in the configuration of this issuer.
    Issuer(String),
}

/// A set of keys, as it was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) url: KeyUrl,
    pub(super) bytes: Vec<u8>,
    pub(super) keys: PublicKeys,
    /// How long the issuer lets them be kept, within bounds.
    pub(super) age: Duration,
}

/// The members of a configuration that matter here (OpenID Connect Discovery 1.0, 3).
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys.
///
/// # Errors
/// The text names the address and the fault.
pub(super) fn keys(place: &Place) -> Result<Fetched, String> {
    let end = Instant::now() + MAX_TIME;
    let agent = agent();
    let url = match place {
        Place::Keys(url) => url.clone(),
        Place::Issuer(issuer) => discover(&agent, issuer, end)?,
    };
    let (bytes, age) = get(&agent, &url, end)?;
    let keys = PublicKeys::parse(&bytes).map_err(|why| format!("{url}: {why}"))?;
    Ok(Fetched { url, bytes, keys, age })
}

fn discover(agent: &Agent, issuer: &str, end: Instant) -> Result<KeyUrl, String> {
    let url = KeyUrl::of_configuration(issuer)?;
    let (bytes, _) = get(agent, &url, end)?;
    let configuration: Configuration = serde_json::from_slice(&bytes)
        .map_err(|_| format!("{url}: is no OpenID configuration with `issuer` and `jwks_uri`"))?;
    if configuration.issuer != issuer {
        return Err(format!(
            "{url}: is the configuration of {:?} and not of JWT_ISSUER, {issuer:?}",
            configuration.issuer
        ));
    }
    let keys: KeyUrl = configuration
        .jwks_uri
        .parse::<KeyUrl>()
        .map_err(|why| format!("{url}: its `jwks_uri` {why}"))?;
    if keys.is_plain() && !url.is_plain() {
        return Err(format!("{url}: its `jwks_uri` is not https"));
    }
    Ok(keys)
}

fn get(agent: &Agent, url: &KeyUrl, end: Instant) -> Result<(Vec<u8>, Duration), String> {
    let refused = |fault: ureq::Error| format!("{url}: {fault}");
    let left = end.saturating_duration_since(Instant::now());
    let request = agent
        .get(url.to_string())
        .header("Accept", "application/json")
        .config()
        .timeout_global(Some(left))
        .https_only(!url.is_plain())
        .max_redirects(if url.is_plain() { 0 } else { MAX_REDIRECTS });
    // What is on this machine is not behind a proxy.
    let request = if url.is_plain() { request.proxy(None) } else { request }.build();
    let mut response = request.call().map_err(refused)?;
    let age = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let age = age.and_then(max_age).map_or(USUAL_AGE, |age| age.clamp(MIN_AGE, MAX_AGE));
    let body = response.body_mut().with_config().limit(MAX_KEYS_TEXT).read_to_vec();
    Ok((body.map_err(refused)?, age))
}

/// A new agent each time: keys are fetched rarely, and so new roots of the system count too.
fn agent() -> Agent {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<Certificate<'static>> =
        roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    Agent::config_builder().tls_config(tls).user_agent("hubcast").build().into()
}

/// `max-age` of a Cache-Control header (RFC 9111, 5.2.2.1).
fn max_age(header: &str) -> Option<Duration> {
    header.split(',').find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        let seconds = name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"'))?;
        seconds.parse().ok().map(Duration::from_secs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read() {
        let seconds = |header| max_age(header).map(|age| age.as_secs());
        assert_eq!(seconds("public, max-age=21600, must-revalidate, no-transform"), Some(21_600));
        assert_eq!(seconds("Max-Age=\"60\""), Some(60));
        for none in ["", "no-store", "max-age", "max-age=", "max-age=x", "s-maxage=5"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
