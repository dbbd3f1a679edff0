//! CORS_ORIGINS: the origins whose pages may call.

use std::net::Ipv6Addr;
use std::str::FromStr;

use super::parse::list;

/// The origins whose pages may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// Only the server's own origin.
    #[default]
    Same,
    /// The server's own origin and these, in the form of an Origin header: lower case, without a
    /// default port and a trailing slash. The host may begin with `*.`, the port may be `*`.
    List(Vec<String>),
    /// Any origin, but without credentials.
    Any,
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries: Vec<&str> = list(text).collect();
        match entries[..] {
            [] => Ok(Self::Same),
            ["*"] => Ok(Self::Any),
            _ => entries.into_iter().map(origin).collect::<Result<_, _>>().map(Self::List),
        }
    }
}

fn origin(text: &str) -> Result<String, String> {
    let bad = || {
        format!(
            "{text:?} is not an origin; write it as https://shop.example, https://*.shop.example, \
             http://localhost:5173 or http://localhost:*, or null, or file://, or * alone"
        )
    };
    let lower = text.to_ascii_lowercase();
    if lower == "null" {
        return Ok(lower);
    }
    let (scheme, rest) = lower.split_once("://").ok_or_else(bad)?;
    let authority = rest.trim_end_matches('/');
    if scheme == "file" && authority.is_empty() {
        return Ok("file://".to_owned());
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (host, port) = split(authority);
    if !is_scheme || !is_host(host) {
        return Err(bad());
    }
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    match port {
        None => Ok(format!("{scheme}://{host}")),
        Some("*") => Ok(format!("{scheme}://{host}:*")),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if Some(port) == default => Ok(format!("{scheme}://{host}")),
            Ok(port) => Ok(format!("{scheme}://{host}:{port}")),
            Err(_) => Err(bad()),
        },
    }
}

/// The host and the port. An IPv6 address has colons of its own, within brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Checks a host name, which may begin with `*.`, or an address. A name in other letters is written
/// as browsers send it, as `xn--…`.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let name = host.strip_prefix("*.").unwrap_or(host);
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let list =
            |entries: &[&str]| Ok(Origins::List(entries.iter().map(ToString::to_string).collect()));
        assert_eq!("".parse(), Ok(Origins::Same));
        assert_eq!("*".parse(), Ok(Origins::Any));
        assert_eq!(
            "https://Shop.example:443/, http://localhost:5173, http://[::1]:80".parse(),
            list(&["https://shop.example", "http://localhost:5173", "http://[::1]"])
        );
        assert_eq!(
            "null,file:///,FILE://,capacitor://localhost,ionic://localhost".parse(),
            list(&["null", "file://", "file://", "capacitor://localhost", "ionic://localhost"])
        );
        assert_eq!(
            "https://*.Shop.example:443, https://*.shop.example:8443, http://localhost:*".parse(),
            list(&["https://*.shop.example", "https://*.shop.example:8443", "http://localhost:*"])
        );
        for text in [
            "shop.example",
            "https://a.example/path",
            "https://a.example?a=b",
            "https://u@a.example",
            "https://a.example:",
            "https://a.example:65536",
            "https://a.example:80a",
            "https://*",
            "https://*:*",
            "https://*.",
            "https://a.*.example",
            "https://*a.example",
            "https://a.*",
            "https://*.*.example",
            "https://a..example",
            "https://bücher.example",
            "*://a.example",
            "https://[::1",
            "https://a,*",
            "://x",
            "file://x/y",
            "nul",
        ] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }
}
