//! Whose token a request of our own endpoints carries: judged as at the gate, answered as at the gate (RFC 6750).

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

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

/// The verdict on the token in the `Authorization` header, the only place where one is looked for.
///
/// # Errors
/// The refusal: 401 with a challenge, 400, or 429 for a source that keeps sending bad ones.
pub(super) fn verdict(
    headers: &HeaderMap,
    control: &Control,
    caller: &Caller,
) -> Result<Arc<Verdict>, Refusal> {
    match bearer::read(headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes)) {
        Bearer::Malformed(why) => Err(Refusal::malformed_credential(why)),
        Bearer::Absent => Err(Refusal::token_needed()),
        Bearer::Token(token) => {
            let quota = &caller.snapshot.quota;
            let gate = &control.gate;
            let judge = gate.judge(&caller.snapshot, control.clock.now());
            let judged = if let Some(judged) = gate.verdicts.recall(token, judge) {
                judged
            } else {
                if let Err(Wait(wait)) = quota.credentials(caller.source) {
                    return Err(Refusal::too_many("this source sends too many refused credentials", wait));
                }
                gate.verdicts.verify(token, judge)
            };
            judged.map_err(|reason| {
                quota.refused(caller.source);
                Refusal::invalid_token(reason)
            })
        }
    }
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
