//! Where a token is looked for: one order for every door. Pure functions on what the request
//! brought.
//!
//! The first place that holds a token decides, good or bad; a later one does not save it. A place
//! that holds nothing (absent, null, the empty string) is passed over. One that holds something
//! unreadable counts as a bad token: it yields `UNREADABLE`, which no check accepts.

use serde_json::Value;

/// Stands for a token that is there but is no text.
const UNREADABLE: &str = "\u{fffd}";
/// The cookie that holds a token.
const COOKIE: &str = "Authentication";

/// What a request brought, place by place. What a door does not take, it leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Places<'a> {
    /// The handshake's `auth` (sockets only).
    pub auth: Option<&'a Value>,
    /// The Authorization header.
    pub authorization: Option<&'a [u8]>,
    /// The Cookie header.
    pub cookie: Option<&'a [u8]>,
    /// Whether the request comes from an origin whose cookies count.
    pub cookie_allowed: bool,
    /// The query string, without `?` (sockets only).
    pub query: Option<&'a str>,
}

impl<'a> Places<'a> {
    /// The token from the first place that has one.
    #[must_use]
    pub fn token(&self) -> Option<&'a str> {
        let cookie = self.cookie.filter(|_| self.cookie_allowed);
        self.auth
            .and_then(from_auth)
            .or_else(|| self.authorization.and_then(from_header))
            .or_else(|| cookie.and_then(from_cookies))
            .or_else(|| self.query.and_then(from_query))
    }
}

/// `token`, else `Authentication`, which is a string or `{value}`.
fn from_auth(auth: &Value) -> Option<&str> {
    let older = || {
        let value = auth.get("Authentication")?;
        if value.is_object() { text(value.get("value")?) } else { text(value) }
    };
    auth.get("token").and_then(text).or_else(older)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        _ => Some(UNREADABLE),
    }
}

/// `Bearer TOKEN` (RFC 6750, 2.1). Another scheme is no token of ours, and none at all.
fn from_header(value: &[u8]) -> Option<&str> {
    let (scheme, token) = value.trim_ascii().split_at_checked(b"Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") || !token.first().is_none_or(u8::is_ascii_whitespace)
    {
        return None;
    }
    readable(token.trim_ascii())
}

fn from_cookies(value: &[u8]) -> Option<&str> {
    let mut pairs = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let token = pairs.find_map(|pair| pair.strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="))?;
    readable(token.strip_prefix(b"\"").and_then(|token| token.strip_suffix(b"\"")).unwrap_or(token))
}

/// `token=…`. A token consists of characters that need no escape, so what is escaped is none.
fn from_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).filter(|token| !token.is_empty())
}

fn readable(token: &[u8]) -> Option<&str> {
    if token.is_empty() { None } else { Some(std::str::from_utf8(token).unwrap_or(UNREADABLE)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(auth: &Value) -> Places<'_> {
        Places {
            auth: Some(auth),
            authorization: Some(b"Bearer header"),
            cookie: Some(b"a=b; Authentication=cookie; c=d"),
            cookie_allowed: true,
            query: Some("EIO=4&token=query"),
        }
    }

    #[test]
    fn the_places_are_looked_at_in_order() {
        let both = json!({"token": "first", "Authentication": "second"});
        let mut places = all(&both);
        assert_eq!(places.token(), Some("first"));
        let older = json!({"Authentication": {"value": "second"}});
        places.auth = Some(&older);
        assert_eq!(places.token(), Some("second"));
        places.auth = None;
        assert_eq!(places.token(), Some("header"));
        places.authorization = None;
        assert_eq!(places.token(), Some("cookie"));
        places.cookie_allowed = false;
        assert_eq!(places.token(), Some("query"));
        places.query = None;
        assert_eq!(places.token(), None);
    }

    #[test]
    fn a_place_that_holds_nothing_is_passed_over() {
        for auth in [
            json!({}),
            json!(null),
            json!({"token": null}),
            json!({"token": ""}),
            json!({"Authentication": {}}),
            json!([1]),
        ] {
            assert_eq!(all(&auth).token(), Some("header"), "{auth}");
        }
        for header in [&b""[..], b"Bearer", b"bearer  ", b"Basic abc", b"Bearerabc"] {
            assert_eq!(Places { authorization: Some(header), ..Places::default() }.token(), None);
        }
        for cookie in [
            &b""[..],
            b"Authentication=",
            b"Authentication=\"\"",
            b"xAuthentication=a",
            b"authentication=a",
        ] {
            assert_eq!(
                Places { cookie: Some(cookie), cookie_allowed: true, ..Places::default() }.token(),
                None
            );
        }
        assert_eq!(Places { query: Some("token=&tokens=a"), ..Places::default() }.token(), None);
    }

    #[test]
    fn what_cannot_be_read_is_a_bad_token_and_not_saved_by_a_later_place() {
        for auth in [
            json!({"token": 5}),
            json!({"token": {"value": "x"}}),
            json!({"Authentication": {"value": 5}}),
            json!({"Authentication": []}),
        ] {
            assert_eq!(all(&auth).token(), Some(UNREADABLE), "{auth}");
        }
        assert_eq!(
            Places {
                authorization: Some(b"Bearer \xff"),
                query: Some("token=q"),
                ..Places::default()
            }
            .token(),
            Some(UNREADABLE)
        );
    }

    #[test]
    fn spellings_that_clients_use() {
        assert_eq!(
            Places { authorization: Some(b"bearer\tabc "), ..Places::default() }.token(),
            Some("abc")
        );
        assert_eq!(
            Places {
                cookie: Some(b"Authentication=\"abc\""),
                cookie_allowed: true,
                ..Places::default()
            }
            .token(),
            Some("abc")
        );
    }
}
