//! Adding, changing and removing users.
//!
//! Invariant: whoever may not update users changes of themselves what others see, the address apart, and the password by giving
//! the one before; anything more is refused whole.

use std::time::Duration;

use serde_json::json;

use super::{
    view::UserView,
    wanted::{Given, Wanted},
};
use crate::{
    base::id::{GroupId, UserId},
    identity::login::LoginError,
    model::{
        link::LinkKind,
        search::{GroupIs, Page},
        user::{Email, User},
    },
    registry::{
        groups,
        lives::{self, OwnChange},
        users::{self as verbs, Change, NewUser, PeopleError},
    },
    web::{
        letters::Sent,
        rest::{
            error::RestError,
            kind::project,
            operation::{Answer, Answering, Ask},
            permission::Permission,
        },
    },
};

/// The user that an id in the path means.
pub(in crate::web::rest::resource) async fn find(ask: &Ask<'_>, id: &str) -> Result<User, RestError> {
    let user = ask.user_id(id)?;
    ask.store().find_user(&user).await?.ok_or_else(|| RestError::no_entity(id))
}

fn new_user(id: Option<UserId>, wanted: &Wanted) -> Result<NewUser, RestError> {
    let login = wanted.login.clone().ok_or_else(|| RestError::bad_field("login", "is missing"))?;
    // The administrator vouches for the address, unless they say otherwise.
    let verified = wanted.verified.unwrap_or(true);
    Ok(NewUser {
        id,
        name: wanted.name.clone().unwrap_or_else(|| login.clone()),
        login,
        email: wanted.email.clone().flatten().map(|address| Email { address, verified }),
        password: None,
        administrator: wanted.administrator.unwrap_or(false),
        groups: wanted.groups.clone().unwrap_or_default(),
    })
}

pub(super) fn add<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let input = ask.input();
        let id = input.text("id")?.filter(|id| !id.is_empty()).map(UserId::parse).transpose();
        let id = id.map_err(|error| RestError::bad_field("id", format!("is not usable: {error}")))?;
        let mut wanted = Wanted::read(input)?;
        without_everybody(ask, &mut wanted).await?;
        let mut new = new_user(id, &wanted)?;
        if let Some(given) = &wanted.password {
            let once = wanted.must_change.unwrap_or(false);
            new.password = Some(given.hashed(once, ask.control.hasher.as_ref()).await?);
        }
        let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
        let user = verbs::add(ask.store().as_ref(), new, clock, random).await?;
        let rest = Wanted {
            avatar_url: wanted.avatar_url,
            locale: wanted.locale,
            banned: wanted.banned,
            ban_reason: wanted.ban_reason,
            ban_badge: wanted.ban_badge,
            ..Wanted::default()
        };
        let rest = rest.other_than(&user, &ask.caller.snapshot.desk.hub_url);
        if let Err(error) = carry_out(ask, &user, rest).await {
            // Whoever is refused finds nobody made.
            verbs::remove(ask.store().as_ref(), &user.id, clock).await?;
            return Err(error);
        }
        let user = find(ask, user.id.as_str()).await?;
        Ok(ask.one(&UserView::one(&user, ask).await?))
    })
}

pub(super) fn update<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let wanted = Wanted::read(ask.input())?;
        let user = change(ask, ask.id(0), wanted).await?;
        Ok(ask.updated(&UserView::one(&user, ask).await?))
    })
}

/// Changes the user of this id in what differs. Returns it as it is then.
pub(in crate::web::rest::resource) async fn change(
    ask: &Ask<'_>,
    id: &str,
    mut wanted: Wanted,
) -> Result<User, RestError> {
    let user = find(ask, id).await?;
    without_everybody(ask, &mut wanted).await?;
    let wanted = wanted.other_than(&user, &ask.caller.snapshot.desk.hub_url);
    if ask.may(Permission::UserUpdate) {
        carry_out(ask, &user, wanted).await?;
    } else {
        carry_out_own(ask, &user, wanted).await?;
    }
    find(ask, user.id.as_str()).await
}

/// Everybody is in the group of all users: a client that sends back where a user is has read it there.
async fn without_everybody(ask: &Ask<'_>, wanted: &mut Wanted) -> Result<(), RestError> {
    if let Some(groups) = wanted.groups.as_mut().filter(|groups| !groups.is_empty()) {
        let everybody = ask.store().find_groups(&GroupIs::AllUsers.into(), &[], Page::first(1)).await?.items;
        groups.retain(|id| everybody.iter().all(|group| group.id != *id));
    }
    Ok(())
}

