//! The tables' shape, the same on both databases (`migrations/sqlite`, `migrations/postgres`).
//! Queries in `store/` and rows in `model/` are checked against it. Written by hand: `diesel
//! print-schema` would give the shape of one database.

diesel::table! {
    /// Accounts. `email_key` is the address in lower case and unique; `email` is what was given.
    /// Tokens below `token_generation` have ended. `unread_notifications` is kept with each change;
    /// notifications up to `notifications_read_up_to` count as read.
    users (id) {
        id -> BigInt,
        email -> Text,
        email_key -> Text,
        name -> Text,
        password_hash -> Text,
        role -> Text,
        created_at -> Timestamp,
        token_generation -> BigInt,
        tokens_ended_at -> Nullable<Timestamp>,
        unread_notifications -> BigInt,
        notifications_read_up_to -> BigInt,
    }
}

diesel::table! {
    /// Tokens that ended before they expire: one, by the SHA-256 of the signed part; all of a
    /// user's below a generation; or all of a removed user.
    token_ends (id) {
        id -> BigInt,
        user_id -> BigInt,
        digest -> Nullable<Binary>,
        generation -> Nullable<BigInt>,
        ended_at -> Timestamp,
        keep_until -> Timestamp,
    }
}

diesel::table! {
    /// The identities of users at other issuers of tokens. `issuer` is empty for tokens that have
    /// none. `given_…` is what a token gave to the account, and null if an operator decides it.
    identities (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        user_id -> BigInt,
        given_name -> Nullable<Text>,
        given_email -> Nullable<Text>,
        given_role -> Nullable<Text>,
        given_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Identities whose user was removed: their tokens issued up to `ended_at` have ended.
    identity_ends (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        ended_at -> Timestamp,
    }
}

diesel::table! {
    /// Orders. Totals in hundredths; `paid_minor` is the sum of the payments.
    orders (id) {
        id -> BigInt,
        customer_id -> Nullable<BigInt>,
        total_minor -> BigInt,
        status -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        shipped_at -> Nullable<Timestamp>,
        paid_minor -> BigInt,
    }
}

diesel::table! {
    /// Products. Prices in hundredths.
    products (id) {
        id -> BigInt,
        name -> Text,
        description -> Nullable<Text>,
        price_minor -> BigInt,
        stock -> BigInt,
        low_stock_threshold -> BigInt,
        owner_id -> Nullable<BigInt>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// Items of orders. `name` and `price_minor` are those at the time of the order; `product_id`
    /// is null if the product has been removed.
    order_items (id) {
        id -> BigInt,
        order_id -> BigInt,
        product_id -> Nullable<BigInt>,
        name -> Text,
        quantity -> BigInt,
        price_minor -> BigInt,
    }
}

diesel::table! {
    /// Users to notify when a product is in stock again.
    waitlist (product_id, user_id) {
        product_id -> BigInt, user_id -> BigInt, created_at -> Timestamp,
    }
}

diesel::table! {
    /// Reviews of products. `rating` is 1 to 5.
    reviews (id) {
        id -> BigInt,
        product_id -> BigInt,
        user_id -> Nullable<BigInt>,
        rating -> BigInt,
        comment -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Payments of orders, in hundredths.
    payments (id) {
        id -> BigInt,
        order_id -> BigInt,
        amount_minor -> BigInt,
        method -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Notifications, one row per receiver. `data` is a JSON object's text. One is read if
    /// `is_read` is set, or if its id is not after its receiver's `notifications_read_up_to`.
    notifications (id) {
        id -> BigInt,
        user_id -> BigInt,
        #[sql_name = "type"]
        kind -> Text,
        title -> Text,
        message -> Text,
        data -> Nullable<Text>,
        is_read -> Bool,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Notices to many users that have not reached all of them: receivers up to `last_user_id` have
    /// one. `data` is a JSON object's text.
    broadcasts (id) {
        id -> BigInt,
        role -> Nullable<Text>,
        project_id -> Nullable<BigInt>,
        but_user_id -> Nullable<BigInt>,
        #[sql_name = "type"]
        kind -> Text,
        title -> Text,
        message -> Text,
        data -> Nullable<Text>,
        last_user_id -> BigInt,
        up_to_user_id -> BigInt,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// The log: stored events, gap-free and in commit order. `payload` and `except_json` are JSON
    /// text.
    events (id) {
        id -> BigInt,
        namespace -> Text,
        name -> Text,
        payload -> Text,
        except_json -> Nullable<Text>,
        created_at -> Timestamp,
        members_json -> Nullable<Text>,
    }
}

diesel::table! {
    /// Finds events by room. The room has its namespace as prefix: `/admin#admin`, `/#user:5`.
    event_rooms (room, event_id) {
        room -> Text, event_id -> BigInt,
    }
}

diesel::table! {
    /// Stretches of the log. `epoch` is random; `number` is their order.
    epochs (number) {
        number -> BigInt,
        epoch -> BigInt,
        first_id -> BigInt,
        identity -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Sessions that can be resumed. `closed_at` is null while one is open. `token_generation` is
    /// the user's when the session began.
    sessions (sid) {
        sid -> Text,
        namespace -> Text,
        user_id -> BigInt,
        #[sql_name = "attachment"]
        connection_no -> BigInt,
        confirmed_epoch -> Nullable<BigInt>,
        confirmed_id -> Nullable<BigInt>,
        closed_at -> Nullable<Timestamp>,
        token_generation -> BigInt,
    }
}

diesel::table! {
    /// Rooms that a session entered on its own, each for the events after `since` and, once the
    /// session has left, up to `until`.
    session_rooms (sid, room) {
        sid -> Text,
        room -> Text,
        since -> BigInt,
        until -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// Random keys that survive a restart.
    secrets (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    /// The first answer to a write with an Idempotency-Key. `body_hash` is SHA-256, `answer` JSON
    /// text.
    idempotency_keys (user_id, method, path, key) {
        user_id -> BigInt,
        method -> Text,
        path -> Text,
        key -> Text,
        body_hash -> Binary,
        answer -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// One row: the id of the log's last event. An append raises it first, which on PostgreSQL also
    /// locks it until the commit.
    log_head (one) {
        one -> Integer,
        last_id -> BigInt,
    }
}

diesel::table! {
    /// Projects. `status` is any short text.
    projects (id) {
        id -> BigInt,
        name -> Text,
        description -> Nullable<Text>,
        status -> Text,
        owner_id -> Nullable<BigInt>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        stage_count -> BigInt,
    }
}

diesel::table! {
    project_members (project_id, user_id) {
        project_id -> BigInt,
        user_id -> BigInt,
        joined_at -> Timestamp,
    }
}

diesel::table! {
    /// Stages of a project.
    stages (id) {
        id -> BigInt,
        project_id -> BigInt,
        name -> Text,
        completed_at -> Nullable<Timestamp>,
        completed_by -> Nullable<BigInt>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Conversations. `last_seq` is the seq of the last message, 0 before the first.
    conversations (id) {
        id -> BigInt,
        title -> Nullable<Text>,
        project_id -> Nullable<BigInt>,
        owner_id -> Nullable<BigInt>,
        last_seq -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// The member has read the messages up to `read_seq`. Those after `unread_after` are unread,
    /// and all of others.
    conversation_members (conversation_id, user_id) {
        conversation_id -> BigInt,
        user_id -> BigInt,
        read_seq -> BigInt,
        joined_at -> Timestamp,
        unread_after -> BigInt,
    }
}

diesel::table! {
    /// Messages. `seq` counts from 1 in each conversation, without gaps.
    messages (id) {
        id -> BigInt,
        conversation_id -> BigInt,
        seq -> BigInt,
        sender_id -> Nullable<BigInt>,
        content -> Text,
        kind -> Text,
        client_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Invitations to a conversation or to a project, until they are accepted or too old.
    /// `named_id` is the id that the inviter has named, of a user or of nobody. `user_id` is the
    /// person who sees the invitation; null if nobody does, or not any more.
    invitations (id) {
        id -> BigInt,
        conversation_id -> Nullable<BigInt>,
        project_id -> Nullable<BigInt>,
        inviter_id -> BigInt,
        named_id -> BigInt,
        user_id -> Nullable<BigInt>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Blocks: `user_id` wants no invitations of `blocked_id`, the id of a user or of nobody.
    blocks (id) {
        id -> BigInt, user_id -> BigInt, blocked_id -> BigInt, created_at -> Timestamp,
    }
}

diesel::table! {
    /// What each user has made; kept by triggers.
    usage (user_id) {
        user_id -> BigInt, products -> BigInt, projects -> BigInt, conversations -> BigInt,
        reviews -> BigInt, waiting -> BigInt, unpaid -> BigInt, kept_answers -> BigInt,
        bytes -> BigInt,
    }
}

diesel::joinable!(identities -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(users, token_ends, identities, identity_ends);

diesel::joinable!(orders -> users (customer_id));
diesel::joinable!(reviews -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(
    orders,
    users,
    products,
    order_items,
    waitlist,
    reviews,
    usage
);

diesel::joinable!(project_members -> projects (project_id));
diesel::joinable!(project_members -> users (user_id));
diesel::joinable!(conversation_members -> conversations (conversation_id));
diesel::joinable!(conversation_members -> users (user_id));
diesel::joinable!(invitations -> conversations (conversation_id));
diesel::joinable!(invitations -> projects (project_id));
diesel::allow_tables_to_appear_in_same_query!(
    users,
    projects,
    project_members,
    stages,
    conversations,
    conversation_members,
    messages,
    invitations
);

diesel::allow_tables_to_appear_in_same_query!(users, notifications);
diesel::allow_tables_to_appear_in_same_query!(users, log_head);

diesel::joinable!(event_rooms -> events (event_id));
diesel::allow_tables_to_appear_in_same_query!(events, event_rooms);
diesel::joinable!(session_rooms -> sessions (sid));
diesel::allow_tables_to_appear_in_same_query!(sessions, session_rooms, log_head);
