//! What can be done with users, each with who may.

use http::Method;

use super::{
    change::{add, erase, find as find_user, invite, merge, remove, update, verify_contact},
    data::{DATA, data},
    find::list,
    groups::{groups, join, leave, member_of, transitive_groups, transitive_member_of},
    view::{USER, UserView},
};
use crate::web::rest::{
    error::RestError,
    operation::{Answering, Ask, Gives, Handler, Need, Operation, Takes},
    permission::Permission,
    resource::usergroups::GROUP,
};

/// What is read.
const fn read(
    path: &'static str,
    summary: &'static str,
    need: Need,
    gives: Gives,
    handler: Handler,
) -> Operation {
    let (method, takes, parameters) = (Method::GET, Takes::Nothing, &[]);
    Operation { method, path, summary, need, takes, gives, parameters, handler }
}

/// What is posted.
const fn post(
    path: &'static str,
    summary: &'static str,
    need: Need,
    (takes, gives): (Takes, Gives),
    handler: Handler,
) -> Operation {
    Operation { method: Method::POST, path, summary, need, takes, gives, parameters: &[], handler }
}

const SELF_OR_READ: Need = Need::SelfOr(Permission::UserRead);
const UPDATE: Need = Need::May(Permission::UserUpdate);
const DELETE: Need = Need::May(Permission::UserDelete);
const A_USER: Takes = Takes::Object(&USER);

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    read("users", "Users", Need::May(Permission::UserReadBasic), Gives::Page(&USER), list),
    post(
        "users",
        "Add a user, with a password as text or in `details`",
        Need::May(Permission::UserCreate),
        (A_USER, Gives::Object(&USER)),
        add,
    ),
    read(
        "users/guest",
        "The user for requests that nobody has signed in for",
        Need::Known,
        Gives::Object(&USER),
        guest,
    ),
    Operation {
        method: Method::POST,
        path: "users/invite",
        summary: "Add a user and send a link by mail; without mail, with a password for one sign-in that this answer alone shows",
        need: Need::May(Permission::UserCreate),
        takes: A_USER,
        gives: Gives::Object(&USER),
        parameters: &[
            ("email", "The address, where the body has none; the login too, where there is none."),
            ("group", "The id of a group to put the user into."),
            ("send", "`false`: no mail is sent, and the answer shows the password for one sign-in."),
        ],
        handler: invite,
    },
    post(
        "users/merge",
        "Merge the named users into the first of them",
        DELETE,
        (Takes::Object(&super::data::SEVERAL), Gives::Updated(&USER)),
        merge,
    ),
    read(
        "users/{id}",
        "A user; `me` is who asks",
        Need::SelfOr(Permission::UserReadBasic),
        Gives::Object(&USER),
        one,
    ),
    post(
        "users/{id}",
        "Change a user, ban it, give it a password; who changes themselves changes what others see",
        Need::SelfOr(Permission::UserUpdate),
        (A_USER, Gives::Updated(&USER)),
        update,
    ),
    Operation {
        method: Method::DELETE,
        path: "users/{id}",
        summary: "Remove a user; every token of its is dead",
        need: DELETE,
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[("successor", "The user who takes over the groups. Rights and tokens do not move.")],
        handler: remove,
    },
    post(
        "users/{id}/merge",
        "Remove the named users, whose groups this one takes over",
        DELETE,
        (Takes::Object(&super::data::SEVERAL), Gives::Updated(&USER)),
        merge,
    ),
    read("users/{id}/data", "All that is kept about a user", SELF_OR_READ, Gives::Object(&DATA), data),
    post(
        "users/{id}/data/erase",
        "Take everything out that tells whose account it was",
        DELETE,
        (Takes::Nothing, Gives::Updated(&USER)),
        erase,
    ),
    post(
        "users/{id}/verifyContact",
        "Send a link that confirms the e-mail address",
        Need::SelfOr(Permission::UserUpdate),
        (Takes::Nothing, Gives::Nothing),
        verify_contact,
    ),
    read(
        "users/{id}/groups",
        "The groups that a user was put into",
        SELF_OR_READ,
        Gives::Page(&GROUP),
        groups,
    ),
    post(
        "users/{id}/groups",
        "Put a user into a group",
        UPDATE,
        (Takes::Object(&GROUP), Gives::Updated(&GROUP)),
        join,
    ),
    read(
        "users/{id}/groups/{group}",
        "A group that a user was put into",
        SELF_OR_READ,
        Gives::Object(&GROUP),
        member_of,
    ),
    Operation {
        method: Method::DELETE,
        path: "users/{id}/groups/{group}",
        summary: "Take a user out of a group",
        need: UPDATE,
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: leave,
    },
    read(
        "users/{id}/transitivegroups",
        "The groups of a user, those above them and that of all users",
        SELF_OR_READ,
        Gives::Page(&GROUP),
        transitive_groups,
    ),
    read(
        "users/{id}/transitivegroups/{group}",
        "A group of a user, one above it, or that of all users",
        SELF_OR_READ,
        Gives::Object(&GROUP),
        transitive_member_of,
    ),
];

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_user(ask, ask.id(0)).await?;
        Ok(ask.one(&UserView::one(&user, ask).await?))
    })
}

fn guest<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let guest = ask.store().find_guest().await?.ok_or_else(|| RestError::no_entity("guest"))?;
        Ok(ask.one(&UserView::one(&guest, ask).await?))
    })
}
