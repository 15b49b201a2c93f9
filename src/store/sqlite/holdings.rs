//! Lists over what all people hold: which rows, how many there are, and then these rows with their owners.
//!
//! Invariant: however much there is, a list reads the rows of its window and counts the others in an index, up to a bound.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    SqliteStore, consents,
    credential_rows::{PASSWORD, TOKEN, read_known, read_password, read_token},
    errors::store_error,
    grants,
    record::Record,
    sessions,
    usage::{counted, list},
};
use crate::{
    base::id::{ServiceId, UserId},
    crypto::digest::TokenDigest,
    model::{
        credential::{ApplicationPassword, KnownCredential, PermanentToken},
        grant::Consent,
        session::Session,
        usage::{Listed, Owned, Sought, Window},
    },
    store::{
        Result,
        grants::LiveGrant,
        usage::{HoldingStore, MOST_COUNTED},
    },
};

/// One way to find rows: ?1 is the value that it begins with, ?2 and ?3 a client (of a credential, the kind) and a
/// service that narrow it, ?4 how many
/// are read at most.
struct Way {
    /// Of the rows of a window, in order; ?5 is how many are passed over.
    ids: &'static str,
    /// How many there are.
    count: &'static str,
}

const ALL_SESSIONS: Way = Way {
    ids: "SELECT id FROM sessions ORDER BY used DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM sessions ORDER BY used LIMIT ?4)",
};
const SESSIONS_OF_USER: Way = Way {
    ids: "SELECT id FROM sessions WHERE user_id = ?1 ORDER BY used DESC, id LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE user_id = ?1 LIMIT ?4)",
};
const ALL_GRANTS: Way = Way {
    ids: "SELECT id FROM grants ORDER BY rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM grants ORDER BY rowid LIMIT ?4)",
};
const GRANTS_OF_USER: Way = Way {
    ids: "SELECT id FROM grants g WHERE user_id = ?1 AND (?2 IS NULL OR client = ?2)
          AND (?3 IS NULL OR EXISTS (SELECT 1 FROM grant_services s WHERE s.grant_id = g.id AND s.service = ?3))
          ORDER BY rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM grants g WHERE user_id = ?1 AND (?2 IS NULL OR client = ?2)
            AND (?3 IS NULL OR EXISTS (SELECT 1 FROM grant_services s WHERE s.grant_id = g.id AND s.service = ?3))
            LIMIT ?4)",
};
const GRANTS_TO_CLIENT: Way = Way {
    ids: "SELECT id FROM grants g WHERE client = ?2
          AND (?3 IS NULL OR EXISTS (SELECT 1 FROM grant_services s WHERE s.grant_id = g.id AND s.service = ?3))
          ORDER BY rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM grants g WHERE client = ?2
            AND (?3 IS NULL OR EXISTS (SELECT 1 FROM grant_services s WHERE s.grant_id = g.id AND s.service = ?3))
            LIMIT ?4)",
};
const GRANTS_FOR_SERVICE: Way = Way {
    ids: "SELECT grant_id FROM grant_services WHERE service = ?3
          ORDER BY created DESC, grant_id DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM grant_services WHERE service = ?3 LIMIT ?4)",
};
const CONSENTS_TO_CLIENT: Way = Way {
    ids: "SELECT id FROM consents WHERE client = ?2 ORDER BY given DESC, rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM consents WHERE client = ?2 LIMIT ?4)",
};
const ALL_CREDENTIALS: Way = Way {
    ids: "SELECT hex(id) FROM credentials WHERE kind = ?2 ORDER BY created DESC, rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM credentials WHERE kind = ?2 LIMIT ?4)",
};
const CREDENTIALS_OF_USER: Way = Way {
    ids: "SELECT hex(id) FROM credentials c WHERE user_id = ?1 AND kind = ?2
          AND (?3 IS NULL OR EXISTS (SELECT 1 FROM credential_services s WHERE s.credential = c.id AND s.service = ?3))
          ORDER BY created DESC, rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM credentials c WHERE user_id = ?1 AND kind = ?2
            AND (?3 IS NULL OR EXISTS (SELECT 1 FROM credential_services s WHERE s.credential = c.id AND s.service = ?3))
            LIMIT ?4)",
};
const TOKENS_FOR_SERVICE: Way = Way {
    ids: "SELECT hex(c.id) FROM credential_services s JOIN credentials c ON c.id = s.credential
          WHERE s.service = ?3 ORDER BY c.created DESC, c.rowid DESC LIMIT ?4 OFFSET ?5",
    count: "SELECT count(*) FROM (SELECT 1 FROM credential_services WHERE service = ?3 LIMIT ?4)",
};

const SESSIONS: &str = "SELECT s.id, s.user_id, s.authenticated, s.used, s.remember, s.user_agent, s.address,
    u.login AS owner_login, u.name AS owner_name
    FROM json_each(?1) sought JOIN sessions s ON s.id = sought.value JOIN users u ON u.id = s.user_id
    ORDER BY sought.key";
const GRANTS: &str =
    "SELECT g.id, g.client, g.user_id, g.scope, g.session, g.authenticated, g.nonce, g.created,
    (SELECT max(r.created) FROM refresh_tokens r WHERE r.grant_id = g.id AND r.spent IS NULL) AS refreshed,
    (SELECT max(r.expires) FROM refresh_tokens r WHERE r.grant_id = g.id AND r.spent IS NULL) AS expires,
    u.login AS owner_login, u.name AS owner_name
    FROM json_each(?1) sought JOIN grants g ON g.id = sought.value JOIN users u ON u.id = g.user_id
    ORDER BY sought.key";
