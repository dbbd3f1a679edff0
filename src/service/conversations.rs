//! Conversations: making and reading them, their members, and how far each has read. For members
//! only; members are the owner's matter.

use super::permissions::{Action, Standing, permit};
use super::{Page, Services, projects, put_out};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, Room};
use crate::model::fields::{self, Fields};
use crate::model::{
    Conversation, ConversationDetail, ConversationId, ConversationSummary, ConversationWithMembers,
    Member, MessageId, ProjectId, Reading, UserId,
};
use crate::store::{
    Once, Tx, conversations as rows, is_taken, messages, projects as project_rows, users,
};

/// A conversation to be made.
pub struct NewConversation {
    pub title: Option<String>,
    pub project_id: Option<ProjectId>,
    /// Who is in it beside the caller. None: nobody, or all of the project.
    pub member_ids: Option<Vec<UserId>>,
}

impl NewConversation {
    /// From `{title?, projectId?, memberIds?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let title = fields.optional("title", fields::filled);
        let project = fields.optional("projectId", fields::id);
        let members = fields.optional("memberIds", fields::ids);
        fields.end(|| Some(Self { title: title?, project_id: project?, member_ids: members? }))
    }
}

/// The message up to which was read, from `{messageId}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_mark(mut fields: Fields<'_>) -> Result<MessageId, Error> {
    let message = fields.required("messageId", fields::id);
    fields.end(|| message)
}

/// As [`read_mark`], from a socket's `{conversationId, messageId}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_mark_event(mut fields: Fields<'_>) -> Result<(ConversationId, MessageId), Error> {
    let conversation = fields.required("conversationId", fields::id);
    let message = fields.required("messageId", fields::id);
    fields.end(|| Some((conversation?, message?)))
}

/// Makes a conversation of the caller's, who is its owner and a member.
///
/// # Errors
/// [`Error::NotFound`] for a project in which the caller is not, [`Error::Faults`] for members who
/// cannot be.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewConversation,
    once: Once,
) -> Result<ConversationWithMembers, Error> {
    permit(caller, Action::MakeConversation, Standing::STRANGER)?;
    let (identity, caller) = (*caller, caller.user);
    let write = async move |tx: &mut Tx| {
        if let Some(project) = new.project_id {
            projects::hold(tx, &identity, project, Action::ReadProject, None).await?;
        }
        let conversation = rows::insert(tx, caller, new.title, new.project_id).await?;
        let among = new.member_ids.map(|mut ids| {
            if !ids.contains(&caller) {
                ids.push(caller);
            }
            ids
        });
        let (added, whom) = match (new.project_id, &among) {
            (Some(project), among) => {
                let added =
                    rows::add_project_members(tx, conversation.id, project, among.as_deref())
                        .await?;
                (added, "memberIds must refer to members of the project")
            }
            (None, Some(among)) => (
                rows::add_users(tx, conversation.id, among).await?,
                "memberIds must refer to existing users",
            ),
            (None, None) => (rows::add_users(tx, conversation.id, &[caller]).await?, ""),
        };
        if among.is_some_and(|among| among.len() != added) {
            return Err(Error::Faults(vec![whom.into()]));
        }
        let members = rows::members(tx.conn(), conversation.id).await?;
        Ok(ConversationWithMembers { conversation, members })
    };
    services.db.write(once, write).await
}

/// The caller's conversations: at most `limit` of those before `before`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<ConversationId>,
) -> Result<Page<ConversationSummary>, Error> {
    // Only those in which the caller is are asked for.
    permit(caller, Action::ReadConversation, Standing::member(true))?;
    let asked = rows::ConversationPage {
        member: caller.user,
        before,
        limit: Page::<ConversationSummary>::ask(limit),
    };
    let items = services.db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::of(items, limit))
}

/// One conversation, with its members.
///
/// # Errors
/// [`Error::NotFound`], also for one in which the caller is not.
pub async fn get(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
) -> Result<ConversationDetail, Error> {
    let user = caller.user;
    let read = services.db.read(async move |conn| {
        let Some(summary) = rows::by_id(conn, id, user).await? else { return Ok(None) };
        Ok(Some(ConversationDetail { summary, members: rows::members(conn, id).await? }))
    });
    let found = read.await?.ok_or_else(|| not_found(id))?;
    let is_member = found.members.iter().any(|member| member.user_id == user);
    permit(caller, Action::ReadConversation, Standing::member(is_member))
        .map_err(|denied| denied.or(|| not_found(id)))?;
    Ok(found)
}

