//! What may be done over REST, under the keys that Hub has for it, and who may: our roles (hub-contract section 10.3).
//!
//! Invariant: who is not named here may nothing.

use super::caller::Who;

macro_rules! permissions {
    ($($name:ident = $key:literal, $title:literal, $entity:literal, $operation:literal;)*) => {
        /// Something that may be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Permission {
            $(#[doc = $title] $name,)*
        }

        impl Permission {
            /// Every permission.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            const fn entry(self) -> (&'static str, &'static str, &'static str, &'static str) {
                match self {
                    $(Self::$name => ($key, $title, $entity, $operation),)*
                }
            }
        }
    };
}

permissions! {
    ServiceReadBasic = "service-read-basic", "Read Service Basic", "service", "read";
    ServiceRead = "service-read", "Read Service", "service", "read";
    ServiceCreate = "service-create", "Create Service", "service", "create";
    ServiceUpdate = "service-update", "Update Service", "service", "update";
    ServiceDelete = "service-delete", "Delete Service", "service", "delete";
    UserReadBasic = "user-read-basic", "Read User Basic", "user", "read";
    UserRead = "user-read", "Read User", "user", "read";
    UserCreate = "user-create", "Create User", "user", "create";
    UserUpdate = "user-update", "Update User", "user", "update";
    UserDelete = "user-delete", "Delete User", "user", "delete";
    SelfUpdate = "profile-updateSelf", "Update Self", "user", "update";
    GroupRead = "group-read", "Read Group", "userGroup", "read";
    GroupCreate = "group-create", "Create Group", "userGroup", "create";
    GroupUpdate = "group-update", "Update Group", "userGroup", "update";
    GroupDelete = "group-delete", "Delete Group", "userGroup", "delete";
    LowLevelRead = "low-level-read", "Low-level Admin Read", "general", "read";
    LowLevel = "low-level", "Low-level Admin Write", "general", "update";
}

impl Permission {
    /// Hub's key.
    pub(super) fn key(self) -> String {
        format!("jetbrains.jetpass.{}", self.entry().0)
    }

    /// Its id, which is the end of its key.
    pub(super) const fn id(self) -> &'static str {
        self.entry().0
    }

    /// What people see.
    pub(super) const fn title(self) -> &'static str {
        self.entry().1
    }

    /// On what.
    pub(super) const fn entity(self) -> &'static str {
        self.entry().2
    }

    /// What is done.
    pub(super) const fn operation(self) -> &'static str {
        self.entry().3
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Permissions(u32);

impl Permissions {
    const fn of(list: &[Permission]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < list.len() {
            #[expect(clippy::indexing_slicing, reason = "the condition of the loop; iterators are not const")]
            let bit = list[at].bit();
            bits |= bit;
            at += 1;
        }
        Self(bits)
    }

    /// Whether it has this.
    pub(super) const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

/// Who administers the gateway.
const ADMINISTRATOR: Permissions = Permissions::of(Permission::ALL);

/// Everybody who can sign in: sees whom and what one may mention, and looks after oneself.
const USER: Permissions = Permissions::of(&[
    Permission::ServiceReadBasic,
    Permission::UserReadBasic,
    Permission::GroupRead,
    Permission::SelfUpdate,
]);

/// A service that is trusted and acts for itself: sees what a user sees.
const SERVICE: Permissions =
    Permissions::of(&[Permission::ServiceReadBasic, Permission::UserReadBasic, Permission::GroupRead]);

/// What this caller may do.
pub(super) fn of(who: &Who) -> Permissions {
    match who {
        Who::Person(person) if person.guest => Permissions::default(),
        Who::Person(person) if person.administrator => ADMINISTRATOR,
        Who::Person(_) => USER,
        Who::Service(service) if service.trust.trusted => SERVICE,
        Who::Service(_) | Who::Nobody => Permissions::default(),
    }
}
