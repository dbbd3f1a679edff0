//! The permissions: one table that service functions check. An action that no row allows is
//! refused.
//!
//! The thing is what an action is about: an order, a project, a conversation, and so on. A service
//! function finds the caller's [`Relation`] to it and calls [`permit`], inside its transaction if
//! the relation can change meanwhile. A caller that may not see the thing gets the error of a
//! missing thing; one that sees it but may not act gets [`Error::Forbidden`]. Where a setting
//! decides, the action carries it.

use crate::auth::Identity;
use crate::config::{Catalog, CustomerPayments};
use crate::error::Error;
use crate::model::Role;

/// Something that a caller may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Connect to `/admin`, and see the room `admin`.
    EnterAdmin,
    ReadOwnAccount,
    EndOwnTokens,
    ReadProduct,
    /// Depends on CATALOG.
    AddProduct(Catalog),
    /// Change a product's fields and its stock, or remove it.
    ChangeProduct,
    ReviewProduct,
    /// Join or leave a product's waitlist.
    JoinWaitlist,
    /// Place an order for the caller, for another user or for nobody.
    PlaceOrder,
    ReadOrder,
    /// Move an order to its next status.
    SetOrderStatus,
    /// Depends on CUSTOMER_PAYMENTS.
    PayOrder(CustomerPayments),
    /// Read, mark and delete one's own notifications.
    ManageNotifications,
    SendNotifications,
    MakeProject,
    ReadProject,
    /// Change a project's fields and its stages.
    ChangeProject,
    AddProjectMember,
    /// Make somebody a member of a conversation or a project without an invitation, where
    /// customers invite, and in spite of a block.
    AddUnasked,
    /// List, accept and refuse one's own invitations.
    AnswerInvitation,
    /// Block users, list the blocks and end them.
    ManageBlocks,
    /// Another member, or the caller.
    RemoveProjectMember,
    MakeConversation,
    ReadConversation,
    /// Send messages, type, and mark messages as read.
    WriteInConversation,
    AddConversationMember,
    /// Another member, or the caller.
    RemoveConversationMember,
    /// Join a project's or a conversation's room, keep it over a recovery, and see its presence.
    /// The user's own room needs this too.
    JoinRoom,
    /// Send events of other back ends.
    EmitEvents,
}

/// A kind of caller, by its relation to the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    /// Anyone with a valid token.
    SignedIn,
    /// The user that the thing belongs to, or is about.
    Subject,
    /// A member of the thing's project or conversation.
    Member,
    /// The user who made the thing, or took it over when its owner left.
    Owner,
    /// An admin, by the role in the token.
    Admin,
}

/// A row of the table.
struct Rule {
    /// All others get the error of a missing thing.
    visible_to: &'static [Party],
    /// Those who see the thing but are not listed here get Forbidden.
    allowed_to: &'static [Party],
}

/// The table. Each row lists first the parties that see the thing, then those that may act on it.
const fn rule(action: Action) -> Rule {
    use Party::{Admin, Member, Owner, SignedIn, Subject};
    let (visible_to, allowed_to): (&[Party], &[Party]) = match action {
        Action::EnterAdmin => (&[SignedIn], &[Admin]),
        Action::ReadOwnAccount => (&[SignedIn], &[Subject]),
        Action::EndOwnTokens => (&[SignedIn], &[Subject]),
        Action::ReadProduct => (&[SignedIn], &[SignedIn]),
        Action::AddProduct(Catalog::Anyone) => (&[SignedIn], &[SignedIn]),
        Action::AddProduct(Catalog::Admin) => (&[SignedIn], &[Admin]),
        Action::ChangeProduct => (&[SignedIn], &[Owner, Admin]),
        Action::ReviewProduct => (&[SignedIn], &[SignedIn]),
        Action::JoinWaitlist => (&[SignedIn], &[SignedIn]),
        Action::PlaceOrder => (&[SignedIn], &[Subject, Admin]),
        Action::ReadOrder => (&[Subject, Admin], &[Subject, Admin]),
        Action::SetOrderStatus => (&[SignedIn], &[Admin]),
        Action::PayOrder(CustomerPayments::On) => (&[Subject, Admin], &[Subject, Admin]),
        Action::PayOrder(CustomerPayments::Off) => (&[Subject, Admin], &[Admin]),
        Action::ManageNotifications => (&[Subject], &[Subject]),
        Action::SendNotifications => (&[SignedIn], &[Admin]),
        Action::MakeProject => (&[SignedIn], &[SignedIn]),
        Action::ReadProject => (&[Member], &[Member]),
        Action::ChangeProject => (&[Member], &[Member]),
        Action::AddProjectMember => (&[Member], &[Owner]),
        Action::AddUnasked => (&[SignedIn], &[Admin]),
        Action::AnswerInvitation => (&[Subject], &[Subject]),
        Action::ManageBlocks => (&[Subject], &[Subject]),
        Action::RemoveProjectMember => (&[Member], &[Owner, Subject]),
        Action::MakeConversation => (&[SignedIn], &[SignedIn]),
        Action::ReadConversation => (&[Member], &[Member]),
        Action::WriteInConversation => (&[Member], &[Member]),
        Action::AddConversationMember => (&[Member], &[Owner]),
        Action::RemoveConversationMember => (&[Member], &[Owner, Subject]),
        Action::JoinRoom => (&[Member, Subject], &[Member, Subject]),
        Action::EmitEvents => (&[SignedIn], &[Admin]),
    };
    Rule { visible_to, allowed_to }
}