/// What an administrator wants. The password comes last, when nothing else can be refused.
async fn carry_out(ask: &Ask<'_>, user: &User, wanted: Wanted) -> Result<(), RestError> {
    let (store, clock) = (ask.store(), ask.control.clock.as_ref());
    let store = store.as_ref();
    let password = match &wanted.password {
        Some(given) => {
            Some(given.hashed(wanted.must_change.unwrap_or(false), ask.control.hasher.as_ref()).await?)
        }
        None if wanted.must_change == Some(true) => {
            return Err(RestError::bad_field("forceChangePassword", "comes with a password"));
        }
        None => None,
    };
    if wanted.changes_the_user() {
        let before = user.email.as_ref();
        let email = match (&wanted.email, wanted.verified) {
            (Some(address), verified) => {
                let verified = verified.unwrap_or(true);
                Some(address.clone().map(|address| Email { address, verified }))
            }
            (None, Some(verified)) => before.map(|email| Some(Email { verified, ..email.clone() })),
            (None, None) => None,
        };
        let change = Change {
            login: wanted.login,
            name: wanted.name,
            email,
            administrator: wanted.administrator,
            avatar_url: wanted.avatar_url,
            locale: wanted.locale,
        };
        verbs::change(store, &user.id, change, clock).await?;
    }
    if let Some(groups) = wanted.groups {
        groups::set_all(store, &user.id, groups, clock).await?;
    }
    let ban = user.ban.as_ref();
    let stays = wanted.banned.unwrap_or(ban.is_some());
    if !stays && wanted.banned.is_some() {
        verbs::unban(store, &user.id, clock).await?;
    } else if stays && (wanted.banned.is_some() || wanted.ban_reason.is_some() || wanted.ban_badge.is_some())
    {
        let reason = wanted.ban_reason.or_else(|| ban.map(|ban| ban.reason.clone())).unwrap_or_default();
        let badge = wanted.ban_badge.or_else(|| ban.map(|ban| ban.badge.clone())).unwrap_or_default();
        verbs::ban_with_badge(store, &user.id, (&reason, &badge), clock).await?;
    }
    if password.is_some() {
        let user = verbs::set_password(store, &user.id, password, clock).await?;
        ask.tell_password_changed(&user);
    }
    Ok(())
}

/// What one wants of oneself.
async fn carry_out_own(ask: &Ask<'_>, user: &User, wanted: Wanted) -> Result<(), RestError> {
    if !ask.may(Permission::SelfUpdate) {
        return Err(RestError::forbidden("this needs the permission Update Self"));
    }
    if let Some(field) = wanted.beyond_oneself() {
        return Err(RestError::forbidden(format!("the field {field} is not changed by oneself")));
    }
    // Whoever has the address gets the password, by a letter: a token alone must not lead there.
    if wanted.email.is_some() {
        let text = "one's own e-mail address is changed on the page of one's account, where the password is asked for";
        return Err(RestError::forbidden(text));
    }
    if wanted.password.as_ref().is_some_and(Given::is_hash) {
        return Err(RestError::forbidden("a hash in place of a password is not set by oneself"));
    }
    let (store, clock) = (ask.store(), ask.control.clock.as_ref());
    let password = match &wanted.password {
        Some(given) => {
            let old = given.old.as_ref().ok_or_else(|| {
                RestError::bad_field(
                    "oldValue",
                    "is missing: whoever changes their password gives the one before",
                )
            })?;
            // Counted as a sign-in is, so that nobody guesses here.
            let known = ask.control.logins.authenticate(user.id.as_str(), old, ask.caller.source).await;
            match known {
                Ok(known) if known.id == user.id => {}
                // The password is what is asked for here.
                Err(LoginError::SecondStep(known)) if known.user == user.id => {}
                Ok(_) | Err(LoginError::Credentials | LoginError::SecondStep(_)) => {
                    return Err(RestError::bad_field("oldValue", "is not the password"));
                }
                Err(LoginError::Store(error)) => return Err(error.into()),
                Err(LoginError::Throttled(wait) | LoginError::Busy(wait)) => {
                    return Err(RestError::later("too many passwords are being looked at; try again", wait));
                }
            }
            Some(given.hashed(false, ask.control.hasher.as_ref()).await?)
        }
        None => None,
    };
    if wanted.changes_the_user() {
        let change = OwnChange {
            name: wanted.name,
            email: None,
            avatar_url: wanted.avatar_url,
            locale: wanted.locale,
        };
        lives::change_own(store.as_ref(), &user.id, change, clock).await?;
    }
    if password.is_some() {
        if user.declared {
            return Err(PeopleError::Declared(user.login.clone()).into());
        }
        let user = verbs::set_password(store.as_ref(), &user.id, password, clock).await?;
        ask.tell_password_changed(&user);
    }
    Ok(())
}

