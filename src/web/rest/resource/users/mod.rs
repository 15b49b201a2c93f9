//! `users`: people (hub-contract section 10.2).

mod change;
mod data;
mod find;
mod groups;
mod operations;
mod view;
mod wanted;

use self::wanted::Wanted;
pub(in crate::web::rest::resource) use self::{
    change::{change as change_user, find as find_user},
    find::{filter as user_filter, matching, order as user_order, page as user_page},
    groups::set as set_member,
};
pub(in crate::web::rest) use self::{
    find::part as filter_of,
    operations::OPERATIONS,
    view::{USER, UserView},
};
use super::super::{error::RestError, input::Input};

/// What a body of `userdetails` says of a user.
pub(in crate::web::rest::resource) fn wanted_details(input: Input<'_>) -> Result<Wanted, RestError> {
    let mut wanted = Wanted::default();
    wanted.details(input)?;
    Ok(wanted)
}
