//! Reviews: writing and reading them. Every user may review a product, also more than once.

use super::notify::{self, NoticeReceivers};
use super::permissions::{Action, Relation, permit};
use super::products::not_found;
use super::quotas::Added;
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::{AuthFailure, Error};
use crate::model::fields::{self, Fields};
use crate::model::{Notice, ProductId, Review, ReviewId};
use crate::store::{Once, Tx, is_missing_reference, products, reviews as rows, users};

/// The best rating; the worst is 1.
const BEST: i64 = 5;
/// The most characters in a comment.
const MAX_COMMENT: usize = 4096;

/// A review to write.
pub struct NewReview {
    /// 1 to 5.
    pub rating: i64,
    pub comment: Option<String>,
}

impl NewReview {
    /// Reads `{rating, comment?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let rating = fields.required("rating", fields::integer(1, BEST));
        let comment = fields.optional("comment", fields::at_most(MAX_COMMENT));
        fields.finish(|| {
            Some(Self { rating: rating?, comment: comment?.filter(|comment| !comment.is_empty()) })
        })
    }
}

/// Writes a review, and notifies the admins, unless the caller has written many just now.
pub async fn create(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    new: NewReview,
    once: Once,
) -> Result<Review, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ReviewProduct, Relation::NONE)?;
    // The notice of an admin names the product, twice.
    services.publish_limits.admit(caller, 3, 0)?;
    let tells_admins = services.customer_limits.tells_admins(caller);
    let (identity, quotas) = (*caller, services.quotas);
    let write = async move |tx: &mut Tx| {
        quotas.check(tx, &identity, Added::Review).await?;
        let product = products::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let author = users::by_id(tx.conn(), identity.user)
            .await?
            .ok_or(Error::Unauthorized(AuthFailure::Invalid))?;
        let new =
            rows::NewReview { product_id: id, author, rating: new.rating, comment: new.comment };
        let review = rows::insert(tx, new).await;
        let review = review.map_err(|fault| {
            if is_missing_reference(&fault) { not_found(id) } else { fault.into() }
        })?;
        if tells_admins {
            let notice = Notice::new_review(&product, &review);
            notify::send(tx, vec![(NoticeReceivers::Admins, notice)]).await?;
        }
        Ok(review)
    };
    db.write(once, write).await
}

/// Lists a product's reviews: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    limit: u16,
    before: Option<ReviewId>,
) -> Result<Page<Review>, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ReadProduct, Relation::NONE)?;
    let asked =
        rows::ReviewPage { product_id: id, before, limit: Page::<Review>::query_limit(limit) };
    let found = db.read(async move |conn| {
        let reviews = rows::list(conn, &asked).await?;
        // A product with reviews exists.
        let exists = !reviews.is_empty() || products::by_id(conn, id).await?.is_some();
        Ok(exists.then_some(reviews))
    });
    found.await?.map(|reviews| Page::from_rows(reviews, limit)).ok_or_else(|| not_found(id))
}