/// The caller's relation to a thing. Role and sign-in are not part of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relation {
    own: bool,
    member: bool,
    owner: bool,
}

impl Relation {
    /// No relation, or there is no thing to relate to.
    pub const NONE: Self = Self { own: false, member: false, owner: false };

    /// The relation of a thing that belongs to the caller or is about the caller, if `own` is true.
    #[must_use]
    pub const fn own(own: bool) -> Self {
        Self { own, ..Self::NONE }
    }

    /// The relation of a member of the thing's project or conversation, if `member` is true.
    #[must_use]
    pub const fn member(member: bool) -> Self {
        Self { member, ..Self::NONE }
    }

    /// The relation of the thing's owner, if `owner` is true.
    #[must_use]
    pub const fn owner(owner: bool) -> Self {
        Self { owner, ..Self::NONE }
    }

    /// Both relations together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            own: self.own || other.own,
            member: self.member || other.member,
            owner: self.owner || other.owner,
        }
    }

    fn is(self, party: Party, role: Role) -> bool {
        match party {
            Party::SignedIn => true,
            Party::Subject => self.own,
            Party::Member => self.member,
            Party::Owner => self.owner,
            Party::Admin => role == Role::Admin,
        }
    }
}

/// The reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The caller must not learn that the thing exists.
    Hidden,
    Forbidden,
}

impl Denied {
    /// The error for the caller; `missing` makes the not-found error.
    pub fn into_error(self, missing: impl FnOnce() -> Error) -> Error {
        match self {
            Self::Hidden => missing(),
            Self::Forbidden => Error::Forbidden,
        }
    }
}

/// For things that are visible to everyone: Forbidden in both cases.
impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        denied.into_error(|| Self::Forbidden)
    }
}

/// Checks the action against the table.
pub fn permit(caller: &Identity, action: Action, relation: Relation) -> Result<(), Denied> {
    permit_role(caller.role, action, relation)
}

/// Like [`permit`], for a caller without an [`Identity`].
pub fn permit_role(role: Role, action: Action, relation: Relation) -> Result<(), Denied> {
    let Rule { visible_to, allowed_to } = rule(action);
    let any = |parties: &[Party]| parties.iter().any(|party| relation.is(*party, role));
    match (any(visible_to), any(allowed_to)) {
        (true, true) => Ok(()),
        (true, false) => Err(Denied::Forbidden),
        (false, _) => Err(Denied::Hidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UserId};

    fn caller(role: Role) -> Identity {
        Identity { user: UserId(7), role, expires_at: Timestamp::now() }
    }

    #[test]
    fn things_of_others_are_hidden_and_actions_of_some_are_forbidden() {
        let (customer, admin) = (caller(Role::Customer), caller(Role::Admin));
        assert_eq!(permit(&customer, Action::ReadOrder, Relation::own(true)), Ok(()));
        assert_eq!(permit(&customer, Action::ReadOrder, Relation::own(false)), Err(Denied::Hidden));
        assert_eq!(permit(&admin, Action::ReadOrder, Relation::NONE), Ok(()));
        assert_eq!(
            permit(&customer, Action::SetOrderStatus, Relation::own(true)),
            Err(Denied::Forbidden)
        );
        let member = Relation::member(true);
        assert_eq!(permit(&customer, Action::AddProjectMember, member), Err(Denied::Forbidden));
        assert_eq!(
            permit(&customer, Action::AddProjectMember, member.and(Relation::owner(true))),
            Ok(())
        );
        assert_eq!(permit(&admin, Action::AddProjectMember, Relation::NONE), Err(Denied::Hidden));
        let pay = |payments| permit(&customer, Action::PayOrder(payments), Relation::own(true));
        assert_eq!(pay(CustomerPayments::On), Ok(()));
        assert_eq!(pay(CustomerPayments::Off), Err(Denied::Forbidden));
        assert_eq!(permit(&admin, Action::JoinRoom, Relation::NONE), Err(Denied::Hidden));
    }
}
