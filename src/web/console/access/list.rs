//! The list: one kind at a time, narrowed by person, client and service.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{LIST, paste::Ending};
use crate::{
    base::{
        id::{ServiceId, UserId},
        time::Timestamp,
    },
    model::usage::{Count, Listed, Owned, Sought, Window},
    store::{Result, usage::MOST_COUNTED},
    web::console::{
        account::device,
        form::{Fields, Mistakes},
        frame::{Frame, Section},
        parts::{Check, Input, Pager, ROWS},
        visit::Visit,
    },
};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sessions,
    Grants,
    Consents,
    Tokens,
    Passwords,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Sessions, Self::Grants, Self::Consents, Self::Tokens, Self::Passwords];

    const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Grants => "grants",
            Self::Consents => "consents",
            Self::Tokens => "tokens",
            Self::Passwords => "passwords",
        }
    }

    const fn has_client(self) -> bool {
        matches!(self, Self::Grants | Self::Consents)
    }

    const fn has_service(self) -> bool {
        matches!(self, Self::Grants | Self::Tokens)
    }

    /// Consents are listed of a client.
    const fn has_person(self) -> bool {
        !matches!(self, Self::Consents)
    }
}

/// What the query asks for.
pub(super) struct Wanted {
    kind: Kind,
    user: String,
    client: String,
    service: String,
    skip: usize,
}

impl Wanted {
    pub(super) fn read(query: &Fields) -> Self {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == query.text("kind"));
        let text = |name: &str| query.text(name).to_owned();
        Self {
            kind: kind.unwrap_or(Kind::Sessions),
            user: text("user"),
            client: text("client"),
            service: text("service"),
            skip: Pager::skip(query),
        }
    }

    /// The path of this list.
    pub(super) fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("kind", self.kind.name());
        for (name, value) in [("user", &self.user), ("client", &self.client), ("service", &self.service)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if self.skip > 0 {
            query.append_pair("skip", &self.skip.to_string());
        }
        format!("{LIST}?{}", query.finish())
    }
}

/// What came of a token that was pasted.
#[derive(Default)]
pub(super) struct Pasted {
    pub(super) ended: Option<Ending>,
    pub(super) mistakes: Mistakes,
}