const CONSENTS: &str = "SELECT c.id, c.user_id, c.client, c.services, c.claims, c.given, c.expires,
    u.login AS owner_login, u.name AS owner_name
    FROM json_each(?1) sought JOIN consents c ON c.id = sought.value JOIN users u ON u.id = c.user_id
    ORDER BY sought.key";
const CREDENTIALS: &str = "SELECT c.id, c.kind, c.digest, c.user_id, c.author, c.name, c.created, c.used, c.used_from,
    c.used_agent,
    (SELECT json_group_array(s.service) FROM credential_services s WHERE s.credential = c.id) AS scope,
    u.login AS owner_login, u.name AS owner_name
    FROM json_each(?1) sought JOIN credentials c ON c.id = unhex(sought.value) JOIN users u ON u.id = c.user_id
    ORDER BY sought.key";

/// What a search begins with and is narrowed by.
#[derive(Clone, Copy)]
struct Values<'v> {
    user: Option<&'v str>,
    client: Option<&'v str>,
    service: Option<&'v str>,
}

impl<'v> Values<'v> {
    fn of(sought: &'v Sought) -> Self {
        Self {
            user: sought.user.as_ref().map(UserId::as_str),
            client: sought.client.as_ref().map(ServiceId::as_str),
            service: sought.service.as_ref().map(ServiceId::as_str),
        }
    }
}

impl SqliteStore {
    async fn window<T>(
        &self,
        (way, rows): (&Way, &'static str),
        values: Values<'_>,
        window: Window,
        read: impl Fn(&SqliteRow) -> Result<T>,
    ) -> Result<Listed<Owned<T>>> {
        // One transaction, so that rows and their number are of one moment.
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let total: i64 = sqlx::query_scalar(way.count)
            .bind(values.user)
            .bind(values.client)
            .bind(values.service)
            .bind(MOST_COUNTED)
            .fetch_one(&mut *tx)
            .await
            .map_err(store_error)?;
        let total = counted(total);
        if window.skip >= MOST_COUNTED {
            return Ok(Listed { rows: Vec::new(), total });
        }
        let ids: Vec<String> = sqlx::query_scalar(way.ids)
            .bind(values.user)
            .bind(values.client)
            .bind(values.service)
            .bind(window.top)
            .bind(window.skip)
            .fetch_all(&mut *tx)
            .await
            .map_err(store_error)?;
        let found = sqlx::query(rows).bind(list(&ids)?).fetch_all(&mut *tx).await.map_err(store_error)?;
        let owned = |row: &SqliteRow| {
            let owner = Record::named(row, "user of a list", String::new());
            Ok(Owned { record: read(row)?, login: owner.get("owner_login")?, name: owner.get("owner_name")? })
        };
        Ok(Listed { rows: found.iter().map(owned).collect::<Result<_>>()?, total })
    }
}

fn live(row: &SqliteRow) -> Result<LiveGrant> {
    let (record, grant) = grants::read(row, "grant")?;
    let refreshed = record.optional_time("refreshed")?.unwrap_or(grant.created);
    let expires = record.optional_time("expires")?.unwrap_or(refreshed);
    Ok(LiveGrant { grant, refreshed, expires })
}

#[async_trait]
impl HoldingStore for SqliteStore {
    async fn search_sessions(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<Session>>> {
        let way = if sought.user.is_some() { SESSIONS_OF_USER } else { ALL_SESSIONS };
        self.window((&way, SESSIONS), Values::of(sought), window, sessions::read).await
    }

    async fn search_grants(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<LiveGrant>>> {
        let way = match (&sought.user, &sought.client, &sought.service) {
            (Some(_), ..) => GRANTS_OF_USER,
            (None, Some(_), _) => GRANTS_TO_CLIENT,
            (None, None, Some(_)) => GRANTS_FOR_SERVICE,
            (None, None, None) => ALL_GRANTS,
        };
        self.window((&way, GRANTS), Values::of(sought), window, live).await
    }

    async fn search_consents(&self, client: &ServiceId, window: Window) -> Result<Listed<Owned<Consent>>> {
        let values = Values { user: None, client: Some(client.as_str()), service: None };
        self.window((&CONSENTS_TO_CLIENT, CONSENTS), values, window, consents::read).await
    }

    async fn search_tokens(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<PermanentToken>>> {
        let way = match (&sought.user, &sought.service) {
            (Some(_), _) => CREDENTIALS_OF_USER,
            (None, Some(_)) => TOKENS_FOR_SERVICE,
            (None, None) => ALL_CREDENTIALS,
        };
        let values = Values { client: Some(TOKEN), ..Values::of(sought) };
        self.window((&way, CREDENTIALS), values, window, read_token).await
    }

    async fn search_passwords(
        &self,
        sought: &Sought,
        window: Window,
    ) -> Result<Listed<Owned<ApplicationPassword>>> {
        let way = if sought.user.is_some() { CREDENTIALS_OF_USER } else { ALL_CREDENTIALS };
        let values = Values { client: Some(PASSWORD), service: None, ..Values::of(sought) };
        self.window((&way, CREDENTIALS), values, window, read_password).await
    }

    async fn find_credential(&self, digest: &TokenDigest) -> Result<Option<KnownCredential>> {
        let row = sqlx::query(
            "SELECT c.id, c.kind, c.digest, c.user_id, c.created,
                    (SELECT json_group_array(s.service) FROM credential_services s WHERE s.credential = c.id)
                        AS scope
             FROM credentials c WHERE c.digest = ?1",
        )
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read_known).transpose()
    }
}
