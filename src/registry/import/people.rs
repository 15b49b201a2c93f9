//! Groups and users of Hub's, as ours.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Export, Plan, State, Step,
    entry::{Wrong, called, flag, has, object, objects, once, text},
    read::Entry,
};
use crate::{
    base::{
        id::{GroupId, UserId},
        random::SystemRandom,
        time::Timestamp,
    },
    model::{
        naming,
        user::{Ban, Email, Group, User},
    },
    registry::users::{self, NewPassword, NewUser},
    store::{name::folded, people::DEEPEST_NESTING},
};

/// Characters of a description or the reason of a ban.
const LONGEST_TEXT: usize = 1000;

/// What Hub has of a group and the gateway has not.
const GROUP_ELSEWHERE: [(&str, &str); 2] = [
    ("requiredTwoFactorAuthentication", "there is no second factor here"),
    ("project", "projects are Hub's"),
];

/// What Hub has of a user and the gateway has not.
const USER_ELSEWHERE: [(&str, &str); 8] = [
    ("projectRoles", "roles are Hub's; `hubgate user update --administrator true` makes an administrator"),
    ("permanentTokens", "Hub does not tell tokens: people make new ones"),
    ("applicationPasswords", "Hub does not tell them: people make new ones"),
    ("refreshTokens", "people sign in again"),
    ("sshPublicKeys", "keys are Hub's"),
    ("VCSUserNames", "names in version control are Hub's"),
    ("licenses", "licences are Hub's"),
    ("twoFactorAuthentication", "there is no second factor here"),
];

/// Groups by Hub's id: where the members of Hub's group belong, and whom the groups of the file name.
#[derive(Default)]
pub(super) struct Groups {
    ids: BTreeMap<GroupId, GroupId>,
    /// Hub's groups that everybody is in.
    everybody: BTreeSet<GroupId>,
    members: BTreeMap<UserId, BTreeSet<GroupId>>,
}

/// Texts of Hub's that are only shown: cut to size, without what a line cannot have.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_TEXT).collect()
}

/// Plans all groups.
pub(super) fn groups(export: &Export, state: &mut State, now: Timestamp, plan: &mut Plan) -> Groups {
    let mut known = Known::default();
    let mut groups = Groups::default();
    for group in &state.groups {
        groups.ids.insert(group.id.clone(), group.id.clone());
        known.remember(group.clone());
    }
    for entry in once("group", &export.groups, plan) {
        let what = called("group", entry);
        if let Err(why) = one_group(entry, &mut known, &mut groups, now, plan) {
            plan.leave(what, why);
            continue;
        }
        let elsewhere = GROUP_ELSEWHERE.iter().filter(|(key, _)| has(entry, key));
        for (key, why) in elsewhere {
            plan.leave(what.clone(), format!("{key}: {why}"));
        }
    }
    state.groups = known.groups.into_values().collect();
    groups
}

/// Groups that are there, or will be.
#[derive(Default)]
struct Known {
    groups: BTreeMap<GroupId, Group>,
    names: BTreeMap<String, GroupId>,
}

impl Known {
    fn remember(&mut self, group: Group) {
        if let Some(before) = self.groups.get(&group.id) {
            self.names.remove(&folded(&before.name));
        }
        self.names.insert(folded(&group.name), group.id.clone());
        self.groups.insert(group.id.clone(), group);
    }
}

fn one_group(
    entry: &Entry,
    known: &mut Known,
    groups: &mut Groups,
    now: Timestamp,
    plan: &mut Plan,
) -> Result<(), Wrong> {
    let id = GroupId::parse(text(entry, "id")?.ok_or("it has no id")?).map_err(|e| e.to_string())?;
    let name = text(entry, "name")?.map(naming::normal);
    let name = name.as_deref();
    let of_name = name.and_then(|name| known.names.get(&folded(name)).cloned());
    let ours = of_name.as_ref().or(Some(&id)).and_then(|id| known.groups.get(id));
    if flag(entry, "allUsers")? == Some(true)
        || flag(entry, "implicit")? == Some(true)
        || ours.is_some_and(|group| group.all_users)
    {
        groups.everybody.insert(id);
        return Err("everybody is in it, which needs no group here".to_owned());
    }
    if let Some(name) = name {
        naming::group(name).map_err(|why| format!("its name {why}"))?;
    }
    let description = text(entry, "description")?.map(plain);
    let members = objects(entry, "users")?.into_iter().chain(objects(entry, "ownUsers")?);
    let members: Vec<UserId> =
        members.filter_map(|user| user.get("id")?.as_str().and_then(|id| UserId::parse(id).ok())).collect();
    let (parent, lost) = parent(entry, &id, known, groups)?;
    if let Some(why) = lost {
        plan.leave(called("group", entry), why);
    }
    let auto_join = flag(entry, "autoJoin")?;
    let place = match (known.groups.get(&id), of_name) {
        (None, Some(other)) if other != id => {
            // One that was made here before: its members are in it.
            plan.unchanged += 1;
            other
        }
        (_, Some(other)) if other != id => return Err("another group has its name".to_owned()),
        (Some(before), _) => {
            let after = Group {
                name: name.map_or_else(|| before.name.clone(), str::to_owned),
                description: description.or_else(|| before.description.clone()),
                parent: parent.or_else(|| before.parent.clone()),
                auto_join: auto_join.unwrap_or(before.auto_join),
                ..before.clone()
            };
            if after == *before {
                plan.unchanged += 1;
            } else {
                known.remember(after.clone());
                plan.steps.push(Step::ChangeGroup(Group { updated: now, ..after }));
            }
            id.clone()
        }
        (None, _) => {
            let name = name.ok_or("it has no name")?.to_owned();
            let group = Group {
                id: id.clone(),
                name,
                description,
                icon_url: None,
                parent,
                auto_join: auto_join.unwrap_or(false),
                all_users: false,
                created: now,
                updated: now,
            };
            known.remember(group.clone());
            plan.steps.push(Step::AddGroup(group));
            id.clone()
        }
    };
    for member in members {
        groups.members.entry(member).or_default().insert(place.clone());
    }
    groups.ids.insert(id, place);
    Ok(())
}

