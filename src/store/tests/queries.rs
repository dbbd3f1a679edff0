//! Users, orders and the log.

use diesel::{ExpressionMethods, QueryDsl};

use super::*;
use crate::event::{EventKind, NewEvent, ProductAction, Room};
use crate::model::{ConversationId, EventId, ProductId};
use crate::schema::{event_rooms, events};
use crate::store::conn::query;
use crate::store::sessions::SessionRoom;
use crate::store::{Conn, history};

#[test]
fn a_written_order_is_read_back_and_announced() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let order =
            db.write(Once::Unkeyed, async |tx| place(tx, 1250).await).await.expect("writes");
        let read = db
            .read(async move |conn| orders::by_id(conn, order.id).await)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!(read.order, order);
        assert_eq!(read.customer, None);
        let [stored] = log.events().try_into().expect("one event");
        let new = event::new_order(&order);
        assert_eq!(
            (
                stored.position.map(|position| position.id),
                &*stored.namespace,
                &*stored.name,
                stored.rooms,
                stored.data
            ),
            (Some(EventId(1)), "/admin", "new_order", vec!["admin".to_owned()], new.data)
        );
    });
}

#[test]
fn an_e_mail_is_unique_without_regard_to_case() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let user = add_user(db, "Ann@Example.test").await.expect("adds");
        assert_eq!(add_user(db, "ann@example.TEST").await, Err(Error::Conflict("taken".into())));
        let found = db
            .read(async |conn| users::credentials_by_email(conn, "ANN@example.test").await)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!((found.user, found.password_hash.as_str()), (user.clone(), "hash"));
        let listed = db.read(async |conn| users::list(conn, None, 10).await).await.expect("reads");
        assert_eq!(listed, [user]);
    });
}

#[test]
fn orders_are_listed_newest_first_by_customer_and_by_page_each_with_its_customer() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@example.test").await.expect("adds");
        for (customer_id, minor) in [(Some(ann.id), 1), (None, 2), (Some(ann.id), 3)] {
            let new = NewOrder { customer_id, total: Money::from_minor(minor) };
            db.write(Once::Unkeyed, async move |tx| Ok(orders::insert(tx, &new).await?))
                .await
                .expect("writes");
        }
        let list = async |customer_id, before, limit| {
            let page = OrderPage { customer_id, before, limit };
            let rows =
                db.read(async move |conn| orders::list(conn, &page).await).await.expect("reads");
            rows.into_iter()
                .map(|row| (row.order.total.minor(), row.customer.map(|user| user.email)))
                .collect::<Vec<_>>()
        };
        let ann_email = Some("ann@example.test".to_owned());
        assert_eq!(
            list(None, None, 10).await,
            [(3, ann_email.clone()), (2, None), (1, ann_email.clone())]
        );
        assert_eq!(
            list(Some(ann.id), None, 10).await,
            [(3, ann_email.clone()), (1, ann_email.clone())]
        );
        assert_eq!(list(None, Some(crate::model::OrderId(3)), 1).await, [(2, None)]);
    });
}

#[test]
fn an_order_of_a_missing_customer_is_a_missing_reference() {
    let TestStore { db, .. } = &test_store();
    let missing = run(db.write(Once::Unkeyed, async |tx| {
        let new = NewOrder { customer_id: Some(UserId(99)), total: Money::ZERO };
        Ok(orders::insert(tx, &new).await.is_err_and(|fault| is_missing_reference(&fault)))
    }));
    assert_eq!(missing, Ok(true));
}

#[test]
fn an_order_advances_only_from_the_expected_status() {
    use OrderStatus::{Paid, Pending, Shipped};
    let TestStore { db, .. } = &test_store();
    run(async {
        let order = db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        let advance = async |from, to| {
            db.write(Once::Unkeyed, async move |tx| {
                Ok(orders::advance(tx, order.id, from, to).await?)
            })
            .await
            .expect("writes")
        };
        assert_eq!(advance(Paid, Shipped).await, None);
        let paid = advance(Pending, Paid).await.expect("moves");
        assert_eq!((paid.status, paid.shipped_at), (Paid, None));
        let shipped = advance(Paid, Shipped).await.expect("moves");
        assert_eq!((shipped.status, shipped.shipped_at), (Shipped, Some(shipped.updated_at)));
        assert_eq!(advance(Paid, Shipped).await, None);
    });
}

#[test]
fn a_transient_event_is_announced_in_order_without_an_id() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let order = db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        db.write(Once::Unkeyed, async move |tx| {
            tx.emit(NewEvent { kind: EventKind::Transient, ..event::new_order(&order) });
            place(tx, 2).await
        })
        .await
        .expect("writes");
        let ids: Vec<_> = log
            .events()
            .into_iter()
            .map(|event| event.position.map(|position| position.id))
            .collect();
        assert_eq!(ids, [Some(EventId(1)), None, Some(EventId(2))]);
    });
}

#[test]
fn members_are_one_room_in_the_log_and_user_rooms_when_announced() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let conversation = ConversationId(7);
        let order = db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        let new = NewEvent {
            rooms: vec![Room::Members(conversation), Room::Admin],
            except: vec![Room::Conversation(conversation)],
            members: vec![UserId(3), UserId(5)],
            ..event::new_order(&order)
        };
        db.write(Once::Unkeyed, async move |tx| {
            tx.emit(new);
            Ok(())
        })
        .await
        .expect("writes");
        let event = log.events().pop().expect("an event");
        assert_eq!(
            (event.rooms, event.except),
            (vec!["admin".into(), "user:3".into(), "user:5".into()], vec!["conversation:7".into()])
        );
        let rows = async |conn: &mut Conn| {
            let rooms = event_rooms::table
                .filter(event_rooms::event_id.eq(2))
                .order(event_rooms::room)
                .select(event_rooms::room);
            query!(&mut *conn, |c| rooms.load::<String>(c))
        };
        assert_eq!(db.read(rows).await.expect("reads"), ["/admin#admin", "/admin#members:7"]);
        let except = async |conn: &mut Conn| {
            query!(&mut *conn, |c| events::table
                .find(2)
                .select(events::except_json)
                .first::<Option<String>>(c))
        };
        assert_eq!(db.read(except).await.expect("reads").as_deref(), Some(r#"["conversation:7"]"#));
    });
}

#[test]
fn an_event_without_rooms_is_replayed_to_its_namespace_only() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        db.write(Once::Unkeyed, async |tx| {
            tx.emit(event::product_updated(ProductAction::Deleted(ProductId(3))));
            Ok(())
        })
        .await
        .expect("writes");
        let [event] = log.events().try_into().expect("one event");
        assert_eq!((&*event.namespace, &event.rooms), ("/", &Vec::new()));
        let last =
            db.read(async |conn| history::last(conn, EventId(1)).await).await.expect("reads");
        assert_eq!(last, [event], "as after a start");
        for (namespace, found) in [("/", 1), ("/admin", 0)] {
            let membership = SessionRoom { room: "user:5".into(), since: EventId(0), until: None };
            let audience = history::ReplayAudience {
                namespace: namespace.into(),
                user: UserId(5),
                memberships: vec![membership],
            };
            let page = db
                .read(async move |conn| {
                    history::page(conn, &audience, EventId(0), EventId(1)).await
                })
                .await
                .expect("reads");
            assert_eq!(page.map(|(events, _)| events.len()), Some(found), "{namespace}");
        }
    });
}
