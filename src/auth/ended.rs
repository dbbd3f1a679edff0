//! Tokens that end before their `exp`: which tokens a logout or a changed account ends. Pure rules;
//! `store` keeps the ends.

use sha2::{Digest, Sha256};

use super::Token;
use crate::model::Timestamp;

/// Identifies one token: the SHA-256 of its signed part (`header.payload`). The signature is left
/// out, because its last character has unused bits: one token has more than one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenId(pub [u8; 32]);

impl TokenId {
    /// Stands for a socket without a token (ALLOW_QUERY_USER).
    pub const NONE: Self = Self([0; 32]);

    /// The id of a token with a valid signature.
    pub(super) fn of(token: &str) -> Self {
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        Self(Sha256::digest(signed).into())
    }
}

/// The time at which a token was issued, as far as the token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedAt {
    /// Issued by hubcast, when the tokens of its user had this generation.
    Generation(i64),
    /// Issued by another program: its `iat` less JWT_LEEWAY, in milliseconds since 1970, or 0
    /// without one.
    Time(i64),
}

impl IssuedAt {
    /// Returns true if the token was issued before all tokens of its user ended at `at`. Later
    /// tokens have `generation`.
    #[must_use]
    pub fn is_before(self, generation: i64, at: Timestamp) -> bool {
        match self {
            Self::Generation(own) => own < generation,
            Self::Time(made) => made <= at.unix_millis(),
        }
    }
}

/// The tokens of one user that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedTokens {
    /// One token, after a logout.
    One(TokenId),
    /// All of an older generation, and those of other programs that were not issued after `at`.
    Before { generation: i64, at: Timestamp },
    /// All, because the user was removed.
    All,
}

impl EndedTokens {
    /// Returns true if this token of the same user has ended.
    #[must_use]
    pub fn cover(&self, token: &Token) -> bool {
        match self {
            Self::One(id) => token.id == *id,
            Self::Before { generation, at } => token.issued_at.is_before(*generation, *at),
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
    fn tokens_that_were_issued_before_an_end_have_ended() {
        let at: Timestamp = "2026-01-02T03:04:05.500Z".parse().expect("a time");
        let second = at.unix_seconds() * 1000;
        let token = |issued_at| Token {
            identity: Identity { user: UserId(1), role: Role::Customer, expires_at: at },
            id: TokenId([1; 32]),
            issued_at,
        };
        let ended = EndedTokens::Before { generation: 3, at };
        let cases = [
            (IssuedAt::Generation(2), true),
            (IssuedAt::Generation(3), false),
            (IssuedAt::Time(0), true),
            // `iat` has whole seconds: the second of the end counts as before.
            (IssuedAt::Time(second), true),
            (IssuedAt::Time(second + 1000), false),
        ];
        for (issued_at, has_ended) in cases {
            assert_eq!(ended.cover(&token(issued_at)), has_ended, "{issued_at:?}");
            assert!(EndedTokens::All.cover(&token(issued_at)));
            assert!(
                EndedTokens::One(TokenId([1; 32])).cover(&token(issued_at))
                    && !EndedTokens::One(TokenId([2; 32])).cover(&token(issued_at))
            );
        }
    }

    #[test]
    fn the_id_does_not_depend_on_the_signature() {
        assert_eq!(TokenId::of("head.body.sigA"), TokenId::of("head.body.sigB"));
        assert_ne!(TokenId::of("head.body.sig"), TokenId::of("head.body2.sig"));
    }
}
