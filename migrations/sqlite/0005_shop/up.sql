-- AUTOINCREMENT: a deleted one's id, which clients may still hold, is not used again.
CREATE TABLE products (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name                TEXT NOT NULL,
    description         TEXT,
    price_minor         BIGINT NOT NULL CHECK (price_minor >= 0),
    stock               BIGINT NOT NULL CHECK (stock >= 0),
    low_stock_threshold BIGINT NOT NULL CHECK (low_stock_threshold >= 0),
    owner_id            BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at          TIMESTAMP NOT NULL,
    updated_at          TIMESTAMP NOT NULL
);
CREATE INDEX products_by_owner ON products (owner_id);

-- What was ordered, by the name and the price that it had then.
CREATE TABLE order_items (
    id          INTEGER PRIMARY KEY NOT NULL,
    order_id    BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id  BIGINT REFERENCES products (id) ON DELETE SET NULL,
    name        TEXT NOT NULL,
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0)
);
CREATE INDEX order_items_by_order ON order_items (order_id, id);
CREATE INDEX order_items_by_product ON order_items (product_id);

-- Who is to be told when a product is in stock again.
CREATE TABLE waitlist (
    product_id BIGINT NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (product_id, user_id)
) WITHOUT ROWID;
CREATE INDEX waitlist_by_user ON waitlist (user_id);

CREATE TABLE reviews (
    id         INTEGER PRIMARY KEY NOT NULL,
    product_id BIGINT NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    user_id    BIGINT REFERENCES users (id) ON DELETE SET NULL,
    rating     BIGINT NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment    TEXT,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX reviews_by_product ON reviews (product_id, id);
CREATE INDEX reviews_by_user ON reviews (user_id);

CREATE TABLE payments (
    id           INTEGER PRIMARY KEY NOT NULL,
    order_id     BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    method       TEXT,
    created_at   TIMESTAMP NOT NULL
);
CREATE INDEX payments_by_order ON payments (order_id, id);

-- The sum of an order's payments. In the order's own row, so that one statement can look and add.
ALTER TABLE orders ADD COLUMN paid_minor BIGINT NOT NULL DEFAULT 0 CHECK (paid_minor >= 0);
