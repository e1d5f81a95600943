//! A host that sends samples when they are sampled, and waits for nothing.

use std::collections::VecDeque;

use flowlet::model_file::MOST_FEATURES;
use flowlet_firmware::Receiver;
use flowlet_firmware::frame::{self, MAX_RESPONSE};
use flowlet_firmware::message::{Request, Response, Statistics};

use super::{Clock, Peer};

/// How fast samples come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// The device's clock and its line.
    pub clock: Clock,
    /// Samples in a second. The line may carry fewer: see [`Paced::most_a_second`].
    pub samples_a_second: u64,
}

/// Sends samples at their time, once the device answers at all, then asks for its statistics and ends it.
pub struct Paced {
    samples: VecDeque<Vec<u8>>,
    /// Of a sample, in cycles.
    period: u64,
    /// How long nothing is sent behind the last sample.
    pause: u64,
    now: u64,
    /// When the next sample is there; none before the device's first answer.
    due: Option<u64>,
    stage: Stage,
    outgoing: VecDeque<u8>,
    receiver: Receiver<MAX_RESPONSE>,
    answers: Vec<Response>,
    statistics: Option<Statistics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Samples,
    Statistics,
    Stopped,
}

impl Paced {
    /// A host of these samples, numbered from 0.
    pub fn new<const M: usize>(samples: &[[f32; M]], pacing: Pacing) -> Self {
        let reading =
            |(sequence, values): (u32, &[f32; M])| encoded(&Request::Reading { sequence, values: &values[..] });
        let mut outgoing = VecDeque::from([frame::DELIMITER]);
        outgoing.extend(encoded(&Request::Statistics));
        let hertz = pacing.clock.hertz;
        Self {
            samples: (0..).zip(samples).map(reading).collect(),
            period: hertz / pacing.samples_a_second.max(1),
            pause: hertz / 2,
            now: 0,
            due: None,
            stage: Stage::Greeting,
            outgoing,
            receiver: Receiver::new(),
            answers: Vec::new(),
            statistics: None,
        }
    }

    /// The most of these samples that a line carries in a second.
    pub fn most_a_second<const M: usize>(samples: &[[f32; M]], clock: Clock) -> u64 {
        let sequence = samples.len() as u32;
        let longest = samples.iter().map(|values| encoded(&Request::Reading { sequence, values: &values[..] }).len());
        clock.hertz / (clock.byte() * longest.max().unwrap_or(1) as u64)
    }

    /// What the device answered to samples, [`Response::Malformed`] for what it could not read.
    pub fn answers(&self) -> &[Response] {
        &self.answers
    }

    /// What it counted: asked for from half a second after the last sample on.
    pub fn statistics(&self) -> Option<Statistics> {
        self.statistics
    }
}

fn encoded(request: &Request<&[f32]>) -> Vec<u8> {
    const LONGEST: usize = frame::max_request(MOST_FEATURES);
    // A sample that is too long for any model is left unsent.
    frame::encode::<_, LONGEST>(request).map_or_else(|_| Vec::new(), |frame| frame.to_vec())
}

impl Peer for Paced {
    fn at(&mut self, cycles: u64) {
        self.now = cycles;
        let Some(due) = self.due.filter(|due| cycles >= *due) else { return };
        match (self.stage, self.samples.pop_front()) {
            (Stage::Samples, Some(frame)) => {
                self.outgoing.extend(frame);
                self.due = Some(due + if self.samples.is_empty() { self.period + self.pause } else { self.period });
            }
            (Stage::Samples | Stage::Statistics, None) => {
                // Where the end of the last sample was lost, the device still waits for it.
                self.outgoing.push_back(frame::DELIMITER);
                self.outgoing.extend(encoded(&Request::Statistics));
                self.stage = Stage::Statistics;
                // This may be lost, too, while the device has other things to do: it is asked again.
                self.due = Some(cycles + self.pause);
            }
            _ => {}
        }
    }

    fn transmit(&mut self) -> Option<u8> {
        self.outgoing.pop_front()
    }

    fn receive(&mut self, byte: u8) {
        let Some(Ok(frame)) = self.receiver.push(byte) else { return };
        match (frame::decode(frame), self.stage) {
            (Ok(Response::Statistics(_)), Stage::Greeting) => {
                self.stage = Stage::Samples;
                self.due = Some(self.now);
            }
            (Ok(Response::Statistics(statistics)), stage) => {
                self.statistics = Some(statistics);
                if stage == Stage::Statistics {
                    self.outgoing.extend(encoded(&Request::Stop));
                    self.stage = Stage::Stopped;
                }
            }
            (Ok(answer), _) => self.answers.push(answer),
            // A damaged answer is missed by whoever counts them.
            (Err(_), _) => {}
        }
    }
}
