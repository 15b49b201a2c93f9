//! Letters that our endpoints have sent: which, to whom, and the links in them.
//!
//! Invariants: every link begins with `public_url` and `hub.path`, whatever the request says of a host; nobody who asks learns
//! from an answer or its time whether there was somebody to write to.

use std::sync::Arc;

use super::{Control, endpoint::Endpoint};
use crate::{
    mail::{Letter, Subject},
    model::{
        event::Author,
        link::LinkKind,
        user::{Email, User},
    },
    proxy::gate::Caller,
    registry::links::{self, Made},
    store::StoreError,
    texts::Language,
};

/// Questions for a new password that are being looked into at once. What comes beyond is answered like the others.
pub(super) const RESTORING: usize = 32;

/// The user's own language, where one is known.
fn language_of(user: &User, asking: Language) -> Language {
    user.profile.locale.as_deref().and_then(Language::of_tag).unwrap_or(asking)
}

/// What became of a letter with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way.
    Posted,
    /// There is no mail server.
    NoMail,
    /// This user may have none: no address, banned, declared in the file.
    NotForThem,
    /// This user has had enough of them for now.
    TooMany,
}

impl Control {
    /// Sends a link for a new password to whoever `name` means, if that is somebody who may have one. Returns at once: what is
    /// found out is found out after the answer.
    pub(super) fn restore_by_mail(&self, caller: &Caller, asking: Language, name: String, query: String) {
        let Ok(place) = Arc::clone(&self.restoring).try_acquire_owned() else {
            tracing::warn!("too many ask for a new password at once");
            return;
        };
        let control = self.acting(caller, Author::anonymous());
        let hub_url = Arc::clone(&caller.snapshot.desk.hub_url);
        tokio::spawn(async move {
            let now = control.clock.now();
            let made = links::restore(
                control.store.as_ref(),
                (&name, &query),
                |id| control.askings.for_account(id, now),
                control.clock.as_ref(),
                control.random.as_ref(),
            )
            .await;
            match made {
                Ok(Some(made)) => control.post_link(&hub_url, LinkKind::Restore, &made, asking),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a link for a new password could not be made"),
            }
            drop(place);
        });
    }

    /// Sends a link to a user: an invitation, or one that confirms the address. What is written is the author's of this
    /// [`Control::acting`].
    pub(super) async fn mail_link(
        &self,
        caller: &Caller,
        user: &User,
        kind: LinkKind,
        asking: Language,
    ) -> Result<Sent, StoreError> {
        if !self.mailer.is_ready() {
            return Ok(Sent::NoMail);
        }
        // An administrator decides how often somebody is invited; others could have any address written to.
        if kind != LinkKind::Invitation && !self.askings.for_account(&user.id, self.clock.now()) {
            return Ok(Sent::TooMany);
        }
        let (clock, random) = (self.clock.as_ref(), self.random.as_ref());
        let made = links::make(self.store.as_ref(), user.clone(), (kind, ""), clock, random).await?;
        let Some(made) = made else { return Ok(Sent::NotForThem) };
        self.post_link(&caller.snapshot.desk.hub_url, kind, &made, asking);
        Ok(Sent::Posted)
    }

    fn post_link(&self, hub_url: &str, kind: LinkKind, made: &Made, asking: Language) {
        let subject = match kind {
            LinkKind::Restore => Subject::Restore,
            LinkKind::Invitation => Subject::Invitation,
            LinkKind::Address => Subject::Address,
        };
        self.mailer.post(Letter {
            subject,
            to: made.address.clone(),
            language: language_of(&made.user, asking),
            login: made.user.login.clone(),
            link: format!("{}?token={}", Endpoint::Link.url(hub_url), made.token.expose()),
        });
    }

    /// Tells a user that the password was changed, if there is an address that is known to be theirs.
    pub(super) fn tell_password_changed(&self, caller: &Caller, user: &User, asking: Language) {
        self.tell(caller, user, Subject::PasswordChanged, asking);
    }

    /// What has to be told of a change of one's own address: at the one before, that it is another; at the new one, a link that
    /// confirms it. `self` acts for the user.
    pub(super) async fn tell_address_changed(
        &self,
        caller: &Caller,
        (before, after): (&User, &User),
        asking: Language,
    ) -> Result<(), StoreError> {
        if before.email.as_ref().map(|email| &email.address)
            == after.email.as_ref().map(|email| &email.address)
        {
            return Ok(());
        }
        self.tell(caller, before, Subject::AddressChanged, asking);
        if after.email.as_ref().is_some_and(|email| !email.verified) {
            self.mail_link(caller, after, LinkKind::Address, asking).await?;
        }
        Ok(())
    }

    /// Writes to the address of a user, if it is known to be theirs.
    fn tell(&self, caller: &Caller, user: &User, subject: Subject, asking: Language) {
        let address = user.email.as_ref().filter(|email| email.verified && user.erased.is_none());
        if let Some(Email { address, .. }) = address.filter(|_| self.mailer.is_ready()) {
            self.mailer.post(Letter {
                subject,
                to: address.clone(),
                language: language_of(user, asking),
                login: user.login.clone(),
                link: Endpoint::RestorePage.url(&caller.snapshot.desk.hub_url),
            });
        }
    }
}
