//! What is known of the credential that a request brings: by its connection, by the process, or by verifying it.
//!
//! Invariant: what is refused counts against its source, unless the address is open to all or enforces nothing.

use std::{rc::Rc, sync::Arc};

use http::HeaderValue;

use super::{
    peer::{Peer, Remembered},
    record::Record,
    refusal::Refusal,
};
use crate::{
    access::{
        quota::Wait,
        scheme::basic::Basic,
        verdict::{Standing, Verdict},
    },
    oauth::token::verify::TokenError,
};

/// What is known of the token that this connection has sent before, if the header is the same byte for byte and the
/// token is still good.
pub(super) fn repeated(record: &Record, peer: &Peer, value: &HeaderValue) -> Option<Rc<Remembered>> {
    let remembered = peer.remembered(value)?;
    let gate = record.worker().gate();
    let judge = gate.judge(&record.view.snapshot, record.now);
    let standing = remembered.verdict.still_good(&gate.verdicts, judge).ok()?;
    matches!(standing, Standing::Unchanged).then_some(remembered)
}

/// What is known of a token: by the process, or by verifying it.
pub(super) fn known(
    record: &Record,
    peer: &Peer,
    token: &[u8],
    counts: bool,
) -> Result<Rc<Remembered>, Refusal> {
    let gate = record.worker().gate();
    let judge = gate.judge(&record.view.snapshot, record.now);
    peer.forget();
    let recalled = gate.verdicts.recall(token, judge);
    let remembered =
        Remembered::new(judged(record, counts, recalled, || gate.verdicts.verify(token, judge))?);
    peer.remember(token, &remembered);
    Ok(remembered)
}

/// What is known of an application password. Where it is used from is noted.
pub(super) fn known_password(
    record: &Record,
    basic: &Basic,
    agent: Option<&HeaderValue>,
    counts: bool,
) -> Result<Rc<Remembered>, Refusal> {
    let gate = record.worker().gate();
    let judge = gate.judge(&record.view.snapshot, record.now);
    let recalled = gate.verdicts.recall_password(basic, judge);
    let verdict = judged(record, counts, recalled, || gate.verdicts.verify_password(basic, judge))?;
    verdict.used_from(record.source(), agent.map_or(b"", HeaderValue::as_bytes));
    Ok(Remembered::new(verdict))
}

/// The verdict that is remembered, or else the one that `verify` reaches.
///
/// Whether a refused one `counts` against its source: at an address that lets others pass it may be meant for the upstream
/// alone.
fn judged(
    record: &Record,
    counts: bool,
    recalled: Option<Result<Arc<Verdict>, TokenError>>,
    verify: impl FnOnce() -> Result<Arc<Verdict>, TokenError>,
) -> Result<Arc<Verdict>, Refusal> {
    let quota = &record.view.snapshot.quota;
    let judged = if let Some(judged) = recalled {
        judged
    } else {
        // Only what has to be verified is held against the source: its neighbours' good tokens pass.
        if let Err(Wait(wait)) = quota.credentials(record.source()) {
            return Err(Refusal::too_many("this source sends too many refused credentials", wait));
        }
        verify()
    };
    judged.map_err(|reason| {
        if counts {
            quota.refused(record.source());
        }
        Refusal::invalid_token(reason)
    })
}
