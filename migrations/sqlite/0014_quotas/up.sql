-- What each user has: things of one kind, and bytes of texts, each row with 200 more. Triggers keep it, so that no write forgets it and none has to
-- count. Only rows that a user has made count, not those about the user.
CREATE TABLE usage (
    user_id       INTEGER PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    products      BIGINT NOT NULL DEFAULT 0,
    projects      BIGINT NOT NULL DEFAULT 0,
    conversations BIGINT NOT NULL DEFAULT 0,
    reviews       BIGINT NOT NULL DEFAULT 0,
    waiting       BIGINT NOT NULL DEFAULT 0,
    unpaid        BIGINT NOT NULL DEFAULT 0,
    kept_answers  BIGINT NOT NULL DEFAULT 0,
    bytes         BIGINT NOT NULL DEFAULT 0
);
ALTER TABLE projects ADD COLUMN stage_count BIGINT NOT NULL DEFAULT 0;
CREATE INDEX idempotency_keys_by_user ON idempotency_keys (user_id, created_at);

INSERT INTO usage (user_id) SELECT id FROM users;
UPDATE usage SET products = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + length(CAST(products.name AS BLOB)) + coalesce(length(CAST(products.description AS BLOB)), 0)) AS bytes FROM products GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET projects = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + length(CAST(projects.name AS BLOB)) + coalesce(length(CAST(projects.description AS BLOB)), 0)) AS bytes FROM projects GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET conversations = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + coalesce(length(CAST(conversations.title AS BLOB)), 0)) AS bytes FROM conversations GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET reviews = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + coalesce(length(CAST(reviews.comment AS BLOB)), 0)) AS bytes FROM reviews GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET waiting = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200) AS bytes FROM waitlist GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET bytes = usage.bytes + counted.bytes
    FROM (SELECT sender_id AS owner, count(*) AS things, sum(200 + length(CAST(messages.content AS BLOB)) + coalesce(length(CAST(messages.client_id AS BLOB)), 0)) AS bytes FROM messages GROUP BY sender_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET kept_answers = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + length(CAST(idempotency_keys.path AS BLOB)) + length(CAST(idempotency_keys.key AS BLOB)) + length(CAST(idempotency_keys.answer AS BLOB))) AS bytes FROM idempotency_keys GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET unpaid = counted.unpaid, bytes = usage.bytes + 200 * counted.things
    FROM (SELECT customer_id, count(*) AS things, sum(CASE WHEN status = 'pending' THEN 1 ELSE 0 END) AS unpaid FROM orders GROUP BY customer_id) AS counted
    WHERE user_id = counted.customer_id;
UPDATE usage SET bytes = usage.bytes + counted.bytes
    FROM (SELECT customer_id, sum(200 + length(CAST(order_items.name AS BLOB))) AS bytes
        FROM order_items JOIN orders ON orders.id = order_id GROUP BY customer_id) AS counted
    WHERE user_id = counted.customer_id;
UPDATE projects SET stage_count = counted.stages
    FROM (SELECT project_id, count(*) AS stages FROM stages GROUP BY project_id) AS counted
    WHERE id = counted.project_id;

CREATE TRIGGER usage_of_user AFTER INSERT ON users BEGIN
    INSERT INTO usage (user_id) VALUES (NEW.id);
END;
CREATE TRIGGER usage_products_insert AFTER INSERT ON products WHEN NEW.owner_id IS NOT NULL BEGIN
    UPDATE usage SET products = products + 1, bytes = bytes + (200 + length(CAST(NEW.name AS BLOB)) + coalesce(length(CAST(NEW.description AS BLOB)), 0)) WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_products_delete AFTER DELETE ON products WHEN OLD.owner_id IS NOT NULL BEGIN
    UPDATE usage SET products = products - 1, bytes = bytes - (200 + length(CAST(OLD.name AS BLOB)) + coalesce(length(CAST(OLD.description AS BLOB)), 0)) WHERE user_id = OLD.owner_id;
