//! The page of a user: what is known of the account, and the forms that change it.

use askama::Template;
use axum::{extract::Path, response::Response};
use http::StatusCode;

use super::{
    MOST_CHOICES, all_groups, answered, find_user,
    programs::{Program, programs},
    users::badges,
    words::Wrong,
};
use crate::{
    base::{secret::Secret, time::Timestamp},
    model::{
        session::Session,
        user::{Access, Group, User},
    },
    registry::held,
    store::StoreError,
    texts::Language,
    web::console::{
        account::device,
        form::{Fields, Mistakes},
        parts::{Check, Frame, Input, Made, Section, Select},
        visit::{Administrator, Visit},
    },
};

#[derive(Template)]
#[template(path = "console/user.html")]
struct Page<'a> {
    frame: Frame,
    user: User,
    badges: Vec<(&'static str, &'static str)>,
    /// Of the form that was sent, if one was.
    typed: Option<&'a Fields>,
    mistakes: Mistakes,
    alarm: Option<String>,
    made_label: String,
    made: Option<&'a Secret>,
    /// Groups that it was put into, and those that come with them.
    own: Vec<Group>,
    through: Vec<Group>,
    /// Groups that it may be put into.
    others: Vec<Group>,
    second_step: bool,
    /// Each with the name of its browser.
    sessions: Vec<(Session, String)>,
    programs: Vec<Program>,
    last: Option<Access>,
    mail: bool,
    once: String,
}

/// What a page shows besides the user.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// What was typed.
    pub(super) typed: Option<&'a Fields>,
    /// What is wrong with it.
    pub(super) wrong: Wrong,
    /// A password that was made.
    pub(super) made: Option<&'a Secret>,
}

/// `GET …/admin/users/{id}`
pub(super) async fn page(Path(id): Path<String>, Administrator(visit): Administrator) -> Response {
    let shown = async {
        let user = find_user(&visit, &id).await?;
        show(&visit, user, Shown::default()).await
    };
    answered(shown.await)
}

/// The page, with status 422 where something is wrong with what was typed.
pub(super) async fn show(visit: &Visit, user: User, shown: Shown<'_>) -> Result<Response, Response> {
    let (store, t) = (&visit.control.store, visit.t);
    let failed = |error: StoreError| visit.store_failed(&error);
    let own = store.groups_by_id(&user.groups).await.map_err(failed)?;
    let all = store.groups_of(std::slice::from_ref(&user.id)).await.map_err(failed)?.concat();
    let through = all.into_iter().filter(|group| !user.groups.contains(&group.id)).collect();
    let mut others = all_groups(visit).await?;
    others.retain(|group| !user.groups.contains(&group.id));
    let sessions = visit.control.sessions.list(&user.id).await.map_err(failed)?;
    let named = |session: Session| {
        let name = device(t, &session.user_agent);
        (session, name)
    };
    let sessions = sessions.into_iter().map(named).collect();
    let held = held::list(store.as_ref(), &user.id).await.map_err(failed)?;
    let second_step = store.find_second_step(&user.id).await.map_err(failed)?.is_some();
    let last = store.last_accesses(std::slice::from_ref(&user.id)).await.map_err(failed)?.pop().flatten();
    let status = if shown.wrong.is_nothing() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = Page {
        frame: visit.frame(Section::Users),
        badges: badges(t, &user),
        typed: shown.typed,
        mistakes: shown.wrong.mistakes,
        alarm: shown.wrong.alarm,
        made_label: t.one_time_made(&user.login),
        made: shown.made,
        own,
        through,
        others,
        second_step,
        sessions,
        programs: programs(visit, held),
        last,
        mail: visit.control.mailer.is_ready(),
        once: visit.once(),
        user,
    };
    Ok(visit.show_as(status, &page))
}

