//! Users, as clients may see them: the type has no password hash, so it cannot leak one.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, UserId};
use crate::schema::users;

words!(
    /// A user's role. That of the token decides; if it has none, that of the account does.
    Role { Customer = "customer", Admin = "admin" }
);

/// A user without secrets. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = users)]
pub struct User {
    pub id: UserId,
    /// The address as the user wrote it; it is compared without regard to case.
    pub email: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words_in_lower_case() {
        assert_eq!("admin".parse(), Ok(Role::Admin));
        assert!("Admin".parse::<Role>().is_err());
        assert_eq!(serde_json::to_string(&Role::Customer).ok().as_deref(), Some("\"customer\""));
    }
}
