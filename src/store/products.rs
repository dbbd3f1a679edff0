//! Products: insert, touch, change, delete, by id, list; their stock.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Money, Product, ProductId, Timestamp, UserId};
use crate::schema::products;
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// The fields of a product that its owner sets.
pub struct ProductContent {
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub stock: i64,
    pub low_stock_threshold: i64,
}

/// A page of products.
pub struct ProductPage {
    /// The page has only products added before this one.
    pub before: Option<ProductId>,
    pub limit: i64,
}

/// Adds a product.
pub async fn insert(tx: &mut Tx, owner: UserId, new: ProductContent) -> QueryResult<Product> {
    let now = Timestamp::now();
    let row = (
        products::name.eq(new.name),
        products::description.eq(new.description),
        products::price_minor.eq(new.price),
        products::stock.eq(new.stock),
        products::low_stock_threshold.eq(new.low_stock_threshold),
        products::owner_id.eq(owner),
        products::created_at.eq(now),
        products::updated_at.eq(now),
    );
    query!(tx.conn(), |c| diesel::insert_into(products::table)
        .values(row)
        .returning(Product::as_returning())
        .get_result(c))
}

/// Sets `updated_at`, and returns the product. On PostgreSQL this also locks it until the commit:
/// decisions based on it stay valid.
pub async fn touch(tx: &mut Tx, id: ProductId) -> QueryResult<Option<Product>> {
    let now = Timestamp::now();
    query!(tx.conn(), |c| {
        diesel::update(products::table.find(id))
            .set(products::updated_at.eq(now))
            .returning(Product::as_returning())
            .get_result(c)
    })
    .optional()
}

/// Like [`touch`], for a write that does not change the product itself.
pub async fn lock(tx: &mut Tx, id: ProductId) -> QueryResult<Option<Product>> {
    match tx.conn() {
        // SQLite has one writer, so nothing else changes meanwhile, and it has no such clause.
        conn @ Conn::Sqlite(_) => by_id(conn, id).await,
        Conn::Postgres(c) => {
            let row = products::table.find(id).select(Product::as_select()).for_no_key_update();
            diesel_async::RunQueryDsl::first(row, c).await.optional()
        }
    }
}

/// Replaces the content of a product that was [touched](touch).
pub async fn change(tx: &mut Tx, id: ProductId, to: ProductContent) -> QueryResult<Product> {
    let row = (
        products::name.eq(to.name),
        products::description.eq(to.description),
        products::price_minor.eq(to.price),
        products::stock.eq(to.stock),
        products::low_stock_threshold.eq(to.low_stock_threshold),
    );
    query!(tx.conn(), |c| diesel::update(products::table.find(id))
        .set(row)
        .returning(Product::as_returning())
        .get_result(c))
}

/// Removes a product, with its reviews and its waitlist. Items of orders stay.
pub async fn delete(tx: &mut Tx, id: ProductId) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::delete(products::table.find(id)).execute(c)).map(|_| ())
}

/// Takes `quantity` from a product's stock. `None` if there is less, or no such product.
pub async fn take(tx: &mut Tx, id: ProductId, quantity: i64) -> QueryResult<Option<Product>> {
    let now = Timestamp::now();
    query!(tx.conn(), |c| {
        diesel::update(products::table.find(id).filter(products::stock.ge(quantity)))
            .set((products::stock.eq(products::stock - quantity), products::updated_at.eq(now)))
            .returning(Product::as_returning())
            .get_result(c)
    })
    .optional()
}

/// Returns `quantity` to a product's stock. `None` if the product has been removed.
pub async fn give_back(tx: &mut Tx, id: ProductId, quantity: i64) -> QueryResult<Option<Product>> {
    let now = Timestamp::now();
    query!(tx.conn(), |c| {
        diesel::update(products::table.find(id))
            .set((products::stock.eq(products::stock + quantity), products::updated_at.eq(now)))
            .returning(Product::as_returning())
            .get_result(c)
    })
    .optional()
}

/// The ids of existing products among these.
pub async fn existing(conn: &mut Conn, ids: &[ProductId]) -> QueryResult<Vec<ProductId>> {
    query!(conn, |c| products::table.filter(products::id.eq_any(ids)).select(products::id).load(c))
}

/// The product with that id.
pub async fn by_id(conn: &mut Conn, id: ProductId) -> QueryResult<Option<Product>> {
    query!(conn, |c| products::table.find(id).select(Product::as_select()).first(c)).optional()
}

/// A page of products, newest first.
pub async fn list(conn: &mut Conn, page: &ProductPage) -> QueryResult<Vec<Product>> {
    let older = products::id.lt(page.before.unwrap_or(ProductId(i64::MAX)));
    query!(conn, |c| {
        products::table
            .filter(older)
            .order(products::id.desc())
            .limit(page.limit)
            .select(Product::as_select())
            .load(c)
    })
}