pub(super) fn remove<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find(ask, ask.id(0)).await?;
        let (store, clock) = (ask.store(), ask.control.clock.as_ref());
        match ask.query.get("successor").filter(|id| !id.is_empty()) {
            None => verbs::remove(store.as_ref(), &user.id, clock).await?,
            Some(successor) => {
                let successor = find(ask, successor).await?;
                lives::merge(store.as_ref(), &user.id, &successor.id, clock).await?;
            }
        }
        Ok(Answer::Empty)
    })
}

/// Users that are named in a body: `{"users":[{"id"}]}` or one, `{"id"}`.
async fn named(ask: &Ask<'_>) -> Result<Vec<User>, RestError> {
    let input = ask.input();
    let mut found = Vec::new();
    match input.objects("users")? {
        Some(users) => {
            for user in users {
                found.push(find(ask, user.required("id")?).await?);
            }
        }
        None => found.push(find(ask, input.required("id")?).await?),
    }
    Ok(found)
}

pub(super) fn merge<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let mut users = named(ask).await?;
        let into = if ask.ids.is_empty() {
            if users.len() < 2 {
                return Err(RestError::bad_field("users", "names fewer than two"));
            }
            users.remove(0)
        } else {
            find(ask, ask.id(0)).await?
        };
        for user in &users {
            lives::merge(ask.store().as_ref(), &user.id, &into.id, ask.control.clock.as_ref()).await?;
        }
        let into = find(ask, into.id.as_str()).await?;
        Ok(ask.updated(&UserView::one(&into, ask).await?))
    })
}

pub(super) fn erase<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find(ask, ask.id(0)).await?;
        let erased = lives::erase(ask.store().as_ref(), &user.id, ask.control.clock.as_ref()).await?;
        Ok(ask.updated(&UserView::one(&erased, ask).await?))
    })
}

/// Sends a link that confirms the address.
pub(super) fn verify_contact<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find(ask, ask.id(0)).await?;
        if user.email.as_ref().is_none_or(|email| email.verified) {
            return Err(RestError::bad_request("there is no address that is not confirmed"));
        }
        match ask.mail_link(&user, LinkKind::Address).await? {
            Sent::Posted => Ok(Answer::Empty),
            Sent::NoMail => Err(RestError::bad_request("the gateway has no mail server")),
            Sent::NotForThem => Err(RestError::bad_request("this user gets no such link")),
            Sent::TooMany => Err(RestError::later(
                "this user was sent as many links as there may be; try again later",
                Duration::from_secs(1200),
            )),
        }
    })
}

pub(super) fn invite<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let mut wanted = Wanted::read(ask.input())?;
        let parameter =
            |name: &str| ask.query.get(name).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        if wanted.email.is_none() {
            wanted.email = parameter("email").map(Some);
        }
        if wanted.login.is_none() {
            wanted.login = wanted.email.clone().flatten();
        }
        if let Some(group) = parameter("group") {
            let group = GroupId::parse(&group)
                .map_err(|_| RestError::bad_parameter("group", "is no id of a group"))?;
            wanted.groups.get_or_insert_default().push(group);
        }
        without_everybody(ask, &mut wanted).await?;
        let new = new_user(None, &wanted)?;
        let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
        let store = ask.store();
        let by_mail = match ask.query.get("send") {
            Some("false") => false,
            None | Some("" | "true") => ask.control.mailer.is_ready() && new.email.is_some(),
            Some(_) => return Err(RestError::bad_parameter("send", "is neither true nor false")),
        };
        if by_mail {
            let user = verbs::add(store.as_ref(), new, clock, random).await?;
            ask.mail_link(&user, LinkKind::Invitation).await?;
            return Ok(ask.one(&UserView::one(&user, ask).await?));
        }
        let (user, password) =
            lives::invite(store.as_ref(), new, ask.control.hasher.as_ref(), clock, random).await?;
        let mut shown = project(&UserView::one(&user, ask).await?, &ask.fields);
        // Whoever invites hands both over. Only here, and only once.
        if let Some(members) = shown.as_object_mut() {
            members.insert("password".to_owned(), json!(password.expose()));
            let page = format!("{}/auth/login", ask.caller.snapshot.desk.hub_url);
            members.insert("inviteUrl".to_owned(), json!(page));
        }
        Ok(Answer::Json(shown))
    })
}
