//! Every REST call, in one list: what the router serves and what `/openapi.json` tells of.

use serde_json::json;

use super::answers::{Count, Delivered, Done, Health, Presence, Updated};
use super::endpoint::{Endpoint, delete, get, patch, post};
use super::{
    accounts, conversations, emit, health, metrics, notifications, orders, payments, presence,
    products, projects, reviews, waitlist,
};
use crate::model::{
    ConversationDetail, ConversationSummary, ConversationWithMembers, Member, Message,
    Notification, Order, OrderDetail, Payment, Product, Project, ProjectDetail, ReadMark, Review,
    Stage, User, WaitlistEntry, WithItems,
};
use crate::service::accounts::{Credentials, NewAccount, SignedIn};
use crate::service::conversations::{NewConversation, read_mark};
use crate::service::messages::NewMessage;
use crate::service::notifications::NewNotification;
use crate::service::orders::{NewOrder, read_status};
use crate::service::payments::NewPayment;
use crate::service::products::{NewProduct, ProductPatch};
use crate::service::projects::{NewProject, ProjectPatch, read_stage};
use crate::service::reviews::NewReview;
use crate::service::tokens::read_logout;
use crate::service::{self, read_member};

/// All of them, family by family.
pub(super) fn all() -> Vec<Endpoint> {
    [
        accounts(),
        products(),
        orders(),
        notifications(),
        projects(),
        conversations(),
        rooms(),
        process(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn accounts() -> Vec<Endpoint> {
    vec![
        post("/auth/register", "Make a customer's account and sign it in", accounts::register)
            .open()
            .takes(NewAccount::read)
            .creates::<SignedIn>()
            .refuses(&[409, 429, 501]),
        post("/auth/login", "Sign in", accounts::login)
            .open()
            .takes(Credentials::read)
            .answers::<SignedIn>()
            .refuses(&[401, 429, 501]),
        post(
            "/auth/logout",
            "End this token, or all of the caller's, and their sockets",
            accounts::logout,
        )
        .may_take(read_logout)
        .answers::<Done>(),
        get("/auth/me", "The caller's own account", accounts::me).answers::<User>(),
    ]
}

fn products() -> Vec<Endpoint> {
    vec![
        post("/products", "Add a product", products::create)
            .takes(NewProduct::read)
            .once()
            .creates::<Product>(),
        get("/products", "The products, newest first", products::list).pages::<Product>(),
        get("/products/{id}", "One product", products::get).answers::<Product>(),
        patch(
            "/products/{id}",
            "Change a product, its stock too (its owner, admins)",
            products::update,
        )
        .takes(ProductPatch::read)
        .answers::<Product>()
        .refuses(&[403]),
        delete("/products/{id}", "Remove a product (its owner, admins)", products::delete)
            .removes()
            .refuses(&[403]),
        post("/products/{id}/reviews", "Review a product", reviews::create)
            .takes(NewReview::read)
            .once()
            .creates::<Review>(),
        get("/products/{id}/reviews", "What was said of a product, newest first", reviews::list)
            .pages::<Review>(),
        post("/products/{id}/waitlist", "Be told when a product is in stock again", waitlist::join)
            .takes_nothing()
            .once()
            .creates::<WaitlistEntry>()
            .refuses(&[409]),
        delete("/products/{id}/waitlist", "Wait no more", waitlist::leave).removes(),
    ]
}

fn orders() -> Vec<Endpoint> {
    vec![
        post("/orders", "Place an order", orders::create)
            .takes(NewOrder::read)
            .once()
            .creates::<WithItems<Order>>()
            .refuses(&[403, 409]),
        get(
            "/orders",
            "Own orders, all for an admin, newest first, each with its customer and items",
            orders::list,
        )
        .pages::<WithItems<OrderDetail>>(),
        get("/orders/{id}", "One order, with its customer and items", orders::get)
            .answers::<WithItems<OrderDetail>>(),
        patch("/orders/{id}/status", "Move an order on (admins)", orders::set_status)
            .takes(read_status)
            .answers::<Order>()
            .refuses(&[403, 409]),
        patch("/orders/{id}/ship", "Ship an order (admins)", orders::ship)
            .takes_nothing()
            .answers::<Order>()
            .refuses(&[403, 409]),
        post("/orders/{id}/payments", "Pay an order, in whole or in part", payments::create)
            .takes(NewPayment::read)
            .once()
            .creates::<Payment>()
            .refuses(&[409]),
    ]
}

fn notifications() -> Vec<Endpoint> {
    vec![
        post("/notifications", "Notify one, some, a role or all (admins)", notifications::create)
            .takes(NewNotification::read)
            .once()
            .creates::<Count>()
            .refuses(&[403]),
        get("/notifications", "Own notifications, newest first", notifications::list)
            .pages::<Notification>()
            .asks(
                "unreadOnly",
                json!({"type": "boolean", "default": false}),
                "Only those that are unread",
            ),
        get(
            "/notifications/unread-count",
            "How many of the caller's are unread",
            notifications::unread_count,
        )
        .answers::<Count>(),
        patch(
            "/notifications/mark-all-read",
            "Mark all of the caller's as read",
            notifications::read_all,
        )
        .takes_nothing()
        .answers::<Updated>(),
        patch("/notifications/{id}/read", "Mark one as read", notifications::read)
            .takes_nothing()
            .answers::<Notification>(),
        delete("/notifications/{id}", "Remove one", notifications::delete).removes(),
    ]
}

fn projects() -> Vec<Endpoint> {
    vec![
        post("/projects", "Make a project", projects::create)
            .takes(NewProject::read)
            .once()
            .creates::<Project>(),
        get("/projects", "The caller's projects, newest first", projects::list).pages::<Project>(),
        get("/projects/{id}", "One project, with its members and stages", projects::get)
            .answers::<ProjectDetail>(),
        patch("/projects/{id}", "Change a project", projects::update)
            .takes(ProjectPatch::read)
            .answers::<Project>(),
        post("/projects/{id}/members", "Add a member (the owner)", projects::add_member)
            .takes(read_member)
            .once()
            .creates::<Member>()
            .refuses(&[403, 409]),
        delete(
            "/projects/{id}/members/{userId}",
            "Remove a member (the owner), or leave",
            projects::remove_member,
        )
        .removes()
        .refuses(&[403, 409]),
        post("/projects/{id}/stages", "Add a stage", projects::add_stage)
            .takes(read_stage)
            .once()
            .creates::<Stage>(),
        post(
            "/projects/{id}/stages/{stageId}/complete",
            "Complete a stage",
            projects::complete_stage,
        )
        .takes_nothing()
        .once()
        .answers::<Stage>()
        .refuses(&[409]),
    ]
}

fn conversations() -> Vec<Endpoint> {
    vec![
        post("/conversations", "Make a conversation", conversations::create)
            .may_take(NewConversation::read)
            .once()
            .creates::<ConversationWithMembers>()
            .refuses(&[404]),
        get("/conversations", "The caller's conversations, newest first", conversations::list)
            .pages::<ConversationSummary>(),
        get("/conversations/{id}", "One conversation, with its members", conversations::get)
            .answers::<ConversationDetail>(),
        post("/conversations/{id}/members", "Add a member (the owner)", conversations::add_member)
            .takes(read_member)
            .once()
            .creates::<Member>()
            .refuses(&[403, 409]),
        delete(
            "/conversations/{id}/members/{userId}",
            "Remove a member (the owner), or leave",
            conversations::remove_member,
        )
        .removes()
        .refuses(&[403, 409]),
        post("/conversations/{id}/messages", "Send a message", conversations::send)
            .takes(NewMessage::read)
            .once()
            .creates::<Message>(),
        get("/conversations/{id}/messages", "What was said, newest first", conversations::history)
            .pages::<Message>(),
        post(
            "/conversations/{id}/read",
            "Note how far the caller has read",
            conversations::mark_read,
        )
        .takes(read_mark)
        .once()
        .answers::<ReadMark>(),
    ]
}

fn rooms() -> Vec<Endpoint> {
    vec![
        get("/presence", "Who is in a room; for those who may join it", presence::get)
            .requires("room", json!({"type": "string"}), "project:ID or conversation:ID")
            .answers::<Presence>()
            .refuses(&[404]),
        post("/emit", "Send an event of another back end's to rooms (admins)", emit::create)
            .takes(service::emit::read)
            .once()
            .answers::<Delivered>()
            .refuses(&[403]),
    ]
}

fn process() -> Vec<Endpoint> {
    vec![
        get("/healthz", "Whether the process lives", health::alive).open().answers::<Health>(),
        get("/readyz", "Whether it takes work", health::ready).open().answers::<Health>(),
        get(
            metrics::PATH,
            "Figures for Prometheus; with METRICS_ADDR they are there instead",
            metrics::get,
        )
        .open()
        .gives("text/plain"),
    ]
}