/// One row, whatever its kind.
struct Row {
    id: String,
    owner: UserId,
    login: String,
    name: String,
    /// What it is: a device, a client, the name of a token.
    what: String,
    /// Below it.
    detail: String,
    /// For which services.
    scope: Option<String>,
    made: Timestamp,
    used: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "console/access.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    tabs: Vec<(String, &'static str, bool)>,
    mistakes: Mistakes,
    rows: Vec<Row>,
    total: Option<String>,
    pager: Pager,
    heads: [&'static str; 3],
    pasted: Pasted,
}

/// Shows the list.
pub(super) async fn show(visit: &Visit, wanted: Wanted, pasted: Pasted) -> Response {
    match page(visit, wanted, pasted).await {
        Ok((status, page)) => visit.show_as(status, &page),
        Err(error) => visit.store_failed(&error),
    }
}

async fn page(visit: &Visit, wanted: Wanted, pasted: Pasted) -> Result<(StatusCode, Page)> {
    let t = visit.t;
    let mut mistakes = Mistakes::default();
    let sought = sought(visit, &wanted, &mut mistakes).await?;
    let found = match &sought {
        Some(sought) => Some(rows(visit, &wanted, sought).await?),
        None => None,
    };
    let (rows, count) = found.map_or((Vec::new(), None), |(rows, count)| (rows, Some(count)));
    let total = count.filter(|count| count.number > 0).map(|count| {
        if count.more { t.access_count_more(count.number) } else { t.access_count(count.number) }
    });
    let known = count.filter(|count| !count.more).and_then(|count| usize::try_from(count.number).ok());
    let more = rows.len() == ROWS;
    let path = visit.link(LIST);
    let pager = Pager::new(t, &path, &query_of(&wanted), (wanted.skip, rows.len()), known, more);
    let tab = |kind: Kind| {
        let other = Wanted { kind, skip: 0, ..wanted.copied() };
        let title = match kind {
            Kind::Sessions => t.access_sessions(),
            Kind::Grants => t.access_grants(),
            Kind::Consents => t.access_consents(),
            Kind::Tokens => t.access_tokens(),
            Kind::Passwords => t.access_passwords(),
        };
        (visit.link(&other.path()), title, kind == wanted.kind)
    };
    let tabs = Kind::ALL.map(tab).into_iter().collect();
    let what = match wanted.kind {
        Kind::Sessions => t.access_device(),
        Kind::Grants | Kind::Consents => t.access_given_to(),
        Kind::Tokens | Kind::Passwords => t.name(),
    };
    let made = match wanted.kind {
        Kind::Sessions => t.access_signed_in(),
        Kind::Grants | Kind::Consents => t.access_given(),
        Kind::Tokens | Kind::Passwords => t.access_made(),
    };
    let last = if wanted.kind == Kind::Consents { t.access_until() } else { t.access_used() };
    let wrong = !pasted.mistakes.is_empty();
    let page = Page {
        frame: visit.frame(Section::Access),
        tabs,
        mistakes,
        rows,
        total,
        pager,
        heads: [what, made, last],
        pasted,
        wanted,
    };
    Ok((if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, page))
}

impl Wanted {
    fn copied(&self) -> Self {
        Self { user: self.user.clone(), client: self.client.clone(), service: self.service.clone(), ..*self }
    }
}

fn query_of(wanted: &Wanted) -> Fields {
    let path = wanted.path();
    Fields::read(path.split_once('?').map_or("", |(_, query)| query).as_bytes())
}

/// What is looked for; `None` where somebody is named whom there is not.
async fn sought(visit: &Visit, wanted: &Wanted, mistakes: &mut Mistakes) -> Result<Option<Sought>> {
    let t = visit.t;
    let mut sought = Sought::default();
    if wanted.kind.has_person() && !wanted.user.is_empty() {
        match visit.control.store.find_user_by_name(&wanted.user).await? {
            Some(user) => sought.user = Some(user.id),
            None => mistakes.add("user", t.access_no_person()),
        }
    }
    let service = |name: &str| visit.caller.snapshot.registry.resolve(name).map(|found| found.id.clone());
    if wanted.kind.has_client() && !wanted.client.is_empty() {
        sought.client = service(&wanted.client);
        if sought.client.is_none() {
            mistakes.add("client", t.access_no_service());
        }
    }
    if wanted.kind.has_service() && !wanted.service.is_empty() {
        sought.service = service(&wanted.service);
        if sought.service.is_none() {
            mistakes.add("service", t.access_no_service());
        }
    }
    if wanted.kind == Kind::Consents && wanted.client.is_empty() {
        mistakes.add("client", t.access_choose_client());
    }
    Ok(mistakes.is_empty().then_some(sought))
}

async fn rows(visit: &Visit, wanted: &Wanted, sought: &Sought) -> Result<(Vec<Row>, Count)> {
    let store = &visit.control.store;
    let number = |value: usize| u32::try_from(value).unwrap_or(MOST_COUNTED);
    let window = Window { skip: number(wanted.skip), top: number(ROWS) };
    let t = visit.t;
    let name = |id: &ServiceId| {
        let found = visit.caller.snapshot.registry.by_id(id.as_str());
        found.map_or_else(|| t.access_gone_service().to_owned(), |service| service.name.clone())
    };
    let names = |ids: &[ServiceId]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
    Ok(match wanted.kind {
        Kind::Sessions => each(store.search_sessions(sought, window).await?, |session| Row {
            what: device(t, &session.user_agent),
            detail: t.access_from(&session.address),
            used: Some(session.used),
            ..Row::new(session.id.to_string(), session.user, session.authenticated)
        }),
        Kind::Grants => each(store.search_grants(sought, window).await?, |live| Row {
            what: name(&live.grant.client),
            scope: Some(names(&live.grant.scope.services)),
            used: Some(live.refreshed),
            until: Some(live.expires),
            ..Row::new(live.grant.id.to_string(), live.grant.user, live.grant.created)
        }),
        Kind::Consents => match &sought.client {
            Some(client) => each(store.search_consents(client, window).await?, |consent| Row {
                what: name(&consent.client),
                scope: Some(names(&consent.services)),
                until: Some(consent.expires),
                ..Row::new(consent.id.to_string(), consent.user, consent.given)
            }),
            None => (Vec::new(), Count::default()),
        },
        Kind::Tokens => each(store.search_tokens(sought, window).await?, |token| Row {
            scope: Some(names(&token.scope)),
            used: token.used,
            what: token.name,
            ..Row::new(token.id.to_string(), token.user, token.created)
        }),
        Kind::Passwords => each(store.search_passwords(sought, window).await?, |password| Row {
            detail: password.used.as_ref().map(|used| t.access_from(&used.address)).unwrap_or_default(),
            used: password.used.map(|used| used.at),
            what: password.name,
            scope: Some(t.access_every_service().to_owned()),
            ..Row::new(password.id.to_string(), password.user, password.created)
        }),
    })
}

impl Row {
    const fn new(id: String, owner: UserId, made: Timestamp) -> Self {
        Self {
            id,
            owner,
            made,
            login: String::new(),
            name: String::new(),
            what: String::new(),
            detail: String::new(),
            scope: None,
            used: None,
            until: None,
        }
    }
}

fn each<T>(listed: Listed<Owned<T>>, row: impl Fn(T) -> Row) -> (Vec<Row>, Count) {
    let owned = |owned: Owned<T>| Row { login: owned.login, name: owned.name, ..row(owned.record) };
    (listed.rows.into_iter().map(owned).collect(), listed.total)
}
