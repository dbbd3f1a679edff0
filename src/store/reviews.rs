//! Reviews: insert, list.

use diesel::{ExpressionMethods, NullableExpressionMethods, QueryDsl, QueryResult};

use crate::model::{ProductId, Review, ReviewId, Timestamp, User};
use crate::schema::{reviews, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A review to insert.
pub struct NewReview {
    pub product_id: ProductId,
    pub author: User,
    /// 1 to 5.
    pub rating: i64,
    pub comment: Option<String>,
}

/// A page of a product's reviews.
pub struct ReviewPage {
    pub product_id: ProductId,
    /// The page has only reviews written before this one.
    pub before: Option<ReviewId>,
    pub limit: i64,
}

/// Adds a review. A missing product is a [missing reference](crate::store::is_missing_reference).
pub async fn insert(tx: &mut Tx, new: NewReview) -> QueryResult<Review> {
    let created_at = Timestamp::now();
    let NewReview { product_id, author, rating, comment } = new;
    let row = (
        reviews::product_id.eq(product_id),
        reviews::user_id.eq(author.id),
        reviews::rating.eq(rating),
        reviews::comment.eq(comment.as_deref()),
        reviews::created_at.eq(created_at),
    );
    let id = query!(tx.conn(), |c| diesel::insert_into(reviews::table)
        .values(row)
        .returning(reviews::id)
        .get_result(c))?;
    Ok(Review {
        id,
        product_id,
        user_id: Some(author.id),
        user_name: Some(author.name),
        rating,
        comment,
        created_at,
    })
}

/// A page of a product's reviews with their authors' names, newest first, in one query.
pub async fn list(conn: &mut Conn, page: &ReviewPage) -> QueryResult<Vec<Review>> {
    let older = reviews::id.lt(page.before.unwrap_or(ReviewId(i64::MAX)));
    let columns = (
        reviews::id,
        reviews::product_id,
        reviews::user_id,
        users::name.nullable(),
        reviews::rating,
        reviews::comment,
        reviews::created_at,
    );
    query!(conn, |c| {
        reviews::table
            .left_join(users::table)
            .filter(reviews::product_id.eq(page.product_id))
            .filter(older)
            .order(reviews::id.desc())
            .limit(page.limit)
            .select(columns)
            .load(c)
    })
}
