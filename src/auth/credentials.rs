//! Finds the token in a request, in the same order for REST and for sockets. Pure functions.
//!
//! A token may be given as `Bearer TOKEN` in each place, because many clients put the whole value
//! of the Authorization header there.
//!
//! The first place that holds a token decides, even if that token is invalid. An empty place
//! (absent, null, the empty string) is skipped. A place with something else than text counts as an
//! invalid token: the result is `UNREADABLE`, which no check accepts.

use serde_json::Value;

/// Stands for a token that is not text.
const UNREADABLE: &str = "\u{fffd}";
/// Name of the cookie for a token.
const COOKIE: &str = "Authentication";
/// The scheme of tokens (RFC 6750, 2.1).
const SCHEME: &str = "Bearer";

/// The places of a request, in their order. A caller leaves out those that it does not accept.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenSources<'a> {
    /// The handshake's `auth` (sockets only).
    pub auth: Option<&'a Value>,
    /// The Authorization header.
    pub authorization: Option<&'a [u8]>,
    /// The Cookie header.
    pub cookie: Option<&'a [u8]>,
    /// Whether the request comes from an origin whose cookies are accepted.
    pub cookie_allowed: bool,
    /// The query string, without `?` (sockets only).
    pub query: Option<&'a str>,
}

impl<'a> TokenSources<'a> {
    /// The token in the first place that holds one.
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

/// Reads `token`, or else `Authentication`, which is a string or `{value}`, or else
/// `authorization`, in any case as a header's name.
fn from_auth(auth: &Value) -> Option<&str> {
    let older = || {
        let value = auth.get("Authentication")?;
        if value.is_object() { text(value.get("value")?) } else { text(value) }
    };
    let header = || {
        let mut members = auth.as_object()?.iter();
        members.find_map(|(name, value)| {
            text(value).filter(|_| name.eq_ignore_ascii_case("authorization"))
        })
    };
    auth.get("token").and_then(text).or_else(older).or_else(header)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Null => None,
        Value::String(text) => not_empty(text),
        _ => Some(UNREADABLE),
    }
}

/// The token of `TOKEN` or `Bearer TOKEN`, unless it is empty.
fn not_empty(text: &str) -> Option<&str> {
    Some(without_scheme(text)).filter(|token| !token.is_empty())
}

/// Drops a leading `Bearer` in any case, and the space after it, which may be escaped (`%20`, `+`):
/// no token has such characters.
#[must_use]
pub fn without_scheme(text: &str) -> &str {
    let text = text.trim_ascii();
    let Some((scheme, rest)) = text.split_at_checked(SCHEME.len()) else { return text };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return text;
    }
    let token = rest.trim_start_matches("%20").trim_start_matches('+').trim_ascii_start();
    // Without a space it is no scheme, but the start of some word.
    if token.len() == rest.len() && !rest.is_empty() { text } else { token }
}

/// Reads `Bearer TOKEN` (RFC 6750, 2.1). A header of another scheme counts as empty.
fn from_header(value: &[u8]) -> Option<&str> {
    let (scheme, token) = value.trim_ascii().split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes())
        || !token.first().is_none_or(u8::is_ascii_whitespace)
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

/// Reads `token=…` without unescaping: a JWT has no character that needs an escape.
fn from_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).and_then(not_empty)
}

fn readable(token: &[u8]) -> Option<&str> {
    std::str::from_utf8(token).map_or(Some(UNREADABLE), not_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(auth: &Value) -> TokenSources<'_> {
        TokenSources {
            auth: Some(auth),
            authorization: Some(b"Bearer header"),
            cookie: Some(b"a=b; Authentication=cookie; c=d"),
            cookie_allowed: true,
            query: Some("EIO=4&token=query"),
        }
    }

    #[test]
    fn the_first_place_with_a_token_decides() {
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
    fn an_empty_place_is_skipped() {
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
            assert_eq!(
                TokenSources { authorization: Some(header), ..TokenSources::default() }.token(),
                None
            );
        }
        for cookie in [
            &b""[..],
            b"Authentication=",
            b"Authentication=\"\"",
            b"xAuthentication=a",
            b"authentication=a",
        ] {
            assert_eq!(
                TokenSources {
                    cookie: Some(cookie),
                    cookie_allowed: true,
                    ..TokenSources::default()
                }
                .token(),
                None
            );
        }
        assert_eq!(
            TokenSources { query: Some("token=&tokens=a"), ..TokenSources::default() }.token(),
            None
        );
    }

    #[test]
    fn an_unreadable_token_is_not_replaced_by_a_later_one() {
        for auth in [
            json!({"token": 5}),
            json!({"token": {"value": "x"}}),
            json!({"Authentication": {"value": 5}}),
            json!({"Authentication": []}),
        ] {
            assert_eq!(all(&auth).token(), Some(UNREADABLE), "{auth}");
        }
        assert_eq!(
            TokenSources {
                authorization: Some(b"Bearer \xff"),
                query: Some("token=q"),
                ..TokenSources::default()
            }
            .token(),
            Some(UNREADABLE)
        );
    }

    #[test]
    fn a_bearer_is_dropped_in_each_place() {
        let token = |sources: TokenSources<'_>| sources.token().map(str::to_owned);
        let none = TokenSources::default();
        for auth in [
            json!({"token": "Bearer abc"}),
            json!({"token": "bearer  abc "}),
            json!({"Authentication": "Bearer abc"}),
            json!({"Authentication": {"value": "Bearer abc"}}),
            json!({"authorization": "Bearer abc"}),
            json!({"Authorization": "abc"}),
            json!({"token": "", "authorization": "Bearer abc"}),
            json!({"token": "Bearer ", "Authentication": "Bearer", "authorization": "abc"}),
        ] {
            let auth = TokenSources { auth: Some(&auth), ..none };
            assert_eq!(token(auth).as_deref(), Some("abc"), "{auth:?}");
        }
        for cookie in ["Authentication=Bearer%20abc", "a=b; Authentication=\"Bearer abc\""] {
            let cookie = Some(cookie.as_bytes());
            let sources = TokenSources { cookie, cookie_allowed: true, ..none };
            assert_eq!(token(sources).as_deref(), Some("abc"));
        }
        for query in ["EIO=4&token=Bearer%20abc", "token=Bearer+abc&x=y"] {
            let sources = TokenSources { query: Some(query), ..none };
            assert_eq!(token(sources).as_deref(), Some("abc"));
        }
        let first = json!({"token": "a", "authorization": "b"});
        assert_eq!(token(TokenSources { auth: Some(&first), ..none }).as_deref(), Some("a"));
        let odd = json!({"authorization": 5});
        assert_eq!(token(TokenSources { auth: Some(&odd), ..none }).as_deref(), Some(UNREADABLE));
        let other = json!({"authorization": "Bearerabc"});
        let sources = TokenSources { auth: Some(&other), ..none };
        assert_eq!(token(sources).as_deref(), Some("Bearerabc"));
    }

    #[test]
    fn common_spellings_are_accepted() {
        assert_eq!(
            TokenSources { authorization: Some(b"bearer\tabc "), ..TokenSources::default() }
                .token(),
            Some("abc")
        );
        assert_eq!(
            TokenSources {
                cookie: Some(b"Authentication=\"abc\""),
                cookie_allowed: true,
                ..TokenSources::default()
            }
            .token(),
            Some("abc")
        );
    }
}
