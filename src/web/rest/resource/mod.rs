//! What REST shows and changes, a file per kind. Each has its kinds, its list of operations, and what carries them out.

pub(super) mod authmodules;
pub(super) mod avatar;
pub(super) mod credentials;
pub(super) mod events;
pub(super) mod granted;
pub(super) mod permissions;
pub(super) mod redirects;
pub(super) mod services;
pub(super) mod settings;
pub(super) mod userdetails;
pub(super) mod usergroups;
pub(super) mod users;
