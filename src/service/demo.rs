//! The demo data of `serve --demo`: accounts, products, orders, notifications, a project and a
//! conversation. Created once; existing accounts stay as they are.

use super::Services;
use super::accounts::{self, NewAccount};
use super::conversations::{self, NewConversation};
use super::messages::{self, NewMessage};
use super::notifications::{self, NewNotification, Receivers};
use super::orders::{self, NewOrder, OrderContent, OrderLine};
use super::products::{self, NewProduct};
use super::projects::{self, NewProject};
use super::stages;
use crate::auth::{Identity, PasswordHasher};
use crate::config::Secret;
use crate::error::Error;
use crate::model::{Money, Notice, NotificationType, OrderId, OrderStatus, Role, Timestamp, User};
use crate::store::{Db, Once, users};

/// The password of every demo account.
pub const PASSWORD: &str = "demo-password";
/// The e-mails of the demo accounts.
const EMAILS: [&str; 3] = ["admin@demo.test", "alice@demo.test", "bob@demo.test"];

/// Returns the demo accounts that exist and still have the password that everyone knows.
pub async fn with_public_password(
    db: &Db,
    passwords: &PasswordHasher,
) -> Result<Vec<&'static str>, Error> {
    let mut found = Vec::new();
    for email in EMAILS {
        let account = db.read(async move |conn| users::credentials_by_email(conn, email).await);
        let Some(account) = account.await? else { continue };
        let (password, hash) = (Secret::from(PASSWORD.to_owned()), Some(account.password_hash));
        if passwords.verify(PasswordHasher::SELF, password, hash).await? {
            found.push(email);
        }
    }
    Ok(found)
}

/// Why production refuses these accounts, and how to mend that; one line.
#[must_use]
pub fn refusal(accounts: &[&str]) -> String {
    let first = accounts.first().unwrap_or(&EMAILS[0]);
    format!(
        "HUBCAST_ENV=production is refused over this database: its demo accounts have a password \
         that everyone knows: {}; `hubcast user remove --email {first}` removes an account, and \
         `hubcast user passwd --email {first} --password-stdin` gives it another password",
        accounts.join(", ")
    )
}

/// Creates the missing accounts. A customer's data is created only together with its account.
pub async fn prepare(services: &Services) -> Result<(), Error> {
    let (admin, _) = account(services, "admin@demo.test", "Ada Admin", Role::Admin).await?;
    let (alice, alice_is_new) =
        account(services, "alice@demo.test", "Alice", Role::Customer).await?;
    let (bob, bob_is_new) = account(services, "bob@demo.test", "Bob", Role::Customer).await?;
    if alice_is_new {
        order(services, &alice, 4_990).await?;
        let paid = order(services, &alice, 12_500).await?;
        let shipped = order(services, &alice, 3_250).await?;
        for (order, status) in [
            (paid, OrderStatus::Paid),
            (shipped, OrderStatus::Paid),
            (shipped, OrderStatus::Shipped),
        ] {
            orders::set_status(services, &identity(&admin), order, status).await?;
        }
        shop(services, &admin, &alice).await?;
        promote(services, &admin, &alice).await?;
        relaunch(services, &alice, &bob, &admin).await?;
    }
    if bob_is_new {
        order(services, &bob, 799).await?;
    }
    Ok(())
}

async fn account(
    services: &Services,
    email: &'static str,
    name: &str,
    role: Role,
) -> Result<(User, bool), Error> {
    let found =
        services.db.read(async move |conn| users::credentials_by_email(conn, email).await).await?;
    if let Some(found) = found {
        return Ok((found.user, false));
    }
    let new = NewAccount {
        email: email.into(),
        name: name.into(),
        password: Secret::from(PASSWORD.to_owned()),
    };
    let (db, passwords) = (&services.db, &services.passwords);
    let user = accounts::add_user(db, passwords, PasswordHasher::SELF, new, role).await?;
    Ok((user, true))
}

async fn order(services: &Services, customer: &User, minor: i64) -> Result<OrderId, Error> {
    let new =
        NewOrder { content: OrderContent::Total(Money::from_minor(minor)), customer_id: None };
    orders::create(services, &identity(customer), new, Once::Unkeyed)
        .await
        .map(|order| order.order.id)
}

/// Creates products, one with a low stock and one sold out, and an order.
async fn shop(services: &Services, admin: &User, customer: &User) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (name, description, minor, stock, ordered) in [
        ("Teacup", "White, with a blue rim", 800, 0, 0),
        ("Honey", "From the lime trees behind the house", 675, 3, 0),
        ("Teapot", "Holds one litre", 3_990, 12, 1),
        ("Ceylon tea", "A hundred grams", 1_250, 40, 2),
    ] {
        let price = Money::from_minor(minor);
        let new = NewProduct {
            name: name.into(),
            description: Some(description.into()),
            price,
            stock,
            low_stock_threshold: 5,
        };
        let product_id = products::create(services, &identity(admin), new, Once::Unkeyed).await?.id;
        if ordered > 0 {
            lines.push(OrderLine { product_id, quantity: ordered });
        }
    }
    let new = NewOrder { content: OrderContent::Items(lines, None), customer_id: None };
    orders::create(services, &identity(customer), new, Once::Unkeyed).await.map(|_| ())
}

async fn promote(services: &Services, admin: &User, customer: &User) -> Result<(), Error> {
    let notice = Notice {
        kind: NotificationType::Promotion,
        title: "Welcome".into(),
        message: "Your first three orders are sent free of charge.".into(),
        data: None,
    };
    let new = NewNotification { receivers: Receivers::User(customer.id), notice };
    notifications::create(services, &identity(admin), new, Once::Unkeyed).await.map(|_| ())
}

/// Creates a project with a completed stage, and a conversation about it.
async fn relaunch(
    services: &Services,
    alice: &User,
    bob: &User,
    admin: &User,
) -> Result<(), Error> {
    let (owner, description) =
        (identity(alice), "A new face for the shop, before the holidays".to_owned());
    let new = NewProject { name: "Website relaunch".into(), description: Some(description) };
    let project = projects::create(services, &owner, new, Once::Unkeyed).await?.id;
    // Nobody is there to accept an invitation.
    let adding = Identity { role: Role::Admin, ..owner };
    for member in [bob, admin] {
        projects::add_member(services, &adding, project, member.id, Once::Unkeyed).await?;
    }
    let design = stages::add(services, &owner, project, "Design".into(), Once::Unkeyed).await?.id;
    for later in ["Build", "Launch"] {
        stages::add(services, &owner, project, later.into(), Once::Unkeyed).await?;
    }
    stages::complete(services, &identity(bob), project, design, Once::Unkeyed).await?;

    let new = NewConversation {
        title: Some("Relaunch".into()),
        project_id: Some(project),
        member_ids: None,
    };
    let conversation =
        conversations::create(services, &owner, new, Once::Unkeyed).await?.conversation.id;
    for (sender, content) in [
        (alice, "Hello Bob! Is the design ready?"),
        (bob, "It is. I have just completed that stage."),
        (alice, "Lovely. Then we begin to build tomorrow."),
    ] {
        let new =
            NewMessage { content: content.into(), kind: messages::TEXT.into(), client_id: None };
        messages::send(services, &identity(sender), conversation, new, Once::Unkeyed).await?;
    }
    Ok(())
}

fn identity(user: &User) -> Identity {
    Identity { user: user.id, role: user.role, expires_at: Timestamp::now() }
}
