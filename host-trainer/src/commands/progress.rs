//! The progress of a fit, drawn on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::train::{Epoch, Progress};

/// A bar with the losses and the time left; nothing where standard error is no terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar, or nothing at all if `quiet`.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            // The message is cut where the terminal ends: a line that wraps cannot be redrawn.
            ProgressStyle::with_template("{bar:16} {percent:>3}%  {eta:>4} left  {wide_msg}").expect("a constant"),
        );
        Self { bar }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn epoch(&mut self, state: &Epoch) {
        // A fine-tuning starts anew.
        self.bar.set_length(state.steps as u64);
        self.bar.set_position(state.step as u64);
        self.bar.set_message(format!(
            "epoch {}  loss {:.3}  selection {:.3}  best {:.3}",
            state.epoch, state.training_loss, state.validation_loss, state.best_validation_loss
        ));
    }

    fn diverged(&mut self, step: usize, learning_rate: f32) {
        self.bar
            .println(format!("step {step}: the loss diverged; back to the best, learning rate {learning_rate:.2e}"));
    }
}
