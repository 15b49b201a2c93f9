//! Load for issuers over HTTP/1.1 with connections kept alive, each answer read and checked.
//!
//! What a general load generator cannot do: send each refresh with the token of the answer before, send each of many
//! codes once, and hold a rate while it notes how long answers take.
//!
//! One run: connect, send the warm-up, write `ready`, wait for a line, send the requests, write the result as one
//! line of JSON, and keep the connections until standard input ends. So whoever reads clocks around the measured
//! part reads neither handshakes nor closing. An answer that is not the expected one ends the run with an error;
//! only 503 is counted instead, as a bounded queue may answer it.

mod argon;
mod connection;
mod plan;
mod tls;

use std::{
    cell::Cell,
    io::{BufRead as _, Read as _, Write as _},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    runtime::{Builder, LocalOptions},
    task::spawn_local,
};

use crate::{connection::Connection, plan::Plan};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, count] = arguments.as_slice()
        && command == "argon2"
    {
        return argon::measure(count.parse().context("argon2 COUNT")?);
    }
    let plan = Rc::new(Plan::parse(&arguments)?);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(run(plan))
}

async fn run(plan: Rc<Plan>) -> anyhow::Result<()> {
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        connections.push(Connection::open(&plan, number).await?);
    }
    let (connections, _) = phase(&plan, connections, 0, plan.warm).await?;
    say("ready")?;
    std::io::stdin().lock().read_line(&mut String::new())?;
    let began = Instant::now();
    let (connections, mut seen) = phase(&plan, connections, plan.warm, plan.requests).await?;
    let seconds = began.elapsed().as_secs_f64();
    seen.micros.sort_unstable();
    let good = seen.micros.len();
    if good == 0 || good + seen.busy != plan.requests {
        bail!("{good} good answers and {} of 503, of {}", seen.busy, plan.requests);
    }
    // The smallest value that so many per mille do not exceed.
    let at =
        |mille: usize| seen.micros.get((good * mille).div_ceil(1000).max(1) - 1).copied().unwrap_or_default();
    say(&format!(
        "{{\"good\":{good},\"busy\":{},\"seconds\":{seconds:.6},\"p50_us\":{},\"p99_us\":{},\"max_us\":{}}}",
        seen.busy,
        at(500),
        at(990),
        at(1000)
    ))?;
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    drop(connections);
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// What the answers were: microseconds of the good ones, number of those that said 503.
#[derive(Default)]
struct Seen {
    micros: Vec<u32>,
    busy: usize,
}

/// Sends requests `first .. first + count` over all connections and gives them back.
async fn phase(
    plan: &Rc<Plan>,
    connections: Vec<Connection>,
    first: usize,
    count: usize,
) -> anyhow::Result<(Vec<Connection>, Seen)> {
    let next = Rc::new(Cell::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (plan, next) = (Rc::clone(plan), Rc::clone(&next));
            spawn_local(async move {
                let mut seen = Seen::default();
                while next.get() < count {
                    let index = next.replace(next.get() + 1);
                    let since = turn(start, plan.every, index).await?;
                    if connection.exchange(&plan, first + index).await? {
                        seen.micros.push(u32::try_from(since.elapsed().as_micros())?);
                    } else {
                        seen.busy += 1;
                    }
                }
                anyhow::Ok((connection, seen))
            })
        })
        .collect();
    let (mut connections, mut all) = (Vec::new(), Seen::default());
    for task in tasks {
        let (connection, seen) = task.await??;
        connections.push(connection);
        all.micros.extend(seen.micros);
        all.busy += seen.busy;
    }
    Ok((connections, all))
}

/// Waits until a request is due and says from when its answer's time counts. Where no connection was free in time, it
/// counts from when it was due, so that a slow answer is not hidden by the requests that it kept back. Else it counts
/// from now: the timer's own lateness, up to a millisecond, is not the server's.
async fn turn(start: Instant, every: Option<Duration>, index: usize) -> anyhow::Result<Instant> {
    let Some(every) = every else { return Ok(Instant::now()) };
    let due = start + every * u32::try_from(index)?;
    if Instant::now() > due {
        return Ok(due);
    }
    tokio::time::sleep_until(due.into()).await;
    Ok(Instant::now())
}
