//! JWKS_URL and the issuer as an address: where the keys of another program are fetched from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ureq::http::Uri;

/// The most addresses in JWKS_URL.
const MAX_URLS: usize = 8;

/// The addresses of JWKS_URL; none if it is unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyUrls(Vec<KeyUrl>);

impl KeyUrls {
    #[must_use]
    pub fn as_slice(&self) -> &[KeyUrl] {
        &self.0
    }
}

impl FromStr for KeyUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let urls = super::super::parse::list(text).map(KeyUrl::from_str);
        let urls = urls.collect::<Result<Vec<KeyUrl>, String>>()?;
        if urls.len() > MAX_URLS {
            return Err(format!("has more than {MAX_URLS} addresses"));
        }
        Ok(Self(urls))
    }
}

/// An https address, or an http address of this machine itself, where nobody is in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUrl(Uri);

impl KeyUrl {
    /// The address of an issuer's configuration (OpenID Connect Discovery 1.0, 4.1).
    ///
    /// # Errors
    /// The issuer is no address that keys may be fetched from.
    pub fn of_configuration(issuer: &str) -> Result<Self, String> {
        Self::from_str(issuer)?;
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')).parse()
    }

    /// Whether the address is http.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text can hold a password, so it is not repeated.
        let bad = |what: &str| {
            format!("{what}; write https://HOST/PATH, or http:// for this machine's own addresses")
        };
        let uri: Uri = text.parse().map_err(|_| bad("is not an address"))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| bad("is not an address with a host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(bad("holds a user or a password, which are not sent"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_this_machine(host) => Ok(Self(uri)),
            Some("http") => {
                Err(bad("is http, so anyone on the way could put in keys of their own"))
            }
            _ => Err(bad("is not https")),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://shop.test/keys.json",
            "https://shop.test:8443/a?b=c",
            "https://[2001:db8::1]/",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
            "http://127.9.9.9/keys",
            "http://[::1]:8080/keys",
        ] {
            assert_eq!(good.parse::<KeyUrl>().expect(good).to_string(), good);
        }
        let begins = [
            ("", "is not an address; "),
            ("keys.json", "is not https; "),
            ("/etc/keys.json", "is not an address with a host; "),
            ("shop.test/keys", "is not an address; "),
            ("https://", "is not an address; "),
            ("file:///etc/keys.json", "is not an address"),
            ("ftp://shop.test/keys", "is not https; "),
            ("http://shop.test/keys", "is http, so anyone on the way "),
            ("http://127.0.0.1.shop.test/keys", "is http, so anyone on the way "),
            ("http://localhost.shop.test/keys", "is http, so anyone on the way "),
            ("http://10.0.0.1/keys", "is http, so anyone on the way "),
            ("http://0.0.0.0/keys", "is http, so anyone on the way "),
            ("https://me:hush@shop.test/keys", "holds a user or a password, "),
            ("http://localhost@shop.test/keys", "holds a user or a password, "),
        ];
        for (bad, begin) in begins {
            let refused = bad.parse::<KeyUrl>().expect_err(bad);
            assert!(refused.starts_with(begin) && !refused.contains("hush"), "{bad}: {refused}");
        }
    }

    #[test]
    fn several_addresses_are_a_comma_list() {
        let urls: KeyUrls = "https://a.test/x, https://b.test/y,".parse().expect("two");
        let texts: Vec<String> = urls.as_slice().iter().map(KeyUrl::to_string).collect();
        assert_eq!(texts, ["https://a.test/x", "https://b.test/y"]);
        assert_eq!("".parse(), Ok(KeyUrls::default()));
        let many = "https://a.test/x,".repeat(9);
        assert_eq!(many.parse::<KeyUrls>(), Err("has more than 8 addresses".into()));
    }

    #[test]
    fn the_configuration_is_below_the_issuer_with_or_without_a_slash() {
        for (issuer, url) in [
            ("https://a.test", "https://a.test/.well-known/openid-configuration"),
            ("https://a.test/", "https://a.test/.well-known/openid-configuration"),
            (
                "https://a.test/realms/shop",
                "https://a.test/realms/shop/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(KeyUrl::of_configuration(issuer).expect("good").to_string(), url);
        }
        assert!(KeyUrl::of_configuration("them").is_err());
    }
}
