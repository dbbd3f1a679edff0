//! Conversations: creating and reading them, their members, and each member's read mark. For
//! members only; the owner adds and removes members.

use super::permissions::{Action, Relation, permit};
use super::{Page, Services, invitations, projects, quotas, remove_from_rooms};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, Joinable, Room};
use crate::model::fields::{self, Fields};
use crate::model::{
    Added, Conversation, ConversationDetail, ConversationId, ConversationSummary,
    ConversationWithMembers, InvitedUser, Member, MessageId, ProjectId, ReadMark, UserId,
};
use crate::store::{
    Conn, Once, Tx, conversations as rows, is_taken, members, messages, projects as project_rows,
    users,
};

/// The most members that a new conversation begins with.
const MAX_AT_ONCE: usize = 250;

/// A conversation to create.
pub struct NewConversation {
    pub title: Option<String>,
    pub project_id: Option<ProjectId>,
    /// The members beside the caller. If `None`, all members of the project, or nobody without one.
    pub member_ids: Option<Vec<UserId>>,
}

impl NewConversation {
    /// Reads `{title?, projectId?, memberIds?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let title = fields.optional("title", fields::non_empty_title);
        let project = fields.optional("projectId", fields::id);
        let members = fields.optional("memberIds", fields::ids_at_most(MAX_AT_ONCE));
        fields.finish(|| Some(Self { title: title?, project_id: project?, member_ids: members? }))
    }

    /// The most bytes that the invitations take.
    fn invitation_bytes(&self, asks: bool) -> usize {
        let title = self.title.as_deref().map_or(0, fields::json_len);
        let count = self.member_ids.as_ref().filter(|_| asks).map_or(0, Vec::len);
        count * (invitations::INVITATION_BYTES + title)
    }
}

/// Reads the id of the newest message that was read, from `{messageId}`.
pub fn read_mark(mut fields: Fields<'_>) -> Result<MessageId, Error> {
    let message = fields.required("messageId", fields::id);
    fields.finish(|| message)
}

/// Like [`read_mark`], from the client event's `{conversationId, messageId}`.
pub fn read_mark_event(mut fields: Fields<'_>) -> Result<(ConversationId, MessageId), Error> {
    let conversation = fields.required("conversationId", fields::id);
    let message = fields.required("messageId", fields::id);
    fields.finish(|| Some((conversation?, message?)))
}

/// Creates a conversation. The caller is its owner and a member. The others are members too, or are
/// invited; a project's members are never invited to its conversations.
///
/// # Errors
/// [`Error::NotFound`] if the caller is not a member of the project, [`Error::Faults`] for members
/// that do not exist, that have blocked the caller, or that are not in the project;
/// [`Error::Conflict`] for too many invitations.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewConversation,
    once: Once,
) -> Result<ConversationWithMembers, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::MakeConversation, Relation::NONE)?;
    let title = new.title.as_deref().map_or(0, fields::json_len);
    services.publish_limits.admit(caller, 1, title)?;
    let (rules, asks) = (services.adding, services.adding.asks(caller));
    let bytes = new.invitation_bytes(asks);
    let (identity, caller, quotas) = (*caller, caller.user, services.quotas);
    let once = match new.project_id {
        Some(project) => once.checked(projects::recheck(&identity, project, Action::ReadProject)),
        None => once,
    };
    let write = async move |tx: &mut Tx| {
        quotas.check(tx, &identity, quotas::Added::Conversation).await?;
        if let Some(project) = new.project_id {
            projects::hold(tx, &identity, project, Action::ReadProject, None).await?;
        }
        let conversation = rows::insert(tx, caller, new.title, new.project_id).await?;
        let mut invited = Vec::new();
        let among = new.member_ids.map(|mut ids| {
            ids.retain(|id| *id != caller);
            if asks && new.project_id.is_none() {
                invited = std::mem::take(&mut ids);
            }
            ids.push(caller);
            ids
        });
        let (added, fault) = match (new.project_id, &among) {
            (Some(project), among) => {
                let added =
                    rows::add_project_members(tx, conversation.id, project, among.as_deref())
                        .await?;
                (added, "memberIds must refer to members of the project")
            }
            (None, Some(among)) => {
                let blockers = invitations::blockers(tx, &identity, among).await?;
                let open: Vec<UserId> =
                    among.iter().copied().filter(|user| !blockers.contains(user)).collect();
                let added = rows::add_users(tx, conversation.id, &open).await?;
                (added, "memberIds must refer to existing users")
            }
            (None, None) => (rows::add_users(tx, conversation.id, &[caller]).await?, ""),
        };
        if among.is_some_and(|among| among.len() != added) {
            return Err(Error::Faults(vec![fault.into()]));
        }
        quotas.check_members(&identity, 0, added)?;
        let room = Joinable::Conversation(conversation.id);
        invitations::invite(tx, caller, room, &invited, rules).await?;
        let (listed, member_count) =
            members::first_of_conversation(tx.conn(), conversation.id).await?;
        Ok(ConversationWithMembers { conversation, members: listed, member_count, invited })
    };
    db.write_large(once, bytes, write).await
}

