//! Answering a request that was decided for: a code, or tokens at once.
//!
//! Invariant: what a code stands for is in the store before the code leaves.
//!
//! RFC 6749 sections 4.1.2, 4.2.2; OpenID Connect Core sections 3.2.2.5, 3.3.2.5.

use super::{answer::Answer, request::AuthorizationRequest};
use crate::{
    base::{
        id::{GrantId, SessionId},
        time::Timestamp,
    },
    crypto::opaque::{self, Kind},
    model::{
        grant::{AuthorizationCode, Grant},
        scope::OFFLINE_ACCESS,
        user::Person,
    },
    oauth::{
        error::OAuthError,
        grant::{Context, Family, Granted},
        token::identity::Identity,
    },
};

/// From how many services on a token may be too long for anybody to take it.
const MANY: usize = 8;

/// In whose name to answer.
pub struct Owner<'a> {
    /// Who.
    pub person: &'a Person,
    /// The session; `None` for the guest.
    pub session: Option<&'a SessionId>,
    /// When the person last proved who they are.
    pub authenticated: Timestamp,
}

/// Makes the answer.
///
/// # Errors
/// `invalid_scope`, when a token of it would be too long, `server_error` and `temporarily_unavailable`, for the client.
pub async fn issue(
    request: &AuthorizationRequest,
    owner: &Owner<'_>,
    context: &Context<'_>,
) -> Result<Answer, OAuthError> {
    let wanted = &request.wanted;
    // Nobody comes back as the guest: it is there without signing in, and what anybody can cause is not kept for long.
    let offline = wanted.offline && owner.session.is_some();
    let scope = if offline { wanted.scope.clone() } else { wanted.scope.clone().without(OFFLINE_ACCESS) };
    let grant = Grant {
        id: GrantId::made(context.now, context.random),
        client: request.client.id.clone(),
        user: owner.person.id.clone(),
        scope,
        session: owner.session.cloned(),
        authenticated: owner.authenticated,
        nonce: wanted.nonce.clone(),
        created: context.now,
    };
    let granted = || Granted {
        client: grant.client.clone(),
        subject: grant.user.as_str().to_owned(),
        scope: grant.scope.clone(),
        family: Some(Family { grant: grant.id.clone(), session: grant.session.clone() }),
    };
    if grant.scope.services.len() > MANY {
        // Known before a code is given away for it, which could be spent on nothing else.
        context.sign(granted())?;
    }
    let mut parameters = Vec::new();
    let mut code = None;
    if wanted.response.code {
        let secret = opaque::generate(Kind::Code, context.random);
        let digest = opaque::digest(Kind::Code, secret.expose()).ok_or_else(Context::failed)?;
        let record = AuthorizationCode {
            digest,
            grant: grant.clone(),
            redirect_uri: Some(request.address.uri().to_owned()),
            challenge: wanted.challenge.clone(),
            offline,
            expires: context.now.plus(context.lives.code),
        };
        context.add_code(&record).await?;
        parameters.push(("code", secret.expose().to_owned()));
        code = Some(secret);
    }
    let mut access_token = None;
    if wanted.response.token {
        let issued = context.sign(granted())?;
        parameters.push(("access_token", issued.access_token.clone()));
        parameters.push(("token_type", "Bearer".to_owned()));
        parameters.push(("expires_in", issued.expires_in.to_string()));
        parameters.push(("scope", issued.scope));
        access_token = Some(issued.access_token);
    }
    if wanted.response.id_token {
        let identity = Identity {
            issuer: context.issuer.name(),
            client: &grant.client,
            person: owner.person,
            scope: &grant.scope,
            authenticated: grant.authenticated,
            nonce: grant.nonce.as_deref(),
            session: grant.session.as_ref(),
            access_token: access_token.as_deref(),
            code: code.as_ref().map(crate::base::secret::Secret::expose),
        };
        parameters.push(("id_token", context.sign_identity(&identity)?));
    }
    Ok(request.address.answer(parameters))
}