/// The group above, and why that is not taken over. One that comes later in the file is there the next time that the plan
/// is looked at.
fn parent(
    entry: &Entry,
    id: &GroupId,
    known: &Known,
    groups: &Groups,
) -> Result<(Option<GroupId>, Option<&'static str>), Wrong> {
    let Some(parent) = object(entry, "parent")? else { return Ok((None, None)) };
    let Some(parent) = text(parent, "id")?.and_then(|id| GroupId::parse(id).ok()) else {
        return Ok((None, None));
    };
    if groups.everybody.contains(&parent) {
        return Ok((None, None));
    }
    let Some(place) = groups.ids.get(&parent) else {
        return Ok((None, Some("parent: it is neither in the file nor here")));
    };
    let mut above = Some(place);
    for _ in 1..DEEPEST_NESTING {
        match above {
            None => return Ok((Some(place.clone()), None)),
            Some(above) if above == id => break,
            Some(group) => above = known.groups.get(group).and_then(|group| group.parent.as_ref()),
        }
    }
    Ok((None, Some("parent: the group would be below itself, or too deep")))
}

/// Plans all users.
pub(super) fn users(export: &Export, state: &mut State, groups: &Groups, now: Timestamp, plan: &mut Plan) {
    let mut people = People { known: BTreeMap::new(), names: BTreeMap::new() };
    state.users.iter().for_each(|user| people.remember(user.clone()));
    for entry in once("user", &export.users, plan) {
        let what = called("user", entry);
        match one_user(entry, &people, groups, now) {
            Err(why) => plan.leave(what, why),
            Ok((user, lost)) => {
                for why in lost {
                    plan.leave(what.clone(), why);
                }
                let step = match people.known.get(&user.id) {
                    Some(before) if *before == user => {
                        plan.unchanged += 1;
                        continue;
                    }
                    Some(_) => Step::ChangeUser(User { updated: now, ..user.clone() }),
                    None => Step::AddUser(user.clone()),
                };
                people.remember(user);
                plan.steps.push(step);
            }
        }
    }
    state.users = people.known.into_values().collect();
}

/// Who is there, or will be.
struct People {
    known: BTreeMap<UserId, User>,
    /// What somebody may type to sign in, and who is meant.
    names: BTreeMap<String, UserId>,
}

impl People {
    fn remember(&mut self, user: User) {
        let names = |user: &User| {
            let email = user.email.as_ref().map(|email| folded(&email.address));
            [Some(folded(&user.login)), Some(folded(user.id.as_str())), email].into_iter().flatten()
        };
        for name in self.known.get(&user.id).into_iter().flat_map(names) {
            self.names.remove(&name);
        }
        self.names.extend(names(&user).map(|name| (name, user.id.clone())));
        self.known.insert(user.id.clone(), user);
    }

    /// Whether `text` is what somebody else types.
    fn is_taken(&self, text: &str, by: &UserId) -> bool {
        self.names.get(&folded(text)).is_some_and(|id| id != by)
    }
}

