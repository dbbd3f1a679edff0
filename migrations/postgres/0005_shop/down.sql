ALTER TABLE orders DROP COLUMN paid_minor;
DROP TABLE payments;
DROP TABLE reviews;
DROP TABLE waitlist;
DROP TABLE order_items;
DROP TABLE products;