END;
CREATE TRIGGER usage_projects_insert AFTER INSERT ON projects WHEN NEW.owner_id IS NOT NULL BEGIN
    UPDATE usage SET projects = projects + 1, bytes = bytes + (200 + length(CAST(NEW.name AS BLOB)) + coalesce(length(CAST(NEW.description AS BLOB)), 0)) WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_projects_delete AFTER DELETE ON projects WHEN OLD.owner_id IS NOT NULL BEGIN
    UPDATE usage SET projects = projects - 1, bytes = bytes - (200 + length(CAST(OLD.name AS BLOB)) + coalesce(length(CAST(OLD.description AS BLOB)), 0)) WHERE user_id = OLD.owner_id;
END;
CREATE TRIGGER usage_conversations_insert AFTER INSERT ON conversations WHEN NEW.owner_id IS NOT NULL BEGIN
    UPDATE usage SET conversations = conversations + 1, bytes = bytes + (200 + coalesce(length(CAST(NEW.title AS BLOB)), 0)) WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_conversations_delete AFTER DELETE ON conversations WHEN OLD.owner_id IS NOT NULL BEGIN
    UPDATE usage SET conversations = conversations - 1, bytes = bytes - (200 + coalesce(length(CAST(OLD.title AS BLOB)), 0)) WHERE user_id = OLD.owner_id;
END;
CREATE TRIGGER usage_reviews_insert AFTER INSERT ON reviews WHEN NEW.user_id IS NOT NULL BEGIN
    UPDATE usage SET reviews = reviews + 1, bytes = bytes + (200 + coalesce(length(CAST(NEW.comment AS BLOB)), 0)) WHERE user_id = NEW.user_id;
END;
CREATE TRIGGER usage_reviews_delete AFTER DELETE ON reviews WHEN OLD.user_id IS NOT NULL BEGIN
    UPDATE usage SET reviews = reviews - 1, bytes = bytes - (200 + coalesce(length(CAST(OLD.comment AS BLOB)), 0)) WHERE user_id = OLD.user_id;
END;
CREATE TRIGGER usage_waitlist_insert AFTER INSERT ON waitlist WHEN NEW.user_id IS NOT NULL BEGIN
    UPDATE usage SET waiting = waiting + 1, bytes = bytes + (200) WHERE user_id = NEW.user_id;
END;
CREATE TRIGGER usage_waitlist_delete AFTER DELETE ON waitlist WHEN OLD.user_id IS NOT NULL BEGIN
    UPDATE usage SET waiting = waiting - 1, bytes = bytes - (200) WHERE user_id = OLD.user_id;
END;
CREATE TRIGGER usage_messages_insert AFTER INSERT ON messages WHEN NEW.sender_id IS NOT NULL BEGIN
    UPDATE usage SET bytes = bytes + (200 + length(CAST(NEW.content AS BLOB)) + coalesce(length(CAST(NEW.client_id AS BLOB)), 0)) WHERE user_id = NEW.sender_id;
END;
CREATE TRIGGER usage_messages_delete AFTER DELETE ON messages WHEN OLD.sender_id IS NOT NULL BEGIN
    UPDATE usage SET bytes = bytes - (200 + length(CAST(OLD.content AS BLOB)) + coalesce(length(CAST(OLD.client_id AS BLOB)), 0)) WHERE user_id = OLD.sender_id;
END;
CREATE TRIGGER usage_idempotency_keys_insert AFTER INSERT ON idempotency_keys WHEN NEW.user_id IS NOT NULL BEGIN
    UPDATE usage SET kept_answers = kept_answers + 1, bytes = bytes + (200 + length(CAST(NEW.path AS BLOB)) + length(CAST(NEW.key AS BLOB)) + length(CAST(NEW.answer AS BLOB))) WHERE user_id = NEW.user_id;
