-- Orders that hold their items although nothing of them was paid. Serves only queries whose condition is written as it is here.
CREATE INDEX orders_unpaid ON orders (created_at, id) WHERE status = 'pending' AND paid_minor = 0;
