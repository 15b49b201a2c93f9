//! Whose token or application password a request of our own endpoints carries: judged as at the gate, answered as at the
//! gate (RFC 6750).

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, USER_AGENT},
};

use super::Control;
use crate::{
    access::{
        quota::Wait,
        scheme::bearer::{self, Bearer},
        verdict::Verdict,
    },
    oauth::token::verify::TokenError,
    proxy::{gate::Caller, refusal::Refusal},
};

/// Whether the `Authorization` header has the form of a login and an application password.
pub(super) fn is_application_password(headers: &HeaderMap) -> bool {
    let values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    matches!(bearer::read(values), Bearer::Password(_))
}

/// The verdict on the credential in the `Authorization` header, the only place where one is looked for.
///
/// # Errors
/// The refusal: 401 with a challenge, 400, or 429 for a source that keeps sending bad ones.
pub(super) fn verdict(
    headers: &HeaderMap,
    control: &Control,
    caller: &Caller,
) -> Result<Arc<Verdict>, Refusal> {
    let judge = control.gate.judge(&caller.snapshot, control.clock.now());
    let verdicts = &control.gate.verdicts;
    match bearer::read(headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes)) {
        Bearer::Malformed(why) => Err(Refusal::malformed_credential(why)),
        Bearer::Absent => Err(Refusal::token_needed()),
        Bearer::Token(token) => {
            let recalled = verdicts.recall(token, judge);
            judged(caller, recalled, || verdicts.verify(token, judge))
        }
        Bearer::Password(basic) => {
            let recalled = verdicts.recall_password(&basic, judge);
            let verdict = judged(caller, recalled, || verdicts.verify_password(&basic, judge))?;
            let agent = headers.get(USER_AGENT);
            verdict.used_from(caller.source, agent.map_or(b"", HeaderValue::as_bytes));
            Ok(verdict)
        }
    }
}

/// The verdict that is remembered, or else the one that `verify` reaches; a refused one is held against its source.
fn judged(
    caller: &Caller,
    recalled: Option<Result<Arc<Verdict>, TokenError>>,
    verify: impl FnOnce() -> Result<Arc<Verdict>, TokenError>,
) -> Result<Arc<Verdict>, Refusal> {
    let quota = &caller.snapshot.quota;
    let judged = if let Some(judged) = recalled {
        judged
    } else {
        if let Err(Wait(wait)) = quota.credentials(caller.source) {
            return Err(Refusal::too_many("this source sends too many refused credentials", wait));
        }
        verify()
    };
    judged.map_err(|reason| {
        quota.refused(caller.source);
        Refusal::invalid_token(reason)
    })
}

/// What the gate says of a token now.
///
/// # Errors
/// [`TokenError`], why it would not let it pass.
pub(super) fn judge(token: &[u8], control: &Control, caller: &Caller) -> Result<Arc<Verdict>, TokenError> {
    let judge = control.gate.judge(&caller.snapshot, control.clock.now());
    let verdicts = &control.gate.verdicts;
    verdicts.recall(token, judge).unwrap_or_else(|| verdicts.verify(token, judge))
}
