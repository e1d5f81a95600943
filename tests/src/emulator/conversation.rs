//! A whole conversation with the firmware: all readings, then its statistics, then the end.

use std::collections::VecDeque;
use std::vec;

use anyhow::{Context, Result, ensure};
use flowlet::model_file::MOST_FEATURES;
use flowlet_firmware::frame::{self, MAX_RESPONSE};
use flowlet_firmware::message::{Request, Response, Statistics};
use flowlet_firmware::{Malformed, Receiver};

use super::Peer;

/// Sends readings to the firmware and keeps its answers.
///
/// At most `window` readings are under way, so that the device's queue never overflows. With one at a time no
/// byte arrives while a reading is assessed, and what the firmware measures has no interrupts in it.
pub struct Conversation {
    readings: vec::IntoIter<Vec<f32>>,
    window: usize,
    sent: u32,
    stage: Stage,
    outgoing: VecDeque<u8>,
    receiver: Receiver<MAX_RESPONSE>,
    answers: Vec<Response>,
    statistics: Option<Statistics>,
    damaged: Option<Malformed>,
    watch: Box<dyn FnMut(&Response)>,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Readings,
    Statistics,
    Stopped,
}

/// What the firmware answered.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The answer to each reading, in order: [`Response::Assessment`] or [`Response::Refused`]; of a stream that is watched,
    /// [`Response::Taken`] or [`Response::Watched`].
    pub readings: Vec<Response>,
    /// What the firmware counted.
    pub statistics: Statistics,
}

impl Conversation {
    /// A conversation about these readings, numbered from 0.
    pub fn new(readings: Vec<Vec<f32>>, window: usize) -> Self {
        Self {
            readings: readings.into_iter(),
            window: window.max(1),
            sent: 0,
            stage: Stage::Readings,
            outgoing: VecDeque::from([frame::DELIMITER]),
            receiver: Receiver::new(),
            answers: Vec::new(),
            statistics: None,
            damaged: None,
            watch: Box::new(|_| ()),
        }
    }

    /// Calls `watch` with every answer as it comes.
    #[must_use]
    pub fn watched(self, watch: impl FnMut(&Response) + 'static) -> Self {
        Self { watch: Box::new(watch), ..self }
    }

    /// What the firmware answered.
    ///
    /// # Errors
    /// If an answer is damaged or missing or does not belong to its reading.
    pub fn finish(self) -> Result<Answers> {
        if let Some(damaged) = self.damaged {
            return Err(damaged).context("the device sent a damaged frame");
        }
        let (sent, answered) = (self.sent as usize, self.answers.len());
        let left = self.readings.len();
        ensure!(left == 0 && sent == answered, "{} readings, {sent} were sent, {answered} answered", sent + left);
        for (expected, answer) in (0..).zip(&self.answers) {
            match *answer {
                Response::Assessment { sequence, .. }
                | Response::Refused { sequence, .. }
                | Response::Taken { sequence }
                | Response::Watched { sequence, .. }
                    if sequence == expected => {}
                ref other => anyhow::bail!("expected the answer to reading {expected}, found {other:?}"),
            }
        }
        let statistics = self.statistics.context("the device did not send its statistics")?;
        Ok(Answers { readings: self.answers, statistics })
    }

    fn send(&mut self, request: &Request<&[f32]>) {
        const LONGEST: usize = frame::max_request(MOST_FEATURES);
        // A reading that is too long for any model is left unsent, and then missed by `finish`.
        if let Ok(frame) = frame::encode::<_, LONGEST>(request) {
            self.outgoing.extend(frame);
        }
    }

    /// Queues the next request if it is time for it.
    fn proceed(&mut self) {
        let all_answered = self.answers.len() == self.sent as usize;
        match self.stage {
            Stage::Readings if self.sent as usize - self.answers.len() < self.window => match self.readings.next() {
                Some(reading) => {
                    self.send(&Request::Reading { sequence: self.sent, values: &reading });
                    self.sent += 1;
                }
                None if all_answered => {
                    self.send(&Request::Statistics);
                    self.stage = Stage::Statistics;
                }
                None => {}
            },
            Stage::Statistics if self.statistics.is_some() => {
                self.send(&Request::Stop);
                self.stage = Stage::Stopped;
            }
            _ => {}
        }
    }
}

impl Peer for Conversation {
    fn transmit(&mut self) -> Option<u8> {
        if self.outgoing.is_empty() {
            self.proceed();
        }
        self.outgoing.pop_front()
    }

    fn receive(&mut self, byte: u8) {
        let Some(frame) = self.receiver.push(byte) else { return };
        match frame.and_then(frame::decode) {
            Ok(Response::Statistics(statistics)) => self.statistics = Some(statistics),
            Ok(answer) => {
                (self.watch)(&answer);
                self.answers.push(answer);
            }
            Err(damaged) => self.damaged = Some(damaged),
        }
    }
}
