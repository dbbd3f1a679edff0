//! What proxies say about the client of a request: `Forwarded` (RFC 7239), or `X-Forwarded-For`
//! with `X-Forwarded-Proto`. Pure functions.
//!
//! Each proxy appends on the right an element about the peer that it was called by. So the chain is
//! walked from the right, beginning with the connection's own peer, and as long as the elements are
//! those of trusted proxies. What lies further left was forged by the client, or could have been.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_http::header::{self, HeaderMap};

/// The client's side of the chain of trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientSide<'a> {
    /// The client's address: the first one, from the right, that is no trusted proxy's.
    pub(super) address: IpAddr,
    /// `http` or `https`, by which the client called the first trusted proxy.
    pub(super) scheme: Option<&'static str>,
    /// The host, perhaps with a port, that the client called. Only `Forwarded` names it.
    pub(super) host: Option<Cow<'a, str>>,
}

impl<'a> ClientSide<'a> {
    /// Reads the headers. They count for nothing unless the peer is trusted.
    ///
    /// A proxy that makes one kind of header passes the other on as the client sent it, and a
    /// request does not show which kind is whose. So if there are both, only what both say alike
    /// counts.
    pub(super) fn read(
        trusts: &dyn Fn(IpAddr) -> bool,
        peer: IpAddr,
        headers: &'a HeaderMap,
    ) -> Self {
        let peer = peer.to_canonical();
        if !trusts(peer) {
            return Self::of(peer);
        }
        match (Self::by_standard(trusts, peer, headers), Self::by_custom(trusts, peer, headers)) {
            (None, None) => Self::of(peer),
            (Some(side), None) | (None, Some(side)) => side,
            (Some(standard), Some(custom)) => Self {
                address: if standard.address == custom.address { custom.address } else { peer },
                scheme: standard.scheme.filter(|_| standard.scheme == custom.scheme),
                host: None,
            },
        }
    }

    fn of(address: IpAddr) -> Self {
        Self { address, scheme: None, host: None }
    }

    /// Reads `Forwarded`. A line that violates the syntax ends the walk, because nobody can tell
    /// where the elements in it begin.
    fn by_standard(
        trusts: &dyn Fn(IpAddr) -> bool,
        peer: IpAddr,
        headers: &'a HeaderMap,
    ) -> Option<Self> {
        if !headers.contains_key(header::FORWARDED) {
            return None;
        }
        let mut side = Self::of(peer);
        for line in headers.get_all(header::FORWARDED).rev() {
            let Some(elements) = line.to_str().ok().and_then(elements) else { break };
            for element in elements.into_iter().rev() {
                if !trusts(side.address) {
                    return Some(side);
                }
                side.scheme = element.scheme.as_deref().and_then(scheme).or(side.scheme);
                side.host = element.host.or(side.host);
                let Some(address) = element.client.as_deref().and_then(address) else {
                    return Some(side);
                };
                side.address = address;
            }
        }
        Some(side)
    }

    /// Reads `X-Forwarded-For` and `X-Forwarded-Proto`. A chain of proxies either makes lists of
    /// equal length, or one of them sets a single scheme for all.
    fn by_custom(
        trusts: &dyn Fn(IpAddr) -> bool,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let (addresses, schemes) = ("x-forwarded-for", "x-forwarded-proto");
        if !headers.contains_key(addresses) && !headers.contains_key(schemes) {
            return None;
        }
        let mut side = Self::of(peer);
        let mut hops = 0;
        for entry in entries(headers, addresses) {
            if !trusts(side.address) {
                break;
            }
            hops += 1;
            let Some(address) = entry.and_then(address) else { break };
            side.address = address;
        }
        let said = entries(headers, schemes).take(hops.max(1)).last();
        side.scheme = said.flatten().and_then(scheme);
        Some(side)
    }
}

/// The entries of a list header over all its lines, from the right. `None` is one that is no text.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    headers
        .get_all(name)
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| std::str::from_utf8(entry).ok().map(str::trim))
}

/// Reads an address, to which some proxies add a port. IPv6 is in brackets then.
fn address(node: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (port.is_empty() || port.starts_with(':')).then(|| address.parse().ok())?
    } else {
        node.parse().ok().or_else(|| {
            node.rsplit_once(':').and_then(|(address, _)| address.parse().ok().map(IpAddr::V4))
        })
    };
    address.map(|address: IpAddr| address.to_canonical())
}

