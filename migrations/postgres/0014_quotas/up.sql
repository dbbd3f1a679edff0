-- What each user has: things of one kind, and bytes of texts, each row with 200 more. Triggers keep it, so that no write forgets it and none has to
-- count. Only rows that a user has made count, not those about the user.
CREATE TABLE usage (
    user_id       BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
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
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(products.name) + coalesce(octet_length(products.description), 0)) AS bytes FROM products GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET projects = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(projects.name) + coalesce(octet_length(projects.description), 0)) AS bytes FROM projects GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET conversations = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(conversations.title), 0)) AS bytes FROM conversations GROUP BY owner_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET reviews = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(reviews.comment), 0)) AS bytes FROM reviews GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET waiting = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200) AS bytes FROM waitlist GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET bytes = usage.bytes + counted.bytes
    FROM (SELECT sender_id AS owner, count(*) AS things, sum(200 + octet_length(messages.content) + coalesce(octet_length(messages.client_id), 0)) AS bytes FROM messages GROUP BY sender_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET kept_answers = counted.things, bytes = usage.bytes + counted.bytes
    FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + octet_length(idempotency_keys.path) + octet_length(idempotency_keys.key) + octet_length(idempotency_keys.answer)) AS bytes FROM idempotency_keys GROUP BY user_id) AS counted
    WHERE user_id = counted.owner;
UPDATE usage SET unpaid = counted.unpaid, bytes = usage.bytes + 200 * counted.things
    FROM (SELECT customer_id, count(*) AS things, sum(CASE WHEN status = 'pending' THEN 1 ELSE 0 END) AS unpaid FROM orders GROUP BY customer_id) AS counted
    WHERE user_id = counted.customer_id;
UPDATE usage SET bytes = usage.bytes + counted.bytes
    FROM (SELECT customer_id, sum(200 + octet_length(order_items.name)) AS bytes
        FROM order_items JOIN orders ON orders.id = order_id GROUP BY customer_id) AS counted
    WHERE user_id = counted.customer_id;
UPDATE projects SET stage_count = counted.stages
    FROM (SELECT project_id, count(*) AS stages FROM stages GROUP BY project_id) AS counted
    WHERE id = counted.project_id;

CREATE FUNCTION usage_of_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage (user_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER usage_of_user AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION usage_of_user();
-- One statement may write rows of many users. They are locked in one order, so that two such statements do not deadlock.
CREATE FUNCTION usage_products_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET products = usage.products + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(rows.name) + coalesce(octet_length(rows.description), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_products_insert AFTER INSERT ON products REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_products_insert();
CREATE FUNCTION usage_products_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET products = usage.products - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(rows.name) + coalesce(octet_length(rows.description), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_products_delete AFTER DELETE ON products REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_products_delete();
CREATE FUNCTION usage_projects_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET projects = usage.projects + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(rows.name) + coalesce(octet_length(rows.description), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_projects_insert AFTER INSERT ON projects REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_projects_insert();
CREATE FUNCTION usage_projects_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET projects = usage.projects - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + octet_length(rows.name) + coalesce(octet_length(rows.description), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_projects_delete AFTER DELETE ON projects REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_projects_delete();
CREATE FUNCTION usage_conversations_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET conversations = usage.conversations + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(rows.title), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_conversations_insert AFTER INSERT ON conversations REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_conversations_insert();
CREATE FUNCTION usage_conversations_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT owner_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET conversations = usage.conversations - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT owner_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(rows.title), 0)) AS bytes FROM rows GROUP BY owner_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_conversations_delete AFTER DELETE ON conversations REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_conversations_delete();
CREATE FUNCTION usage_reviews_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET reviews = usage.reviews + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(rows.comment), 0)) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_reviews_insert AFTER INSERT ON reviews REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_reviews_insert();
CREATE FUNCTION usage_reviews_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET reviews = usage.reviews - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + coalesce(octet_length(rows.comment), 0)) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_reviews_delete AFTER DELETE ON reviews REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_reviews_delete();
CREATE FUNCTION usage_waitlist_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET waiting = usage.waiting + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_waitlist_insert AFTER INSERT ON waitlist REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_waitlist_insert();
CREATE FUNCTION usage_waitlist_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET waiting = usage.waiting - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_waitlist_delete AFTER DELETE ON waitlist REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_waitlist_delete();
CREATE FUNCTION usage_messages_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT sender_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET bytes = usage.bytes + counted.bytes
        FROM (SELECT sender_id AS owner, count(*) AS things, sum(200 + octet_length(rows.content) + coalesce(octet_length(rows.client_id), 0)) AS bytes FROM rows GROUP BY sender_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_messages_insert AFTER INSERT ON messages REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_messages_insert();
CREATE FUNCTION usage_messages_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT sender_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET bytes = usage.bytes - counted.bytes
        FROM (SELECT sender_id AS owner, count(*) AS things, sum(200 + octet_length(rows.content) + coalesce(octet_length(rows.client_id), 0)) AS bytes FROM rows GROUP BY sender_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_messages_delete AFTER DELETE ON messages REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_messages_delete();
CREATE FUNCTION usage_idempotency_keys_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET kept_answers = usage.kept_answers + counted.things, bytes = usage.bytes + counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + octet_length(rows.path) + octet_length(rows.key) + octet_length(rows.answer)) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_idempotency_keys_insert AFTER INSERT ON idempotency_keys REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_idempotency_keys_insert();
CREATE FUNCTION usage_idempotency_keys_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT user_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET kept_answers = usage.kept_answers - counted.things, bytes = usage.bytes - counted.bytes
        FROM (SELECT user_id AS owner, count(*) AS things, sum(200 + octet_length(rows.path) + octet_length(rows.key) + octet_length(rows.answer)) AS bytes FROM rows GROUP BY user_id) AS counted
        WHERE user_id = counted.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_idempotency_keys_delete AFTER DELETE ON idempotency_keys REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_idempotency_keys_delete();
CREATE FUNCTION usage_products_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET bytes = bytes + (200 + octet_length(NEW.name) + coalesce(octet_length(NEW.description), 0)) - (200 + octet_length(OLD.name) + coalesce(octet_length(OLD.description), 0))
        WHERE user_id = NEW.owner_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_products_update AFTER UPDATE OF name, description ON products FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name OR NEW.description IS DISTINCT FROM OLD.description) EXECUTE FUNCTION usage_products_update();
