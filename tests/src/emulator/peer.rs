//! The host's end of the UART.

/// The host's end of the UART.
///
/// Only received bytes may change what a peer wants to send: after [`Peer::transmit`] has returned `None` it is asked
/// again only when the device has sent something.
pub trait Peer {
    /// How many cycles of the run's [`Clock`](super::Clock) have passed, if it has one. Told before each [`Peer::transmit`], which is then
    /// asked whenever the line is free.
    fn at(&mut self, _cycles: u64) {}

    /// The next byte for the device, if there is one now.
    fn transmit(&mut self) -> Option<u8>;

    /// Takes a byte that the device sent.
    fn receive(&mut self, byte: u8);
}

/// A peer that sends fixed bytes and keeps what it receives.
#[derive(Clone, Debug, Default)]
pub struct Script {
    sent: usize,
    bytes: Vec<u8>,
    received: Vec<u8>,
}

impl Script {
    /// A peer that sends these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { sent: 0, bytes: bytes.into(), received: Vec::new() }
    }

    /// What the device sent.
    pub fn received(&self) -> &[u8] {
        &self.received
    }
}

impl Peer for Script {
    fn transmit(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.sent).copied();
        self.sent += usize::from(byte.is_some());
        byte
    }

    fn receive(&mut self, byte: u8) {
        self.received.push(byte);
    }
}