/// Adds a member. The owner only; to a project's conversation, members of the project only.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Faults`] for a user who cannot be a member,
/// [`Error::Conflict`] for one who is.
pub async fn add_member(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    user: UserId,
    once: Once,
) -> Result<Member, Error> {
    let caller = *caller;
    let write = async move |tx: &mut Tx| {
        // The project is held before the conversation, as where a member of the project is removed:
        // so one of the two sees the other.
        if let Some(project) = rows::project_of(tx.conn(), id).await? {
            project_rows::touch(tx, project).await?;
        }
        let conversation = hold(tx, &caller, id, Action::AddConversationMember, None).await?;
        let fault = |text: &str| Error::Faults(vec![text.into()]);
        let found = users::by_id(tx.conn(), user).await?;
        let name = found.ok_or_else(|| fault("userId must refer to an existing user"))?.name;
        if let Some(project) = conversation.project_id
            && !project_rows::is_member(tx.conn(), project, user).await?
        {
            return Err(fault("userId must refer to a member of the project"));
        }
        let joined_at = rows::add_member(tx, id, user).await.map_err(|error| {
            if is_taken(&error) {
                Error::Conflict(format!("User {user} is already a member"))
            } else {
                error.into()
            }
        })?;
        Ok(Member { user_id: user, name, joined_at })
    };
    services.db.write(once, write).await
}

/// Removes a member, and puts it out of the room. The owner may, and the member itself.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`] for the owner.
pub async fn remove_member(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    user: UserId,
) -> Result<(), Error> {
    let (caller, hub) = (*caller, services.hub.clone());
    let write = async move |tx: &mut Tx| {
        let conversation =
            hold(tx, &caller, id, Action::RemoveConversationMember, Some(user)).await?;
        if conversation.owner_id == Some(user) {
            return Err(Error::Conflict("The owner cannot be removed".into()));
        }
        if rows::remove_member(tx, &[id], user).await? == 0 {
            return Err(Error::NotFound(format!("Member with ID {user} not found")));
        }
        put_out(tx, hub, user, vec![Room::Conversation(id)]).await?;
        Ok(())
    };
    services.db.write(Once::No, write).await
}

/// Notes that the caller has read up to that message, and tells the room, unless it had read as far
/// before.
///
/// # Errors
/// [`Error::NotFound`] for the conversation or the message.
pub async fn mark_read(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    message: MessageId,
    once: Once,
) -> Result<Reading, Error> {
    let (caller, user) = (*caller, caller.user);
    let write = async move |tx: &mut Tx| {
        let standing = Standing::member(rows::is_member(tx.conn(), id, user).await?);
        permit(&caller, Action::SpeakInConversation, standing)
            .map_err(|denied| denied.or(|| not_found(id)))?;
        let missing = || Error::NotFound(format!("Message with ID {message} not found"));
        let seq = messages::seq(tx.conn(), id, message).await?.ok_or_else(missing)?;
        let moved = rows::mark_read(tx, id, user, seq).await?;
        let unread = rows::unread(tx.conn(), user, &[id]).await?;
        let unread_count = unread.get(&id).copied().unwrap_or_default();
        let reading =
            Reading { conversation_id: id, user_id: user, message_id: message, unread_count };
        if moved {
            tx.emit(event::conversation_read(&reading));
        }
        Ok(reading)
    };
    services.db.write(once, write).await
}

/// The conversation, to do that with it: it, and who its members are, stay as they are until the
/// commit. `user`: whom it is about, if that counts.
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
    let standing = Standing::own(own).and(Standing::member(is_member)).and(Standing::owner(owner));
    permit(caller, action, standing).map_err(|denied| denied.or(|| not_found(id)))?;
    Ok(conversation)
}

pub(super) fn not_found(id: ConversationId) -> Error {
    Error::NotFound(format!("Conversation with ID {id} not found"))
}
