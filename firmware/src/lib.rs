//! The application on a board: a source of readings, a detector, an alarm.
//!
//! ```text
//! interrupt -> Inbox -> Receiver -> Request -> Scorer -> Assessment -> Alarm -> Response -> frame
//! ```
//!
//! [`Application`] is the whole of it and knows no hardware: a board's interrupt puts the bytes that its UART received
//! into the [`Inbox`], and [`Application::serve`] hands the board frames to send. So it runs and is tested on the host, and the host side of the link (the demo, the
//! tests) uses the same [`frame`] and [`message`] code. `WIRE.md` beside this crate describes the bytes.
//!
//! [`Watching`] is the same for a stream: what arrives are samples, and what is answered are states, with the sensors that an alarm
//! is about.
//!
//! Nothing here allocates, blocks or panics, whatever bytes arrive.
//!
//! | feature | effect |
//! |---|---|
//! | `defmt` | changes of the alarm and malformed frames are logged, and the public types implement `defmt::Format` |
#![no_std]

mod logging;

mod alarm;
mod application;
pub mod frame;
mod inbox;
pub mod message;
pub mod model;
pub mod monitored;
mod receiver;
mod scorer;
mod watching;

pub use alarm::Alarm;
pub use application::{Action, Application};
pub use inbox::Inbox;
pub use receiver::{Malformed, Receiver};
pub use scorer::{Linked, Measured, Scorer, Ticks};
pub use watching::{Watch, Watching};

#[cfg(test)]
mod tests;