CREATE FUNCTION usage_projects_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET bytes = bytes + (200 + octet_length(NEW.name) + coalesce(octet_length(NEW.description), 0)) - (200 + octet_length(OLD.name) + coalesce(octet_length(OLD.description), 0))
        WHERE user_id = NEW.owner_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_projects_update AFTER UPDATE OF name, description ON projects FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name OR NEW.description IS DISTINCT FROM OLD.description) EXECUTE FUNCTION usage_projects_update();
CREATE FUNCTION usage_idempotency_keys_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET bytes = bytes + (200 + octet_length(NEW.path) + octet_length(NEW.key) + octet_length(NEW.answer)) - (200 + octet_length(OLD.path) + octet_length(OLD.key) + octet_length(OLD.answer))
        WHERE user_id = NEW.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_idempotency_keys_update AFTER UPDATE OF answer ON idempotency_keys FOR EACH ROW WHEN (NEW.answer IS DISTINCT FROM OLD.answer) EXECUTE FUNCTION usage_idempotency_keys_update();
CREATE FUNCTION usage_conversations_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET conversations = conversations - 1, bytes = bytes - (200 + coalesce(octet_length(NEW.title), 0)) WHERE user_id = OLD.owner_id;
    UPDATE usage SET conversations = conversations + 1, bytes = bytes + (200 + coalesce(octet_length(NEW.title), 0)) WHERE user_id = NEW.owner_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_conversations_owner AFTER UPDATE OF owner_id ON conversations FOR EACH ROW WHEN (NEW.owner_id IS DISTINCT FROM OLD.owner_id) EXECUTE FUNCTION usage_conversations_owner();
CREATE FUNCTION usage_orders_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT customer_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET unpaid = usage.unpaid + counted.unpaid, bytes = usage.bytes + 200 * counted.things
        FROM (SELECT customer_id, count(*) AS things, count(*) FILTER (WHERE status = 'pending') AS unpaid FROM rows GROUP BY customer_id) AS counted
        WHERE user_id = counted.customer_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_orders_insert AFTER INSERT ON orders REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_orders_insert();
CREATE FUNCTION usage_orders_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM usage WHERE user_id IN (SELECT customer_id FROM rows) ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE usage SET unpaid = usage.unpaid - counted.unpaid, bytes = usage.bytes - 200 * counted.things
        FROM (SELECT customer_id, count(*) AS things, count(*) FILTER (WHERE status = 'pending') AS unpaid FROM rows GROUP BY customer_id) AS counted
        WHERE user_id = counted.customer_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_orders_delete AFTER DELETE ON orders REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_orders_delete();
CREATE FUNCTION usage_orders_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET unpaid = unpaid + (NEW.status = 'pending')::int - (OLD.status = 'pending')::int WHERE user_id = NEW.customer_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_orders_update AFTER UPDATE OF status ON orders FOR EACH ROW WHEN ((NEW.status = 'pending') <> (OLD.status = 'pending')) EXECUTE FUNCTION usage_orders_update();
CREATE FUNCTION usage_order_items_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET bytes = usage.bytes + counted.bytes
        FROM (SELECT customer_id, sum(200 + octet_length(rows.name)) AS bytes
            FROM rows JOIN orders ON orders.id = order_id GROUP BY customer_id) AS counted
        WHERE user_id = counted.customer_id;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_order_items_insert AFTER INSERT ON order_items REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION usage_order_items_insert();
CREATE FUNCTION stages_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE projects SET stage_count = stage_count + 1 WHERE id = NEW.project_id;
    RETURN NULL;
END $$;
CREATE TRIGGER stages_counted AFTER INSERT ON stages FOR EACH ROW EXECUTE FUNCTION stages_counted();
CREATE FUNCTION stages_uncounted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE projects SET stage_count = stage_count - 1 WHERE id = OLD.project_id;
    RETURN NULL;
END $$;
CREATE TRIGGER stages_uncounted AFTER DELETE ON stages FOR EACH ROW EXECUTE FUNCTION stages_uncounted();
