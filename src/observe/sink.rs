//! Where lines go: a bounded channel to one thread that writes.
//!
//! Invariant: a full channel or a closed output loses lines and counts them; it never blocks a worker, never panics.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Chunks that may wait. With chunks of 32 KiB this is 8 MiB at most.
const WAITING_CHUNKS: usize = 256;

/// A handle to the writing thread.
#[derive(Debug, Clone)]
pub struct Sink {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Chunk(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(output: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_CHUNKS);
        let lost = Arc::new(AtomicU64::new(0));
        let unwritten = Arc::clone(&lost);
        let write = move || write_all(&receiver, output, &unwritten);
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { sender, lost })
    }

    /// Hands a chunk of whole lines over.
    pub fn send(&self, chunk: Vec<u8>) {
        if let Err(
            TrySendError::Full(Message::Chunk(chunk)) | TrySendError::Disconnected(Message::Chunk(chunk)),
        ) = self.sender.try_send(Message::Chunk(chunk))
        {
            lose(&self.lost, &chunk);
        }
    }

    /// Waits until everything that was handed over is written, at most `patience`.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let (done, wait) = sync_channel(1);
        // An output that takes nothing keeps the channel full.
        while let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Flush(done.clone())) {
            if Instant::now() >= deadline {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }

    /// Lines lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn lose(lost: &AtomicU64, chunk: &[u8]) {
    let lines = memchr::memchr_iter(b'\n', chunk).count();
    lost.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn write_all(receiver: &Receiver<Message>, mut output: Box<dyn Write + Send>, lost: &AtomicU64) {
    while let Ok(message) = receiver.recv() {
        match message {
            // A closed or full output must not end the thread: it may come back (log rotation, a drained pipe).
            Message::Chunk(chunk) => {
                if output.write_all(&chunk).and_then(|()| output.flush()).is_err() {
                    lose(lost, &chunk);
                }
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