/// The scheme of the page: some proxies name the WebSocket's.
fn scheme(text: &str) -> Option<&'static str> {
    let is = |names: [&str; 2]| names.into_iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["https", "wss"]) {
        Some("https")
    } else if is(["http", "ws"]) {
        Some("http")
    } else {
        None
    }
}

/// One proxy's element of `Forwarded`.
#[derive(Default)]
struct Element<'a> {
    client: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    scheme: Option<Cow<'a, str>>,
}

/// Reads a line of `Forwarded` (RFC 7239, section 4). Spaces between its parts are accepted, and
/// characters that should have been quoted.
fn elements(mut rest: &str) -> Option<Vec<Element<'_>>> {
    let mut all = Vec::new();
    loop {
        let (element, after) = element(rest)?;
        all.extend(element);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(all),
            None => return None,
        }
    }
}

/// Reads up to the next comma. An empty element is `None` (RFC 9110, section 5.6.1).
fn element(mut rest: &str) -> Option<(Option<Element<'_>>, &str)> {
    let (mut element, mut is_empty) = (Element::default(), true);
    loop {
        rest = rest.trim_start();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let (name, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        if !name.is_empty() {
            let (value, after) = value(after.strip_prefix('=')?)?;
            let place = match name.to_ascii_lowercase().as_str() {
                "for" => Some(&mut element.client),
                "host" => Some(&mut element.host),
                "proto" => Some(&mut element.scheme),
                _ => None,
            };
            // Each name may be there once.
            if place.is_some_and(|place| place.replace(value).is_some()) {
                return None;
            }
            is_empty = false;
            rest = after.trim_start();
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None => return Some(((!is_empty).then_some(element), rest)),
        }
    }
}

/// Reads a value. Returns the rest too.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', '"', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((Cow::Borrowed(value), rest));
    };
    let mut unescaped = String::new();
    let mut rest = quoted;
    loop {
        let (plain, after) = rest.split_at(rest.find(['"', '\\'])?);
        if let Some(after) = after.strip_prefix('"') {
            let value =
                if unescaped.is_empty() { plain.into() } else { (unescaped + plain).into() };
            return Some((value, after));
        }
        unescaped.push_str(plain);
        let mut after = after.chars();
        after.next();
        unescaped.push(after.next()?);
        rest = after.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: [&str; 3] = ["127.0.0.1", "10.0.0.1", "fd00::1"];

    /// The headers of a request, as `name: value` lines.
    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                header::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    /// What these headers say from a peer, as `address scheme host`.
    fn read(peer: &str, lines: &[&str]) -> String {
        let trusts = |address: IpAddr| TRUSTED.contains(&address.to_string().as_str());
        let headers = headers(lines);
        let side = ClientSide::read(&trusts, peer.parse().unwrap(), &headers);
        let (scheme, host) = (side.scheme.unwrap_or("-"), side.host.as_deref().unwrap_or("-"));
        format!("{} {scheme} {host}", side.address)
    }

    #[test]
    fn the_clients_side_of_the_trusted_chain_counts() {
        let (by, from, proto) = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto");
        let line = |name: &str, value: &str| format!("{name}: {value}");
        for (lines, expected) in [
            (vec![], "127.0.0.1 - -"),
            // The schemes of WebSockets: Traefik, http-proxy.
            (vec![line(proto, "wss")], "127.0.0.1 https -"),
            (vec![line(proto, "ws")], "127.0.0.1 http -"),
            (vec![line(proto, "HTTPS")], "127.0.0.1 https -"),
            (vec![line(proto, "h2")], "127.0.0.1 - -"),
            // Addresses with ports, in brackets, mapped.
            (vec![line(from, "9.9.9.9:80")], "9.9.9.9 - -"),
            (vec![line(from, "[2001:db8::1]:443")], "2001:db8::1 - -"),
            (vec![line(from, "[2001:db8::1]")], "2001:db8::1 - -"),
            (vec![line(from, "2001:db8::1")], "2001:db8::1 - -"),
            (vec![line(from, "::ffff:9.9.9.9")], "9.9.9.9 - -"),
            // Several proxies: in one line, in several, and what the client forged before.
            (
                vec![line(from, "6.6.6.6, 9.9.9.9,10.0.0.1"), line(proto, "http, https,http")],
                "9.9.9.9 https -",
            ),
            (
                vec![
                    line(from, "6.6.6.6"),
                    line(from, "9.9.9.9"),
                    line(from, "10.0.0.1"),
                    line(proto, "https"),
                    line(proto, "http"),
                    line(proto, "http"),
                ],
                "9.9.9.9 http -",
            ),
            // One of several proxies sets the scheme for all.
            (vec![line(from, "9.9.9.9, 10.0.0.1"), line(proto, "https")], "9.9.9.9 https -"),
            // The client's own word, before that of the only proxy.
            (vec![line(from, "6.6.6.6, 9.9.9.9"), line(proto, "https, http")], "9.9.9.9 http -"),
            (vec![line(proto, "https, http")], "127.0.0.1 http -"),
            // An entry that is no address ends the walk.
            (vec![line(from, "6.6.6.6, unknown"), line(proto, "https")], "127.0.0.1 https -"),
            (vec![line(from, "6.6.6.6"), line(from, "é, 9.9.9.9")], "9.9.9.9 - -"),
            (vec![line(from, "6.6.6.6, é")], "127.0.0.1 - -"),
            // Not ours to believe.
            (vec!["X-Forwarded-Host: evil.test".into()], "127.0.0.1 - -"),
            // The standard.
            (vec![line(by, "for=9.9.9.9;proto=https;host=a.test")], "9.9.9.9 https a.test"),
            (
                vec![line(by, r#"For="[2001:db8::1]:4711"; PROTO=WSS ;hOst="a.test:8443""#)],
                "2001:db8::1 https a.test:8443",
            ),
            (vec![line(by, r#"for="9.9.9.9:80";by=_me;ext="a,b;c=\"d\"""#)], "9.9.9.9 - -"),
            (vec![line(by, r#"for="\9.9.9.\9""#)], "9.9.9.9 - -"),
            (vec![line(by, "for=9.9.9.9:_port")], "9.9.9.9 - -"),
            (vec![line(by, "for=_hidden;proto=https;host=a.test")], "127.0.0.1 https a.test"),
            (vec![line(by, "for=unknown")], "127.0.0.1 - -"),
            (vec![line(by, "proto=https")], "127.0.0.1 https -"),
            (
                vec![line(
                    by,
                    "for=6.6.6.6;host=evil.test;proto=http, for=9.9.9.9;host=a.test;proto=https, \
                     for=10.0.0.1;host=inner;proto=http",
                )],
                "9.9.9.9 https a.test",
            ),
            (
                vec![line(by, "for=9.9.9.9;proto=https"), line(by, ", for=10.0.0.1;host=inner,")],
                "9.9.9.9 https inner",
            ),
            // A line that cannot be read ends the walk, and so does what stands left of it.
            (vec![line(by, r#"for=6.6.6.6;host="evil.test"#)], "127.0.0.1 - -"),
            (vec![line(by, r#"for=6.6.6.6;x="y, for=9.9.9.9;host="a.test""#)], "127.0.0.1 - -"),
            (vec![line(by, "for=6.6.6.6;for=9.9.9.9")], "127.0.0.1 - -"),
            (vec![line(by, "for 9.9.9.9")], "127.0.0.1 - -"),
            (vec![line(by, r#"for="x"#), line(by, "for=9.9.9.9")], "9.9.9.9 - -"),
            // Both kinds: only what both say.
            (
                vec![
                    line(by, "for=9.9.9.9;proto=https;host=a.test"),
                    line(from, "9.9.9.9"),
                    line(proto, "https"),
                ],
                "9.9.9.9 https -",
            ),
            (
                vec![line(by, "for=6.6.6.6;proto=https;host=evil.test"), line(from, "9.9.9.9")],
                "127.0.0.1 - -",
            ),
            (vec![line(by, "for=9.9.9.9"), line(from, "6.6.6.6")], "127.0.0.1 - -"),
            (vec![line(by, r#"for=""#), line(from, "6.6.6.6")], "127.0.0.1 - -"),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(read("127.0.0.1", &lines), expected, "{lines:?}");
            assert_eq!(read("::ffff:127.0.0.1", &lines), expected, "{lines:?}");
            assert_eq!(read("8.8.8.8", &lines), "8.8.8.8 - -", "{lines:?}");
        }
    }
}