impl Page<'_> {
    const fn t(&self) -> Language {
        self.frame.t
    }

    /// What a field begins with: what was typed into its form, else `own`.
    fn value<'v>(&'v self, form: &str, name: &str, own: &'v str) -> &'v str {
        self.typed.filter(|typed| typed.has(form)).map_or(own, |typed| typed.text(name))
    }

    fn ticked(&self, name: &str, own: bool) -> bool {
        self.typed.filter(|typed| typed.has("login")).map_or(own, |typed| typed.has(name))
    }

    /// Where the forms go.
    fn here(&self) -> String {
        format!("{}/admin/users/{}", self.frame.hub, self.user.id)
    }

    /// A moment, told from now.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand references over")]
    fn ago(&self, at: &Timestamp) -> String {
        self.t().when(*at, self.frame.now)
    }

    /// Whether its settings are changed here.
    const fn is_ours(&self) -> bool {
        !self.user.declared && !self.user.guest && self.user.erased.is_none()
    }

    fn made(&self) -> Option<Made<'_>> {
        let secret = self.made?.expose();
        Some(Made { t: self.t(), label: &self.made_label, secret })
    }

    fn login(&self) -> Input<'_> {
        let value = self.value("login", "login", &self.user.login);
        Input::text(self.t(), "login", self.t().login(), value).checked(&self.mistakes)
    }

    fn name(&self) -> Input<'_> {
        let value = self.value("login", "name", &self.user.name);
        Input::text(self.t(), "name", self.t().name(), value).checked(&self.mistakes)
    }

    fn email(&self) -> Input<'_> {
        let own = self.user.email.as_ref().map_or("", |email| &email.address);
        let value = self.value("login", "email", own);
        Input::text(self.t(), "email", self.t().email(), value)
            .kind("email")
            .optional()
            .checked(&self.mistakes)
    }

    fn verified(&self) -> Check<'_> {
        let own = self.user.email.as_ref().is_some_and(|email| email.verified);
        Check::new("verified", self.t().verified_label(), self.ticked("verified", own))
            .hint(self.t().verified_hint())
    }

    fn administrator(&self) -> Check<'_> {
        let ticked = self.ticked("administrator", self.user.administrator);
        Check::new("administrator", self.t().administrator_label(), ticked)
            .hint(self.t().administrator_hint())
    }

    fn locale(&self) -> Select<'_> {
        let own = self.user.profile.locale.as_deref().unwrap_or_default();
        let mut options = vec![("", self.t().language_browser())];
        options.extend(Language::ALL.map(|language| (language.tag(), language.own_name())));
        // A client of REST may have written one in more words.
        if !own.is_empty() && options.iter().all(|(value, _)| *value != own) {
            options.push((own, own));
        }
        let chosen = self.value("login", "locale", own);
        Select::new("locale", self.t().language_label(), options, chosen).checked(&self.mistakes)
    }

    fn reason(&self) -> Input<'_> {
        let value = self.value("reason", "reason", "");
        Input::text(self.t(), "reason", self.t().ban_reason(), value)
            .optional()
            .hint(self.t().ban_reason_hint())
            .checked(&self.mistakes)
    }

    fn badge(&self) -> Input<'_> {
        let value = self.value("reason", "badge", "");
        Input::text(self.t(), "badge", self.t().ban_badge(), value)
            .optional()
            .hint(self.t().ban_badge_hint())
            .checked(&self.mistakes)
    }

    /// A list to choose from, where that is not endless.
    fn choose_group(&self) -> Option<Select<'_>> {
        if self.others.len() > MOST_CHOICES {
            return None;
        }
        let options = self.others.iter().map(|group| (group.name.as_str(), group.name.as_str())).collect();
        let chosen = self.value("group", "group", "");
        Some(Select::new("group", self.t().group_add_to(), options, chosen).checked(&self.mistakes))
    }

    fn type_group(&self) -> Input<'_> {
        let value = self.value("group", "group", "");
        Input::text(self.t(), "group", self.t().group_add_to(), value).checked(&self.mistakes)
    }

    fn into(&self) -> Input<'_> {
        let value = self.value("into", "into", "");
        Input::text(self.t(), "into", self.t().merge_into(), value).checked(&self.mistakes)
    }

    /// The field in which somebody types the login, so that nothing ends by mistake.
    fn confirmation<'c>(&'c self, name: &'static str, label: &'c str) -> Input<'c> {
        Input::text(self.t(), name, label, "").checked(&self.mistakes)
    }

    fn confirm_label(&self) -> String {
        self.t().type_to_confirm(&self.user.login)
    }

    /// Whether the form that bans was sent.
    fn banning(&self) -> bool {
        self.typed.is_some_and(|typed| typed.has("reason"))
    }

    /// Whether one of the forms that end an account was sent.
    fn ending(&self) -> bool {
        let names = ["into", "merge_confirm", "erase_confirm", "remove_confirm"];
        self.typed.is_some_and(|typed| names.into_iter().any(|name| typed.has(name)))
    }
}
