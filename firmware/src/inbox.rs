//! Received bytes on their way from the interrupt to the application.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

/// A queue of `N` received bytes, for a `static` that a UART's interrupt fills and the main loop empties.
///
/// Bytes that come while it is full are lost, and counted; and so are those that the interrupt came too late for, if the
/// board can tell.
pub struct Inbox<const N: usize>(Mutex<RefCell<State<N>>>);

struct State<const N: usize> {
    bytes: Deque<u8, N>,
    /// Bytes that the interrupt has taken.
    taken: u32,
    /// Bytes that the hardware overwrote before the interrupt could take them.
    overwritten: u32,
    /// Bytes lost otherwise: the queue was full, or the hardware had no room.
    dropped: u32,
}

impl<const N: usize> Inbox<N> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(State { bytes: Deque::new(), taken: 0, overwritten: 0, dropped: 0 })))
    }

    /// Takes a byte, in the interrupt.
    pub fn push(&self, byte: u8) {
        critical_section::with(|token| {
            let mut state = self.0.borrow_ref_mut(token);
            state.taken = state.taken.wrapping_add(1);
            if state.bytes.push_back(byte).is_err() {
                state.dropped = state.dropped.wrapping_add(1);
            }
        });
    }

    /// Notes how many bytes have arrived since the start, as the hardware counts them: what was not pushed by now is
    /// lost. Bytes that are still to be pushed are not to be in it; if it is too small, the next call makes up for that.
    pub fn note_arrived(&self, since_start: u32) {
        critical_section::with(|token| {
            let mut state = self.0.borrow_ref_mut(token);
            let overwritten = since_start.wrapping_sub(state.taken);
            if overwritten.wrapping_sub(state.overwritten).cast_signed() > 0 {
                state.overwritten = overwritten;
            }
        });
    }

    /// Notes that the hardware had no room for a byte, which it did not count as arrived either.
    pub fn note_overrun(&self) {
        critical_section::with(|token| {
            let mut state = self.0.borrow_ref_mut(token);
            state.dropped = state.dropped.wrapping_add(1);
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

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        critical_section::with(|token| self.0.borrow_ref(token).bytes.len())
    }

    /// Bytes lost since the start.
    pub fn lost(&self) -> u32 {
        critical_section::with(|token| {
            let state = self.0.borrow_ref(token);
            state.dropped.wrapping_add(state.overwritten)
        })
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

    #[test]
    fn what_a_late_interrupt_missed_is_counted_once() {
        let inbox = Inbox::<4>::new();
        inbox.push(0);
        inbox.note_arrived(1);
        assert_eq!(inbox.lost(), 0);
        // One more had arrived before the interrupt came, so that one of them was overwritten.
        inbox.push(2);
        inbox.note_arrived(3);
        assert_eq!(inbox.lost(), 1);
        // On time again, and then with a count that lags behind: nothing is lost, and nothing comes back.
        inbox.push(3);
        inbox.note_arrived(4);
        inbox.push(4);
        inbox.note_arrived(4);
        assert_eq!(inbox.lost(), 1);
        // The queue is full: what is pushed is taken, and lost all the same.
        inbox.push(5);
        inbox.note_arrived(6);
        assert_eq!(inbox.lost(), 2);
        inbox.note_overrun();
        assert_eq!(inbox.lost(), 3);
    }

    #[test]
    fn counts_of_arrived_bytes_may_wrap() {
        let inbox = Inbox::<4>::new();
        critical_section::with(|token| inbox.0.borrow_ref_mut(token).taken = u32::MAX);
        inbox.push(0);
        inbox.note_arrived(2);
        assert_eq!(inbox.lost(), 2);
    }
}
