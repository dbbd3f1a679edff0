//! Why a token is refused, in the words of an operator.
//!
//! Only the log gets them, and they never contain the token. The caller gets the [`AuthFailure`].

use std::fmt;

use crate::error::AuthFailure;

/// The most characters of a claim in a log line.
const MOST: usize = 200;

/// A fault of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// It is no JWT, or none of the keys fits its signature.
    Signature,
    /// It would be good, but its `exp` has passed so many seconds ago.
    Expired(i64),
    /// A claim is missing, or has a form that cannot be used.
    Form(&'static str),
    /// This claim (`nbf` or `iat`) is so many seconds ahead, more than JWT_LEEWAY.
    Early(&'static str, i64),
    /// Its `iss`, which is not JWT_ISSUER.
    Issuer(Option<String>),
    /// Its audiences, none of which is in JWT_AUDIENCE.
    Audience(Vec<String>),
    /// Its `sub` has to be an id of this server (JWT_SUBJECT=id), and is none.
    Subject,
    /// It was signed by this server, before JWT_SUBJECT=outside.
    Former,
    /// No account has its issuer and subject.
    UnknownIdentity,
    /// No account has the id in its `sub`.
    UnknownUser,
    /// It was ended: by a logout, by another password or role, or with the account.
    Ended,
}

impl TokenFault {
    /// The failure that the caller learns.
    #[must_use]
    pub fn failure(&self) -> AuthFailure {
        match self {
            Self::Expired(_) => AuthFailure::Expired,
            _ => AuthFailure::Invalid,
        }
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("it is no JWT, or signed with a key that is not ours"),
            Self::Expired(ago) => write!(f, "its exp was {ago} s ago"),
            Self::Form(claim) => write!(f, "its {claim} is missing, or cannot be read"),
            Self::Early(claim, ahead) => write!(
                f,
                "its {claim} is {ahead} s ahead of this machine's clock; set the clocks, or raise \
                 JWT_LEEWAY"
            ),
            Self::Issuer(None) => f.write_str("it has no iss, and JWT_ISSUER is set"),
            Self::Issuer(Some(issuer)) => write!(f, "its iss {} is not JWT_ISSUER", short(issuer)),
            Self::Audience(none) if none.is_empty() => {
                f.write_str("it has no aud, and JWT_AUDIENCE is set")
            }
            Self::Audience(audiences) => {
                write!(f, "its aud {} is not in JWT_AUDIENCE", short(&audiences.join(",")))
            }
            Self::Subject => f.write_str(
                "its sub is not an id of this server's users; JWT_SUBJECT=outside takes the \
                 subjects of another program",
            ),
            Self::Former => f.write_str(
                "it was signed by this server before JWT_SUBJECT=outside; sign in again",
            ),
            Self::UnknownIdentity => f.write_str(
                "no account has its issuer and subject; `hubcast user link` links one, and \
                 JWT_PROVISION=on makes one",
            ),
            Self::UnknownUser => f.write_str("no account has the id in its sub"),
            Self::Ended => f.write_str(
                "it was ended: by a logout, by another password or role, or with its account",
            ),
        }
    }
}

/// The text in quotes, with escapes, so that it cannot forge log lines.
fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(MOST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_in_the_log_is_short_and_cannot_forge_a_line() {
        let text = TokenFault::Issuer(Some(format!("a\n\"{}", "b".repeat(5000)))).to_string();
        assert!(text.starts_with("its iss \"a\\n\\\"bbb") && text.len() < 300, "{text}");
    }
}