/// Lists the caller's conversations: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<ConversationId>,
) -> Result<Page<ConversationSummary>, Error> {
    let db = services.db_of(caller);
    // The query returns only conversations of which the caller is a member.
    permit(caller, Action::ReadConversation, Relation::member(true))?;
    let asked = rows::ConversationPage {
        member: caller.user,
        before,
        limit: Page::<ConversationSummary>::query_limit(limit),
    };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}

/// Returns one conversation, with its first members.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn get(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
) -> Result<ConversationDetail, Error> {
    let db = services.db_of(caller);
    let user = caller.user;
    let read = db.read(async move |conn| {
        // `None` also if the caller is not a member.
        let Some(summary) = rows::by_id(conn, id, user).await? else { return Ok(None) };
        let (listed, member_count) = members::first_of_conversation(conn, id).await?;
        Ok(Some(ConversationDetail { summary, members: listed, member_count }))
    });
    let found = read.await?;
    permit(caller, Action::ReadConversation, Relation::member(found.is_some()))
        .map_err(|denied| denied.into_error(|| not_found(id)))?;
    found.ok_or_else(|| not_found(id))
}

/// Lists the members, highest user id first: at most `limit`, with user ids below `before`.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn members(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    limit: u16,
    before: Option<UserId>,
) -> Result<Page<Member>, Error> {
    let db = services.db_of(caller);
    let (user, most) = (caller.user, Page::<Member>::query_limit(limit));
    let read = db.read(async move |conn| {
        let is_member = rows::is_member(conn, id, user).await?;
        let members = if is_member {
            members::of_conversation(conn, id, before, most).await?
        } else {
            Vec::new()
        };
        Ok((is_member, members))
    });
    let (is_member, members) = read.await?;
    permit(caller, Action::ReadConversation, Relation::member(is_member))
        .map_err(|denied| denied.into_error(|| not_found(id)))?;
    Ok(Page::from_rows(members, limit))
}

/// Adds a member or invites one; for the owner only. A project's conversation takes only members of
/// the project, and takes them unasked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Faults`] for a user that does not exist, has
/// blocked the caller or is not in the project, [`Error::Conflict`] for a user that is a member
/// already, and for too many invitations.
pub async fn add_member(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    user: UserId,
    once: Once,
) -> Result<Added, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, rules, asks) = (*caller, services.adding, services.adding.asks(caller));
    let (once, quotas) =
        (once.checked(recheck(&caller, id, Action::AddConversationMember)), services.quotas);
    let write = async move |tx: &mut Tx| {
        // Locks the project before the conversation, in the order of `projects::remove_member`: so
        // one of the two sees the other's change.
        if let Some(project) = rows::project_of(tx.conn(), id).await? {
            project_rows::touch(tx, project).await?;
        }
        let conversation = hold(tx, &caller, id, Action::AddConversationMember, None).await?;
        let fault = |text: &str| Error::Faults(vec![text.into()]);
        let unknown = || fault("userId must refer to an existing user");
        if conversation.project_id.is_none() {
            if asks && !rows::is_member(tx.conn(), id, user).await? {
                let room = Joinable::Conversation(id);
                invitations::invite(tx, caller.user, room, &[user], rules).await?;
                return Ok(Added::Invited(InvitedUser { user_id: user, invited: true }));
            }
            if invitations::blockers(tx, &caller, &[user]).await?.contains(&user) {
                return Err(unknown());
            }
        }
        // Before the user is looked up: the answer does not tell who exists.
        if let Some(project) = conversation.project_id
            && !project_rows::is_member(tx.conn(), project, user).await?
        {
            return Err(fault("userId must refer to a member of the project"));
        }
        let name = users::by_id(tx.conn(), user).await?.ok_or_else(unknown)?.name;
        let count = members::conversation_count(tx.conn(), id).await?;
        quotas.check_members(&caller, count, 1)?;
        let joined_at = rows::add_member(tx, id, user).await.map_err(|error| {
            if is_taken(&error) {
                Error::Conflict(format!("User {user} is already a member"))
            } else {
                error.into()
            }
        })?;
        Ok(Added::Member(Member { user_id: user, name, joined_at }))
    };
    db.write(once, write).await
}

