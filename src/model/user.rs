//! Users, as the outside may see them: the password's hash is not part of this type, so it cannot
//! leak through it.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, UserId};
use crate::schema::users;

words!(
    /// What a user may do. A token's `role` claim decides; none is `customer`.
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
    /// As it was given; compared without regard to case.
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
