//! Received bytes on their way from the interrupt to the application.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

/// A queue of `N` received bytes, for a `static` that a UART's interrupt fills and the main loop empties.
///
/// Bytes that come while it is full are lost, and counted.
pub struct Inbox<const N: usize>(Mutex<RefCell<State<N>>>);

struct State<const N: usize> {
    bytes: Deque<u8, N>,
    lost: u32,
}

impl<const N: usize> Inbox<N> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(State { bytes: Deque::new(), lost: 0 })))
    }

    /// Takes a byte, in the interrupt.
    pub fn push(&self, byte: u8) {
        critical_section::with(|token| {
            let mut state = self.0.borrow_ref_mut(token);
            if state.bytes.push_back(byte).is_err() {
                state.lost = state.lost.wrapping_add(1);
            }
        });
    }

    /// The oldest byte. While there is none it calls `sleep`, which waits for an interrupt (`wfi`).
    ///
    /// `sleep` runs with interrupts masked, so that none can slip in between the look and the sleep; `wfi` ends all the
    /// same when one is pending.
    pub fn wait(&self, sleep: impl Fn()) -> u8 {
        loop {
            let byte = critical_section::with(|token| {
                let byte = self.0.borrow_ref_mut(token).bytes.pop_front();
                if byte.is_none() {
                    sleep();
                }
                byte
            });
            if let Some(byte) = byte {
                return byte;
            }
        }
    }

    /// Bytes lost since the start.
    pub fn lost(&self) -> u32 {
        critical_section::with(|token| self.0.borrow_ref(token).lost)
    }
}

impl<const N: usize> Default for Inbox<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_what_does_not_fit_is_counted() {
        let inbox = Inbox::<4>::new();
        for byte in 0..6 {
            inbox.push(byte);
        }
        let never = || panic!("there are bytes");
        assert_eq!([(); 4].map(|()| inbox.wait(never)), [0, 1, 2, 3]);
        assert_eq!(inbox.lost(), 2);
    }
}
