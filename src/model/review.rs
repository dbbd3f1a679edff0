//! Reviews of products.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ProductId, ReviewId, Timestamp, UserId};

/// A review. camelCase on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    pub id: ReviewId,
    pub product_id: ProductId,
    /// Null if that account was removed; then the name is null too.
    pub user_id: Option<UserId>,
    pub user_name: Option<String>,
    /// 1 to 5.
    pub rating: i64,
    pub comment: Option<String>,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_written_in_camel_case() {
        let review = Review {
            id: ReviewId(4),
            product_id: ProductId(3),
            user_id: Some(UserId(7)),
            user_name: Some("Ann".into()),
            rating: 5,
            comment: None,
            created_at: Timestamp::from_unix_seconds(0).expect("the epoch is a time"),
        };
        assert_eq!(
            serde_json::to_string(&review).ok().as_deref(),
            Some(concat!(
                r#"{"id":4,"productId":3,"userId":7,"userName":"Ann","rating":5,"comment":null,"#,
                r#""createdAt":"1970-01-01T00:00:00.000Z"}"#
            ))
        );
    }
}
