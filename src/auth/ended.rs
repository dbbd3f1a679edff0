//! Ends of tokens ahead of their time, the pure part: which tokens an end is about.

use sha2::{Digest, Sha256};

use super::Token;
use crate::model::Timestamp;

/// Tells one token from all others: the SHA-256 of what is signed (`header.payload`). The signature
/// does not count: its last character has bits that mean nothing, so one token can be written in
/// more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenId(pub [u8; 32]);

impl TokenId {
    /// Of who has come without a token, and is believed.
    pub const NONE: Self = Self([0; 32]);

    /// Of a token whose signature is good.
    pub(super) fn of(token: &str) -> Self {
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        Self(Sha256::digest(signed).into())
    }
}

/// When a token was made, in the words that it has for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issue {
    /// Ours: when its user's tokens had that generation.
    Generation(i64),
    /// Another program's that holds the key, ours or an outside one: its `iat`, in milliseconds
    /// since 1970; with none, at the beginning.
    At(i64),
}

impl Issue {
    /// Whether it was made before all of its user's tokens ended at `at`, from when on they have
    /// that generation.
    #[must_use]
    pub fn is_before(self, generation: i64, at: Timestamp) -> bool {
        match self {
            Self::Generation(own) => own < generation,
            Self::At(made) => made <= at.unix_millis(),
        }
    }
}

/// Tokens of one user that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// This one.
    One(TokenId),
    /// All of an older generation, and of another program's all that were not made later than `at`.
    Before { generation: i64, at: Timestamp },
    /// All: the user is gone.
    All,
}

impl Ended {
    /// Whether it is about this token, which is that user's.
    #[must_use]
    pub fn ends(&self, token: &Token) -> bool {
        match self {
            Self::One(id) => token.id == *id,
            Self::Before { generation, at } => token.issue.is_before(*generation, *at),
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;
    use crate::model::{Role, UserId};

    #[test]
    fn an_end_is_about_what_was_made_before_it() {
        let at: Timestamp = "2026-01-02T03:04:05.500Z".parse().expect("a time");
        let second = at.unix_seconds() * 1000;
        let token = |issue| Token {
            identity: Identity { user: UserId(1), role: Role::Customer, expires_at: at },
            id: TokenId([1; 32]),
            issue,
        };
        let ended = Ended::Before { generation: 3, at };
        let cases = [
            (Issue::Generation(2), true),
            (Issue::Generation(3), false),
            (Issue::At(0), true),
            // Within its second nobody can tell; the next one is later.
            (Issue::At(second), true),
            (Issue::At(second + 1000), false),
        ];
        for (issue, ends) in cases {
            assert_eq!(ended.ends(&token(issue)), ends, "{issue:?}");
            assert!(Ended::All.ends(&token(issue)));
            assert!(
                Ended::One(TokenId([1; 32])).ends(&token(issue))
                    && !Ended::One(TokenId([2; 32])).ends(&token(issue))
            );
        }
    }

    #[test]
    fn a_token_is_the_same_however_its_signature_is_written() {
        assert_eq!(TokenId::of("head.body.sigA"), TokenId::of("head.body.sigB"));
        assert_ne!(TokenId::of("head.body.sig"), TokenId::of("head.body2.sig"));
    }
}