/// Removes a member, also from the room, or takes an invitation back. The owner may do this, and
/// the member itself.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`] for the owner.
pub async fn remove_member(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    user: UserId,
) -> Result<(), Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, hub) = (*caller, services.hub.clone());
    let write = async move |tx: &mut Tx| {
        let conversation =
            hold(tx, &caller, id, Action::RemoveConversationMember, Some(user)).await?;
        if conversation.owner_id == Some(user) {
            return Err(Error::Conflict("The owner cannot be removed".into()));
        }
        if rows::remove_member(tx, &[id], user).await? == 0 {
            if invitations::withdraw(tx, Joinable::Conversation(id), user).await? {
                return Ok(());
            }
            return Err(Error::NotFound(format!("Member with ID {user} not found")));
        }
        remove_from_rooms(tx, hub, user, vec![Room::Conversation(id)]).await?;
        Ok(())
    };
    db.write(Once::Unkeyed, write).await
}

/// Moves the caller's read mark to that message, and sends `conversation:read` to the room and
/// `conversations:unread` to the caller's sockets. A mark never moves back; if it does not move, no
/// event is sent.
///
/// # Errors
/// [`Error::NotFound`] for the conversation or the message.
pub async fn mark_read(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    message: MessageId,
    once: Once,
) -> Result<ReadMark, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, user) = (*caller, caller.user);
    let once = once.checked(recheck(&caller, id, Action::WriteInConversation));
    let write = async move |tx: &mut Tx| {
        let relation = Relation::member(rows::is_member(tx.conn(), id, user).await?);
        permit(&caller, Action::WriteInConversation, relation)
            .map_err(|denied| denied.into_error(|| not_found(id)))?;
        let missing = || Error::NotFound(format!("Message with ID {message} not found"));
        let seq = messages::seq(tx.conn(), id, message).await?.ok_or_else(missing)?;
        let moved = rows::mark_read(tx, id, user, seq).await?;
        let unread_count = rows::unread(tx.conn(), user, id).await?;
        let mark =
            ReadMark { conversation_id: id, user_id: user, message_id: message, unread_count };
        if moved {
            tx.emit(event::conversation_read(&mark));
            tx.emit(event::conversation_unread(&mark));
        }
        Ok(mark)
    };
    db.write(once, write).await
}

/// Locks the conversation and its members until the commit, and checks the caller's permission.
/// `user` is the user that the action is about, if the permission depends on it.
async fn hold(
    tx: &mut Tx,
    caller: &Identity,
    id: ConversationId,
    action: Action,
    user: Option<UserId>,
) -> Result<Conversation, Error> {
    let conversation = rows::touch(tx, id).await?.ok_or_else(|| not_found(id))?;
    let is_member = rows::is_member(tx.conn(), id, caller.user).await?;
    let (own, owner) = (user == Some(caller.user), conversation.owner_id == Some(caller.user));
    let relation = Relation::own(own).and(Relation::member(is_member)).and(Relation::owner(owner));
    permit(caller, action, relation).map_err(|denied| denied.into_error(|| not_found(id)))?;
    Ok(conversation)
}

/// Checks the caller's permission once more, before a kept answer is returned.
pub(super) fn recheck(
    caller: &Identity,
    id: ConversationId,
    action: Action,
) -> impl AsyncFnOnce(&mut Conn) -> Result<(), Error> + Send + 'static {
    let caller = *caller;
    async move |conn: &mut Conn| {
        // `None` also if the caller is not a member.
        let found = rows::by_id(conn, id, caller.user).await?;
        let owner = found.as_ref().and_then(|found| found.conversation.owner_id);
        let relation =
            Relation::member(found.is_some()).and(Relation::owner(owner == Some(caller.user)));
        permit(&caller, action, relation).map_err(|denied| denied.into_error(|| not_found(id)))
    }
}

pub(super) fn not_found(id: ConversationId) -> Error {
    Error::NotFound(format!("Conversation with ID {id} not found"))
}