END;
CREATE TRIGGER usage_idempotency_keys_delete AFTER DELETE ON idempotency_keys WHEN OLD.user_id IS NOT NULL BEGIN
    UPDATE usage SET kept_answers = kept_answers - 1, bytes = bytes - (200 + length(CAST(OLD.path AS BLOB)) + length(CAST(OLD.key AS BLOB)) + length(CAST(OLD.answer AS BLOB))) WHERE user_id = OLD.user_id;
END;
CREATE TRIGGER usage_products_update AFTER UPDATE OF name, description ON products WHEN NEW.owner_id IS NOT NULL BEGIN
    UPDATE usage SET bytes = bytes + (200 + length(CAST(NEW.name AS BLOB)) + coalesce(length(CAST(NEW.description AS BLOB)), 0)) - (200 + length(CAST(OLD.name AS BLOB)) + coalesce(length(CAST(OLD.description AS BLOB)), 0))
    WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_projects_update AFTER UPDATE OF name, description ON projects WHEN NEW.owner_id IS NOT NULL BEGIN
    UPDATE usage SET bytes = bytes + (200 + length(CAST(NEW.name AS BLOB)) + coalesce(length(CAST(NEW.description AS BLOB)), 0)) - (200 + length(CAST(OLD.name AS BLOB)) + coalesce(length(CAST(OLD.description AS BLOB)), 0))
    WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_idempotency_keys_update AFTER UPDATE OF answer ON idempotency_keys WHEN NEW.user_id IS NOT NULL BEGIN
    UPDATE usage SET bytes = bytes + (200 + length(CAST(NEW.path AS BLOB)) + length(CAST(NEW.key AS BLOB)) + length(CAST(NEW.answer AS BLOB))) - (200 + length(CAST(OLD.path AS BLOB)) + length(CAST(OLD.key AS BLOB)) + length(CAST(OLD.answer AS BLOB)))
    WHERE user_id = NEW.user_id;
END;
CREATE TRIGGER usage_conversations_owner AFTER UPDATE OF owner_id ON conversations WHEN NEW.owner_id IS NOT OLD.owner_id BEGIN
    UPDATE usage SET conversations = conversations - 1, bytes = bytes - (200 + coalesce(length(CAST(NEW.title AS BLOB)), 0)) WHERE user_id = OLD.owner_id;
    UPDATE usage SET conversations = conversations + 1, bytes = bytes + (200 + coalesce(length(CAST(NEW.title AS BLOB)), 0)) WHERE user_id = NEW.owner_id;
END;
CREATE TRIGGER usage_orders_insert AFTER INSERT ON orders WHEN NEW.customer_id IS NOT NULL BEGIN
    UPDATE usage SET unpaid = unpaid + (NEW.status = 'pending'), bytes = bytes + 200 WHERE user_id = NEW.customer_id;
END;
CREATE TRIGGER usage_orders_delete AFTER DELETE ON orders WHEN OLD.customer_id IS NOT NULL BEGIN
    UPDATE usage SET unpaid = unpaid - (OLD.status = 'pending'), bytes = bytes - 200 WHERE user_id = OLD.customer_id;
END;
CREATE TRIGGER usage_orders_update AFTER UPDATE OF status ON orders WHEN (NEW.status = 'pending') <> (OLD.status = 'pending') BEGIN
    UPDATE usage SET unpaid = unpaid + (NEW.status = 'pending') - (OLD.status = 'pending') WHERE user_id = NEW.customer_id;
END;
CREATE TRIGGER usage_order_items_insert AFTER INSERT ON order_items BEGIN
    UPDATE usage SET bytes = bytes + 200 + length(CAST(NEW.name AS BLOB))
    WHERE user_id = (SELECT customer_id FROM orders WHERE id = NEW.order_id);
END;
CREATE TRIGGER stages_counted AFTER INSERT ON stages BEGIN
    UPDATE projects SET stage_count = stage_count + 1 WHERE id = NEW.project_id;
END;
CREATE TRIGGER stages_uncounted AFTER DELETE ON stages BEGIN
    UPDATE projects SET stage_count = stage_count - 1 WHERE id = OLD.project_id;
END;