/// The user as it should be, and what of it is lost.
fn one_user(
    entry: &Entry,
    people: &People,
    groups: &Groups,
    now: Timestamp,
) -> Result<(User, Vec<String>), Wrong> {
    let id = UserId::parse(text(entry, "id")?.ok_or("it has no id")?).map_err(|e| e.to_string())?;
    let before = people.known.get(&id);
    if flag(entry, "guest")? == Some(true) || before.is_some_and(|before| before.guest) {
        return Err("it is the guest, and the gateway has its own".to_owned());
    }
    if before.is_some_and(|before| before.declared) {
        return Err("the configuration file declares it".to_owned());
    }
    let (login, name) = (text(entry, "login")?, text(entry, "name")?);
    let mut lost = Vec::new();
    let email = email(entry, people, &id, &mut lost)?;
    let mut user = if let Some(before) = before {
        User {
            login: login.map_or_else(|| before.login.clone(), naming::normal),
            name: name.map_or_else(|| before.name.clone(), str::to_owned),
            email: email.or_else(|| before.email.clone()),
            ..before.clone()
        }
    } else {
        let login = login.ok_or("it has no login")?.to_owned();
        let name = name.map_or_else(|| login.clone(), str::to_owned);
        let (password, administrator, groups) = (None, false, Vec::new());
        let new = NewUser { id: Some(id.clone()), login, name, email, password, administrator, groups };
        users::made(new, now, &SystemRandom).map_err(|e| e.to_string())?
    };
    // What is here already may be older than the rules.
    if before.is_none_or(|before| before.login != user.login) {
        naming::login(&user.login).map_err(|why| format!("its login {why}"))?;
    }
    if before.is_none_or(|before| before.name != user.name) {
        naming::name(&user.name).map_err(|why| format!("its name {why}"))?;
    }
    if people.is_taken(&user.login, &id) || people.is_taken(id.as_str(), &id) {
        return Err("its login or id is another user's login, address or id".to_owned());
    }
    memberships(entry, &mut user, groups, &mut lost)?;
    ban(entry, &mut user, now, &mut lost)?;
    password(entry, &mut user, now, &mut lost)?;
    let elsewhere = USER_ELSEWHERE.iter().filter(|(key, _)| has(entry, key));
    lost.extend(elsewhere.map(|(key, why)| format!("{key}: {why}")));
    Ok((user, lost))
}

/// The address, which is `profile/email`.
fn email(
    entry: &Entry,
    people: &People,
    id: &UserId,
    lost: &mut Vec<String>,
) -> Result<Option<Email>, Wrong> {
    let Some(profile) = object(entry, "profile")? else { return Ok(None) };
    let Some(email) = object(profile, "email")? else { return Ok(None) };
    let (Some(address), verified) = (text(email, "email")?, flag(email, "verified")?) else {
        return Ok(None);
    };
    let address = &naming::normal(address);
    if let Err(why) = naming::email(address) {
        lost.push(format!("email: it {why}"));
        return Ok(None);
    }
    if people.is_taken(address, id) {
        lost.push("email: it is another user's login, address or id".to_owned());
        return Ok(None);
    }
    Ok(Some(Email { address: address.to_owned(), verified: verified.unwrap_or(false) }))
}

fn memberships(entry: &Entry, user: &mut User, groups: &Groups, lost: &mut Vec<String>) -> Result<(), Wrong> {
    let mut of: BTreeSet<GroupId> = user.groups.iter().cloned().collect();
    for group in objects(entry, "groups")? {
        let id = text(group, "id")?.and_then(|id| GroupId::parse(id).ok());
        match id.and_then(|id| groups.ids.get(&id)) {
            Some(id) => {
                of.insert(id.clone());
            }
            None => lost.push(format!("groups: {} is neither in the file nor here", called("group", group))),
        }
    }
    of.extend(groups.members.get(&user.id).into_iter().flatten().cloned());
    user.groups = of.into_iter().collect();
    Ok(())
}

fn ban(entry: &Entry, user: &mut User, now: Timestamp, lost: &mut Vec<String>) -> Result<(), Wrong> {
    if flag(entry, "banned")? != Some(true) || user.ban.is_some() {
        return Ok(());
    }
    if user.administrator {
        lost.push("banned: an administrator is not banned by a file".to_owned());
        return Ok(());
    }
    let reason = text(entry, "banReason")?.map(plain).unwrap_or_default();
    user.ban = Some(Ban { reason, since: now, badge: String::new() });
    Ok(())
}

/// A password is taken over where its hash is given, which Hub's REST does not do by itself, and there is none yet.
fn password(entry: &Entry, user: &mut User, now: Timestamp, lost: &mut Vec<String>) -> Result<(), Wrong> {
    if user.password.is_some() {
        return Ok(());
    }
    let mut given = false;
    for details in objects(entry, "details")? {
        let Some(password) = object(details, "password")? else { continue };
        given = true;
        let hash = text(password, "hashedValue")?.map(NewPassword::imported);
        if let Some(Ok(password)) = hash {
            user.password = Some(password.stored(now));
            return Ok(());
        }
    }
    lost.push(if given {
        "password: only hashes by bcrypt or argon2id are taken over; `hubgate user password` sets one"
            .to_owned()
    } else {
        "password: Hub does not tell it; `hubgate user password` sets one".to_owned()
    });
    Ok(())
}
