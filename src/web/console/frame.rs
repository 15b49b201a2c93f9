//! What is around every page of the console: the menu, who looks at it, what was just done.
//!
//! Invariant: the menu names what whoever looks at it may see.

use std::sync::Arc;

use super::parts::{Letter, When};
use crate::{base::time::Timestamp, texts::Language};

macro_rules! sections {
    ($($(#[doc = $doc:literal])* $name:ident = $group:ident, $path:literal, $title:ident;)*) => {
        /// A page that the menu names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::web) enum Section {
            $($(#[doc = $doc])* $name,)*
        }

        impl Section {
            /// In the order of the menu.
            pub(in crate::web) const ALL: &[Self] = &[$(Self::$name),*];

            const fn group(self) -> Group {
                match self {
                    $(Self::$name => Group::$group,)*
                }
            }

            /// The path below `hub.path`.
            pub(in crate::web) const fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)*
                }
            }

            /// Its name.
            pub(in crate::web) const fn title(self, t: Language) -> &'static str {
                match self {
                    $(Self::$name => t.$title(),)*
                }
            }
        }
    };
}

sections! {
    Home = Start, "/", section_home;
    Profile = Account, "/account", section_profile;
    Security = Account, "/account/security", section_security;
    Sessions = Account, "/account/sessions", section_sessions;
    Authorized = Account, "/account/authorized", section_authorized;
    Tokens = Account, "/account/tokens", section_tokens;
    Dashboard = Administration, "/admin", section_dashboard;
    Services = Administration, "/admin/services", section_services;
    Users = Administration, "/admin/users", section_users;
    Groups = Administration, "/admin/groups", section_groups;
    Upstreams = Administration, "/admin/upstreams", section_upstreams;
    Access = Administration, "/admin/tokens", section_access;
    Audit = Administration, "/admin/audit", section_audit;
    Why = Administration, "/admin/why", section_why;
    Settings = Administration, "/admin/settings", section_settings;
}

/// A part of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Start,
    Account,
    Administration,
}

impl Group {
    const ALL: [Self; 3] = [Self::Start, Self::Account, Self::Administration];

    const fn title(self, t: Language) -> Option<&'static str> {
        match self {
            Self::Start => None,
            Self::Account => Some(t.your_account()),
            Self::Administration => Some(t.administration()),
        }
    }
}

/// What is around every page: `console.html` reads it as `frame`.
#[derive(Debug)]
pub(in crate::web) struct Frame {
    /// The language.
    pub(in crate::web) t: Language,
    /// The hub's address, which links begin with.
    pub(in crate::web) hub: Arc<str>,
    /// Where the page is.
    pub(in crate::web) section: Section,
    /// Who looks at it.
    pub(in crate::web) name: String,
    /// Their login.
    pub(in crate::web) login: String,
    /// Whether they administer the gateway.
    pub(in crate::web) administrator: bool,
    /// What was just done.
    pub(in crate::web) done: Option<&'static str>,
    /// The time.
    pub(in crate::web) now: Timestamp,
    pub(super) style: String,
    pub(super) script: String,
}

impl Frame {
    /// The name of the section.
    pub(in crate::web) const fn title(&self) -> &'static str {
        self.section.title(self.t)
    }

    /// A moment, told from now: `{{ frame.when(at) }}`.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates give references")]
    pub(in crate::web) const fn when(&self, at: &Timestamp) -> When {
        When { t: self.t, at: *at, now: self.now }
    }

    /// A moment as a day: `22 November 2026`.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates give references")]
    pub(in crate::web) fn date(&self, at: &Timestamp) -> String {
        self.t.date(*at)
    }

    /// The letter that stands for a name: `{{ frame.letter(name) }}`.
    #[expect(clippy::unused_self, reason = "so that templates need no path to the part")]
    pub(in crate::web) const fn letter<'n>(&self, name: &'n str) -> Letter<'n> {
        Letter { name }
    }

    /// The menu: a title and its pages, as far as they may be seen.
    pub(in crate::web) fn menu(&self) -> impl Iterator<Item = (Option<&'static str>, Vec<Section>)> {
        let seen = |group: &Group| *group != Group::Administration || self.administrator;
        Group::ALL.into_iter().filter(seen).map(|group| {
            let sections = Section::ALL.iter().copied().filter(|section| section.group() == group);
            (group.title(self.t), sections.collect())
        })
    }

    /// Where a section is, its name, and whether this is it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates give references")]
    pub(in crate::web) fn entry(&self, section: &Section) -> (String, &'static str, bool) {
        (format!("{}{}", self.hub, section.path()), section.title(self.t), *section == self.section)
    }
}
