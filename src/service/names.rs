//! The names of admins and of the staff, which customers may not take.

use crate::error::Error;
use crate::model::Role;
use crate::model::name_looks::{Asked, Looks};
use crate::store::{Conn, users};

/// The most admins whose names are kept from others.
const MAX_ADMINS: i64 = 1000;

/// Returns true if the name looks like an admin's or has a word of the staff, and the account is no
/// admin's.
pub(super) async fn is_reserved(conn: &mut Conn, name: &str, role: Role) -> Result<bool, Error> {
    if role == Role::Admin {
        return Ok(false);
    }
    let asked = Asked::new(name);
    if asked.looks_like_staff() {
        return Ok(true);
    }
    let names = users::admin_names(conn, MAX_ADMINS).await?;
    Ok(names.iter().any(|of_admin| asked.looks_like(&Looks::of(of_admin))))
}

/// Refuses a name that [`is_reserved`].
///
/// # Errors
/// [`Error::Conflict`], which does not say whose name it is.
pub(super) async fn check(conn: &mut Conn, name: &str, role: Role) -> Result<(), Error> {
    if is_reserved(conn, name, role).await? {
        return Err(Error::Conflict("Name is not available".into()));
    }
    Ok(())
}
