//! Newtype ids, so that a user's id cannot be taken for an order's. Integers in JSON, BigInt in
//! both databases.

use std::fmt;
use std::str::FromStr;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::BigInt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fault of a text that is no id: ids are positive and consist of digits only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdFault;

impl fmt::Display for IdFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is a positive integer")
    }
}

impl std::error::Error for IdFault {}

/// Stricter than `i64::from_str`, which also takes `+5` and `-5`.
fn parse_digits(text: &str) -> Result<i64, IdFault> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(IdFault);
    }
    text.parse().ok().filter(|id| *id > 0).ok_or(IdFault)
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[derive(JsonSchema, AsExpression, FromSqlRow)]
        #[diesel(sql_type = BigInt)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(#[schemars(range(min = 1))] pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdFault;

            fn from_str(text: &str) -> Result<Self, IdFault> {
                parse_digits(text).map(Self)
            }
        }

        impl<DB> ToSql<BigInt, DB> for $name
        where
            DB: Backend,
            i64: ToSql<BigInt, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.0.to_sql(out)
            }
        }

        impl<DB> FromSql<BigInt, DB> for $name
        where
            DB: Backend,
            i64: FromSql<BigInt, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
                i64::from_sql(bytes).map(Self)
            }
        }
    };
}

id!(
    /// A user's id; the `sub` of hubcast's own tokens.
    UserId
);
id!(
    /// An order's id.
    OrderId
);
id!(
    /// A product's id.
    ProductId
);
id!(
    /// A review's id.
    ReviewId
);
id!(
    /// A payment's id.
    PaymentId
);
id!(
    /// A notification's id.
    NotificationId
);
id!(
    /// A project's id.
    ProjectId
);
id!(
    /// A stage's id.
    StageId
);
id!(
    /// A conversation's id.
    ConversationId
);
id!(
    /// An invitation's id.
    InvitationId
);
id!(
    /// A block's id: one user blocks another.
    BlockId
);
id!(
    /// A message's id.
    MessageId
);
id!(
    /// A broadcast's id: a notice to many users.
    BroadcastId
);
id!(
    /// A stored event's id: without gaps, in commit order.
    EventId
);
id!(
    /// The random number of a stretch of the log that was never undone.
    Epoch
);

/// A place in the log: epoch and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    pub epoch: Epoch,
    pub id: EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_digits_only() {
        assert_eq!("5".parse(), Ok(UserId(5)));
        assert_eq!("9223372036854775807".parse(), Ok(OrderId(i64::MAX)));
        for bad in ["", "0", "-5", "+5", " 5", "5.0", "5x", "9223372036854775808", "٥"] {
            assert_eq!(bad.parse::<UserId>(), Err(IdFault), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_a_bare_number_in_json() {
        assert_eq!(serde_json::to_string(&OrderId(7)).ok().as_deref(), Some("7"));
        assert_eq!(serde_json::from_str::<OrderId>("7").ok(), Some(OrderId(7)));
    }
}
