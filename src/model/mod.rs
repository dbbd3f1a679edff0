//! Data and pure rules: ids, money, time, one file for each kind of thing, and the reading of
//! bodies and payloads ([`fields`]).
//!
//! Every module of a higher rank uses this one. It knows no query, no transport and no settings; of
//! the database it knows only the shape of the tables ([`crate::schema`]).

/// Declares an enum of words: text in the database and on the wire, parsed from exactly these
/// words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[derive(schemars::JsonSchema)]
        #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub enum $name {
            $(#[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the database and on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::model::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(crate::model::UnknownWord) }
            }
        }

        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, DB>,
            ) -> diesel::serialize::Result {
                self.as_str().to_sql(out)
            }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                Ok(String::from_sql(bytes)?.parse()?)
            }
        }
    };
}

mod conversation;
mod email;
mod external;
pub mod fields;
mod id;
mod invitation;
mod message;
mod money;
pub mod name;
pub mod name_looks;
mod notification;
mod order;
mod payment;
mod product;
mod project;
mod review;
mod time;
mod user;

pub use conversation::{
    Conversation, ConversationDetail, ConversationSummary, ConversationWithMembers, ReadMark,
};
pub use external::{ExternalIdentity, ExternalUser, Names};
pub use id::{
    BlockId, BroadcastId, ConversationId, Epoch, EventId, IdFault, InvitationId, LogPosition,
    MessageId, NotificationId, OrderId, PaymentId, ProductId, ProjectId, ReviewId, StageId, UserId,
};
pub use invitation::{Added, Block, Invitation, InvitationKind, InvitedBy, InvitedUser};
pub use message::Message;
pub use money::{Money, MoneyFault};
pub use notification::{JsonObject, Notice, Notification, NotificationType};
pub use order::{Order, OrderDetail, OrderItem, OrderStatus, WithItems};
pub use payment::Payment;
pub use product::{Product, WaitlistEntry};
pub use project::{Member, Project, ProjectDetail, Stage};
pub use review::Review;
pub use time::Timestamp;
pub use user::{Role, User};

/// The fault of a text that is no value of the enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord;

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not one of the known words")
    }
}

impl std::error::Error for UnknownWord {}
