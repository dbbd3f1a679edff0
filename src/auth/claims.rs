//! The claims of a token: those that this server signs, and those that it reads from any issuer.
//!
//! Reading is lenient: a claim that nobody needs may have any form. `rules.rs` decides what is
//! needed.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{IssuedAt, TokenFault};
use crate::model::{ExternalIdentity, ExternalUser, Names, Timestamp};

/// The last second of the year 9999. RFC 3339 has no later year, so later times are cut to this
/// one.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of a token that this server signs.
pub(super) struct SignedClaims<'a> {
    pub(super) sub: String,
    /// The claim of the role (JWT_ROLE_CLAIM), and the word in it.
    pub(super) role: (&'a str, &'a str),
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    /// The number of times that all tokens of the user have been ended.
    pub(super) generation: i64,
    pub(super) iss: Option<&'a str>,
    pub(super) aud: Option<&'a str>,
}

impl SignedClaims<'_> {
    /// The JSON object. The role stands in one member, whose name is the whole of JWT_ROLE_CLAIM,
    /// unless that is the name of another claim here: the account's role then counts.
    pub(super) fn to_json(&self) -> Value {
        let mut claims = json!({
            "sub": self.sub, "iat": self.iat, "exp": self.exp, "jti": self.jti,
            "generation": self.generation,
        });
        let optional = [("iss", self.iss), ("aud", self.aud), (self.role.0, Some(self.role.1))];
        if let Value::Object(members) = &mut claims {
            for (name, value) in optional {
                if let (Some(value), false) = (value, members.contains_key(name)) {
                    members.insert(name.to_owned(), value.into());
                }
            }
        }
        claims
    }
}

/// The claims of a token from any issuer, whose signature is good.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct ReceivedClaims(Map<String, Value>);

impl ReceivedClaims {
    /// The claim, unless it is null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The subject. RFC 7519 has text only; a whole number is accepted too.
    pub(super) fn subject(&self) -> Result<String, TokenFault> {
        match self.get("sub") {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
            _ => Err(TokenFault::Form("sub")),
        }
    }

    /// A time of the token, in seconds since 1970.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<f64>, TokenFault> {
        let number = |value: &Value| value.as_f64().ok_or(TokenFault::Form(name));
        self.get(name).map(number).transpose()
    }

    pub(super) fn expires_at(&self) -> Result<Timestamp, TokenFault> {
        let exp = self.seconds("exp")?.ok_or(TokenFault::Form("exp"))?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number between 0 and LAST_SECOND"
        )]
        let exp = exp.clamp(0.0, LAST_SECOND).floor() as i64;
        Timestamp::from_unix_seconds(exp).ok_or(TokenFault::Form("exp"))
    }

    /// The generation that a token of this server has, and a token of another program with its
    /// secret may have.
    pub(super) fn generation(&self) -> Result<Option<i64>, TokenFault> {
        let number = |value: &Value| value.as_i64().ok_or(TokenFault::Form("generation"));
        self.get("generation").map(number).transpose()
    }

    /// The earliest moment, by our clock, at which the token may have been issued: its issuer's
    /// clock may be ahead by `leeway` seconds.
    pub(super) fn time(&self, leeway: f64) -> Result<IssuedAt, TokenFault> {
        let iat = self.seconds("iat")?.unwrap_or_default() - leeway;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number between 0 and LAST_SECOND, in milliseconds"
        )]
        let time = (iat.clamp(0.0, LAST_SECOND) * 1000.0).floor() as i64;
        Ok(IssuedAt::Time(time))
    }

    /// The value at `path`: the member of that name, or else, at the first dot before which there
    /// is an object, the rest of the path in that object. So a name may have dots itself
    /// (`https://shop.test/roles`). Null counts as absent.
    pub(super) fn at_path(&self, mut path: &str) -> Option<&Value> {
        let mut members = &self.0;
        loop {
            if let Some(value) = members.get(path).filter(|value| !value.is_null()) {
                return Some(value);
            }
            (members, path) = path.match_indices('.').find_map(|(dot, _)| {
                members.get(&path[..dot])?.as_object().map(|inner| (inner, &path[dot + 1..]))
            })?;
        }
    }

    /// The audiences of the token. Access tokens of Cognito have `client_id` instead of `aud`.
    pub(super) fn audiences(&self) -> impl Iterator<Item = &str> {
        let value = self.get("aud").or_else(|| self.get("client_id"));
        value.into_iter().flat_map(texts)
    }

    /// The user in the words of another issuer. A name or an e-mail that is not text is ignored,
    /// and so is an e-mail that the token calls unverified.
    pub(super) fn outsider(&self) -> Result<ExternalUser, TokenFault> {
        let issuer = match self.get("iss") {
            None => "",
            Some(issuer) => issuer.as_str().ok_or(TokenFault::Form("iss"))?,
        };
        let id = ExternalIdentity::new(issuer.to_owned(), self.subject()?)
            .ok_or(TokenFault::Form("sub"))?;
        let is_false = |verified: &Value| *verified == Value::Bool(false) || verified == "false";
        let verified = ["email_verified", "user_metadata.email_verified"];
        let is_unverified = verified.iter().any(|claim| self.at_path(claim).is_some_and(is_false));
        let names = Names {
            name: self.text("name"),
            preferred_username: self.text("preferred_username"),
            full_name: self.at_path("user_metadata.full_name").and_then(Value::as_str),
            given_name: self.text("given_name"),
            family_name: self.text("family_name"),
        };
        let email = self.text("email").filter(|_| !is_unverified);
        Ok(ExternalUser::new(id, names, email))
    }
}

/// A text alone, or the texts of a list.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_names_with_dots_before_it_goes_into_objects() {
        let claims: ReceivedClaims = serde_json::from_value(json!({
            "role": "a", "gone": null, "https://shop.test/roles": ["b"],
            "realm_access": {"roles": ["c"]},
            "resource_access": {"shop.web": {"roles": "d"}},
            "https://hasura.io/jwt/claims": {"x-hasura-default-role": "e"},
            "a": {"b": {"c": "f"}}, "a.b": "g", "text": "h",
        }))
        .expect("claims");
        for (path, value) in [
            ("role", json!("a")),
            ("https://shop.test/roles", json!(["b"])),
            ("realm_access.roles", json!(["c"])),
            ("resource_access.shop.web.roles", json!("d")),
            ("https://hasura.io/jwt/claims.x-hasura-default-role", json!("e")),
            ("a.b", json!("g")),
            ("a.b.c", json!("f")),
        ] {
            assert_eq!(claims.at_path(path), Some(&value), "{path}");
        }
        for path in ["gone", "none", "", ".", "a.", ".a", "text.h", "realm_access.role", "role.a"] {
            assert_eq!(claims.at_path(path), None, "{path}");
        }
    }
}
