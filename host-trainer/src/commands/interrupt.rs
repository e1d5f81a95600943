//! Ctrl-C: the first ends the training, the second the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// The exit status of a program that was interrupted, as shells have it: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// A flag that Ctrl-C sets, which says what then happens; a second Ctrl-C ends the program.
///
/// # Errors
/// If the system refuses.
pub fn flag(what: &'static str) -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if handler.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\n{what} (Ctrl-C again quits at once)");
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(interrupted)
}
