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
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, output))?;
        Ok(Self { sender, lost: Arc::new(AtomicU64::new(0)) })
    }

    /// Hands a chunk of whole lines over.
    pub fn send(&self, chunk: Vec<u8>) {
        if let Err(
            TrySendError::Full(Message::Chunk(chunk)) | TrySendError::Disconnected(Message::Chunk(chunk)),
        ) = self.sender.try_send(Message::Chunk(chunk))
        {
            let lines = chunk.split(|b| *b == b'\n').count().saturating_sub(1);
            self.lost.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Waits until everything that was handed over is written, at most `patience`.
    pub fn flush(&self, patience: std::time::Duration) {
        let (done, wait) = sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(patience);
        }
    }

    /// Lines lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn write_all(receiver: &Receiver<Message>, mut output: Box<dyn Write + Send>) {
    while let Ok(message) = receiver.recv() {
        match message {
            // A closed or full output must not end the thread: it may come back (log rotation, a drained pipe).
            Message::Chunk(chunk) => {
                let _ = output.write_all(&chunk);
                let _ = output.flush();
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
