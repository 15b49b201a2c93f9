//! The sample issue tracker alone, to be put behind a gateway of one's own.
//!
//! ```sh
//! cargo run --example backend -- 127.0.0.1:8080
//! ```
//!
//! A second argument changes the path prefix (`/youtrack`). The tracker believes the identity headers of whoever
//! reaches it, so let it listen where only the gateway can.

use std::{env, error::Error};

use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let prefix = arguments.next().unwrap_or_else(|| "/youtrack".to_owned());

    let listener =
        TcpListener::bind(&address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("sample tracker: http://{}{prefix}   (Ctrl-C ends it)", listener.local_addr()?);
    hubgate::demo::backend::serve(listener, &prefix, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}
